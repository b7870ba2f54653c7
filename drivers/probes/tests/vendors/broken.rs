//! Libraries that are absent, incomplete, failing or talking nonsense cost their own facts.

use mains_contract::{Bytes, ProbeReport};
use mains_probes::Places;

use crate::stub::{MAKERS, Stub, of, probe, steps};

/// A code that no library documents.
const UNKNOWN: i32 = 424_242;

#[test]
fn an_absent_library_is_an_empty_report() {
    for maker in MAKERS {
        let places = Stub::new(*maker)
            .places()
            .with_library(maker.library, "/nonexistent/library.so");
        assert_eq!(
            probe(maker.source, &places),
            Ok(ProbeReport::default()),
            "{}",
            maker.source
        );
    }
}

#[test]
fn a_file_that_is_no_library_is_an_error() {
    for maker in MAKERS {
        let stub = Stub::new(*maker);
        std::fs::write(stub.path(), "text").unwrap();
        let error = stub.probe().unwrap_err();
        assert!(error.0.contains("can not be opened"), "{}: {error}", maker.source);
    }
}

/// Without a function, a library either can not be asked at all, and says which one it lacks, or loses that function's
/// facts alone.
#[test]
fn an_absent_symbol_costs_its_facts() {
    for maker in MAKERS {
        let mut started = 0;
        for symbol in steps(maker.stub) {
            match Stub::new(*maker).without(&symbol).probe() {
                // Without its start, a library is not of the second generation.
                Ok(report) if symbol == "dcmiv2_init" => assert_eq!(report, ProbeReport::default()),
                Ok(report) => {
                    started += 1;
                    assert!(!report.devices.is_empty(), "{}: {symbol}", maker.source);
                }
                Err(error) => assert!(error.0.contains(&symbol), "{}: {error}", maker.source),
            }
        }
        assert!(started >= 2, "{}: too much is required", maker.source);
    }
}

/// At each step a code that nothing explains is told with the step's name, or the step is one that only closes.
#[test]
fn an_error_at_any_step_is_told_or_costs_nothing() {
    for maker in MAKERS {
        let whole = Stub::new(*maker).probe().unwrap();
        for symbol in steps(maker.stub) {
            match Stub::new(*maker).failing(&symbol, UNKNOWN).probe() {
                Err(error) => assert!(
                    error.0.contains(&symbol) && error.0.contains("424242"),
                    "{}: {error}",
                    maker.source
                ),
                Ok(report) => {
                    let told = report
                        .problems
                        .iter()
                        .any(|problem| problem.error.contains(&symbol));
                    let parts = report.devices.len() <= whole.devices.len();
                    assert!(parts, "{}: {symbol} made devices", maker.source);
                    assert!(told || !report.devices.is_empty(), "{}: {symbol}", maker.source);
                }
            }
        }
    }
}

#[test]
fn a_device_that_can_not_be_had_costs_itself() {
    let report = Stub::new(of("nvml"))
        .failing("nvmlDeviceGetHandleByIndex_v2", 4)
        .probe()
        .unwrap();
    assert_eq!((report.devices.len(), report.problems.len()), (0, 2));
    assert!(
        report.problems[0].error.contains("/dev/nvidia"),
        "{:?}",
        report.problems
    );
}

#[test]
fn a_library_without_a_device_is_an_empty_report() {
    let steps = [
        ("nvml", "nvmlInit_v2", 6),
        ("cuda", "cuInit", 100),
        ("cndev", "cndevInit", 12),
        ("mxsml", "mxSmlInit", 2),
        ("level_zero", "zesInit", 0x7800_0001),
    ];
    for (source, symbol, code) in steps {
        let report = Stub::new(of(source)).failing(symbol, code).probe();
        assert_eq!(report, Ok(ProbeReport::default()), "{source}");
    }
    let none = Stub::new(of("brml")).with_devices(0).probe();
    assert_eq!(none, Ok(ProbeReport::default()));
}

#[test]
fn a_question_that_is_not_supported_is_no_problem() {
    let report = Stub::new(of("nvml"))
        .failing("nvmlDeviceGetPowerUsage", 3)
        .probe()
        .unwrap();
    assert_eq!(report.problems, []);
    assert!(report.devices.iter().all(|device| device.power_w.is_none()));
    assert!(report.devices.iter().all(|device| device.temperature_c.is_some()));
}

#[test]
fn codes_that_are_known_say_what_to_do() {
    let error = Stub::new(of("nvml"))
        .failing("nvmlInit_v2", 9)
        .probe()
        .unwrap_err();
    assert!(error.0.contains("modprobe nvidia"), "{error}");
    let error = Stub::new(of("dcmi"))
        .failing("dcmi_init", -8002)
        .probe()
        .unwrap_err();
    assert!(error.0.contains("HwHiAiUser"), "{error}");
}

#[test]
fn nonsense_is_not_believed() {
    for maker in MAKERS {
        let report = Stub::new(*maker).talking_garbage().probe().unwrap();
        assert!(!report.devices.is_empty(), "{}", maker.source);
        for device in &report.devices {
            let source = maker.source;
            assert!(
                device.name.len() <= 256 && !device.name.contains('\u{fe}'),
                "{source}: {device:?}"
            );
            assert!(
                device.temperature_c.is_none_or(|degrees| degrees < 250.0),
                "{source}: {device:?}"
            );
            assert!(
                device.power_w.is_none_or(|watts| watts <= 20_000.0),
                "{source}: {device:?}"
            );
            assert!(
                device.utilization.is_none_or(|share| share <= 1.0),
                "{source}: {device:?}"
            );
            let most = Bytes(1 << 50);
            assert!(
                device.memory.is_none_or(|memory| memory.total <= most),
                "{source}: {device:?}"
            );
        }
        let mut ids: Vec<&str> = report.devices.iter().map(|device| device.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), report.devices.len(), "{}", maker.source);
        let told = report
            .problems
            .iter()
            .any(|problem| problem.error.contains("not believed"));
        assert!(told, "{}: {:?}", maker.source, report.problems);
    }
}

#[test]
fn sixteen_devices_are_sixteen_devices() {
    for maker in MAKERS {
        let report = Stub::new(*maker).with_devices(16).probe().unwrap();
        let whole = report
            .devices
            .iter()
            .filter(|device| device.parent.is_none())
            .count();
        assert_eq!(whole, 16, "{}", maker.source);
    }
}

#[test]
fn no_more_devices_are_asked_for_than_a_box_can_have() {
    for maker in MAKERS {
        let report = Stub::new(*maker).with_devices(u32::MAX >> 1).probe().unwrap();
        let whole = report
            .devices
            .iter()
            .filter(|device| device.parent.is_none())
            .count();
        assert!(whole <= 64, "{}", maker.source);
    }
}

#[test]
fn two_makers_libraries_of_one_name_are_told_apart_by_the_bus() {
    let stub = Stub::new(of("hygon"));
    assert_eq!(probe("rocm_smi", &stub.places()), Ok(ProbeReport::default()));
    let empty = tempfile::tempdir().unwrap();
    let places: Places = stub.places().with_sysfs(empty.path());
    assert_eq!(probe("hygon", &places), Ok(ProbeReport::default()));
}
