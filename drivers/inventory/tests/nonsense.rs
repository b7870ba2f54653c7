//! Whatever the sources' processes say, the inventory is one that can be: they may be in anybody's hands.

use std::time::{Duration, SystemTime};

use mains_contract::{
    Bytes, Device, DeviceKind, EccErrors, Health, HealthState, Link, Memory, ProbeReport, Problem,
};
use mains_inventory::{Board, SOURCES, Watch, accept};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Few names, so that devices of different sources meet.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "",
            "cpu",
            "gpu:1",
            "GPU-1",
            "0000:01:00.0",
            "MIG-GPU-1",
            "\u{1b}[2J"
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

fn amount() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 50),
        any::<u64>(),
        0..1_u64 << 40
    ]
    .prop_map(Bytes)
}

fn memory() -> impl Strategy<Value = Memory> {
    (amount(), of(amount()), any::<bool>(), of(amount())).prop_map(|(total, free, shared, host)| Memory {
        total,
        free,
        shared,
        host,
    })
}

fn device() -> impl Strategy<Value = Device> {
    use DeviceKind::{Cpu, Gpu, IntegratedGpu, Npu, Software};
    use HealthState::{Degraded, Failed, Lost, Ok};
    let identity = (name(), name(), of(name()), of(name()), of(name()));
    let kind = select(vec![Cpu, Gpu, IntegratedGpu, Npu, Software]);
    let numbers = (
        of(any::<f64>()),
        of(any::<f64>()),
        of(any::<f64>()),
        of(any::<u64>()),
        of(any::<u32>()),
    );
    let health = (
        select(vec![Ok, Degraded, Failed, Lost]),
        prop::collection::vec(name(), 0..3),
    );
    (
        identity,
        kind,
        of(memory()),
        numbers,
        health,
        prop::collection::vec(name(), 0..3),
    )
        .prop_map(
            |(
                (id, called, pci, uuid, parent),
                kind,
                memory,
                (degrees, joules, load, errors, lanes),
                (state, reasons),
                words,
            )| {
                Device {
                    pci,
                    uuid,
                    parent,
                    memory,
                    temperature_c: degrees,
                    energy_j: joules,
                    utilization: load,
                    ecc: errors.map(|uncorrected| EccErrors {
                        corrected: None,
                        uncorrected: Some(uncorrected),
                    }),
                    link: lanes.map(|width| Link {
                        width: Some(width),
                        ..Link::default()
                    }),
                    sources: words.clone(),
                    usable_by: words.clone(),
                    features: words,
                    health: Health { state, reasons },
                    ..Device::new(id, called, kind)
                }
            },
        )
}

fn report() -> impl Strategy<Value = ProbeReport> {
    let problem = (name(), name()).prop_map(|(source, error)| Problem { source, error });
    (
        prop::collection::vec(device(), 0..4),
        prop::collection::vec(problem, 0..12),
    )
        .prop_map(|(devices, problems)| ProbeReport { devices, problems })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_said_makes_an_inventory_that_can_not_be(
        said in prop::collection::vec((0..SOURCES.len(), report()), 0..12),
        seconds in prop::collection::vec(0..1_000_000_u64, 12),
    ) {
        let (mut board, mut watch) = (Board::default(), Watch::default());
        for ((index, report), seconds) in said.into_iter().zip(seconds) {
            // Clocks may be set back.
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let source = &SOURCES[index];
            board.answered(source, accept(source, report), now);
            let mut found = board.inventory(now);
            watch.note(&found, |_| false, now);
            watch.apply(&mut found, now);
            prop_assert!(found.devices.len() <= 256 + 64);
            for device in &found.devices {
                let known = |source: &String| SOURCES.iter().any(|known| known.name == source);
                prop_assert!(device.sources.iter().all(known) && !device.sources.is_empty());
                prop_assert_eq!(device.usable_by.is_empty(), device.unusable_because.is_some());
                let names = |name: &String| SOURCES.iter().any(|known| known.name == name && known.names_drivers);
                let may_be_usable = device.sources.iter().any(names);
                prop_assert!(device.usable_by.is_empty() || may_be_usable);
                prop_assert_eq!(device.kind == DeviceKind::Cpu, device.sources == ["cpu"]);
                prop_assert_eq!(device.health.state == HealthState::Ok, device.health.reasons.is_empty());
                if let Some(memory) = device.memory {
                    prop_assert!(memory.total <= Bytes(1 << 50));
                    prop_assert!(memory.free.is_none_or(|free| free <= memory.total));
                    prop_assert!(memory.host.is_none_or(|host| host <= memory.total));
                }
                let texts = [&device.id, &device.name].into_iter().chain(&device.health.reasons).chain(&device.features);
                for text in texts {
                    prop_assert!(!text.chars().any(char::is_control), "{text:?}");
                }
            }
        }
    }
}
