//! BERT (arXiv 1810.04805; configuration as in `transformers`, `BertConfig`).

use super::encoders;
use super::family::Family;

/// The declaration.
pub(super) const FAMILY: Family = Family {
    name: "bert",
    gguf: "bert",
    gguf_marker: None,
    display_name: "BERT",
    ignored: encoders::IGNORED,
    tensors: &[encoders::BERT],
    declare: |settings| encoders::bert(settings, 0),
};
