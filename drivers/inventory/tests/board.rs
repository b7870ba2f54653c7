//! What is kept, what is old and what is lost.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use std::time::{Duration, SystemTime};

use mains_contract::{Bytes, Device, DeviceKind, HealthState, Inventory, Memory, ProbeReport};
use mains_inventory::{Board, SOURCES, Source, source};
use proptest::prelude::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn named(name: &str) -> &'static Source {
    source(name).unwrap()
}

/// Card number `card` as `source` sees it.
fn card(source: &str, card: u8) -> Device {
    Device {
        pci: Some(format!("0000:0{card}:00.0")),
        memory: Some(Memory {
            total: Bytes(100),
            free: Some(Bytes(50)),
            shared: false,
            host: None,
        }),
        temperature_c: Some(40.0),
        sources: vec![source.to_owned()],
        ..Device::new(format!("gpu:0000:0{card}:00.0"), "Card", DeviceKind::Gpu)
    }
}

fn report(source: &str, cards: &[u8]) -> ProbeReport {
    ProbeReport {
        devices: cards.iter().map(|number| card(source, *number)).collect(),
        problems: Vec::new(),
    }
}

fn states(inventory: &Inventory) -> Vec<(&str, HealthState)> {
    let devices = inventory.devices.iter();
    devices
        .map(|device| (device.id.as_str(), device.health.state))
        .collect()
}

#[test]
fn a_source_that_fails_keeps_its_last_answer_with_its_age() {
    let mut board = Board::default();
    board.answered(named("nvml"), report("nvml", &[1]), at(100));
    board.failed(named("nvml"), "pending: no answer within 5 s".to_owned());
    let soon = board.inventory(at(130));
    assert_eq!(states(&soon), [("gpu:0000:01:00.0", HealthState::Ok)]);
    assert_eq!(soon.devices[0].temperature_c, Some(40.0));
    assert_eq!(soon.problems.len(), 1);
    assert_eq!(
        soon.problems[0].error,
        "pending: no answer within 5 s; what it said 30 s ago stays in use"
    );
    let later = board.inventory(at(1000));
    assert!(
        later.problems[0].error.contains("15 min ago"),
        "{:?}",
        later.problems
    );
    assert_eq!(
        later.devices[0].temperature_c, None,
        "a temperature of then is none of now"
    );
    assert_eq!(later.devices[0].memory.unwrap().free, Some(Bytes(50)));
    assert_eq!(later.probed_at, at(100));
    board.answered(named("nvml"), report("nvml", &[1]), at(1001));
    assert_eq!(board.inventory(at(1002)).problems, []);
}

#[test]
fn a_source_that_never_answered_has_nothing_to_keep() {
    let mut board = Board::default();
    board.failed(named("cuda"), "died (signal 6)".to_owned());
    let found = board.inventory(at(1));
    assert_eq!(
        (found.devices.len(), found.problems[0].error.as_str()),
        (0, "died (signal 6)")
    );
    assert_eq!(board.trouble(named("cuda")), Some("died (signal 6)"));
    assert!(!board.has_devices(named("cuda")));
}

#[test]
fn a_device_that_vanishes_is_lost_until_it_is_back() {
    let mut board = Board::default();
    board.answered(named("nvml"), report("nvml", &[1, 2]), at(0));
    board.answered(named("pci"), report("pci", &[1, 2]), at(0));
    assert_eq!(board.inventory(at(0)).devices.len(), 2);
    // One source still sees it: it is there.
    board.answered(named("nvml"), report("nvml", &[1]), at(10));
    assert!(
        states(&board.inventory(at(10)))
            .iter()
            .all(|(_, state)| *state == HealthState::Ok)
    );
    board.answered(named("pci"), report("pci", &[1]), at(20));
    let found = board.inventory(at(20));
    assert_eq!(
        states(&found),
        [
            ("gpu:0000:01:00.0", HealthState::Ok),
            ("gpu:0000:02:00.0", HealthState::Lost)
        ]
    );
    let lost = &found.devices[1];
    assert!(
        lost.usable_by.is_empty()
            && lost
                .unusable_because
                .as_ref()
                .unwrap()
                .contains("pci saw it before")
    );
    assert_eq!((lost.memory.unwrap().free, lost.temperature_c), (None, None));
    board.answered(named("pci"), report("pci", &[1, 2]), at(30));
    assert!(
        states(&board.inventory(at(30)))
            .iter()
            .all(|(_, state)| *state == HealthState::Ok)
    );
    board.answered(named("pci"), report("pci", &[1]), at(40));
    assert_eq!(board.inventory(at(40)).devices.len(), 2);
    let days = 40 + 73 * 3600;
    assert_eq!(
        board.inventory(at(days)).devices.len(),
        1,
        "after days nobody asks for it"
    );
}

#[test]
fn partitions_that_are_made_anew_are_not_lost() {
    let mut board = Board::default();
    let mut partition = card("nvml", 1);
    partition.id = "gpu:MIG-1".to_owned();
    partition.parent = Some("gpu:0000:01:00.0".to_owned());
    let mut split = report("nvml", &[1]);
    split.devices.push(partition);
    board.answered(named("nvml"), split, at(0));
    assert_eq!(board.inventory(at(0)).devices.len(), 2);
    board.answered(named("nvml"), report("nvml", &[1]), at(1));
    assert_eq!(
        states(&board.inventory(at(1))),
        [("gpu:0000:01:00.0", HealthState::Ok)]
    );
}

#[derive(Debug, Clone)]
enum Happening {
    Answer(usize, Vec<u8>),
    Failure(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    let source = 1..SOURCES.len();
    let cards = prop::collection::btree_set(1..5_u8, 0..4);
    prop_oneof![
        (source.clone(), cards)
            .prop_map(|(source, cards)| Happening::Answer(source, cards.into_iter().collect())),
        source.prop_map(Happening::Failure),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A card is in the inventory when a source's last good answer has it, is lost when none has and one had, and is there once.
    #[test]
    fn nothing_is_forgotten_or_doubled(happenings in prop::collection::vec(happening(), 1..40)) {
        let mut board = Board::default();
        let mut said: Vec<Vec<u8>> = vec![Vec::new(); SOURCES.len()];
        let mut failing = vec![false; SOURCES.len()];
        let mut ever = std::collections::BTreeSet::new();
        for (second, happening) in (0..).zip(happenings) {
            match happening {
                Happening::Answer(index, cards) => {
                    board.answered(&SOURCES[index], report(SOURCES[index].name, &cards), at(second));
                    said[index] = cards;
                    failing[index] = false;
                }
                Happening::Failure(index) => {
                    board.failed(&SOURCES[index], "hangs".to_owned());
                    failing[index] = true;
                }
            }
            let found = board.inventory(at(second));
            let there: std::collections::BTreeSet<u8> = said.iter().flatten().copied().collect();
            ever.extend(there.iter().copied());
            prop_assert_eq!(found.devices.len(), ever.len());
            for number in &ever {
                let id = format!("gpu:0000:0{number}:00.0");
                let device = found.devices.iter().find(|device| device.id == id).unwrap();
                prop_assert_eq!(device.health.state == HealthState::Lost, !there.contains(number));
            }
            let troubles = failing.iter().filter(|fails| **fails).count();
            prop_assert_eq!(found.problems.len(), troubles);
        }
    }
}
