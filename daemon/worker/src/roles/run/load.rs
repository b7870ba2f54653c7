//! From a plan to an engine that is ready.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use mains_contract::{
    BlockFormat, DriverError, Footprint, Graph, KeptWeight, OutputName, SharedBytes, StepLimits, WeightData,
    WeightSource,
};
use mains_engine::models::{Cast, Checkpoint, MadeWeights, Model, ModelOptions, PackedWeights};
use mains_engine::{Engine, EngineConfig, Segments};
use mains_formats::PackedFile;
use mains_types::{Plan, Segment};

use super::prepare::Preparer;
use crate::vocabulary::{Vocabulary, take_tokenizer};
use crate::{drivers, heap};

/// A loaded model.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) preparer: Preparer,
    pub(super) footprint: Footprint,
    /// Digest of the variant, hexadecimal.
    pub(super) variant: String,
}

/// Loads the model at `path`, whose tensors have the types of `plan`, exactly as it says, with what the file at `packed` has of
/// its weights, or fails. `beat` is
/// called for every tensor.
pub(super) fn load(
    path: &Path,
    plan: &Plan,
    packed: Option<&Path>,
    beat: &dyn Fn() -> Result<()>,
) -> Result<Loaded> {
    let (model, vocabulary) = open(path, plan).with_context(|| path.display().to_string())?;
    // Building the tokenizer took several times what it keeps.
    heap::give_back();
    ensure!(
        model.graph.output(OutputName::Logits).is_some(),
        "{}: {} is an encoder, it generates no text",
        path.display(),
        model.family.name
    );
    let segments = segments(plan, &model)?;
    let limits = limits(plan, &model.graph);
    let packed = packed.map(|path| packed_for(plan, path)).transpose()?;
    let there = PackedWeights::new(&model.weights, packed);
    let mut parts = Vec::with_capacity(plan.segments.len());
    for (segment, graph) in plan.segments.iter().zip(segments.graphs()) {
        let driver = drivers::open(&segment.driver, drivers::threads(segment.threads))?;
        drivers::check(&*driver, graph, &model.formats_of(graph))?;
        let source = Beating {
            weights: &MadeWeights::new(&there, &model.weights, driver.packer()),
            beat,
        };
        let part = driver.load(Arc::clone(graph), &source, &limits)?;
        keeps(&segment.bytes, &part.footprint()).with_context(|| {
            format!(
                "layers {} to {} on {}",
                segment.first_layer, segment.last_layer, segment.device
            )
        })?;
        parts.push(part);
    }
    let loaded = segments.join(parts, &limits)?;
    let footprint = loaded.footprint();
    keeps(&arenas(plan), &footprint)?;
    let config = EngineConfig {
        limits,
        vocabulary: model.info.vocabulary as usize,
        window: model.graph.window(),
    };
    let ready = Loaded {
        engine: Engine::new(loaded, config)?,
        preparer: Preparer::new(vocabulary, &model.info, limits.context),
        footprint,
        variant: plan.variant.to_string(),
    };
    drop(model);
    heap::give_back();
    Ok(ready)
}

/// The model at `path` and its vocabulary. Nothing is quantized here: that takes long, and what the plan predicts is of files that
/// were quantized by importance.
fn open(path: &Path, plan: &Plan) -> Result<(Model, Vocabulary)> {
    let mut checkpoint = Checkpoint::open(path)?;
    let tokenizer = take_tokenizer(&mut checkpoint)?;
    let model = planned(Arc::new(checkpoint), plan)?;
    let vocabulary = Vocabulary::new(tokenizer, &model.info);
    Ok((model, vocabulary))
}

/// The model of `checkpoint` in the types of `plan`.
fn planned(checkpoint: Arc<Checkpoint>, plan: &Plan) -> Result<Model> {
    let options = ModelOptions {
        kv_format: plan.kv_format,
        cast: Cast::AsStored,
        context: Some(plan.context as usize),
    };
    let model = Model::from_checkpoint(Arc::clone(&checkpoint), &options)?;
    let mut narrowed = BTreeMap::new();
    for tensor in &plan.tensors {
        match model.weights.facts(&tensor.name).map(|facts| facts.format) {
            Some(format) if format == tensor.format => {}
            // Files that are made of a folder have vectors in F32, which lose nothing on the way back.
            Some(BlockFormat::F32) if matches!(tensor.format, BlockFormat::BF16 | BlockFormat::F16) => {
                narrowed.insert(tensor.name.clone(), tensor.format);
            }
            found => bail!(
                "the plan has {} in {}, the file in {}; plan the model again",
                tensor.name,
                tensor.format,
                found.map_or("none", BlockFormat::name)
            ),
        }
    }
    if narrowed.is_empty() {
        return Ok(model);
    }
    let options = ModelOptions {
        cast: Cast::Named(narrowed),
        ..options
    };
    Ok(Model::from_checkpoint(checkpoint, &options)?)
}

/// The graph, cut as the plan's segments say.
fn segments(plan: &Plan, model: &Model) -> Result<Segments> {
    let cuts = cuts(&plan.segments, model.info.layers)?;
    Segments::cut(&model.graph, &cuts).with_context(|| {
        let name = model.family.display_name;
        format!("{name} can not be cut as the plan says; plan the model for one device")
    })
}

/// The last layers of all segments but the last one, which must follow each other and cover `layers` layers.
fn cuts(segments: &[Segment], layers: u32) -> Result<Vec<usize>> {
    let mut next = 0;
    for segment in segments {
        ensure!(
            segment.first_layer == next && segment.last_layer >= next,
            "the plan has a segment of layers {} to {} where one from layer {next} must be; plan the model again",
            segment.first_layer,
            segment.last_layer
        );
        next = segment.last_layer.saturating_add(1);
    }
    ensure!(
        next == layers && !segments.is_empty(),
        "the plan covers {next} layers, the model has {layers}; plan it again"
    );
    let (_, earlier) = segments.split_last().context("a plan has segments")?;
    Ok(earlier
        .iter()
        .map(|segment| segment.last_layer as usize)
        .collect())
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

/// What the plan allows all segments and the rows between them.
const fn arenas(plan: &Plan) -> Footprint {
    Footprint {
        weights: plan.bytes.weights,
        state: plan.bytes.state,
        activations: plan.bytes.activations,
        scratch: plan.bytes.scratch,
    }
}

/// What was allocated is what was planned, to the byte.
fn keeps(planned: &Footprint, taken: &Footprint) -> Result<()> {
    ensure!(
        planned == taken,
        "the plan allows {planned:?} but the load takes {taken:?}; the model's files changed since they were \
         planned"
    );
    Ok(())
}

/// The file at `path`, which must have been made for this plan.
fn packed_for(plan: &Plan, path: &Path) -> Result<PackedFile> {
    let file = PackedFile::open(path)?;
    ensure!(
        file.variant() == plan.weights.to_string(),
        "{}: it has the weights of another plan, {}; remove it, it is made again",
        path.display(),
        file.variant()
    );
    Ok(file)
}

/// Weights that beat whenever one is asked for: a load takes long.
struct Beating<'a> {
    weights: &'a MadeWeights<'a>,
    beat: &'a dyn Fn() -> Result<()>,
}

impl Beating<'_> {
    fn beat(&self, name: &str) -> Result<(), DriverError> {
        (self.beat)().map_err(|error| DriverError::Weight {
            name: name.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl WeightSource for Beating<'_> {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        self.beat(name)?;
        self.weights.weight(name)
    }

    fn format(&self, name: &str) -> Result<BlockFormat, DriverError> {
        self.weights.format(name)
    }

    fn packed(&self, kept: &KeptWeight) -> Result<Option<SharedBytes>, DriverError> {
        self.beat(&kept.name)?;
        self.weights.packed(kept)
    }
}

#[cfg(test)]
mod tests {
    use mains_contract::Footprint;
    use mains_types::Segment;

    use super::cuts;

    fn found(ranges: &[(u32, u32)]) -> Result<Vec<usize>, String> {
        let segment = |(first_layer, last_layer): &(u32, u32)| Segment {
            device: "cpu".to_owned(),
            driver: "cpu".to_owned(),
            threads: 1,
            first_layer: *first_layer,
            last_layer: *last_layer,
            bytes: Footprint::default(),
        };
        let segments: Vec<Segment> = ranges.iter().map(segment).collect();
        cuts(&segments, 6).map_err(|error| error.to_string())
    }

    #[test]
    fn segments_cover_every_layer_once() {
        assert_eq!(found(&[(0, 5)]), Ok(vec![]));
        assert_eq!(found(&[(0, 1), (2, 2), (3, 5)]), Ok(vec![1, 2]));
        for (ranges, reason) in [
            (&[][..], "covers 0 layers"),
            (&[(0, 4)], "covers 5 layers"),
            (&[(0, 6)], "covers 7 layers"),
            (&[(0, u32::MAX)], "the model has 6"),
            (&[(0, 2), (2, 5)], "layers 2 to 5 where one from layer 3"),
            (&[(0, 1), (3, 5)], "where one from layer 2"),
            (&[(0, 3), (4, 3), (4, 5)], "layers 4 to 3"),
        ] {
            let error = found(ranges).unwrap_err();
            assert!(error.contains(reason), "{ranges:?}: {error}");
        }
    }
}
