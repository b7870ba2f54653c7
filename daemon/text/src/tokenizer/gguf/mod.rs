//! Builds a tokenizer from the vocabulary in a GGUF file (keys `tokenizer.ggml.*`, GGUF specification, section
//! "Tokenizer").

mod bpe;
mod sentencepiece;
mod wordpiece;

pub(super) use wordpiece::MAX_WORD;

use super::Tokenizer;
use super::build::bad;
use crate::TextError;
use crate::controls::Control;

/// What a GGUF file says of its tokenizer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`: `gpt2` is byte-level BPE, `llama` SentencePiece's BPE with scores, `gemma4` the same with
    /// merges, `t5` Unigram, `bert` WordPiece.
    pub model: String,
    /// `tokenizer.ggml.pre`; for byte-level BPE refused when absent, because it decides the ids.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`, one a token.
    pub token_types: Vec<GgufTokenKind>,
    /// `tokenizer.ggml.scores`, one a token; for `llama` and `t5`.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.merges`, each `left right`; for `gpt2` and `gemma4`.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unknown: Option<u32>,
    /// `tokenizer.ggml.seperator_token_id` (the key is misspelled so).
    pub separator: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`; the habit of the model or pre-tokenizer when absent.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`; the habit of the model when absent.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`: text begins with a space; yes for `llama` and `t5` when absent.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.ggml.remove_extra_whitespaces`, for `t5`; no when absent.
    pub remove_extra_whitespaces: Option<bool>,
    /// `tokenizer.ggml.precompiled_charsmap`, for `t5`: SentencePiece's normalization; none when empty.
    pub precompiled_charsmap: Vec<u8>,
    /// `tokenizer.ggml.normalizer.lowercase`, for `bert`; yes when absent, as in llama.cpp.
    pub lowercase: Option<bool>,
    /// `tokenizer.ggml.normalizer.strip_accents`, for `bert`; what `lowercase` says when absent.
    pub strip_accents: Option<bool>,
}

/// `tokenizer.ggml.token_type` of one token (`llama_token_type` in llama.cpp's `llama.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GgufTokenKind {
    /// 1: part of text.
    Normal,
    /// 2: stands for what has no token.
    Unknown,
    /// 3: a control token.
    Control,
    /// 4: added by whoever made the model; matched as a whole.
    UserDefined,
    /// 5: no meaning; fills the table.
    Unused,
    /// 6: stands for a byte (`<0x0A>`).
    Byte,
}

impl GgufTokenKind {
    /// The number in the file.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Normal => 1,
            Self::Unknown => 2,
            Self::Control => 3,
            Self::UserDefined => 4,
            Self::Unused => 5,
            Self::Byte => 6,
        }
    }
}

impl TryFrom<i64> for GgufTokenKind {
    type Error = TextError;

    /// Reads the number in the file.
    fn try_from(number: i64) -> Result<Self, TextError> {
        Ok(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => {
                return Err(TextError::Unsupported {
                    what: "the token type (tokenizer.ggml.token_type)",
                    name: number.to_string(),
                    known: "1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte".to_owned(),
                });
            }
        })
    }
}

pub(super) fn read(file: GgufVocabulary) -> Result<Tokenizer, TextError> {
    let (tokens, types) = (file.tokens.len(), file.token_types.len());
    if tokens != types {
        return Err(bad(format!(
            "the file has {tokens} tokens but {types} token types"
        )));
    }
    let parts = match file.model.as_str() {
        "gpt2" => bpe::byte_level(file),
        "gemma4" => bpe::spaced(file),
        "llama" => sentencepiece::bpe(file),
        "t5" => sentencepiece::unigram(file),
        "bert" => wordpiece::parts(file),
        _ => {
            return Err(TextError::Unsupported {
                what: "the tokenizer (tokenizer.ggml.model)",
                name: file.model,
                known: "gpt2 (byte-level BPE), llama and gemma4 (SentencePiece BPE), t5 (Unigram), bert (WordPiece)"
                    .to_owned(),
            });
        }
    };
    parts?.build()
}

/// Tokens by what they are for, each with its id.
struct Sorted {
    /// Part of text, bytes included.
    text: Vec<(String, u32)>,
    /// Control tokens, and what the maker added.
    added: Vec<Control>,
}

impl Sorted {
    /// A word that the maker added as a whole may be a merge's result too; the merges look it up by its text.
    fn new(tokens: Vec<String>, kinds: Vec<GgufTokenKind>) -> Self {
        let (mut text, mut added) = (Vec::new(), Vec::new());
        for ((token, kind), id) in tokens.into_iter().zip(kinds).zip(0_u32..) {
            match kind {
                GgufTokenKind::Normal | GgufTokenKind::Byte => text.push((token, id)),
                GgufTokenKind::Unused => {}
                GgufTokenKind::UserDefined => {
                    text.push((token.clone(), id));
                    added.push(control(token, id, false));
                }
                GgufTokenKind::Control | GgufTokenKind::Unknown => added.push(control(token, id, true)),
            }
        }
        Self { text, added }
    }
}

/// Ids before and after a text, where the file or else the habit of its kind asks for them.
fn around_text(file: &GgufVocabulary, bos: bool, eos: bool) -> Result<(Vec<u32>, Vec<u32>), TextError> {
    let ids = file.tokens.len();
    Ok((
        around(file.add_bos.unwrap_or(bos), file.bos, "bos", ids)?,
        around(file.add_eos.unwrap_or(eos), file.eos, "eos", ids)?,
    ))
}

fn control(text: String, id: u32, special: bool) -> Control {
    Control {
        id,
        text,
        special,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
    }
}

fn around(wanted: bool, id: Option<u32>, name: &str, tokens: usize) -> Result<Vec<u32>, TextError> {
    match id {
        _ if !wanted => Ok(Vec::new()),
        Some(id) if (id as usize) < tokens => Ok(vec![id]),
        Some(id) => Err(bad(format!(
            "its {name} token {id} is outside the {tokens} tokens"
        ))),
        None => Err(bad(format!(
            "text prompts need the {name} token, but the file names none"
        ))),
    }
}
