//! What each library says, in our units.

use mains_contract::{Bytes, Device, DeviceKind, EccErrors, HealthState, Link, Memory};

use crate::stub::{MAKERS, Stub, of};

const GIB: u64 = 1 << 30;

fn devices(source: &str) -> Vec<Device> {
    let report = Stub::new(of(source)).probe().unwrap();
    let failed: Vec<_> = report
        .problems
        .iter()
        .filter(|problem| !problem.error.starts_with("not verified"))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    report.devices
}

fn memory(total: u64, free: u64) -> Option<Memory> {
    Some(Memory {
        total: Bytes(total),
        free: Some(Bytes(free)),
        shared: false,
        host: None,
    })
}

/// The first device, after what all libraries have in common was checked: an address, a maker, the second device's own
/// address, no driver of ours.
fn first(source: &str, name: &str, pci: &str) -> Device {
    let devices = devices(source);
    let whole: Vec<&Device> = devices.iter().filter(|device| device.parent.is_none()).collect();
    assert_eq!(whole.len(), 2, "{devices:#?}");
    let device = whole[0].clone();
    assert_eq!((device.name.as_str(), device.pci.as_deref()), (name, Some(pci)));
    assert_eq!(device.id, format!("{}:{pci}", device.kind.name()));
    assert_ne!(device.id, whole[1].id);
    assert_eq!(device.sources, [source]);
    assert!(device.vendor.is_some() && device.usable_by.is_empty());
    assert!(
        device.temperature_c.is_none_or(|degrees| degrees == 45.0),
        "{device:#?}"
    );
    assert!(
        device
            .power_w
            .is_none_or(|watts| (101.0..=101.6).contains(&watts)),
        "{device:#?}"
    );
    assert!(
        device.utilization.is_none_or(|share| share == 0.25),
        "{device:#?}"
    );
    device
}

#[test]
fn nvml_tells_everything_about_a_card() {
    let card = first("nvml", "Card 0", "0000:10:00.0");
    assert_eq!(card.memory, memory(80 * GIB, 79 * GIB));
    assert_eq!(
        card.uuid.as_deref(),
        Some("GPU-00000000-0000-0000-0000-000000000001")
    );
    assert_eq!(
        (card.power_w, card.power_limit_w, card.energy_j),
        (Some(101.5), Some(700.0), Some(2.5))
    );
    assert!(card.temperature_c.is_some() && card.utilization.is_some());
    assert_eq!(card.features, ["compute=9.0"]);
    assert_eq!(card.runtime.unwrap().version.as_deref(), Some("580.65.06"));
    let ecc = EccErrors {
        corrected: Some(3),
        uncorrected: Some(1),
    };
    assert_eq!((card.ecc, card.throttle), (Some(ecc), Some(Vec::new())));
    let link = Link {
        generation: Some(4),
        width: Some(16),
        ..Link::default()
    };
    assert_eq!((card.link, card.health.state), (Some(link), HealthState::Ok));
}

#[test]
fn nvml_tells_what_is_wrong_with_a_card() {
    let devices = devices("nvml");
    let hot = devices.iter().find(|device| device.name == "Card 1").unwrap();
    let reasons = ["its power limit", "heat, as the hardware sees it"];
    assert_eq!(hot.throttle.as_deref().unwrap(), reasons);
    assert_eq!(hot.health.state, HealthState::Degraded);
    let told = hot.health.reasons.join("\n");
    assert!(
        told.contains("slowed down by heat") && told.contains("remapped"),
        "{told}"
    );
    assert!(
        !told.contains("power limit"),
        "reaching the configured power is no fault: {told}"
    );
}

#[test]
fn instances_of_a_split_card_are_devices_of_their_own() {
    let devices = devices("nvml");
    let parts: Vec<&Device> = devices.iter().filter(|device| device.parent.is_some()).collect();
    assert_eq!(parts.len(), 2);
    for part in parts {
        assert_eq!(part.parent.as_deref(), Some("gpu:0000:10:00.0"));
        assert!(part.id.starts_with("gpu:GPU-"), "{}", part.id);
    }
}

#[test]
fn a_card_that_fell_off_the_bus_is_lost() {
    let stub = Stub::new(of("nvml")).failing("nvmlDeviceGetTemperature", 15);
    let report = stub.probe().unwrap();
    assert!(
        report
            .devices
            .iter()
            .all(|device| device.health.state == HealthState::Lost)
    );
    assert!(report.problems[0].error.contains("Xid"), "{:?}", report.problems);
}

#[test]
fn cuda_tells_what_computes_without_a_context() {
    let card = first("cuda", "Card 0", "0000:10:00.0");
    let total = card.memory.unwrap();
    assert_eq!((total.total, total.free), (Bytes(79 * GIB), None));
    assert_eq!(
        card.uuid.as_deref(),
        Some("GPU-00000000-0000-0000-0000-000000000001")
    );
    assert_eq!(card.features, ["compute=9.0", "cores=132"]);
    assert_eq!(card.runtime.unwrap().version.as_deref(), Some("12.9"));
}

#[test]
fn rocm_and_its_fork_count_in_bytes_microwatts_and_thousandths() {
    for source in ["rocm_smi", "hygon"] {
        let card = first(source, "Instinct 0", "0001:10:00.0");
        assert_eq!(card.memory, memory(192 * GIB, 191 * GIB));
        assert_eq!(card.uuid.as_deref(), Some("GPU-0cee36ddc4255115"));
        assert_eq!(
            (card.power_w, card.power_limit_w, card.energy_j),
            (Some(101.5), Some(750.0), Some(2.5))
        );
        assert_eq!(card.runtime.unwrap().version.as_deref(), Some("6.10.5"));
        assert!(card.temperature_c.is_some() && card.utilization.is_some());
    }
}

#[test]
fn level_zero_sums_modules_and_takes_the_hottest_sensor() {
    let card = first("level_zero", "", "0000:10:00.0");
    assert_eq!(card.memory, memory(16 * GIB, 14 * GIB));
    assert_eq!((card.temperature_c, card.energy_j), (Some(45.0), Some(2.5)));
}

#[test]
fn dcmi_counts_in_mebibytes_and_tenths_of_a_watt() {
    let chip = first("dcmi", "910B2", "0000:10:00.0");
    assert_eq!(
        (chip.kind, chip.memory),
        (DeviceKind::Npu, memory(64 * GIB, 61 * GIB))
    );
    assert_eq!(
        (chip.power_w, chip.features.as_slice()),
        (Some(101.5), ["cores=24".to_owned()].as_slice())
    );
    assert_eq!(
        chip.uuid.as_deref(),
        Some("000000A0-000000A1-000000A2-000000A3-000000A4")
    );
    assert_eq!(chip.runtime.unwrap().version.as_deref(), Some("25.5.1"));
    let devices = devices("dcmi");
    assert_eq!(devices[1].health.state, HealthState::Degraded);
    assert!(devices[1].health.reasons[0].contains("code 2"));
}

#[test]
fn the_second_generation_of_dcmi_is_asked_alone() {
    let stub = Stub::new(of("dcmi_v2"));
    let report = stub.probe().unwrap();
    assert_eq!(report.devices[0].name, "950");
    assert_eq!(report.devices[0].memory, memory(64 * GIB, 61 * GIB));
    assert_eq!(crate::stub::probe("dcmi", &stub.places()).unwrap().devices, []);
}

#[test]
fn cndev_is_asked_in_the_version_that_the_driver_knows() {
    let card = first("cndev", "MLU370-X8", "0000:10:00.0");
    assert_eq!(card.memory, memory(48 * GIB, 47 * GIB));
    assert_eq!((card.power_w, card.power_limit_w), (Some(101.0), Some(250.0)));
    assert_eq!(
        (card.temperature_c, card.uuid.as_deref()),
        (Some(45.0), Some("2ac1-0000"))
    );
    assert_eq!(devices("cndev")[1].health.state, HealthState::Degraded);
}

#[test]
fn mtml_counts_in_milliwatts_and_gets_every_handle_back() {
    let card = first("mtml", "MTT S4000 0", "0000:10:00.0");
    assert_eq!(
        (card.memory, card.power_w),
        (memory(48 * GIB, 47 * GIB), Some(101.5))
    );
    let link = Link {
        generation: Some(4),
        width: Some(8),
        max_generation: Some(5),
        max_width: Some(16),
    };
    assert_eq!(
        (card.link, card.features.as_slice()),
        (Some(link), ["cores=8192".to_owned()].as_slice())
    );
    assert_eq!(card.runtime.unwrap().version.as_deref(), Some("3.0.0"));
    let stub = Stub::new(of("mtml"));
    stub.probe().unwrap();
    // SAFETY: `int stub_held(void)` of `mtml.c`.
    let held = stub.control(|library| unsafe {
        library
            .get::<unsafe extern "C" fn() -> i32>(b"stub_held\0")
            .unwrap()()
    });
    assert_eq!(held, 0);
}

#[test]
fn mxsml_counts_in_kibibytes_and_hundredths_of_a_degree() {
    let card = first("mxsml", "MXC500", "0000:10:00.0");
    assert_eq!(
        (card.memory, card.temperature_c),
        (memory(64 * GIB, 63 * GIB), Some(45.0))
    );
    assert_eq!((card.power_w, card.power_limit_w), (Some(101.5), Some(350.0)));
    assert_eq!(card.runtime.unwrap().version.as_deref(), Some("3.6.11"));
}

#[test]
fn ixml_answers_like_nvml_and_tells_its_own_health() {
    let card = first("ixml", "Card 0", "0000:10:00.0");
    assert_eq!(
        (card.memory, card.power_limit_w),
        (memory(80 * GIB, 79 * GIB), Some(350.0))
    );
    assert_eq!(card.features, ["compute=7.1"]);
    assert!(devices("ixml")[1].health.reasons[0].contains("too hot"));
}

#[test]
fn efml_is_asked_for_nothing_of_another_order() {
    let card = first("efml", "S60-0", "0000:10:00.0");
    assert_eq!(
        (card.memory, card.power_w),
        (memory(32 * GIB, 31 * GIB), Some(101.5))
    );
}

#[test]
fn brml_is_not_asked_for_codes_of_ranges() {
    let card = first("brml", "BR104-0", "0000:10:00.0");
    assert_eq!(
        (card.memory, card.temperature_c),
        (memory(32 * GIB, 31 * GIB), None)
    );
    assert_eq!((card.power_w, card.power_limit_w), (Some(101.5), Some(300.0)));
}

#[test]
fn xpuml_is_not_asked_for_numbers_without_a_unit() {
    let card = first("xpuml", "", "0000:10:00.0");
    assert_eq!((card.memory, card.power_w), (memory(32 * GIB, 31 * GIB), None));
    assert_eq!(card.uuid.as_deref(), Some("02K00Y6217V00000"));
}

#[test]
fn hgml_answers_like_nvml() {
    let card = first("hgml", "Card 0", "0000:10:00.0");
    assert_eq!(
        (card.kind, card.memory),
        (DeviceKind::Npu, memory(80 * GIB, 79 * GIB))
    );
    assert_eq!(
        (card.energy_j, card.features.as_slice()),
        (Some(2.5), ["compute=8.0".to_owned()].as_slice())
    );
}

#[test]
fn a_source_whose_facts_are_not_verified_says_so() {
    for maker in MAKERS {
        let report = Stub::new(*maker).probe().unwrap();
        let says = report
            .problems
            .iter()
            .any(|problem| problem.error.starts_with("not verified"));
        let unverified = ["dcmi_v2", "mxsml", "brml", "xpuml", "hgml"];
        assert_eq!(says, unverified.contains(&maker.source), "{}", maker.source);
    }
}
