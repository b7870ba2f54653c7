//! The sources: which is believed over which, and what says that a source was never seen with a real device.

/// One source of facts about devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its name ([`mains_contract::Probe::source`]).
    pub name: &'static str,
    /// Whether a device may be planned on when this source alone tells of it: makers' headers that are old or were only read
    /// in others' bindings do not allow it, nor does an entry on the bus.
    pub enough_to_plan_on: bool,
    /// Whether it stays open while it has a device and is asked again and again. What only says how programs compute tells
    /// no health, and would hold a driver's memory for nothing.
    pub watched: bool,
    /// Whether it knows which drivers of ours can compute on a device.
    pub names_drivers: bool,
}

/// Every source, the most trusted first. What a maker's library measures goes before what the kernel's files say, those
/// before what a program's interface reports, and a bare entry on the bus comes last.
pub const SOURCES: &[Source] = &[
    Source {
        names_drivers: true,
        ..verified("cpu")
    },
    verified("nvml"),
    verified("mtml"),
    verified("ixml"),
    verified("dcmi"),
    alone_not_enough("dcmi_v2"),
    verified("cndev"),
    verified("efml"),
    alone_not_enough("mxsml"),
    alone_not_enough("hgml"),
    alone_not_enough("brml"),
    alone_not_enough("xpuml"),
    verified("amdgpu"),
    verified("rocm_smi"),
    verified("hygon"),
    verified("level_zero"),
    verified("intel"),
    of_programs("cuda"),
    of_programs("vulkan"),
    alone_not_enough("pci"),
];

const fn verified(name: &'static str) -> Source {
    Source {
        name,
        enough_to_plan_on: true,
        watched: true,
        names_drivers: false,
    }
}

const fn alone_not_enough(name: &'static str) -> Source {
    Source {
        enough_to_plan_on: false,
        ..verified(name)
    }
}

const fn of_programs(name: &'static str) -> Source {
    Source {
        watched: false,
        names_drivers: true,
        ..verified(name)
    }
}

/// The source called `name`.
#[must_use]
pub fn source(name: &str) -> Option<&'static Source> {
    SOURCES.get(rank(name))
}

/// Smaller is more trusted; a source that is not listed is trusted least.
pub(crate) fn rank(name: &str) -> usize {
    SOURCES
        .iter()
        .position(|known| known.name == name)
        .unwrap_or(SOURCES.len())
}

/// Smaller knows better whether a device is integrated: Vulkan's and CUDA's drivers say it, others infer it.
pub(crate) fn rank_of_kind(name: &str) -> usize {
    match name {
        "vulkan" => 0,
        "cuda" => 1,
        _ => 2 + rank(name),
    }
}

/// Whether one of `sources` is enough to plan on.
pub(crate) fn may_be_planned_on(sources: &[String]) -> bool {
    sources
        .iter()
        .any(|name| source(name).is_none_or(|known| known.enough_to_plan_on))
}

/// How a source says which of its facts were never compared with a real device.
#[must_use]
pub fn unverified(facts: &[&str]) -> String {
    format!("not verified against a real device: {}", facts.join("; "))
}
