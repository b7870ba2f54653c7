//! Any bytes as the index of a sharded checkpoint: refused, or every tensor lies in the file that the index names.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mains_formats::HuggingFace;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("mains-fuzz-index-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    for (name, tensor) in [("a.safetensors", "a"), ("b.safetensors", "b")] {
        let header = format!(r#"{{"{tensor}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend([0; 8]);
        std::fs::write(folder.join(name), file).expect("a file can be written");
    }
    std::fs::write(folder.join("config.json"), "{}").expect("a file can be written");
    std::fs::write(folder.join("tokenizer.json"), "{}").expect("a file can be written");
    folder
});

fuzz_target!(|index: &[u8]| {
    std::fs::write(FOLDER.join("model.safetensors.index.json"), index).expect("a file can be written");
    if let Ok(folder) = HuggingFace::open(&FOLDER) {
        assert!(folder.tensors().all(|tensor| tensor.bytes.len() == 8));
    }
});
