//! The CPU probe on trees of files, whole and broken.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mains_contract::{Bytes, Device, HealthState, Probe, ProbeReport};
use mains_probes::cpu::CpuProbe;
use proptest::prelude::*;

const CPUINFO: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum\n\
    flags\t\t: fpu avx2 fma avx512f avx512_vnni\n\nprocessor\t: 1\nvendor_id\t: GenuineIntel\n\
    model name\t: Intel(R) Xeon(R) Platinum\nflags\t\t: fpu avx2 fma avx512f avx512_vnni\n";
const MEMINFO: &str = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 800 kB\n";

fn put(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, text).unwrap();
}

fn whole() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = root.path();
    put(at, "proc/cpuinfo", CPUINFO);
    put(at, "proc/meminfo", MEMINFO);
    put(at, "proc/sys/kernel/osrelease", "6.1.0-32-amd64\n");
    put(
        at,
        "proc/self/cgroup",
        "5:memory:/old\n0::/system.slice/worker.service\n",
    );
    put(
        at,
        "proc/self/mountinfo",
        "1 0 0:1 / /sys/fs/cgroup rw shared:1 - cgroup2 cgroup2 rw\n2 0 0:2 / /sys/fs/memory rw - cgroup cgroup rw,memory\n",
    );
    for (thread, core) in [("cpu0", "0"), ("cpu1", "0")] {
        put(
            at,
            &format!("sys/devices/system/cpu/{thread}/topology/physical_package_id"),
            "0\n",
        );
        put(
            at,
            &format!("sys/devices/system/cpu/{thread}/topology/core_id"),
            format!("{core}\n"),
        );
    }
    root
}

fn probe(root: &Path) -> (Device, ProbeReport) {
    let report = CpuProbe::under(root).probe().unwrap();
    (report.devices.first().unwrap().clone(), report)
}

#[test]
fn a_whole_tree_tells_everything() {
    let root = whole();
    put(root.path(), "sys/class/hwmon/hwmon3/name", "coretemp\n");
    put(root.path(), "sys/class/hwmon/hwmon3/temp1_input", "45500\n");
    let (device, report) = probe(root.path());
    assert!(report.problems.is_empty());
    assert_eq!(
        (device.id.as_str(), device.name.as_str()),
        ("cpu", "Intel(R) Xeon(R) Platinum")
    );
    assert_eq!(device.vendor.as_deref(), Some("Intel"));
    assert_eq!(
        device.features,
        ["avx2", "fma", "avx512f", "avx512_vnni", "cores=1", "threads=2"]
    );
    assert_eq!(device.runtime.unwrap().version.as_deref(), Some("6.1.0-32-amd64"));
    assert_eq!(device.temperature_c, Some(45.5));
    assert_eq!(device.usable_by, ["cpu"]);
    let memory = device.memory.unwrap();
    assert_eq!(
        (memory.total, memory.free),
        (Bytes(1000 << 10), Some(Bytes(800 << 10)))
    );
}

#[test]
fn the_tightest_group_counts() {
    let root = whole();
    let slice = "sys/fs/cgroup/system.slice";
    put(
        root.path(),
        &format!("{slice}/worker.service/memory.max"),
        "614400\n",
    );
    put(
        root.path(),
        &format!("{slice}/worker.service/memory.current"),
        "204800\n",
    );
    put(
        root.path(),
        &format!("{slice}/worker.service/memory.stat"),
        "anon 1\ninactive_file 102400\n",
    );
    put(root.path(), &format!("{slice}/memory.max"), "max\n");
    put(
        root.path(),
        "sys/fs/memory/old/memory.limit_in_bytes",
        "9223372036854771712\n",
    );
    put(root.path(), "sys/fs/memory/memory.limit_in_bytes", "700000\n");
    put(root.path(), "sys/fs/memory/memory.usage_in_bytes", "400000\n");
    let (device, _) = probe(root.path());
    let memory = device.memory.unwrap();
    assert_eq!(
        (memory.total, memory.free),
        (Bytes(614_400), Some(Bytes(300_000)))
    );
}

#[test]
fn a_missing_file_costs_its_own_facts() {
    let root = whole();
    fs::remove_file(root.path().join("proc/meminfo")).unwrap();
    put(root.path(), "proc/cpuinfo", "nothing here\n");
    let (device, report) = probe(root.path());
    assert_eq!(device.memory, None);
    assert_eq!(device.health.state, HealthState::Degraded);
    let errors: Vec<&str> = report
        .problems
        .iter()
        .map(|problem| problem.error.as_str())
        .collect();
    assert_eq!(errors.len(), 2);
    assert!(
        errors.iter().any(|error| error.contains("/proc/meminfo")),
        "{errors:?}"
    );
    assert!(
        errors
            .iter()
            .any(|error| error.contains("/proc/cpuinfo lists no processor")),
        "{errors:?}"
    );
    assert_eq!(device.features, ["cores=1"]);
}

#[test]
fn load_and_power_come_with_the_second_reading() {
    let root = whole();
    let at = root.path();
    let package = "sys/class/powercap/intel-rapl:0";
    put(at, &format!("{package}/name"), "package-0\n");
    put(at, &format!("{package}/max_energy_range_uj"), "262143328850\n");
    // A part of the package counts in it already.
    put(at, "sys/class/powercap/intel-rapl:0:0/name", "core\n");
    let mut watch = Box::new(CpuProbe::under(at)).watch();
    let began = Instant::now();
    let mut read = |stat: &str, energy: &str, seconds: u64| {
        put(at, "proc/stat", stat);
        put(at, &format!("{package}/energy_uj"), energy);
        let now = began + Duration::from_secs(seconds);
        watch.read(now).unwrap().devices.remove(0)
    };
    let first = read("cpu  10 0 0 90 0 0 0 0\n", "5000000\n", 0);
    assert_eq!(
        (first.utilization, first.power_w, first.energy_j),
        (None, None, None)
    );
    let second = read("cpu  40 0 0 160 0 0 0 0\n", "205000000\n", 10);
    assert_eq!(
        (second.utilization, second.power_w, second.energy_j),
        (Some(0.3), Some(20.0), Some(200.0))
    );
    let third = read("cpu  40 0 0 260 0 0 0 0\n", "305000000\n", 20);
    assert_eq!(
        (third.utilization, third.power_w, third.energy_j),
        (Some(0.0), Some(10.0), Some(300.0))
    );
    let broken = read("nothing\n", "", 30);
    assert_eq!((broken.utilization, broken.power_w), (None, None));
}

#[test]
fn this_machine_has_a_cpu_with_memory() {
    let (device, report) = probe(Path::new("/"));
    assert_eq!(report.problems, []);
    let memory = device.memory.unwrap();
    assert!(memory.total > Bytes::ZERO && memory.free.unwrap() <= memory.total);
}

proptest! {
    // A failing seed of an integration test has no place beside the sources.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn broken_files_are_never_fatal(path in 0..8usize, text in prop::collection::vec(any::<u8>(), 0..200)) {
        const PATHS: [&str; 8] = [
            "proc/cpuinfo", "proc/meminfo", "proc/sys/kernel/osrelease", "proc/self/cgroup", "proc/self/mountinfo",
            "sys/fs/cgroup/memory.max", "sys/devices/system/cpu/cpu1/topology/core_id", "sys/class/hwmon/hwmon0/name",
        ];
        let root = whole();
        put(root.path(), PATHS[path], &text);
        let (device, _) = probe(root.path());
        prop_assert_eq!(device.id.as_str(), "cpu");
        if let Some(memory) = device.memory {
            prop_assert!(memory.free.is_none_or(|free| free <= memory.total));
        }
    }
}
