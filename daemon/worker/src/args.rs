//! The command line. `mainsd` and units start the roles; the commands are for integrators and for `mains`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mains_wire::frames::Role;

/// The sandboxed worker of mains: one process, one role.
///
/// The roles take their connection as descriptor 3 and are started by mainsd.
#[derive(Debug, Parser)]
#[command(name = "mains-worker", version = mains_wire::frames::BUILD_ID)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find devices.
    Probe(Walls),
    /// Read a model's files.
    Inspect(Walls),
    /// Load a model and generate.
    Run(Walls),
    /// Make files of models' files for mainsd.
    ConvertForDaemon(Walls),
    /// Convert a model into a GGUF file.
    Convert(crate::roles::convert::Arguments),
    /// Measure the importance of the columns of a model's matrices.
    Importance(crate::roles::measure::ImportanceArguments),
    /// Measure what quantizing costs each group of a model's tensors.
    Measure(crate::roles::measure::MeasureArguments),
    /// Choose types for a model's tensors under a budget of bytes.
    Choose(crate::roles::measure::ChooseArguments),
    /// Compare a model with the one that it was made of.
    Eval(crate::roles::eval::Arguments),
    /// Tell, as JSON, which families each driver computes and what it lacks for the others.
    Families,
    /// Arrange a model's weights in a file that loads map.
    Pack(crate::roles::pack::Arguments),
    /// Write the logits of a model for given token ids.
    Logits(Logits),
    /// Write the token ids of texts.
    Tokenize(crate::roles::tokenize::Arguments),
    /// Try what a worker must not be able to do.
    #[command(hide = true)]
    WallsTest(WallsTest),
}

/// The walls that the process builds around itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct Walls {
    /// Who builds the walls: `fork` when no unit does.
    #[arg(long, value_name = "WHO")]
    pub(crate) wall: Option<Builder>,
    /// A file or folder that may be read; with `--wall fork`.
    #[arg(long, value_name = "PATH", requires = "wall")]
    pub(crate) allow_read: Vec<PathBuf>,
    /// Bytes of memory that may be taken; with `--wall fork`.
    #[arg(long, value_name = "BYTES", requires = "wall")]
    pub(crate) memory_max: Option<u64>,
}

/// Who builds the walls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Builder {
    /// The process itself, after mainsd forked it.
    Fork,
}

/// Arguments of `logits`.
#[derive(Debug, Args)]
pub(crate) struct Logits {
    /// A GGUF file or a Hugging Face folder.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: PathBuf,
    /// A safetensors file with `ids`, int64 (row, n).
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: PathBuf,
    /// The safetensors file to write, with `logits`, float32 (row, n, vocabulary).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The driver that computes.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub(crate) driver: String,
}

/// Arguments of `walls-test`.
#[derive(Debug, Args)]
pub(crate) struct WallsTest {
    /// The role whose walls are built first, with `--wall fork`.
    #[arg(value_parser = role)]
    pub(crate) role: Role,
    #[command(flatten)]
    pub(crate) walls: Walls,
    /// A file that must not be readable. It must exist, or the attempt shows nothing.
    #[arg(long, value_name = "PATH")]
    pub(crate) unreadable: Vec<PathBuf>,
    /// A folder in which no file can be made.
    #[arg(long, value_name = "PATH")]
    pub(crate) unwritable: Vec<PathBuf>,
    /// A device that cannot be opened.
    #[arg(long, value_name = "PATH")]
    pub(crate) device: Vec<PathBuf>,
    /// A process that cannot be signalled.
    #[arg(long, value_name = "PID")]
    pub(crate) signal: Vec<i32>,
}

fn role(word: &str) -> Result<Role, String> {
    Role::from_name(word).ok_or_else(|| format!("no role is called {word:?}: probe, inspect, run or convert"))
}
