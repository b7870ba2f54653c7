//! GGUF: what is written reads back, and files that break the format are refused with a reason.

use std::io::{self, Write};
use std::path::Path;

use mains_blocks::BlockFormat;
use mains_formats::{Array, FormatError, Gguf, GgufWriter, Reason, TensorSpec, Value};
use proptest::prelude::*;

type Entries = Vec<(String, Value)>;
type Tensors = Vec<(TensorSpec, Vec<u8>)>;

fn open(bytes: Vec<u8>) -> Result<Gguf, FormatError> {
    Gguf::from_bytes(bytes, Path::new("test.gguf"))
}

fn refused(bytes: Vec<u8>) -> String {
    open(bytes).expect_err("a broken file").to_string()
}

fn written(metadata: &Entries, tensors: &Tensors) -> Vec<u8> {
    let specs = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let writer = GgufWriter::new(metadata, specs).expect("within bounds");
    let (mut file, expected) = (Vec::new(), writer.file_bytes());
    let mut data = tensors.iter();
    writer
        .write(&mut file, |_, out| {
            out.write_all(&data.next().expect("one a tensor").1)
        })
        .expect("a vector takes everything");
    assert_eq!(file.len() as u64, expected);
    file
}

fn tensor(name: &str, format: BlockFormat, dims: &[usize]) -> (TensorSpec, Vec<u8>) {
    let spec = TensorSpec {
        name: name.to_owned(),
        format,
        dims: dims.to_vec(),
    };
    let (cols, outer) = dims.split_last().expect("at least one");
    let bytes = outer.iter().product::<usize>() * format.row_bytes(*cols).expect("whole blocks");
    (spec, (0..=u8::MAX).cycle().take(bytes).collect())
}

fn small() -> (Entries, Tensors) {
    let metadata = vec![
        (
            "general.architecture".to_owned(),
            Value::String("qwen3".to_owned()),
        ),
        ("qwen3.block_count".to_owned(), Value::U32(2)),
        (
            "tokenizer.ggml.tokens".to_owned(),
            Value::Array(Array::String(vec!["a".to_owned(), "b".to_owned()])),
        ),
        (
            "tokenizer.ggml.token_type".to_owned(),
            Value::Array(Array::I32(vec![1, 3])),
        ),
    ];
    let tensors = vec![
        tensor("b", BlockFormat::F32, &[3]),
        tensor("a", BlockFormat::Q8_0, &[2, 32]),
    ];
    (metadata, tensors)
}

fn small_file() -> Vec<u8> {
    let (metadata, tensors) = small();
    written(&metadata, &tensors)
}

/// A file by hand: its head with `tensors` records of bytes, then `data`.
fn by_hand(version: u32, entries: &[Vec<u8>], records: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(version.to_le_bytes());
    file.extend((records.len() as u64).to_le_bytes());
    file.extend((entries.len() as u64).to_le_bytes());
    file.extend(entries.concat());
    file.extend(records.concat());
    file.resize(file.len().next_multiple_of(32) + data, 0);
    file
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn record(name: &str, dims: &[u64], id: u32, offset: u64) -> Vec<u8> {
    let mut record = text(name);
    record.extend(u32::try_from(dims.len()).expect("few").to_le_bytes());
    dims.iter().for_each(|dim| record.extend(dim.to_le_bytes()));
    record.extend(id.to_le_bytes());
    record.extend(offset.to_le_bytes());
    record
}

fn entry(key: &str, id: u32, value: &[u8]) -> Vec<u8> {
    [&text(key), &id.to_le_bytes()[..], value].concat()
}

#[test]
fn gives_typed_values_and_names_what_does_not_fit() {
    let file = open(small_file()).expect("our own file");
    let metadata = file.metadata();
    assert_eq!(
        metadata.require::<&str>("general.architecture").expect("a text"),
        "qwen3"
    );
    assert_eq!(
        metadata.require::<usize>("qwen3.block_count").expect("a number"),
        2
    );
    assert_eq!(
        metadata
            .require::<Vec<i64>>("tokenizer.ggml.token_type")
            .expect("integers"),
        [1, 3]
    );
    assert_eq!(
        metadata
            .require::<&[String]>("tokenizer.ggml.tokens")
            .expect("texts"),
        ["a", "b"]
    );
    assert!(
        metadata
            .find::<bool>("absent")
            .expect("absent is no error")
            .is_none()
    );
    let error = |result: Result<(), FormatError>| result.expect_err("does not fit").to_string();
    assert_eq!(
        error(metadata.require::<u32>("absent").map(drop)),
        "test.gguf: key absent is missing; it should be a whole number below 2^32"
    );
    assert_eq!(
        error(metadata.find::<&str>("qwen3.block_count").map(drop)),
        "test.gguf: key qwen3.block_count is u32 (U32(2)); it should be a text"
    );
    assert_eq!(
        error(file.tensor("c").map(drop)),
        "test.gguf: tensor c is missing"
    );
}

#[test]
fn negative_numbers_are_no_counts() {
    let (mut metadata, tensors) = small();
    metadata.push(("n".to_owned(), Value::I32(-1)));
    let file = open(written(&metadata, &tensors)).expect("our own file");
    assert!(file.metadata().require::<u64>("n").is_err());
    assert_eq!(file.metadata().require::<i64>("n").expect("an integer"), -1);
}

#[test]
fn a_file_cut_short_is_refused_or_complete() {
    let file = small_file();
    let whole = open(file.clone()).expect("our own file");
    for length in 0..file.len() {
        // Only the padding after the last tensor may be missing.
        if let Ok(cut) = open(file[..length].to_vec()) {
            assert!(
                cut.metadata() == whole.metadata() && cut.tensors().eq(whole.tensors()),
                "{length}"
            );
        }
    }
    assert!(open(file[..file.len() - 32].to_vec()).is_err());
}

#[test]
fn refuses_other_files() {
    assert!(refused(b"PK\x03\x04".to_vec()).contains("starts with \"PK\\x03\\x04\""));
    assert!(refused(by_hand(1, &[], &[], 0)).contains("version 1"));
    assert!(refused(by_hand(3_u32.swap_bytes(), &[], &[], 0)).contains("big-endian"));
    assert!(refused(by_hand(4, &[], &[], 0)).contains("version 4"));
    assert!(open(by_hand(2, &[], &[], 0)).is_ok());
    let count = entry("split.count", 2, &[2, 0]);
    assert!(refused(by_hand(3, std::slice::from_ref(&count), &[], 0)).contains("split.no is missing"));
    let part = [count, entry("split.no", 2, &[1, 0])];
    assert!(refused(by_hand(3, &part, &[], 0)).contains("part 2 of 2 of a split model"));
}

/// Writes a part of a model with a tensor of its own.
fn part(folder: &Path, number: u16, name: &str, own: (u16, u16, i32)) {
    let (no, count, tensors) = own;
    let (mut metadata, _) = small();
    metadata.extend([
        ("split.no".to_owned(), Value::U16(no)),
        ("split.count".to_owned(), Value::U16(count)),
        ("split.tensors.count".to_owned(), Value::I32(tensors)),
    ]);
    let file = written(&metadata, &vec![tensor(name, BlockFormat::F32, &[3])]);
    let path = folder.join(format!("m-{:05}-of-00002.gguf", number + 1));
    std::fs::write(path, file).expect("the folder is writable");
}

#[test]
fn reads_all_parts_of_a_split_model_as_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = folder.path().join("m-00001-of-00002.gguf");
    part(folder.path(), 0, "a", (0, 2, 2));
    let error = Gguf::open(&first).expect_err("the second is missing").to_string();
    assert!(error.contains("m-00002-of-00002.gguf"), "{error}");
    part(folder.path(), 1, "b", (1, 2, 2));
    let whole = Gguf::open(&first).expect("both are there");
    let names: Vec<_> = whole.tensors().map(|tensor| tensor.name.to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(whole.find("b").map(|tensor| tensor.bytes.len()), Some(12));
    assert!(whole.metadata().get("general.architecture").is_some());
    // What is about the parts is not about the model.
    assert!(whole.metadata().get("split.count").is_none());
    for (changed, word) in [
        (("a", (1, 2, 2)), "tensor a occurs twice"),
        (("b", (0, 2, 2)), "is not part 2 of 2"),
        (("b", (1, 3, 2)), "is not part 2 of 2"),
    ] {
        part(folder.path(), 1, changed.0, changed.1);
        let error = Gguf::open(&first).expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    }
    part(folder.path(), 1, "b", (1, 2, 2));
    part(folder.path(), 0, "a", (0, 2, 5));
    let error = Gguf::open(&first).expect_err("three are missing").to_string();
    assert!(error.contains("is 5, but the parts have 2 tensors"), "{error}");
    let second = folder.path().join("m-00002-of-00002.gguf");
    let error = Gguf::open(&second)
        .expect_err("the first is asked for")
        .to_string();
    assert!(error.contains("open the first"), "{error}");
}

#[test]
fn refuses_tensor_types_by_name() {
    let file = |id| by_hand(3, &[], &[record("blk.0.ffn_up.weight", &[256], id, 0)], 4096);
    assert_eq!(
        refused(file(16)),
        "test.gguf: tensor blk.0.ffn_up.weight has the type IQ2_XXS, which is not supported; supported are F32, F16, \
         Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16, MXFP4"
    );
    assert!(refused(file(40)).contains("NVFP4"));
    assert!(refused(file(99)).contains("the unknown id 99"));
    assert!(open(file(12)).is_ok());
}

#[test]
fn refuses_tensors_that_contradict_themselves_or_the_file() {
    let one = |dims: &[u64], offset| refused(by_hand(3, &[], &[record("w", dims, 0, offset)], 64));
    assert!(one(&[17], 0).contains("68 bytes at offset 0 of the data, beyond the file"));
    assert!(one(&[4], 4).contains("no multiple of the alignment 32"));
    assert!(one(&[4], u64::MAX - 31).contains("beyond the file"));
    assert!(one(&[17, u64::MAX], 0).contains("too many numbers"));
    assert!(one(&[1 << 40, 1 << 40], 0).contains("too many numbers"));
    assert!(one(&[4, 0], 0).contains("has no numbers (0 x 4)"));
    assert!(one(&[], 0).contains("has no dimensions"));
    assert!(one(&[1; 5], 0).contains("is 5; at most 4"));
    assert!(
        refused(by_hand(3, &[], &[record("w", &[33], 8, 0)], 64))
            .contains("rows of 33, no whole number of Q8_0")
    );
    let two = |first, second, offset| {
        by_hand(
            3,
            &[],
            &[record(first, &[9], 0, 0), record(second, &[4], 0, offset)],
            96,
        )
    };
    assert!(refused(two("a", "b", 32)).contains("tensor b overlaps the data of tensor a"));
    assert!(refused(two("a", "a", 64)).contains("tensor a occurs twice"));
    assert!(open(two("a", "b", 64)).is_ok());
}

#[test]
fn refuses_metadata_beyond_the_format() {
    let one = |entry| refused(by_hand(3, &[entry], &[], 0));
    let array = |id: u32, length: u64| [&id.to_le_bytes()[..], &length.to_le_bytes()].concat();
    assert!(one(entry("n", 9, &array(9, 1))).contains("key n is an array of arrays"));
    assert!(one(entry("n", 13, &[])).contains("key n has the unknown value type 13"));
    assert!(one(entry("n", 7, &[2])).contains("a truth value is 2"));
    assert!(one(entry("n", 9, &array(8, 1 << 20))).contains("cut short"));
    assert!(one(entry("n", 9, &array(0, 1 << 40))).contains("at most 4194304"));
    assert!(one(entry("n", 8, &[1, 0, 0, 0, 0, 0, 0, 0, 0xff])).contains("not UTF-8"));
    assert!(one(entry("general.alignment", 4, &48_u32.to_le_bytes())).contains("a power of two"));
    assert!(one(entry(&"k".repeat(1 << 16), 0, &[0])).contains("at most 65535"));
    let twice = [entry("k", 0, &[0]), entry("k", 0, &[1])];
    assert!(refused(by_hand(3, &twice, &[], 0)).contains("key k occurs twice"));
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let (metadata, tensors) = small();
    let specs = || tensors.iter().map(|(spec, _)| spec.clone()).collect::<Vec<_>>();
    let twice = [metadata.clone(), metadata.clone()].concat();
    assert!(matches!(
        GgufWriter::new(&twice, specs()),
        Err(Reason::Duplicate { what: "key", .. })
    ));
    assert!(matches!(
        GgufWriter::new(&metadata, [specs(), specs()].concat()),
        Err(Reason::Duplicate { what: "tensor", .. })
    ));
    let odd = TensorSpec {
        name: "w".to_owned(),
        format: BlockFormat::Q4_K,
        dims: vec![2, 64],
    };
    assert!(matches!(
        GgufWriter::new(&metadata, vec![odd]),
        Err(Reason::Tensor { .. })
    ));
}

#[test]
fn a_tensor_is_written_with_exactly_its_bytes() {
    let write = |bytes: usize| {
        let (metadata, tensors) = small();
        let writer = GgufWriter::new(&metadata, vec![tensors[0].0.clone()]).expect("within bounds");
        writer.write(io::sink(), |_, out| out.write_all(&vec![0; bytes]))
    };
    assert!(write(12).is_ok());
    assert!(
        write(11)
            .expect_err("too few")
            .to_string()
            .contains("tensor b: 1 of 12 bytes were not written")
    );
    assert!(
        write(13)
            .expect_err("too many")
            .to_string()
            .contains("1 bytes more")
    );
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i16>().prop_map(Value::I16),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        (-1e30_f64..1e30).prop_map(Value::F64),
        any::<bool>().prop_map(Value::Bool),
        ".{0,20}".prop_map(Value::String),
        prop::collection::vec(any::<i8>(), 0..9).prop_map(|values| Value::Array(Array::I8(values))),
        prop::collection::vec(any::<u32>(), 0..9).prop_map(|values| Value::Array(Array::U32(values))),
        prop::collection::vec(-1e9_f32..1e9, 0..9).prop_map(|values| Value::Array(Array::F32(values))),
        prop::collection::vec(any::<bool>(), 0..9).prop_map(|values| Value::Array(Array::Bool(values))),
        prop::collection::vec(".{0,9}", 0..9).prop_map(|values| Value::Array(Array::String(values))),
    ]
}

fn tensors() -> impl Strategy<Value = Tensors> {
    let formats = prop::sample::select(BlockFormat::ALL.to_vec());
    let shapes = (formats, prop::collection::vec(1_usize..4, 0..3), 1_usize..4);
    prop::collection::btree_map("[a-z.]{1,20}", shapes, 0..6).prop_map(|shapes| {
        let one = |(name, (format, mut dims, blocks)): (String, (BlockFormat, Vec<usize>, usize))| {
            dims.push(blocks * format.block_len());
            tensor(&name, format, &dims)
        };
        shapes.into_iter().map(one).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        metadata in prop::collection::btree_map("[a-z.]{1,12}", values(), 0..8),
        tensors in tensors(),
    ) {
        let metadata: Entries = metadata.into_iter().collect();
        let file = open(written(&metadata, &tensors)).expect("our own file");
        let read: Entries = file.metadata().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        prop_assert_eq!(read, metadata);
        prop_assert_eq!(file.tensors().len(), tensors.len());
        for (found, (spec, bytes)) in file.tensors().zip(&tensors) {
            prop_assert_eq!((found.name, found.format, found.dims), (spec.name.as_str(), spec.format, &spec.dims[..]));
            prop_assert_eq!(found.bytes, bytes);
            prop_assert_eq!(found.rows * found.cols, spec.dims.iter().product::<usize>());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let _: Result<Gguf, FormatError> = open(tail.clone());
        let _: Result<Gguf, FormatError> = open([b"GGUF\x03\0\0\0".to_vec(), tail].concat());
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut file = small_file();
        for (index, byte) in damage {
            let at = index.index(file.len());
            file[at] = byte;
        }
        if let Ok(file) = open(file) {
            let total: usize = file.tensors().map(|tensor| tensor.bytes.len()).sum();
            prop_assert!(total as u64 <= file.file_bytes());
        }
    }
}

#[test]
fn errors_of_the_producer_pass_through() {
    #[derive(Debug, PartialEq)]
    struct Failed;
    impl From<io::Error> for Failed {
        fn from(_: io::Error) -> Self {
            unreachable!("a sink takes everything")
        }
    }
    let (metadata, tensors) = small();
    let writer = GgufWriter::new(&metadata, vec![tensors[0].0.clone()]).expect("within bounds");
    assert_eq!(
        writer.write(io::sink(), |_, _: &mut dyn Write| Err(Failed)),
        Err(Failed)
    );
}
