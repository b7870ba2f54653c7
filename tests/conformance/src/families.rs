//! Tiny models of families with what the `transformers` library computes for them (`tests/fixtures/families`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mains_contract::{BlockFormat, Driver, LoadedModel, StepLimits};
use mains_engine::models::{Cast, Model, ModelOptions};
use mains_engine::sampling::SamplingParameters;
use mains_engine::{
    Engine, EngineConfig, SequenceEvent, SequenceId, SequenceRequest, logits_limits, logits_of,
};
use safetensors::SafeTensors;

/// Where the repository's fixtures are.
#[must_use]
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Names of the fixtures whose published outputs have the tensor `output`: `logits`, or `hidden` of encoders.
///
/// # Panics
/// When the fixtures are not there.
#[must_use]
pub fn all(output: &str) -> Vec<String> {
    let folders = std::fs::read_dir(fixtures().join("families")).expect("the fixtures are there");
    let names = folders.map(|folder| folder.expect("the fixtures can be listed").file_name());
    let names = names.map(|name| name.into_string().expect("families have plain names"));
    let has_output = |name: &String| {
        let path = fixtures()
            .join("families")
            .join(name)
            .join("reference.safetensors");
        let bytes = std::fs::read(path).unwrap_or_default();
        SafeTensors::deserialize(&bytes).is_ok_and(|file| file.tensor(output).is_ok())
    };
    let mut found: Vec<String> = names.filter(has_output).collect();
    found.sort();
    found
}

/// What the reference implementation computed in float32.
#[derive(Debug)]
pub struct Reference {
    /// Rows of token ids.
    pub ids: Vec<Vec<u32>>,
    /// Positions whose logits are kept.
    pub positions: Vec<usize>,
    /// Logits by row and kept position.
    pub logits: Vec<Vec<Vec<f32>>>,
    /// Greedy continuation of each row.
    pub greedy: Vec<Vec<u32>>,
}

impl Reference {
    /// Reads `reference.safetensors` of the family called `family`.
    ///
    /// # Panics
    /// When the fixture is not there or is not what `make.py` of the families writes.
    #[must_use]
    pub fn of(family: &str) -> Self {
        Self::at(
            &fixtures()
                .join("families")
                .join(family)
                .join("reference.safetensors"),
        )
    }

    /// Reads a file that `make.py` of the families has written.
    ///
    /// # Panics
    /// When it is not there or something else.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = SafeTensors::deserialize(&bytes).expect("the fixture is a safetensors file");
        let tensor = |name: &str| file.tensor(name).expect("the fixture has this tensor");
        let whole = |name: &str| -> Vec<u32> {
            let words = tensor(name).data().as_chunks::<8>().0;
            let ids = words.iter().map(|word| i64::from_le_bytes(*word));
            ids.map(|id| u32::try_from(id).expect("ids and positions are small"))
                .collect()
        };
        let rows = |name: &str| -> Vec<Vec<u32>> {
            let width = tensor(name).shape()[1];
            whole(name).chunks_exact(width).map(<[u32]>::to_vec).collect()
        };
        let logits = tensor("logits");
        let [_, positions, vocabulary] = logits.shape() else {
            panic!("logits are {:?}", logits.shape());
        };
        let numbers = logits.data().as_chunks::<4>().0;
        let numbers: Vec<f32> = numbers.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let by_position: Vec<Vec<f32>> = numbers.chunks_exact(*vocabulary).map(<[f32]>::to_vec).collect();
        Self {
            ids: rows("ids"),
            positions: whole("positions")
                .into_iter()
                .map(|position| position as usize)
                .collect(),
            logits: by_position.chunks_exact(*positions).map(<[_]>::to_vec).collect(),
            greedy: rows("greedy"),
        }
    }
}

/// The model at `path` with its keys and values cached in `kv_format`.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn open(path: &Path, kv_format: BlockFormat, cast: Cast) -> Model {
    let options = ModelOptions { kv_format, cast };
    Model::open(path, &options).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `model` on `driver` under `limits`.
///
/// # Panics
/// When the driver refuses it.
#[must_use]
pub fn load(model: &Model, driver: &dyn Driver, limits: &StepLimits) -> Box<dyn LoadedModel> {
    let loaded = driver.load(Arc::clone(&model.graph), &model.weights, limits);
    loaded.unwrap_or_else(|error| panic!("{}: {error}", driver.capabilities().driver))
}

/// An engine with `model` on `driver` under `limits`.
///
/// # Panics
/// When the driver or the engine refuses it.
#[must_use]
pub fn engine(model: &Model, driver: &dyn Driver, limits: StepLimits) -> Engine {
    let config = EngineConfig {
        limits,
        vocabulary: model.info.vocabulary as usize,
        window: model.graph.window(),
    };
    Engine::new(load(model, driver, &limits), config).unwrap_or_else(|error| panic!("{error}"))
}

/// Greedy answers to `prompts`, of at most that many tokens and ended by `eos`, all together in one engine.
///
/// # Panics
/// When the engine refuses a prompt or fails.
#[must_use]
pub fn greedy(engine: &mut Engine, prompts: &[(Vec<u32>, usize)], eos: &[u32]) -> Vec<Vec<u32>> {
    for (id, (prompt, max_tokens)) in (0..).zip(prompts) {
        let request = SequenceRequest {
            id: SequenceId(id),
            prompt: prompt.clone(),
            max_tokens: u32::try_from(*max_tokens).ok(),
            sampling: SamplingParameters::greedy(),
            eos: eos.into(),
            group: None,
            top_logprobs: None,
        };
        engine.submit(request).unwrap_or_else(|error| panic!("{error}"));
    }
    let mut answers = vec![Vec::new(); prompts.len()];
    while !engine.is_idle() {
        for event in engine.step().unwrap_or_else(|error| panic!("{error}")) {
            if let SequenceEvent::Token { id, token, .. } = event {
                answers[usize::try_from(id.0).expect("numbers are indices")].push(token);
            }
        }
    }
    answers
}

/// The largest difference of log-softmax to `reference` at its positions, in standard deviations of its logits there.
///
/// # Panics
/// When the driver fails.
#[must_use]
pub fn distance(model: &Model, driver: &dyn Driver, reference: &Reference) -> f64 {
    let vocabulary = model.info.vocabulary as usize;
    let limits = logits_limits(reference.ids.iter().map(Vec::len).max().unwrap_or(0));
    let mut loaded = load(model, driver, &limits);
    let mut largest = 0.0f64;
    for (ids, expected) in reference.ids.iter().zip(&reference.logits) {
        let logits =
            logits_of(&mut *loaded, &limits, vocabulary, ids).unwrap_or_else(|error| panic!("{error}"));
        for (position, expected) in reference.positions.iter().zip(expected) {
            let found = &logits[position * vocabulary..][..vocabulary];
            largest = largest.max(difference(found, expected));
        }
    }
    largest
}

fn difference(found: &[f32], expected: &[f32]) -> f64 {
    let deviation = standard_deviation(expected);
    let (found, expected) = (log_softmax(found), log_softmax(expected));
    let largest = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    largest / deviation
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits
        .iter()
        .map(|logit| (f64::from(*logit) - largest).exp())
        .sum();
    logits
        .iter()
        .map(|logit| f64::from(*logit) - largest - sum.ln())
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a vocabulary has far fewer than 2^52 tokens"
)]
fn standard_deviation(numbers: &[f32]) -> f64 {
    let count = numbers.len() as f64;
    let mean = numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / count;
    let square = |number: &f32| (f64::from(*number) - mean).powi(2);
    (numbers.iter().map(square).sum::<f64>() / count).sqrt()
}
