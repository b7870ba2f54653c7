//! Joins what the probes said into one list of devices. Pure.
//!
//! The same card seen by several sources is one device: by its UUID, else by its PCI address. UUIDs go first because a
//! partition has its card's address. Each field comes from the most trusted source that knows it ([`crate::SOURCES`]), so
//! that the order of answers does not matter.

use std::time::SystemTime;

use mains_contract::{Device, DeviceKind, Inventory, Memory, ProbeError, ProbeReport, Problem};

use crate::{advice, memory, sources};

/// One probe's name and what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// [`mains_contract::Probe::source`].
    pub source: &'static str,
    /// What came of asking it.
    pub report: Result<ProbeReport, ProbeError>,
}

/// Devices of an inventory: eight cards in seven partitions each are 64, and frames carry 256.
const MAX_DEVICES: usize = 256;

/// Problems of one source: the first ones tell what is wrong with it.
const MAX_PROBLEMS: usize = 8;

/// Joins answers. The CPU comes first, then cards, neural processors, integrated graphics and software devices by their
/// ids, each with its partitions. A failed probe is a problem.
#[must_use]
pub fn inventory(mut answers: Vec<Answer>, probed_at: SystemTime) -> Inventory {
    answers.sort_by_key(|answer| (sources::rank(answer.source), answer.source));
    let mut cards: Vec<Card> = Vec::new();
    let mut problems = Vec::new();
    for Answer { source, report } in answers {
        match report {
            Ok(report) => {
                problems.extend(cap(source, report.problems));
                for device in report.devices {
                    place(&mut cards, Sighting { source, device });
                }
            }
            Err(ProbeError(error)) => problems.push(problem(source, error)),
        }
    }
    let left_out = cards.len().saturating_sub(MAX_DEVICES);
    if left_out > 0 {
        cards.truncate(MAX_DEVICES);
        problems.push(problem(
            "join",
            format!("{left_out} devices beyond {MAX_DEVICES} are left out"),
        ));
    }
    Inventory {
        devices: finish(cards),
        problems,
        probed_at,
    }
}

fn problem(source: &str, error: String) -> Problem {
    Problem {
        source: source.to_owned(),
        error,
    }
}

fn cap(source: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        problems.truncate(MAX_PROBLEMS);
        problems.push(problem(source, format!("and {more} more of the kind")));
    }
    problems
}

/// What one source says of one device.
struct Sighting {
    source: &'static str,
    device: Device,
}

/// Sightings of one device.
struct Card(Vec<Sighting>);

impl Card {
    /// A source never sees one device twice.
    fn was_seen_by_others_than(&self, other: &[Sighting]) -> bool {
        self.0
            .iter()
            .all(|known| other.iter().all(|sighting| sighting.source != known.source))
    }

    /// The device with each field from the most trusted source that knows it.
    fn merged(mut self) -> (Device, Aliases) {
        self.0.sort_by_key(|sighting| sources::rank(sighting.source));
        let memories: Vec<Memory> = self
            .0
            .iter()
            .filter_map(|sighting| sighting.device.memory)
            .collect();
        let of_kind = self
            .0
            .iter()
            .min_by_key(|sighting| sources::rank_of_kind(sighting.source));
        let kind = of_kind.map(|sighting| sighting.device.kind);
        let aliases = self
            .0
            .iter()
            .map(|sighting| (sighting.source, sighting.device.id.clone()))
            .collect();
        let merged = self.0.into_iter().map(|sighting| sighting.device).reduce(merge);
        let mut device = merged.unwrap_or_else(|| Device::new("", "", DeviceKind::Gpu));
        device.kind = kind.unwrap_or(device.kind);
        device.memory = memory::choose(device.kind, &memories);
        (device, aliases)
    }
}

/// Each source's own id of a device.
type Aliases = Vec<(&'static str, String)>;

/// `known` with what only the less trusted `other` knows.
fn merge(mut known: Device, other: Device) -> Device {
    if known.name.is_empty() {
        known.name = other.name;
    }
    first(&mut known.vendor, other.vendor);
    first(&mut known.pci, other.pci);
    first(&mut known.uuid, other.uuid);
    first(&mut known.parent, other.parent);
    first(&mut known.runtime, other.runtime);
    first(&mut known.temperature_c, other.temperature_c);
    first(&mut known.power_w, other.power_w);
    first(&mut known.power_limit_w, other.power_limit_w);
    first(&mut known.energy_j, other.energy_j);
    first(&mut known.utilization, other.utilization);
    first(&mut known.link, other.link);
    first(&mut known.ecc, other.ecc);
    first(&mut known.throttle, other.throttle);
    first(&mut known.unusable_because, other.unusable_because);
    union(&mut known.sources, other.sources);
    union(&mut known.usable_by, other.usable_by);
    union(&mut known.features, other.features);
    for driver in other.drivers {
        if known.drivers.iter().all(|facts| facts.name != driver.name) {
            known.drivers.push(driver);
        }
    }
    if other.health.state.severity() > known.health.state.severity() {
        known.health.state = other.health.state;
    }
    union(&mut known.health.reasons, other.health.reasons);
    known
}

fn first<T>(known: &mut Option<T>, other: Option<T>) {
    if known.is_none() {
        *known = other;
    }
}

fn union(known: &mut Vec<String>, others: Vec<String>) {
    for other in others {
        if !known.contains(&other) {
            known.push(other);
        }
    }
}

/// Adds a sighting to the device that it is of. One that knows both the UUID of one device and the address of another
/// shows that they are one.
fn place(cards: &mut Vec<Card>, sighting: Sighting) {
    let find = |same: fn(&Device, &Device) -> bool| {
        cards.iter().position(|card| {
            let same = card.0.iter().any(|known| {
                !apart(&known.device, &sighting.device) && same(&known.device, &sighting.device)
            });
            same && card.was_seen_by_others_than(std::slice::from_ref(&sighting))
        })
    };
    let by_uuid = find(same_uuid);
    let by_address = find(same_address);
    let home = match (by_uuid, by_address) {
        (Some(one), Some(other)) if one != other => join(cards, one, other),
        (found, None) | (None, found) | (found, Some(_)) => found.or_else(|| find(same_id)),
    };
    match home.and_then(|index| cards.get_mut(index)) {
        Some(card) => card.0.push(sighting),
        None => cards.push(Card(vec![sighting])),
    }
}

/// Makes two devices one, unless a source saw both: then `one`, whose UUID it is, decides.
fn join(cards: &mut Vec<Card>, one: usize, other: usize) -> Option<usize> {
    let (low, high) = (one.min(other), one.max(other));
    let apart = cards
        .get(low)
        .zip(cards.get(high))
        .is_some_and(|(a, b)| a.was_seen_by_others_than(&b.0));
    if !apart {
        return Some(one);
    }
    let moved = cards.remove(high);
    cards.get_mut(low)?.0.extend(moved.0);
    Some(low)
}

/// Whether two entries of inventories of different times are the same device.
pub(crate) fn is_same(a: &Device, b: &Device) -> bool {
    a.id == b.id || same_uuid(a, b) || same_address(a, b)
}

/// Makers' libraries put what it is before the digits: `GPU-`, `MIG-`, `MLU-`.
fn same_uuid(a: &Device, b: &Device) -> bool {
    let digits = |uuid: &str| {
        let text = uuid.to_ascii_lowercase();
        let bare = text
            .split_once('-')
            .filter(|(kind, _)| kind.len() == 3 && kind.bytes().all(|byte| byte.is_ascii_alphabetic()));
        bare.map_or(text.clone(), |(_, digits)| digits.to_owned())
    };
    let contradict = matches!((&a.pci, &b.pci), (Some(a), Some(b)) if a != b);
    match (&a.uuid, &b.uuid) {
        (Some(a), Some(b)) => !contradict && digits(a) == digits(b),
        _ => false,
    }
}

/// A partition shares its parent's PCI address, so that both must be whole devices.
fn same_address(a: &Device, b: &Device) -> bool {
    a.parent.is_none() && b.parent.is_none() && a.pci.is_some() && a.pci == b.pci
}

/// The processors are no device of anybody else, whatever it calls it.
fn apart(a: &Device, b: &Device) -> bool {
    (a.kind == DeviceKind::Cpu) != (b.kind == DeviceKind::Cpu)
}

fn same_id(a: &Device, b: &Device) -> bool {
    a.id == b.id && (a.pci.is_none() || b.pci.is_none())
}

fn finish(cards: Vec<Card>) -> Vec<Device> {
    let (mut devices, aliases): (Vec<Device>, Vec<Aliases>) = cards.into_iter().map(Card::merged).unzip();
    let ids: Vec<String> = devices.iter().map(|device| device.id.clone()).collect();
    // A partition names its card as its own source does.
    let known_as = |source: &str, id: &str| {
        let same = |aliases: &Aliases| aliases.iter().any(|(by, alias)| *by == source && alias == id);
        ids.get(aliases.iter().position(same)?).cloned()
    };
    for (device, aliases) in devices.iter_mut().zip(&aliases) {
        let parent = device.parent.take();
        device.parent = parent.map(|parent| {
            let mut names = aliases.iter().filter_map(|(source, _)| known_as(source, &parent));
            names.next().unwrap_or(parent)
        });
    }
    memory::bound_by_host(&mut devices);
    let parents: Vec<String> = devices
        .iter()
        .filter_map(|device| device.parent.clone())
        .collect();
    for device in &mut devices {
        judge(device, parents.contains(&device.id));
    }
    devices.sort_by(|a, b| order(a).cmp(&order(b)));
    devices
}

/// Who may compute on it, and why nobody, once all is known.
fn judge(device: &mut Device, is_split: bool) {
    if device.name.is_empty() {
        let maker = device.vendor.as_deref().unwrap_or("unknown");
        device.name = format!("{maker} {}", device.kind.name());
    }
    if is_split {
        device.usable_by.clear();
        device.unusable_because = Some("it is split into partitions: use those".to_owned());
    } else if !sources::may_be_planned_on(&device.sources) && !device.usable_by.is_empty() {
        device.usable_by.clear();
        device.unusable_because = Some(
            "what tells of it was never verified with a real device: nothing is planned on that alone"
                .to_owned(),
        );
    } else if device.usable_by.is_empty() {
        device.unusable_because = Some(advice::advise(device));
    } else {
        device.unusable_because = None;
    }
}

/// Cards go before integrated graphics, whose memory may be larger and is slower.
fn order(device: &Device) -> (u8, &str, bool, &str) {
    let kind = match device.kind {
        DeviceKind::Cpu => 0,
        DeviceKind::Gpu => 1,
        DeviceKind::Npu => 2,
        DeviceKind::IntegratedGpu => 3,
        DeviceKind::Software => 4,
    };
    let whole = device.parent.as_deref().unwrap_or(&device.id);
    (kind, whole, device.parent.is_some(), &device.id)
}
