//! XLM-RoBERTa (arXiv 1911.02116; configuration as in `transformers`, `XLMRobertaConfig`). GGUF has it as BERT, without the
//! rows of positions that are never used.

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("xlm-roberta", "XLM-RoBERTa", &[encoders::BERT], declare, tiny)
    .in_gguf("bert")
    .ignoring(encoders::IGNORED);

fn tiny() -> Value {
    json!([{"pad_token_id": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "rms_norm_eps": null, "rope_theta": null}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    // Positions are counted from behind the padding token's id.
    let unused = if settings.is_gguf() {
        0
    } else {
        settings.count_or("pad_token_id", 1)? + 1
    };
    encoders::bert(settings, unused)
}
