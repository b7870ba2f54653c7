//! Any bytes as `tokenizer.json`: refused, or a tokenizer that encodes any text without control tokens and without loss of bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mains_text::Tokenizer;

const TEXT: &str = "a <|x|> 1\n\n  ü火😀";

fuzz_target!(|file: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_json(file) {
        let ids = tokenizer.encode_text(TEXT).expect("a short text is within the bounds");
        assert!(ids.iter().all(|id| (*id as usize) < tokenizer.vocabulary_len()));
    }
});
