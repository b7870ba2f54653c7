//! Tiny models of families with what the `transformers` library computes for them (`tests/fixtures/families`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mains_contract::{BlockFormat, Driver, LoadedModel, OutputName, StepLimits};
use mains_engine::models::{Cast, Model, ModelOptions};
use mains_engine::sampling::SamplingParameters;
use mains_engine::{
    Engine, EngineConfig, SequenceEvent, SequenceId, SequenceRequest, logits_limits, logits_of,
};
use safetensors::SafeTensors;

use crate::segments::{Piece, Segments};

/// Published outputs, in the folder of their model.
const OUTPUTS: &str = "reference.safetensors";

/// The same in float64, of models whose published float32 is itself far from it.
const PRECISE_OUTPUTS: &str = "float64.safetensors";

/// Where the repository's fixtures are.
#[must_use]
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// The folder of models to prove instead of the fixtures: set it to one that `vary.py` of the fixtures made, or any with
/// models beside a `reference.safetensors` as `make.py` writes it, however deep.
const OTHER_MODELS: &str = "MAINS_FAMILIES";

/// Folders of all models with published outputs: the fixtures, or those in the folder that `MAINS_FAMILIES` names.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn folders() -> Vec<PathBuf> {
    let root = std::env::var_os(OTHER_MODELS).map_or_else(|| fixtures().join("families"), PathBuf::from);
    let mut found = Vec::new();
    let mut unseen = vec![root.clone()];
    while let Some(folder) = unseen.pop() {
        if folder.join(OUTPUTS).exists() {
            found.push(folder.clone());
        }
        let entries = std::fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let paths = entries.map(|entry| entry.expect("a folder can be listed to its end").path());
        unseen.extend(paths.filter(|path| path.is_dir()));
    }
    assert!(!found.is_empty(), "no model in {}", root.display());
    found.sort();
    found
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
        let path = fixtures().join("families").join(name).join(OUTPUTS);
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
    /// Hidden states of all tokens of all rows, which an encoder gives in place of logits and continuations.
    pub hidden: Vec<f32>,
}

impl Reference {
    /// Reads `reference.safetensors` of the family called `family`.
    ///
    /// # Panics
    /// When the fixture is not there or is not what `make.py` of the families writes.
    #[must_use]
    pub fn of(family: &str) -> Self {
        Self::at(&fixtures().join("families").join(family).join(OUTPUTS))
    }

    /// Reads a file that `make.py` of the families has written.
    ///
    /// # Panics
    /// When it is not there or something else.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = SafeTensors::deserialize(&bytes).expect("the fixture is a safetensors file");
        let width = |name: &str| {
            file.tensor(name)
                .map_or(0, |tensor| *tensor.shape().last().unwrap_or(&0))
        };
        let whole = |name: &str| -> Vec<u32> {
            let data = file.tensor(name).map_or(&[][..], |tensor| tensor.data());
            let ids = data
                .as_chunks::<8>()
                .0
                .iter()
                .map(|word| i64::from_le_bytes(*word));
            ids.map(|id| u32::try_from(id).expect("ids and positions are small"))
                .collect()
        };
        let rows = |name: &str| -> Vec<Vec<u32>> {
            let width = width(name).max(1);
            whole(name).chunks_exact(width).map(<[u32]>::to_vec).collect()
        };
        let numbers = |name: &str| -> Vec<f32> {
            let data = file.tensor(name).map_or(&[][..], |tensor| tensor.data());
            let words = data.as_chunks::<4>().0.iter();
            words.map(|word| f32::from_le_bytes(*word)).collect()
        };
        let positions: Vec<usize> = whole("positions")
            .into_iter()
            .map(|position| position as usize)
            .collect();
        let vocabulary = width("logits").max(1);
        let by_position: Vec<Vec<f32>> = numbers("logits")
            .chunks_exact(vocabulary)
            .map(<[f32]>::to_vec)
            .collect();
        let found = Self {
            ids: rows("ids"),
            logits: by_position
                .chunks_exact(positions.len().max(1))
                .map(<[_]>::to_vec)
                .collect(),
            positions,
            greedy: rows("greedy"),
            hidden: numbers("hidden"),
        };
        let of_encoder = !found.hidden.is_empty();
        let of_decoder = found.logits.len() == found.ids.len() && found.greedy.len() == found.ids.len();
        assert!(
            !found.ids.is_empty() && (of_encoder || of_decoder),
            "{} lacks outputs",
            path.display()
        );
        found
    }

    /// Reads that of the model in `folder`.
    ///
    /// # Panics
    /// As [`Reference::at`].
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self::at(&folder.join(OUTPUTS))
    }

    /// What the same code computes in float64 (rounded once, at the end), where float32 is far from it.
    ///
    /// # Panics
    /// As [`Reference::at`].
    #[must_use]
    pub fn precise_in_folder(folder: &Path) -> Option<Self> {
        let path = folder.join(PRECISE_OUTPUTS);
        path.exists().then(|| Self::at(&path))
    }

    /// The largest difference between the logits of this and of `precise`, in the deviations of this, as [`distance`].
    ///
    /// # Panics
    /// When they are of different sizes.
    #[must_use]
    pub fn distance_from(&self, precise: &Self) -> f64 {
        assert_eq!(self.positions, precise.positions, "logits at other positions");
        assert_eq!(self.logits.len(), precise.logits.len(), "other rows");
        let rows = self.logits.iter().flatten().zip(precise.logits.iter().flatten());
        rows.map(|(own, precise)| difference(precise, own))
            .fold(0.0, f64::max)
    }
}

/// The model at `path` with its keys and values cached in `kv_format`.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn open(path: &Path, kv_format: BlockFormat, cast: Cast) -> Model {
    let options = ModelOptions {
        kv_format,
        cast,
        context: None,
    };
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

/// The largest difference to `reference`: of log-softmax at its positions, in standard deviations of its logits there; of
/// an encoder's hidden states, in their standard deviations.
///
/// # Panics
/// When the driver fails, or gives what is no number.
#[must_use]
pub fn distance(model: &Model, driver: &dyn Driver, reference: &Reference) -> f64 {
    if reference.hidden.is_empty() {
        distance_of_logits(model, driver, reference)
    } else {
        distance_of_hidden(model, driver, reference)
    }
}

fn distance_of_logits(model: &Model, driver: &dyn Driver, reference: &Reference) -> f64 {
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

fn distance_of_hidden(model: &Model, driver: &dyn Driver, reference: &Reference) -> f64 {
    let tokens = reference.ids[0].len();
    let limits = StepLimits {
        rows: tokens,
        output_rows: tokens,
        ..logits_limits(tokens)
    };
    let mut segments = Segments::new(model, driver, &limits, &[]);
    let mut found = Vec::new();
    for tokens in &reference.ids {
        let piece = Piece {
            sequence: 0,
            position: 0,
            tokens,
        };
        found.extend(segments.step(&[piece], OutputName::Hidden));
    }
    assert_eq!(found.len(), reference.hidden.len());
    assert_finite(&found);
    let pairs = found.iter().zip(&reference.hidden);
    let largest = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    largest / standard_deviation(&reference.hidden)
}

/// What is no number would be lost in a maximum.
fn assert_finite(numbers: &[f32]) {
    assert!(
        numbers.iter().all(|number| number.is_finite()),
        "infinite or no number"
    );
}

fn difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_finite(found);
    let deviation = standard_deviation(expected);
    let (found, expected) = (log_softmax(found), log_softmax(expected));
    let largest = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    largest / deviation
}

/// Logarithms of the probabilities that `logits` stand for.
#[must_use]
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
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
