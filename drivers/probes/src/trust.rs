//! Which source is believed over which, and what says that a source was never seen with a real device.

/// Sources, the most trusted first. What a maker's library measures goes before what the kernel's files say, those before
/// what a program's interface reports, and a bare entry on the bus comes last. The flag says whether a device may be
/// planned on when this source alone tells of it: makers' headers that are old or were only read in others' bindings do
/// not allow it, nor does an entry on the bus.
const SOURCES: &[(&str, bool)] = &[
    ("cpu", true),
    ("nvml", true),
    ("mtml", true),
    ("ixml", true),
    ("dcmi", true),
    ("dcmi_v2", false),
    ("cndev", true),
    ("efml", true),
    ("mxsml", false),
    ("hgml", false),
    ("brml", false),
    ("xpuml", false),
    ("amdgpu", true),
    ("rocm_smi", true),
    ("hygon", true),
    ("level_zero", true),
    ("intel", true),
    ("cuda", true),
    ("vulkan", true),
    ("pci", false),
];

/// Smaller is more trusted; a source that is not listed is trusted least.
pub(crate) fn rank(source: &str) -> usize {
    SOURCES
        .iter()
        .position(|(known, _)| *known == source)
        .unwrap_or(SOURCES.len())
}

/// Smaller knows better whether a device is integrated: Vulkan's and CUDA's drivers say it, others infer it.
pub(crate) fn rank_of_kind(source: &str) -> usize {
    match source {
        "vulkan" => 0,
        "cuda" => 1,
        _ => 2 + rank(source),
    }
}

/// Whether one of `sources` is enough to plan on.
pub(crate) fn may_be_planned_on(sources: &[String]) -> bool {
    sources
        .iter()
        .any(|source| SOURCES.get(rank(source)).is_none_or(|(_, alone)| *alone))
}

/// How a source says which of its facts were never compared with a real device.
pub(crate) fn unverified(facts: &[&str]) -> String {
    format!("not verified against a real device: {}", facts.join("; "))
}
