//! Every source on the machine that runs the test, whatever it has.

use std::time::SystemTime;

use mains_contract::DeviceKind;
use mains_inventory::{Answer, SOURCES, inventory};

#[test]
fn this_machine_is_an_inventory() {
    let answers = mains_probes::all().into_iter().map(|probe| Answer {
        source: probe.source(),
        report: probe.probe(),
    });
    let found = inventory(answers.collect(), SystemTime::now());
    println!("{found:#?}");
    assert_eq!(found.devices[0].kind, DeviceKind::Cpu);
    for device in &found.devices {
        assert!(!device.name.is_empty() && !device.sources.is_empty());
        assert!(device.usable_by.is_empty() == device.unusable_because.is_some());
    }
}

#[test]
fn every_source_that_is_listed_has_its_probe() {
    let mut listed: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
    let mut probed: Vec<&str> = mains_probes::all().iter().map(|probe| probe.source()).collect();
    listed.sort_unstable();
    probed.sort_unstable();
    assert_eq!(listed, probed);
}
