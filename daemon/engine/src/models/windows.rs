//! Which layers see only a window of positions, from settings.

use serde_json::{Value, json};

use super::settings::Settings;
use super::{ModelError, keys};
use crate::blocks::DecoderLayer;

/// GGUF's list of the layers that have a window: true or false a layer.
const PATTERN: &str = "attention.sliding_window_pattern";

/// The window of each layer. `config.json` lists the layers' types; else `default` tells which of them have one. In
/// GGUF files without a list, `default` does.
pub(super) fn by_layer(
    settings: &mut Settings,
    layers: usize,
    default: impl Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>, ModelError> {
    let name = if settings.is_gguf() {
        PATTERN
    } else {
        "layer_types"
    };
    let slides = match settings.take(name) {
        None | Some(Value::Null) => (0..layers).map(default).collect(),
        Some(listed) => listed_layers(name, &listed, layers)?,
    };
    if !slides.contains(&true) && !settings.has_positive(keys::WINDOW) {
        settings.take("sliding_window");
        return Ok(vec![None; layers]);
    }
    let window = settings.optional_integer(keys::WINDOW)?;
    if window.is_some() {
        settings.record_flags(PATTERN, slides.clone());
    }
    Ok(slides.iter().map(|slides| window.filter(|_| *slides)).collect())
}

/// The window of each layer when every so many'th layer has none: `usual`, when files do not say how many.
pub(super) fn by_period(
    settings: &mut Settings,
    layers: usize,
    usual: usize,
) -> Result<Vec<Option<usize>>, ModelError> {
    let listed = settings.peek("layer_types").is_some_and(|types| !types.is_null());
    let mut period = Some(usual);
    for name in ["_sliding_window_pattern", "sliding_window_pattern"] {
        match settings.take_huggingface(name) {
            None => {}
            Some(Value::Null) => period = None,
            Some(value) => match value.as_u64().and_then(|value| usize::try_from(value).ok()) {
                Some(value) => period = Some(value).filter(|value| *value > 0),
                None if listed => {}
                None => return Err(ModelError::setting(name, &value, "a whole number of layers")),
            },
        }
    }
    by_layer(settings, layers, |layer| {
        period.is_some_and(|period| !(layer + 1).is_multiple_of(period))
    })
}

/// The same where `use_sliding_window` switches all windows on.
pub(super) fn switched(
    settings: &mut Settings,
    layers: usize,
    default: impl Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>, ModelError> {
    if settings.is_gguf() {
        return by_layer(settings, layers, |_| false);
    }
    if !settings.flag("use_sliding_window", false)? {
        for name in ["layer_types", "sliding_window"] {
            settings.take(name);
        }
        return Ok(vec![None; layers]);
    }
    by_layer(settings, layers, default)
}

/// The same, with windows from layer `max_window_layers` on.
pub(super) fn of_late_layers(
    settings: &mut Settings,
    layers: usize,
) -> Result<Vec<Option<usize>>, ModelError> {
    let border = border(settings)?;
    switched(settings, layers, |layer| layer as u64 >= border)
}

/// The same, with windows on every other layer before layer `max_window_layers`.
pub(super) fn of_every_other_layer(
    settings: &mut Settings,
    layers: usize,
) -> Result<Vec<Option<usize>>, ModelError> {
    let border = border(settings)?;
    switched(settings, layers, |layer| {
        layer % 2 == 0 && (layer as u64) < border
    })
}

fn border(settings: &mut Settings) -> Result<u64, ModelError> {
    /// What `transformers` takes for a file that does not say.
    const DEFAULT: u64 = 28;
    let name = "max_window_layers";
    match settings.take_huggingface(name) {
        None | Some(Value::Null) => Ok(DEFAULT),
        Some(border) => border
            .as_u64()
            .ok_or_else(|| ModelError::setting(name, &border, "a whole number of layers")),
    }
}

/// The one window of all layers, if there is one. Where there is a switch for it, it is on.
pub(super) fn of_all_layers(settings: &mut Settings) -> Result<Option<usize>, ModelError> {
    if !settings.flag("use_sliding_window", true)? || settings.peek("sliding_window") == Some(json!(0)) {
        settings.take("sliding_window");
        return Ok(None);
    }
    settings.optional_integer(keys::WINDOW)
}

/// Gives a layer its window.
pub(super) fn set(windows: &[Option<usize>]) -> impl Fn(usize, &mut DecoderLayer) {
    move |index, layer| layer.attention.window = windows[index]
}

/// Which layers have a window by the list called `name`, which is there.
pub(super) fn listed(settings: &mut Settings, name: &str, layers: usize) -> Result<Vec<bool>, ModelError> {
    let listed = settings.take(name).unwrap_or(Value::Null);
    listed_layers(name, &listed, layers)
}

fn listed_layers(name: &str, listed: &Value, layers: usize) -> Result<Vec<bool>, ModelError> {
    let slides = |kind: &Value| match kind {
        Value::Bool(slides) => Some(*slides),
        kind if *kind == json!("sliding_attention") => Some(true),
        kind if *kind == json!("full_attention") => Some(false),
        _ => None,
    };
    let all: Option<Vec<bool>> = listed
        .as_array()
        .filter(|kinds| kinds.len() >= layers)
        .and_then(|kinds| kinds[..layers].iter().map(slides).collect());
    all.ok_or_else(|| {
        let reason = format!("{layers} times sliding_attention or full_attention");
        ModelError::setting(name, listed, reason)
    })
}
