//! The models that turn pieces of text into ids, in a form that control tokens can be taken out of.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{Model, ModelWrapper, Token};

use super::build::bad;
use super::spelling::Spelling;
use crate::TextError;

/// A model before its control tokens are taken out.
pub(super) enum ModelParts {
    /// Byte pair encoding: merges pairs, the first in the list first.
    Bpe {
        vocabulary: HashMap<String, u32>,
        merges: Vec<(String, String)>,
        /// A piece that is a token as a whole is taken without merging.
        ignore_merges: bool,
        /// Whether what has no token becomes the tokens of its bytes; otherwise letters stand for bytes.
        byte_fallback: bool,
    },
    /// The sequence of pieces with the highest sum of scores; a piece's index is its id.
    Unigram {
        pieces: Vec<(String, f64)>,
        /// The id of what has no piece.
        unknown: usize,
        /// Whether what has no piece becomes the tokens of its bytes.
        byte_fallback: bool,
    },
    /// The longest entry first.
    WordPiece {
        vocabulary: HashMap<String, u32>,
        /// What begins the entries that continue a word.
        prefix: String,
        /// The entry for words that can not be spelled.
        unknown: String,
        /// Longer words are unknown, in characters.
        max_word: usize,
    },
}

impl ModelParts {
    /// Texts and ids, for the table of bytes.
    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = (&str, u32)> + '_> {
        match self {
            Self::Bpe { vocabulary, .. } | Self::WordPiece { vocabulary, .. } => {
                Box::new(vocabulary.iter().map(|(text, id)| (text.as_str(), *id)))
            }
            Self::Unigram { pieces, .. } => {
                Box::new(pieces.iter().map(|(text, _)| text.as_str()).zip(0_u32..))
            }
        }
    }

    /// Those of the texts `asked` that ordinary text can come to: for BPE single characters, parts and results of merges; for
    /// the others all but the special ones.
    ///
    /// # Errors
    /// When a merge names what is no token, or a byte has none.
    pub(super) fn reachable(
        &self,
        spelling: &Spelling,
        specials: &HashSet<&str>,
        asked: &HashSet<&str>,
    ) -> Result<HashSet<String>, TextError> {
        let Self::Bpe {
            vocabulary, merges, ..
        } = self
        else {
            let bytes = self.byte_pieces(spelling)?;
            let is_byte = |id: u32| bytes.iter().any(|(own, _)| *own == id);
            let texts = self
                .entries()
                .filter(|(_, id)| !is_byte(*id))
                .map(|(text, _)| text);
            return Ok(texts
                .filter(|text| asked.contains(text) && !specials.contains(text))
                .map(str::to_owned)
                .collect());
        };
        for (text, byte) in spelling.byte_tokens() {
            if !vocabulary.contains_key(&text) {
                return Err(no_token(byte));
            }
        }
        let mut reachable: HashSet<String> = spelling.letters(vocabulary);
        for (left, right) in merges {
            let whole = format!("{left}{right}");
            for text in [left, right, &whole] {
                if !vocabulary.contains_key(text) {
                    return Err(bad(format!("a merge names `{text}`, which is no token")));
                }
                if asked.contains(text.as_str()) {
                    reachable.insert(text.clone());
                }
            }
        }
        Ok(reachable)
    }

    /// Makes sure that a token of ordinary text has its id.
    ///
    /// # Errors
    /// When a Unigram model has another piece, or none, there.
    pub(super) fn keep(&mut self, text: &str, id: u32) -> Result<(), TextError> {
        match self {
            Self::Bpe { vocabulary, .. } | Self::WordPiece { vocabulary, .. } => {
                vocabulary.entry(text.to_owned()).or_insert(id);
            }
            Self::Unigram { pieces, .. } => {
                if pieces.get(id as usize).is_none_or(|(own, _)| own != text) {
                    return Err(bad(format!(
                        "the added token {id} is no piece of its Unigram model"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Takes a control token out. Its id stays what it is.
    pub(super) fn remove(&mut self, text: &str, id: u32) {
        match self {
            Self::Bpe { vocabulary, .. } => {
                vocabulary.remove(text);
            }
            Self::WordPiece {
                vocabulary, unknown, ..
            } => {
                // The model looks this one up by its text; `build` puts it out of reach.
                if text != unknown {
                    vocabulary.remove(text);
                }
            }
            Self::Unigram { pieces, .. } => {
                // No piece of text is empty, so none is this one.
                if let Some((own, _)) = pieces.get_mut(id as usize) {
                    own.clear();
                }
            }
        }
    }

    /// The ids that stand for bytes, where text falls back to them and the model itself does not know.
    ///
    /// # Errors
    /// When a byte has none.
    fn byte_pieces(&self, spelling: &Spelling) -> Result<Vec<(u32, u8)>, TextError> {
        let Self::Unigram {
            pieces,
            byte_fallback: true,
            ..
        } = self
        else {
            return Ok(Vec::new());
        };
        let ids: HashMap<&str, u32> = pieces.iter().map(|(text, _)| text.as_str()).zip(0..).collect();
        let id = |(text, byte): (String, u8)| match ids.get(text.as_str()) {
            Some(id) => Ok((*id, byte)),
            None => Err(no_token(byte)),
        };
        spelling.byte_tokens().into_iter().map(id).collect()
    }

    pub(super) fn build(mut self, spelling: &Spelling) -> Result<SharedModel, TextError> {
        let bytes = self.byte_pieces(spelling)?;
        if let Self::Unigram { pieces, .. } = &mut self {
            // SentencePiece matches no text with them: a user's `<0x0A>` is no line end.
            for (id, _) in &bytes {
                pieces[*id as usize].0.clear();
            }
        }
        let unknown = match &self {
            Self::Unigram { unknown, .. } if !bytes.is_empty() => u32::try_from(*unknown).ok(),
            _ => None,
        };
        let mut tokens = [0; 256];
        bytes
            .iter()
            .for_each(|(id, byte)| tokens[usize::from(*byte)] = *id);
        Ok(SharedModel(Arc::new(Shared {
            model: self.wrapped()?,
            fallback: unknown.map(|unknown| ByteFallback { unknown, tokens }),
        })))
    }

    fn wrapped(self) -> Result<ModelWrapper, TextError> {
        let refused = |error: tokenizers::Error| bad(error.to_string());
        match self {
            Self::Bpe {
                vocabulary,
                merges,
                ignore_merges,
                byte_fallback,
            } => BPE::builder()
                .vocab_and_merges(Vocab::from_iter(vocabulary), merges)
                .ignore_merges(ignore_merges)
                .byte_fallback(byte_fallback)
                .build()
                .map(ModelWrapper::BPE)
                .map_err(refused),
            Self::Unigram {
                mut pieces, unknown, ..
            } => {
                if pieces.iter().any(|(_, score)| !score.is_finite()) {
                    return Err(bad("a piece has no finite score"));
                }
                if let Some((text, _)) = pieces.get_mut(unknown) {
                    text.clear();
                }
                let model = Unigram::from(pieces, Some(unknown), false);
                model.map(ModelWrapper::Unigram).map_err(refused)
            }
            Self::WordPiece {
                mut vocabulary,
                prefix,
                unknown,
                max_word,
            } => {
                let id = vocabulary.remove(&unknown);
                let id =
                    id.ok_or_else(|| bad(format!("its token for unknown words, `{unknown}`, is none")))?;
                // Words have no spaces, so none is this one.
                let unknown = format!(" {unknown}");
                vocabulary.insert(unknown.clone(), id);
                WordPiece::builder()
                    .vocab(Vocab::from_iter(vocabulary))
                    .unk_token(unknown)
                    .continuing_subword_prefix(prefix)
                    .max_input_chars_per_word(max_word)
                    .build()
                    .map(ModelWrapper::WordPiece)
                    .map_err(refused)
            }
        }
    }
}

fn no_token(byte: u8) -> TextError {
    bad(format!(
        "it has no token for the byte 0x{byte:02X}, so not every text has ids"
    ))
}

/// A model that several pipelines share.
#[derive(Clone)]
pub(super) struct SharedModel(Arc<Shared>);

struct Shared {
    model: ModelWrapper,
    fallback: Option<ByteFallback>,
}

/// Bytes in the place of the unknown.
struct ByteFallback {
    unknown: u32,
    /// Token ids by byte; those that occur in no UTF-8 are 0.
    tokens: [u32; 256],
}

impl ByteFallback {
    fn spell(&self, token: Token) -> Vec<Token> {
        if token.id != self.unknown {
            return vec![token];
        }
        let spelled = token.value.bytes().map(|byte| Token {
            id: self.tokens[usize::from(byte)],
            value: String::new(),
            offsets: token.offsets,
        });
        spelled.collect()
    }
}

impl Model for SharedModel {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, sequence: &str) -> tokenizers::Result<Vec<Token>> {
        let tokens = self.0.model.tokenize(sequence)?;
        Ok(match &self.0.fallback {
            None => tokens,
            Some(fallback) => tokens
                .into_iter()
                .flat_map(|token| fallback.spell(token))
                .collect(),
        })
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.0.model.token_to_id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.0.model.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.0.model.get_vocab()
    }

    fn get_vocab_size(&self) -> usize {
        self.0.model.get_vocab_size()
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        self.0.model.save(folder, prefix)
    }

    fn get_trainer(&self) -> TrainerWrapper {
        self.0.model.get_trainer()
    }
}
