//! Forms of GGUF files that are no longer written, and are still read.

use std::path::Path;
use std::sync::Arc;

use mains_conformance::families::{Reference, distance, fixtures};
use mains_driver_reference::ReferenceDriver;
use mains_engine::models::{Checkpoint, Model, ModelOptions};
use mains_formats::{Gguf, GgufWriter, HuggingFace, TensorSpec};

/// The file with the one projection, as it is in the folder, in place of its parts in layers with linear attention.
fn with_one_projection(newer: &Gguf, folder: &HuggingFace) -> Vec<u8> {
    let mut specs = Vec::new();
    let mut bytes = Vec::new();
    for tensor in newer.tensors() {
        if tensor.name.ends_with(".attn_gate.weight") {
            continue;
        }
        let (name, tensor) = match tensor.name.strip_suffix(".attn_qkv.weight") {
            Some(layer) => {
                let number = layer.trim_start_matches("blk.");
                let stored = format!("model.layers.{number}.linear_attn.in_proj_qkvz.weight");
                (
                    format!("{layer}.ssm_in.weight"),
                    folder.tensor(&stored).expect("the layer has one"),
                )
            }
            None => (tensor.name.to_owned(), tensor),
        };
        specs.push(TensorSpec {
            name,
            format: tensor.format,
            dims: tensor.dims.to_vec(),
        });
        bytes.push(tensor.bytes.to_vec());
    }
    let metadata: Vec<_> = newer
        .metadata()
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    let mut bytes = bytes.into_iter();
    let mut file = Vec::new();
    let writer = GgufWriter::new(&metadata, specs).expect("it is like the newer one");
    writer
        .write::<std::io::Error>(&mut file, |_, out| {
            out.write_all(&bytes.next().expect("one a tensor"))
        })
        .expect("a vector takes all");
    file
}

#[test]
fn qwen3_next_with_one_projection_for_all_parts_of_linear_attention() {
    let folder = fixtures().join("families/qwen3_next");
    let newer = Gguf::open(&folder.join("model.gguf")).unwrap();
    let older = with_one_projection(&newer, &HuggingFace::open(&folder).unwrap());
    let older = Gguf::from_bytes(older, Path::new("older.gguf")).unwrap();
    assert!(older.find("blk.0.ssm_in.weight").is_some() && older.find("blk.0.attn_qkv.weight").is_none());
    let options = ModelOptions {
        kv_format: mains_contract::BlockFormat::F32,
        ..ModelOptions::default()
    };
    let model = Model::from_checkpoint(Arc::new(Checkpoint::Gguf(older)), &options).unwrap();
    let expected = Reference::in_folder(&folder);
    let found = distance(&model, &ReferenceDriver::new(), &expected);
    assert!(found < 1e-4, "{found:.1e}");
}
