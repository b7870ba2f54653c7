//! Answers of probes become one list.

use std::time::SystemTime;

use mains_contract::{
    Bytes, Device, DeviceKind, Health, HealthState, Memory, ProbeError, ProbeReport, Problem,
};
use mains_probes::{Answer, inventory};

fn device(source: &str, id: &str, pci: Option<&str>) -> Device {
    let kind = if id == "cpu" {
        DeviceKind::Cpu
    } else {
        DeviceKind::Gpu
    };
    Device {
        pci: pci.map(str::to_owned),
        sources: vec![source.to_owned()],
        unusable_because: Some("no driver".to_owned()),
        ..Device::new(id, format!("{source} name"), kind)
    }
}

fn answer(source: &'static str, devices: Vec<Device>) -> Answer {
    let report = ProbeReport {
        devices,
        problems: Vec::new(),
    };
    Answer {
        source,
        report: Ok(report),
    }
}

#[test]
fn one_card_of_two_probes_is_one_entry() {
    let mut vulkan = device("vulkan", "gpu:0000:01:00.0", Some("0000:01:00.0"));
    vulkan.memory = Some(Memory {
        total: Bytes(8),
        free: None,
        shared: false,
        host: None,
    });
    let mut nvidia = device("nvidia", "gpu:GPU-abc", Some("0000:01:00.0"));
    nvidia.memory = Some(Memory {
        total: Bytes(9),
        free: Some(Bytes(5)),
        shared: false,
        host: None,
    });
    nvidia.usable_by = vec!["cuda".to_owned()];
    nvidia.health = Health {
        state: HealthState::Degraded,
        reasons: vec!["hot".to_owned()],
    };
    let joined = inventory(
        vec![answer("vulkan", vec![vulkan]), answer("nvidia", vec![nvidia])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(joined.devices.len(), 1);
    let card = joined.devices.first().unwrap();
    assert_eq!(card.name, "vulkan name");
    assert_eq!(
        card.memory,
        Some(Memory {
            total: Bytes(8),
            free: Some(Bytes(5)),
            shared: false,
            host: None,
        })
    );
    assert_eq!(card.sources, ["vulkan", "nvidia"]);
    assert_eq!((card.usable_by.len(), &card.unusable_because), (1, &None));
    assert_eq!(card.health.state, HealthState::Degraded);
}

#[test]
fn partitions_of_a_card_stay_apart() {
    let mut first = device("nvidia", "gpu:MIG-1", Some("0000:01:00.0"));
    first.parent = Some("gpu:GPU-abc".to_owned());
    let mut second = device("nvidia", "gpu:MIG-2", Some("0000:01:00.0"));
    second.parent = Some("gpu:GPU-abc".to_owned());
    let whole = device("nvidia", "gpu:GPU-abc", Some("0000:01:00.0"));
    let joined = inventory(
        vec![answer("nvidia", vec![second, whole, first])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(joined.devices.len(), 3);
}

#[test]
fn the_cpu_is_first_and_a_failed_source_is_a_problem() {
    let failed = Answer {
        source: "amd",
        report: Err(ProbeError("hangs".to_owned())),
    };
    let joined = inventory(
        vec![
            failed,
            answer(
                "vulkan",
                vec![device("vulkan", "gpu:b", None), device("vulkan", "a", None)],
            ),
            answer("cpu", vec![device("cpu", "cpu", None)]),
        ],
        SystemTime::UNIX_EPOCH,
    );
    let ids: Vec<&str> = joined.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["cpu", "a", "gpu:b"]);
    let problem = Problem {
        source: "amd".to_owned(),
        error: "hangs".to_owned(),
    };
    assert_eq!(joined.problems, [problem]);
}
