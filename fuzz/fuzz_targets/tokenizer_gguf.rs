//! A GGUF vocabulary of any kind: refused, or a tokenizer that encodes any text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mains_text::{GgufTokenKind, GgufVocabulary, Tokenizer};

const MODELS: [&str; 5] = ["gpt2", "gemma4", "llama", "t5", "bert"];
const TEXT: &str = "a <s>[UNK]<0x0A> 1\n\n  ü火😀\u{200b}";

/// The first line chooses the model and options; each further line is a token: a letter for its kind and a digit for its
/// score, then its text. Lines with a space between two texts are merges too. What follows a line of `=` is the charsmap.
fn vocabulary(bytes: &[u8]) -> Option<GgufVocabulary> {
    let at = bytes.windows(3).position(|window| window == b"\n=\n");
    let (head, charsmap) = at.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 3..]));
    let mut lines = str::from_utf8(head).ok()?.split('\n');
    let options = lines.next()?.as_bytes();
    let flag = |index: usize| options.get(index).map(|byte| byte % 2 == 0);
    let mut file = GgufVocabulary {
        model: MODELS[usize::from(*options.first()?) % MODELS.len()].to_owned(),
        pre: Some("qwen2".to_owned()),
        bos: Some(1),
        eos: Some(2),
        unknown: Some(0),
        add_bos: flag(1),
        add_eos: flag(2),
        add_space_prefix: flag(3),
        remove_extra_whitespaces: flag(4),
        lowercase: flag(5),
        precompiled_charsmap: charsmap.to_vec(),
        ..GgufVocabulary::default()
    };
    if flag(6) == Some(true) {
        for byte in 0..=u8::MAX {
            file.tokens.push(format!("<0x{byte:02X}>"));
            file.token_types.push(GgufTokenKind::Byte);
            file.scores.push(0.0);
        }
    }
    for line in lines {
        let (kind, rest) = (*line.as_bytes().first()?, line.get(1..)?);
        file.token_types.push(GgufTokenKind::try_from(i64::from(kind % 8)).ok()?);
        file.scores.push(f32::from(kind) - 100.0);
        if rest.contains(' ') {
            file.merges.push(rest.to_owned());
        }
        file.tokens.push(rest.replace(' ', ""));
    }
    Some(file)
}

fuzz_target!(|bytes: &[u8]| {
    let Some(file) = vocabulary(bytes) else {
        return;
    };
    if let Ok(tokenizer) = Tokenizer::from_gguf(file) {
        let ids = tokenizer.encode_text(TEXT).expect("a short text is within the bounds");
        assert!(ids.iter().all(|id| (*id as usize) < tokenizer.vocabulary_len()));
    }
});
