//! `mains-worker importance`, `measure` and `choose`: what quantizing costs a model, and the types chosen by it.

pub(crate) mod caches;
pub(crate) mod table;
pub(crate) mod texts;
pub(crate) mod whole;

use std::borrow::Cow;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mains_contract::{BlockFormat, Bytes, Driver};
use mains_engine::importance::{Importance, MOMENTS, MOMENTS_WIDTH};
use mains_engine::models::{Model, ModelOptions};
use mains_formats::{Array, GgufWriter, TensorSpec, Value};
use mains_measure::{
    Choice, Divergence, Evaluator, Formats, Interval, Measurement, Texts, choose, groups, importance,
    rank_agreement, scores,
};
use serde_json::json;

use crate::drivers;
use crate::roles::convert::importance as read_importance;
use table::{Table, replace};
use texts::Source;

/// Measure the importance of columns: the mean square of what flows into each.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportanceArguments {
    #[command(flatten)]
    measured: Measured,
    /// The GGUF file to write, as llama.cpp's `imatrix` writes it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Measure what each type costs each group of tensors. A run that was interrupted goes on where it was.
#[derive(Debug, clap::Args)]
pub(crate) struct MeasureArguments {
    #[command(flatten)]
    measured: Measured,
    /// The table, made or taken up.
    #[arg(long, value_name = "FILE")]
    table: PathBuf,
    /// The importance of columns; measured on the same texts when left out.
    #[arg(long, value_name = "FILE")]
    importance: Option<PathBuf>,
    /// Groups that are measured end to end, at most; the others are told by those of their kind.
    #[arg(long, value_name = "N", default_value_t = 256)]
    groups: usize,
}

/// Choose the type of each tensor under a budget, by the table and by measuring the whole.
#[derive(Debug, clap::Args)]
pub(crate) struct ChooseArguments {
    #[command(flatten)]
    measured: Measured,
    /// The table that `measure` made.
    #[arg(long, value_name = "FILE")]
    table: PathBuf,
    /// The importance of columns; measured on the same texts when left out.
    #[arg(long, value_name = "FILE")]
    importance: Option<PathBuf>,
    /// Bytes of all tensors, vectors included.
    #[arg(long, value_name = "BYTES")]
    budget: u64,
    /// Measurements of whole choices, at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    evaluations: usize,
    /// The JSON file to write: what `convert --plan` takes.
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
}

/// A model, texts and the driver that computes.
#[derive(Debug, clap::Args)]
pub(crate) struct Measured {
    /// A GGUF file or a Hugging Face folder.
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Texts to measure and choose by, at most; the first of them.
    #[arg(long, value_name = "N", default_value_t = 64)]
    rows: usize,
    /// Texts that nothing is chosen by and predictions are made on, at most and at most half; the last of them. Means of 128 texts
    /// of 256 tokens are a third off at times.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    held_back: usize,
    /// The driver that computes.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    driver: String,
    /// Threads; as many as there are processors when left out.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Measured {
    fn open(&self) -> Result<Opened> {
        let options = ModelOptions {
            kv_format: BlockFormat::F32,
            ..ModelOptions::default()
        };
        let at = || self.model.display().to_string();
        let model = Model::open(&self.model, &options).with_context(at)?;
        let all = self.source.read(&model, usize::MAX)?;
        let (texts, held_back) = all.split(self.rows, self.held_back)?;
        let driver = drivers::open(&self.driver, self.threads)?;
        drivers::check(&*driver, &model.graph, &model.formats())?;
        Ok(Opened {
            model,
            texts,
            held_back,
            driver,
        })
    }

    fn importance(&self, file: Option<&Path>, opened: &Opened) -> Result<Importance> {
        let Opened {
            model, texts, driver, ..
        } = opened;
        match file {
            Some(_) => read_importance(file),
            None => Ok(importance(&**driver, model, texts, |done| {
                eprintln!("importance: text {done} of {}", texts.rows().len());
            })?),
        }
    }
}

/// What [`Measured`] names.
struct Opened {
    model: Model,
    texts: Texts,
    held_back: Texts,
    driver: Box<dyn Driver>,
}

/// `mains-worker importance`.
pub(crate) fn run_importance(arguments: &ImportanceArguments) -> Result<()> {
    let opened = arguments.measured.open()?;
    let found = arguments.measured.importance(None, &opened)?;
    let positions: usize = opened.texts.rows().iter().map(Vec::len).sum();
    let mut file = Vec::new();
    write_importance(&found, positions, &mut file)?;
    replace(&arguments.out, &file).with_context(|| arguments.out.display().to_string())
}

/// Means as sums over one row: readers divide by the counts.
pub(crate) fn write_importance(importance: &Importance, positions: usize, out: &mut Vec<u8>) -> Result<()> {
    let (width, moments) = importance.moments();
    let metadata = [
        ("general.type".to_owned(), Value::String("imatrix".to_owned())),
        (
            "imatrix.datasets".to_owned(),
            Value::Array(Array::String(vec!["mains".to_owned()])),
        ),
        ("imatrix.chunk_count".to_owned(), Value::U32(1)),
        (
            "imatrix.chunk_size".to_owned(),
            Value::U32(u32::try_from(positions).unwrap_or(u32::MAX)),
        ),
        (
            MOMENTS_WIDTH.to_owned(),
            Value::U32(u32::try_from(width).unwrap_or(u32::MAX)),
        ),
    ];
    let spec = |name: String, dims: Vec<usize>| TensorSpec {
        name,
        format: BlockFormat::F32,
        dims,
    };
    let mut specs = Vec::new();
    let mut numbers = Vec::new();
    for (name, experts, columns) in importance.iter() {
        specs.push(spec(
            format!("{name}.in_sum2"),
            vec![experts, columns.len() / experts],
        ));
        numbers.push(Cow::Borrowed(columns));
        specs.push(spec(format!("{name}.counts"), vec![experts, 1]));
        numbers.push(Cow::Owned(vec![1.0; experts]));
    }
    for (name, cells) in moments {
        specs.push(spec(format!("{name}{MOMENTS}"), vec![cells.len()]));
        numbers.push(Cow::Borrowed(cells));
    }
    let mut numbers = numbers.into_iter();
    GgufWriter::new(&metadata, specs)?.write(out, |_, out| {
        let numbers = numbers.next().unwrap_or_default();
        out.write_all(
            &numbers
                .iter()
                .flat_map(|number: &f32| number.to_le_bytes())
                .collect::<Vec<u8>>(),
        )
    })?;
    Ok(())
}

/// `mains-worker measure`.
pub(crate) fn run_measure(arguments: &MeasureArguments, out: &mut impl Write) -> Result<()> {
    let opened = arguments.measured.open()?;
    let mut table = Table::open(&arguments.table, &identity(&arguments.measured, &opened))?;
    let importance = arguments
        .measured
        .importance(arguments.importance.as_deref(), &opened)?;
    let (model, driver) = (&opened.model, &*opened.driver);
    let groups = groups(model);
    let scores = groups
        .iter()
        .map(|group| scores(model, &importance, group))
        .collect::<Result<Vec<_>, _>>()?;
    let mut evaluator = Evaluator::new(driver, model, &importance, &opened.texts)?;
    let mut measurement = Measurement::new(groups, scores.clone(), arguments.groups, &table.known());
    while measurement.step(&mut evaluator)? {
        table.measured = measurement
            .known()
            .into_iter()
            .map(|known| (known.name, known.damage))
            .collect();
        table.save(&arguments.table)?;
        let (done, all) = measurement.progress();
        eprintln!("sensitivity: group {done} of {all}");
    }
    let rows = measurement.table();
    table.set_groups(&rows);
    let caches = caches::damages(&arguments.measured.model, driver, &evaluator)?;
    table.kv = caches
        .iter()
        .map(|(format, damage)| (format.to_string(), *damage))
        .collect();
    table.save(&arguments.table)?;
    table.whole = measure_whole(&measurement, &importance, &opened)?;
    table.save(&arguments.table)?;
    writeln!(out, "{}: {} groups", arguments.table.display(), rows.len())?;
    writeln!(
        out,
        "rank agreement of the cheap score with the divergence: {:.2}",
        rank_agreement(&pairs(&measurement, &scores))
    )?;
    Ok(())
}

/// Whole choices of the table, from the fewest bytes to the most: what their damages add up to, what is found of them on texts
/// that the table was not measured on, and their bytes.
fn measure_whole(
    measurement: &Measurement,
    importance: &Importance,
    opened: &Opened,
) -> Result<Vec<(f64, f64, u64)>> {
    let solutions = whole::solutions(measurement.groups(), &measurement.table());
    let choices: Vec<_> = solutions.iter().map(|solution| &solution.formats).collect();
    let found = held_back(opened, importance, &choices)?;
    let mut whole = Vec::new();
    for (solution, found) in solutions.iter().zip(found) {
        let (bytes, typical) = (solution.bytes, found.typical());
        eprintln!("whole choice of {bytes}: {typical:.3e} nats a token");
        whole.push((solution.added, typical, bytes.0));
    }
    whole.sort_by(|left, right| left.0.total_cmp(&right.0));
    Ok(whole)
}

/// What each of `choices` costs on the texts that are held back.
fn held_back(opened: &Opened, importance: &Importance, choices: &[&Formats]) -> Result<Vec<Divergence>> {
    let batches = opened.held_back.batches(texts::most_positions(&opened.model));
    let Some(first) = batches.first() else {
        bail!("nothing counts in the texts that are held back")
    };
    let mut evaluator = Evaluator::new(&*opened.driver, &opened.model, importance, first)?;
    Ok(whole::on_batches(&mut evaluator, &batches, choices, &mut || {
        true
    })?)
}

/// Score and divergence of each group that was measured, in its coarsest type.
fn pairs(measurement: &Measurement, scores: &[Vec<f64>]) -> Vec<(f64, f64)> {
    let groups = measurement.groups();
    let pair = |known: mains_measure::Measured| {
        let index = groups.iter().position(|group| group.name == known.name)?;
        Some((scores[index][0], known.damage))
    };
    measurement.known().into_iter().filter_map(pair).collect()
}

/// `mains-worker choose`.
pub(crate) fn run_choose(arguments: &ChooseArguments, out: &mut impl Write) -> Result<()> {
    let opened = arguments.measured.open()?;
    let table = Table::open(&arguments.table, &identity(&arguments.measured, &opened))?;
    let importance = arguments
        .measured
        .importance(arguments.importance.as_deref(), &opened)?;
    let (model, driver) = (&opened.model, &*opened.driver);
    let groups = groups(model);
    let chosen = groups
        .iter()
        .flat_map(|group| group.tensors.iter().map(String::as_str))
        .collect::<std::collections::BTreeSet<_>>();
    let rest: Bytes = model
        .weights
        .tensors()
        .filter(|facts| !chosen.contains(facts.name.as_str()))
        .map(mains_types::TensorFacts::bytes)
        .sum();
    let budget = Bytes(arguments.budget.saturating_sub(rest.0));
    let mut evaluator = Evaluator::new(driver, model, &importance, &opened.texts)?;
    let choice = choose(
        &groups,
        &table.rows()?,
        budget,
        arguments.evaluations,
        &mut evaluator,
    )?;
    let total = Bytes(choice.bytes.0 + rest.0);
    drop(evaluator);
    let found = held_back(&opened, &importance, &[&choice.formats])?;
    let found = found.first().context("a choice was measured on no text")?;
    let (predicted, Interval { mean, low, high }) = (found.typical(), found.interval());
    replace(
        &arguments.plan,
        &serde_json::to_vec_pretty(&plan(model, &choice, total, predicted))?,
    )?;
    writeln!(
        out,
        "{total} of weights, {predicted:.3e} nats a token predicted; on the texts held back {mean:.3e} in the mean ({low:.3e} to {high:.3e}), {:.3e} on the texts that chose, {:.3e} by the table, gap {:.4}",
        choice.measured, choice.added, choice.gap
    )?;
    Ok(())
}

/// The choice in the form of `mains plan --json`.
fn plan(model: &Model, choice: &Choice, total: Bytes, predicted: f64) -> serde_json::Value {
    let tensor = |facts: &mains_types::TensorFacts| {
        let format = choice.formats.get(&facts.name).copied().unwrap_or(facts.format);
        let chosen = mains_types::TensorFacts {
            format,
            ..facts.clone()
        };
        json!({ "name": facts.name, "type": format.name(), "bytes": chosen.bytes().0 })
    };
    json!({
        "bytes": { "weights": total.0 },
        "predicted": { "kl": predicted },
        "gap": choice.gap,
        "tensors": model.weights.tensors().map(tensor).collect::<Vec<_>>(),
    })
}

/// What a table is of: another model or other texts give other damages.
fn identity(measured: &Measured, opened: &Opened) -> String {
    let name = measured.model.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "{name}, {} parameters, {} positions of {} texts",
        opened.model.info.parameters,
        opened.texts.positions(),
        opened.texts.rows().len()
    )
}
