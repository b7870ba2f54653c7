//! Every operation on the CPU driver: against the reference, across instruction sets, threads and rows.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::sync::Arc;

use mains_conformance::ops::{
    Chunk, Random, Runner, Weights, available, cpu, reference, same_bits, worst_error,
};
use mains_contract::{
    Activation, BlockFormat, ExpertGroups, Graph, GraphBuilder, GroupRank, Op, OutputName, RopePairing,
    Scoring, StateSpec, StepLimits, ValueId,
};

/// Tokens of a sequence: panels of weights are used from 24 rows on, tiles of rows are 6.
const TOKENS: usize = 41;
const VOCABULARY: usize = 23;
/// Numbers of a row: whole vectors, and a rest.
const WIDTH: usize = 72;
/// Float32 sums and functions over float64 ones.
const FLOAT_ERROR: f64 = 3e-6;
/// Int8 activations: half a step of 1/127 of the largest of 32 numbers.
const INT8_ERROR: f64 = 2e-2;
const LIMITS: StepLimits = StepLimits {
    rows: TOKENS,
    output_rows: TOKENS,
    context: 48,
    blocks: 16,
    block_tokens: 5,
    slots: 2,
};

/// A graph whose weights are in `format` where they are matrices of whole blocks.
struct Case {
    name: &'static str,
    graph: Arc<Graph>,
    format: BlockFormat,
}

/// `build` gets a row of [`WIDTH`] numbers and gives what is compared.
fn case(name: &'static str, build: impl Fn(&mut GraphBuilder, ValueId) -> ValueId) -> Case {
    wide(name, WIDTH, BlockFormat::F32, build)
}

fn wide(
    name: &'static str,
    width: usize,
    format: BlockFormat,
    build: impl Fn(&mut GraphBuilder, ValueId) -> ValueId,
) -> Case {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("embd", VOCABULARY, width).unwrap();
    let x = graph.push(Op::Embed { table }, &[]).unwrap();
    let y = build(&mut graph, x);
    graph.output(OutputName::Logits, y);
    Case {
        name,
        graph: Arc::new(graph.build()),
        format,
    }
}

fn one(op: Op) -> impl Fn(&mut GraphBuilder, ValueId) -> ValueId {
    move |graph, x| graph.push(op.clone(), &[x]).unwrap()
}

fn slice(graph: &mut GraphBuilder, x: ValueId, start: usize, width: usize) -> ValueId {
    let group = graph.width(x);
    graph.push(Op::Slice { group, start, width }, &[x]).unwrap()
}

const FUNCTIONS: [Activation; 7] = [
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Sigmoid,
    Activation::Relu,
    Activation::Softplus,
    Activation::Tanh,
];

fn larger(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    graph.push(Op::Scale { factor: 6.0 }, &[x]).unwrap()
}

fn functions() -> Vec<Case> {
    let mut cases: Vec<Case> = FUNCTIONS
        .into_iter()
        .map(|activation| {
            case("activate", move |graph, x| {
                let x = larger(graph, x);
                graph.push(Op::Activate { activation }, &[x]).unwrap()
            })
        })
        .collect();
    let clamped = Activation::ClampedSwiglu {
        alpha: 1.702,
        limit: 3.0,
    };
    for activation in FUNCTIONS.into_iter().chain([clamped]) {
        cases.push(case("gated", move |graph, x| {
            let x = larger(graph, x);
            let (a, b) = (slice(graph, x, 0, 35), slice(graph, x, 37, 35));
            graph.push(Op::Gated { activation }, &[a, b]).unwrap()
        }));
    }
    cases
}

fn elementwise() -> Vec<Case> {
    vec![
        case("soft_cap", move |graph, x| {
            let x = larger(graph, x);
            graph.push(Op::SoftCap { cap: 2.5 }, &[x]).unwrap()
        }),
        case("multiply", |graph, x| {
            let (a, b) = (slice(graph, x, 0, 30), slice(graph, x, 31, 30));
            graph.push(Op::Multiply, &[a, b]).unwrap()
        }),
        case("multiply groups", |graph, x| {
            let b = slice(graph, x, 7, 8);
            graph.push(Op::Multiply, &[x, b]).unwrap()
        }),
        case("slice and concat", |graph, x| {
            let a = graph
                .push(
                    Op::Slice {
                        group: 12,
                        start: 2,
                        width: 5,
                    },
                    &[x],
                )
                .unwrap();
            let b = graph
                .push(
                    Op::Slice {
                        group: 12,
                        start: 7,
                        width: 3,
                    },
                    &[x],
                )
                .unwrap();
            let both = graph
                .push(
                    Op::Concat {
                        groups: 6,
                        broadcast: false,
                    },
                    &[a, b],
                )
                .unwrap();
            let c = slice(graph, x, 1, 9);
            graph
                .push(
                    Op::Concat {
                        groups: 3,
                        broadcast: true,
                    },
                    &[both, c],
                )
                .unwrap()
        }),
        case("weights", |graph, x| {
            let row = graph.weight("types", 2, WIDTH).unwrap();
            let x = graph.push(Op::AddWeight { weight: row, row: 1 }, &[x]).unwrap();
            let all = graph.weight("all", 1, WIDTH).unwrap();
            let x = graph.push(Op::MultiplyWeight { weight: all }, &[x]).unwrap();
            let single = graph.weight("single", 1, 1).unwrap();
            graph.push(Op::MultiplyWeight { weight: single }, &[x]).unwrap()
        }),
        case("positions", |graph, x| {
            let table = graph.weight("positions", 50, WIDTH).unwrap();
            let place = graph.push(Op::EmbedPosition { table, offset: 2 }, &[]).unwrap();
            graph.push(Op::Add, &[x, place]).unwrap()
        }),
    ]
}

fn norms() -> Vec<Case> {
    let mut cases = Vec::new();
    for group in [WIDTH, 24, 18] {
        cases.push(case(
            "rms_norm",
            one(Op::RmsNorm {
                weight: None,
                epsilon: 1e-5,
                group,
            }),
        ));
        cases.push(case("l2_norm", one(Op::L2Norm { epsilon: 1e-6, group })));
        for (gain, bias) in [(false, false), (true, false), (true, true)] {
            cases.push(case("layer_norm", move |graph, x| {
                let mut vector = |name, wanted: bool| wanted.then(|| graph.weight(name, 1, group).unwrap());
                let (weight, bias) = (vector("gain", gain), vector("bias", bias));
                graph
                    .push(
                        Op::LayerNorm {
                            weight,
                            bias,
                            epsilon: 1e-5,
                            group,
                        },
                        &[x],
                    )
                    .unwrap()
            }));
        }
    }
    for pairing in [RopePairing::Halves, RopePairing::Neighbours] {
        let op = Op::Rope {
            head_dim: 18,
            inverse_frequencies: vec![1.0, 0.3, 0.01, 0.002],
            pairing,
            scale: 1.3,
            start: 6,
        };
        cases.push(case("rope", one(op)));
    }
    cases
}

fn attention(name: &'static str, format: BlockFormat, change: impl Fn(&mut Op, &mut GraphBuilder)) -> Case {
    case(name, move |graph, x| {
        let state = graph.state(StateSpec::PerToken {
            key_width: 12,
            value_width: 10,
            format,
            window: None,
            shared_with: None,
        });
        let (q, k, v) = (
            slice(graph, x, 0, 36),
            slice(graph, x, 36, 12),
            slice(graph, x, 48, 10),
        );
        let mut op = Op::Attention {
            state,
            heads: 6,
            kv_heads: 2,
            head_dim: 6,
            value_dim: 5,
            scale: 1.1,
            window: None,
            soft_cap: None,
            sinks: None,
            causal: true,
            value_from_key: false,
        };
        change(&mut op, graph);
        graph.push(op, &[q, k, v]).unwrap()
    })
}

fn attentions() -> Vec<Case> {
    let mut cases = Vec::new();
    for format in [BlockFormat::F32, BlockFormat::F16] {
        cases.push(attention("plain", format, |_, _| {}));
        cases.push(attention("capped", format, |op, graph| {
            let weight = graph.weight("sinks", 1, 6).unwrap();
            if let Op::Attention {
                soft_cap,
                sinks,
                window,
                ..
            } = op
            {
                (*soft_cap, *sinks, *window) = (Some(1.5), Some(weight), Some(7));
            }
        }));
    }
    cases.push(case("latent and shared", |graph, x| {
        let spec = |shared_with| StateSpec::PerToken {
            key_width: 9,
            value_width: 0,
            format: BlockFormat::F32,
            window: None,
            shared_with,
        };
        let owner = graph.state(spec(None));
        let reader = graph.state(spec(Some(owner)));
        let op = |state, window| Op::Attention {
            state,
            heads: 7,
            kv_heads: 1,
            head_dim: 9,
            value_dim: 5,
            scale: 0.7,
            window,
            soft_cap: None,
            sinks: None,
            causal: true,
            value_from_key: true,
        };
        let (q, k) = (slice(graph, x, 0, 63), slice(graph, x, 63, 9));
        let first = graph.push(op(owner, None), &[q, k]).unwrap();
        let second = graph.push(op(reader, Some(4)), &[q]).unwrap();
        graph.push(Op::Add, &[first, second]).unwrap()
    }));
    cases
}

/// Not causal: a sequence is one step.
fn encoders() -> Vec<Case> {
    [None, Some(1), Some(9)]
        .into_iter()
        .map(|reach| {
            attention("encoder", BlockFormat::F32, move |op, _| {
                if let Op::Attention { causal, window, .. } = op {
                    (*causal, *window) = (false, reach);
                }
            })
        })
        .collect()
}

fn recurrent() -> Vec<Case> {
    let kept = |width| StateSpec::PerSequence {
        width,
        format: BlockFormat::F32,
    };
    let mut cases: Vec<Case> = [(1, None), (4, Some(Activation::Silu)), (3, None)]
        .into_iter()
        .map(|(kernel, activation)| {
            case("short_convolution", move |graph, x| {
                let state = graph.state(kept((kernel - 1) * WIDTH));
                let weight = graph.weight("kernel", WIDTH, kernel).unwrap();
                let op = Op::ShortConvolution {
                    state,
                    weight,
                    activation,
                };
                graph.push(op, &[x]).unwrap()
            })
        })
        .collect();
    for (heads, key_heads, key_dim, value_dim) in [(2, 1, 5, 17), (1, 1, 3, 64), (3, 3, 4, 2)] {
        cases.push(wide("gated_delta", 160, BlockFormat::F32, move |graph, x| {
            let state = graph.state(kept(heads * key_dim * value_dim));
            let normed = |graph: &mut GraphBuilder, start| {
                let x = slice(graph, x, start, key_heads * key_dim);
                graph
                    .push(
                        Op::L2Norm {
                            epsilon: 1e-6,
                            group: key_dim,
                        },
                        &[x],
                    )
                    .unwrap()
            };
            let (q, k) = (normed(graph, 0), normed(graph, 15));
            let v = slice(graph, x, 30, heads * value_dim);
            let (decay, beta) = (slice(graph, x, 150, heads), slice(graph, x, 155, heads));
            let decay = graph
                .push(
                    Op::Activate {
                        activation: Activation::Softplus,
                    },
                    &[decay],
                )
                .unwrap();
            let decay = graph.push(Op::Scale { factor: -0.4 }, &[decay]).unwrap();
            let beta = graph
                .push(
                    Op::Activate {
                        activation: Activation::Sigmoid,
                    },
                    &[beta],
                )
                .unwrap();
            let op = Op::GatedDelta {
                state,
                heads,
                key_heads,
                key_dim,
                value_dim,
            };
            graph.push(op, &[q, k, v, decay, beta]).unwrap()
        }));
    }
    cases
}

fn experts(format: BlockFormat, used: usize, scoring: Scoring, groups: Option<ExpertGroups>) -> Case {
    wide("experts", 256, format, move |graph, x| {
        // Rows of an expert that do not fill a group of 16.
        let (experts, inner) = (6, 256);
        let logits = slice(graph, x, 100, experts);
        let bias = graph.weight("bias", 1, experts).unwrap();
        let own = graph.weight("own", 1, experts).unwrap();
        let op = Op::Route {
            experts,
            used,
            scoring,
            normalise: true,
            scale: 2.5,
            groups,
            bias: groups.map(|_| bias),
            expert_scale: groups.map(|_| own),
        };
        let route = graph.push(op, &[logits]).unwrap();
        let mut linear = |name: &str, outputs, x, biased: bool, per_slot| {
            let weight = graph.weight(name, experts * outputs, 256).unwrap();
            let bias = biased.then(|| graph.weight(&format!("{name} bias"), experts, outputs).unwrap());
            let op = Op::ExpertLinear {
                weight,
                bias,
                experts,
                used,
                per_slot,
            };
            graph.push(op, &[x, route]).unwrap()
        };
        let up = linear("up", inner, x, true, false);
        let down = linear("down", 20, up, false, true);
        graph.push(Op::CombineExperts { used }, &[down, route]).unwrap()
    })
}

/// Products of every kind with matrices in `format`.
fn products(format: BlockFormat) -> Vec<Case> {
    let groups = |rank| {
        Some(ExpertGroups {
            count: 3,
            kept: 2,
            rank,
        })
    };
    vec![
        wide("head_linear", 1024, format, |graph, x| {
            let weight = graph.weight("heads", 4 * 21, 256).unwrap();
            graph.push(Op::HeadLinear { weight, heads: 4 }, &[x]).unwrap()
        }),
        experts(format, 2, Scoring::Softmax, None),
        experts(format, 3, Scoring::Sigmoid, groups(GroupRank::TopTwoSum)),
        experts(format, 1, Scoring::SoftmaxOfChosen, groups(GroupRank::Max)),
        wide("tied table", 256, format, |graph, x| {
            let table = graph.weight("matrix", 2 * VOCABULARY, 256).unwrap();
            let again = graph.push(Op::Embed { table }, &[]).unwrap();
            let both = graph.push(Op::Add, &[x, again]).unwrap();
            graph
                .push(
                    Op::Linear {
                        weight: table,
                        bias: None,
                    },
                    &[both],
                )
                .unwrap()
        }),
    ]
}

fn weights(case: &Case) -> Weights {
    let fits = |name: &str| {
        let mut declared = case.graph.weights().iter();
        let weight = declared.find(|weight| weight.name == name).unwrap();
        let matrix = !["embd", "types", "kernel", "positions"].contains(&name) && !name.ends_with("bias");
        matrix && case.format.row_bytes(weight.cols).is_some()
    };
    Weights::random(&case.graph, 5, |name| {
        if fits(name) { case.format } else { BlockFormat::F32 }
    })
}

fn tokens() -> Vec<u32> {
    let mut random = Random(9);
    let bound = u32::try_from(VOCABULARY).unwrap();
    (0..TOKENS).map(|_| random.below(bound)).collect()
}

/// Compares with the reference, and the bits of all instruction sets, threads and, if `chunked`, chunks.
fn check(case: &Case, chunked: bool) {
    let weights = weights(case);
    let width = case
        .graph
        .node(case.graph.output(OutputName::Logits).unwrap())
        .width;
    let run = |driver: &dyn mains_contract::Driver, sizes: &[usize]| {
        Runner::new(driver, &case.graph, &weights, &LIMITS, 1).whole(&tokens(), sizes)
    };
    let expected = run(&*reference(), &[]);
    let (name, format) = (case.name, case.format);
    let isas = available();
    let first = run(&*cpu(isas[0], 1), &[]);
    let error = worst_error(&expected, &first, width);
    let allowed = if format.is_quantized() {
        INT8_ERROR
    } else {
        FLOAT_ERROR
    };
    // A number that rounds to the other neighbour in a state of F16 is off by 2^-11 of itself.
    let halves = case.graph.states().iter().any(|spec| {
        matches!(
            spec,
            StateSpec::PerToken {
                format: BlockFormat::F16,
                ..
            }
        )
    });
    let allowed = if halves { 1e-3 } else { allowed };
    assert!(error <= allowed, "{name} {format}: error {error}");
    for isa in isas {
        for (threads, sizes) in [(1, &[][..]), (3, &[]), (2, &[1, 1, 7, 2, 26]), (1, &[1; TOKENS])] {
            if chunked || sizes.is_empty() {
                let same = same_bits(&first, &run(&*cpu(isa, threads), sizes));
                assert_eq!(
                    same,
                    None,
                    "{name} {format} {} {threads} threads {sizes:?}",
                    isa.name()
                );
            }
        }
    }
}

#[test]
fn operations_on_rows_agree() {
    for case in functions().into_iter().chain(elementwise()).chain(norms()) {
        check(&case, true);
    }
}

#[test]
fn operations_with_state_agree() {
    for case in attentions().into_iter().chain(recurrent()) {
        check(&case, true);
    }
}

#[test]
fn a_state_in_bf16_changes_no_bit_with_chunks_and_is_close_to_one_in_f32() {
    let case = |format| attention("state", format, |_, _| {});
    let run = |case: &Case, sizes: &[usize]| {
        Runner::new(&*cpu(available()[0], 2), &case.graph, &weights(case), &LIMITS, 1).whole(&tokens(), sizes)
    };
    let (exact, rounded) = (case(BlockFormat::F32), case(BlockFormat::BF16));
    let whole = run(&rounded, &[]);
    assert_eq!(same_bits(&whole, &run(&rounded, &[3, 11, 1])), None);
    let error = worst_error(&run(&exact, &[]), &whole, 30);
    assert!(error > 1e-5 && error < 1e-2, "error {error}");
}

#[test]
fn attention_to_later_tokens_agrees() {
    for case in encoders() {
        check(&case, false);
    }
}

#[test]
fn products_of_every_format_agree() {
    for format in BlockFormat::ALL {
        for case in products(format) {
            check(&case, true);
        }
    }
}

#[test]
fn a_row_of_a_packed_table_has_the_bits_of_its_blocks() {
    for format in BlockFormat::ALL {
        let case = wide("table", 256, format, |graph, _| {
            let table = graph.weight("matrix", VOCABULARY, 256).unwrap();
            let row = graph.push(Op::Embed { table }, &[]).unwrap();
            let product = graph
                .push(
                    Op::Linear {
                        weight: table,
                        bias: None,
                    },
                    &[row],
                )
                .unwrap();
            graph
                .push(
                    Op::Concat {
                        groups: 1,
                        broadcast: false,
                    },
                    &[row, product],
                )
                .unwrap()
        });
        let weights = weights(&case);
        let chunk = Chunk {
            sequence: 0,
            tokens: tokens(),
            position: 0,
        };
        let run = |driver: &dyn mains_contract::Driver| {
            let mut runner = Runner::new(driver, &case.graph, &weights, &LIMITS, 1);
            let rows = runner.step(std::slice::from_ref(&chunk));
            let rows = rows.chunks_exact(256 + VOCABULARY);
            rows.flat_map(|row| row[..256].to_vec()).collect::<Vec<f32>>()
        };
        let expected = run(&*reference());
        for isa in available() {
            assert_eq!(
                same_bits(&expected, &run(&*cpu(isa, 1))),
                None,
                "{format} {}",
                isa.name()
            );
        }
    }
}
