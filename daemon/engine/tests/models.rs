//! Models from files: both forms of one tiny model, and every kind of refusal.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use mains_contract::{BlockFormat, WeightSource};
use mains_engine::models::{Cast, Model, ModelOptions, Setting, TensorHints, families, find};
use serde_json::{Value, json};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/families/qwen3")
}

fn open(path: &Path) -> Model {
    Model::open(path, &ModelOptions::default()).unwrap()
}

/// The fixture's folder with `change` made to its configuration.
fn changed(change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["generation_config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(fixture().join(name), folder.path().join(name)).unwrap();
    }
    let mut config = config();
    change(&mut config);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn config() -> Value {
    serde_json::from_slice(&fs::read(fixture().join("config.json")).unwrap()).unwrap()
}

fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let folder = changed(change);
    let error = Model::open(folder.path(), &ModelOptions::default()).unwrap_err();
    error.to_string()
}

#[test]
fn both_forms_are_one_model() {
    let (folder, gguf) = (open(&fixture()), open(&fixture().join("model.gguf")));
    assert_eq!(folder.graph, gguf.graph);
    assert_eq!(
        (folder.family.name, folder.info.layers, folder.info.width),
        ("qwen3", 3, 64)
    );
    assert_eq!((folder.info.vocabulary, folder.info.context), (2048, 4096));
    assert_eq!((&folder.info.eos[..], folder.info.bos), (&[2][..], Some(1)));
    assert_eq!(
        (&gguf.info.eos, gguf.info.bos),
        (&folder.info.eos, folder.info.bos)
    );
    assert_eq!(folder.info.parameters, gguf.info.parameters);
    for weight in folder.graph.weights() {
        let (first, second) = (
            folder.weights.weight(&weight.name),
            gguf.weights.weight(&weight.name),
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(
            (first.rows, first.cols),
            (second.rows, second.cols),
            "{}",
            weight.name
        );
        if first.format == second.format {
            assert_eq!(first.bytes, second.bytes, "{}", weight.name);
        }
    }
}

#[test]
fn weights_are_cast_on_the_way() {
    let options = ModelOptions {
        kv_format: BlockFormat::F32,
        cast: Cast::Matrices(BlockFormat::Q8_0),
        context: None,
    };
    let model = Model::open(&fixture(), &options).unwrap();
    for (weight, format) in model.graph.weights().iter().zip(model.formats()) {
        let expected = if weight.rows == 1 {
            BlockFormat::F32
        } else {
            BlockFormat::Q8_0
        };
        let data = model.weights.weight(&weight.name).unwrap();
        assert_eq!((data.format, format), (expected, expected), "{}", weight.name);
        assert_eq!(Some(data.bytes.len() / data.rows), format.row_bytes(data.cols));
    }
    let one = Cast::Named([("blk.1.attn_q.weight".to_owned(), BlockFormat::F32)].into());
    let options = ModelOptions { cast: one, ..options };
    let model = Model::open(&fixture(), &options).unwrap();
    assert_eq!(
        model.weights.weight("blk.1.attn_q.weight").unwrap().format,
        BlockFormat::F32
    );
    assert_eq!(
        model.weights.weight("blk.0.attn_q.weight").unwrap().format,
        BlockFormat::BF16
    );
}

#[test]
fn a_row_that_does_not_suit_the_format_is_refused() {
    let options = ModelOptions {
        kv_format: BlockFormat::F16,
        cast: Cast::Matrices(BlockFormat::Q4_K),
        context: None,
    };
    let error = Model::open(&fixture(), &options).unwrap_err().to_string();
    assert!(error.contains("whole number of Q4_K blocks of 256"), "{error}");
}

#[test]
fn a_setting_that_is_not_honoured_is_named_with_its_value() {
    for (name, value) in [
        ("use_sliding_window", json!("yes")),
        ("hidden_act", json!("mish")),
        ("rope_scaling", json!({"rope_type": "dynamic", "factor": 4.0})),
        ("num_attention_heads", json!(0)),
        ("num_hidden_layers", json!(1_000_000)),
        ("a_setting_of_next_year", json!(1)),
    ] {
        let error = refusal(|config| config[name] = value.clone());
        assert!(error.contains(name), "{name}: {error}");
    }
    let error = refusal(|config| config["rope_parameters"]["rope_type"] = json!("longerrope"));
    assert!(
        error.contains("rope_parameters.rope_type = \"longerrope\""),
        "{error}"
    );
    let error = refusal(|config| {
        config["use_sliding_window"] = json!(true);
        config["layer_types"] = json!(["chunked_attention"]);
    });
    assert!(error.contains("layer_types"), "{error}");
}

#[test]
fn a_missing_setting_is_named() {
    for name in ["hidden_size", "rms_norm_eps", "vocab_size"] {
        let error = refusal(|config| {
            config.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(error, format!("setting {name} is missing"));
    }
}

#[test]
fn settings_and_tensors_must_agree() {
    let error = refusal(|config| config["intermediate_size"] = json!(96));
    assert!(
        error.contains("mlp.gate_proj.weight: it has 128 x 64 numbers, the settings make it 96 x 64"),
        "{error}"
    );
    let error = refusal(|config| config["num_hidden_layers"] = json!(2));
    assert!(
        error.contains("model.layers.2") && error.contains("no use for it"),
        "{error}"
    );
    let error = refusal(|config| config["tie_word_embeddings"] = json!(false));
    assert!(
        error.contains("output.weight: it is missing (lm_head.weight in Hugging Face files)"),
        "{error}"
    );
    let error = refusal(|config| config["eos_token_id"] = json!(2048));
    assert!(error.contains("the vocabulary has 2048 tokens"), "{error}");
}

#[test]
fn an_unknown_architecture_lists_the_known_ones() {
    let error = refusal(|config| config["model_type"] = json!("perceiver"));
    let known: Vec<&str> = families().iter().map(|family| family.name).collect();
    assert_eq!(
        error,
        format!(
            "architecture perceiver is not supported; supported are: {}",
            known.join(", ")
        )
    );
}

#[test]
fn older_files_keep_the_rope_base_at_the_top() {
    let folder = changed(|config| {
        config.as_object_mut().unwrap().remove("rope_parameters");
        config["rope_theta"] = json!(10_000.0);
        config["rope_scaling"] = Value::Null;
    });
    assert_eq!(open(folder.path()).graph, open(&fixture()).graph);
}

#[test]
fn exported_settings_are_those_of_the_published_file() {
    let hints = TensorHints {
        embedding_rows: 2048,
        ..TensorHints::default()
    };
    let family = find("qwen3").unwrap();
    let exported = family.gguf_metadata(&config(), hints).unwrap();
    assert_eq!(
        exported[0],
        ("general.architecture".to_owned(), Setting::Text("qwen3"))
    );
    let published = mains_formats::Gguf::open(&fixture().join("model.gguf")).unwrap();
    for (key, setting) in &exported {
        let expected = match setting {
            Setting::Integer(value) => mains_formats::Value::U32(*value),
            Setting::Number(value) => mains_formats::Value::F32(*value),
            Setting::Text(value) => mains_formats::Value::String((*value).to_owned()),
            other => panic!("{key}: {other:?} is not expected"),
        };
        assert_eq!(published.metadata().get(key), Some(&expected), "{key}");
    }
    let named = |(key, _): &(&str, &mains_formats::Value)| key.starts_with("qwen3.");
    assert_eq!(
        exported.len() - 1,
        published.metadata().iter().filter(named).count()
    );
}

#[test]
fn no_two_families_share_six_lines_in_a_row() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/models");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let declarations: Vec<(PathBuf, String)> = files
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .filter(|(_, text)| text.contains("pub(super) const FAMILY: Family"))
        .collect();
    assert_eq!(declarations.len(), families().len());
    let mut seen: HashMap<Vec<&str>, &Path> = HashMap::new();
    for (path, text) in &declarations {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for run in lines.windows(6) {
            let first = *seen.entry(run.to_vec()).or_insert(path);
            assert!(
                first == path,
                "{} and {} share {run:#?}",
                first.display(),
                path.display()
            );
        }
    }
}
