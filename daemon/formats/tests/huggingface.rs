//! Hugging Face folders: what belongs to the model is found, and everything else is refused with a reason.

use std::fs;
use std::path::Path;

use mains_blocks::BlockFormat;
use mains_formats::{FormatError, HuggingFace, Shard};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;

fn safetensors(tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, dtype, shape)| {
            (0..=255)
                .cycle()
                .take(shape.iter().product::<usize>() * dtype.bitsize() / 8)
                .collect()
        })
        .collect();
    let views = tensors.iter().zip(&data).map(|((name, dtype, shape), data)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), data).expect("the size of the shape"),
        )
    });
    safetensors::serialize(views, None).expect("valid tensors")
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let common: [(&str, &[u8]); 2] = [
        ("config.json", b"{\"model_type\": \"qwen3\"}"),
        ("tokenizer.json", b"{}"),
    ];
    for (name, bytes) in common.iter().chain(files) {
        fs::write(folder.path().join(name), bytes).expect("a file in it");
    }
    folder
}

fn refused(folder: &Path) -> String {
    HuggingFace::open(folder)
        .expect_err("a broken folder")
        .to_string()
}

#[test]
fn reads_a_folder_with_one_file() {
    let weights = safetensors(&[
        ("b", Dtype::BF16, &[2, 3]),
        ("a", Dtype::F32, &[4]),
        ("c", Dtype::F16, &[2, 2, 2]),
    ]);
    let folder = folder(&[
        ("model.safetensors", &weights),
        ("generation_config.json", b"{\"temperature\": 0.6}"),
        ("tokenizer_config.json", b"{\"chat_template\": \"inside\"}"),
        ("chat_template.jinja", b"beside"),
    ]);
    let model = HuggingFace::open(folder.path()).expect("a good folder");
    assert_eq!(model.config["model_type"], "qwen3");
    assert_eq!(
        model.generation_config.as_ref().expect("it is there")["temperature"],
        0.6
    );
    assert_eq!(model.chat_template.as_deref(), Some("beside"));
    assert_eq!(model.tensors().len(), 3);
    let tensor = model.tensor("b").expect("it is there");
    assert_eq!(
        (tensor.format, tensor.rows, tensor.cols, tensor.bytes.len()),
        (BlockFormat::BF16, 2, 3, 12)
    );
    assert_eq!(
        model
            .tensor("a")
            .map(|tensor| (tensor.rows, tensor.cols))
            .expect("it is there"),
        (1, 4)
    );
    assert_eq!(
        model
            .tensor("c")
            .map(|tensor| (tensor.rows, tensor.cols))
            .expect("it is there"),
        (4, 2)
    );
    assert!(model.find("d").is_none());
}

#[test]
fn reads_shards_through_the_index() {
    let first = safetensors(&[("a", Dtype::F32, &[2]), ("unlisted", Dtype::F32, &[1])]);
    let second = safetensors(&[("b", Dtype::F32, &[3])]);
    let index = br#"{"metadata": {}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#;
    let files: [(&str, &[u8]); 3] = [
        ("1.safetensors", &first),
        ("2.safetensors", &second),
        ("model.safetensors.index.json", index),
    ];
    let shards = folder(&files);
    let model = HuggingFace::open(shards.path()).expect("a good folder");
    assert_eq!(
        model
            .tensors()
            .map(|tensor| tensor.name.to_owned())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(model.weight_bytes(), (first.len() + second.len()) as u64);

    let wrong = br#"{"weight_map": {"a": "1.safetensors", "b": "1.safetensors"}}"#;
    let wrong = folder(&[files[0], ("model.safetensors.index.json", wrong)]);
    assert!(refused(wrong.path()).contains("tensor b is not in 1.safetensors"));
    let outside = folder(&[(
        "model.safetensors.index.json",
        br#"{"weight_map": {"a": "../1.safetensors"}}"#,
    )]);
    assert!(refused(outside.path()).contains("names the file \"../1.safetensors\""));
}

#[test]
fn refuses_what_it_can_not_read() {
    assert!(
        refused(folder(&[]).path())
            .contains("has no model.safetensors.index.json: it has no model.safetensors")
    );
    assert!(refused(Path::new("/nonexistent")).contains("has no config.json"));
    for (dtype, name) in [
        (Dtype::I64, "I64"),
        (Dtype::F8_E4M3, "F8_E4M3"),
        (Dtype::U8, "U8"),
    ] {
        let weights = safetensors(&[("w", dtype, &[2, 2])]);
        let error = refused(folder(&[("model.safetensors", &weights)]).path());
        assert!(
            error.contains(&format!("tensor w has the type {name}, which is not supported")),
            "{error}"
        );
    }
    let gptq = folder(&[(
        "config.json",
        br#"{"quantization_config": {"quant_method": "gptq"}}"#,
    )]);
    assert!(refused(gptq.path()).contains("quantized with gptq"));
    let packed = safetensors(&[("a.qweight", Dtype::I32, &[2, 2]), ("b", Dtype::U8, &[2])]);
    let packed = folder(&[("model.safetensors", &packed)]);
    assert!(refused(packed.path()).contains("quantized with GPTQ or AWQ (it has the tensor a.qweight)"));
    let broken = folder(&[("config.json", b"{"), ("model.safetensors", b"")]);
    assert!(refused(broken.path()).contains("config.json: is not the JSON"));
    let empty = folder(&[("model.safetensors", b"")]);
    assert!(refused(empty.path()).contains("model.safetensors: "));
    let latin = folder(&[
        ("chat_template.jinja", b"\xe4"),
        ("model.safetensors", &safetensors(&[])),
    ]);
    assert!(refused(latin.path()).contains("chat_template.jinja: the template at byte 0 is not UTF-8"));
}

#[test]
fn a_file_cut_short_or_continued_is_refused() {
    let file = safetensors(&[("a", Dtype::F32, &[2]), ("b", Dtype::F16, &[3])]);
    assert!(Shard::parse(&file).is_ok());
    for length in 0..file.len() {
        assert!(Shard::parse(&file[..length]).is_err(), "{length}");
    }
    let error = Shard::parse(&[&file[..], b"x"].concat())
        .expect_err("one byte more")
        .to_string();
    assert!(error.contains("1 bytes follow the last tensor"), "{error}");
}

#[test]
fn tensors_whose_sizes_sum_beyond_every_file_are_refused() {
    // Eight tensors of 2^61 - 1 bytes end 8 bytes before 2^64.
    let each = (1_u64 << 61) - 1;
    let tensors: Vec<String> = (0..8_u64)
        .map(|index| {
            let (start, end) = (index * each, (index + 1) * each);
            format!(r#""{index}":{{"dtype":"U8","shape":[{each}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", tensors.join(","));
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    assert!(
        Shard::parse(&file)
            .expect_err("no such file")
            .to_string()
            .contains("cut short")
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _: Result<Shard, _> = Shard::parse(&bytes);
    }

    #[test]
    fn any_header_is_read_or_refused(
        header in r#"\{("[ab]":\{"dtype":"(F32|BF16|I8)","shape":\[([0-9]{1,20},)?[0-9]\],"data_offsets":\[0,[0-9]{1,20}\]\})?\}"#,
        data in 0_usize..40,
    ) {
        let mut file = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        file.resize(file.len() + data, 0);
        if let Ok(shard) = Shard::parse(&file) {
            prop_assert_eq!(shard.names().count() == 0, header == "{}");
        }
    }
}

#[test]
fn errors_name_the_file() {
    let folder = folder(&[("model.safetensors", b"12345678")]);
    let error: FormatError = HuggingFace::open(folder.path()).expect_err("a broken file");
    assert_eq!(error.path, folder.path().join("model.safetensors"));
}
