//! Products with one matrix, as ratios to what the machine can do, measured in the same run.
//!
//! `cargo bench -p mains-driver-cpu --bench linear [-- THREADS]`. GEMV: bytes of weights a second, over those of a sum
//! that streams as many bytes on as many threads. GEMM: operations a second, a multiply-add being two, over those of
//! the GEMV: how often a weight that was loaded is used.

use std::error::Error;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mains_blocks::quantize;
use mains_contract::{
    BlockFormat, BlockId, Driver, DriverError, Graph, GraphBuilder, GraphError, LoadedModel, Op, OutputName,
    SequenceSpan, SlotId, Step, StepLimits, WeightData, WeightSource,
};
use mains_driver_cpu::{CpuDriver, CpuOptions};

/// Inputs of the matrix.
const COLS: usize = 4096;
/// Outputs: 256 MiB in F32 and 36 MiB in Q4_K, far beyond a second-level cache.
const OUTPUTS: usize = 16384;
/// Rows of a GEMM.
const ROWS: u32 = 64;
/// Each figure is the best of so many: what else runs on the machine only adds time.
const REPEATS: usize = 7;

/// The same row over and over: what the numbers are changes no time.
struct OneRow {
    format: BlockFormat,
    matrix: Vec<u8>,
    table: Vec<u8>,
}

impl OneRow {
    fn new(format: BlockFormat) -> Result<Self, Box<dyn Error>> {
        let row: Vec<f32> = (0..COLS).map(|at| (at as f32 * 0.37).sin()).collect();
        let mut bytes = vec![
            0;
            format
                .row_bytes(COLS)
                .ok_or("the width is whole blocks of every format")?
        ];
        quantize(format, &row, &mut bytes)?;
        let table: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(Self {
            format,
            matrix: bytes.repeat(OUTPUTS),
            table,
        })
    }
}

impl WeightSource for OneRow {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let (format, rows, bytes) = match name {
            "matrix" => (self.format, OUTPUTS, &self.matrix),
            _ => (BlockFormat::F32, 1, &self.table),
        };
        Ok(WeightData {
            format,
            rows,
            cols: COLS,
            bytes,
        })
    }
}

fn graph() -> Result<Arc<Graph>, GraphError> {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("table", 1, COLS)?;
    let weight = graph.weight("matrix", OUTPUTS, COLS)?;
    let x = graph.push(Op::Embed { table }, &[])?;
    let x = graph.push(Op::SelectRows, &[x])?;
    let y = graph.push(Op::Linear { weight, bias: None }, &[x])?;
    graph.output(OutputName::Logits, y);
    Ok(Arc::new(graph.build()))
}

/// The least seconds of [`REPEATS`] runs.
fn best(mut run: impl FnMut()) -> f64 {
    let times = (0..REPEATS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Seconds of a step of `rows` rows.
fn step_seconds(model: &mut dyn LoadedModel, rows: u32) -> Result<f64, DriverError> {
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
        output_rows: &positions,
        inputs: &[],
    };
    let mut logits = vec![0.0; rows as usize * OUTPUTS];
    let mut done = Ok(());
    let seconds = best(|| done = model.run(&step, &mut logits));
    done.map(|()| seconds)
}

/// Streams that a thread reads at a time: prefetchers follow several, as a product does with its outputs.
const STREAMS: usize = 4;
/// Numbers that are summed apart, so that no sum waits for the one before it.
const SUMS: usize = 8;

/// Bytes a second that `threads` threads read when they sum `bytes` bytes.
fn read_bandwidth(bytes: usize, threads: usize) -> f64 {
    let numbers = vec![[1_u64; SUMS]; bytes / size_of::<[u64; SUMS]>()];
    let share = numbers.len().div_ceil(threads);
    let seconds = best(|| {
        thread::scope(|scope| {
            for part in numbers.chunks(share) {
                scope.spawn(move || black_box(sum(part)));
            }
        });
    });
    bytes as f64 / seconds
}

/// The sums of `numbers`, but for the few that do not fill all streams.
fn sum(numbers: &[[u64; SUMS]]) -> [[u64; SUMS]; STREAMS] {
    let length = numbers.len() / STREAMS;
    let mut sums = [[0_u64; SUMS]; STREAMS];
    for at in 0..length {
        for (stream, sums) in sums.iter_mut().enumerate() {
            for (sum, number) in sums.iter_mut().zip(numbers[stream * length + at]) {
                *sum = sum.wrapping_add(number);
            }
        }
    }
    sums
}

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse::<NonZeroUsize>().ok());
    let options = CpuOptions { threads, isa: None };
    let driver = CpuDriver::new(options)?;
    let threads = driver.capabilities().threads;
    println!(
        "{} kernels, {threads} threads, {OUTPUTS} x {COLS}",
        driver.capabilities().kernels
    );
    println!("format  GEMV GB/s  read GB/s  ratio   GEMM GOP/s  over GEMV");
    let graph = graph()?;
    let limits = StepLimits {
        rows: ROWS as usize,
        output_rows: ROWS as usize,
        context: ROWS as usize,
        blocks: 1,
        block_tokens: ROWS as usize,
        slots: 0,
    };
    for format in BlockFormat::ALL {
        let weights = OneRow::new(format)?;
        let bytes = weights.matrix.len();
        let mut model = driver.load(Arc::clone(&graph), &weights, &limits)?;
        let one = step_seconds(&mut *model, 1)?;
        let read = read_bandwidth(bytes, threads);
        let many = step_seconds(&mut *model, ROWS)?;
        let gemv = bytes as f64 / one;
        let gemm = 2.0 * f64::from(ROWS) * (OUTPUTS * COLS) as f64 / many;
        println!(
            "{:<6}  {:>9.1}  {:>9.1}  {:>5.2}  {:>11.1}  {:>9.1}",
            format.name(),
            gemv / 1e9,
            read / 1e9,
            gemv / read,
            gemm / 1e9,
            f64::from(ROWS) * one / many,
        );
    }
    Ok(())
}
