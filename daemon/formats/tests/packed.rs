//! Files of packed weights: what is written is read, what is not whole is refused.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::Cursor;
use std::path::Path;

use mains_blocks::BlockFormat;
use mains_formats::{FormatError, PackedFile, PackedTensor, PackedWriter, packed_bytes};
use proptest::prelude::*;

fn tensor(name: &str, bytes: u64) -> PackedTensor {
    PackedTensor {
        name: name.to_owned(),
        layout: "cpu.rows.1".to_owned(),
        format: BlockFormat::Q4_K,
        rows: 3,
        cols: 256,
        parts: 1,
        bytes,
    }
}

fn file(weights: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PackedWriter::new(Cursor::new(Vec::new()), "variant", "cpu").unwrap();
    for (at, bytes) in weights.iter().enumerate() {
        writer
            .add(&tensor(&format!("w{at}"), bytes.len() as u64), bytes)
            .unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: Vec<u8>) -> Result<PackedFile, FormatError> {
    PackedFile::from_bytes(bytes, Path::new("test.packed"))
}

fn weights() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let lines = (0_usize..4).prop_flat_map(|lines| proptest::collection::vec(any::<u8>(), 64 * lines));
    proptest::collection::vec(lines, 0..5)
}

proptest! {
    #[test]
    fn what_is_written_is_read(weights in weights()) {
        let bytes = file(&weights);
        let tensors: Vec<_> = weights.iter().enumerate().map(|(at, bytes)| tensor(&format!("w{at}"), bytes.len() as u64)).collect();
        prop_assert_eq!(packed_bytes("variant", "cpu", &tensors).unwrap(), bytes.len() as u64);
        let read = open(bytes.clone()).unwrap();
        prop_assert_eq!((read.variant(), read.driver(), read.weights().count()), ("variant", "cpu", weights.len()));
        for (at, expected) in weights.iter().enumerate() {
            let name = format!("w{at}");
            let (found, range) = read.verified(&name).unwrap().unwrap();
            prop_assert_eq!(found, &tensor(&name, expected.len() as u64));
            prop_assert!(range.start % 64 == 0);
            prop_assert_eq!(&read.as_ref()[range], expected.as_slice());
        }
        prop_assert!(read.verified("other").unwrap().is_none());
    }

    #[test]
    fn a_changed_byte_is_found(weights in weights(), at: prop::sample::Index, flip in 1_u8..) {
        let mut bytes = file(&weights);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let damaged = match open(bytes) {
            Err(_) => true,
            Ok(read) => (0..weights.len()).any(|weight| read.verified(&format!("w{weight}")).is_err()),
        };
        prop_assert!(damaged);
    }

    #[test]
    fn a_file_that_is_cut_short_or_longer_is_refused(weights in weights(), cut: prop::sample::Index) {
        let mut bytes = file(&weights);
        let cut = cut.index(bytes.len());
        prop_assert!(open(bytes[..cut].to_vec()).is_err());
        bytes.push(0);
        prop_assert!(open(bytes).is_err());
    }
}

#[test]
fn an_unfinished_file_and_a_name_twice_are_refused() {
    let mut writer = PackedWriter::new(Cursor::new(Vec::new()), "variant", "cpu").unwrap();
    writer.add(&tensor("w", 64), &[1; 64]).unwrap();
    let twice = writer.add(&tensor("w", 64), &[1; 64]).unwrap_err().to_string();
    assert!(twice.contains("twice"), "{twice}");
    let partial = writer.add(&tensor("v", 65), &[1; 65]).unwrap_err().to_string();
    assert!(partial.contains("multiple of 64"), "{partial}");
    let unfinished = open(vec![0; 8192]).unwrap_err().to_string();
    assert!(unfinished.contains("not finished"), "{unfinished}");
}
