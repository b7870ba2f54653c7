//! Iluvatar's cards, through ixml: NVML under its own name.

mod probe;
mod sys;

pub(crate) use probe::Ixml;
