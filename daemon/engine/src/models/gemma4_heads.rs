//! Widths of Gemma 4's heads, which differ by layer.

use serde_json::Value;

use super::ModelError;
use super::keys::{self, Key, in_gguf};
use super::settings::Settings;
use super::sizes::Sizes;

/// Of layers with a window. GGUF's usual keys are those of the others.
const SLIDING: [Key; 2] = [
    in_gguf("attention.key_length_swa"),
    in_gguf("attention.value_length_swa"),
];

/// Width of a head and number of key heads of each layer.
pub(super) fn read(
    settings: &mut Settings,
    sizes: &Sizes,
    windows: &[Option<usize>],
    kv_heads: Option<Vec<usize>>,
    one_projection: bool,
) -> Result<Vec<(usize, usize)>, ModelError> {
    if settings.is_gguf() {
        let mut sliding = sizes.head_dim;
        for key in SLIDING {
            sliding = settings.integer_or(key, sliding)?;
        }
        let kv_heads = kv_heads.unwrap_or_else(|| vec![sizes.kv_heads; sizes.layers]);
        let width = |window: &Option<usize>| window.map_or(sizes.head_dim, |_| sliding);
        return Ok(windows.iter().map(width).zip(kv_heads).collect());
    }
    let heads = of_config(settings, sizes, windows, one_projection)?;
    let kv_heads: Vec<usize> = heads.iter().map(|(_, kv_heads)| *kv_heads).collect();
    settings.record_per_layer(keys::KV_HEADS, &kv_heads);
    let full = windows.iter().position(Option::is_none);
    if let Some(layer) = full {
        settings.record_instead(keys::HEAD_DIM, heads[layer].0);
        settings.record_instead(keys::VALUE_DIM, heads[layer].0);
    }
    for key in SLIDING {
        settings.record_instead(key, sizes.head_dim);
    }
    Ok(heads)
}

fn of_config(
    settings: &mut Settings,
    sizes: &Sizes,
    windows: &[Option<usize>],
    one_projection: bool,
) -> Result<Vec<(usize, usize)>, ModelError> {
    let global = settings.count_or("global_head_dim", 512)?;
    let global_kv = settings.count_or("num_global_key_value_heads", sizes.kv_heads)?;
    let mut heads = vec![(sizes.head_dim, sizes.kv_heads); sizes.layers];
    let name = "per_layer_config";
    let Some(Value::Object(listed)) = settings.take(name) else {
        for (heads, window) in heads.iter_mut().zip(windows) {
            if window.is_none() {
                *heads = (global, if one_projection { global_kv } else { sizes.kv_heads });
            }
        }
        return Ok(heads);
    };
    for (index, changes) in &listed {
        let name = format!("{name}.{index}");
        let refused = || ModelError::setting(&name, changes, "only head_dim and num_key_value_heads");
        let layer = index.parse().ok().filter(|index: &usize| *index < sizes.layers);
        let (Some(layer), Some(changes)) = (layer, changes.as_object()) else {
            return Err(refused());
        };
        for (key, value) in changes {
            let value = value.as_u64().and_then(|value| usize::try_from(value).ok());
            match (key.as_str(), value.filter(|value| *value > 0)) {
                ("head_dim", Some(value)) => heads[layer].0 = value,
                ("num_key_value_heads", Some(value)) => heads[layer].1 = value,
                _ => return Err(refused()),
            }
        }
    }
    Ok(heads)
}
