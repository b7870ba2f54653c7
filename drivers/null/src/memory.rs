//! Places of values in the memory that they share.

use mains_contract::{Graph, ValueId};

/// Where every value of a graph is, and how much memory that takes.
pub(crate) struct Places {
    /// By node: the first number of a row.
    pub(crate) starts: Vec<usize>,
    /// Numbers of a row that all values with a row a token need.
    pub(crate) row_width: usize,
    /// The same for values with a row an output row.
    pub(crate) output_row_width: usize,
}

/// A value that is still needed.
struct Live {
    start: usize,
    end: usize,
    selected: bool,
    last_use: usize,
}

impl Places {
    /// The first gap that is wide enough for each value, in the order of nodes. A value is needed from its own node up to
    /// the last that reads it, that one included: no kernel writes what it reads.
    pub(crate) fn of(graph: &Graph) -> Self {
        let last_uses = last_uses(graph);
        let mut live: Vec<Live> = Vec::new();
        let mut starts = Vec::with_capacity(graph.nodes().len());
        let mut widths = [0, 0];
        for (index, node) in graph.nodes().iter().enumerate() {
            live.retain(|value| value.last_use >= index);
            let start = first_gap(&live, node.selected, node.width);
            let end = start + node.width;
            let width = &mut widths[usize::from(node.selected)];
            *width = end.max(*width);
            starts.push(start);
            live.push(Live {
                start,
                end,
                selected: node.selected,
                last_use: last_uses[index],
            });
            live.sort_unstable_by_key(|value| value.start);
        }
        let [row_width, output_row_width] = widths;
        Self {
            starts,
            row_width,
            output_row_width,
        }
    }
}

/// By node: the last node that reads its value, or one after all for what the host reads.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let nodes = graph.nodes();
    let mut last: Vec<usize> = (0..nodes.len()).collect();
    for (index, node) in nodes.iter().enumerate() {
        for ValueId(input) in &node.inputs {
            last[*input as usize] = index;
        }
    }
    for (_, ValueId(value)) in graph.outputs() {
        last[*value as usize] = nodes.len();
    }
    last
}

/// `live` is in the order of starts.
fn first_gap(live: &[Live], selected: bool, width: usize) -> usize {
    let mut start = 0;
    for value in live.iter().filter(|value| value.selected == selected) {
        if start + width <= value.start {
            break;
        }
        start = start.max(value.end);
    }
    start
}
