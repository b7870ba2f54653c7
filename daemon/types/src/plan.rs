//! A plan: which tensor goes where in which type, and every byte that it will take.

use std::collections::BTreeMap;

use mains_contract::{BlockFormat, Bytes, Footprint, StepLimits};

use crate::Digest;

/// What a model is planned for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// Positions of one sequence; the model's own when absent.
    pub context: Option<u32>,
    /// Sequences at once; what fits, up to the default, when absent.
    pub parallel: Option<u32>,
    /// Devices, by id: layers go to the first, what does not fit there to the next. Any accelerators when there are none.
    pub devices: Vec<String>,
    /// Plan with this much memory on each device instead of what is free.
    pub memory: Option<Bytes>,
    /// Tensors may take this much at the most, as a file has them; as much as fits when absent.
    pub weights: Option<Bytes>,
    /// What memory is spent on first; [`Policy::Balanced`] when absent.
    pub policy: Option<Policy>,
}

impl Demand {
    /// Ids of devices as one word, which options and queries have: commas between them.
    #[must_use]
    pub fn device_list(&self) -> Option<String> {
        (!self.devices.is_empty()).then(|| self.devices.join(","))
    }

    /// The ids in such a word.
    #[must_use]
    pub fn devices_in(list: Option<&str>) -> Vec<String> {
        let ids = list.into_iter().flat_map(|list| list.split(','));
        ids.map(|id| id.trim().to_owned())
            .filter(|id| !id.is_empty())
            .collect()
    }
}

/// What memory is spent on first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// Types of the least damage, then context and sequences.
    Quality,
    /// Types that damage little enough, then context, then sequences, then better types.
    #[default]
    Balanced,
    /// The fewest bytes that damage little enough, since bytes take time.
    Speed,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Quality, Self::Balanced, Self::Speed];

    /// The word that commands and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Balanced => "balanced",
            Self::Speed => "speed",
        }
    }

    /// The policy called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

/// Where a model goes and what it takes. Everything that a load allocates is stated here first.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The model's name.
    pub model: String,
    /// Digest of the model's files and of every choice made here that changes its answers.
    pub variant: Digest,
    /// Digest of the model's files and of what is made of its tensors: plans that differ in keys and values only have the same,
    /// and share the files made for it.
    pub weights: Digest,
    /// What memory was spent on first.
    pub policy: Policy,
    /// Layers by device, in order.
    pub segments: Vec<Segment>,
    /// The device whose memory has what the worker takes beside its segments: rows between them and `bytes.runtime`.
    pub host: String,
    /// Positions of one sequence.
    pub context: u32,
    /// Sequences that are computed at once.
    pub parallel: u32,
    /// Rows of a step.
    pub step_rows: u32,
    /// Positions in a block of state.
    pub block_tokens: u32,
    /// Blocks of state over all sequences.
    pub blocks: u32,
    /// Type of cached keys and values.
    pub kv_format: BlockFormat,
    /// Every byte, by use.
    pub bytes: PlanBytes,
    /// How fast it will be, where its device was measured.
    pub predicted: Option<Predicted>,
    /// KL divergence from the unquantized model to expect, nats a token; absent when the model was not measured.
    pub kl: Option<f64>,
    /// How far the choice of types may be from the best, as a share of what was minimised.
    pub gap: f64,
    /// Tensors with their types.
    pub tensors: Vec<PlannedTensor>,
}

impl Plan {
    /// The limits that planner and worker compute by: every sequence may have one output row a step. What asks for more,
    /// such as log-probabilities of a prompt, takes more steps.
    #[must_use]
    pub const fn limits(&self) -> StepLimits {
        StepLimits {
            rows: self.step_rows as usize,
            output_rows: self.parallel as usize,
            context: self.context as usize,
            blocks: self.blocks as usize,
            block_tokens: self.block_tokens as usize,
            slots: self.parallel as usize,
        }
    }

    /// What it takes of each device's memory, together all of its bytes.
    #[must_use]
    pub fn bytes_by_device(&self) -> BTreeMap<&str, Bytes> {
        let mut found: BTreeMap<&str, Bytes> = BTreeMap::new();
        let mut beside = self.bytes.total();
        for segment in &self.segments {
            let bytes = segment.bytes.total();
            *found.entry(&segment.device).or_default() += bytes;
            beside = beside.checked_sub(bytes).unwrap_or(Bytes::ZERO);
        }
        *found.entry(&self.host).or_default() += beside;
        found
    }
}

/// A range of layers on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The device's id.
    pub device: String,
    /// The driver's name.
    pub driver: String,
    /// Threads that share its work there: its working memory is planned for so many.
    pub threads: u32,
    /// First layer.
    pub first_layer: u32,
    /// Last layer, included.
    pub last_layer: u32,
    /// What the driver allocates for it.
    pub bytes: Footprint,
}

/// The speed of one sequence, from what was measured on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// Tokens of a prompt a second: their operations over the measured throughput of each tensor's type.
    pub prefill_tokens_per_s: Option<f64>,
    /// Tokens of an answer a second when the context is half full: the bytes that one reads over the measured bandwidth.
    pub decode_tokens_per_s: f64,
}

/// A plan of the same shape with types of other bytes: a row of the table of quality against bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// Bytes of its tensors in a file.
    pub weights: Bytes,
    /// Every byte that it takes.
    pub total: Bytes,
    /// KL divergence from the unquantized model to expect, nats a token.
    pub kl: f64,
    /// Bytes by type, the most first.
    pub types: Vec<(BlockFormat, Bytes)>,
    /// Whether the memory is there.
    pub fits: bool,
    /// Whether it is the plan itself.
    pub chosen: bool,
}

/// The bytes of a plan, by use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanBytes {
    /// Weights in the driver's layout.
    pub weights: Bytes,
    /// State of sequences.
    pub state: Bytes,
    /// Values between operations.
    pub activations: Bytes,
    /// Working memory of kernels.
    pub scratch: Bytes,
    /// The worker beside its arenas: program, tokenizer, tables.
    pub runtime: Bytes,
}

impl PlanBytes {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Bytes {
        self.weights + self.state + self.activations + self.scratch + self.runtime
    }
}

/// One tensor of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTensor {
    /// Its name in GGUF.
    pub name: String,
    /// The type that it is loaded in.
    pub format: BlockFormat,
    /// Bytes of its data.
    pub bytes: Bytes,
}

/// Why nothing fits, and what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoPlan {
    /// What is missing, with figures.
    pub reason: String,
    /// Demands that have a plan, the nearest first.
    pub nearest: Vec<Nearest>,
}

/// A demand that has a plan where another has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The demand.
    pub demand: Demand,
    /// How it differs, for people.
    pub words: String,
}
