//! What an attention's keys and values may be kept in, and how: the same for every driver.

use mains_blocks::{CACHE_BLOCK, rotated_together};

use crate::{BlockFormat, Op};

/// Formats of caches, from the most exact to the smallest.
pub const CACHE_FORMATS: [BlockFormat; 5] = [
    BlockFormat::F32,
    BlockFormat::F16,
    BlockFormat::BF16,
    BlockFormat::Q8_0,
    BlockFormat::Q4_0,
];

/// Why the attention `op` can not keep its keys and values in `format`, if it can not.
#[must_use]
pub fn cache_refusal(op: &Op, format: BlockFormat) -> Option<String> {
    let Op::Attention {
        head_dim, value_dim, ..
    } = op
    else {
        return None;
    };
    if !CACHE_FORMATS.contains(&format) {
        let known = CACHE_FORMATS.map(BlockFormat::name).join(", ");
        return Some(format!(
            "keys and values in {format}; there are caches in {known}"
        ));
    }
    let whole = |width: &usize| width.is_multiple_of(CACHE_BLOCK);
    if format.is_quantized() && !(whole(head_dim) && whole(value_dim)) {
        return Some(format!(
            "heads of {head_dim} and {value_dim} numbers are no whole blocks of {CACHE_BLOCK}: their keys and values \
             can not be kept in {format}; choose F16"
        ));
    }
    None
}

/// How many numbers of a head the attention `op` rotates together ([`mains_blocks::rotate`]) before keys and values are
/// kept in `format`: queries are rotated likewise, and outputs back. None when `format` keeps them as they are.
#[must_use]
pub fn cache_rotation(op: &Op, format: BlockFormat) -> Option<usize> {
    match op {
        // The lowest bit that one of the two has: the largest power of two that divides both.
        Op::Attention {
            head_dim, value_dim, ..
        } if format == BlockFormat::Q4_0 => Some(rotated_together(head_dim | value_dim)),
        _ => None,
    }
}
