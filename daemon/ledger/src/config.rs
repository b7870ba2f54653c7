//! How a ledger is kept.

/// Choices of a ledger. The default is right for a disk; tests replace parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Bytes that are held back for running requests. 8 MiB take the settlements of some 20,000 requests.
    pub reserve_bytes: u64,
    /// New requests are accepted again when so many bytes are free beside the reserve.
    pub resume_bytes: u64,
    /// Name of a registered SQLite VFS; the system's own when absent.
    pub vfs: Option<String>,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            reserve_bytes: 8 << 20,
            resume_bytes: 32 << 20,
            vfs: None,
        }
    }
}
