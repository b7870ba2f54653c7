//! Devices over time: what degrades them, what heals, and what is kept.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use std::time::{Duration, SystemTime};

use mains_contract::{Device, DeviceKind, EccErrors, Health, HealthState, Inventory, Link};
use mains_inventory::{SAMPLES, Watch};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Seconds between readings.
const STEP: u64 = 10;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn card() -> Device {
    Device {
        sources: vec!["nvml".to_owned()],
        temperature_c: Some(50.0),
        ..Device::new("gpu:1", "Card", DeviceKind::Gpu)
    }
}

fn unwell(state: HealthState, reason: &str) -> Device {
    Device {
        health: Health {
            state,
            reasons: vec![reason.to_owned()],
        },
        ..card()
    }
}

fn lanes(width: u32) -> Device {
    Device {
        link: Some(Link {
            width: Some(width),
            ..Link::default()
        }),
        ..card()
    }
}

fn errors(uncorrected: u64) -> Device {
    Device {
        ecc: Some(EccErrors {
            corrected: None,
            uncorrected: Some(uncorrected),
        }),
        ..card()
    }
}

fn inventory(device: &Device) -> Inventory {
    Inventory {
        devices: vec![device.clone()],
        problems: Vec::new(),
        probed_at: at(0),
    }
}

/// Notes readings, one every [`STEP`] seconds from the first second on, and gives the state after the last.
fn after(readings: &[Device]) -> Health {
    let mut watch = Watch::default();
    let mut now = 0;
    for reading in readings {
        watch.note(&inventory(reading), |_| false, at(now));
        now += STEP;
    }
    judged(&watch, readings.last().unwrap(), now - STEP)
}

fn judged(watch: &Watch, device: &Device, now: u64) -> Health {
    let mut seen = inventory(device);
    watch.apply(&mut seen, at(now));
    seen.devices.remove(0).health
}

#[test]
fn a_card_that_cools_down_is_well_after_a_minute_and_not_before() {
    let hot = unwell(HealthState::Degraded, "slowed down by heat");
    let mut readings = vec![card(), hot.clone()];
    assert_eq!(after(&readings), hot.health);
    readings.extend(vec![card(); 5]);
    assert_eq!(after(&readings), hot.health, "50 s later it may be a swing");
    readings.push(card());
    assert_eq!(after(&readings), Health::ok());
}

#[test]
fn lost_data_counts_for_a_day_and_a_counter_that_starts_anew_does_not() {
    assert_eq!(
        after(&[errors(5), errors(5)]),
        Health::ok(),
        "errors of before we looked"
    );
    assert_eq!(after(&[errors(5), errors(0)]), Health::ok());
    let mut readings = vec![errors(5), errors(6)];
    readings.extend(vec![errors(6); 360]);
    let health = after(&readings);
    assert_eq!(health.state, HealthState::Degraded);
    assert!(health.reasons[0].contains("replace the card"), "{health:?}");
}

#[test]
fn a_link_that_loses_lanes_for_three_readings_is_told() {
    assert_eq!(after(&[lanes(16), lanes(8), lanes(8)]), Health::ok());
    let health = after(&[lanes(16), lanes(8), lanes(8), lanes(8)]);
    assert_eq!(
        health.reasons,
        ["its PCI Express link fell from 16 lanes to 8: seat the card anew"]
    );
    assert_eq!(
        after(&[lanes(8), lanes(16), lanes(8), lanes(16), lanes(8)]),
        Health::ok()
    );
}

#[test]
fn a_silent_source_is_told_and_gives_no_readings() {
    let mut watch = Watch::default();
    watch.note(&inventory(&card()), |_| false, at(0));
    for now in [10, 20] {
        watch.note(&inventory(&card()), |_| true, at(now));
        assert_eq!(judged(&watch, &card(), now), Health::ok());
    }
    watch.note(&inventory(&card()), |_| true, at(30));
    let health = judged(&watch, &card(), 30);
    assert_eq!(health.reasons, ["no news of it from nvml: its numbers are old"]);
    assert_eq!(watch.history("gpu:1", SAMPLES).len(), 1);
}

#[test]
fn what_comes_back_starts_anew() {
    let gone = unwell(HealthState::Lost, "it is gone");
    assert_eq!(after(&[lanes(16), gone.clone()]), gone.health);
    assert_eq!(
        after(&[lanes(16), gone, lanes(8), lanes(8), lanes(8), lanes(8)]),
        Health::ok()
    );
}

#[test]
fn history_is_a_ring() {
    let mut watch = Watch::default();
    for reading in 0..SAMPLES as u64 + 40 {
        watch.note(&inventory(&card()), |_| false, at(reading));
    }
    let all = watch.history("gpu:1", usize::MAX);
    assert_eq!(
        (all.len(), all[0].at, all[0].temperature_c),
        (SAMPLES, at(40), Some(50.0))
    );
    assert_eq!(
        watch.history("gpu:1", 2).last().unwrap().at,
        at(SAMPLES as u64 + 39)
    );
    assert!(watch.history("gpu:2", 9).is_empty());
    watch.note(
        &Inventory {
            devices: Vec::new(),
            ..inventory(&card())
        },
        |_| false,
        at(9000),
    );
    assert!(
        watch.history("gpu:1", 9).is_empty(),
        "a device that is no longer told of is forgotten"
    );
}

fn reading() -> impl Strategy<Value = (Device, bool)> {
    use HealthState::{Degraded, Failed, Lost, Ok};
    let states = select(vec![Ok, Ok, Ok, Degraded, Failed, Lost]);
    let words = prop::collection::vec("[a-z]{0,2}", 0..4);
    (states, words, of(0..20_u64), of(0..17_u32), any::<bool>()).prop_map(
        |(state, reasons, lost, width, silent)| {
            let reasons = if state == Ok { Vec::new() } else { reasons };
            let device = Device {
                ecc: lost.map(|lost| EccErrors {
                    corrected: None,
                    uncorrected: Some(lost),
                }),
                link: width.map(|width| Link {
                    width: Some(width),
                    ..Link::default()
                }),
                health: Health { state, reasons },
                ..card()
            };
            (device, silent)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_state_has_reasons_is_never_better_than_its_sources_say_and_heals(readings in prop::collection::vec(reading(), 1..60)) {
        let mut watch = Watch::default();
        let mut now = 0;
        for (device, silent) in &readings {
            watch.note(&inventory(device), |_| *silent, at(now));
            let health = judged(&watch, device, now);
            prop_assert!(health.state.severity() >= device.health.state.severity());
            prop_assert_eq!(health.state == HealthState::Ok, health.reasons.is_empty() && device.health.reasons.is_empty());
            prop_assert_eq!(health.state == HealthState::Lost, device.health.state == HealthState::Lost);
            prop_assert!(health.reasons.len() <= 16);
            now += STEP;
        }
        prop_assert!(watch.history("gpu:1", usize::MAX).len() <= readings.len());
        // A day and a minute of good readings heal everything.
        let well = card();
        for _ in 0..4 {
            watch.note(&inventory(&well), |_| false, at(now));
            now += 24 * 3600;
        }
        prop_assert_eq!(judged(&watch, &well, now), Health::ok());
    }
}
