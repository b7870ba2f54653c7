//! A configuration of models small enough for any test, which families lay their own settings over.

use serde_json::{Map, Value, json};

/// Two layers with heads of 12, in sizes that are no multiples of 32. What is null is not there.
pub(super) fn base() -> Value {
    json!({
        "vocab_size": 96,
        "hidden_size": 40,
        "intermediate_size": 56,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 12,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": false,
    })
}

/// The settings of `base` with those of `own` in their place.
pub(super) fn laid(base: Value, own: Value) -> Value {
    let settings = [base, own].into_iter().filter_map(|settings| match settings {
        Value::Object(settings) => Some(settings),
        _ => None,
    });
    Value::Object(settings.flatten().collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mains_contract::{BlockFormat, Graph};
    use serde_json::{Map, Value, json};

    use crate::models::families;
    use crate::models::family::{Family, Setting};
    use crate::models::settings::{Settings, TensorHints};

    const KV_FORMAT: BlockFormat = BlockFormat::F16;

    /// What a GGUF file of a model with this graph tells beside its metadata.
    fn hints(graph: &Graph, config: &Settings) -> TensorHints {
        let rows = |name: &str| graph.weights().iter().find(|weight| weight.name == name);
        TensorHints {
            embedding_rows: rows("token_embd.weight").map_or(0, |weight| weight.rows),
            token_types: rows("token_types.weight").map(|weight| weight.rows),
            names: graph.weights().iter().map(|weight| weight.name.clone()).collect(),
            rope_factors: config.rope_factors(),
        }
    }

    fn json_of(setting: &Setting) -> Value {
        match setting {
            Setting::Integer(value) => json!(value),
            Setting::Number(value) => json!(value),
            Setting::Text(value) => json!(value),
            Setting::Flag(value) => json!(value),
            Setting::Flags(values) => json!(values),
            Setting::Integers(values) => json!(values),
        }
    }

    fn through_gguf(family: &Family, config: &Value) -> (Graph, Graph) {
        let mut settings = Settings::from_huggingface(config, TensorHints::default()).unwrap();
        let refused = |error| -> Graph { panic!("{} with {config}: {error}", family.name) };
        let declared = family
            .declare(&mut settings)
            .unwrap_or_else(|error| panic!("{}: {error}", family.name));
        let graph = declared.graph(KV_FORMAT).unwrap();
        let hints = hints(&graph, &settings);
        let metadata: Map<String, Value> = settings
            .into_read()
            .iter()
            .map(|(key, setting)| ((*key).to_owned(), json_of(setting)))
            .collect();
        let mut settings = Settings::from_gguf(metadata, hints);
        let again = family
            .declare(&mut settings)
            .map(|declared| declared.graph(KV_FORMAT).unwrap());
        (graph, again.unwrap_or_else(refused))
    }

    #[test]
    fn tiny_models_are_the_same_through_gguf() {
        for family in families() {
            for config in family.tiny() {
                let (graph, again) = through_gguf(family, &config);
                assert!(graph == again, "{} with {config}", family.name);
            }
        }
    }

    #[test]
    fn every_weight_of_a_tiny_model_has_a_name_in_both_forms() {
        for family in families() {
            assert!(
                !family.tiny().is_empty(),
                "{} has no tiny configuration",
                family.name
            );
            for config in family.tiny() {
                let graph = family.graph(&config, KV_FORMAT);
                let graph = graph.unwrap_or_else(|error| panic!("{} with {config}: {error}", family.name));
                let names: BTreeSet<&str> = graph.weights().iter().map(|weight| &weight.name[..]).collect();
                assert_eq!(names.len(), graph.weights().len());
                for name in names {
                    assert!(family.has_tensor(name), "{} has no tensor {name}", family.name);
                }
            }
        }
    }
}
