//! Moore Threads' cards, through MTML.

mod load;
mod probe;
mod sys;

pub(crate) use probe::Mtml;
