//! From a plan to an engine that is ready.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use mains_contract::{DriverError, Footprint, Graph, OutputName, StepLimits, WeightData, WeightSource};
use mains_engine::models::{Cast, Model, ModelOptions, Weights};
use mains_engine::{Engine, EngineConfig};
use mains_types::{Plan, Segment};

use super::prepare::Preparer;
use crate::drivers;
use crate::vocabulary::Vocabulary;

/// A loaded model.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) preparer: Preparer,
    pub(super) footprint: Footprint,
    /// Digest of the variant, hexadecimal.
    pub(super) variant: String,
}

/// Loads the model at `path` exactly as `plan` says, or fails. `beat` is called for every tensor.
pub(super) fn load(path: &Path, plan: &Plan, threads: u32, beat: &dyn Fn() -> Result<()>) -> Result<Loaded> {
    let tensors = plan.tensors.iter();
    let options = ModelOptions {
        kv_format: plan.kv_format,
        cast: Cast::Named(
            tensors
                .map(|tensor| (tensor.name.clone(), tensor.format))
                .collect(),
        ),
    };
    let model = Model::open(path, &options).with_context(|| path.display().to_string())?;
    ensure!(
        model.graph.output(OutputName::Logits).is_some(),
        "{}: {} is an encoder, it generates no text",
        path.display(),
        model.family.name
    );
    let vocabulary = Vocabulary::of(&model).with_context(|| path.display().to_string())?;
    let segment = only_segment(plan, model.info.layers)?;
    let driver = drivers::open(&segment.driver, drivers::threads(threads))?;
    drivers::check(&*driver, &model.graph, &model.formats())?;
    let limits = limits(plan, &model.graph);
    let source = Beating {
        weights: &model.weights,
        beat,
    };
    let loaded = driver.load(Arc::clone(&model.graph), &source, &limits)?;
    let footprint = loaded.footprint();
    keeps(plan, &footprint)?;
    let config = EngineConfig {
        limits,
        vocabulary: model.info.vocabulary as usize,
    };
    Ok(Loaded {
        engine: Engine::new(loaded, config)?,
        preparer: Preparer::new(vocabulary, &model.info, limits.context),
        footprint,
        variant: plan.variant.to_string(),
    })
}

fn only_segment(plan: &Plan, layers: u32) -> Result<&Segment> {
    match &plan.segments[..] {
        [segment] if segment.first_layer == 0 && u64::from(segment.last_layer) + 1 == u64::from(layers) => {
            Ok(segment)
        }
        [_] => bail!("the plan does not cover the model's {layers} layers; plan it again"),
        segments => bail!(
            "the plan has {} segments; this version computes on one device",
            segments.len()
        ),
    }
}

fn limits(plan: &Plan, graph: &Graph) -> StepLimits {
    StepLimits {
        rows: plan.step_rows as usize,
        output_rows: plan.parallel as usize,
        context: plan.context as usize,
        blocks: plan.blocks as usize,
        block_tokens: plan.block_tokens as usize,
        // Without state of that kind slots take no bytes, and sequences may share what a slot would keep apart.
        slots: if graph.has_sequence_state() {
            plan.parallel as usize
        } else {
            0
        },
    }
}

/// What was allocated is what was planned, to the byte.
fn keeps(plan: &Plan, taken: &Footprint) -> Result<()> {
    let planned = Footprint {
        weights: plan.bytes.weights,
        state: plan.bytes.state,
        activations: plan.bytes.activations,
        scratch: plan.bytes.scratch,
    };
    ensure!(
        planned == *taken,
        "the plan allows {planned:?} but the load takes {taken:?}; the model's files changed since they were \
         planned, or the plan was made for another number of threads"
    );
    Ok(())
}

/// Weights that beat whenever one is asked for: a load takes long.
struct Beating<'a> {
    weights: &'a Weights,
    beat: &'a dyn Fn() -> Result<()>,
}

impl WeightSource for Beating<'_> {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        (self.beat)().map_err(|error| DriverError::Weight {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        self.weights.weight(name)
    }
}
