//! EXAONE 4.0 (arXiv 2507.11407; configuration as in `transformers`, `Exaone4Config`).

use super::prelude::*;

/// The declaration.
pub(super) const FAMILY: Family = Family::new("exaone4", "EXAONE 4.0", TENSORS, declare, tiny);

const TENSORS: &[&[TensorName]] = &[
    tensors::HEAD_NORMS,
    tensors::NORMS_AFTER,
    tensors::GATED,
    tensors::ENDS,
    tensors::QUERY_KEY,
    tensors::VALUE,
    tensors::OUTPUT,
];

fn tiny() -> Value {
    json!([{"sliding_window": 8, "sliding_window_pattern": 2}])
}

fn declare(settings: &mut Settings) -> Result<Architecture, ModelError> {
    let sizes = Sizes::read(settings)?;
    settings.suppose("sliding_window", json!(4096));
    let attention = Attention {
        head_norm: Some(HeadNorm::of_heads(sizes.norm)),
        ..sizes.rotating(settings, RopePairing::Halves)?
    };
    let mlp = sizes.gated(settings, Activation::Silu)?;
    // Where there is a window, layers without one tell positions apart by what the others left alone.
    let windowed = settings.has(keys::WINDOW);
    let windows = windows::by_period(settings, sizes.layers, 4)?;
    let layers = sizes.layers(&attention, mlp, |index, layer| {
        layer.attention.window = windows[index];
        if windowed && windows[index].is_none() {
            layer.attention.rope = None;
        }
    });
    sizes.arranged(settings, Arrangement::POST, layers)
}
