//! State of sequences, experts, latent attention and encoders: bits depend on the text alone, whatever the chunks, the
//! company, the copies and the segments.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;

use mains_conformance::ops::{Chunk, Random, Runner, Weights, available, cpu, reference, same_bits};
use mains_contract::{
    Activation, BlockFormat, BlockId, Driver, DriverFacts, Graph, GraphBuilder, Op, OutputName, Scoring,
    SequenceSpan, SequenceState, SlotId, StateSpec, Step, StepLimits, ValueId,
};
use proptest::prelude::*;

const VOCABULARY: usize = 20;
const WIDTH: usize = 24;
const TOKENS: usize = 19;
const LIMITS: StepLimits = StepLimits {
    rows: 2 * TOKENS,
    output_rows: 2 * TOKENS,
    context: TOKENS,
    blocks: 12,
    block_tokens: 4,
    slots: 3,
};

/// The reference, and every other driver that takes the graph.
fn drivers(graph: &Graph, weights: &Weights) -> Vec<Box<dyn Driver>> {
    let formats = weights.formats(graph);
    let others = [1, 3].map(|threads| cpu(available()[0], threads));
    let takes = |driver: &dyn Driver| {
        let mut nodes = graph.nodes().iter();
        nodes.all(|node| driver.supports(graph, node, &formats).is_ok())
    };
    std::iter::once(reference())
        .chain(others.into_iter().filter(|driver| takes(&**driver)))
        .collect()
}

fn linear(graph: &mut GraphBuilder, name: &str, outputs: usize, x: ValueId) -> ValueId {
    let cols = graph.width(x);
    let weight = graph.weight(name, outputs, cols).unwrap();
    graph.push(Op::Linear { weight, bias: None }, &[x]).unwrap()
}

fn slice(graph: &mut GraphBuilder, x: ValueId, start: usize, width: usize) -> ValueId {
    let group = graph.width(x);
    graph.push(Op::Slice { group, start, width }, &[x]).unwrap()
}

/// Two key heads of 4, four value heads of 6, after a convolution over four tokens.
fn linear_attention(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    let kept = |width| StateSpec::PerSequence {
        width,
        format: BlockFormat::F32,
    };
    let mixed = linear(graph, "mixed", 40, x);
    let state = graph.state(kept(3 * 40));
    let weight = graph.weight("kernel", 40, 4).unwrap();
    let op = Op::ShortConvolution {
        state,
        weight,
        activation: Some(Activation::Silu),
    };
    let mixed = graph.push(op, &[mixed]).unwrap();
    let normed = |graph: &mut GraphBuilder, start| {
        let x = slice(graph, mixed, start, 8);
        let op = Op::L2Norm {
            epsilon: 1e-6,
            group: 4,
        };
        graph.push(op, &[x]).unwrap()
    };
    let (q, k) = (normed(graph, 0), normed(graph, 8));
    let v = slice(graph, mixed, 16, 24);
    let gate = |graph: &mut GraphBuilder, name: &str, activation| {
        let x = linear(graph, name, 4, x);
        graph.push(Op::Activate { activation }, &[x]).unwrap()
    };
    let decay = gate(graph, "decay", Activation::Softplus);
    let decay = graph.push(Op::Scale { factor: -0.3 }, &[decay]).unwrap();
    let beta = gate(graph, "beta", Activation::Sigmoid);
    let state = graph.state(kept(4 * 4 * 6));
    let op = Op::GatedDelta {
        state,
        heads: 4,
        key_heads: 2,
        key_dim: 4,
        value_dim: 6,
    };
    graph.push(op, &[q, k, v, decay, beta]).unwrap()
}

/// Three heads on one latent row of 8 whose first 6 numbers are the values, then a second look with other queries.
fn latent_attention(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    let state = graph.state(StateSpec::PerToken {
        key_width: 8,
        value_width: 0,
        format: BlockFormat::F16,
        window: None,
        shared_with: None,
    });
    let sinks = graph.weight("sinks", 1, 3).unwrap();
    let row = linear(graph, "latent", 8, x);
    let op = |window, sinks| Op::Attention {
        state,
        heads: 3,
        kv_heads: 1,
        head_dim: 8,
        value_dim: 6,
        scale: 0.4,
        window,
        soft_cap: Some(4.0),
        sinks,
        causal: true,
        value_from_key: true,
    };
    let q = linear(graph, "q", 24, x);
    let first = graph.push(op(None, Some(sinks)), &[q, row]).unwrap();
    let q = linear(graph, "q again", 24, first);
    let second = graph.push(op(Some(5), None), &[q]).unwrap();
    let weight = graph.weight("heads", 24, 6).unwrap();
    graph
        .push(Op::HeadLinear { weight, heads: 3 }, &[second])
        .unwrap()
}

fn experts(graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    let bias = graph.weight("router bias", 1, 6).unwrap();
    let logits = linear(graph, "router", 6, x);
    let op = Op::Route {
        experts: 6,
        used: 2,
        scoring: Scoring::Sigmoid,
        normalise: true,
        scale: 1.5,
        groups: None,
        bias: Some(bias),
        expert_scale: None,
    };
    let route = graph.push(op, &[logits]).unwrap();
    let expert = |graph: &mut GraphBuilder, name: &str, outputs, cols, x, per_slot| {
        let weight = graph.weight(name, 6 * outputs, cols).unwrap();
        let op = Op::ExpertLinear {
            weight,
            bias: None,
            experts: 6,
            used: 2,
            per_slot,
        };
        graph.push(op, &[x, route]).unwrap()
    };
    let gate = expert(graph, "gates", 10, WIDTH, x, false);
    let up = expert(graph, "ups", 10, WIDTH, x, false);
    let activation = Activation::ClampedSwiglu {
        alpha: 1.702,
        limit: 2.0,
    };
    let hidden = graph.push(Op::Gated { activation }, &[gate, up]).unwrap();
    let down = expert(graph, "downs", WIDTH, 10, hidden, true);
    graph
        .push(Op::CombineExperts { used: 2 }, &[down, route])
        .unwrap()
}

/// A layer of each, from token ids to logits. The embedding crosses every border, beside the residual stream.
fn decoder() -> Arc<Graph> {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("embd", VOCABULARY, WIDTH).unwrap();
    let embedded = graph.push(Op::Embed { table }, &[]).unwrap();
    let mut x = embedded;
    for part in [linear_attention, latent_attention, experts] {
        let op = Op::RmsNorm {
            weight: None,
            epsilon: 1e-6,
            group: WIDTH,
        };
        let normed = graph.push(op, &[x]).unwrap();
        let branch = part(&mut graph, normed);
        let branch = graph.push(Op::Multiply, &[branch, embedded]).unwrap();
        x = graph.push(Op::Add, &[x, branch]).unwrap();
        graph.end_layer();
    }
    let x = graph.push(Op::SelectRows, &[x]).unwrap();
    let logits = linear(&mut graph, "head", VOCABULARY, x);
    graph.output(OutputName::Logits, logits);
    Arc::new(graph.build())
}

/// Two layers of attention in both directions over one state.
fn encoder() -> Arc<Graph> {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("embd", VOCABULARY, WIDTH).unwrap();
    let places = graph.weight("positions", TOKENS + 2, WIDTH).unwrap();
    let state = graph.state(StateSpec::PerToken {
        key_width: WIDTH,
        value_width: WIDTH,
        format: BlockFormat::F32,
        window: None,
        shared_with: None,
    });
    let x = graph.push(Op::Embed { table }, &[]).unwrap();
    let op = Op::EmbedPosition {
        table: places,
        offset: 2,
    };
    let position = graph.push(op, &[]).unwrap();
    let mut x = graph.push(Op::Add, &[x, position]).unwrap();
    for (layer, window) in [None, Some(4)].into_iter().enumerate() {
        let [q, k, v] = ["q", "k", "v"].map(|name| linear(&mut graph, &format!("{layer}.{name}"), WIDTH, x));
        let op = Op::Attention {
            state,
            heads: 4,
            kv_heads: 4,
            head_dim: 6,
            value_dim: 6,
            scale: 0.5,
            window,
            soft_cap: None,
            sinks: None,
            causal: false,
            value_from_key: false,
        };
        let mixed = graph.push(op, &[q, k, v]).unwrap();
        x = graph.push(Op::Add, &[x, mixed]).unwrap();
        let op = Op::LayerNorm {
            weight: None,
            bias: None,
            epsilon: 1e-6,
            group: WIDTH,
        };
        x = graph.push(op, &[x]).unwrap();
    }
    let logits = linear(&mut graph, "head", VOCABULARY, x);
    graph.output(OutputName::Logits, logits);
    Arc::new(graph.build())
}

fn weights(graph: &Graph) -> Weights {
    Weights::random(graph, 5, |_| BlockFormat::F32)
}

fn tokens(seed: u64) -> Vec<u32> {
    let mut random = Random(seed);
    (0..TOKENS)
        .map(|_| random.below(u32::try_from(VOCABULARY).unwrap()))
        .collect()
}

fn chunk(sequence: usize, tokens: &[u32], position: usize) -> Chunk {
    Chunk {
        sequence,
        tokens: tokens.to_vec(),
        position: u32::try_from(position).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn chunks_and_company_change_no_bit(sizes in prop::collection::vec(1..9_usize, 0..9), company in 1..TOKENS) {
        let graph = decoder();
        let weights = weights(&graph);
        for driver in drivers(&graph, &weights) {
            let whole = Runner::new(&*driver, &graph, &weights, &LIMITS, 1).whole(&tokens(1), &[]);
            let mut runner = Runner::new(&*driver, &graph, &weights, &LIMITS, 2);
            // Another text was in the same slot and blocks before.
            let _: Vec<f32> = runner.whole(&tokens(3), &[]);
            prop_assert_eq!(same_bits(&whole, &runner.whole(&tokens(1), &sizes)), None);
            let mut found = Vec::new();
            for (start, end) in [(0, company), (company, TOKENS)] {
                let rows = runner.step(&[
                    chunk(0, &tokens(2)[start..end], start),
                    chunk(1, &tokens(1)[start..end], start),
                ]);
                found.extend_from_slice(&rows[rows.len() / 2..]);
            }
            prop_assert_eq!(same_bits(&whole, &found), None);
        }
    }
}

#[test]
fn a_load_allocates_what_its_footprint_says() {
    for graph in [decoder(), encoder()] {
        let weights = weights(&graph);
        for driver in drivers(&graph, &weights) {
            let threads = DriverFacts::new(driver.capabilities(), "").threads;
            let model = driver.footprint(&graph, &weights.formats(&graph));
            let loaded = driver.load(Arc::clone(&graph), &weights, &LIMITS).unwrap();
            assert_eq!(
                loaded.footprint(),
                model.at(&LIMITS, threads),
                "{}",
                driver.capabilities().driver
            );
        }
    }
}

#[test]
fn a_sequence_goes_on_from_a_copy_and_from_a_snapshot() {
    let graph = decoder();
    let weights = weights(&graph);
    let whole = Runner::new(&*reference(), &graph, &weights, &LIMITS, 1).whole(&tokens(1), &[]);
    let rest = &whole[8 * VOCABULARY..];
    let mut runner = Runner::new(&*reference(), &graph, &weights, &LIMITS, 2);
    let _: Vec<f32> = runner.step(&[chunk(0, &tokens(1)[..8], 0)]);
    let blocks = [runner.tables[0][..2].to_vec(), runner.tables[1][..2].to_vec()];
    let state = |sequence: usize, slots: &[SlotId]| SequenceState {
        blocks: &blocks[sequence],
        slot: slots[sequence],
    };
    let slots = runner.slots.clone();
    let snapshot = runner.model.snapshot(&state(0, &slots)).unwrap();
    let pairs: Vec<(BlockId, BlockId)> = blocks[0].iter().copied().zip(blocks[1].iter().copied()).collect();
    runner.model.copy_blocks(&pairs).unwrap();
    runner.model.copy_slots(&[(slots[0], slots[1])]).unwrap();
    // The first sequence goes astray; its copy does not notice.
    let _: Vec<f32> = runner.step(&[chunk(0, &tokens(2)[8..], 8)]);
    let found = runner.step(&[chunk(1, &tokens(1)[8..], 8)]);
    assert_eq!(same_bits(rest, &found), None, "from a copy");
    runner.model.restore(&snapshot, &state(0, &slots)).unwrap();
    let found = runner.step(&[chunk(0, &tokens(1)[8..], 8)]);
    assert_eq!(same_bits(rest, &found), None, "from a snapshot");
    let short = runner
        .model
        .restore(&snapshot[1..], &state(0, &slots))
        .unwrap_err();
    assert!(short.to_string().contains("snapshot"), "{short}");
    let beyond = runner.model.copy_slots(&[(SlotId(0), SlotId(3))]).unwrap_err();
    assert!(beyond.to_string().contains("slot 3"), "{beyond}");
}

#[test]
fn segments_give_the_bits_of_the_whole() {
    let graph = decoder();
    let all = weights(&graph);
    let whole = Runner::new(&*reference(), &graph, &all, &LIMITS, 1).whole(&tokens(1), &[]);
    let (first, rest) = graph.split(0).unwrap();
    let (second, third) = rest.split(0).unwrap();
    assert!(first.weights().iter().all(|weight| weight.name != "head"));
    let blocks: Vec<BlockId> = (0..5).map(BlockId).collect();
    let mut models: Vec<_> = [first, second, third]
        .into_iter()
        .map(|graph| {
            let graph = Arc::new(graph);
            let loaded = reference().load(Arc::clone(&graph), &all, &LIMITS).unwrap();
            (graph, loaded)
        })
        .collect();
    let mut found = Vec::new();
    for (start, end) in [(0, 7), (7, 8), (8, TOKENS)] {
        let rows = u32::try_from(end - start).unwrap();
        let span = SequenceSpan {
            first_row: 0,
            rows,
            blocks: &blocks,
            slot: SlotId(2),
        };
        let positions: Vec<u32> = (0..rows).map(|row| row + u32::try_from(start).unwrap()).collect();
        let output_rows: Vec<u32> = (0..rows).collect();
        let mut inputs: Vec<f32> = Vec::new();
        for (graph, model) in &mut models {
            let step = Step {
                tokens: &tokens(1)[start..end],
                positions: &positions,
                sequences: &[span],
                output_rows: &output_rows,
                inputs: &inputs,
            };
            let length = graph.output_ranges(&step).last().unwrap().1.end;
            let mut out = vec![f32::NAN; length];
            model.run(&step, &mut out).unwrap();
            inputs = out;
        }
        found.extend(inputs);
    }
    assert_eq!(same_bits(&whole, &found), None);
    assert!(graph.split(2).unwrap().0.split(2).is_err());
    assert!(graph.split(3).is_err());
}

#[test]
fn encoders_see_whole_sequences_and_nothing_of_others() {
    let graph = encoder();
    let weights = weights(&graph);
    for driver in drivers(&graph, &weights) {
        let mut runner = Runner::new(&*driver, &graph, &weights, &LIMITS, 2);
        let alone = runner.step(&[chunk(0, &tokens(1)[..9], 0)]);
        let beside = runner.step(&[chunk(1, &tokens(2), 0), chunk(0, &tokens(1)[..9], 0)]);
        assert_eq!(same_bits(&alone, &beside[TOKENS * VOCABULARY..]), None);
        // The first row sees the last.
        let mut other = tokens(1)[..9].to_vec();
        other[8] = (other[8] + 1) % u32::try_from(VOCABULARY).unwrap();
        let changed = runner.step(&[chunk(0, &other, 0)]);
        assert!(same_bits(&alone[..VOCABULARY], &changed[..VOCABULARY]).is_some());
        let part = runner.try_step(&[chunk(0, &tokens(1)[4..], 4)]).unwrap_err();
        assert!(part.to_string().contains("whole"), "{part}");
    }
}
