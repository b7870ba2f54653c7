//! Any bytes as `config.json` of a Hugging Face folder whose weights are missing: refused, whatever sizes it names, without taking
//! memory that the files do not justify.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mains_engine::models::{Model, ModelOptions};

/// A folder with one tensor and a tokenizer, in memory where the system has such a place.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("mains-fuzz-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let header = br#"{"model.embed_tokens.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend([0; 16]);
    std::fs::write(folder.join("model.safetensors"), file).expect("a file can be written");
    let tokenizer = include_bytes!("../../daemon/text/tests/fixtures/spm.json");
    std::fs::write(folder.join("tokenizer.json"), tokenizer).expect("a file can be written");
    folder
});

fuzz_target!(|config: &[u8]| {
    std::fs::write(FOLDER.join("config.json"), config).expect("a file can be written");
    if let Err(error) = Model::open(&FOLDER, &ModelOptions::default()) {
        assert!(!error.to_string().is_empty());
    }
});
