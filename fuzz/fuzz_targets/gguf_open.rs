//! A GGUF file of any bytes is read whole or refused.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mains_blocks::dequantize;
use mains_formats::Gguf;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = Gguf::from_bytes(bytes.to_vec(), Path::new("fuzz.gguf")) {
        let data: usize = file.tensors().map(|tensor| tensor.bytes.len()).sum();
        assert!(data <= bytes.len(), "tensors overlap");
        for tensor in file.tensors() {
            assert_eq!(
                tensor.format.row_bytes(tensor.cols).map(|row| row * tensor.rows),
                Some(tensor.bytes.len())
            );
            assert_eq!(file.find(tensor.name), Some(tensor));
            // Any bytes are numbers in every format.
            let row = &tensor.bytes[..tensor.bytes.len() / tensor.rows];
            dequantize(tensor.format, row, &mut vec![0.0; tensor.cols]).expect("a whole row");
        }
    }
});
