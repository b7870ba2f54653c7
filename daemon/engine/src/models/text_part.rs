//! What of a model's files is the language model itself.
//!
//! Files may hold more: networks that see or hear, and layers that guess several tokens ahead (multi-token prediction,
//! arXiv 2404.19737). None of that is part of the logits of a text, and it is left out; everything else must be used.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};

/// Values of `model_type` whose `text_config` is one of ours.
const WRAPPERS: [&str; 4] = ["gemma3", "gemma4", "mistral3", "qwen3_5"];

/// Where the names of the language model's tensors begin in files of such types, and what stands there else.
const PREFIXES: [(&str, &str); 3] = [
    ("model.language_model.", "model."),
    ("language_model.", ""),
    ("lm_head.", "lm_head."),
];

/// Settings that hold for the language model too when they stand outside of its own.
const INHERITED: [&str; 4] = [
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "tie_word_embeddings",
];

/// Which tensors of the files are the language model's.
#[derive(Debug)]
pub(super) struct TextPart {
    wrapped: bool,
    /// How names of layers begin, before their number.
    layer_prefix: &'static str,
    /// Layers that guess ahead.
    guessing: Range<u64>,
}

impl TextPart {
    /// That of a Hugging Face folder with this `config.json`.
    pub(super) fn of_folder(config: &Value) -> Self {
        let own = own_config(config);
        let number = |name: &str| own.get(name).and_then(Value::as_u64).unwrap_or(0);
        let layers = number("num_hidden_layers");
        Self {
            wrapped: is_wrapped(config),
            layer_prefix: "model.layers.",
            guessing: layers..layers.saturating_add(number("num_nextn_predict_layers")),
        }
    }

    /// That of a GGUF file with these hyperparameters of its architecture. Its layers count those that guess.
    pub(super) fn of_gguf(hyperparameters: &Map<String, Value>) -> Self {
        let number = |name: &str| hyperparameters.get(name).and_then(Value::as_u64).unwrap_or(0);
        let layers = number("block_count");
        Self {
            wrapped: false,
            layer_prefix: "blk.",
            guessing: layers.saturating_sub(number("nextn_predict_layers"))..layers,
        }
    }

    /// What the tensor called `name` is called in files of the language model alone; none when it is not part of it.
    pub(super) fn name<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        let own = if self.wrapped {
            let mut prefixes = PREFIXES.iter();
            let found = prefixes.find_map(|(prefix, own)| Some((own, name.strip_prefix(prefix)?)));
            let (own, rest) = found?;
            Cow::Owned(format!("{own}{rest}"))
        } else {
            Cow::Borrowed(name)
        };
        let layer = own.strip_prefix(self.layer_prefix);
        let layer = layer.and_then(|rest| rest.split('.').next()?.parse().ok());
        let guesses = own.starts_with("mtp.") || layer.is_some_and(|layer| self.guessing.contains(&layer));
        (!guesses).then_some(own)
    }
}

/// The language model's own configuration.
pub(super) fn own_config(config: &Value) -> Cow<'_, Value> {
    let Some(Value::Object(own)) = config.get("text_config").filter(|_| is_wrapped(config)) else {
        return Cow::Borrowed(config);
    };
    let mut own = own.clone();
    for name in INHERITED {
        if let Some(value) = config.get(name) {
            own.entry(name).or_insert_with(|| value.clone());
        }
    }
    Cow::Owned(Value::Object(own))
}

fn is_wrapped(config: &Value) -> bool {
    let kind = config.get("model_type").and_then(Value::as_str);
    kind.is_some_and(|kind| WRAPPERS.contains(&kind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{TextPart, own_config};

    #[test]
    fn only_what_computes_the_logits_of_a_text_is_the_language_models() {
        let config = json!({
            "model_type": "qwen3_5",
            "tie_word_embeddings": true,
            "text_config": {"model_type": "qwen3_5_text", "num_hidden_layers": 2},
            "vision_config": {},
        });
        let own = own_config(&config);
        assert_eq!(own["model_type"], "qwen3_5_text");
        assert_eq!(own["tie_word_embeddings"], true);
        let part = TextPart::of_folder(&config);
        let own = |name: &'static str| part.name(name).map(std::borrow::Cow::into_owned);
        let name = own("model.language_model.layers.1.mlp.up_proj.weight");
        assert_eq!(name.as_deref(), Some("model.layers.1.mlp.up_proj.weight"));
        assert_eq!(own("lm_head.weight").as_deref(), Some("lm_head.weight"));
        assert_eq!(own("model.visual.patch_embed.weight"), None);
        assert_eq!(own("mtp.fc.weight"), None);
    }

    #[test]
    fn layers_that_guess_ahead_are_no_part_of_it() {
        let config =
            json!({"model_type": "glm4_moe", "num_hidden_layers": 46, "num_nextn_predict_layers": 1});
        let part = TextPart::of_folder(&config);
        assert!(part.name("model.layers.45.self_attn.q_proj.weight").is_some());
        assert!(part.name("model.layers.46.self_attn.q_proj.weight").is_none());
        assert!(part.name("model.layers.47.self_attn.q_proj.weight").is_some());
        let metadata = json!({"block_count": 47, "nextn_predict_layers": 1});
        let part = TextPart::of_gguf(metadata.as_object().unwrap());
        assert!(part.name("blk.45.attn_q.weight").is_some());
        assert!(part.name("blk.46.attn_q.weight").is_none());
    }
}
