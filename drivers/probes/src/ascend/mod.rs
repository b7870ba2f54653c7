//! Huawei's Ascend processors, through DCMI in both of its generations.

mod load;
mod probe;
mod sys;

pub(crate) use probe::{Dcmi, DcmiV2};
