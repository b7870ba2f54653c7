//! State of sequences: which block holds which positions of which sequence, and which slot holds what a sequence has
//! been summed up to.
//!
//! Pure: blocks are numbers here, drivers own the storage. A block may belong to several sequences while none writes to
//! it; before one does, it gets a copy (arXiv 2309.06180).

mod pool;
mod prefix;
#[cfg(test)]
mod prefix_tests;
mod slots;
mod table;

pub use pool::BlockPool;
pub use prefix::{KnownBlock, Prefix, PrefixCache};
pub use slots::SlotPool;
pub use table::{BlockTable, OutOfBlocks};
