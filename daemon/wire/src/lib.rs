//! Versioned types on the wire: HTTP bodies and worker frames.

pub mod frames;
pub mod http;
