//! Log-probabilities in the shapes of chat and of plain completions.

use std::fmt::Write;

use mains_types::TokenLogprob;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What stands for minus infinity: JSON has none, null breaks clients, and OpenAI documents -9999.0 for "very unlikely".
pub const LEAST_LOGPROB: f32 = -9999.0;

/// Log-probabilities of a chat completion's choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatLogprobs {
    /// One entry a token.
    pub content: Vec<ChatLogprob>,
    /// Always null.
    pub refusal: Option<Value>,
}

/// A token with its alternatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatLogprob {
    /// The token's text, or `bytes:\xe4\xbd` when it is no whole character.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
    /// The most likely tokens; empty when none were asked for, never absent.
    pub top_logprobs: Vec<TopLogprob>,
}

/// An alternative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopLogprob {
    /// The token's text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
}

impl ChatLogprobs {
    /// The shape of `tokens`.
    #[must_use]
    pub fn new(tokens: &[TokenLogprob]) -> Self {
        let content = tokens
            .iter()
            .map(|token| ChatLogprob {
                token: token_text(&token.bytes),
                logprob: finite(token.logprob),
                bytes: token.bytes.clone(),
                top_logprobs: token
                    .top
                    .iter()
                    .map(|(_, bytes, logprob)| TopLogprob {
                        token: token_text(bytes),
                        logprob: finite(*logprob),
                        bytes: bytes.clone(),
                    })
                    .collect(),
            })
            .collect();
        Self {
            content,
            refusal: None,
        }
    }
}

/// Log-probabilities of a plain completion's choice: parallel arrays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CompletionLogprobs {
    /// Texts of the tokens.
    pub tokens: Vec<String>,
    /// Natural logarithms of their probabilities.
    pub token_logprobs: Vec<f32>,
    /// Alternatives of each token by text; null when 0 were asked for.
    pub top_logprobs: Option<Vec<Map<String, Value>>>,
    /// Characters of the choice's text before each token.
    pub text_offset: Vec<usize>,
}

impl CompletionLogprobs {
    /// The shape of `tokens`, the first of which starts at `offset` characters of the choice's text.
    ///
    /// Returns it with the offset after the last token.
    #[must_use]
    pub fn new(tokens: &[TokenLogprob], mut offset: usize, alternatives: bool) -> (Self, usize) {
        let mut shape = Self {
            top_logprobs: alternatives.then(Vec::new),
            ..Self::default()
        };
        for token in tokens {
            shape.tokens.push(token_text(&token.bytes));
            shape.token_logprobs.push(finite(token.logprob));
            shape.text_offset.push(offset);
            offset += characters(&token.bytes);
            if let Some(top) = &mut shape.top_logprobs {
                top.push(
                    token
                        .top
                        .iter()
                        .map(|(_, bytes, logprob)| (token_text(bytes), Value::from(finite(*logprob))))
                        .collect(),
                );
            }
        }
        (shape, offset)
    }
}

/// Characters that begin in `bytes`: a character split over tokens counts once.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count()
}

/// A token as text. A part of a character has none: its bytes are spelled out, as OpenAI does.
fn token_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |mut text, byte| {
            write!(text, "\\x{byte:02x}").expect("writing into a string cannot fail");
            text
        }),
    }
}

const fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() {
        logprob
    } else {
        LEAST_LOGPROB
    }
}
