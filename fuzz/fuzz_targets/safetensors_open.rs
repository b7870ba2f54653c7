//! A safetensors file of any bytes is read whole or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mains_formats::Shard;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(shard) = Shard::parse(bytes) {
        assert!(
            shard.names().count() * 2 <= bytes.len(),
            "more tensors than the header can name"
        );
    }
});
