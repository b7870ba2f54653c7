//! Sizes of memory as people write them.

use mains_types::{NoSize, parse_size};

/// The bytes that `text` means, rounded down.
pub(crate) fn parse(text: &str) -> Result<u64, NoSize> {
    parse_size(text).map(|bytes| bytes.0)
}
