//! Who asks. Identity on a Unix socket is the kernel's word, never the client's.

/// The peer of a connection as the kernel reported it at accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// User id (`SO_PEERCRED`).
    pub uid: u32,
    /// Primary group id (`SO_PEERCRED`).
    pub gid: u32,
    /// Process id, when the kernel gives one.
    pub pid: Option<u32>,
    /// Supplementary groups (`SO_PEERGROUPS`).
    pub groups: Vec<u32>,
    /// The systemd unit of the process, found through its pidfd.
    pub unit: Option<String>,
}

/// A peer with the team that pays for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The peer.
    pub peer: Peer,
    /// The team's name.
    pub team: String,
}
