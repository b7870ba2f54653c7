//! Why nothing fits, in figures, and what would.

use mains_contract::Bytes;
use mains_types::{Demand, Policy};

use crate::fit::{Costs, DEFAULT_PARALLEL, MIN_CONTEXT, Shape, default_context};
use crate::policy::Problem;

/// What is missing on `device`.
pub(crate) fn shortage(problem: &Problem<'_>, costs: &Costs<'_>, device: &str) -> String {
    let (shape, memory) = (problem.asked.least(problem.facts), problem.memory);
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
pub(crate) fn nearest(problem: &Problem<'_>, costs: &Costs<'_>, device: &str) -> Vec<String> {
    let (facts, memory) = (problem.facts, problem.memory);
    let mut found: Vec<String> = Vec::new();
    let shape = problem.asked.least(facts);
    let mut offer = |words: String| {
        if !found.contains(&words) {
            found.push(words);
        }
    };
    let words = |shape: Shape| {
        format!(
            "context {} and parallel {} on {device}",
            shape.context, shape.parallel
        )
    };
    if let Some(parallel) = costs.most_parallel(shape.context, 1, shape.parallel, memory) {
        offer(words(Shape { parallel, ..shape }));
    }
    let least = MIN_CONTEXT.min(shape.context);
    if let Some(context) = costs.largest_context(least, shape.context, shape.parallel, memory) {
        offer(words(Shape { context, ..shape }));
    }
    if let Some(context) = costs.largest_context(1, default_context(facts), 1, memory) {
        let parallel = costs.most_parallel(context, 1, DEFAULT_PARALLEL, memory);
        let parallel = parallel.unwrap_or(1);
        offer(words(Shape { context, parallel }));
    }
    if let Some(kl) = with_quality(problem) {
        offer(format!(
            "policy quality with a KL divergence of {kl:.3} on {device}, context {} and parallel {}",
            shape.context, shape.parallel
        ));
    }
    let needed = costs.bytes(shape).total();
    if needed < Bytes(u64::MAX) {
        offer(format!("{needed} of memory on {device} ({} bytes)", needed.0));
    }
    found
}

/// The damage at which the same would fit under the policy that has no floor but the worst.
fn with_quality(problem: &Problem<'_>) -> Option<f64> {
    if problem.policy == Policy::Quality || problem.weights.is_some() {
        return None;
    }
    let demand = Demand {
        context: problem.asked.context,
        parallel: problem.asked.parallel,
        policy: Some(Policy::Quality),
        ..Demand::default()
    };
    let (costs, threads) = (problem.costs, problem.threads);
    let other = Problem::new(problem.facts, costs, threads, problem.memory, &demand).ok()?;
    other.choose().ok()?.kl
}

fn sequences(count: u32) -> String {
    if count == 1 {
        "1 sequence".to_owned()
    } else {
        format!("{count} sequences")
    }
}
