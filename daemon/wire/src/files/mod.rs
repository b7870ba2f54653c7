//! Files that the daemon keeps beside models. What is in them came from workers and is not trusted.

mod sensitivity;

pub use sensitivity::{FileError, MAX_SENSITIVITY_BYTES, read_sensitivity, write_sensitivity};
