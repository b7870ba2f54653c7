//! Models on disk: the store folder, configured paths and the embedded pilot.

mod error;

pub use error::StoreError;
