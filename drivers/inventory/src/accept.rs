//! What a source may say. Pure.
//!
//! A source's process runs a maker's library, so what comes from it is not trusted: it speaks in its own name alone, of
//! devices that can be, in text that a terminal may show.

use mains_contract::{Bytes, Device, DeviceKind, HealthState, Memory, ProbeReport, Problem};

use crate::Source;

/// Characters of a sentence that are kept.
const SENTENCE: usize = 1000;

/// 1 PiB: far beyond any device of today, and sums of it over every device of a box are numbers still.
const MOST_MEMORY: Bytes = Bytes(1 << 50);

/// Characters of a name or a word that are kept.
const WORD: usize = 128;

/// `report` as far as `source` may say it. What it may not say is left out, and told when it is a whole device.
#[must_use]
pub fn accept(source: &Source, report: ProbeReport) -> ProbeReport {
    let problems = report.problems.into_iter().map(|problem| problem.error);
    let mut problems: Vec<String> = problems.map(|error| plain(&error, SENTENCE)).collect();
    let mut devices = Vec::new();
    for device in report.devices {
        // The processors are the host's own: nobody else may speak of them.
        if (device.kind == DeviceKind::Cpu) == (source.name == "cpu") {
            devices.push(believable(source, device));
        } else {
            problems.push(format!(
                "tells of a device of kind {}: left out",
                device.kind.name()
            ));
        }
    }
    ProbeReport {
        devices,
        problems: problems
            .into_iter()
            .map(|error| Problem {
                source: source.name.to_owned(),
                error,
            })
            .collect(),
    }
}

fn believable(source: &Source, mut device: Device) -> Device {
    device.sources = vec![source.name.to_owned()];
    device.id = plain(&device.id, WORD);
    device.name = plain(&device.name, WORD);
    if !source.names_drivers {
        device.usable_by.clear();
        device.drivers.clear();
    }
    // The daemon's own to say.
    device.measured = None;
    for word in [
        &mut device.vendor,
        &mut device.pci,
        &mut device.uuid,
        &mut device.parent,
    ] {
        *word = word.take().map(|text| plain(&text, WORD));
    }
    device.unusable_because = device.unusable_because.map(|text| plain(&text, SENTENCE));
    device.usable_by = words(device.usable_by);
    device.features = words(device.features);
    device.throttle = device.throttle.map(words);
    if device.health.state == HealthState::Ok {
        device.health.reasons.clear();
    }
    for reason in &mut device.health.reasons {
        *reason = plain(reason, SENTENCE);
    }
    if let Some(runtime) = &mut device.runtime {
        runtime.name = plain(&runtime.name, WORD);
        runtime.version = runtime.version.take().map(|text| plain(&text, WORD));
    }
    let possible = device.memory.filter(|memory| memory.total <= MOST_MEMORY);
    device.memory = possible.map(|memory| Memory {
        free: memory.free.map(|free| free.min(memory.total)),
        host: memory.host.map(|host| host.min(memory.total)),
        ..memory
    });
    within(&mut device.temperature_c, -60.0, 250.0);
    within(&mut device.power_w, 0.0, 20_000.0);
    within(&mut device.power_limit_w, 0.0, 20_000.0);
    within(&mut device.utilization, 0.0, 1.0);
    within(&mut device.energy_j, 0.0, 1e15);
    device
}

/// A number outside of what any device of today comes near is not known.
fn within(number: &mut Option<f64>, low: f64, high: f64) {
    *number = number.filter(|number| (low..=high).contains(number));
}

fn words(words: Vec<String>) -> Vec<String> {
    words.iter().map(|word| plain(word, WORD)).collect()
}

/// The first characters of `text`, without those that a terminal would obey.
fn plain(text: &str, characters: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(characters)
        .collect()
}

#[cfg(test)]
mod tests {
    use mains_contract::{Bytes, Device, DeviceKind, Memory, ProbeReport, Problem};
    use proptest::prelude::*;

    use super::accept;
    use crate::source;

    #[test]
    fn a_source_speaks_in_its_own_name() {
        let mut card = Device::new("gpu:x\u{1b}[2J", "Card", DeviceKind::Gpu);
        card.sources = vec!["nvml".to_owned(), "cpu".to_owned()];
        card.usable_by = vec!["cpu".to_owned()];
        let report = ProbeReport {
            devices: vec![card, Device::new("cpu", "Faster CPU", DeviceKind::Cpu)],
            problems: vec![Problem {
                source: "nvml".to_owned(),
                error: "bad\nnews".to_owned(),
            }],
        };
        let accepted = accept(source("xpuml").unwrap(), report);
        let [card] = accepted.devices.as_slice() else {
            panic!("the processors are not its own: {accepted:?}");
        };
        assert_eq!(
            (card.id.as_str(), card.sources.as_slice()),
            ("gpu:x[2J", ["xpuml".to_owned()].as_slice())
        );
        assert!(card.usable_by.is_empty());
        let told: Vec<_> = accepted
            .problems
            .iter()
            .map(|p| (p.source.as_str(), p.error.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("xpuml", "badnews"),
                ("xpuml", "tells of a device of kind cpu: left out")
            ]
        );
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_be(total: u64, free: Option<u64>, host: Option<u64>, temperature: f64, load: f64, text in "\\PC{0,9}.{0,200}") {
            let mut card = Device::new(text.clone(), text.clone(), DeviceKind::Gpu);
            card.memory = Some(Memory { total: Bytes(total), free: free.map(Bytes), shared: false, host: host.map(Bytes) });
            card.temperature_c = Some(temperature);
            card.utilization = Some(load);
            card.health.reasons = vec![text];
            let report = ProbeReport { devices: vec![card], problems: Vec::new() };
            let source = source("nvml").unwrap();
            let once = accept(source, report);
            let card = &once.devices[0];
            prop_assert_eq!(card.memory.is_some(), total <= 1 << 50);
            prop_assert!(card.memory.is_none_or(|memory| memory.free.is_none_or(|free| free <= memory.total)));
            prop_assert!(card.temperature_c.is_none_or(|degrees| (-60.0..=250.0).contains(&degrees)));
            prop_assert!(card.utilization.is_none_or(|share| (0.0..=1.0).contains(&share)));
            prop_assert!(!card.id.chars().any(char::is_control) && card.id.chars().count() <= 128);
            prop_assert_eq!(accept(source, once.clone()), once);
        }
    }
}
