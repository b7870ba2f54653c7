//! Token ids to text, as they come.

use std::sync::Arc;

use crate::Tokenizer;

/// What becomes of tokens that the model's files mark as special.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlTokens {
    /// They add nothing to the text.
    Hidden,
    /// They add their own text.
    Shown,
}

/// Turns ids into text that is final: a character whose bytes are spread over tokens waits until it is whole.
///
/// All that is returned, together, is `String::from_utf8_lossy` of all tokens' bytes, together.
#[derive(Debug, Clone)]
pub struct Detokenizer {
    tokenizer: Arc<Tokenizer>,
    controls: ControlTokens,
    /// The beginning of a character; at most three bytes.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// For one sequence.
    #[must_use]
    pub fn new(tokenizer: Arc<Tokenizer>, controls: ControlTokens) -> Self {
        Self {
            tokenizer,
            controls,
            pending: Vec::new(),
        }
    }

    /// The text that this token completes. An id without a token adds nothing.
    pub fn push(&mut self, id: u32) -> String {
        if self.controls == ControlTokens::Hidden && self.tokenizer.is_control(id) {
            return String::new();
        }
        self.pending
            .extend_from_slice(self.tokenizer.token_bytes(id).unwrap_or_default());
        take_whole(&mut self.pending)
    }

    /// What is left at the end: U+FFFD when the last character never became whole.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// Takes all but the beginning of a character that more bytes could complete; invalid bytes become U+FFFD.
fn take_whole(pending: &mut Vec<u8>) -> String {
    let mut text = String::with_capacity(pending.len());
    let mut rest = pending.as_slice();
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                rest = &[];
            }
            Err(error) => {
                let (valid, invalid) = rest.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(valid));
                let Some(length) = error.error_len() else {
                    rest = invalid;
                    break;
                };
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &invalid[length..];
            }
        }
    }
    let kept = rest.len();
    pending.drain(..pending.len() - kept);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_together_are_the_lossy_whole(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..5),
                    ".{0,3}".prop_map(String::into_bytes),
                    Just("火".as_bytes()[..2].to_vec()),
                    Just("😀".as_bytes()[1..3].to_vec()),
                ],
                0..20,
            ),
        ) {
            let mut pending = Vec::new();
            let mut text = String::new();
            for piece in &pieces {
                pending.extend_from_slice(piece);
                text.push_str(&take_whole(&mut pending));
                prop_assert!(pending.len() <= 3);
            }
            text.push_str(&String::from_utf8_lossy(&pending));
            let whole = pieces.concat();
            prop_assert_eq!(text, String::from_utf8_lossy(&whole));
        }

        #[test]
        fn valid_text_never_waits_longer_than_its_character(text in ".{0,20}") {
            let mut pending = Vec::new();
            let mut shown = String::new();
            for (at, &byte) in text.as_bytes().iter().enumerate() {
                pending.push(byte);
                shown.push_str(&take_whole(&mut pending));
                if text.is_char_boundary(at + 1) {
                    prop_assert_eq!(&shown, &text[..=at]);
                }
            }
        }
    }
}
