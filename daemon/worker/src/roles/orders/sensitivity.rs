//! `Sensitivity`: what types cost a model, measured by the texts that are in this program.
//!
//! Another thread measures: one product of a large model may take longer than this one may be silent. It hands on what is to be
//! said, and the daemon bounds how long it may take.

use std::convert::Infallible;
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mains_contract::{BlockFormat, Driver, OutputName};
use mains_engine::importance::Importance;
use mains_engine::models::{Model, ModelOptions};
use mains_measure::{Evaluator, Measured, Measurement, Solution, Texts, groups, importance, scores};
use mains_types::Sensitivity;
use mains_wire::files::write_sensitivity;
use mains_wire::frames::{FromWorker, SensitivityOrder};

use super::pieces::say_file;
use crate::drivers;
use crate::inbox::{Inbox, Outbox};
use crate::roles::convert::importance as read_importance;
use crate::roles::measure::{caches, texts, whole, write_importance};

/// Weights times positions that importance is measured with: a model of 8 billion weights flows over 7,500 positions, in a quarter of
/// an hour on two cores. That is twice what moments in runs of 256 columns need, all that a model of this size has room for.
const WEIGHED: u64 = 60_000_000_000_000;

/// Texts that whole choices are measured on, for each that groups are: there are a few choices and hundreds of groups, and what is
/// told of choices is what is promised.
const HELD_BACK_TIMES: usize = 4;

/// How often pings are answered.
const BEAT: Duration = Duration::from_secs(1);

/// The part of the time that groups get; the rest is for whole choices.
const GROUPS_SHARE: f64 = 2.0 / 3.0;

/// What the thread that measures has to say.
enum Said {
    Frame(FromWorker),
    File(Vec<u8>),
}

/// Measures what `order` names.
///
/// # Errors
/// When the model can not be read or computed, and when the connection is gone.
pub(super) fn answer(order: SensitivityOrder, inbox: &Inbox<Infallible>, outbox: &Outbox) -> Result<()> {
    let (sender, said) = sync_channel(1);
    let measuring = std::thread::Builder::new()
        .name("measure".to_owned())
        .spawn(move || measure(&order, &Teller(sender)))
        .context("starting the thread that measures")?;
    pass_on(&said, inbox, outbox)?;
    match measuring.join() {
        Ok(outcome) => outcome,
        Err(_) => bail!("measuring hit a defect of mains"),
    }
}

/// Says what is to be said until there is nothing more.
fn pass_on(said: &Receiver<Said>, inbox: &Inbox<Infallible>, outbox: &Outbox) -> Result<()> {
    loop {
        inbox.beat()?;
        match said.recv_timeout(BEAT) {
            Ok(Said::Frame(frame)) => outbox.say(frame)?,
            Ok(Said::File(file)) => {
                let bytes = file.len() as u64;
                say_file(bytes, inbox, outbox, |pieces| Ok(pieces.write_all(&file)?))?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Where the measuring thread says things.
struct Teller(SyncSender<Said>);

impl Teller {
    fn say(&self, said: Said) -> Result<()> {
        self.0.send(said).ok().context("the connection to mainsd is gone")
    }

    fn progress(&self, done: usize, of: usize) -> Result<()> {
        let count = |steps: usize| u32::try_from(steps).unwrap_or(u32::MAX);
        self.say(Said::Frame(FromWorker::Measuring {
            done: count(done),
            of: count(of),
        }))
    }
}

fn measure(order: &SensitivityOrder, teller: &Teller) -> Result<()> {
    let began = Instant::now();
    let at = || order.path.display().to_string();
    let options = ModelOptions {
        kv_format: BlockFormat::F32,
        ..ModelOptions::default()
    };
    let model = Model::open(&order.path, &options).with_context(at)?;
    let mut outputs = model.graph.outputs().iter();
    ensure!(
        outputs.any(|(name, _)| *name == OutputName::Logits),
        "{}: it gives no logits to compare",
        at()
    );
    let driver = drivers::open("cpu", drivers::threads(order.threads))?;
    drivers::check(&*driver, &model.graph, &model.formats())?;
    let (chosen_by, held_back) = texts::calibration(&model)?;
    let importance = weigh(order, (&model, &*driver), &chosen_by, teller)?;
    // As mainsd reserved memory for.
    let positions = texts::most_positions(&model).min(order.texts as usize * texts::PIECE_TOKENS);
    let texts = chosen_by.first((positions / texts::PIECE_TOKENS).max(1))?;
    let held_back = held_back.first(HELD_BACK_TIMES.saturating_mul(order.texts as usize).max(1))?;
    let batches = held_back.batches(positions);
    let mut evaluator = Evaluator::new(&*driver, &model, &importance, &texts)?;
    let known = measure_groups(order, &model, &mut evaluator, began, teller)?;

    let groups = groups(&model);
    let scores = groups
        .iter()
        .map(|group| scores(&model, &importance, group))
        .collect::<Result<Vec<_>, _>>()?;
    let measurement = Measurement::new(groups, scores, 0, &known);
    let rows = measurement.table();
    // Before whole choices, which take all the time that is left.
    let kv = if began.elapsed() < order.time {
        caches::damages(&order.path, &*driver, &evaluator)?
    } else {
        Vec::new()
    };
    let solutions = whole::solutions(measurement.groups(), &rows);
    let whole = measure_whole(order, &solutions, (&mut evaluator, &batches), began)?;
    let table = Sensitivity {
        model: order.model,
        groups: rows,
        kv,
        whole,
    };
    teller.say(Said::File(write_sensitivity(&table)))
}

/// What errors cost by what flows into matrices: from the file of an earlier worker, or measured and said. That takes one pass
/// and no logits are kept, so it is of all `texts` that there is time for.
fn weigh(
    order: &SensitivityOrder,
    (model, driver): (&Model, &dyn Driver),
    texts: &Texts,
    teller: &Teller,
) -> Result<Importance> {
    if order.importance.is_some() {
        return read_importance(order.importance.as_deref());
    }
    let positions = WEIGHED / model.info.parameters.max(1);
    let pieces = usize::try_from(positions).unwrap_or(usize::MAX) / texts::PIECE_TOKENS;
    let texts = &texts.first(pieces.max(1))?;
    let of = texts.rows().len();
    let found = importance(driver, model, texts, |done| {
        // A connection that is gone is noticed at the next word that matters.
        let _gone = teller.progress(done, of);
    })?;
    let positions = texts.rows().iter().map(Vec::len).sum();
    let mut file = Vec::new();
    write_importance(&found, positions, &mut file)?;
    teller.say(Said::File(file))?;
    Ok(found)
}

/// Measures groups end to end until all that are asked for are known or their time is over.
fn measure_groups(
    order: &SensitivityOrder,
    model: &Model,
    evaluator: &mut Evaluator<'_>,
    began: Instant,
    teller: &Teller,
) -> Result<Vec<Measured>> {
    let known: Vec<Measured> = order.known.iter().cloned().map(measured).collect();
    let groups = groups(model);
    // Scores do not matter before the table is made, and take time that an interruption would lose.
    let scores = vec![Vec::new(); groups.len()];
    let mut measurement = Measurement::new(groups, scores, order.groups as usize, &known);
    let tell = |measurement: &Measurement| {
        let (done, of) = measurement.progress();
        teller.progress(done, of)
    };
    tell(&measurement)?;
    while began.elapsed() < order.time.mul_f64(GROUPS_SHARE) {
        let before = measurement.known();
        if !measurement.step(evaluator)? {
            break;
        }
        for Measured { name, damage } in measurement.known() {
            if !before.iter().any(|known| known.name == name) {
                teller.say(Said::Frame(FromWorker::Group {
                    name,
                    // Noise may make of a divergence near 0 one below.
                    damage: damage.max(0.0),
                }))?;
            }
        }
        tell(&measurement)?;
    }
    Ok(measurement.known())
}

fn measured((name, damage): (String, f64)) -> Measured {
    Measured { name, damage }
}

/// What whole choices of types add up to and what they were found to cost on texts that are held back, both growing.
fn measure_whole<'a>(
    order: &SensitivityOrder,
    solutions: &[Solution],
    (evaluator, batches): (&mut Evaluator<'a>, &'a [Texts]),
    began: Instant,
) -> Result<Vec<(f64, f64)>> {
    let choices: Vec<_> = solutions.iter().map(|solution| &solution.formats).collect();
    let mut go_on = || order.whole && began.elapsed() < order.time;
    let found = whole::on_batches(evaluator, batches, &choices, &mut go_on)?;
    let mut whole: Vec<(f64, f64)> = Vec::new();
    for (solution, found) in solutions.iter().zip(found) {
        let (added, before) = whole.last().copied().unwrap_or_default();
        let found = found.typical();
        if solution.added >= added && found >= before {
            whole.push((solution.added, found));
        }
    }
    Ok(whole)
}
