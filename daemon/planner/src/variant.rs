//! What makes two plans answer alike, and what makes two files of weights the same.

use mains_contract::BlockFormat;
use mains_types::{Digest, ModelFacts, PlannedTensor};
use sha2::{Digest as _, Sha256};

/// Name the schemes, so that a later one can not collide with them. The number of the first is raised too when the quantizers make
/// other bits of the same tensor, which `tests/bits.rs` of mains-blocks notices.
const WEIGHTS: &[u8] = b"mains weights 1";
const VARIANT: &[u8] = b"mains variant 2";

/// The digest of the model's files and of the type of every tensor. Where a type is not that of the files, how it is
/// quantized counts as well: by which importance, or without.
pub(crate) fn weights(facts: &ModelFacts, tensors: &[PlannedTensor]) -> Digest {
    let stored = facts.tensors.iter().map(|tensor| tensor.format);
    let changed = !tensors.iter().map(|tensor| tensor.format).eq(stored);
    let importance = facts.importance.filter(|_| changed);
    let mut hash = Fields::new(WEIGHTS);
    hash.field(&facts.digest.0);
    hash.field(importance.as_ref().map_or(&[], |digest| &digest.0));
    for tensor in tensors {
        hash.field(tensor.name.as_bytes());
        hash.field(tensor.format.name().as_bytes());
    }
    hash.digest()
}

/// The digest of the weights and of every other choice that changes answers on a device. Context and sequences at once do
/// not: a step's numbers are the same whatever else is in it.
pub(crate) fn digest(weights: &Digest, kv_format: BlockFormat) -> Digest {
    let mut hash = Fields::new(VARIANT);
    hash.field(&weights.0);
    hash.field(kv_format.name().as_bytes());
    hash.digest()
}

/// Whether plans with the digest `variant` are answered by these `weights`, whatever type their keys and values are in.
#[must_use]
pub fn is_variant_of(variant: &Digest, weights: &Digest) -> bool {
    let mut kv_formats = BlockFormat::ALL.into_iter();
    kv_formats.any(|kv_format| digest(weights, kv_format) == *variant)
}

/// Fields one after the other, each with its length: so that two never read as one.
struct Fields(Sha256);

impl Fields {
    fn new(domain: &[u8]) -> Self {
        let mut fields = Self(Sha256::new());
        fields.field(domain);
        fields
    }

    fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}
