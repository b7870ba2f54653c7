//! Hygon's DCUs, through their fork of ROCm's management library.

mod probe;

pub(crate) use probe::Dcu;
