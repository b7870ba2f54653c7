//! What can be wrong with a frame.

/// A frame that could not be sent or was refused.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The frame is larger than its direction allows.
    #[error("a frame of {bytes} bytes exceeds the bound of {max} bytes")]
    Oversize {
        /// Its bytes.
        bytes: usize,
        /// The bound, see [`super::Frame::MAX_BYTES`].
        max: usize,
    },
    /// The bytes are no value of the expected type.
    #[error("malformed frame: {0}")]
    Malformed(#[from] postcard::Error),
    /// Bytes are left after the value.
    #[error("malformed frame: {0} bytes after its end")]
    Trailing(usize),
    /// A text or a list exceeds its bound, see [`super::bounds`].
    #[error("{what}: {found} exceeds the bound of {max}")]
    Bound {
        /// The field.
        what: &'static str,
        /// Its bytes or items.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// A field holds what its type never means.
    #[error("{what}: {reason}")]
    Invalid {
        /// The field.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The other side speaks another version of the frames.
    #[error("the other side speaks version {theirs} of the frames (build {build}), this one version {ours}")]
    Version {
        /// Their version.
        theirs: u32,
        /// Their build.
        build: String,
        /// Our version.
        ours: u32,
    },
    /// The connection failed, or ended inside a frame.
    #[error("connection between mainsd and worker: {0}")]
    Connection(#[from] std::io::Error),
}
