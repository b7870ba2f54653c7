//! A model's files as a graph, its weights and the facts about it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use mains_contract::{BlockFormat, Bytes, Graph};
use mains_types::SamplingDefaults;

use super::settings::RopeFactors;
use super::weights::refuse;
use super::{Cast, Checkpoint, Family, ModelError, Weights};
use crate::blocks::Architecture;

/// Choices at load that change a model's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOptions {
    /// Type of cached keys and values.
    pub kv_format: BlockFormat,
    /// Formats of weights.
    pub cast: Cast,
    /// Positions that a text may have; none for as many as the model was made for. Some rotations follow it.
    pub context: Option<usize>,
}

impl Default for ModelOptions {
    /// Keys and values in F16, weights as the files have them.
    fn default() -> Self {
        Self {
            kv_format: BlockFormat::F16,
            cast: Cast::AsStored,
            context: None,
        }
    }
}

/// A model that a driver can load.
#[derive(Debug)]
pub struct Model {
    /// Its family.
    pub family: &'static Family,
    /// What is computed.
    pub graph: Arc<Graph>,
    /// What is known about it.
    pub info: ModelInfo,
    /// Where a driver gets its weights from.
    pub weights: Weights,
    /// What frequencies of the rotation are divided by; GGUF keeps it as tensors.
    pub rope_factors: RopeFactors,
    checkpoint: Arc<Checkpoint>,
    architecture: Architecture,
}

/// What is known of a model beside its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// Layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Positions that the model was made for.
    pub context: u32,
    /// Weights that were learned.
    pub parameters: u64,
    /// Tokens that end an answer, growing.
    pub eos: Vec<u32>,
    /// The token that begins a text.
    pub bos: Option<u32>,
    /// Default sampling.
    pub sampling: SamplingDefaults,
    /// Source of the chat template.
    pub chat_template: Option<String>,
}

impl Model {
    /// Reads the GGUF file or Hugging Face folder at `path`. Weights stay in the files until a driver asks for them.
    ///
    /// # Errors
    /// [`ModelError`] names the setting or tensor that is missing, wrong or not honoured.
    pub fn open(path: &Path, options: &ModelOptions) -> Result<Self, ModelError> {
        Self::from_checkpoint(Arc::new(Checkpoint::open(path)?), options)
    }

    /// As [`Model::open`], for files that are open already.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_checkpoint(checkpoint: Arc<Checkpoint>, options: &ModelOptions) -> Result<Self, ModelError> {
        let family = checkpoint.family()?;
        let mut settings = checkpoint.settings(family)?;
        settings.limit_positions(options.context);
        let architecture = family.declare(&mut settings)?;
        let graph = Arc::new(architecture.graph(options.kv_format)?);
        let mut weights = Weights::new(
            Arc::clone(&checkpoint),
            family,
            &options.cast,
            &graph,
            architecture.gated_delta(),
        )?;
        if architecture.tied() {
            // Some files hold the tied matrix twice.
            weights.drop_tensor("output.weight");
        }
        check_tensors(&graph, &weights, family)?;
        let defaults = checkpoint.defaults()?;
        let sizes = architecture.sizes();
        let vocabulary = bounded(sizes.vocabulary);
        let beyond = |id: &&u32| **id >= vocabulary;
        if let Some(id) = defaults.eos.iter().chain(&defaults.bos).find(beyond) {
            let reason = format!("the vocabulary has {vocabulary} tokens");
            return Err(ModelError::setting(
                "eos_token_id or bos_token_id",
                &(*id).into(),
                reason,
            ));
        }
        let info = ModelInfo {
            layers: bounded(sizes.layers),
            width: bounded(sizes.width),
            vocabulary,
            context: bounded(sizes.context),
            parameters: weights.tensors().map(|tensor| tensor.rows * tensor.cols).sum(),
            eos: defaults.eos,
            bos: defaults.bos,
            sampling: defaults.sampling,
            chat_template: checkpoint.chat_template().map(str::to_owned),
        };
        Ok(Self {
            family,
            graph,
            info,
            weights,
            rope_factors: settings.rope_factors(),
            checkpoint,
            architecture,
        })
    }

    /// What is computed when keys and values are cached in `kv_format`, all else being the same.
    ///
    /// # Errors
    /// [`ModelError`] when its rows of keys and values do not suit that type.
    pub fn graph_with(&self, kv_format: BlockFormat) -> Result<Graph, ModelError> {
        Ok(self.architecture.graph(kv_format)?)
    }

    /// The files: the tokenizer is in them.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Formats of the graph's weights, by index: what drivers judge support and footprint by.
    #[must_use]
    pub fn formats(&self) -> Vec<BlockFormat> {
        self.formats_of(&self.graph)
    }

    /// The same for a segment of the graph.
    ///
    /// # Panics
    /// When `graph` has weights that the model's own does not have.
    #[must_use]
    pub fn formats_of(&self, graph: &Graph) -> Vec<BlockFormat> {
        let format = |name: &str| {
            let facts = self.weights.facts(name);
            facts
                .expect("every weight of the graph was found when the model was opened")
                .format
        };
        let weights = graph.weights().iter();
        weights.map(|weight| format(&weight.name)).collect()
    }

    /// Bytes of all weights in the formats that they are loaded in.
    #[must_use]
    pub fn weight_bytes(&self) -> Bytes {
        self.weights.tensors().map(mains_types::TensorFacts::bytes).sum()
    }
}

/// Every weight of the graph is there in its shape, and nothing else is.
fn check_tensors(graph: &Graph, weights: &Weights, family: &Family) -> Result<(), ModelError> {
    for weight in graph.weights() {
        let Some(facts) = weights.facts(&weight.name) else {
            let huggingface = family.huggingface_name(&weight.name).unwrap_or_default();
            let reason = format!("it is missing ({huggingface} in Hugging Face files)");
            return Err(refuse(&weight.name, reason));
        };
        if (facts.rows, facts.cols) != (weight.rows as u64, weight.cols as u64) {
            let reason = format!(
                "it has {} x {} numbers, the settings make it {} x {}",
                facts.rows, facts.cols, weight.rows, weight.cols
            );
            return Err(refuse(
                weights.stored_name(&weight.name).unwrap_or(&weight.name),
                reason,
            ));
        }
    }
    let used: HashSet<&str> = graph
        .weights()
        .iter()
        .map(|weight| weight.name.as_str())
        .collect();
    let unused = weights
        .tensors()
        .find(|facts| !used.contains(facts.name.as_str()));
    match unused {
        Some(facts) => Err(refuse(
            weights.stored_name(&facts.name).unwrap_or(&facts.name),
            "the settings have no use for it",
        )),
        None => Ok(()),
    }
}

fn bounded(size: usize) -> u32 {
    u32::try_from(size).expect("settings are bounded below 2^32 when they are read")
}
