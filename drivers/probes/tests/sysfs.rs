//! What the kernel's files tell, on trees as drivers make them, and on broken ones.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::SystemTime;

use mains_contract::{Bytes, Device, DeviceKind, Inventory, Link, ProbeReport};
use mains_inventory::{Answer, inventory};
use mains_probes::{Places, all_in};
use proptest::prelude::*;
use tempfile::TempDir;

/// Probes that read the tree.
const SOURCES: [&str; 3] = ["pci", "amdgpu", "intel"];

fn put(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let at = folder.join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }
}

/// A function of the bus with its driver.
fn function(root: &Path, address: &str, ids: [&str; 3], driver: Option<&str>, files: &[(&str, &str)]) {
    let folder = root.join("bus/pci/devices").join(address);
    let [vendor, device, class] = ids;
    put(
        &folder,
        &[("vendor", vendor), ("device", device), ("class", class)],
    );
    put(&folder, files);
    if let Some(driver) = driver {
        symlink(
            format!("../../../bus/pci/drivers/{driver}"),
            folder.join("driver"),
        )
        .unwrap();
    }
}

fn tree() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    // A network card and a processor's bridge of makers of accelerators, and a management controller's display.
    function(
        root.path(),
        "0000:00:00.0",
        ["0x8086", "0x1", "0x060000"],
        None,
        &[],
    );
    function(
        root.path(),
        "0000:05:00.0",
        ["0x19e5", "0x1822", "0x020000"],
        Some("hinic"),
        &[],
    );
    function(
        root.path(),
        "0000:06:00.0",
        ["0x1a03", "0x2000", "0x030000"],
        Some("ast"),
        &[],
    );
    function(
        root.path(),
        "0000:07:00.0",
        ["0x19e5", "0x1711", "0x030000"],
        Some("hibmc"),
        &[],
    );
    root
}

const RADEON: &[(&str, &str)] = &[
    ("mem_info_vram_total", "25753026560\n"),
    ("mem_info_vram_used", "1000000000\n"),
    ("mem_info_gtt_total", "66000000000\n"),
    ("mem_info_gtt_used", "20000000\n"),
    ("gpu_busy_percent", "12\n"),
    ("current_link_speed", "16.0 GT/s PCIe\n"),
    ("max_link_speed", "16.0 GT/s PCIe\n"),
    ("current_link_width", "8\n"),
    ("max_link_width", "16\n"),
    ("unique_id", "4f3bd9d3f0c5a9c1\n"),
    ("product_name", "Radeon PRO W7900\n"),
    ("hwmon/hwmon4/temp1_input", "47000\n"),
    ("hwmon/hwmon4/power1_average", "32000000\n"),
    ("hwmon/hwmon4/power1_cap", "241000000\n"),
];

const ARC: &[(&str, &str)] = &[
    ("tile0/physical_vram_size_bytes", "12884901888"),
    ("tile1/physical_vram_size_bytes", "12884901888"),
    ("hwmon/hwmon5/energy1_input", "2500000"),
    ("hwmon/hwmon5/power1_max", "190000000"),
    ("hwmon/hwmon5/temp2_input", "45000"),
];

fn report(root: &Path, source: &str) -> ProbeReport {
    let probes = all_in(&Places::default().with_sysfs(root));
    let probe = probes.iter().find(|probe| probe.source() == source).unwrap();
    probe.probe().unwrap()
}

fn joined(root: &Path) -> Inventory {
    let answers = SOURCES.map(|source| Answer {
        source,
        report: Ok(report(root, source)),
    });
    inventory(answers.into(), SystemTime::UNIX_EPOCH)
}

fn only(root: &Path) -> Device {
    let devices = joined(root).devices;
    assert_eq!(devices.len(), 1, "{devices:#?}");
    devices.into_iter().next().unwrap()
}

#[test]
fn a_box_without_accelerators_has_none() {
    let root = tree();
    assert_eq!(
        (joined(root.path()).devices, joined(root.path()).problems),
        (Vec::new(), Vec::new())
    );
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(joined(empty.path()).devices, []);
}

#[test]
fn a_radeon_card_is_a_card_with_its_own_memory() {
    let root = tree();
    function(
        root.path(),
        "0000:03:00.0",
        ["0x1002", "0x7448", "0x030000"],
        Some("amdgpu"),
        RADEON,
    );
    let card = only(root.path());
    assert_eq!(
        (card.id.as_str(), card.kind),
        ("gpu:0000:03:00.0", DeviceKind::Gpu)
    );
    assert_eq!(
        (card.name.as_str(), card.vendor.as_deref()),
        ("Radeon PRO W7900", Some("AMD"))
    );
    let memory = card.memory.unwrap();
    assert_eq!(
        (memory.total, memory.free),
        (Bytes(25_753_026_560), Some(Bytes(24_753_026_560)))
    );
    assert_eq!((memory.shared, memory.host), (false, None));
    assert_eq!(
        (card.temperature_c, card.power_w, card.power_limit_w),
        (Some(47.0), Some(32.0), Some(241.0))
    );
    assert_eq!(
        (card.utilization, card.uuid.as_deref()),
        (Some(0.12), Some("GPU-4f3bd9d3f0c5a9c1"))
    );
    let link = Link {
        generation: Some(4),
        width: Some(8),
        max_generation: Some(4),
        max_width: Some(16),
    };
    assert_eq!(
        (card.link, card.sources.as_slice()),
        (Some(link), ["amdgpu".to_owned(), "pci".to_owned()].as_slice())
    );
    assert!(card.unusable_because.unwrap().contains("mesa-vulkan-drivers"));
}

#[test]
fn an_apu_tells_its_carve_out_and_the_hosts_part_apart() {
    let root = tree();
    let files = [
        ("mem_info_vram_total", "536870912"),
        ("mem_info_vram_used", "436870912"),
        ("mem_info_gtt_total", "16000000000"),
        ("mem_info_gtt_used", "1000000000"),
        ("hwmon/hwmon2/temp1_input", "51000"),
        ("hwmon/hwmon2/power1_input", "9000000"),
    ];
    function(
        root.path(),
        "0000:c4:00.0",
        ["0x1002", "0x15bf", "0x030000"],
        Some("amdgpu"),
        &files,
    );
    let apu = only(root.path());
    assert_eq!(
        (apu.id.as_str(), apu.kind),
        ("igpu:0000:c4:00.0", DeviceKind::IntegratedGpu)
    );
    let memory = apu.memory.unwrap();
    assert_eq!(
        (memory.total, memory.host),
        (Bytes(16_536_870_912), Some(Bytes(16_000_000_000)))
    );
    assert_eq!((memory.free, memory.shared), (Some(Bytes(15_100_000_000)), true));
    assert_eq!((apu.name.as_str(), apu.power_w), ("AMD 1002:15bf", Some(9.0)));
}

#[test]
fn an_arc_card_sums_its_tiles() {
    let root = tree();
    function(
        root.path(),
        "0000:04:00.0",
        ["0x8086", "0xe20b", "0x030000"],
        Some("xe"),
        ARC,
    );
    let card = only(root.path());
    assert_eq!(
        (card.id.as_str(), card.kind),
        ("gpu:0000:04:00.0", DeviceKind::Gpu)
    );
    let memory = card.memory.unwrap();
    assert_eq!((memory.total, memory.free), (Bytes(24 << 30), None));
    assert_eq!(
        (card.energy_j, card.power_limit_w, card.temperature_c),
        (Some(2.5), Some(190.0), Some(45.0))
    );
    assert_eq!(card.runtime.unwrap().name, "xe");
}

#[test]
fn graphics_within_an_intel_processor_are_integrated() {
    let root = tree();
    function(
        root.path(),
        "0000:00:02.0",
        ["0x8086", "0x9a49", "0x030000"],
        Some("i915"),
        &[],
    );
    let graphics = only(root.path());
    assert_eq!(
        (graphics.kind, graphics.memory),
        (DeviceKind::IntegratedGpu, None)
    );
}

#[test]
fn a_card_without_a_driver_is_there_with_what_to_do() {
    let root = tree();
    function(
        root.path(),
        "0000:01:00.0",
        ["0x10de", "0x2330", "0x030200"],
        None,
        &[],
    );
    let card = only(root.path());
    assert_eq!((card.name.as_str(), card.runtime), ("NVIDIA 10de:2330", None));
    assert!(card.unusable_because.unwrap().contains("modprobe nvidia"));
    function(
        root.path(),
        "0000:02:00.0",
        ["0x19e5", "0xd802", "0x120000"],
        Some("vfio-pci"),
        &[],
    );
    let devices = joined(root.path()).devices;
    assert_eq!((devices.len(), devices[1].kind), (2, DeviceKind::Npu));
    assert!(
        devices[1]
            .unusable_because
            .as_deref()
            .unwrap()
            .contains("vfio-pci")
    );
}

#[test]
fn a_kernel_modules_version_is_told() {
    let root = tree();
    function(
        root.path(),
        "0000:01:00.0",
        ["0x10de", "0x2330", "0x030200"],
        Some("nvidia"),
        &[],
    );
    put(&root.path().join("module/nvidia"), &[("version", "580.65.06\n")]);
    let runtime = only(root.path()).runtime.unwrap();
    assert_eq!(
        (runtime.name.as_str(), runtime.version.as_deref()),
        ("nvidia", Some("580.65.06"))
    );
}

#[test]
fn an_unknown_makers_accelerator_is_there_too() {
    let root = tree();
    function(
        root.path(),
        "0000:09:00.0",
        ["0x1e52", "0xb140", "0x120000"],
        Some("tenstorrent"),
        &[],
    );
    let device = only(root.path());
    assert_eq!(
        (device.name.as_str(), device.vendor),
        ("Accelerator 1e52:b140", None)
    );
    assert!(device.usable_by.is_empty() && device.unusable_because.is_some());
}

#[test]
fn a_file_that_is_no_number_costs_its_fact_and_is_told() {
    let root = tree();
    function(
        root.path(),
        "0000:03:00.0",
        ["0x1002", "0x7448", "0x030000"],
        Some("amdgpu"),
        RADEON,
    );
    let folder = root.path().join("bus/pci/devices/0000:03:00.0");
    put(
        &folder,
        &[
            ("mem_info_vram_used", "many\n"),
            ("hwmon/hwmon4/temp1_input", "99999999999\n"),
        ],
    );
    let found = joined(root.path());
    let card = &found.devices[0];
    let memory = card.memory.unwrap();
    assert_eq!(
        (memory.free, card.temperature_c, card.power_w),
        (None, None, Some(32.0))
    );
    let told: Vec<&str> = found
        .problems
        .iter()
        .map(|problem| problem.error.as_str())
        .collect();
    assert!(
        told.iter()
            .any(|error| error.contains("0000:03:00.0: mem_info_vram_used: is no number")),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|error| error.contains("temp1_input") && error.contains("not believed")),
        "{told:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_in_any_file_are_an_answer(
        arc: bool,
        file: prop::sample::Index,
        text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "-?[0-9]{0,25}\n?".prop_map(String::into_bytes),
        ],
    ) {
        let root = tree();
        let (ids, driver, files) = if arc {
            (["0x8086", "0xe20b", "0x030000"], "xe", ARC)
        } else {
            (["0x1002", "0x7448", "0x030000"], "amdgpu", RADEON)
        };
        function(root.path(), "0000:03:00.0", ids, Some(driver), files);
        let mut names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        names.extend(["vendor", "device", "class"]);
        let name = file.get(&names);
        fs::write(root.path().join("bus/pci/devices/0000:03:00.0").join(name), &text).unwrap();
        for device in joined(root.path()).devices {
            prop_assert!(!device.name.is_empty() && device.name.len() <= 256);
            if let Some(memory) = device.memory {
                prop_assert!(memory.free.is_none_or(|free| free <= memory.total));
            }
        }
    }
}
