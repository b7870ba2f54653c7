//! The kernel's texts about processors and memory, parsed. Pure. Formats: `proc(5)`, `Documentation/filesystems/proc.rst`.

use std::collections::BTreeSet;

use mains_contract::Bytes;

/// Flags of `/proc/cpuinfo` that drivers pick kernels by: x86 as in `arch/x86/include/asm/cpufeatures.h`, Arm as in
/// `arch/arm64/include/uapi/asm/hwcap.h`. The kernel lists a flag only when it saves the registers that go with it.
const KERNEL_FLAGS: &[&str] = &[
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimdhp",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
];

/// What `/proc/cpuinfo` says of all processors together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CpuInfo {
    /// Hardware threads that are online.
    pub(super) threads: usize,
    /// The maker in our words.
    pub(super) vendor: Option<String>,
    /// The maker's name for the model.
    pub(super) model: Option<String>,
    /// Flags that every processor has, in the order of [`KERNEL_FLAGS`].
    pub(super) features: Vec<String>,
}

/// Parses `/proc/cpuinfo`. Lines that it does not know are passed over; no processor at all is `None`.
pub(super) fn cpuinfo(text: &str) -> Option<CpuInfo> {
    let mut info = CpuInfo::default();
    let mut common: Option<BTreeSet<&str>> = None;
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key.trim() {
            "processor" => info.threads += 1,
            "vendor_id" => info.vendor = Some(x86_vendor(value)),
            "CPU implementer" => info.vendor = arm_vendor(value),
            "model name" if !value.is_empty() => info.model = Some(value.to_owned()),
            "flags" | "Features" => {
                let flags: BTreeSet<&str> = value.split_whitespace().collect();
                common = Some(match common {
                    Some(before) => before.intersection(&flags).copied().collect(),
                    None => flags,
                });
            }
            _ => {}
        }
    }
    let common = common.unwrap_or_default();
    info.features = KERNEL_FLAGS
        .iter()
        .filter(|flag| common.contains(*flag))
        .map(|flag| (*flag).to_owned())
        .collect();
    (info.threads > 0).then_some(info)
}

fn x86_vendor(id: &str) -> String {
    match id {
        "GenuineIntel" => "Intel",
        "AuthenticAMD" => "AMD",
        "HygonGenuine" => "Hygon",
        "  Shanghai  " | "Shanghai" => "Zhaoxin",
        other => other,
    }
    .to_owned()
}

/// Implementer codes of `MIDR_EL1`, `arch/arm64/include/asm/cputype.h`.
fn arm_vendor(code: &str) -> Option<String> {
    let name = match code {
        "0x41" => "Arm",
        "0x48" => "HiSilicon",
        "0x4e" => "NVIDIA",
        "0x51" => "Qualcomm",
        "0x61" => "Apple",
        "0x70" => "Phytium",
        "0xc0" => "Ampere",
        _ => return None,
    };
    Some(name.to_owned())
}

/// `MemTotal` and `MemAvailable` of `/proc/meminfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemInfo {
    /// Memory that the kernel manages.
    pub(super) total: Bytes,
    /// What can be had without swapping, by the kernel's own estimate.
    pub(super) available: Option<Bytes>,
}

/// Parses `/proc/meminfo`, whose unit is the KiB.
pub(super) fn meminfo(text: &str) -> Option<MemInfo> {
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        kib.checked_mul(1024).map(Bytes)
    };
    Some(MemInfo {
        total: field("MemTotal")?,
        available: field("MemAvailable"),
    })
}

/// Counts cores from each thread's (`physical_package_id`, `core_id`), as in `Documentation/ABI/stable/sysfs-devices-system-cpu`.
/// `None` when a thread does not tell, or -1 says that the firmware did not.
pub(super) fn cores(topology: &[(String, String)]) -> Option<usize> {
    let ids: Option<BTreeSet<(u32, u32)>> = topology
        .iter()
        .map(|(package, core)| Some((package.trim().parse().ok()?, core.trim().parse().ok()?)))
        .collect();
    ids.map(|ids| ids.len()).filter(|count| *count > 0)
}

/// Degrees Celsius of a `hwmon` input, which has thousandths (`Documentation/hwmon/sysfs-interface.rst`).
pub(super) fn millidegrees(text: &str) -> Option<f64> {
    text.trim()
        .parse::<i32>()
        .ok()
        .map(|value| f64::from(value) / 1000.0)
}

/// Ticks of all processors together since they were started (proc_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    busy: u64,
    all: u64,
}

/// The first line of `/proc/stat`. Guests' time is in the user's already.
pub(super) fn times(text: &str) -> Option<Times> {
    let mut words = text.lines().next()?.split_ascii_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let [_user, _nice, _system, idle, ref rest @ ..] = ticks[..] else {
        return None;
    };
    let waiting = rest.first().copied().unwrap_or(0);
    let all = ticks
        .iter()
        .try_fold(0_u64, |sum, ticks| sum.checked_add(*ticks))?;
    let busy = all.checked_sub(idle)?.checked_sub(waiting)?;
    Some(Times { busy, all })
}

/// The share of time between two readings that the processors were busy; `None` when no time passed.
pub(super) fn busy(before: Times, now: Times) -> Option<f64> {
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
    // The kernel's count of waiting for disks may fall (proc_stat(5)).
    let busy = now.busy.saturating_sub(before.busy).min(all);
    Some(busy as f64 / all as f64)
}

/// A counter of energy that starts anew at its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) microjoules: u64,
    pub(super) range: u64,
}

/// Joules between two readings of a counter, which has passed its range at most once.
pub(super) fn joules(before: Counter, now: Counter) -> f64 {
    let passed = match now.microjoules.checked_sub(before.microjoules) {
        Some(passed) => passed,
        None => now
            .range
            .saturating_sub(before.microjoules)
            .saturating_add(now.microjoules),
    };
    passed as f64 * 1e-6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn features_are_those_of_every_processor() {
        let text = "processor\t: 0\nflags\t\t: avx2 avx512f fma\n\nprocessor\t: 1\nflags\t\t: fma avx2 ht\n";
        let info = cpuinfo(text).unwrap();
        assert_eq!(
            (info.threads, info.features),
            (2, vec!["avx2".to_owned(), "fma".to_owned()])
        );
    }

    #[test]
    fn arm_has_no_model_name() {
        let text =
            "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x48\n";
        let info = cpuinfo(text).unwrap();
        assert_eq!(info.vendor.as_deref(), Some("HiSilicon"));
        assert_eq!(info.model, None);
        assert_eq!(info.features, ["asimd", "asimddp"]);
    }

    #[test]
    fn meminfo_is_in_kib() {
        let text = "MemTotal:       24683656 kB\nMemFree: 1 kB\nMemAvailable:   23970112 kB\n";
        let info = meminfo(text).unwrap();
        assert_eq!(info.total, Bytes(24_683_656 * 1024));
        assert_eq!(info.available, Some(Bytes(23_970_112 * 1024)));
        assert_eq!(meminfo("MemTotal: 18446744073709551615 kB\n"), None);
        assert_eq!(meminfo("MemTotal: many kB\n"), None);
        assert_eq!(
            meminfo("MemTotal: 5 kB\nMemAvailable: ? kB").unwrap().available,
            None
        );
    }

    #[test]
    fn two_threads_of_a_core_count_once() {
        let id = |package: &str, core: &str| (package.to_owned(), core.to_owned());
        assert_eq!(
            cores(&[id("0\n", "0\n"), id("0\n", "0\n"), id("1\n", "0\n")]),
            Some(2)
        );
        assert_eq!(cores(&[id("-1\n", "0\n")]), None);
        assert_eq!(cores(&[]), None);
    }

    proptest! {
        #[test]
        fn no_text_is_fatal(text in "(?s)((processor|flags|MemTotal|MemAvailable)\\s*:.{0,20}\n|.{0,30}\n){0,8}") {
            if let Some(info) = cpuinfo(&text) {
                prop_assert!(info.threads > 0);
            }
            if let Some(info) = meminfo(&text) {
                prop_assert_eq!(info.total.0 % 1024, 0);
            }
        }
    }

    #[test]
    fn load_is_what_was_not_idle_between_two_readings() {
        let before = times("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4\n").unwrap();
        let now = times("cpu  150 0 75 900 75 0 0 0 150 0\n").unwrap();
        assert_eq!(busy(before, now), Some(75.0 / 200.0));
        assert_eq!(busy(now, now), None);
        assert_eq!(busy(now, before), None);
        for text in ["", "cpu0 1 2 3 4", "cpu 1 2 3", "cpu a b c d", "intr 5"] {
            assert_eq!(times(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_counter_of_energy_starts_anew_at_its_range() {
        let counter = |microjoules| Counter {
            microjoules,
            range: 10_000_000,
        };
        assert!((joules(counter(1_000_000), counter(3_500_000)) - 2.5).abs() < 1e-9);
        assert!((joules(counter(9_000_000), counter(500_000)) - 1.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_load_is_a_share(before in "cpu( [0-9]{1,6}){4,10}", now in "cpu( [0-9]{1,6}){4,10}") {
            if let (Some(before), Some(now)) = (times(&before), times(&now)) {
                prop_assert!(busy(before, now).is_none_or(|share| (0.0..=1.0).contains(&share)));
            }
        }

        #[test]
        fn no_energy_is_negative(before: u64, now: u64, range: u64) {
            let counter = |microjoules| Counter { microjoules, range };
            prop_assert!(joules(counter(before), counter(now)) >= 0.0);
        }
    }
}
