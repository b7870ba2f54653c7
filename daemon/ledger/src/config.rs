//! How a ledger is kept.

use std::sync::Arc;

use crate::disk::{Disk, SystemDisk};

/// Choices of a ledger. The default is right for a disk; tests replace parts.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// Bytes that are held back for running requests. The write-ahead log grows to 4 MiB between checkpoints and is
    /// then written again from its start: 8 MiB let running requests go on to their end.
    pub reserve_bytes: u64,
    /// New requests are accepted again when so many bytes are free beside the reserve: room for some 50,000 rows, so
    /// that a disk at its brim does not flip between states.
    pub resume_bytes: u64,
    /// Name of a registered SQLite VFS; the system's own when absent.
    pub vfs: Option<String>,
    /// The disk that holds the reserve.
    pub disk: Arc<dyn Disk>,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            reserve_bytes: 8 << 20,
            resume_bytes: 32 << 20,
            vfs: None,
            disk: Arc::new(SystemDisk),
        }
    }
}
