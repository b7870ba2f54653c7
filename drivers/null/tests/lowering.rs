//! Lowered graphs are sound, use little memory and take exactly what they say.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;

use mains_contract::{
    Activation, BlockFormat, BlockId, Driver, DriverError, Graph, GraphBuilder, Op, OutputName, RopePairing,
    Scoring, SequenceSpan, SlotId, StateSpec, Step, StepLimits, ValueId, WeightData, WeightSource,
};
use mains_driver_null::{Access, Buffer, Command, Hazard, NullDriver, audit, lower};
use proptest::prelude::*;

const WIDTH: usize = 8;

/// Zeros for every weight.
struct Zeros(Graph, Vec<Vec<u8>>);

impl Zeros {
    fn of(graph: &Graph) -> Self {
        let bytes = graph
            .weights()
            .iter()
            .map(|weight| vec![0; weight.rows * weight.cols * 4]);
        Self(graph.clone(), bytes.collect())
    }
}

impl WeightSource for Zeros {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let mut weights = self.0.weights().iter().zip(&self.1);
        let (weight, bytes) = weights.find(|(weight, _)| weight.name == name).unwrap();
        Ok(WeightData {
            format: BlockFormat::F32,
            rows: weight.rows,
            cols: weight.cols,
            bytes,
        })
    }
}

/// Which operations a layer has.
#[derive(Debug, Clone, Copy)]
enum Part {
    Attention,
    SharedAttention,
    Experts,
    Linear,
    Elementwise,
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::Attention),
        Just(Part::SharedAttention),
        Just(Part::Experts),
        Just(Part::Linear),
        Just(Part::Elementwise),
    ]
}

fn linear(graph: &mut GraphBuilder, name: &str, outputs: usize, x: ValueId) -> ValueId {
    let cols = graph.width(x);
    let weight = graph.weight(name, outputs, cols).unwrap();
    graph.push(Op::Linear { weight, bias: None }, &[x]).unwrap()
}

fn attention(graph: &mut GraphBuilder, name: &str, x: ValueId, shared: bool) -> ValueId {
    let state = graph.state(StateSpec::PerToken {
        key_width: 4,
        value_width: 4,
        format: BlockFormat::F16,
        window: None,
        shared_with: None,
    });
    let q = linear(graph, &format!("{name}.q"), WIDTH, x);
    let q = graph
        .push(
            Op::Rope {
                head_dim: 4,
                inverse_frequencies: vec![1.0],
                pairing: RopePairing::Halves,
                scale: 1.0,
                start: 0,
            },
            &[q],
        )
        .unwrap();
    let k = linear(graph, &format!("{name}.k"), 4, x);
    let v = linear(graph, &format!("{name}.v"), 4, x);
    let op = Op::Attention {
        state,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        value_dim: 4,
        scale: 1.0,
        window: None,
        soft_cap: None,
        sinks: None,
        causal: true,
        value_from_key: false,
    };
    let out = graph.push(op.clone(), &[q, k, v]).unwrap();
    if shared {
        graph.push(op, &[out]).unwrap()
    } else {
        out
    }
}

fn experts(graph: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    let logits = linear(graph, &format!("{name}.router"), 3, x);
    let route = Op::Route {
        experts: 3,
        used: 2,
        scoring: Scoring::Softmax,
        normalise: true,
        scale: 1.0,
        groups: None,
        bias: None,
        expert_scale: None,
    };
    let route = graph.push(route, &[logits]).unwrap();
    let weight = graph
        .weight(&format!("{name}.experts"), 3 * WIDTH, WIDTH)
        .unwrap();
    let op = Op::ExpertLinear {
        weight,
        bias: None,
        experts: 3,
        used: 2,
        per_slot: false,
    };
    let slots = graph.push(op, &[x, route]).unwrap();
    graph
        .push(Op::CombineExperts { used: 2 }, &[slots, route])
        .unwrap()
}

fn linear_attention(graph: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    let kept = |width| StateSpec::PerSequence {
        width,
        format: BlockFormat::F32,
    };
    let state = graph.state(kept(3 * WIDTH));
    let weight = graph.weight(&format!("{name}.kernel"), WIDTH, 4).unwrap();
    let op = Op::ShortConvolution {
        state,
        weight,
        activation: Some(Activation::Silu),
    };
    let v = graph.push(op, &[x]).unwrap();
    let q = linear(graph, &format!("{name}.q"), 4, x);
    let gates = linear(graph, &format!("{name}.gates"), 2, x);
    let state = graph.state(kept(2 * 4 * 4));
    let op = Op::GatedDelta {
        state,
        heads: 2,
        key_heads: 1,
        key_dim: 4,
        value_dim: 4,
    };
    graph.push(op, &[q, q, v, gates, gates]).unwrap()
}

fn graph(parts: &[Part], hidden: bool) -> Graph {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("embd", 5, WIDTH).unwrap();
    let mut x = graph.push(Op::Embed { table }, &[]).unwrap();
    for (index, part) in parts.iter().enumerate() {
        let name = index.to_string();
        let branch = match part {
            Part::Attention => attention(&mut graph, &name, x, false),
            Part::SharedAttention => attention(&mut graph, &name, x, true),
            Part::Experts => experts(&mut graph, &name, x),
            Part::Linear => linear_attention(&mut graph, &name, x),
            Part::Elementwise => graph.push(Op::Multiply, &[x, x]).unwrap(),
        };
        x = graph.push(Op::Add, &[x, branch]).unwrap();
        graph.end_layer();
    }
    if hidden {
        graph.output(OutputName::Hidden, x);
    }
    let x = graph.push(Op::SelectRows, &[x]).unwrap();
    let logits = linear(&mut graph, "head", 5, x);
    graph.output(OutputName::Logits, logits);
    graph.build()
}

fn limits() -> impl Strategy<Value = StepLimits> {
    (1..9usize, 1..5usize, 1..40usize, 1..9usize, 1..5usize, 1..4usize).prop_map(
        |(rows, output_rows, context, blocks, block_tokens, slots)| StepLimits {
            rows,
            output_rows,
            context,
            blocks,
            block_tokens,
            slots,
        },
    )
}

proptest! {
    #[test]
    fn lowered_graphs_are_sound_and_of_exact_size(
        parts in prop::collection::vec(part(), 0..6),
        hidden: bool,
        limits in limits(),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = graph(&parts, hidden);
        let mut graphs = vec![whole.clone()];
        if !parts.is_empty() {
            let (first, rest) = whole.split(cut.index(parts.len())).unwrap();
            graphs.extend([first, rest]);
        }
        for graph in graphs {
            prop_assert_eq!(audit(&lower(&graph)), Ok(()));
            let driver = NullDriver::new();
            let formats = vec![BlockFormat::F32; graph.weights().len()];
            let weights = Zeros::of(&graph);
            let model = driver.footprint(&graph, &formats).at(&limits, 1);
            let loaded = driver.load(Arc::new(graph), &weights, &limits).unwrap();
            prop_assert_eq!(loaded.footprint(), model);
        }
    }
}

#[test]
fn values_share_memory_when_they_are_not_needed_together() {
    let shallow = lower(&graph(&[Part::Attention; 2], false));
    let deep = lower(&graph(&[Part::Attention; 20], false));
    assert_eq!(shallow.row_width, deep.row_width);
    // The residual stream, and q with k and v beside it, or what attention makes of them.
    assert!(deep.row_width <= 3 * WIDTH + 2 * 4, "{}", deep.row_width);
}

/// The list of a graph of two additions, to be broken.
fn sound() -> mains_driver_null::CommandList {
    lower(&graph(&[Part::Elementwise, Part::Elementwise], false))
}

#[test]
fn a_missing_barrier_is_a_race() {
    let mut list = sound();
    let barrier = list
        .commands
        .iter()
        .rposition(|command| *command == Command::Barrier)
        .unwrap();
    list.commands.remove(barrier);
    assert!(matches!(audit(&list), Err(Hazard::Race { .. })));
}

#[test]
fn what_nobody_wrote_is_named() {
    let mut list = sound();
    let first = list
        .commands
        .iter()
        .position(|command| matches!(command, Command::Dispatch { .. }));
    list.commands.remove(first.unwrap());
    assert!(matches!(audit(&list), Err(Hazard::Unwritten { .. })));
    let mut list = sound();
    list.commands.remove(0);
    let found = audit(&list).unwrap_err();
    assert!(
        matches!(found, Hazard::Unwritten { access, .. } if access.buffer == Buffer::Step),
        "{found}"
    );
}

#[test]
fn a_value_in_the_place_of_another_is_named() {
    let mut list = sound();
    let clobbers = |command: &mut Command| {
        if let Command::Dispatch {
            kernel: "multiply",
            reads,
            writes,
        } = command
        {
            writes.push(Access {
                value: None,
                ..reads[0]
            });
            reads.clear();
        }
    };
    list.commands.iter_mut().take(5).for_each(clobbers);
    assert!(matches!(
        audit(&list),
        Err(Hazard::Unwritten { .. } | Hazard::Overwritten { .. })
    ));
    let mut list = sound();
    list.row_width -= 1;
    assert!(matches!(audit(&list), Err(Hazard::Beyond { .. })));
}

#[test]
fn steps_are_checked_and_give_zeros() {
    let graph = Arc::new(graph(&[Part::Linear], true));
    let weights = Zeros::of(&graph);
    let limits = StepLimits {
        rows: 2,
        output_rows: 1,
        context: 4,
        blocks: 1,
        block_tokens: 4,
        slots: 1,
    };
    let mut loaded = NullDriver::new()
        .load(Arc::clone(&graph), &weights, &limits)
        .unwrap();
    let span = SequenceSpan {
        first_row: 0,
        rows: 2,
        blocks: &[BlockId(0)],
        slot: SlotId(0),
    };
    let step = Step {
        tokens: &[1, 4],
        positions: &[0, 1],
        sequences: &[span],
        output_rows: &[1],
        inputs: &[],
    };
    let ranges: Vec<_> = graph.output_ranges(&step).collect();
    assert_eq!(
        ranges,
        [(OutputName::Hidden, 0..16), (OutputName::Logits, 16..21)]
    );
    let mut out = vec![1.0; 21];
    loaded.run(&step, &mut out).unwrap();
    assert_eq!(out, [0.0; 21]);
    let mut refuse =
        |step: Step<'_>, out: usize| loaded.run(&step, &mut vec![0.0; out]).unwrap_err().to_string();
    assert!(
        refuse(
            Step {
                tokens: &[1, 5],
                ..step
            },
            21
        )
        .contains("token 5")
    );
    assert!(
        refuse(
            Step {
                inputs: &[0.0],
                ..step
            },
            21
        )
        .contains("input rows")
    );
    assert!(refuse(step, 20).contains("gives 21"));
    assert!(
        loaded
            .copy_slots(&[(SlotId(0), SlotId(1))])
            .unwrap_err()
            .to_string()
            .contains("slot 1")
    );
    let without = StepLimits { slots: 0, ..limits };
    assert!(NullDriver::new().load(graph, &weights, &without).is_err());
}
