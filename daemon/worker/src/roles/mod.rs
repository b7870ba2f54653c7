//! What a worker is for, a file or folder each.

pub(crate) mod convert;
pub(crate) mod eval;
pub(crate) mod families;
pub(crate) mod inspect;
pub(crate) mod logits;
pub(crate) mod measure;
pub(crate) mod orders;
pub(crate) mod pack;
pub(crate) mod probe;
pub(crate) mod run;
pub(crate) mod tokenize;
