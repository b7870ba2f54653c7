//! Text to token ids and back: tokenizer, chat template, incremental detokenizer, stop strings.
//!
//! One rule holds throughout: text that a user wrote never becomes a control token. Everything here is a pure function of its
//! arguments; time is an argument too.

mod controls;
mod detokenizer;
mod error;
mod marks;
mod stop;
mod template;
mod tokenizer;

pub use controls::Rendered;
pub use detokenizer::{ControlTokens, Detokenizer};
pub use error::TextError;
pub use stop::{StopMatcher, StopStep};
pub use template::{ChatInput, ChatTemplate, MAX_TEMPLATE_BYTES, TEMPLATE_FUEL};
pub use tokenizer::{
    ENCODE_BYTES_PER_BYTE, GgufTokenKind, GgufTranslation, GgufVocabulary, MAX_ADDED_TOKEN_BYTES,
    MAX_TEXT_BYTES, MAX_VOCABULARY, MAX_WHITESPACE_RUN, ModelIds, Tokenizer,
};
