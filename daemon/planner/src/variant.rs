//! What makes two plans answer alike.

use mains_contract::BlockFormat;
use mains_types::{Digest, PlannedTensor};
use sha2::{Digest as _, Sha256};

/// Names the scheme, so that a later one can not collide with it.
const DOMAIN: &[u8] = b"mains variant 1";

/// The digest of the model's files and of every choice that changes answers on a device. Context and sequences at once do
/// not: a step's numbers are the same whatever else is in it.
pub(crate) fn digest(model: &Digest, kv_format: BlockFormat, tensors: &[PlannedTensor]) -> Digest {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        // Lengths in front keep two fields from reading as one.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(DOMAIN);
    field(&model.0);
    field(kv_format.name().as_bytes());
    for tensor in tensors {
        field(tensor.name.as_bytes());
        field(tensor.format.name().as_bytes());
    }
    Digest(hash.finalize().into())
}
