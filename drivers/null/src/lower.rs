//! From a graph to commands.

use mains_contract::{Graph, Node, Op, ValueId};

use crate::command::{Access, Buffer, Command, CommandList};
use crate::memory::Places;

/// The commands of any step of `graph`. Nothing in them depends on a step: what changes is in [`Buffer::Step`].
#[must_use]
pub fn lower(graph: &Graph) -> CommandList {
    let mut lowering = Lowering {
        graph,
        places: Places::of(graph),
        commands: Vec::new(),
        since_barrier: Vec::new(),
    };
    lowering.upload(Access::whole(Buffer::Step));
    let input_width = graph.input_width();
    if input_width > 0 {
        lowering.upload(Access {
            len: input_width,
            ..Access::whole(Buffer::Inputs)
        });
    }
    for (index, node) in (0..).zip(graph.nodes()) {
        lowering.node(node, ValueId(index));
    }
    for (index, (_, value)) in (0..).zip(graph.outputs()) {
        let output = Access {
            value: Some(*value),
            ..Access::whole(Buffer::Output(index))
        };
        lowering.dispatch("output", vec![lowering.value(*value)], vec![output]);
        lowering.barrier();
        lowering.commands.push(Command::Download { reads: output });
    }
    CommandList {
        commands: lowering.commands,
        row_width: lowering.places.row_width,
        output_row_width: lowering.places.output_row_width,
        input_width,
    }
}

struct Lowering<'a> {
    graph: &'a Graph,
    places: Places,
    commands: Vec<Command>,
    /// What was accessed since the last barrier, and whether it was written.
    since_barrier: Vec<(Access, bool)>,
}

impl Lowering<'_> {
    fn node(&mut self, node: &Node, value: ValueId) {
        let mut reads: Vec<Access> = node.inputs.iter().map(|input| self.value(*input)).collect();
        let weights = node.op.weights();
        reads.extend(weights.iter().map(|(id, _)| Access::whole(Buffer::Weight(id.0))));
        let state = node
            .op
            .state()
            .map(|state| Access::whole(Buffer::State(self.graph.storage(state).0)));
        match (&node.op, state) {
            (Op::Attention { .. }, Some(state)) => {
                // Keys and values go to the state first; what is left is the query and the sinks.
                let stored: Vec<Access> = reads.drain(1..node.inputs.len()).collect();
                if !stored.is_empty() {
                    let mut stores = stored;
                    stores.push(Access::whole(Buffer::Step));
                    self.dispatch("store", stores, vec![state]);
                }
                reads.push(state);
                reads.push(Access::whole(Buffer::Step));
                self.dispatch(node.op.name(), reads, vec![self.value(value)]);
            }
            (_, Some(state)) => {
                reads.push(state);
                reads.push(Access::whole(Buffer::Step));
                self.dispatch(node.op.name(), reads, vec![self.value(value), state]);
            }
            (Op::Input { start, width }, None) => {
                reads.push(Access {
                    buffer: Buffer::Inputs,
                    start: *start,
                    len: *width,
                    value: None,
                });
                self.dispatch(node.op.name(), reads, vec![self.value(value)]);
            }
            (op, None) => {
                if matches!(
                    op,
                    Op::Embed { .. } | Op::EmbedPosition { .. } | Op::Rope { .. } | Op::SelectRows
                ) {
                    reads.push(Access::whole(Buffer::Step));
                }
                self.dispatch(op.name(), reads, vec![self.value(value)]);
            }
        }
    }

    /// Where `value` is.
    fn value(&self, value: ValueId) -> Access {
        let node = self.graph.node(value);
        Access {
            buffer: if node.selected {
                Buffer::OutputRows
            } else {
                Buffer::Rows
            },
            start: self.places.starts[value.0 as usize],
            len: node.width,
            value: Some(value),
        }
    }

    fn upload(&mut self, writes: Access) {
        self.since_barrier.push((writes, true));
        self.commands.push(Command::Upload { writes });
    }

    fn dispatch(&mut self, kernel: &'static str, reads: Vec<Access>, writes: Vec<Access>) {
        let waits = self.since_barrier.iter().any(|(earlier, written)| {
            writes.iter().any(|access| access.overlaps(earlier))
                || (*written && reads.iter().any(|access| access.overlaps(earlier)))
        });
        if waits {
            self.barrier();
        }
        self.since_barrier
            .extend(reads.iter().map(|access| (*access, false)));
        self.since_barrier
            .extend(writes.iter().map(|access| (*access, true)));
        self.commands.push(Command::Dispatch {
            kernel,
            reads,
            writes,
        });
    }

    fn barrier(&mut self) {
        self.since_barrier.clear();
        self.commands.push(Command::Barrier);
    }
}
