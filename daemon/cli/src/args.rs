//! The command line: one table that yields parser, help, manual pages and completions.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit::EXIT_CODES;

/// Serve language models from this box, and see what it does.
#[derive(Debug, Parser)]
#[command(name = "mains", version, max_term_width = 100, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The daemon's request socket; the installed daemon's, or this user's own, when absent.
    #[arg(long, global = true, env = "MAINS_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Talk with a model.
    #[command(
        after_help = "Examples:\n  mains chat pilot\n  echo 'Capital of Peru?' | mains chat pilot\n\n\
        Within: /reset forgets the conversation, /quit ends; Ctrl-C stops an answer."
    )]
    Chat(ChatArgs),
    /// Ask a model one thing.
    #[command(
        after_help = "Examples:\n  mains ask pilot 'What is 17 + 25?' --temperature 0\n  \
        mains ask pilot - < question.txt\n  mains ask pilot 'Tell me a story about a fox.' --json | jq .usage"
    )]
    Ask(AskArgs),
    /// Show the accelerators of this box, their memory and health.
    #[command(
        after_help = "Examples:\n  mains devices\n  mains devices --json | jq '.devices[].id'\n  \
        mains devices --watch\n  mains devices --measure"
    )]
    Devices(DevicesArgs),
    /// List the models that can be asked for.
    #[command(after_help = "Examples:\n  mains models\n  mains models --json")]
    Models(JsonArgs),
    /// Bring a model into the store, as an administrator: a GGUF file, the first of a split one, a Hugging Face folder or a tar of either.
    #[command(
        after_help = "Examples:\n  mains import /media/usb/model.gguf\n  mains import ~/models/Some-Model --name some\n\n\
        Cut off, it goes on where it stopped when it is started again."
    )]
    Import(ImportArgs),
    /// Show what is known of a model: family, tokenizer, licence, types of tensors, files and their digests.
    #[command(after_help = "Examples:\n  mains show pilot\n  mains show pilot --json | jq .types")]
    Show(ShowArgs),
    /// Write a model as one standard GGUF file, as an administrator: at the types of its own files, or a variant of it.
    #[command(
        after_help = "Examples:\n  mains export some some.gguf\n\n`mains show MODEL` lists the digests of variants."
    )]
    Export(ExportArgs),
    /// Remove an imported model, as an administrator, with what was made of it.
    #[command(after_help = "Examples:\n  mains rm some\n  mains rm some --unload")]
    Rm(RmArgs),
    /// Show which model families each driver computes, and what it lacks for the others.
    #[command(
        after_help = "Examples:\n  mains families\n  mains families --json | jq -r '.families[].name'\n\n\
        Works without a daemon."
    )]
    Families(JsonArgs),
    /// Show where a model would go and every byte that it would take.
    #[command(
        after_help = "Examples:\n  mains plan pilot\n  mains plan pilot --context 1024 --parallel 2\n  \
        mains plan pilot --weights 3.5MiB --explain\n  mains plan pilot --device gpu-0,cpu\n  \
        mains plan pilot --memory 20MiB --json\n  ssh other-box mains devices --json | mains plan pilot --inventory -\n\nExit code 3 when nothing fits; the nearest demands that would are named."
    )]
    Plan(PlanArgs),
    /// Make the files of a plan ahead of its use, as an administrator, and print the plan's digest.
    #[command(
        after_help = "Examples:\n  mains prepare pilot --weights 3.5MiB\n  mains prepare pilot --policy speed --json\n\n\
        The daemon goes on when this command is interrupted; ask again to see the rest.\n\
        Exit code 3 when nothing fits; the nearest demands that would are named."
    )]
    Prepare(PrepareArgs),
    /// Show what was used.
    #[command(
        after_help = "Examples:\n  mains usage\n  mains usage --by model --since 24h\n  \
        mains usage --since 2026-11-01 --csv > november.csv\n  mains usage --requests --json"
    )]
    Usage(UsageArgs),
    /// Show how the daemon is.
    #[command(
        after_help = "Example for monitoring:\n  mains status >/dev/null || echo \"mains: exit code $?\""
    )]
    Status(JsonArgs),
    /// Show what the daemon logged; never prompts or answers.
    #[command(after_help = "Examples:\n  mains logs --lines 50\n  mains logs --follow")]
    Logs(LogsArgs),
    /// Check a configuration file without starting anything.
    #[command(after_help = "Example:\n  mains check-config /etc/mains/mains.toml")]
    CheckConfig(CheckConfigArgs),
    /// Run a daemon in the foreground, apart from an installed one.
    #[command(
        after_help = "Examples:\n  mains serve\n  mains serve --model mine=/models/mine.gguf \
        --socket /tmp/m/mains.sock --state-dir /tmp/m/state"
    )]
    Serve(ServeArgs),
    /// Compute a model's logits for given token ids: the check against any reference.
    #[command(
        after_help = "Example:\n  mains logits model.gguf --ids ids.safetensors --out logits.safetensors --driver cpu\n\n\
        IN has `ids` int64 (row, n); OUT gets `logits` float32 (row, n, vocabulary)."
    )]
    Logits(LogitsArgs),
    /// Compare a model with the one that it was made of: divergence, equal top tokens, exact answers, a plot.
    #[command(
        after_help = "Examples:\n  mains eval pilot-q4.gguf --against pilot --text notes.txt\n  \
        mains eval pilot-q4.gguf --against pilot.gguf --exam exam.json --plot quality.svg"
    )]
    Eval(EvalArgs),
    /// Load a model now, as an administrator.
    #[command(after_help = "Example:\n  mains load pilot")]
    Load(ModelArgs),
    /// Unload a model when its requests have ended, as an administrator.
    #[command(after_help = "Example:\n  mains unload pilot")]
    Unload(ModelArgs),
    /// Read the configuration again, as an administrator; a broken one changes nothing.
    #[command(after_help = "Example:\n  mains check-config && mains reload")]
    Reload,
    /// Write a copy of the ledger while the daemon runs, as an administrator.
    #[command(after_help = "Example:\n  mains backup /srv/backup/ledger.sqlite")]
    Backup(BackupArgs),
    /// Put a copy of the ledger back while the daemon is stopped.
    #[command(
        after_help = "Example:\n  systemctl stop mainsd.service mains.socket mains-admin.socket\n  \
        mains restore /srv/backup/ledger.sqlite\n  systemctl start mains.socket mains-admin.socket\n\n\
        The ledger that was there is kept beside it."
    )]
    Restore(RestoreArgs),
    /// Write what a vendor needs to help; secrets and prompts are left out.
    #[command(
        after_help = "Examples:\n  mains support-bundle --list\n  mains support-bundle --out mains-support.tar"
    )]
    SupportBundle(SupportBundleArgs),
    /// Write manual pages and shell completions for packages.
    #[command(hide = true)]
    GenerateDocs {
        /// The folder that they are written to.
        folder: PathBuf,
    },
}

/// A model by its name.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// The model's name; `mains models` lists them.
    pub(crate) model: String,
}

/// `mains import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The model: a file or a folder.
    pub(crate) path: PathBuf,
    /// The name that clients will use; that of the file or folder when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mains show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The model's name; `mains models` lists them.
    pub(crate) model: String,
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mains export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The model's name, or the digest of a variant.
    #[arg(value_name = "MODEL|DIGEST")]
    pub(crate) model: String,
    /// The file that is written.
    pub(crate) file: PathBuf,
    /// Write over a file that exists.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `mains rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The model's name; `mains models` lists them.
    pub(crate) model: String,
    /// Unload it first, when its running requests have ended.
    #[arg(long)]
    pub(crate) unload: bool,
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Output for programs.
#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How an answer is sampled.
#[derive(Debug, Args)]
pub(crate) struct SamplingArgs {
    /// Randomness, 0 to 2; 0 always takes the likeliest token. The model's own default when absent.
    #[arg(long)]
    pub(crate) temperature: Option<f64>,
    /// Tokens of the answer at the most.
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u32>,
    /// Key of the random numbers: the same one gives the same answer.
    #[arg(long)]
    pub(crate) seed: Option<i64>,
    /// What the model is told before the conversation.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
}

/// `mains chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// The model's name; `mains models` lists them.
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

/// `mains ask`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The model's name; `mains models` lists them.
    pub(crate) model: String,
    /// The question; `-` reads it from standard input.
    pub(crate) question: String,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Print the whole answer as JSON, as the API gives it.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the ledger's row of this request after the answer.
    #[arg(long, conflicts_with = "json")]
    pub(crate) receipt: bool,
}

/// `mains devices`.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Look for devices that came or went, instead of showing what is known.
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show them again and again, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["json", "measure"])]
    pub(crate) watch: bool,
    /// Seconds from one look to the next, with `--watch`.
    #[arg(long, value_name = "SECONDS", default_value = "2", requires = "watch", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) interval: u64,
    /// Measure bandwidth and throughput first, as an administrator. It takes about ten seconds a device, is refused while a
    /// model works, and is kept for plans.
    #[arg(long)]
    pub(crate) measure: bool,
    /// The only device to measure, by its id.
    #[arg(long, value_name = "ID", requires = "measure")]
    pub(crate) device: Option<String>,
}

/// A model and what it is planned for.
#[derive(Debug, Args)]
pub(crate) struct DemandArgs {
    /// The model's name; `mains models` lists them.
    pub(crate) model: String,
    /// Positions of one sequence; the model's own, at most 32768, as far as it fits when absent.
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<u32>,
    /// Sequences that are computed at once; what fits, at most 8, when absent.
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<u32>,
    /// Devices, by their ids in `mains devices`: layers go to the first, what does not fit there to the next.
    #[arg(long, value_name = "ID,ID")]
    pub(crate) device: Option<String>,
    /// Plan with this much memory on each device instead of what is free, such as 6GiB.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// Tensors may take this much at the most, as a file has them, such as 3.5MiB; types are chosen for the least damage.
    #[arg(long, value_name = "SIZE")]
    pub(crate) weights: Option<String>,
    /// What memory is spent on first; the model's configuration, or balanced, when absent.
    #[arg(long, value_name = "POLICY", value_parser = ["quality", "balanced", "speed"])]
    pub(crate) policy: Option<String>,
}

/// `mains prepare`.
#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mains plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) demand: DemandArgs,
    /// Also tell every tensor's type, and by which rule the plan was made; with --json, plans with other bytes of weights.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Plan for the box that `mains devices --json` wrote this file on; `-` reads standard input.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) inventory: Option<PathBuf>,
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What usage is summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// Who pays.
    Team,
    /// Which model answered.
    Model,
    /// The day, UTC.
    Day,
}

/// `mains usage`.
#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// What to sum by.
    #[arg(long, value_enum, default_value = "team", conflicts_with = "requests")]
    pub(crate) by: GroupBy,
    /// From when: a date (2026-11-01), a time (RFC 3339) or a span back (90m, 24h, 7d).
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// A row a request instead of sums.
    #[arg(long)]
    pub(crate) requests: bool,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Print JSON for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mains logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The last lines that are shown.
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    pub(crate) lines: u32,
    /// Go on showing what comes.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Print a JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mains check-config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// The file; the installed daemon's, or this user's own, when absent.
    pub(crate) path: Option<PathBuf>,
}

/// `mains serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// A model beside the pilot: a GGUF file or a Hugging Face folder.
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) model: Vec<String>,
    /// Where ledger and models are kept; this user's own when absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// A configuration file.
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// The worker program, when it is not the one beside the daemon.
    #[arg(long, value_name = "PATH", hide = true)]
    pub(crate) worker: Option<PathBuf>,
}

/// `mains logits`.
#[derive(Debug, Args)]
pub(crate) struct LogitsArgs {
    /// A GGUF file, a Hugging Face folder, or a name that the running daemon knows.
    pub(crate) model: String,
    /// Token ids: a safetensors file with `ids`, int64 (row, n).
    #[arg(long, value_name = "IN.safetensors")]
    pub(crate) ids: PathBuf,
    /// Where `logits`, float32 (row, n, vocabulary), are written.
    #[arg(long, value_name = "OUT.safetensors")]
    pub(crate) out: PathBuf,
    /// Who computes.
    #[arg(long, default_value = "cpu", value_parser = ["reference", "cpu"])]
    pub(crate) driver: String,
}

/// `mains eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A GGUF file, a Hugging Face folder, or a name that the running daemon knows.
    pub(crate) model: String,
    /// The model that it was made of, in the same forms.
    #[arg(long, value_name = "MODEL")]
    pub(crate) against: String,
    /// A text in UTF-8; the built-in calibration text when neither this, `--exam` nor `--ids` is given.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["exam", "ids"])]
    pub(crate) text: Option<PathBuf>,
    /// Questions as JSON: a list of `{"prompt": [ids], "answer": [ids]}`.
    #[arg(long, value_name = "FILE", conflicts_with = "ids")]
    pub(crate) exam: Option<PathBuf>,
    /// Token ids: a safetensors file with `ids`, int64 (row, n), and perhaps `mask`, uint8 (row, n).
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
    /// Restore weights to float32 first: what their types alone cost.
    #[arg(long)]
    pub(crate) weights_alone: bool,
    /// A table of `mains-worker measure`, whose whole choices the plot shows instead of the daemon's plans.
    #[arg(long, value_name = "FILE", requires = "plot")]
    pub(crate) table: Option<PathBuf>,
    /// The SVG file to draw: divergence against bytes of weights, beside what the daemon's plans of the base model would be.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Who computes.
    #[arg(long, default_value = "cpu", value_parser = ["reference", "cpu"])]
    pub(crate) driver: String,
}

/// `mains backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file that is written; it must not exist yet.
    pub(crate) file: PathBuf,
}

/// `mains restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A file that `mains backup` wrote.
    pub(crate) file: PathBuf,
    /// Whose ledger; the installed daemon's, or this user's own, when absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// `mains support-bundle`.
#[derive(Debug, Args)]
pub(crate) struct SupportBundleArgs {
    /// The tar file that is written.
    #[arg(long, default_value = "mains-support.tar", value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Only list what would be written.
    #[arg(long)]
    pub(crate) list: bool,
}
