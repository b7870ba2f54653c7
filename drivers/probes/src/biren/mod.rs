//! Biren's cards, through BRML.

mod probe;
mod sys;

pub(crate) use probe::Brml;
