//! Files that the daemon keeps beside models. What is in them came from workers and is not trusted.

mod digests;
mod incoming;
mod manifest;
mod measuring;
mod record;
mod sensitivity;

pub use digests::{KnownDigest, MAX_DIGESTS_BYTES, read_digests, write_digests};
pub use incoming::{read_incoming, write_incoming};
pub use manifest::{MAX_MANIFEST_BYTES, ManifestError, read_manifest, write_manifest};
pub use measuring::{MAX_MEASURING_BYTES, Measuring, read_measuring, write_measuring};
pub use record::{FileRecord, RecordError, read_record, write_record};
pub use sensitivity::{FileError, MAX_SENSITIVITY_BYTES, read_sensitivity, write_sensitivity};
