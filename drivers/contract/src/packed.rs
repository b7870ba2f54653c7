//! Weights in a driver's own layout, made once and mapped at every load.
//!
//! A layout is a lossless bijection of a block format: [`Packer::pack`] loses nothing and [`Packer::unpack`] gives back every
//! bit. Whoever keeps packed bytes keeps the [`KeptWeight`] with them, and hands them out only when the driver asks for
//! exactly that.

use std::fmt::{self, Debug, Formatter};
use std::ops::Range;
use std::sync::Arc;

use crate::{BlockFormat, DriverError, Graph, WeightData};

/// Bytes that packed weights begin at a multiple of, in memory and in files: a cache line.
pub const PACKED_ALIGNMENT: usize = 64;

/// How a driver keeps one weight of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeptWeight {
    /// The tensor's name.
    pub name: String,
    /// The layout's id: the driver, the arrangement and its version, such as `cpu.groups16.1`. What an id means never
    /// changes.
    pub layout: String,
    /// The format that is arranged.
    pub format: BlockFormat,
    /// Rows.
    pub rows: usize,
    /// Numbers in a row.
    pub cols: usize,
    /// Equal parts, one below the other, each arranged by itself.
    pub parts: usize,
    /// Bytes that it takes, a multiple of [`PACKED_ALIGNMENT`].
    pub bytes: usize,
}

/// A driver whose weights can be packed ahead of a load.
pub trait Packer: Send + Sync {
    /// How the driver keeps the weights of `graph`, in their order, when they come in `formats`. [`crate::FootprintModel::weights`]
    /// is the sum of their bytes.
    fn kept(&self, graph: &Graph, formats: &[BlockFormat]) -> Vec<KeptWeight>;

    /// Arranges `data` as `kept` says in `out`, which has `kept.bytes` zeros.
    ///
    /// # Errors
    /// [`DriverError::Weight`] when the driver has no such layout, or lengths and shapes do not agree.
    fn pack(&self, kept: &KeptWeight, data: &WeightData<'_>, out: &mut [u8]) -> Result<(), DriverError>;

    /// The rows of `kept.format` that `packed` was made of, to `out`, which has as many bytes as they.
    ///
    /// # Errors
    /// As [`Packer::pack`].
    fn unpack(&self, kept: &KeptWeight, packed: &[u8], out: &mut [u8]) -> Result<(), DriverError>;
}

/// A part of memory that is shared and never written, such as a mapped file: it lives as long as anyone has it.
#[derive(Clone)]
pub struct SharedBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl SharedBytes {
    /// Bytes `range` of `owner`; none when it has no such bytes.
    #[must_use]
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Option<Self> {
        (*owner).as_ref().get(range.clone())?;
        Some(Self { owner, range })
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
}

impl Debug for SharedBytes {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "SharedBytes({:?})", self.range)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::SharedBytes;

    #[test]
    fn a_part_lives_on_its_own_and_never_beyond_its_owner() {
        let owner: Arc<Vec<u8>> = Arc::new(vec![1, 2, 3]);
        let part = SharedBytes::new(owner.clone(), 1..3).unwrap();
        assert!(SharedBytes::new(owner.clone(), 2..4).is_none());
        drop(owner);
        assert_eq!(part.as_ref(), [2, 3]);
    }
}
