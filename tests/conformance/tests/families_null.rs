//! Every family becomes a list of commands as a GPU takes it: complete, sound, of exactly the size that was said, and the
//! engine generates on it as on any device.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;

use mains_conformance::families::{all, engine, fixtures, greedy, open};
use mains_contract::{BlockFormat, Driver, Graph, Node, OutputName, StepLimits, ValueId};
use mains_driver_null::{Access, Buffer, Command, NullDriver, audit, lower};
use mains_engine::Segments;
use mains_engine::models::{Cast, Model};

/// Limits that differ in every number, so that none can stand for another.
const LIMITS: StepLimits = StepLimits {
    rows: 24,
    output_rows: 5,
    context: 40,
    blocks: 13,
    block_tokens: 7,
    slots: 3,
};

fn models() -> Vec<(String, Model)> {
    let names = [all("logits"), all("hidden")].concat();
    assert!(!names.is_empty());
    let open = |name: String| {
        let path = fixtures().join("families").join(&name);
        (name, open(&path, BlockFormat::F16, Cast::AsStored))
    };
    names.into_iter().map(open).collect()
}

/// The graph of `model`, and its segments when it is cut at every border between layers where it can be.
fn graphs(model: &Model) -> Vec<Arc<Graph>> {
    let layers = 0..model.graph.layer_ends().len() - 1;
    let cuts: Vec<usize> = layers.filter(|layer| model.graph.split(*layer).is_ok()).collect();
    let segments = Segments::cut(&model.graph, &cuts).unwrap();
    let whole = [Arc::clone(&model.graph)];
    whole
        .into_iter()
        .chain(segments.graphs().iter().cloned())
        .collect()
}

/// Reads and writes of the commands that compute `node`, the next ones of `commands`.
fn next_dispatch<'a>(
    commands: &mut impl Iterator<Item = &'a Command>,
    node: &Node,
) -> (Vec<Access>, Vec<Access>) {
    let (mut all_reads, mut all_writes) = (Vec::new(), Vec::new());
    for command in commands {
        if let Command::Dispatch {
            kernel,
            reads,
            writes,
        } = command
        {
            all_reads.extend(reads);
            all_writes.extend(writes);
            if *kernel == node.op.name() {
                return (all_reads, all_writes);
            }
            assert_eq!(*kernel, "store", "a command of no operation");
        }
    }
    panic!("{} has no command", node.op.name());
}

#[test]
fn every_operation_says_all_that_it_reads_and_writes() {
    for (name, model) in models() {
        for graph in graphs(&model) {
            let list = lower(&graph);
            assert_eq!(audit(&list), Ok(()), "{name}");
            let mut commands = list.commands.iter();
            for (index, node) in (0..).zip(graph.nodes()) {
                let (reads, writes) = next_dispatch(&mut commands, node);
                let op = node.op.name();
                let reads_value = |value: &ValueId| reads.iter().any(|read| read.value == Some(*value));
                assert!(node.inputs.iter().all(reads_value), "{name}: {op}");
                for (weight, _) in node.op.weights() {
                    let weight = Access::whole(Buffer::Weight(weight.0));
                    assert!(reads.contains(&weight), "{name}: {op}");
                }
                if let Some(state) = node.op.state() {
                    let state = Access::whole(Buffer::State(graph.storage(state).0));
                    // Attention on its query alone leaves a state as it is.
                    assert!(reads.contains(&state), "{name}: {op}");
                    assert_eq!(
                        writes.contains(&state),
                        node.inputs.len() > 1 || op != "attention"
                    );
                    assert!(reads.contains(&Access::whole(Buffer::Step)), "{name}: {op}");
                }
                let written = writes.iter().find(|write| write.value == Some(ValueId(index)));
                assert_eq!(written.map(|write| write.len), Some(node.width), "{name}: {op}");
            }
            let widths: usize = graph.nodes().iter().map(|node| node.width).sum();
            assert!(
                list.row_width + list.output_row_width < widths,
                "{name}: nothing shares memory"
            );
        }
    }
}

#[test]
fn loads_take_what_the_list_of_commands_says() {
    let driver = NullDriver::new();
    for (name, model) in models() {
        for graph in graphs(&model) {
            let formats = model.formats_of(&graph);
            let support = |node: &Node| driver.supports(&graph, node, &formats);
            graph.nodes().iter().try_for_each(support).unwrap();
            let said = driver.footprint(&graph, &formats).at(&LIMITS, 1);
            assert_eq!(
                lower(&graph).allocations(&graph, &formats, &LIMITS),
                said,
                "{name}"
            );
            let loaded = driver.load(Arc::clone(&graph), &model.weights, &LIMITS).unwrap();
            assert_eq!(loaded.footprint(), said, "{name}");
        }
    }
}

#[test]
fn the_engine_generates_without_a_device() {
    for (name, model) in models() {
        if model.graph.output(OutputName::Logits).is_none() {
            continue;
        }
        let mut engine = engine(&model, &NullDriver::new(), LIMITS);
        let prompts: Vec<(Vec<u32>, usize)> = (1..6).map(|length| ((1..=length * 6).collect(), 7)).collect();
        // Logits are zeros: the lowest id is chosen every time.
        assert_eq!(greedy(&mut engine, &prompts, &[]), vec![vec![0; 7]; 5], "{name}");
    }
}
