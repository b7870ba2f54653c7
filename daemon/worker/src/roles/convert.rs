//! `mains-worker convert`: a model's files as one GGUF file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use mains_contract::{BlockFormat, Bytes};
use mains_engine::importance::Importance;
use mains_engine::models::Checkpoint;
use mains_engine::models::convert::{Conversion, ConvertOptions};
use mains_formats::Gguf;
use tempfile::NamedTempFile;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Convert a Hugging Face folder or a GGUF file into a GGUF file.
///
/// Matrices get the format; vectors are F32. A matrix whose rows are no whole number of the format's blocks of 256 gets a
/// format with blocks of 32 whose error is no larger, or stays in 16 bits when they do not suit that either; each such tensor
/// is listed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mains-worker convert --from Qwen3-0.6B --to qwen3-0.6b-q8_0.gguf --format Q8_0"
)]
pub(crate) struct Arguments {
    /// The Hugging Face folder or GGUF file to read.
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The GGUF file to write; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The format of matrices, such as BF16, Q8_0 or Q4_K; routers of experts are F32 then. As they are stored when left out.
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    format: Option<BlockFormat>,
    /// Another format for one matrix, by its GGUF name; may be given again and again.
    #[arg(long, value_name = "TENSOR=FORMAT", value_parser = parse_tensor)]
    tensor: Vec<(String, BlockFormat)>,
    /// The formats that `mains-worker choose` chose; what `--tensor` says goes before it.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What errors in the columns of matrices cost: a GGUF file as llama.cpp's `imatrix` and `mains-worker importance` write it.
    #[arg(long, value_name = "FILE")]
    importance: Option<PathBuf>,
    /// Threads that quantize; as many as there are processors when left out.
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// The model's name in the file (`general.name`); the folder's name when left out.
    #[arg(long)]
    name: Option<String>,
    /// The licence in the file (`general.license`), such as Apache-2.0.
    #[arg(long)]
    license: Option<String>,
    /// The description in the file (`general.description`).
    #[arg(long)]
    description: Option<String>,
}

/// Converts and tells what was written on `out`, a line each.
///
/// # Errors
/// When the model can not be converted or the file can not be written; no file is left behind then.
pub(crate) fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let checkpoint = Arc::new(Checkpoint::open(&arguments.from)?);
    let mut formats = match &arguments.plan {
        Some(path) => planned(path).with_context(|| path.display().to_string())?,
        None => BTreeMap::new(),
    };
    formats.extend(arguments.tensor);
    let options = ConvertOptions {
        format: arguments.format,
        formats,
        importance: importance(arguments.importance.as_deref())?,
        name: arguments.name,
        license: arguments.license,
        description: arguments.description,
    };
    let conversion =
        Conversion::plan(checkpoint, &options).with_context(|| arguments.from.display().to_string())?;
    for note in conversion.notes() {
        writeln!(out, "note: {note}")?;
    }
    let bytes = Bytes(conversion.file_bytes());
    let threads = match arguments.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?,
    };
    write_new(&arguments.to, |file| {
        conversion
            .write(BufWriter::with_capacity(BUFFER_BYTES, file), threads)
            .map_err(anyhow::Error::from)
    })?;
    writeln!(out, "{}: {bytes}", arguments.to.display())?;
    Ok(())
}

/// Reads an importance file; without one all columns count the same.
pub(crate) fn importance(path: Option<&Path>) -> anyhow::Result<Importance> {
    let Some(path) = path else {
        return Ok(Importance::default());
    };
    Importance::from_gguf(Arc::new(Gguf::open(path)?)).with_context(|| path.display().to_string())
}

/// A plan as far as formats go.
#[derive(serde::Deserialize)]
struct Plan {
    tensors: Vec<PlannedTensor>,
}

#[derive(serde::Deserialize)]
struct PlannedTensor {
    name: String,
    r#type: String,
}

fn planned(path: &Path) -> anyhow::Result<BTreeMap<String, BlockFormat>> {
    let plan: Plan = serde_json::from_slice(&std::fs::read(path)?)?;
    let format = |tensor: PlannedTensor| {
        let format = parse_format(&tensor.r#type).map_err(anyhow::Error::msg)?;
        Ok((tensor.name, format))
    };
    plan.tensors.into_iter().map(format).collect()
}

fn parse_tensor(text: &str) -> Result<(String, BlockFormat), String> {
    let (name, format) = text.split_once('=').ok_or("not TENSOR=FORMAT")?;
    Ok((name.to_owned(), parse_format(format)?))
}

/// Writes a file under a temporary name, syncs it and links it: it is there whole or not at all.
pub(crate) fn write_new(
    path: &Path,
    write: impl FnOnce(&mut File) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let at = || format!("writing {}", path.display());
    if path.exists() {
        bail!(
            "{} exists already; choose another name or remove it first",
            path.display()
        );
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).with_context(at)?;
    write(file.as_file_mut()).with_context(at)?;
    file.as_file().sync_all().with_context(at)?;
    readable(&file).with_context(at)?;
    file.persist_noclobber(path)
        .map_err(|error| error.error)
        .with_context(at)?;
    Ok(())
}

/// Gives a temporary file, made for its owner alone, the mode of an ordinary file.
fn readable(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn parse_format(text: &str) -> Result<BlockFormat, String> {
    let known = || BlockFormat::ALL.map(BlockFormat::name).join(", ");
    BlockFormat::from_name(&text.to_uppercase()).ok_or_else(|| format!("not one of {}", known()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::{Arguments, run};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn convert(line: &[&str]) -> anyhow::Result<String> {
        let line = Line::try_parse_from([&["convert"], line].concat())?;
        let mut out = Vec::new();
        run(line.arguments, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let pilot = concat!(env!("CARGO_MANIFEST_DIR"), "/../store/pilot/pilot.gguf");
        let target = folder.path().join("pilot-q8_0.gguf");
        let to = target.to_str().unwrap();
        let said = convert(&["--from", pilot, "--to", to, "--format", "q8_0"]).unwrap();
        assert_eq!(said, format!("{to}: 6.2 MiB\n"));
        let again = convert(&["--from", pilot, "--to", to]).unwrap_err().to_string();
        assert!(again.contains("exists already"), "{again}");
        let broken = folder.path().join("broken.gguf");
        fs::write(&broken, "GGUF").unwrap();
        let other = folder.path().join("other.gguf");
        assert!(
            convert(&[
                "--from",
                broken.to_str().unwrap(),
                "--to",
                other.to_str().unwrap()
            ])
            .is_err()
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(convert(&["--from", pilot, "--to", to, "--format", "Q4_0"]).is_err());
    }
}
