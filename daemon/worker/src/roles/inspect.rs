//! The role `inspect`: what a model's files say, without loading anything.

mod digest;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mains_contract::{BlockFormat, Bytes, StepLimits};
use mains_engine::EngineConfig;
use mains_engine::models::{Checkpoint, LoadCosts, Model, ModelInfo, ModelOptions};
use mains_formats::Value;
use mains_types::{About, Digest, ModelFacts, RuntimeModel};
use mains_wire::frames::{FromWorker, ToWorker, bounds};
use serde::Deserialize;

use crate::drivers;
use crate::heap::{self, Taken};
use crate::inbox::{Inbox, Message, Outbox};
use crate::vocabulary::{Vocabulary, take_tokenizer};

/// Positions in a block of state: a sequence wastes half a block, and a block table of a long context stays small.
const BLOCK_TOKENS: u32 = 16;

/// Answers `Inspect` until the connection ends.
pub(crate) fn work(inbox: Inbox<Infallible>, outbox: Outbox) -> Result<()> {
    loop {
        match inbox.wait()? {
            Message::Frame(ToWorker::Inspect {
                path,
                drivers,
                digest,
            }) => {
                let answer = match facts(&path, &drivers, digest, || inbox.beat()) {
                    Ok(facts) => FromWorker::Facts(Box::new(facts)),
                    Err(error) => FromWorker::Error(message(&error)),
                };
                outbox.say(answer)?;
            }
            Message::Frame(_) => bail!("this worker only inspects models"),
        }
    }
}

/// An error as a frame carries it.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut message = format!("{error:#}");
    let end = message.floor_char_boundary(bounds::MESSAGE_BYTES);
    message.truncate(end);
    message
}

/// Reads and judges the files at `path`, whose digest may be known. `beat` is called between pieces of work.
fn facts(
    path: &Path,
    wanted: &[String],
    digest: Option<Digest>,
    beat: impl FnMut() -> Result<()>,
) -> Result<ModelFacts> {
    let (opened, taken) = heap::measured(|| open(path));
    let Opened {
        about,
        model,
        vocabulary,
    } = opened?;
    let [first_kv, others @ ..] = KV_FORMATS;
    let (digest, file_bytes) = match digest {
        Some(known) => (known, digest::bytes(path)?),
        None => digest::of(path, beat)?,
    };
    // A type that rows of keys and values do not suit can not be had.
    let others = others
        .into_iter()
        .filter_map(|kv| Some((kv, Arc::new(model.graph_with(kv).ok()?))));
    let graphs: Vec<_> = [(first_kv, Arc::clone(&model.graph))]
        .into_iter()
        .chain(others)
        .collect();
    let costed = LoadCosts::new(&model, &graphs);
    let (mut costs, mut unsupported) = (Vec::new(), Vec::new());
    let asked_for = |name: &&str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    for name in drivers::NAMES.into_iter().filter(asked_for) {
        let driver = drivers::open(name, None)?;
        match drivers::check(&*driver, &model.graph, &model.formats()) {
            Ok(()) => costs.push(costed.on(&*driver)),
            Err(refusal) => unsupported.push((name.to_owned(), refusal.to_string())),
        }
    }
    let info = &model.info;
    Ok(ModelFacts {
        family: model.family.name.to_owned(),
        digest,
        file_bytes,
        parameters: info.parameters,
        layers: info.layers,
        width: info.width,
        vocabulary: info.vocabulary,
        context: info.context,
        chat: vocabulary.template.is_ok(),
        sampling: info.sampling,
        products: costed.products(),
        tensors: model.weights.tensors().cloned().collect(),
        borders: costed.borders().to_vec(),
        parts: costed.parts().to_vec(),
        costs,
        unsupported,
        block_tokens: BLOCK_TOKENS,
        runtime: runtime(info, taken),
        about,
        sensitivity: None,
        importance: None,
    })
}

/// What a load opens of a model before a driver takes its weights.
struct Opened {
    about: About,
    model: Model,
    vocabulary: Vocabulary,
}

/// Opens the model at `path` as the role `run` does.
fn open(path: &Path) -> Result<Opened> {
    let at = || path.display().to_string();
    let mut checkpoint = Checkpoint::open(path)?;
    let about = about(&checkpoint);
    let tokenizer = take_tokenizer(&mut checkpoint);
    let tokenizer = tokenizer.context("tokenizer").with_context(at)?;
    let options = ModelOptions {
        kv_format: KV_FORMATS[0],
        ..ModelOptions::default()
    };
    let model = Model::from_checkpoint(Arc::new(checkpoint), &options).with_context(at)?;
    let vocabulary = Vocabulary::new(tokenizer, &model.info);
    Ok(Opened {
        about,
        model,
        vocabulary,
    })
}

/// What the files say of themselves. Texts that are no texts, or longer than a frame takes, are left out: they are for people.
fn about(checkpoint: &Checkpoint) -> About {
    let short = |text: &str| (text.len() <= bounds::NAME_BYTES).then(|| text.to_owned());
    match checkpoint {
        Checkpoint::Gguf(gguf) => {
            let text = |key: &str| match gguf.metadata().get(key) {
                Some(Value::String(text)) => short(text),
                _ => None,
            };
            About {
                title: text("general.name"),
                licence: text("general.license"),
                tokenizer: text("tokenizer.ggml.model"),
            }
        }
        Checkpoint::HuggingFace(folder) => {
            let tokenizer: Option<TokenizerFile> = serde_json::from_slice(&folder.tokenizer).ok();
            About {
                title: None,
                licence: None,
                tokenizer: tokenizer.and_then(|file| short(&file.model.kind)),
            }
        }
    }
}

/// What is told of a `tokenizer.json`.
#[derive(Deserialize)]
struct TokenizerFile {
    model: TokenizerModel,
}

#[derive(Deserialize)]
struct TokenizerModel {
    #[serde(rename = "type")]
    kind: String,
}

/// What a worker takes beside the driver's arenas, where opening the model of `info` took `opened`.
fn runtime(info: &ModelInfo, opened: Taken) -> RuntimeModel {
    let host = |output_rows, blocks| {
        let limits = StepLimits {
            rows: 1,
            output_rows,
            context: 1,
            blocks,
            block_tokens: BLOCK_TOKENS as usize,
            slots: 1,
        };
        let engine = EngineConfig {
            limits,
            vocabulary: info.vocabulary as usize,
            window: None,
        };
        engine.host_bytes()
    };
    let beyond = |limits: Bytes| limits.checked_sub(host(0, 0)).unwrap_or(Bytes::ZERO);
    // A vocabulary takes the most while nothing else is there: what weights take later is free then.
    let weights = Bytes(info.parameters / LEAST_WEIGHTS_A_BYTE);
    let alone = opened.peak.checked_sub(weights).unwrap_or(Bytes::ZERO);
    RuntimeModel {
        fixed: PROGRAM + opened.kept.max(alone) + host(0, 0),
        per_sequence: beyond(host(1, 0)),
        per_block: beyond(host(0, 1)),
    }
}

/// Weights in a byte at the most, in any type that a tensor can have: more than the 3 of Q2_K.
const LEAST_WEIGHTS_A_BYTE: u64 = 4;

/// Types of cached keys and values that may be planned; the first is the one that is taken unasked.
const KV_FORMATS: [BlockFormat; 3] = [BlockFormat::F16, BlockFormat::Q8_0, BlockFormat::Q4_0];

/// The program, its stacks and its allocator's reserves. Measured on the pilot (x86-64, 2026-11): 9 MiB of the program's own
/// pages and 3 MiB of heap; `tests/worker/memory.rs` and `tests/bench/memory.py` hold the sum against plans.
const PROGRAM: Bytes = Bytes::from_mib(16);
