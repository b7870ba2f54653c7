//! The role `inspect`: what a model's files say, without loading anything.

mod digest;

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mains_contract::{Bytes, Products, StepLimits};
use mains_engine::EngineConfig;
use mains_engine::models::{Checkpoint, Model, ModelOptions};
use mains_types::ModelFacts;
use mains_wire::frames::{FromWorker, ToWorker, bounds};

use crate::drivers;
use crate::inbox::{Inbox, Message, Outbox};
use crate::vocabulary::Vocabulary;

/// Positions in a block of state: a sequence wastes half a block, and a block table of a long context stays small.
const BLOCK_TOKENS: u32 = 16;

/// Answers `Inspect` until the connection ends.
pub(crate) fn work(inbox: Inbox<Infallible>, outbox: Outbox) -> Result<()> {
    loop {
        match inbox.wait()? {
            Message::Frame(ToWorker::Inspect { path, drivers }) => {
                let answer = match facts(&path, &drivers, || inbox.beat()) {
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

/// Reads and judges the files at `path`. `beat` is called between pieces of work.
fn facts(path: &Path, wanted: &[String], beat: impl FnMut() -> Result<()>) -> Result<ModelFacts> {
    let checkpoint = Arc::new(Checkpoint::open(path)?);
    let options = ModelOptions::default();
    let model = Model::from_checkpoint(checkpoint, &options).with_context(|| path.display().to_string())?;
    let vocabulary = Vocabulary::of(&model).with_context(|| path.display().to_string())?;
    let (digest, file_bytes) = digest::of(path, beat)?;
    let formats = model.formats();
    let (mut footprints, mut unsupported) = (Vec::new(), Vec::new());
    let asked_for = |name: &&str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    for name in drivers::NAMES.into_iter().filter(asked_for) {
        let driver = drivers::open(name, None)?;
        match drivers::check(&*driver, &model.graph, &formats) {
            Ok(()) => footprints.push((name.to_owned(), driver.footprint(&model.graph, &formats))),
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
        products: products(&model),
        tensors: model.weights.tensors().cloned().collect(),
        footprints,
        unsupported,
        block_tokens: BLOCK_TOKENS,
        runtime: runtime(info.vocabulary),
    })
}

/// By tensor, in the order of the files' facts: tensors that the graph does not use are multiplied by nothing.
fn products(model: &Model) -> Vec<Products> {
    let names = model.graph.weights().iter().map(|weight| weight.name.as_str());
    let by_name: HashMap<_, _> = names.zip(model.graph.products()).collect();
    let tensors = model.weights.tensors();
    tensors
        .map(|tensor| by_name.get(tensor.name.as_str()).copied().unwrap_or_default())
        .collect()
}

/// What a worker takes beside the driver's arenas.
fn runtime(vocabulary: u32) -> Bytes {
    let limits = StepLimits {
        rows: 1,
        output_rows: mains_planner::DEFAULT_PARALLEL as usize,
        context: 1,
        blocks: 1,
        block_tokens: 1,
        slots: 1,
    };
    let engine = EngineConfig {
        limits,
        vocabulary: vocabulary as usize,
        window: None,
    };
    PROGRAM + Bytes(TOKENIZER_BYTES_PER_TOKEN).times(vocabulary.into()) + engine.host_bytes()
}

/// The program, its stacks and its allocator's reserves. Measured on the pilot (x86-64, 2026-11): 9 MiB of the program's own
/// pages and 3 MiB of heap; `tests/worker/memory.rs` holds the sum against a plan.
const PROGRAM: Bytes = Bytes::from_mib(16);

/// Tables of the tokenizer for each token of the vocabulary. Measured with 152,000 tokens: 416 bytes that stay, 690 while
/// it is built.
const TOKENIZER_BYTES_PER_TOKEN: u64 = 704;
