//! Every maker's library, as a stub that implements its ABI: right values, and everything that goes wrong.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

mod broken;
mod isolation;
mod stub;
mod values;
mod watch;
