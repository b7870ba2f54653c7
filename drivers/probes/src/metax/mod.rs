//! MetaX' cards, through mxSml.

mod load;
mod probe;
mod sys;

pub(crate) use probe::Mxsml;
