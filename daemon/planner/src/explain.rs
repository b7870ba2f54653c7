//! Why nothing fits, in figures, and what would.

use mains_contract::Bytes;
use mains_types::Demand;

use crate::fit::{Costs, DEFAULT_PARALLEL, Shape, least_context};

/// The shape whose bytes a refusal names: what was demanded, and the least of what was not.
fn least_shape(costs: &Costs<'_>, demand: &Demand) -> Shape {
    Shape {
        context: demand.context.unwrap_or_else(|| least_context(costs.facts)),
        parallel: demand.parallel.unwrap_or(1),
    }
}

/// What is missing on `device`.
pub(crate) fn shortage(costs: &Costs<'_>, device: &str, demand: &Demand, memory: Bytes) -> String {
    let shape = least_shape(costs, demand);
    let bytes = costs.bytes(shape);
    let missing = Bytes(bytes.total().0.saturating_sub(memory.0));
    format!(
        "on {device} it needs {} with a context of {} and {} at once (weights {}, state {}, activations {}, scratch {}, \
         program {}); {memory} may be used, {missing} are missing",
        bytes.total(),
        shape.context,
        sequences(shape.parallel),
        bytes.weights,
        bytes.state,
        bytes.activations,
        bytes.scratch,
        bytes.runtime,
    )
}

/// Demands that would fit on `device`, the nearest first.
pub(crate) fn nearest(costs: &Costs<'_>, device: &str, demand: &Demand, memory: Bytes) -> Vec<String> {
    let mut found = Vec::new();
    let shape = least_shape(costs, demand);
    let mut offer = |shape: Shape| {
        let words = format!(
            "context {} and parallel {} on {device}",
            shape.context, shape.parallel
        );
        if !found.contains(&words) {
            found.push(words);
        }
    };
    if let Some(parallel) = costs.most_parallel(shape.context, shape.parallel, memory) {
        offer(Shape { parallel, ..shape });
    }
    if let Some(context) = costs.largest_context(1, shape.context, shape.parallel, memory) {
        offer(Shape { context, ..shape });
    }
    if let Some(context) = costs.largest_context(1, costs.facts.context, 1, memory) {
        let parallel = costs
            .most_parallel(context, DEFAULT_PARALLEL, memory)
            .unwrap_or(1);
        offer(Shape { context, parallel });
    }
    let needed = costs.bytes(shape).total();
    if needed < Bytes(u64::MAX) {
        found.push(format!("{needed} of memory on {device} ({} bytes)", needed.0));
    }
    found
}

fn sequences(count: u32) -> String {
    if count == 1 {
        "1 sequence".to_owned()
    } else {
        format!("{count} sequences")
    }
}
