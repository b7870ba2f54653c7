//! The supervisor with real worker processes: null workers, forked.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod background;
mod bench;
mod imports;
mod lives;
mod measure;
mod requests;
mod variants;
