//! Facts about one device, bounded before they are believed.

use std::ops::RangeInclusive;

use mains_contract::{Bytes, Device, DeviceKind, EccErrors, Health, HealthState, Link, Memory};

use crate::address::Address;

/// A number that a source tells, in the unit that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Bytes.
    MemoryTotal,
    /// Bytes.
    MemoryUsed,
    /// Bytes.
    MemoryFree,
    /// Bytes of the host's memory that the device may take beside its own.
    HostTotal,
    /// Bytes of [`Fact::HostTotal`] that are taken.
    HostUsed,
    /// Degrees Celsius.
    Temperature,
    /// Watts.
    Power,
    /// Watts.
    PowerLimit,
    /// Joules.
    Energy,
    /// 0 to 1.
    Utilization,
    /// PCI Express generation.
    LinkGeneration,
    /// Lanes.
    LinkWidth,
    /// PCI Express generation.
    LinkMaxGeneration,
    /// Lanes.
    LinkMaxWidth,
    /// A count.
    EccCorrected,
    /// A count.
    EccUncorrected,
    /// Of a PCI address.
    PciDomain,
    /// Of a PCI address.
    PciBus,
    /// Of a PCI address.
    PciDevice,
    /// Of a PCI address.
    PciFunction,
    /// Of the maker's generations of instruction sets.
    ComputeMajor,
    /// Of the maker's generations of instruction sets.
    ComputeMinor,
    /// 1 when the device uses the host's memory as its own.
    Integrated,
    /// Cores, in the maker's way of counting.
    Cores,
}

/// How many [`Fact`]s there are.
const FACTS: usize = Fact::Cores as usize + 1;

/// A text that a source tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The maker's name of the device.
    Name,
    /// The maker's identity of the device.
    Uuid,
    /// A PCI address in any common spelling.
    Pci,
}

/// Characters of a text that are kept: names are far shorter, and frames carry at most 256 bytes.
const WORD_CHARACTERS: usize = 64;

/// What one source says of one device.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Facts {
    numbers: [Option<f64>; FACTS],
    words: [Option<String>; 3],
    /// Reasons why its clocks are held down, when the source tells at all.
    pub(crate) throttle: Option<Vec<String>>,
    /// The state and its reasons, as far as this source knows.
    pub(crate) health: Option<Health>,
    /// Names of capabilities.
    pub(crate) features: Vec<String>,
}

impl Facts {
    /// The number, when it is known.
    pub(crate) fn get(&self, fact: Fact) -> Option<f64> {
        self.numbers.get(fact as usize).copied().flatten()
    }

    /// The text, when it is known.
    pub(crate) fn word(&self, word: Word) -> Option<&str> {
        self.words.get(word as usize).and_then(Option::as_deref)
    }

    /// Notes a number unless it is known already. A zero that says "unknown" is passed over.
    ///
    /// # Errors
    /// What the source said, when that can not be.
    pub(crate) fn set(&mut self, fact: Fact, value: f64) -> Result<(), String> {
        let (range, zero_is_unknown) = bounds(fact);
        if value == 0.0 && zero_is_unknown {
            return Ok(());
        }
        if !range.contains(&value) {
            return Err(format!("{fact:?} = {value} can not be: not believed"));
        }
        if let Some(slot) = self.numbers.get_mut(fact as usize) {
            slot.get_or_insert(value);
        }
        Ok(())
    }

    /// Notes a text unless it is known already or says nothing.
    pub(crate) fn set_word(&mut self, word: Word, raw: &[u8]) {
        let text = clean(raw);
        let says_nothing = text.is_empty() || text.chars().all(|c| matches!(c, '0' | '-' | ' '));
        if let Some(slot) = self.words.get_mut(word as usize).filter(|_| !says_nothing) {
            slot.get_or_insert(text);
        }
    }

    /// Notes that something is wrong. The worst state stays.
    pub(crate) fn ail(&mut self, state: HealthState, reason: impl Into<String>) {
        let health = self.health.get_or_insert_with(Health::ok);
        if state.severity() > health.state.severity() {
            health.state = state;
        }
        health.reasons.push(reason.into());
    }

    /// The PCI address, from its text or its parts.
    pub(crate) fn address(&self) -> Option<Address> {
        let part = |fact| self.get(fact).map(|number| number as u32);
        let parts = || {
            Address::new(
                part(Fact::PciDomain).unwrap_or(0),
                part(Fact::PciBus)?,
                part(Fact::PciDevice)?,
                part(Fact::PciFunction).unwrap_or(0),
            )
        };
        self.word(Word::Pci).and_then(Address::parse).or_else(parts)
    }

    /// The device that the facts tell of; `index` is its number within the source, which names it when nothing better
    /// does.
    pub(crate) fn device(self, source: &str, maker: &str, kind: DeviceKind, index: usize) -> Device {
        let kind = match self.get(Fact::Integrated) {
            Some(1.0) => DeviceKind::IntegratedGpu,
            _ => kind,
        };
        let pci = self.address().map(|address| address.to_string());
        let uuid = self.word(Word::Uuid).map(str::to_owned);
        let known_by = pci.clone().or_else(|| uuid.clone());
        let known_by = known_by.unwrap_or_else(|| format!("{source}-{index}"));
        let number = |fact| self.get(fact);
        let count = |fact| self.get(fact).map(|number| number as u32);
        let errors = |fact| self.get(fact).map(|number| number as u64);
        let link = Link {
            generation: count(Fact::LinkGeneration),
            width: count(Fact::LinkWidth),
            max_generation: count(Fact::LinkMaxGeneration),
            max_width: count(Fact::LinkMaxWidth),
        };
        let ecc = EccErrors {
            corrected: errors(Fact::EccCorrected),
            uncorrected: errors(Fact::EccUncorrected),
        };
        Device {
            vendor: Some(maker.to_owned()),
            pci,
            uuid,
            memory: self.memory(kind),
            sources: vec![source.to_owned()],
            temperature_c: number(Fact::Temperature),
            power_w: number(Fact::Power),
            power_limit_w: number(Fact::PowerLimit),
            energy_j: number(Fact::Energy),
            utilization: number(Fact::Utilization),
            link: (link != Link::default()).then_some(link),
            ecc: (ecc != EccErrors::default()).then_some(ecc),
            // A name that is not told is left to the sources that know one.
            ..Device::new(
                format!("{}:{known_by}", kind.name()),
                self.word(Word::Name).unwrap_or_default(),
                kind,
            )
        }
        .with_rest(self)
    }

    fn memory(&self, kind: DeviceKind) -> Option<Memory> {
        let own = self.get(Fact::MemoryTotal);
        let host = self
            .get(Fact::HostTotal)
            .filter(|_| kind == DeviceKind::IntegratedGpu);
        let total = own.unwrap_or(0.0) + host.unwrap_or(0.0);
        let used = self.get(Fact::MemoryUsed).zip(own).map(|(used, own)| own - used);
        let free = self
            .get(Fact::MemoryFree)
            .or(used)
            .or(own.is_none().then_some(0.0));
        let free = match host {
            None => free,
            Some(host) => free
                .zip(self.get(Fact::HostUsed))
                .map(|(free, used)| free + (host - used).max(0.0)),
        };
        (total > 0.0).then(|| Memory {
            total: Bytes(total as u64),
            free: free.map(|free| Bytes(free.clamp(0.0, total) as u64)),
            shared: kind == DeviceKind::IntegratedGpu,
            host: host.map(|host| Bytes(host as u64)),
        })
    }
}

/// The facts that are no numbers.
trait WithRest {
    fn with_rest(self, facts: Facts) -> Self;
}

impl WithRest for Device {
    fn with_rest(mut self, facts: Facts) -> Self {
        let count = |fact| facts.get(fact).map(|number| number as u32);
        if let Some((major, minor)) = count(Fact::ComputeMajor).zip(count(Fact::ComputeMinor)) {
            self.features.push(format!("compute={major}.{minor}"));
        }
        self.features
            .extend(count(Fact::Cores).map(|cores| format!("cores={cores}")));
        self.features.extend(facts.features);
        self.throttle = facts.throttle;
        if let Some(health) = facts.health {
            self.health = health;
        }
        self
    }
}

/// What can be, and whether a zero means that nothing is known. The bounds are far beyond any device of today: they sort
/// out sentinels and garbage, not surprises.
fn bounds(fact: Fact) -> (RangeInclusive<f64>, bool) {
    /// 1 PiB.
    const MEMORY: f64 = (1_u64 << 50) as f64;
    /// No counter of joules or errors gets there in a device's life; an integer of this size is exact in f64.
    const COUNTER: f64 = 1e15;
    match fact {
        Fact::MemoryTotal | Fact::HostTotal => (1.0..=MEMORY, true),
        Fact::MemoryUsed | Fact::MemoryFree | Fact::HostUsed => (0.0..=MEMORY, false),
        Fact::Temperature => (-60.0..=250.0, false),
        Fact::Power | Fact::PowerLimit => (0.0..=20_000.0, true),
        Fact::Energy => (0.0..=COUNTER, true),
        Fact::Utilization => (0.0..=1.0, false),
        Fact::LinkGeneration | Fact::LinkMaxGeneration => (1.0..=16.0, true),
        Fact::LinkWidth | Fact::LinkMaxWidth => (1.0..=64.0, true),
        Fact::EccCorrected | Fact::EccUncorrected => (0.0..=COUNTER, false),
        Fact::PciDomain => (0.0..=f64::from(u32::MAX), false),
        Fact::PciBus => (0.0..=255.0, false),
        Fact::PciDevice => (0.0..=31.0, false),
        Fact::PciFunction => (0.0..=7.0, false),
        Fact::ComputeMajor | Fact::ComputeMinor => (0.0..=1000.0, false),
        Fact::Integrated => (0.0..=1.0, false),
        Fact::Cores => (1.0..=1e6, true),
    }
}

/// A C string of a library: cut at its end or at [`WORD_CHARACTERS`], without control characters and replacement marks.
pub(crate) fn clean(raw: &[u8]) -> String {
    let end = raw.iter().position(|byte| *byte == 0).unwrap_or(raw.len());
    let text = String::from_utf8_lossy(raw.get(..end).unwrap_or(raw));
    let printable: String = text
        .chars()
        .filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER)
        .take(WORD_CHARACTERS)
        .collect();
    printable.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_can_not_be_is_not_believed() {
        let mut facts = Facts::default();
        assert!(facts.set(Fact::Temperature, f64::from(u32::MAX)).is_err());
        assert!(facts.set(Fact::MemoryTotal, u64::MAX as f64).is_err());
        assert!(facts.set(Fact::Utilization, f64::NAN).is_err());
        assert_eq!(facts.set(Fact::Power, 0.0), Ok(()));
        assert_eq!(facts, Facts::default());
    }

    #[test]
    fn an_integrated_devices_memory_tells_the_hosts_part() {
        let mut facts = Facts::default();
        for (fact, value) in [
            (Fact::MemoryTotal, 512.0),
            (Fact::MemoryUsed, 500.0),
            (Fact::HostTotal, 4096.0),
            (Fact::HostUsed, 96.0),
        ] {
            facts.set(fact, value).unwrap();
        }
        let memory = facts.memory(DeviceKind::IntegratedGpu).unwrap();
        assert_eq!((memory.total, memory.host), (Bytes(4608), Some(Bytes(4096))));
        assert_eq!((memory.free, memory.shared), (Some(Bytes(4012)), true));
        let memory = facts.memory(DeviceKind::Gpu).unwrap();
        assert_eq!(
            (memory.total, memory.free, memory.host),
            (Bytes(512), Some(Bytes(12)), None)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_bounded_line(raw in prop::collection::vec(any::<u8>(), 0..400)) {
            let text = clean(&raw);
            prop_assert!(text.len() <= 4 * WORD_CHARACTERS);
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
