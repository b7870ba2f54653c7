//! Kunlunxin's accelerators, through XPUML.

mod probe;
mod sys;

pub(crate) use probe::Xpuml;
