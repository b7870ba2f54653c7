//! What is known of a model before it is loaded.

use std::fmt;
use std::path::PathBuf;

use mains_contract::{
    BlockFormat, Border, Bytes, FootprintModel, FormatCosts, PartsOfWeight, Products, StepLimits, run_index,
};

use crate::Sensitivity;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest that `text` writes as 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Digest({self})")
    }
}

/// A model that can be asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// The name that clients use.
    pub name: String,
    /// A GGUF file or a Hugging Face folder.
    pub path: PathBuf,
    /// When it became known, seconds since 1970.
    pub created: u64,
    /// How it came to be known.
    pub origin: Origin,
    /// Bytes of its files.
    pub bytes: Bytes,
}

/// How a model came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The program carries it.
    Embedded,
    /// The configuration names its path.
    Configured,
    /// Somebody put it into the store folder.
    Folder,
    /// It was imported.
    Imported,
}

impl Origin {
    /// The word that commands and JSON carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Configured => "configured",
            Self::Folder => "folder",
            Self::Imported => "imported",
        }
    }
}

/// What the inspect role read from a model's files. A worker's word: bounded on arrival, believed for planning only.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// Architecture, such as `qwen3`.
    pub family: String,
    /// SHA-256 of the file, of the folder's files in order of their names, or of the parts of a split model in their order.
    pub digest: Digest,
    /// Bytes of the files.
    pub file_bytes: Bytes,
    /// Weights that were learned.
    pub parameters: u64,
    /// Layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Positions that the model was made for.
    pub context: u32,
    /// Whether it has a chat template.
    pub chat: bool,
    /// Default sampling from the model's own files.
    pub sampling: SamplingDefaults,
    /// Tensors in the order of the file.
    pub tensors: Vec<TensorFacts>,
    /// By tensor, in the order of `tensors`: how much of it a token is multiplied by.
    pub products: Vec<Products>,
    /// Where its layers can be put on different devices, in order: one less than it has parts.
    pub borders: Vec<Border>,
    /// By tensor, in the order of `tensors`: the parts between borders that use it.
    pub parts: Vec<PartsOfWeight>,
    /// What a load takes, for each driver that can compute the model.
    pub costs: Vec<DriverCosts>,
    /// Drivers that can not compute it: name and reason.
    pub unsupported: Vec<(String, String)>,
    /// Positions in a block of state.
    pub block_tokens: u32,
    /// What a worker takes beside the device arenas.
    pub runtime: RuntimeModel,
    /// What its files say of themselves, for people.
    pub about: About,
    /// What types of its tensors cost in quality, when that was measured. Without it they keep those of the files.
    pub sensitivity: Option<Sensitivity>,
    /// SHA-256 of what errors in the columns of its matrices cost, when that was measured: tensors are quantized by it.
    pub importance: Option<Digest>,
}

/// What a model's files say of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// `general.name` of GGUF.
    pub title: Option<String>,
    /// `general.license` of GGUF, such as `apache-2.0`.
    pub licence: Option<String>,
    /// What kind of tokenizer it has, as the file calls it.
    pub tokenizer: Option<String>,
}

/// What a load of one model takes on one driver, for any types of its tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverCosts {
    /// The driver's name.
    pub driver: String,
    /// By type of cached keys and values that the driver takes: what is allocated whatever the types of tensors. The first
    /// is the one that is taken unasked.
    pub kv: Vec<(BlockFormat, FootprintModel)>,
    /// What types of tensors add, in the order of [`ModelFacts::tensors`].
    pub formats: FormatCosts,
    /// By type of keys and values, in the order of `kv`: the same of each run of parts, in the order of [`run_index`]. Empty
    /// when the model has one part.
    pub runs: Vec<Vec<FootprintModel>>,
    /// What tensors add that two parts use, where a device has only one of them.
    pub shared: Vec<SharedCosts>,
}

impl DriverCosts {
    /// What the run from part `first` to `last` of so many `parts` takes whatever the types of its tensors, with keys and
    /// values in `kv`; `None` when the driver does not take that.
    #[must_use]
    pub fn run(&self, kv: BlockFormat, parts: usize, first: usize, last: usize) -> Option<&FootprintModel> {
        let index = self.kv.iter().position(|(known, _)| *known == kv)?;
        if first == 0 && last + 1 == parts {
            return Some(&self.kv[index].1);
        }
        self.runs.get(index)?.get(run_index(parts, first, last))
    }
}

/// A tensor that two parts use, such as an embedding that is also the output: on two devices it is there twice, each time
/// as its own use wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCosts {
    /// Its index in [`ModelFacts::tensors`].
    pub tensor: u32,
    /// By type, what it adds to the earlier part alone.
    pub earlier: Vec<(BlockFormat, FootprintModel)>,
    /// By type, what it adds to the later part alone.
    pub later: Vec<(BlockFormat, FootprintModel)>,
}

/// How the memory of a worker beside the device arenas grows: program, tokenizer, tables, logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimeModel {
    /// Whatever the limits.
    pub fixed: Bytes,
    /// For each sequence at once.
    pub per_sequence: Bytes,
    /// For each block of state.
    pub per_block: Bytes,
}

impl RuntimeModel {
    /// The bytes beside a load under `limits`.
    #[must_use]
    pub fn at(&self, limits: &StepLimits) -> Bytes {
        self.fixed
            + self.per_sequence.times(limits.output_rows as u64)
            + self.per_block.times(limits.blocks as u64)
    }
}

/// One tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorFacts {
    /// Its name in GGUF.
    pub name: String,
    /// How it is stored.
    pub format: BlockFormat,
    /// Rows.
    pub rows: u64,
    /// Numbers in a row.
    pub cols: u64,
}

impl TensorFacts {
    /// Bytes of its data.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes_in(self.format)
    }

    /// Bytes of its data in `format`; more than there are when its rows are no whole blocks of that.
    #[must_use]
    pub fn bytes_in(&self, format: BlockFormat) -> Bytes {
        let row = usize::try_from(self.cols)
            .ok()
            .and_then(|cols| format.row_bytes(cols));
        row.map_or(Bytes(u64::MAX), |row| Bytes::from(row).times(self.rows))
    }
}

/// Default sampling from `generation_config.json` or `general.sampling.*`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SamplingDefaults {
    /// See [`crate::Sampling::temperature`].
    pub temperature: Option<f32>,
    /// See [`crate::Sampling::top_k`].
    pub top_k: Option<u32>,
    /// See [`crate::Sampling::top_p`].
    pub top_p: Option<f32>,
    /// See [`crate::Sampling::min_p`].
    pub min_p: Option<f32>,
    /// See [`crate::Sampling::repetition_penalty`].
    pub repetition_penalty: Option<f32>,
}
