//! `mains-worker eval`: how far a model's predictions are from those of another, the one that it was made of.

mod plot;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use mains_contract::{BlockFormat, Bytes};
use mains_engine::models::{Cast, Model, ModelOptions};
use mains_measure::{Divergence, Interval, Texts, bootstrap, compare, logits};

use crate::drivers;
use crate::roles::measure::table::{Table, replace};
use crate::roles::measure::texts::Source;
use plot::{Plot, Point};

/// Compare a model with the one that it was made of: KL divergence, equal top tokens, exact answers.
///
/// Intervals hold 95 % of 1,000 resamples; those of answers are of the paired difference.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model: a GGUF file or a Hugging Face folder.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The model that it is compared with.
    #[arg(long, value_name = "PATH")]
    against: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Texts or questions, at most.
    #[arg(long, value_name = "N", default_value_t = 256)]
    rows: usize,
    /// Weights are restored to float32 first: what the types alone cost, without int8 activations.
    #[arg(long)]
    weights_alone: bool,
    /// The driver that computes.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    driver: String,
    /// A sensitivity table of the base model: whole choices between the fewest bytes and the most, for the plot.
    #[arg(long, value_name = "FILE", requires = "plot")]
    table: Option<PathBuf>,
    /// What a plan of the base model is predicted to cost, for the plot: bytes of tensors and nats a token.
    #[arg(long, value_name = "BYTES=NATS", value_parser = point, requires = "plot")]
    point: Vec<(u64, f64)>,
    /// The SVG file to draw: divergence against bytes of weights.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Answers of one model: the logits of each position that counts are compared as they come.
struct Sat {
    divergence: Divergence,
    /// By question, whether every token of the answer is the most likely one: base and other.
    exact: Vec<(bool, bool)>,
}

/// Compares and prints a table.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    let cast = if arguments.weights_alone {
        Cast::Matrices(BlockFormat::F32)
    } else {
        Cast::AsStored
    };
    let open = |path: &Path| {
        let options = ModelOptions {
            kv_format: BlockFormat::F32,
            cast: cast.clone(),
            ..ModelOptions::default()
        };
        Model::open(path, &options).with_context(|| path.display().to_string())
    };
    let (model, base) = (open(&arguments.model)?, open(&arguments.against)?);
    ensure!(
        model.info.vocabulary == base.info.vocabulary,
        "{} has a vocabulary of {}, {} one of {}: they can not be compared",
        arguments.model.display(),
        model.info.vocabulary,
        arguments.against.display(),
        base.info.vocabulary
    );
    let texts = arguments.source.read(&base, arguments.rows)?;
    let sat = sit(&arguments.driver, &model, &base, &texts)?;
    let bytes = stored_bytes(&arguments.model)?;
    writeln!(
        out,
        "{} against {}",
        arguments.model.display(),
        arguments.against.display()
    )?;
    writeln!(out, "weights          {bytes}")?;
    writeln!(
        out,
        "positions        {} of {} texts",
        texts.positions(),
        texts.rows().len()
    )?;
    tell(&sat, arguments.source.exam.is_some(), out)?;
    if let Some(path) = &arguments.plot {
        let Interval { mean, low, high } = sat.divergence.interval();
        let name = arguments.model.file_name().unwrap_or_default().to_string_lossy();
        let mut points = whole(arguments.table.as_deref())?;
        points.extend(
            arguments
                .point
                .iter()
                .map(|(bytes, nats)| Point::on_line(*bytes, *nats)),
        );
        points.push(Point {
            bytes: bytes.0,
            divergence: mean,
            low,
            high,
            name: Some(name.into_owned()),
        });
        replace(path, Plot { points }.svg().as_bytes()).with_context(|| path.display().to_string())?;
        writeln!(out, "plot             {}", path.display())?;
    }
    Ok(())
}

/// The table of what was found.
fn tell(sat: &Sat, is_exam: bool, out: &mut impl Write) -> Result<()> {
    let Interval { mean, low, high } = sat.divergence.interval();
    writeln!(
        out,
        "KL mean          {mean:.3e} nats a token ({low:.3e} to {high:.3e})"
    )?;
    writeln!(out, "KL p99           {:.3e}", sat.divergence.quantile(0.99))?;
    writeln!(out, "KL max           {:.3e}", sat.divergence.max())?;
    writeln!(out, "equal top token  {:.2} %", 100.0 * sat.divergence.same_top())?;
    if is_exam {
        let right = |of: &dyn Fn(&(bool, bool)) -> bool| sat.exact.iter().filter(|pair| of(pair)).count();
        let difference = sat
            .exact
            .iter()
            .map(|(base, other)| f64::from(i8::from(*other) - i8::from(*base)));
        let Interval { mean, low, high } = bootstrap(&difference.collect::<Vec<_>>());
        let (ours, theirs) = (right(&|pair| pair.1), right(&|pair| pair.0));
        writeln!(
            out,
            "exact answers    {ours} of {}, base {theirs}",
            sat.exact.len()
        )?;
        writeln!(
            out,
            "  difference     {:+.2} % ({:+.2} to {:+.2})",
            100.0 * mean,
            100.0 * low,
            100.0 * high
        )?;
    }
    Ok(())
}

/// Bytes of all tensors as the files have them.
fn stored_bytes(path: &Path) -> Result<Bytes> {
    let model = Model::open(path, &ModelOptions::default()).with_context(|| path.display().to_string())?;
    Ok(model.weight_bytes())
}

fn sit(driver: &str, model: &Model, base: &Model, texts: &Texts) -> Result<Sat> {
    let driver = drivers::open(driver, None)?;
    let mut expected = Vec::new();
    for model in [base, model] {
        drivers::check(&*driver, &model.graph, &model.formats())?;
    }
    logits(&*driver, &base.graph, &base.weights, texts, |row| {
        expected.extend_from_slice(row)
    })?;
    let width = expected.len() / texts.positions();
    let mut expected = expected.chunks_exact(width);
    let mut divergence = Divergence::default();
    let mut tops = Vec::new();
    logits(&*driver, &model.graph, &model.weights, texts, |row| {
        if let Some(base) = expected.next() {
            divergence.push(compare(base, row));
            tops.push((top(base), top(row)));
        }
    })?;
    let mut tops = tops.into_iter();
    let texts = texts.rows().iter().zip(texts.masks());
    let exact = texts.map(|(ids, mask)| {
        let mut right = (true, true);
        let wanted = ids.iter().skip(1).map(Some).chain([None]);
        for (next, _) in wanted.zip(mask).filter(|(_, counts)| **counts) {
            let (base, other) = tops.next().unwrap_or_default();
            let is = |found: usize| next.is_some_and(|next| *next as usize == found);
            right = (right.0 && is(base), right.1 && is(other));
        }
        right
    });
    Ok(Sat {
        exact: exact.collect(),
        divergence,
    })
}

/// The most likely token, the first of equals.
fn top(row: &[f32]) -> usize {
    let better = |best: usize, (index, logit): (usize, &f32)| if *logit > row[best] { index } else { best };
    row.iter().enumerate().fold(0, better)
}

/// The whole choices of a table.
fn whole(path: Option<&Path>) -> Result<Vec<Point>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let at = || path.display().to_string();
    let table: Table = serde_json::from_slice(&std::fs::read(path).with_context(at)?).with_context(at)?;
    let point = |(_, found, bytes): &(f64, f64, u64)| Point::on_line(*bytes, *found);
    Ok(table.whole.iter().map(point).collect())
}

/// `BYTES=NATS`.
fn point(text: &str) -> Result<(u64, f64), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(bytes, nats)| Some((bytes.parse().ok()?, nats.parse().ok()?)));
    parsed
        .filter(|(_, nats): &(u64, f64)| nats.is_finite() && *nats >= 0.0)
        .ok_or_else(|| format!("{text:?}: bytes and nats a token are wanted, such as 3670016=1.2e-4"))
}

#[cfg(test)]
mod tests {
    use super::point;

    #[test]
    fn points_are_bytes_and_nats() {
        assert_eq!(point("3670016=1.2e-4"), Ok((3_670_016, 1.2e-4)));
        for bad in ["", "3670016", "=1", "1=", "-1=2", "1=-2", "1=NaN", "1=inf"] {
            assert!(point(bad).unwrap_err().contains("3670016=1.2e-4"), "{bad}");
        }
    }
}
