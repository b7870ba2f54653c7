//! Every op x driver and every family x driver, against the reference.
//!
//! [`families`] loads models and compares them with published outputs, for `tests/families*.rs`; [`exam`] is the pilot's.
//! [`ops`] is what the tests of operations share; `tests/ops*.rs` hold them.

pub mod exam;
pub mod families;
pub mod ops;
pub mod seeds;
pub mod segments;
