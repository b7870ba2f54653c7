//! Attention over caches in every format: the reference and the CPU agree, steps change no bit, and the smaller the
//! format, the further from exact.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::sync::Arc;

use mains_conformance::ops::{Runner, Weights, available, cpu, reference, same_bits, worst_error};
use mains_contract::{
    BlockFormat, CACHE_FORMATS, Driver, Graph, GraphBuilder, Op, OutputName, StateSpec, StepLimits, ValueId,
};
use mains_driver_reference::ReferenceDriver;

const TOKENS: usize = 41;
const VOCABULARY: usize = 37;
const LIMITS: StepLimits = StepLimits {
    rows: TOKENS,
    output_rows: TOKENS,
    context: 48,
    blocks: 16,
    block_tokens: 5,
    slots: 0,
};
/// Float32 sums over float64 ones.
const FLOAT_ERROR: f64 = 3e-6;

/// Heads, key heads, widths of a key and of a value head, window, whether values are parts of keys.
type Shape = (usize, usize, usize, usize, Option<usize>, bool);

/// Many heads a key head, one, a window and a cap of odd sizes; keys that are a latent.
const SHAPES: [Shape; 4] = [
    (6, 2, 64, 32, None, false),
    (2, 2, 96, 96, None, false),
    (4, 2, 128, 64, Some(7), false),
    (3, 1, 96, 64, None, true),
];

fn slice(graph: &mut GraphBuilder, x: ValueId, start: usize, width: usize) -> ValueId {
    let group = graph.width(x);
    graph.push(Op::Slice { group, start, width }, &[x]).unwrap()
}

fn graph((heads, kv_heads, head_dim, value_dim, window, latent): Shape, format: BlockFormat) -> Arc<Graph> {
    let mut graph = GraphBuilder::new();
    let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
    let values = if latent { 0 } else { kv_heads * value_dim };
    let table = graph.weight("embd", VOCABULARY, queries + keys + values).unwrap();
    let x = graph.push(Op::Embed { table }, &[]).unwrap();
    let state = graph.state(StateSpec::PerToken {
        key_width: keys,
        value_width: values,
        format,
        window: None,
        shared_with: None,
    });
    let mut inputs = vec![
        slice(&mut graph, x, 0, queries),
        slice(&mut graph, x, queries, keys),
    ];
    if !latent {
        inputs.push(slice(&mut graph, x, queries + keys, values));
    }
    let op = Op::Attention {
        state,
        heads,
        kv_heads,
        head_dim,
        value_dim,
        scale: 0.2,
        window,
        soft_cap: window.map(|_| 1.5),
        sinks: None,
        causal: true,
        value_from_key: latent,
    };
    let y = graph.push(op, &inputs).unwrap();
    graph.output(OutputName::Logits, y);
    Arc::new(graph.build())
}

fn tokens() -> Vec<u32> {
    (0..).map(|at| at * 7 % 37).take(TOKENS).collect()
}

fn run(driver: &dyn Driver, graph: &Arc<Graph>, sizes: &[usize]) -> Vec<f32> {
    let weights = Weights::random(graph, 9, |_| BlockFormat::F32);
    Runner::new(driver, graph, &weights, &LIMITS, 1).whole(&tokens(), sizes)
}

#[test]
fn the_cpu_agrees_with_the_reference_whatever_the_steps() {
    for shape in SHAPES {
        for format in CACHE_FORMATS {
            let graph = graph(shape, format);
            let expected = run(&*reference(), &graph, &[]);
            assert_eq!(
                same_bits(&expected, &run(&*reference(), &graph, &[3, 11, 1])),
                None
            );
            let isas = available();
            let first = run(&*cpu(isas[0], 1), &graph, &[]);
            let error = worst_error(&expected, &first, shape.0 * shape.3);
            assert!(error < FLOAT_ERROR, "{shape:?} in {format}: {error}");
            for isa in isas {
                for (threads, sizes) in [(3, &[][..]), (2, &[1, 1, 7, 2, 26]), (1, &[1; TOKENS])] {
                    let same = same_bits(&first, &run(&*cpu(isa, threads), &graph, sizes));
                    assert_eq!(
                        same,
                        None,
                        "{shape:?} in {format} {} {threads} {sizes:?}",
                        isa.name()
                    );
                }
            }
        }
    }
}

#[test]
fn smaller_formats_are_further_from_exact_and_within_their_steps() {
    for shape in SHAPES {
        let exact = run(&*reference(), &graph(shape, BlockFormat::F32), &[]);
        let errors = CACHE_FORMATS.map(|format| {
            let found = run(&*reference(), &graph(shape, format), &[]);
            worst_error(&exact, &found, shape.0 * shape.3)
        });
        let [f32, f16, bf16, q8, q4] = errors;
        assert!(f32 == 0.0 && f16 > 0.0, "{errors:?}");
        assert!(f16 < 1e-3 && bf16 < 1e-2 && q8 < 1e-2 && q4 < 0.2, "{errors:?}");
        assert!(q8 > f16 && q4 > 4.0 * q8, "{errors:?}");
    }
}

#[test]
fn a_load_takes_what_its_cache_says() {
    for format in CACHE_FORMATS {
        let graph = graph(SHAPES[0], format);
        let weights = Weights::random(&graph, 9, |_| BlockFormat::F32);
        for driver in [reference(), cpu(available()[0], 2)] {
            let threads = driver.capabilities().threads as u32;
            let model = driver
                .footprint(&graph, &weights.formats(&graph))
                .at(&LIMITS, threads);
            let loaded = driver.load(Arc::clone(&graph), &weights, &LIMITS).unwrap();
            assert_eq!(loaded.footprint(), model, "{format}");
            let row = format.row_bytes(128).unwrap() + format.row_bytes(64).unwrap();
            assert_eq!(model.state.0, (80 * row) as u64, "{format}");
        }
    }
}

#[test]
fn heads_that_are_no_whole_blocks_are_refused_by_name() {
    for (shape, refused) in [
        ((4, 2, 80, 80, None, false), true),
        ((4, 2, 64, 64, None, false), false),
    ] {
        let graph = graph(shape, BlockFormat::Q4_0);
        for driver in [&ReferenceDriver::new() as &dyn Driver, &*cpu(available()[0], 1)] {
            let errors: Vec<String> = graph
                .nodes()
                .iter()
                .filter_map(|node| driver.supports(&graph, node, &[BlockFormat::F32]).err())
                .map(|error| error.to_string())
                .collect();
            assert_eq!(errors.len(), usize::from(refused), "{errors:?}");
            assert!(
                errors
                    .iter()
                    .all(|error| error.contains("80") && error.contains("choose F16"))
            );
        }
    }
}
