//! Every op x driver and every family x driver, against the reference.
//!
//! [`families`] loads models and compares them with published outputs, for `tests/families*.rs`.

pub mod families;
