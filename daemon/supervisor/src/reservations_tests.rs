//! Promises of memory: never more than there is.

use std::time::{Duration, Instant, SystemTime};

use mains_contract::{BlockFormat, Bytes, Device, DeviceKind, Footprint, Inventory, Memory};
use mains_planner::HOST_RESERVE;
use mains_types::{Digest, Plan, PlanBytes, Policy, Segment};
use proptest::prelude::*;

use super::{Candidate, Reservations, Shortage};

fn device(id: &str, kind: DeviceKind, free: u64) -> Device {
    Device {
        memory: Some(Memory {
            total: Bytes(1000),
            free: Some(Bytes(free)),
            shared: false,
            host: None,
        }),
        ..Device::new(id, "a device of the test", kind)
    }
}

fn inventory_of(devices: Vec<Device>) -> Inventory {
    Inventory {
        devices,
        problems: Vec::new(),
        probed_at: SystemTime::UNIX_EPOCH,
    }
}

fn inventory(free: u64) -> Inventory {
    inventory_of(vec![device("cpu", DeviceKind::Cpu, free)])
}

/// A box with two cards beside its CPU.
fn cards(cpu: u64, free: [u64; 2]) -> Inventory {
    inventory_of(vec![
        device("cpu", DeviceKind::Cpu, cpu),
        device("card-0", DeviceKind::Gpu, free[0]),
        device("card-1", DeviceKind::Gpu, free[1]),
    ])
}

fn fresh(_device: &Device) -> bool {
    false
}

fn plan(model: &str, bytes: u64) -> Plan {
    split(model, &[("cpu", bytes)], 0)
}

/// A plan with so many bytes on each device, and these beside them on the CPU.
fn split(model: &str, parts: &[(&str, u64)], beside: u64) -> Plan {
    let segment = |((device, bytes), layer): (&(&str, u64), u32)| Segment {
        device: (*device).to_owned(),
        driver: "any".to_owned(),
        threads: 1,
        first_layer: layer,
        last_layer: layer,
        bytes: Footprint {
            weights: Bytes(*bytes),
            ..Footprint::default()
        },
    };
    Plan {
        model: model.to_owned(),
        variant: Digest([0; 32]),
        weights: Digest([0; 32]),
        segments: parts.iter().zip(0..).map(segment).collect(),
        host: "cpu".to_owned(),
        context: 1,
        parallel: 1,
        step_rows: 1,
        block_tokens: 1,
        blocks: 1,
        kv_format: BlockFormat::F16,
        bytes: PlanBytes {
            weights: parts.iter().map(|(_, bytes)| Bytes(*bytes)).sum(),
            runtime: Bytes(beside),
            ..PlanBytes::default()
        },
        policy: Policy::default(),
        predicted: None,
        kl: None,
        gap: 0.0,
        tensors: Vec::new(),
    }
}

fn missing<const N: usize>(on: [(&str, u64); N]) -> Shortage {
    let missing = on.map(|(device, bytes)| (device.to_owned(), Bytes(bytes)));
    Shortage {
        missing: missing.into(),
    }
}

#[test]
fn the_second_load_for_the_last_bytes_gets_the_shortage() {
    let mut reservations = Reservations::default();
    reservations.probed(&inventory(100), fresh);
    let first = reservations.reserve(&plan("a", 60)).unwrap();
    let short = reservations.reserve(&plan("b", 60)).unwrap_err();
    assert_eq!(short, missing([("cpu", 20)]));
    // A probe in the middle of the first load may still see its bytes as free: they are not.
    reservations.probed(&inventory(100), fresh);
    assert!(reservations.reserve(&plan("b", 60)).is_err());
    reservations.loaded(first);
    reservations.probed(&inventory(40), fresh);
    assert_eq!(reservations.left("cpu"), Some(Bytes(40)));
    reservations.release(first);
    assert!(reservations.reserve(&plan("b", 100)).is_ok());
}

#[test]
fn what_others_will_give_back_can_be_planned_with() {
    let mut reservations = Reservations::default();
    reservations.probed(&inventory(100), fresh);
    reservations.reserve(&plan("a", 60)).unwrap();
    let free = |released: &[&str]| {
        reservations.as_seen(&inventory(100), released).devices[0]
            .memory
            .unwrap()
            .free
    };
    assert_eq!(free(&[]), Some(Bytes(40)));
    assert_eq!(free(&["a"]), Some(Bytes(100)));
    assert_eq!(free(&["b"]), Some(Bytes(40)));
}

#[test]
fn the_host_keeps_its_reserve() {
    let mut shared = inventory(0);
    let memory = shared.devices[0].memory.as_mut().unwrap();
    memory.shared = true;
    memory.total = HOST_RESERVE + Bytes(100);
    memory.free = Some(HOST_RESERVE + Bytes(100));
    let mut reservations = Reservations::default();
    reservations.probed(&shared, fresh);
    assert_eq!(reservations.left("cpu"), Some(Bytes(100)));
    let seen = reservations.as_seen(&shared, &[]);
    assert_eq!(
        seen.devices[0].memory.unwrap().free,
        Some(HOST_RESERVE + Bytes(100))
    );
    assert!(reservations.reserve(&plan("a", 101)).is_err());
}

#[test]
fn the_least_recently_used_goes_first_and_none_goes_in_vain() {
    let now = Instant::now();
    let mut reservations = Reservations::default();
    reservations.probed(&inventory(100), fresh);
    for (model, bytes) in [("old", 30), ("new", 30), ("elsewhere", 30)] {
        reservations.reserve(&plan(model, bytes)).unwrap();
    }
    let candidate = |model: &str, age: u64| Candidate {
        model: model.to_owned(),
        last_used: now.checked_sub(Duration::from_secs(age)).unwrap(),
    };
    let candidates = || vec![candidate("new", 1), candidate("old", 9)];
    let short = |bytes: u64| missing([("cpu", bytes)]);
    assert_eq!(
        reservations.victims(&short(30), candidates()),
        Some(vec!["old".to_owned()])
    );
    let both = Some(vec!["old".to_owned(), "new".to_owned()]);
    assert_eq!(reservations.victims(&short(31), candidates()), both);
    assert_eq!(reservations.victims(&short(61), candidates()), None);
}

#[test]
fn a_split_load_gets_all_of_its_devices_or_none() {
    let mut reservations = Reservations::default();
    reservations.probed(&cards(100, [60, 60]), fresh);
    let first = split("a", &[("card-0", 40), ("card-1", 40)], 30);
    let second = split("b", &[("card-0", 20), ("card-1", 30)], 80);
    let held = reservations.reserve(&first).unwrap();
    let short = reservations.reserve(&second).unwrap_err();
    assert_eq!(short, missing([("cpu", 10), ("card-1", 10)]));
    let left =
        |reservations: &Reservations| ["cpu", "card-0", "card-1"].map(|id| reservations.left(id).unwrap().0);
    assert_eq!(left(&reservations), [70, 20, 20], "nothing of the second is kept");
    reservations.loaded(held);
    reservations.probed(&cards(70, [20, 20]), fresh);
    assert_eq!(left(&reservations), [70, 20, 20]);
    reservations.release(held);
    assert_eq!(left(&reservations), [100, 60, 60]);
    assert!(reservations.reserve(&second).is_ok());
}

#[test]
fn those_go_that_hold_what_is_missing() {
    let now = Instant::now();
    let mut reservations = Reservations::default();
    reservations.probed(&cards(100, [60, 60]), fresh);
    for plan in [
        split("oldest", &[("cpu", 0)], 10),
        split("older", &[("card-0", 30)], 10),
        split("newer", &[("card-1", 30)], 10),
        split("newest", &[("card-0", 20), ("card-1", 20)], 10),
    ] {
        reservations.reserve(&plan).unwrap();
    }
    let candidates = || -> Vec<Candidate> {
        let names = ["newest", "newer", "older", "oldest"].into_iter().zip(1..);
        let candidate = |(model, age): (&str, u64)| Candidate {
            model: model.to_owned(),
            last_used: now.checked_sub(Duration::from_secs(age)).unwrap(),
        };
        names.map(candidate).collect()
    };
    let victims = |on| reservations.victims(&on, candidates());
    let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(victims(missing([("card-1", 30)])), named(&["newer"]));
    assert_eq!(
        victims(missing([("card-0", 10), ("card-1", 10)])),
        named(&["older", "newer"])
    );
    assert_eq!(victims(missing([("card-0", 40)])), named(&["older", "newest"]));
    assert_eq!(victims(missing([("card-0", 10), ("card-1", 60)])), None);
}

#[derive(Debug, Clone)]
enum Act {
    Reserve(u64),
    Load(usize),
    End(usize),
    Probe,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1_u64..400).prop_map(Act::Reserve),
        (0_usize..8).prop_map(Act::Load),
        (0_usize..8).prop_map(Act::End),
        Just(Act::Probe),
    ]
}

/// What was free before a load, seen again after it because the source hangs, does not give the loaded bytes a second time.
#[test]
fn old_numbers_give_nothing_back() {
    let mut reservations = Reservations::default();
    reservations.probed(&inventory(100), fresh);
    let id = reservations.reserve(&plan("a", 60)).unwrap();
    reservations.loaded(id);
    let left = reservations.left("cpu").unwrap();
    reservations.probed(&inventory(100), |_| true);
    assert_eq!(reservations.left("cpu"), Some(left));
    reservations.probed(&inventory(40), fresh);
    assert_eq!(reservations.left("cpu"), Some(left));
}

proptest! {
    /// Whatever is asked for, and whoever ends: no device is promised beyond what it has.
    #[test]
    fn no_device_is_promised_twice(acts in proptest::collection::vec((0_u64..600, 0_u64..600, 0_u64..300, any::<bool>()), 0..60)) {
        let mut reservations = Reservations::default();
        reservations.probed(&cards(1000, [900, 500]), fresh);
        let mut promised = Vec::new();
        for (one, other, beside, ends) in acts {
            if ends && !promised.is_empty() {
                reservations.release(promised.remove(0));
            } else if let Ok(id) = reservations.reserve(&split("m", &[("card-0", one), ("card-1", other)], beside)) {
                promised.push(id);
            }
            for (device, room) in [("cpu", 1000), ("card-0", 900), ("card-1", 500)] {
                let held = reservations.held().filter(|held| held.device == device);
                prop_assert!(held.map(|held| held.bytes.0).sum::<u64>() <= room);
            }
        }
    }

    /// Against a box in which loads take their memory late: what is promised never exceeds what there is.
    #[test]
    fn never_promises_more_than_there_is(acts in proptest::collection::vec(any_act(), 0..200)) {
        let mut reservations = Reservations::default();
        let mut promised = Vec::new();
        let free = |promised: &[(super::ReservationId, u64, bool)]| {
            1000 - promised.iter().filter(|(_, _, loaded)| *loaded).map(|(_, bytes, _)| bytes).sum::<u64>()
        };
        reservations.probed(&inventory(1000), fresh);
        for act in acts {
            match act {
                Act::Reserve(bytes) => if let Ok(id) = reservations.reserve(&plan("m", bytes)) {
                    promised.push((id, bytes, false));
                },
                Act::Load(index) => if let Some((id, _, loaded)) = promised.get_mut(index) {
                    *loaded = true;
                    reservations.loaded(*id);
                },
                Act::End(index) => if index < promised.len() {
                    reservations.release(promised.remove(index).0);
                },
                Act::Probe => reservations.probed(&inventory(free(&promised)), fresh),
            }
            let total: u64 = promised.iter().map(|(_, bytes, _)| bytes).sum();
            prop_assert!(total <= 1000);
            prop_assert_eq!(reservations.held().map(|held| held.bytes.0).sum::<u64>(), total);
            prop_assert_eq!(reservations.left("cpu"), Some(Bytes(1000 - total)));
        }
    }
}
