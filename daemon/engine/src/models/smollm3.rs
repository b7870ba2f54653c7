//! SmolLM3 (`SmolLM3Config` of `transformers`): Llama with some layers that know no positions (arXiv 2305.19466).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("smollm3", "SmolLM3", tensors::LLAMA, declare, tiny)
    // Of Qwen3's windows; here the layers that do not rotate have them.
    .ignoring(&["max_window_layers"]);

fn tiny() -> Value {
    json!([{"num_hidden_layers": 4}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    settings.suppose("rope_theta", json!(2e6));
    settings.suppose("tie_word_embeddings", json!(true));
    let sizes = Sizes::read(settings)?;
    let rotating = sizes.rotating(settings, RopePairing::Halves)?;
    let attention = biases::of_attention(settings, rotating)?;
    let mlp = sizes.gated(settings, Activation::Silu)?;
    let mlp = biases::of_gated(settings, mlp)?;
    let rotates = rope::layers(settings, sizes.layers)?;
    let windows = windows::switched(settings, sizes.layers, |layer| !rotates[layer])?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        windows::set(&windows)(index, layer);
        layer.attention.rope.take_if(|_| !rotates[index]);
    });
    sizes.decoder(settings, layers)
}
