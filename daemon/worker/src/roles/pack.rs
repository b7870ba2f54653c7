//! `mains-worker pack`: a model's weights in a driver's layouts, to be mapped at load.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use mains_engine::models::{Model, ModelOptions, write_packed};

use super::convert::write_new;
use crate::drivers;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Arrange the weights of a model as a driver keeps them, in a file that loads map.
///
/// The formats are those of the model's files: convert it first to have others. `mainsd` looks for the file under
/// `models/packed/DIGEST.DRIVER` in its state folder, where DIGEST is that of the plan's weights.
/// It makes the file by itself after a model's first load.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mains-worker pack --from qwen3-0.6b-q8_0.gguf --to DIGEST.cpu --variant DIGEST"
)]
pub(crate) struct Arguments {
    /// The GGUF file or Hugging Face folder to read.
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The file to write; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The digest of the plan's weights, as `mains plan --json` tells it under `prepared`.
    #[arg(long, value_name = "DIGEST")]
    variant: String,
    /// The driver.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    driver: String,
}

/// Packs and tells what was written on `out`.
///
/// # Errors
/// When the model can not be packed or the file can not be written; no file is left behind then.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let driver = drivers::open(&arguments.driver, None)?;
    let model = Model::open(&arguments.from, &ModelOptions::default())
        .with_context(|| arguments.from.display().to_string())?;
    drivers::check(&*driver, &model.graph, &model.formats())?;
    write_new(&arguments.to, |file: &mut File| {
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, file);
        write_packed(&model, &*driver, &arguments.variant, buffered, |_| ())?;
        Ok(())
    })?;
    let count = model.graph.weights().len();
    writeln!(
        out,
        "{}: {count} weights for {}",
        arguments.to.display(),
        arguments.driver
    )?;
    Ok(())
}
