//! Models on disk: the store folder, configured paths and the embedded pilot.
//!
//! Invariant: no model's contents are interpreted here; they are hashed and copied only.

mod catalogue;
mod error;
mod identity;
mod name;
mod pilot;
mod store;
mod write;

pub use catalogue::{Catalogue, Configured};
pub use error::StoreError;
pub use identity::Identity;
pub use name::{MAX_NAME_BYTES, check_name};
pub use store::Store;
pub use write::write_whole;
