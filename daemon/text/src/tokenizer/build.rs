//! From the parts of either file format to a tokenizer whose text side cannot make a control token.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokenizers::{AddedToken, Model, NormalizerWrapper, PreTokenizerWrapper, TokenizerImpl};

use super::model::ModelParts;
use super::spelling::Spelling;
use super::table::TokenTable;
use super::{MAX_ADDED_TOKEN_BYTES, MAX_VOCABULARY, TextEncoder, Tokenizer};
use crate::TextError;
use crate::controls::{Control, Controls};

/// A tokenizer as all file formats describe it.
pub(super) struct Parts {
    pub(super) model: ModelParts,
    pub(super) spelling: Spelling,
    /// Tokens that are matched as a whole, in their plain text.
    pub(super) added: Vec<Control>,
    pub(super) normalizer: Option<NormalizerWrapper>,
    pub(super) pre_tokenizer: Option<PreTokenizerWrapper>,
    /// Ids that a text prompt begins and ends with.
    pub(super) around_text: (Vec<u32>, Vec<u32>),
    /// Ids that exist, spoken for or not.
    pub(super) ids: usize,
}

pub(super) fn bad(reason: impl Into<String>) -> TextError {
    TextError::BadTokenizer(reason.into())
}

/// The vocabulary by text.
///
/// # Errors
/// When two tokens have one text.
pub(super) fn by_text(
    entries: impl IntoIterator<Item = (String, u32)>,
) -> Result<HashMap<String, u32>, TextError> {
    let mut vocabulary = HashMap::new();
    for (text, id) in entries {
        if vocabulary.insert(text, id).is_some() {
            return Err(bad("two tokens have one text"));
        }
    }
    Ok(vocabulary)
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
        let is_special = |token: &&Control| token.special;
        let special_texts = self
            .added
            .iter()
            .filter(is_special)
            .map(|token| token.text.as_str());
        let asked = self.added.iter().map(|token| token.text.as_str()).collect();
        let reachable = self
            .model
            .reachable(&self.spelling, &special_texts.collect(), &asked)?;
        let specials = self
            .added
            .iter()
            .filter(is_special)
            .map(|token| token.id)
            .collect();
        let (mut textual, mut controls) = (Vec::new(), Vec::new());
        let mut kept = Vec::new();
        for token in self.added {
            match kind(&token, &reachable)? {
                Kind::Textual => {
                    self.model.keep(&token.text, token.id)?;
                    textual.push(as_added(&token));
                    kept.push((token.text, token.id));
                }
                Kind::Control => {
                    self.model.remove(&token.text, token.id);
                    controls.push(token);
                }
            }
        }
        let model = self.model.build(&self.spelling)?;
        // The library gives a text that its model does not have an id of its own.
        if let Some((text, id)) = kept
            .iter()
            .find(|(text, id)| model.token_to_id(text) != Some(*id))
        {
            return Err(bad(format!("its model has another id than {id} for `{text}`")));
        }
        let encoder = |pre_tokenizer: Option<PreTokenizerWrapper>| {
            let refused = |error: tokenizers::Error| bad(error.to_string());
            let mut encoder: TextEncoder = TokenizerImpl::new(model.clone());
            encoder.with_pre_tokenizer(pre_tokenizer);
            encoder
                .with_normalizer(self.normalizer.clone())
                .map_err(refused)?;
            encoder.add_tokens(textual.clone()).map_err(refused)?;
            Ok::<_, TextError>(encoder)
        };
        Ok(Tokenizer {
            later_encoder: later(self.pre_tokenizer.as_ref())
                .map(|later| encoder(Some(later)))
                .transpose()?,
            encoder: encoder(self.pre_tokenizer)?,
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
        let mut table = TokenTable::of(self.ids);
        let mut set = |id, bytes: &[u8]| {
            table
                .set(id, bytes)
                .then_some(())
                .ok_or_else(|| bad("its tokens have more than 4 GiB of text"))
        };
        let mut spelled = HashSet::new();
        for (text, id) in self.model.entries() {
            if !spelled.insert(id) || added.get(&id).is_some_and(|own| *own != text) {
                return Err(bad(format!("token id {id} has two texts")));
            }
            set(id, &self.spelling.bytes(text))?;
        }
        for token in &self.added {
            set(token.id, &self.spelling.added_bytes(&token.text))?;
        }
        table.shrink();
        Ok(table)
    }
}

/// The pre-tokenizer for text that comes after a control token, where it is another one: Metaspace may put a space before
/// the first text only.
fn later(pre_tokenizer: Option<&PreTokenizerWrapper>) -> Option<PreTokenizerWrapper> {
    use tokenizers::pre_tokenizers::metaspace::PrependScheme;
    match pre_tokenizer? {
        PreTokenizerWrapper::Metaspace(metaspace) if metaspace.prepend_scheme == PrependScheme::First => {
            let mut metaspace = metaspace.clone();
            metaspace.prepend_scheme = PrependScheme::Never;
            Some(PreTokenizerWrapper::Metaspace(metaspace))
        }
        PreTokenizerWrapper::Sequence(sequence) => {
            let mut sequence = sequence.clone();
            let mut changed = false;
            for step in AsMut::<[PreTokenizerWrapper]>::as_mut(&mut sequence) {
                if let Some(later) = later(Some(step)) {
                    (*step, changed) = (later, true);
                }
            }
            changed.then_some(PreTokenizerWrapper::Sequence(sequence))
        }
        _ => None,
    }
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
