//! Enflame's accelerators, through the newer of EFML's two interfaces.

mod probe;
mod sys;

pub(crate) use probe::Efml;
