//! A model on the CPU driver, timed on demand: `cargo bench -p mains-conformance --bench model -- FILE [THREADS]`.
//!
//! Reads one command a line and answers each with one line, so that `tests/bench/peer.py` can take turns with another
//! program in one run:
//! - `prefill TOKENS` and `decode TOKENS [SEQUENCES]`: seconds that passed, and seconds of processors that this took
//! - `limits`: what the machine can do on as many threads: bytes read a second; operations a second in int8, bfloat16
//!   and float32, a multiply-add being two, 0 where it has no such instruction

mod limits;
mod steps;

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::num::NonZeroUsize;
use std::path::Path;

use mains_contract::{Driver, LoadedModel};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_engine::models::{Model, ModelOptions};

use steps::Steps;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench` to what it is told.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(file) = arguments.next() else {
        // `cargo bench --bench '*'` runs everything: there is nothing to time without a model.
        println!("no FILE was given: see tests/bench/peer.py");
        return Ok(());
    };
    let threads = arguments
        .next()
        .map(|text| text.parse::<NonZeroUsize>())
        .transpose()?;
    let driver = CpuDriver::new(CpuOptions { threads, isa: None })?;
    let threads = driver.capabilities().threads;
    let model = Model::open(Path::new(&file), &ModelOptions::default())?;
    let loaded = driver.load(model.graph.clone(), &model.weights, &steps::LIMITS)?;
    let mut steps = Steps::new(loaded, model.info.vocabulary as usize);
    println!("ready {} {threads}", driver.capabilities().kernels);
    stdout().flush()?;
    for line in stdin().lock().lines() {
        println!("{}", answer(&mut steps, threads, &line?)?);
        stdout().flush()?;
    }
    Ok(())
}

fn answer(
    steps: &mut Steps<Box<dyn LoadedModel>>,
    threads: usize,
    line: &str,
) -> Result<String, Box<dyn Error>> {
    let mut words = line.split_whitespace();
    let command = words.next().unwrap_or_default();
    let numbers = words.map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let (wall, cpu) = match (command, numbers.as_slice()) {
        ("limits", []) => return Ok(limits::measure(threads).to_string()),
        ("prefill", [tokens]) => steps.prefill(*tokens)?,
        ("decode", [tokens]) => steps.decode(*tokens, 1)?,
        ("decode", [tokens, sequences]) => steps.decode(*tokens, *sequences)?,
        _ => return Err(format!("unknown command: {line}").into()),
    };
    Ok(format!("{wall:.6} {cpu:.6}"))
}
