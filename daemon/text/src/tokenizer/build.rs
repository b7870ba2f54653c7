//! From the parts of either file format to a tokenizer whose text side cannot make a control token.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper, TokenizerImpl};

use super::table::{TokenTable, spelled_bytes, utf8_alphabet};
use super::{MAX_ADDED_TOKEN_BYTES, MAX_VOCABULARY, TextEncoder, Tokenizer};
use crate::TextError;
use crate::controls::{Control, Controls};

/// A byte-level BPE tokenizer as both file formats describe it.
pub(super) struct Parts {
    /// Entries of the merge vocabulary in byte-level spelling, with ids.
    pub(super) vocabulary: Vec<(String, u32)>,
    /// Pairs to merge, the first first.
    pub(super) merges: Vec<(String, String)>,
    /// Tokens outside the merges, in their plain text.
    pub(super) added: Vec<Control>,
    pub(super) ignore_merges: bool,
    pub(super) normalizer: Option<NormalizerWrapper>,
    pub(super) pre_tokenizer: PreTokenizerWrapper,
    /// Ids that a text prompt begins and ends with.
    pub(super) around_text: (Vec<u32>, Vec<u32>),
    /// Ids that exist, spoken for or not.
    pub(super) ids: usize,
}

pub(super) fn bad(reason: impl Into<String>) -> TextError {
    TextError::BadTokenizer(reason.into())
}

impl Parts {
    pub(super) fn build(mut self) -> Result<Tokenizer, TextError> {
        let table = self.table()?;
        let (before, after) = &self.around_text;
        if let Some(id) = before.iter().chain(after).find(|id| table.get(**id).is_none()) {
            return Err(bad(format!(
                "it puts the id {id} beside a text, which is no token"
            )));
        }
        let mut vocabulary = self.vocabulary_by_text()?;
        let reachable = reachable(&vocabulary, &self.merges)?;
        let (mut textual, mut controls) = (Vec::new(), Vec::new());
        let mut specials = HashSet::new();
        for token in std::mem::take(&mut self.added) {
            if token.special {
                specials.insert(token.id);
            }
            match kind(&token, &reachable)? {
                Kind::Textual => {
                    vocabulary.entry(token.text.clone()).or_insert(token.id);
                    textual.push(as_added(&token));
                }
                Kind::Control => {
                    vocabulary.remove(&token.text);
                    controls.push(token);
                }
            }
        }
        let model = BPE::builder()
            .vocab_and_merges(Vocab::from_iter(vocabulary), self.merges)
            .ignore_merges(self.ignore_merges)
            .build()
            .map_err(|error| bad(error.to_string()))?;
        let mut encoder: TextEncoder = TokenizerImpl::new(model);
        encoder.with_pre_tokenizer(Some(self.pre_tokenizer));
        encoder
            .with_normalizer(self.normalizer)
            .map_err(|error| bad(error.to_string()))?;
        encoder
            .add_tokens(textual)
            .map_err(|error| bad(error.to_string()))?;
        Ok(Tokenizer {
            encoder,
            table,
            controls: Arc::new(Controls::new(controls)?),
            specials,
            around_text: self.around_text,
        })
    }

    fn table(&self) -> Result<TokenTable, TextError> {
        if self.ids > MAX_VOCABULARY {
            return Err(bad(format!(
                "it has {} token ids, more than {MAX_VOCABULARY}",
                self.ids
            )));
        }
        let added: HashMap<u32, &str> = self
            .added
            .iter()
            .map(|token| (token.id, token.text.as_str()))
            .collect();
        if added.len() != self.added.len() {
            return Err(bad("two added tokens have one id"));
        }
        let mut table = TokenTable::default();
        let mut set = |id, bytes: &[u8]| {
            table
                .set(id, bytes)
                .then_some(())
                .ok_or_else(|| bad("its tokens have more than 4 GiB of text"))
        };
        let mut spelled = HashSet::new();
        for (text, id) in &self.vocabulary {
            if !spelled.insert(*id) || added.get(id).is_some_and(|own| own != text) {
                return Err(bad(format!("token id {id} has two texts")));
            }
            set(*id, &spelled_bytes(text))?;
        }
        for token in &self.added {
            set(token.id, token.text.as_bytes())?;
        }
        table.extend_to(self.ids);
        Ok(table)
    }

    fn vocabulary_by_text(&mut self) -> Result<HashMap<String, u32>, TextError> {
        let entries = std::mem::take(&mut self.vocabulary);
        let count = entries.len();
        let vocabulary: HashMap<String, u32> = entries.into_iter().collect();
        if vocabulary.len() != count {
            return Err(bad("two tokens have one text"));
        }
        let mut letter = [0; 4];
        for (character, byte) in utf8_alphabet() {
            if !vocabulary.contains_key(&*character.encode_utf8(&mut letter)) {
                return Err(bad(format!(
                    "it has no token for the byte 0x{byte:02X}, so not every text has ids"
                )));
            }
        }
        Ok(vocabulary)
    }
}

/// Every text that merging can come to: single letters, parts and results of merges.
fn reachable(
    vocabulary: &HashMap<String, u32>,
    merges: &[(String, String)],
) -> Result<HashSet<String>, TextError> {
    let mut reachable: HashSet<String> = utf8_alphabet().map(|(letter, _)| letter.to_string()).collect();
    for (left, right) in merges {
        let whole = format!("{left}{right}");
        for text in [left, right, &whole] {
            if !vocabulary.contains_key(text) {
                return Err(bad(format!("a merge names `{text}`, which is no token")));
            }
        }
        reachable.insert(left.clone());
        reachable.insert(right.clone());
        reachable.insert(whole);
    }
    Ok(reachable)
}

enum Kind {
    /// Part of ordinary text: a run of spaces, or a word that merging makes too.
    Textual,
    /// Stands for something that no user may say.
    Control,
}

fn kind(token: &Control, reachable: &HashSet<String>) -> Result<Kind, TextError> {
    if token.text.is_empty() || token.text.len() > MAX_ADDED_TOKEN_BYTES {
        return Err(bad(format!(
            "the added token {} has {} bytes of text",
            token.id,
            token.text.len()
        )));
    }
    let merged = reachable.contains(&token.text);
    if token.special && merged {
        return Err(bad(format!(
            "ordinary text can spell its control token `{}`",
            token.text
        )));
    }
    let spaces = token.text.chars().all(char::is_whitespace);
    Ok(if !token.special && (merged || spaces) {
        Kind::Textual
    } else {
        Kind::Control
    })
}

fn as_added(token: &Control) -> AddedToken {
    AddedToken::from(token.text.clone(), false)
        .single_word(token.single_word)
        .lstrip(token.lstrip)
        .rstrip(token.rstrip)
        .normalized(token.normalized)
}
