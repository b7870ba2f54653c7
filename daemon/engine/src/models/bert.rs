//! BERT (arXiv 1810.04805; configuration as in `transformers`, `BertConfig`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new(
    "bert",
    "BERT",
    TENSORS,
    |settings| encoders::bert(settings, 0),
    tiny,
)
.ignoring(encoders::IGNORED);

const TENSORS: &[&[TensorName]] = &[encoders::BERT];

fn tiny() -> Value {
    json!([{"type_vocab_size": 2, "layer_norm_eps": 1e-12, "rms_norm_eps": null, "rope_theta": null}])
}
