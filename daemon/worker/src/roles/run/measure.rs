//! How fast a driver is: products with one row for the bandwidth of its memory, with many rows for its arithmetic. All of it
//! is a graph that any driver computes, so that a new driver is measured without a line here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use mains_blocks::quantize;
use mains_contract::{
    BlockFormat, BlockId, Bytes, Driver, DriverError, Graph, GraphBuilder, GraphError, LoadedModel, Measured,
    Op, OutputName, Precision, SequenceSpan, SlotId, Step, StepLimits, WeightData, WeightSource,
};
use mains_wire::frames::FromWorker;

use super::prepare::Prepared;
use crate::drivers;
use crate::inbox::{Inbox, Outbox};
use crate::roles::inspect::message;

/// Inputs and outputs of a matrix: those of a model of 8 billion weights, whole blocks of every format.
const WIDTH: usize = 4096;

/// Rows of the first product with many, which says how many the next may have: enough that the weights are read once for all.
const FEW_ROWS: u32 = 32;

/// Rows of a product at the most, half of a step's: more change a driver's speed little.
const MANY_ROWS: u32 = 256;

/// What one product with many rows may take: with the others of all precisions some seconds.
const PRODUCT_TIME: Duration = Duration::from_millis(200);

/// Runs of a figure. The median of three is the least that one bad run does not change.
const MIN_RUNS: usize = 3;

/// More runs than these change a median little.
const MAX_RUNS: usize = 9;

/// What the runs of a figure may take beyond the least: all figures together stay near ten seconds.
const FIGURE_TIME: Duration = Duration::from_millis(1200);

/// Measures and says what was found. The process has nothing to do afterwards.
pub(super) fn answer(
    name: &str,
    threads: u32,
    bytes: Bytes,
    inbox: &Inbox<Prepared>,
    outbox: &Outbox,
) -> Result<()> {
    let report = |done: usize, of: usize| {
        let count = |figures: usize| u32::try_from(figures).unwrap_or(u32::MAX);
        outbox.say(FromWorker::Measuring {
            done: count(done),
            of: count(of),
        })
    };
    let beat = || inbox.beat();
    let measured = drivers::open(name, drivers::threads(threads))
        .and_then(|driver| measure(&*driver, WIDTH, bytes, &beat, &report));
    outbox.say(match measured {
        Ok(measured) => FromWorker::Measured(Box::new(measured)),
        Err(error) => FromWorker::Error(message(&error)),
    })
}

/// Measures `driver` with matrices of `width` x `width`, of `bytes` together where bandwidth counts. `beat` is called between
/// runs, `report` with the figures that are known and their number.
fn measure(
    driver: &dyn Driver,
    width: usize,
    bytes: Bytes,
    beat: &dyn Fn() -> Result<()>,
    report: &dyn Fn(usize, usize) -> Result<()>,
) -> Result<Measured> {
    let formats = &driver.capabilities().weight_formats;
    let taken = |precision: &Precision| formats.contains(&precision.format());
    let precisions: Vec<_> = Precision::ALL.into_iter().filter(taken).collect();
    let figures = precisions.len() + 1;
    report(0, figures)?;
    // The widest type takes the least arithmetic a byte, so that memory alone bounds it.
    let widest = precisions.last().with_context(|| {
        format!(
            "driver {} takes no type of weights that is measured",
            driver.capabilities().driver
        )
    })?;
    let mut spread = 0.0_f64;
    let read = {
        let mut bench = Bench::new(driver, widest.format(), width, bytes)?;
        let figure = bench.figure(1, beat)?;
        spread = spread.max(figure.spread);
        (bench.weight_bytes / figure.seconds).round()
    };
    report(1, figures)?;
    let mut operations = BTreeMap::new();
    for (done, precision) in (2..).zip(precisions) {
        let mut bench = Bench::new(driver, precision.format(), width, Bytes::ZERO)?;
        let rows = bench.affordable_rows()?;
        let figure = bench.figure(rows, beat)?;
        spread = spread.max(figure.spread);
        operations.insert(precision, (bench.operations(rows) / figure.seconds).round());
        report(done, figures)?;
    }
    Ok(Measured {
        at: SystemTime::now(),
        driver: drivers::facts(driver),
        read_bytes_per_s: read,
        operations_per_s: operations,
        spread,
    })
}

/// A chain of products on a driver.
struct Bench {
    model: Box<dyn LoadedModel>,
    width: usize,
    matrices: usize,
    /// Of all matrices.
    weight_bytes: f64,
    out: Vec<f32>,
}

/// The median of some runs, and how far they lie apart.
#[derive(Debug, PartialEq)]
struct Figure {
    seconds: f64,
    spread: f64,
}

impl Bench {
    /// As many matrices in `format` as `bytes` hold, at least one.
    fn new(driver: &dyn Driver, format: BlockFormat, width: usize, bytes: Bytes) -> Result<Self> {
        let weights = Same::new(format, width)?;
        let matrix = weights.matrix.len();
        let matrices = usize::try_from(bytes.0 / (matrix as u64).max(1))
            .unwrap_or(1)
            .max(1);
        let graph = chain(width, matrices)?;
        let mut formats = vec![format; graph.weights().len()];
        formats[0] = BlockFormat::F32;
        drivers::check(driver, &graph, &formats)?;
        let limits = StepLimits {
            rows: MANY_ROWS as usize,
            output_rows: 1,
            context: MANY_ROWS as usize,
            blocks: 1,
            block_tokens: MANY_ROWS as usize,
            slots: 0,
        };
        Ok(Self {
            model: driver.load(Arc::new(graph), &weights, &limits)?,
            width,
            matrices,
            weight_bytes: as_f64(matrix) * as_f64(matrices),
            out: vec![0.0; width],
        })
    }

    /// Operations of a step with `rows` rows: a multiply-add is two.
    fn operations(&self, rows: u32) -> f64 {
        2.0 * f64::from(rows) * as_f64(self.width).powi(2) * as_f64(self.matrices)
    }

    /// Seconds of one step.
    fn run(&mut self, rows: u32) -> Result<f64, DriverError> {
        let positions: Vec<u32> = (0..rows).collect();
        let step = Step {
            tokens: &vec![0; rows as usize],
            positions: &positions,
            sequences: &[SequenceSpan {
                first_row: 0,
                rows,
                blocks: &[BlockId(0)],
                slot: SlotId(0),
            }],
            output_rows: &positions[positions.len() - 1..],
            inputs: &[],
        };
        let began = Instant::now();
        self.model.run(&step, &mut self.out)?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// How many rows a product may have to end within [`PRODUCT_TIME`].
    fn affordable_rows(&mut self) -> Result<u32, DriverError> {
        self.run(FEW_ROWS)?;
        let a_row = self.run(FEW_ROWS)? / f64::from(FEW_ROWS);
        let doubled = std::iter::successors(Some(MANY_ROWS), |rows| Some(rows / 2));
        let affordable = |rows: &u32| f64::from(*rows) * a_row <= PRODUCT_TIME.as_secs_f64();
        let found = doubled.take_while(|rows| *rows > FEW_ROWS).find(affordable);
        Ok(found.unwrap_or(FEW_ROWS))
    }

    /// The figure of steps with `rows` rows. A first run, which finds caches and clocks cold, does not count.
    fn figure(&mut self, rows: u32, beat: &dyn Fn() -> Result<()>) -> Result<Figure> {
        self.run(rows)?;
        let began = Instant::now();
        let mut runs = Vec::with_capacity(MAX_RUNS);
        while runs.len() < MIN_RUNS || (runs.len() < MAX_RUNS && began.elapsed() < FIGURE_TIME) {
            beat()?;
            runs.push(self.run(rows)?);
        }
        Ok(figure(runs))
    }
}

/// The median of `runs`, of which there is one at least.
fn figure(mut runs: Vec<f64>) -> Figure {
    runs.sort_by(f64::total_cmp);
    // A clock that stood still gives no speed; a nanosecond does.
    let seconds = runs[runs.len() / 2].max(1e-9);
    Figure {
        seconds,
        spread: (runs[runs.len() - 1] - runs[0]) / seconds,
    }
}

/// Looks a row up and multiplies it by one matrix after the other.
fn chain(width: usize, matrices: usize) -> Result<Graph, GraphError> {
    let mut graph = GraphBuilder::new();
    let table = graph.weight(TABLE, 1, width)?;
    let mut x = graph.push(Op::Embed { table }, &[])?;
    for number in 0..matrices {
        let weight = graph.weight(&format!("matrix.{number}"), width, width)?;
        x = graph.push(Op::Linear { weight, bias: None }, &[x])?;
    }
    let last = graph.push(Op::SelectRows, &[x])?;
    graph.output(OutputName::Logits, last);
    Ok(graph.build())
}

/// Name of the table that tokens are looked up in.
const TABLE: &str = "table";

/// Gives the same matrix for all: a driver has its own copy of each. Its rows take means, so that a chain of products neither
/// grows nor fades.
struct Same {
    format: BlockFormat,
    width: usize,
    matrix: Vec<u8>,
    table: Vec<u8>,
}

impl Same {
    fn new(format: BlockFormat, width: usize) -> Result<Self> {
        let bytes = format.row_bytes(width);
        let bytes = bytes.with_context(|| format!("{width} numbers are no whole blocks of {format}"))?;
        let mut row = vec![0; bytes];
        quantize(format, &vec![as_f64(width).recip() as f32; width], &mut row)?;
        Ok(Self {
            format,
            width,
            matrix: row.repeat(width),
            table: 1.0_f32.to_le_bytes().repeat(width),
        })
    }
}

impl WeightSource for Same {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let (format, rows, bytes) = if name == TABLE {
            (BlockFormat::F32, 1, &self.table)
        } else {
            (self.format, self.width, &self.matrix)
        };
        Ok(WeightData {
            format,
            rows,
            cols: self.width,
            bytes,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^52")]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use mains_contract::{Bytes, Precision};
    use mains_driver_reference::ReferenceDriver;

    use super::{Figure, figure, measure};
    use crate::drivers;

    #[test]
    fn the_median_counts_and_the_rest_is_told() {
        let found = figure(vec![4.0, 1.0, 2.0]);
        assert_eq!(
            found,
            Figure {
                seconds: 2.0,
                spread: 1.5
            }
        );
        assert!(figure(vec![0.0]).seconds > 0.0);
    }

    #[test]
    fn every_driver_is_measured_in_all_that_it_takes() {
        for driver in drivers::NAMES.map(|name| drivers::open(name, drivers::threads(1)).unwrap()) {
            let told = RefCell::new(Vec::new());
            let report = |done, of| {
                told.borrow_mut().push((done, of));
                Ok(())
            };
            // Small, so that the naive driver is done soon.
            let measured = measure(&*driver, 64, Bytes(1 << 16), &|| Ok(()), &report).unwrap();
            assert_eq!(
                told.into_inner(),
                [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
            );
            let kinds: Vec<_> = measured.operations_per_s.keys().copied().collect();
            assert_eq!(kinds, Precision::ALL);
            assert!(measured.operations_per_s.values().all(|speed| *speed > 0.0));
            assert!(measured.read_bytes_per_s > 0.0 && measured.spread >= 0.0);
            assert_eq!(measured.driver, drivers::facts(&*driver));
        }
    }

    #[test]
    fn a_connection_that_is_gone_ends_it() {
        let gone = || anyhow::bail!("gone");
        let error = measure(&ReferenceDriver::new(), 64, Bytes::ZERO, &gone, &|_, _| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "gone");
    }
}
