//! Cambricon's accelerators, through CNDev.

mod load;
mod probe;
mod sys;

pub(crate) use probe::Cndev;
