//! Models converted to GGUF: the same model comes back, in the formats asked for.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mains_contract::{BlockFormat, WeightSource};
use mains_engine::importance::{Importance, MOMENTS, MOMENTS_WIDTH};
use mains_engine::models::convert::{Conversion, ConvertError, ConvertOptions};
use mains_engine::models::{Checkpoint, Model, ModelOptions};
use mains_formats::{Gguf, GgufWriter, TensorSpec, Value};
use mains_text::TextError;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/families/qwen3")
}

fn pilot() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/pilot/pilot.gguf")
}

fn plan(path: &Path, format: Option<BlockFormat>) -> Conversion {
    let options = ConvertOptions {
        format,
        ..ConvertOptions::default()
    };
    Conversion::plan(Arc::new(Checkpoint::open(path).unwrap()), &options).unwrap()
}

fn converted(path: &Path, format: Option<BlockFormat>) -> Gguf {
    let conversion = plan(path, format);
    let mut file = Vec::new();
    let expected = conversion.file_bytes();
    conversion.write(&mut file, NonZero::new(3).unwrap()).unwrap();
    assert_eq!(file.len() as u64, expected);
    Gguf::from_bytes(file, Path::new("converted.gguf")).unwrap()
}

fn model(gguf: Gguf) -> Model {
    Model::from_checkpoint(Arc::new(Checkpoint::Gguf(gguf)), &ModelOptions::default()).unwrap()
}

/// The folder of every family's fixture.
fn families() -> Vec<PathBuf> {
    let all = folder().parent().unwrap().read_dir().unwrap();
    let mut folders: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.join("config.json").is_file());
    folders.sort();
    assert!(folders.len() > 20, "{folders:?}");
    folders
}

#[test]
fn a_folder_and_its_conversion_are_one_model_in_every_family() {
    for path in families() {
        let from = Model::open(&path, &ModelOptions::default()).unwrap();
        let into = model(converted(&path, None));
        assert_eq!(into.graph, from.graph, "{}", path.display());
        assert_eq!(into.info, from.info, "{}", path.display());
        same_weights(&from, &into);
    }
}

/// Matrices are the same bytes; vectors and convolutions the same numbers, in F32 in the new file.
fn same_weights(from: &Model, into: &Model) {
    for weight in from.graph.weights() {
        let (old, new) = (
            from.weights.weight(&weight.name).unwrap(),
            into.weights.weight(&weight.name).unwrap(),
        );
        assert_eq!((old.rows, old.cols), (new.rows, new.cols));
        let is_vector = weight.rows == 1
            || [".bias", ".ssm_conv1d.weight"]
                .iter()
                .any(|end| weight.name.ends_with(end));
        if !is_vector {
            assert_eq!(
                (new.format, new.bytes),
                (old.format, old.bytes),
                "{}",
                weight.name
            );
        } else {
            let numbers = old.rows * old.cols;
            let (mut before, mut after) = (vec![0.0; numbers], vec![1.0; numbers]);
            mains_blocks::dequantize(old.format, old.bytes, &mut before).unwrap();
            mains_blocks::dequantize(new.format, new.bytes, &mut after).unwrap();
            assert_eq!(before, after, "{}", weight.name);
        }
    }
}

#[test]
fn what_was_converted_once_is_read_again_to_the_bit_in_every_family() {
    for path in families() {
        for format in [
            BlockFormat::BF16,
            BlockFormat::F16,
            BlockFormat::Q8_0,
            BlockFormat::Q4_K,
        ] {
            let what = format!("{} in {format}", path.display());
            let mut once = Vec::new();
            plan(&path, Some(format))
                .write(&mut once, NonZero::<usize>::MIN)
                .unwrap();
            let gguf = Gguf::from_bytes(once.clone(), Path::new("once.gguf")).unwrap();
            let checkpoint = Arc::new(Checkpoint::Gguf(gguf));
            for again in [None, Some(format)] {
                let options = ConvertOptions {
                    format: again,
                    ..ConvertOptions::default()
                };
                let mut twice = Vec::new();
                let conversion = Conversion::plan(Arc::clone(&checkpoint), &options).unwrap();
                conversion.write(&mut twice, NonZero::<usize>::MIN).unwrap();
                assert!(twice == once, "{what}, then {again:?}");
            }
        }
    }
}

#[test]
fn the_embedded_pilot_is_what_the_converter_writes() {
    // Made by this converter from a folder: converting it as it is must change nothing.
    let mut again = Vec::new();
    plan(&pilot(), None)
        .write(&mut again, NonZero::<usize>::MIN)
        .unwrap();
    assert!(again == fs::read(pilot()).unwrap());
}

#[test]
fn matrices_get_the_format_and_vectors_stay() {
    for format in BlockFormat::ALL {
        let gguf = converted(&pilot(), Some(format));
        for tensor in gguf.tensors() {
            let expected = if tensor.dims.len() == 1 {
                BlockFormat::F32
            } else {
                format
            };
            assert_eq!(tensor.format, expected, "{}", tensor.name);
        }
        let metadata = gguf.metadata();
        assert_eq!(metadata.require::<&str>("general.name").unwrap(), "pilot");
        assert_eq!(
            metadata.get("general.quantization_version").is_some(),
            format.is_quantized()
        );
        let info = model(gguf).info;
        assert_eq!(
            (info.parameters, info.vocabulary, &info.eos[..]),
            (6_033_408, 2048, &[2][..])
        );
        assert!(info.chat_template.is_some());
    }
}

#[test]
fn rows_that_do_not_suit_the_format_are_told() {
    // The fixture is 64 wide: no row is a whole number of blocks of 256.
    let conversion = plan(&folder(), Some(BlockFormat::Q4_K));
    let note = "blk.0.attn_q.weight becomes Q5_0: its rows of 64 are no whole number of Q4_K blocks of 256";
    assert!(
        conversion.notes().iter().any(|found| found == note),
        "{:?}",
        conversion.notes()
    );
    let gguf = converted(&folder(), Some(BlockFormat::Q4_K));
    let matrices = gguf.tensors().filter(|tensor| tensor.dims.len() > 1);
    assert!(
        matrices
            .into_iter()
            .all(|tensor| tensor.format == BlockFormat::Q5_0)
    );
    assert_eq!(gguf.metadata().require::<u32>("general.file_type").unwrap(), 8);
    assert!(plan(&folder(), Some(BlockFormat::Q8_0)).notes().is_empty());
}

#[test]
fn the_name_and_licence_are_as_given() {
    let options = ConvertOptions {
        name: Some("small".to_owned()),
        license: Some("MIT".to_owned()),
        ..ConvertOptions::default()
    };
    let mut file = Vec::new();
    let checkpoint = Arc::new(Checkpoint::open(&folder()).unwrap());
    Conversion::plan(checkpoint, &options)
        .unwrap()
        .write(&mut file, NonZero::<usize>::MIN)
        .unwrap();
    let gguf = Gguf::from_bytes(file, Path::new("converted.gguf")).unwrap();
    let keys: Vec<_> = gguf
        .metadata()
        .iter()
        .map(|(key, _)| key.to_owned())
        .take(5)
        .collect();
    assert_eq!(
        keys,
        [
            "general.architecture",
            "general.type",
            "general.name",
            "general.license",
            "general.file_type"
        ]
    );
    assert_eq!(gguf.metadata().require::<&str>("general.name").unwrap(), "small");
}

#[test]
fn default_sampling_and_every_end_are_kept() {
    let copy = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(folder().join(name), copy.path().join(name)).unwrap();
    }
    let generation = r#"{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.05,
        "repetition_penalty": 1.1, "eos_token_id": [2, 0]}"#;
    fs::write(copy.path().join("generation_config.json"), generation).unwrap();
    let from = Model::open(copy.path(), &ModelOptions::default()).unwrap();
    let into = model(converted(copy.path(), None));
    assert_eq!(
        (&from.info.eos[..], from.info.sampling.top_k),
        (&[0, 2][..], Some(20))
    );
    assert_eq!(into.info, from.info);
}

#[test]
fn a_tokenizer_that_gguf_can_not_name_is_refused() {
    let copy = tempfile::tempdir().unwrap();
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
        fs::copy(folder().join(name), copy.path().join(name)).unwrap();
    }
    let tokenizer = fs::read_to_string(folder().join("tokenizer.json")).unwrap();
    let threes = tokenizer.replacen(r"|\\p{N}|", r"|\\p{N}{1,4}|", 1);
    assert_ne!(threes, tokenizer);
    fs::write(copy.path().join("tokenizer.json"), threes).unwrap();
    let checkpoint = Arc::new(Checkpoint::open(copy.path()).unwrap());
    let error = Conversion::plan(checkpoint, &ConvertOptions::default()).unwrap_err();
    assert!(
        matches!(
            &error,
            ConvertError::Tokenizer(TextError::Unsupported {
                what: "the pre-tokenizer",
                ..
            })
        ),
        "{error}"
    );
}

#[test]
fn matrices_get_their_own_formats_and_importance_on_any_number_of_threads() {
    let checkpoint = Arc::new(Checkpoint::open(&pilot()).unwrap());
    let (query, down) = ("blk.0.attn_q.weight", "blk.1.ffn_down.weight");
    let importance = |columns: Vec<f32>| Importance::new([(query.to_owned(), (1, columns))].into());
    let converted = |importance: Importance, threads| {
        let options = ConvertOptions {
            format: Some(BlockFormat::Q4_K),
            formats: [(down.to_owned(), BlockFormat::Q6_K)].into(),
            importance,
            ..ConvertOptions::default()
        };
        let mut file = Vec::new();
        let conversion = Conversion::plan(Arc::clone(&checkpoint), &options).unwrap();
        conversion
            .write(&mut file, NonZero::new(threads).unwrap())
            .map(|()| file)
    };
    let ramp: Vec<f32> = (1..=256_u16).map(f32::from).collect();
    let one = converted(importance(ramp.clone()), 1).unwrap();
    assert!(converted(importance(ramp), 5).unwrap() == one);
    let plain = Gguf::from_bytes(
        converted(Importance::default(), 2).unwrap(),
        Path::new("plain.gguf"),
    )
    .unwrap();
    let gguf = Gguf::from_bytes(one, Path::new("weighted.gguf")).unwrap();
    assert_eq!(gguf.find(down).unwrap().format, BlockFormat::Q6_K);
    assert_eq!(gguf.find(query).unwrap().format, BlockFormat::Q4_K);
    assert!(gguf.find(query).unwrap().bytes != plain.find(query).unwrap().bytes);
    assert!(gguf.find(down).unwrap().bytes == plain.find(down).unwrap().bytes);
    let error = converted(importance(vec![1.0; 255]), 2).unwrap_err().to_string();
    assert!(
        error.contains("the importance of blk.0.attn_q.weight has 255 values"),
        "{error}"
    );
}

/// An importance file of one matrix with columns that all count the same, and moments.
fn importance_file(name: &str, cols: usize, width: u32, moments: Vec<f32>) -> Importance {
    let spec = |suffix: &str, dims: Vec<usize>| TensorSpec {
        name: format!("{name}{suffix}"),
        format: BlockFormat::F32,
        dims,
    };
    let specs = vec![
        spec(".in_sum2", vec![1, cols]),
        spec(".counts", vec![1, 1]),
        spec(MOMENTS, vec![moments.len()]),
    ];
    let metadata = [(MOMENTS_WIDTH.to_owned(), Value::U32(width))];
    let mut numbers = [vec![1.0; cols], vec![1.0], moments].into_iter();
    let mut file = Vec::new();
    let writer = GgufWriter::new(&metadata, specs).unwrap();
    writer
        .write(&mut file, |_, out| {
            let numbers = numbers.next().unwrap();
            out.write_all(
                &numbers
                    .iter()
                    .flat_map(|number| number.to_le_bytes())
                    .collect::<Vec<u8>>(),
            )
        })
        .unwrap();
    Importance::from_gguf(Arc::new(
        Gguf::from_bytes(file, Path::new("importance.gguf")).unwrap(),
    ))
    .unwrap()
}

#[test]
fn moments_of_a_file_change_codes_and_must_suit() {
    let checkpoint = Arc::new(Checkpoint::open(&pilot()).unwrap());
    let down = "blk.1.ffn_down.weight";
    let converted = |importance: Importance| {
        let options = ConvertOptions {
            formats: [(down.to_owned(), BlockFormat::Q4_K)].into(),
            importance,
            ..ConvertOptions::default()
        };
        let mut file = Vec::new();
        let conversion = Conversion::plan(Arc::clone(&checkpoint), &options).unwrap();
        conversion
            .write(&mut file, NonZero::new(2).unwrap())
            .map(|()| file)
    };
    let run = |columns: usize| {
        let near = |one: usize, other: usize| 0.9_f32.powi(i32::try_from(one.abs_diff(other)).unwrap());
        (0..columns * columns).map(move |at| near(at / columns, at % columns))
    };
    // 768 columns are a run of 512 and one of 256.
    let moments: Vec<f32> = run(512).chain(run(256)).collect();
    let fed = converted(importance_file(down, 768, 512, moments.clone())).unwrap();
    let plain = converted(importance_file(down, 768, 512, vec![0.0; moments.len()])).unwrap();
    assert!(fed.len() == plain.len() && fed != plain);
    let refused = |width, moments| {
        converted(importance_file(down, 768, width, moments))
            .unwrap_err()
            .to_string()
    };
    let shorter = refused(512, moments[1..].to_vec());
    assert!(
        shorter.contains("blk.1.ffn_down.weight are of rows of another length"),
        "{shorter}"
    );
    assert!(refused(256, moments.clone()).contains("are of rows of another length"));
    let negative = moments.iter().map(|moment| -moment).collect();
    assert!(refused(512, negative).contains("are none of any inputs"));
}

#[test]
fn a_format_for_a_tensor_that_is_not_there_is_refused() {
    let checkpoint = Arc::new(Checkpoint::open(&pilot()).unwrap());
    let options = ConvertOptions {
        formats: [("blk.77.attn_q.weight".to_owned(), BlockFormat::Q4_K)].into(),
        ..ConvertOptions::default()
    };
    let error = Conversion::plan(checkpoint, &options).unwrap_err().to_string();
    assert!(error.contains("blk.77.attn_q.weight"), "{error}");
}
