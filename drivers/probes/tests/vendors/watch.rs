//! Libraries that stay open between readings.

use std::time::Instant;

use mains_contract::{HealthState, ProbeReport, Watch};
use mains_probes::all_in;

use crate::stub::{MAKERS, Stub, of};

fn watch(stub: &Stub, source: &str) -> Box<dyn Watch> {
    let mut probes = all_in(&stub.places()).into_iter();
    let probe = probes.find(|probe| probe.source() == source);
    probe.unwrap().watch()
}

fn read(watch: &mut dyn Watch) -> ProbeReport {
    watch.read(Instant::now()).unwrap()
}

/// The error `number` of a card happens.
fn happen(stub: &Stub, card: u32, number: u64) {
    stub.control(|library| {
        // SAFETY: `void stub_xid(unsigned, unsigned long long)` of `nvml.c`.
        unsafe {
            let xid = library.get::<unsafe extern "C" fn(u32, u64)>(b"stub_xid\0");
            xid.unwrap()(card, number);
        }
    });
}

#[test]
fn every_library_says_the_same_again_and_anew() {
    for maker in MAKERS {
        let stub = Stub::new(*maker);
        let once = stub.probe().unwrap();
        let mut watch = watch(&stub, maker.source);
        assert_eq!(read(&mut *watch), once, "{}", maker.source);
        assert_eq!(read(&mut *watch), once, "{}", maker.source);
        watch.reopen();
        assert_eq!(read(&mut *watch), once, "{}", maker.source);
    }
}

#[test]
fn a_library_is_started_once() {
    let stub = Stub::new(of("nvml"));
    let mut watch = watch(&stub, "nvml");
    read(&mut *watch);
    let stub = stub.failing("nvmlInit_v2", 999);
    assert_eq!(
        read(&mut *watch).devices.len(),
        4,
        "two cards and two instances, without a start"
    );
    watch.reopen();
    let error = watch.read(Instant::now()).unwrap_err();
    assert!(error.0.contains("nvmlInit_v2"), "{error}");
    drop(stub);
}

#[test]
fn an_error_of_a_card_is_its_state_from_then_on() {
    let stub = Stub::new(of("nvml"));
    let mut watch = watch(&stub, "nvml");
    assert_eq!(read(&mut *watch).devices[0].health.state, HealthState::Ok);
    happen(&stub, 0, 31);
    let of_a_program = read(&mut *watch);
    assert_eq!(of_a_program.devices[0].health.state, HealthState::Ok);
    happen(&stub, 0, 79);
    assert_eq!(read(&mut *watch).devices[0].health.state, HealthState::Failed);
    watch.reopen();
    let report = read(&mut *watch);
    let card = &report.devices[0];
    assert_eq!(card.health.state, HealthState::Failed);
    assert_eq!(card.health.reasons.len(), 1);
    assert!(card.health.reasons[0].starts_with("Xid 79"), "{:?}", card.health);
    let others = report
        .devices
        .iter()
        .filter(|device| device.health.reasons.iter().any(|reason| reason.contains("Xid")));
    assert_eq!(others.count(), 1);
}

#[test]
fn the_same_error_again_and_again_is_one_reason() {
    let stub = Stub::new(of("nvml"));
    let mut watch = watch(&stub, "nvml");
    read(&mut *watch);
    for number in [48, 63, 64, 74, 79, 92, 94, 95].repeat(50) {
        happen(&stub, 1, number);
        read(&mut *watch);
    }
    let report = read(&mut *watch);
    let card = report
        .devices
        .iter()
        .find(|device| device.name == "Card 1")
        .unwrap();
    let reasons = card
        .health
        .reasons
        .iter()
        .filter(|reason| reason.starts_with("Xid"));
    assert_eq!(reasons.count(), 8);
}
