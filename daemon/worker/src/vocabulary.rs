//! The text side of a model: tokenizer and chat template from its files.

use std::sync::Arc;

use anyhow::{Context, Result};
use mains_engine::models::{Checkpoint, Model, ModelInfo};
use mains_formats::{Array, Metadata, Value};
use mains_text::{ChatTemplate, GgufTokenKind, GgufVocabulary, TextError, Tokenizer};

/// What turns text into ids for one model.
pub(crate) struct Vocabulary {
    /// The tokenizer.
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// The chat template; `Err` says why there is none that works.
    pub(crate) template: Result<ChatTemplate, String>,
}

impl Vocabulary {
    /// Reads both from the model's files.
    ///
    /// # Errors
    /// When the tokenizer can not be used. A template that can not be used is kept as its reason: plain text still works.
    pub(crate) fn of(model: &Model) -> Result<Self> {
        let tokenizer = tokenizer(model.checkpoint()).context("tokenizer")?;
        Ok(Self::new(tokenizer, &model.info))
    }

    /// The same with the tokenizer that [`take_tokenizer`] took out of the files of the model of `info`.
    pub(crate) fn new(tokenizer: Tokenizer, info: &ModelInfo) -> Self {
        let text_of = |id: u32| {
            let bytes = tokenizer.token_bytes(id)?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let bos = info.bos.and_then(text_of);
        let eos = info.eos.first().copied().and_then(text_of);
        let template = match &info.chat_template {
            None => Err("this model's files have no chat template".to_owned()),
            Some(source) => ChatTemplate::new(source, bos.as_deref(), eos.as_deref(), &tokenizer)
                .map_err(|error| error.to_string()),
        };
        Self {
            tokenizer: Arc::new(tokenizer),
            template,
        }
    }
}

/// The tokenizer in a model's files.
///
/// # Errors
/// When it can not be used.
pub(crate) fn tokenizer(checkpoint: &Checkpoint) -> Result<Tokenizer> {
    match checkpoint {
        Checkpoint::HuggingFace(folder) => Ok(Tokenizer::from_json(&folder.tokenizer)?),
        Checkpoint::Gguf(gguf) => {
            let metadata = gguf.metadata();
            build(metadata, Tables::gather(|key| metadata.get(key).cloned()))
        }
    }
}

/// The tokenizer out of a model's files, which lose its tables: they are most of what is kept of a header, and are not needed
/// twice.
///
/// # Errors
/// When it can not be used.
pub(crate) fn take_tokenizer(checkpoint: &mut Checkpoint) -> Result<Tokenizer> {
    match checkpoint {
        Checkpoint::HuggingFace(folder) => Ok(Tokenizer::from_json(&std::mem::take(&mut folder.tokenizer))?),
        Checkpoint::Gguf(gguf) => {
            let tables = Tables::gather(|key| gguf.take(key));
            build(gguf.metadata(), tables)
        }
    }
}

/// The large values among the keys of a tokenizer.
struct Tables {
    file: Option<Value>,
    tokens: Option<Value>,
    kinds: Option<Value>,
    scores: Option<Value>,
    merges: Option<Value>,
    charsmap: Option<Value>,
}

const TOKENS: &str = "tokenizer.ggml.tokens";
const MERGES: &str = "tokenizer.ggml.merges";

impl Tables {
    fn gather(mut value: impl FnMut(&str) -> Option<Value>) -> Self {
        Self {
            file: value("tokenizer.huggingface.json"),
            tokens: value(TOKENS),
            kinds: value("tokenizer.ggml.token_type"),
            scores: value("tokenizer.ggml.scores"),
            merges: value(MERGES),
            charsmap: value("tokenizer.ggml.precompiled_charsmap"),
        }
    }
}

fn build(metadata: &Metadata, tables: Tables) -> Result<Tokenizer> {
    // The whole file says more than the keys beside it.
    match &tables.file {
        Some(Value::String(file)) => Ok(Tokenizer::from_json(file.as_bytes())?),
        Some(_) => anyhow::bail!("tokenizer.huggingface.json is no string"),
        None => Ok(Tokenizer::from_gguf(vocabulary(metadata, tables)?)?),
    }
}

fn strings(key: &str, value: Option<Value>) -> Result<Vec<String>> {
    match value {
        Some(Value::Array(Array::String(strings))) => Ok(strings),
        Some(_) => anyhow::bail!("{key} is no array of strings"),
        None => Ok(Vec::new()),
    }
}

/// The keys `tokenizer.ggml.*` (GGUF specification, section "Tokenizer").
fn vocabulary(metadata: &Metadata, tables: Tables) -> Result<GgufVocabulary> {
    let scores = match tables.scores {
        Some(Value::Array(Array::F32(scores))) => scores,
        Some(_) => anyhow::bail!("tokenizer.ggml.scores is no array of float32"),
        None => Vec::new(),
    };
    let precompiled_charsmap = match tables.charsmap {
        Some(Value::Array(Array::U8(bytes))) => bytes,
        Some(Value::Array(Array::I8(bytes))) => bytes.into_iter().map(|byte| byte.cast_unsigned()).collect(),
        Some(_) => anyhow::bail!("tokenizer.ggml.precompiled_charsmap is no array of bytes"),
        None => Vec::new(),
    };
    let kinds = match tables.kinds {
        Some(Value::Array(Array::I32(kinds))) => kinds,
        Some(_) => anyhow::bail!("tokenizer.ggml.token_type is no array of int32"),
        None => {
            anyhow::bail!("tokenizer.ggml.token_type is missing: control tokens cannot be told from text")
        }
    };
    let kinds: Result<Vec<GgufTokenKind>, TextError> = kinds
        .into_iter()
        .map(|kind| GgufTokenKind::try_from(i64::from(kind)))
        .collect();
    let bos: Option<u32> = metadata.find("tokenizer.ggml.bos_token_id")?;
    Ok(GgufVocabulary {
        model: metadata.require::<&str>("tokenizer.ggml.model")?.to_owned(),
        pre: metadata.find::<&str>("tokenizer.ggml.pre")?.map(str::to_owned),
        tokens: strings(TOKENS, tables.tokens)?,
        token_types: kinds?,
        scores,
        merges: strings(MERGES, tables.merges)?,
        // Encoders call the same token a class.
        bos: bos.or(metadata.find("tokenizer.ggml.cls_token_id")?),
        eos: metadata.find("tokenizer.ggml.eos_token_id")?,
        add_bos: metadata.find("tokenizer.ggml.add_bos_token")?,
        add_eos: metadata.find("tokenizer.ggml.add_eos_token")?,
        unknown: metadata.find("tokenizer.ggml.unknown_token_id")?,
        separator: metadata.find("tokenizer.ggml.seperator_token_id")?,
        add_space_prefix: metadata.find("tokenizer.ggml.add_space_prefix")?,
        remove_extra_whitespaces: metadata.find("tokenizer.ggml.remove_extra_whitespaces")?,
        precompiled_charsmap,
        lowercase: metadata.find("tokenizer.ggml.normalizer.lowercase")?,
        strip_accents: metadata.find("tokenizer.ggml.normalizer.strip_accents")?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use mains_engine::models::Checkpoint;
    use mains_engine::models::convert::{Conversion, ConvertOptions};
    use mains_formats::Gguf;

    use super::{take_tokenizer, tokenizer};

    /// Every kind of tokenizer, in a model that has room for it.
    #[test]
    fn a_converted_tokenizer_gives_the_same_ids() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let llama = crates.join("../tests/fixtures/families/llama");
        let texts = [
            "Hello  world\n",
            " a",
            "e\u{301}½ﬁ 你好 😀\u{3000}",
            "<s>[CLS]<0x0A>",
            "12345 don't\t\t",
        ];
        for kind in ["spm", "unigram", "fallback", "wordpiece", "pilot_tokenizer"] {
            let copy = tempfile::tempdir().unwrap();
            let config = fs::read_to_string(llama.join("config.json")).unwrap();
            let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
            // What begins and ends a text is the tokenizer's to say.
            config["bos_token_id"] = serde_json::Value::Null;
            fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
            fs::copy(
                llama.join("model.safetensors"),
                copy.path().join("model.safetensors"),
            )
            .unwrap();
            let file = crates.join(format!("text/tests/fixtures/{kind}.json"));
            fs::copy(file, copy.path().join("tokenizer.json")).unwrap();
            let folder = Arc::new(Checkpoint::open(copy.path()).unwrap());
            let mut gguf = Vec::new();
            let conversion = Conversion::plan(Arc::clone(&folder), &ConvertOptions::default()).unwrap();
            conversion
                .write(&mut gguf, std::num::NonZero::<usize>::MIN)
                .unwrap();
            let mut gguf = Checkpoint::Gguf(Gguf::from_bytes(gguf, Path::new("converted.gguf")).unwrap());
            let (own, converted) = (tokenizer(&folder).unwrap(), tokenizer(&gguf).unwrap());
            let taken = take_tokenizer(&mut gguf).unwrap();
            assert!(tokenizer(&gguf).is_err(), "its tables are gone");
            for text in texts {
                let ids = own.encode_text(text).unwrap();
                for other in [&converted, &taken] {
                    assert_eq!(ids, other.encode_text(text).unwrap(), "{kind} {text:?}");
                }
            }
        }
    }
}
