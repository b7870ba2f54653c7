//! A file of packed weights of any bytes is read whole or refused. Bytes that are no file become the table of one.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mains_formats::PackedFile;
use sha2::{Digest, Sha256};

fn check(bytes: Vec<u8>) {
    let size = bytes.len();
    if let Ok(file) = PackedFile::from_bytes(bytes, Path::new("fuzz.packed")) {
        let data: u64 = file.weights().map(|weight| weight.bytes).sum();
        assert!(data <= size as u64, "weights overlap");
        for weight in file.weights() {
            if let Ok(found) = file.verified(&weight.name) {
                let (_, range) = found.expect("it was listed");
                assert!(range.end <= size && range.len() as u64 == weight.bytes);
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes.to_vec());
    // A right head, so that what is behind the checksum is reached.
    let mut file = b"mainspkd\x01\0\0\0\0\0\0\0".to_vec();
    file.extend(4160_u64.to_le_bytes());
    file.extend((bytes.len() as u64).to_le_bytes());
    file.extend(Sha256::digest(bytes));
    file.resize(4160, 0);
    file.extend(bytes);
    check(file);
});
