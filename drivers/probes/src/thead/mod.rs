//! T-Head's accelerators, through hgml: NVML under another prefix.

mod probe;
mod sys;

pub(crate) use probe::Hgml;
