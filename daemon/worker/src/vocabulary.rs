//! The text side of a model: tokenizer and chat template from its files.

use std::sync::Arc;

use anyhow::{Context, Result};
use mains_engine::models::{Checkpoint, Model};
use mains_formats::{Array, Gguf, Value};
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
        let text_of = |id: u32| {
            let bytes = tokenizer.token_bytes(id)?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let bos = model.info.bos.and_then(text_of);
        let eos = model.info.eos.first().copied().and_then(text_of);
        let template = match &model.info.chat_template {
            None => Err("this model's files have no chat template".to_owned()),
            Some(source) => ChatTemplate::new(source, bos.as_deref(), eos.as_deref(), &tokenizer)
                .map_err(|error| error.to_string()),
        };
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            template,
        })
    }
}

/// The tokenizer in a model's files.
///
/// # Errors
/// When it can not be used.
pub(crate) fn tokenizer(checkpoint: &Checkpoint) -> Result<Tokenizer> {
    match checkpoint {
        Checkpoint::HuggingFace(folder) => Ok(Tokenizer::from_json(&folder.tokenizer)?),
        // The whole file says more than the keys beside it.
        Checkpoint::Gguf(gguf) => match gguf.metadata().find::<&str>("tokenizer.huggingface.json")? {
            Some(file) => Ok(Tokenizer::from_json(file.as_bytes())?),
            None => Ok(Tokenizer::from_gguf(vocabulary(gguf)?)?),
        },
    }
}

/// The keys `tokenizer.ggml.*` (GGUF specification, section "Tokenizer").
fn vocabulary(gguf: &Gguf) -> Result<GgufVocabulary> {
    let metadata = gguf.metadata();
    let strings = |key: &str| match metadata.get(key) {
        Some(Value::Array(Array::String(strings))) => Ok(strings.clone()),
        Some(_) => anyhow::bail!("{key} is no array of strings"),
        None => Ok(Vec::new()),
    };
    let tokens = strings("tokenizer.ggml.tokens")?;
    let scores = match metadata.get("tokenizer.ggml.scores") {
        Some(Value::Array(Array::F32(scores))) => scores.clone(),
        Some(_) => anyhow::bail!("tokenizer.ggml.scores is no array of float32"),
        None => Vec::new(),
    };
    let precompiled_charsmap = match metadata.get("tokenizer.ggml.precompiled_charsmap") {
        Some(Value::Array(Array::U8(bytes))) => bytes.clone(),
        Some(Value::Array(Array::I8(bytes))) => bytes.iter().map(|byte| byte.cast_unsigned()).collect(),
        Some(_) => anyhow::bail!("tokenizer.ggml.precompiled_charsmap is no array of bytes"),
        None => Vec::new(),
    };
    let kinds = match metadata.get("tokenizer.ggml.token_type") {
        Some(Value::Array(Array::I32(kinds))) => kinds.clone(),
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
        tokens,
        token_types: kinds?,
        scores,
        merges: strings("tokenizer.ggml.merges")?,
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

    use super::tokenizer;

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
            let gguf = Checkpoint::Gguf(Gguf::from_bytes(gguf, Path::new("converted.gguf")).unwrap());
            let (own, converted) = (tokenizer(&folder).unwrap(), tokenizer(&gguf).unwrap());
            for text in texts {
                assert_eq!(
                    own.encode_text(text).unwrap(),
                    converted.encode_text(text).unwrap(),
                    "{kind} {text:?}"
                );
            }
        }
    }
}
