//! The model that every installation has.

/// Its name.
pub(crate) const NAME: &str = "pilot";

/// Its file.
pub(crate) const GGUF: &[u8] = include_bytes!("../pilot/pilot.gguf");

/// SHA-256 of [`GGUF`], made when it is compiled: hashing it at every start would keep it resident.
pub(crate) const DIGEST: [u8; 32] = *include_bytes!(concat!(env!("OUT_DIR"), "/pilot.sha256"));
