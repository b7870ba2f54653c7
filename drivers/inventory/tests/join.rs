//! Answers of probes become one list.

use std::time::SystemTime;

use mains_contract::{
    Bytes, Device, DeviceKind, Health, HealthState, Memory, ProbeError, ProbeReport, Problem, Runtime,
};
use mains_inventory::{Answer, inventory};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

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
    let mut nvidia = device("nvml", "gpu:GPU-abc", Some("0000:01:00.0"));
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
        vec![answer("vulkan", vec![vulkan]), answer("nvml", vec![nvidia])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(joined.devices.len(), 1);
    let card = joined.devices.first().unwrap();
    assert_eq!(card.name, "nvml name");
    assert_eq!(
        card.memory,
        Some(Memory {
            total: Bytes(9),
            free: Some(Bytes(5)),
            shared: false,
            host: None,
        })
    );
    assert_eq!(card.sources, ["nvml", "vulkan"]);
    assert_eq!((card.usable_by.len(), &card.unusable_because), (1, &None));
    assert_eq!(card.health.state, HealthState::Degraded);
}

#[test]
fn partitions_of_a_card_stay_apart() {
    let mut first = device("nvml", "gpu:MIG-1", Some("0000:01:00.0"));
    first.parent = Some("gpu:GPU-abc".to_owned());
    let mut second = device("nvml", "gpu:MIG-2", Some("0000:01:00.0"));
    second.parent = Some("gpu:GPU-abc".to_owned());
    let whole = device("nvml", "gpu:GPU-abc", Some("0000:01:00.0"));
    let joined = inventory(
        vec![answer("nvml", vec![second, whole, first])],
        SystemTime::UNIX_EPOCH,
    );
    let ids: Vec<&str> = joined.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(
        ids,
        ["gpu:GPU-abc", "gpu:MIG-1", "gpu:MIG-2"],
        "partitions follow their card"
    );
    let because = joined.devices[0].unusable_because.as_deref();
    assert!(because.is_some_and(|because| because.contains("partitions")));
}

#[test]
fn the_cpu_is_first_and_a_failed_source_is_a_problem() {
    let failed = Answer {
        source: "rocm_smi",
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
        source: "rocm_smi".to_owned(),
        error: "hangs".to_owned(),
    };
    assert_eq!(joined.problems, [problem]);
}

fn memory(total: u64, free: u64, host: Option<u64>) -> Memory {
    Memory {
        total: Bytes(total),
        free: Some(Bytes(free)),
        shared: host.is_some(),
        host: host.map(Bytes),
    }
}

#[test]
fn a_mig_instance_of_cuda_is_the_instance_of_nvml() {
    let mut whole = device("nvml", "gpu:0000:01:00.0", Some("0000:01:00.0"));
    whole.uuid = Some("GPU-11".to_owned());
    let mut part = device("nvml", "gpu:MIG-22", Some("0000:01:00.0"));
    part.uuid = Some("MIG-22".to_owned());
    part.parent = Some(whole.id.clone());
    let mut seen = device("cuda", "gpu:0000:01:00.0", Some("0000:01:00.0"));
    seen.uuid = Some("GPU-22".to_owned());
    let joined = inventory(
        vec![answer("cuda", vec![seen]), answer("nvml", vec![whole, part])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(joined.devices.len(), 2);
    assert_eq!(joined.devices[1].sources, ["nvml", "cuda"]);
}

#[test]
fn a_partition_names_its_card_by_the_cards_final_id() {
    let whole = device("cuda", "gpu:cuda-0", Some("0000:01:00.0"));
    let mut part = device("cuda", "gpu:part", Some("0000:01:00.0"));
    part.parent = Some("gpu:cuda-0".to_owned());
    let better = device("nvml", "gpu:0000:01:00.0", Some("0000:01:00.0"));
    let joined = inventory(
        vec![answer("cuda", vec![whole, part]), answer("nvml", vec![better])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(joined.devices[1].parent.as_deref(), Some("gpu:0000:01:00.0"));
}

#[test]
fn no_byte_of_an_integrated_device_counts_twice() {
    let mut cpu = device("cpu", "cpu", None);
    cpu.memory = Some(memory(1000, 300, None));
    let mut kernel = device("amdgpu", "igpu:0000:c4:00.0", Some("0000:c4:00.0"));
    kernel.kind = DeviceKind::IntegratedGpu;
    kernel.memory = Some(memory(64 + 2000, 50 + 1900, Some(2000)));
    let mut vulkan = device("vulkan", "igpu:0000:c4:00.0", Some("0000:c4:00.0"));
    vulkan.kind = DeviceKind::IntegratedGpu;
    vulkan.memory = Some(memory(2064, 2064, None));
    let joined = inventory(
        vec![
            answer("cpu", vec![cpu]),
            answer("vulkan", vec![vulkan]),
            answer("amdgpu", vec![kernel]),
        ],
        SystemTime::UNIX_EPOCH,
    );
    let shared = joined.devices[1].memory.unwrap();
    assert_eq!((shared.total, shared.host), (Bytes(1064), Some(Bytes(1000))));
    assert_eq!((shared.free, shared.shared), (Some(Bytes(364)), true));
}

#[test]
fn a_carve_out_alone_is_not_the_memory_of_an_integrated_device() {
    let mut kernel = device("amdgpu", "gpu:0000:c4:00.0", Some("0000:c4:00.0"));
    kernel.memory = Some(memory(64, 10, None));
    let mut vulkan = device("vulkan", "igpu:0000:c4:00.0", Some("0000:c4:00.0"));
    vulkan.kind = DeviceKind::IntegratedGpu;
    vulkan.memory = Some(memory(2064, 2000, None));
    let joined = inventory(
        vec![answer("amdgpu", vec![kernel]), answer("vulkan", vec![vulkan])],
        SystemTime::UNIX_EPOCH,
    );
    let device = &joined.devices[0];
    assert_eq!(device.kind, DeviceKind::IntegratedGpu);
    assert_eq!(
        device.memory.map(|memory| (memory.total, memory.shared)),
        Some((Bytes(2064), true))
    );
}

#[test]
fn a_card_does_not_count_the_hosts_memory() {
    let mut kernel = device("amdgpu", "igpu:0000:03:00.0", Some("0000:03:00.0"));
    kernel.kind = DeviceKind::IntegratedGpu;
    kernel.memory = Some(memory(24 + 32, 50, Some(32)));
    let vulkan = device("vulkan", "gpu:0000:03:00.0", Some("0000:03:00.0"));
    let joined = inventory(
        vec![answer("amdgpu", vec![kernel]), answer("vulkan", vec![vulkan])],
        SystemTime::UNIX_EPOCH,
    );
    let device = &joined.devices[0];
    assert_eq!(device.kind, DeviceKind::Gpu);
    let card = device.memory.unwrap();
    assert_eq!(
        (card.total, card.free, card.host),
        (Bytes(24), Some(Bytes(24)), None)
    );
}

#[test]
fn a_card_goes_before_integrated_graphics_with_more_memory() {
    let mut integrated = device("intel", "igpu:0000:00:02.0", Some("0000:00:02.0"));
    integrated.kind = DeviceKind::IntegratedGpu;
    integrated.memory = Some(memory(1 << 40, 1 << 40, None));
    let card = device("nvml", "gpu:0000:01:00.0", Some("0000:01:00.0"));
    let joined = inventory(
        vec![answer("intel", vec![integrated]), answer("nvml", vec![card])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(joined.devices[0].kind, DeviceKind::Gpu);
}

#[test]
fn nothing_is_planned_on_a_source_that_was_not_verified() {
    let mut alone = device("xpuml", "npu:0000:01:00.0", Some("0000:01:00.0"));
    alone.usable_by = vec!["kunlun".to_owned()];
    let seen = device("pci", "npu:0000:01:00.0", Some("0000:01:00.0"));
    let joined = inventory(
        vec![answer("xpuml", vec![alone.clone()]), answer("pci", vec![seen])],
        SystemTime::UNIX_EPOCH,
    );
    assert!(joined.devices[0].usable_by.is_empty());
    assert!(
        joined.devices[0]
            .unusable_because
            .as_deref()
            .unwrap()
            .contains("never verified")
    );
    let seen = device("vulkan", "npu:0000:01:00.0", Some("0000:01:00.0"));
    let joined = inventory(
        vec![answer("xpuml", vec![alone]), answer("vulkan", vec![seen])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(joined.devices[0].usable_by, ["kunlun"]);
}

#[test]
fn what_to_do_about_a_device_is_an_instruction() {
    let advice = |vendor: &str, sources: &[&'static str], driver: Option<&str>| {
        let answers = sources.iter().map(|source| {
            let mut device = device(source, "gpu:0000:01:00.0", Some("0000:01:00.0"));
            device.vendor = Some(vendor.to_owned());
            device.unusable_because = None;
            device.runtime = driver.map(|name| Runtime {
                name: name.to_owned(),
                version: Some("580.65".to_owned()),
            });
            answer(source, vec![device])
        });
        let joined = inventory(answers.collect(), SystemTime::UNIX_EPOCH);
        joined.devices[0].unusable_because.clone().unwrap()
    };
    assert_eq!(
        advice("NVIDIA", &["nvml", "pci"], Some("nvidia")),
        "NVIDIA driver nvidia 580.65 is present, its Vulkan driver is not installed: install libnvidia-gl (Ubuntu), \
         nvidia-vulkan-icd (Debian)"
    );
    assert_eq!(
        advice("NVIDIA", &["pci"], None),
        "no kernel driver is loaded for it: install NVIDIA's driver and run modprobe nvidia"
    );
    assert!(advice("AMD", &["pci"], Some("vfio-pci")).contains("give it back to amdgpu"));
    assert!(advice("Cambricon", &["cndev", "pci"], Some("cndev")).contains("no driver of this version"));
}

#[test]
fn a_source_with_many_problems_does_not_drown_the_others() {
    let problem = |number: usize| Problem {
        source: "nvml".to_owned(),
        error: format!("step {number} failed"),
    };
    let report = ProbeReport {
        devices: Vec::new(),
        problems: (0..1000).map(problem).collect(),
    };
    let many = Answer {
        source: "nvml",
        report: Ok(report),
    };
    let joined = inventory(vec![many], SystemTime::UNIX_EPOCH);
    assert_eq!(joined.problems.len(), 9);
    assert!(joined.problems[8].error.contains("992 more"));
}

const SOURCES: [&str; 6] = ["nvml", "amdgpu", "cuda", "vulkan", "pci", "xpuml"];

/// What a source may know of the card with this number, of which everything else follows.
fn sighting(source: &'static str, card: usize) -> impl Strategy<Value = Device> {
    let kinds = select(vec![DeviceKind::Gpu, DeviceKind::IntegratedGpu]);
    let sizes = of((1..100_u64, 0..100_u64, of(0..100_u64)));
    (any::<bool>(), any::<bool>(), kinds, sizes, any::<bool>()).prop_map(
        move |(knows_address, knows_uuid, kind, sizes, usable)| {
            let pci = knows_address.then(|| format!("0000:0{card}:00.0"));
            let uuid = knows_uuid.then(|| format!("GPU-{card}"));
            let known_by = pci
                .clone()
                .or(uuid.clone())
                .unwrap_or_else(|| format!("{source}-{card}"));
            let mut device = Device::new(format!("{}:{known_by}", kind.name()), source, kind);
            device.pci = pci;
            device.uuid = uuid;
            device.memory = sizes.map(|(own, free, host)| memory(own + host.unwrap_or(0), free, host));
            device.sources = vec![source.to_owned()];
            device.usable_by = usable.then(|| "gpu".to_owned()).into_iter().collect();
            device.features = vec![format!("card={card}")];
            device
        },
    )
}

/// What each source says of a box with four cards, of which it sees some.
fn any_answers() -> impl Strategy<Value = Vec<Answer>> {
    let one = |source: &'static str| {
        let cards: Vec<_> = (0..4).map(|card| of(sighting(source, card))).collect();
        cards.prop_map(move |seen| answer(source, seen.into_iter().flatten().collect()))
    };
    SOURCES.map(one).into_iter().collect::<Vec<_>>()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Threads answer in any order.
    #[test]
    fn the_order_of_answers_does_not_matter(answers in any_answers(), order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle()) {
        let shuffled: Vec<Answer> = order.iter().map(|index| answers[*index].clone()).collect();
        let at = SystemTime::UNIX_EPOCH;
        prop_assert_eq!(inventory(answers, at), inventory(shuffled, at));
    }

    #[test]
    fn no_device_is_made_up_lost_or_counted_twice(answers in any_answers()) {
        let said: Vec<Device> = answers.iter().flat_map(|answer| answer.report.clone().unwrap().devices).collect();
        let joined = inventory(answers, SystemTime::UNIX_EPOCH).devices;
        prop_assert!(joined.len() <= said.len());
        let sightings: usize = joined.iter().map(|device| device.sources.len()).sum();
        prop_assert_eq!(sightings, said.len(), "each sighting is a source of one device");
        let mut addresses: Vec<&String> = joined.iter().filter_map(|device| device.pci.as_ref()).collect();
        addresses.sort();
        let all = addresses.len();
        addresses.dedup();
        prop_assert_eq!(addresses.len(), all, "one address is one device");
        for device in &joined {
            let alone = device.sources.iter().all(|source| source == "pci" || source == "xpuml");
            prop_assert!(!alone || device.usable_by.is_empty());
            prop_assert!(device.usable_by.is_empty() == device.unusable_because.is_some());
            prop_assert!(!device.name.is_empty());
            prop_assert_eq!(device.features.len(), 1, "two cards became one");
            if let Some(memory) = device.memory {
                let card = device.kind == DeviceKind::Gpu;
                prop_assert!(memory.free.is_none_or(|free| free <= memory.total));
                prop_assert!(memory.host.is_none_or(|host| !card && host <= memory.total));
                prop_assert_eq!(memory.shared, !card);
            }
        }
    }
}
