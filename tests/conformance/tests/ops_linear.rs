//! Products of every format: against the reference, across instruction sets, threads and rows.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::sync::Arc;

use mains_conformance::ops::{
    Chunk, Random, Runner, Weights, available, cpu, reference, same_bits, worst_error,
};
use mains_contract::{BlockFormat, Graph, GraphBuilder, Op, OutputName, StepLimits};

/// Outputs, inputs: whole tiles, ragged ones and single rows; each width is tried with the formats that it suits.
const SHAPES: [(usize, usize); 8] = [
    (1, 1),
    (3, 17),
    (5, 96),
    (33, 48),
    (70, 32),
    (19, 160),
    (37, 256),
    (130, 768),
];
/// Rows of a step: tiles of 4, 2 and 1 and more than one block of rows.
const ROWS: [usize; 6] = [1, 2, 3, 4, 7, 67];
/// Error of float32 sums of up to 768 products over float64 ones.
const FLOAT_ERROR: f64 = 1e-6;
/// Error of int8 activations: half a step of 1/127 of the largest of 32 numbers, uniformly, is about 0.5 % of their
/// root mean square; rows of one block vary around it.
const INT8_ERROR: f64 = 2e-2;

fn product(outputs: usize, cols: usize, vocabulary: usize) -> Arc<Graph> {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("embd", vocabulary, cols).unwrap();
    let weight = graph.weight("matrix", outputs, cols).unwrap();
    let bias = graph.weight("bias", 1, outputs).unwrap();
    let x = graph.push(Op::Embed { table }, &[]).unwrap();
    let y = graph
        .push(
            Op::Linear {
                weight,
                bias: Some(bias),
            },
            &[x],
        )
        .unwrap();
    let y = graph.push(Op::SelectRows, &[y]).unwrap();
    graph.output(OutputName::Logits, y);
    Arc::new(graph.build())
}

fn limits(rows: usize) -> StepLimits {
    StepLimits {
        rows,
        output_rows: rows,
        context: rows,
        blocks: 1,
        block_tokens: rows,
        slots: 0,
    }
}

fn cases() -> impl Iterator<Item = (BlockFormat, usize, usize)> {
    BlockFormat::ALL.into_iter().flat_map(|format| {
        let fitting = SHAPES
            .into_iter()
            .filter(move |(_, cols)| format.row_bytes(*cols).is_some());
        fitting.map(move |(outputs, cols)| (format, outputs, cols))
    })
}

fn weights(graph: &Graph, format: BlockFormat) -> Weights {
    Weights::random(
        graph,
        7,
        |name| if name == "embd" { BlockFormat::F32 } else { format },
    )
}

fn tokens(count: usize) -> Vec<u32> {
    (0..u32::try_from(count).unwrap()).collect()
}

#[test]
fn products_agree_with_the_reference_and_bits_with_every_instruction_set() {
    for (format, outputs, cols) in cases() {
        let rows = 67;
        let graph = product(outputs, cols, rows);
        let weights = weights(&graph, format);
        let expected =
            Runner::new(&*reference(), &graph, &weights, &limits(rows), 1).whole(&tokens(rows), &[]);
        let mut first: Option<Vec<f32>> = None;
        for isa in available() {
            let found =
                Runner::new(&*cpu(isa, 1), &graph, &weights, &limits(rows), 1).whole(&tokens(rows), &[]);
            let error = worst_error(&expected, &found, expected.len());
            let allowed = if format.is_quantized() {
                INT8_ERROR
            } else {
                FLOAT_ERROR
            };
            assert!(
                error <= allowed,
                "{format} {outputs} x {cols} {}: error {error}",
                isa.name()
            );
            let first = first.get_or_insert_with(|| found.clone());
            assert_eq!(
                same_bits(first, &found),
                None,
                "{format} {outputs} x {cols} {}",
                isa.name()
            );
        }
    }
}

#[test]
fn whole_activations_are_quantized_without_loss_and_products_are_then_exact() {
    for (format, outputs, cols) in cases().filter(|(format, ..)| format.is_quantized()) {
        let rows = 5;
        let graph = product(outputs, cols, rows);
        let mut weights = weights(&graph, format);
        let mut random = Random(3);
        let mut number = |at: usize| {
            let quant = f32::from(u8::try_from(random.below(255)).unwrap()) - 127.0;
            if at.is_multiple_of(32) { 127.0 } else { quant }
        };
        let table: Vec<f32> = (0..rows * cols).map(&mut number).collect();
        weights.insert("embd", BlockFormat::F32, rows, cols, &table);
        let expected =
            Runner::new(&*reference(), &graph, &weights, &limits(rows), 1).whole(&tokens(rows), &[]);
        for isa in available() {
            let found =
                Runner::new(&*cpu(isa, 1), &graph, &weights, &limits(rows), 1).whole(&tokens(rows), &[]);
            let error = worst_error(&expected, &found, expected.len());
            assert!(
                error <= FLOAT_ERROR,
                "{format} {outputs} x {cols} {}: error {error}",
                isa.name()
            );
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_batch_on_any_number_of_threads() {
    for (format, outputs, cols) in cases() {
        let graph = product(outputs, cols, 67);
        let weights = weights(&graph, format);
        for isa in available() {
            let mut alone = Runner::new(&*cpu(isa, 1), &graph, &weights, &limits(67), 1);
            let expected: Vec<f32> = tokens(67)
                .iter()
                .flat_map(|token| alone.step(&[chunk(vec![*token])]))
                .collect();
            for threads in 1..=3 {
                let mut runner = Runner::new(&*cpu(isa, threads), &graph, &weights, &limits(67), 1);
                for rows in ROWS {
                    let found = runner.step(&[chunk(tokens(rows))]);
                    let same = same_bits(&expected[..rows * outputs], &found);
                    let name = isa.name();
                    assert_eq!(
                        same, None,
                        "{format} {outputs} x {cols} {name} {threads} threads {rows} rows"
                    );
                }
            }
        }
    }
}

fn chunk(tokens: Vec<u32>) -> Chunk {
    Chunk {
        sequence: 0,
        tokens,
        position: 0,
    }
}
