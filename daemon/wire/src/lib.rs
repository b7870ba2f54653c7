//! Versioned types on the wire: HTTP bodies and worker frames.

pub mod files;
pub mod frames;
pub mod http;
