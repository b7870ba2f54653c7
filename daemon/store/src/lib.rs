//! Models on disk: the store folder, configured paths and the embedded pilot.
//!
//! Invariant: no model's contents are interpreted here; they are hashed and copied only.

mod cache;
mod catalogue;
mod disk;
mod error;
mod identity;
mod library;
mod name;
mod pilot;
mod store;
mod write;

pub use cache::{Cache, NewFile, Stamp};
pub use catalogue::{Catalogue, Configured};
pub use disk::{Disk, DiskFile, Space, SystemDisk};
pub use error::StoreError;
pub use identity::Identity;
pub use library::{KEEP_INCOMING, Library, Placed, Removed, Unpacking, content_digest, stored_names};
pub use name::{MAX_NAME_BYTES, check_name};
pub use store::Store;
pub use write::{digest as digest_of, write_whole};
