//! Why nothing fits, in figures, and what would.

use mains_contract::{Bytes, Device, Inventory};
use mains_types::{Demand, Nearest, Policy};

use crate::fit::{Costs, DEFAULT_PARALLEL, MIN_CONTEXT, Shape, default_context};
use crate::policy::{Problem, Refused};
use crate::rooms::is_accelerator;

/// A sentence on what is missing.
pub(crate) fn reason(problem: &Problem<'_>, refused: Refused<'_>) -> String {
    match refused {
        Refused::Memory(costs) => shortage(problem, &costs),
        Refused::Weights(_, why) | Refused::Types(why) => format!("on {}: {why}", problem.rooms.names()),
    }
}

fn shortage(problem: &Problem<'_>, costs: &Costs<'_>) -> String {
    let shape = problem.asked.least(problem.facts);
    let bytes = costs.bytes(shape);
    let rooms = &problem.rooms;
    let memory: Bytes = rooms.list.iter().map(|room| room.memory).sum();
    // What is beside the arenas may be on another device.
    let needed = if rooms.host.room.is_some() {
        bytes.total()
    } else {
        Bytes(bytes.total().0.saturating_sub(bytes.runtime.0))
    };
    let missing = match needed.checked_sub(memory) {
        Some(missing) if missing > Bytes::ZERO => format!("{missing} are missing"),
        _ if rooms.list.len() > 1 => "but no border between layers leaves every device enough".to_owned(),
        _ => format!(
            "but the worker's own {} are not free on {}",
            bytes.runtime, rooms.host.device
        ),
    };
    format!(
        "on {} it needs {needed} with a context of {} and {} at once (weights {}, state {}, activations {}, scratch {}, \
         program {}); {memory} may be used, {missing}",
        rooms.names(),
        shape.context,
        sequences(shape.parallel),
        bytes.weights,
        bytes.state,
        bytes.activations,
        bytes.scratch,
        bytes.runtime,
    )
}

/// Demands that may have a plan on the same devices, the nearest first.
pub(crate) fn offers(problem: &Problem<'_>, refused: &Refused<'_>, demand: &Demand) -> Vec<Nearest> {
    let ids = problem.rooms.list.iter().map(|room| room.device.id.clone());
    let here = Demand {
        devices: ids.collect(),
        ..demand.clone()
    };
    match refused {
        Refused::Memory(costs) => less(problem, costs, &here),
        Refused::Weights(least, _) => vec![Nearest {
            words: format!(
                "{least} of weights ({} bytes) on {}",
                least.0,
                problem.rooms.names()
            ),
            demand: Demand {
                weights: Some(*least),
                ..here
            },
        }],
        Refused::Types(_) => Vec::new(),
    }
}

/// Demands of less, or with more memory.
fn less(problem: &Problem<'_>, costs: &Costs<'_>, here: &Demand) -> Vec<Nearest> {
    let (facts, names) = (problem.facts, problem.rooms.names());
    let shape = problem.asked.least(facts);
    let with = |shape: Shape| Demand {
        context: Some(shape.context),
        parallel: Some(shape.parallel),
        ..here.clone()
    };
    let smaller = |shape: Shape| Nearest {
        words: format!(
            "context {} and parallel {} on {names}",
            shape.context, shape.parallel
        ),
        demand: with(shape),
    };
    let mut found = Vec::new();
    if let Some(parallel) = costs.most_parallel(shape.context, 1, shape.parallel) {
        found.push(smaller(Shape { parallel, ..shape }));
    }
    let least = MIN_CONTEXT.min(shape.context);
    if let Some(context) = costs.largest_context(least, shape.context, shape.parallel) {
        found.push(smaller(Shape { context, ..shape }));
    }
    if let Some(context) = costs.largest_context(1, default_context(facts), 1) {
        let parallel = costs.most_parallel(context, 1, DEFAULT_PARALLEL).unwrap_or(1);
        found.push(smaller(Shape { context, parallel }));
    }
    let quality = Demand {
        policy: Some(Policy::Quality),
        ..with(shape)
    };
    if let Some(kl) = with_quality(problem, &quality) {
        found.push(Nearest {
            words: format!(
                "policy quality with a KL divergence of {kl:.3} on {names}, context {} and parallel {}",
                shape.context, shape.parallel
            ),
            demand: quality,
        });
    }
    if let Some(needed) = costs.needs(shape) {
        found.push(Nearest {
            words: format!("{needed} of memory on {names} ({} bytes)", needed.0),
            demand: Demand {
                memory: Some(needed),
                ..here.clone()
            },
        });
    }
    found
}

/// The damage of a plan for `quality`, which asks for the policy that has no floor but the worst.
fn with_quality(problem: &Problem<'_>, quality: &Demand) -> Option<f64> {
    if problem.policy == Policy::Quality || problem.weights.is_some() {
        return None;
    }
    let other = Problem::new(problem.facts, (*problem.rooms).clone(), quality).ok()?;
    other.choose().ok()?.kl
}

/// The same demand on devices that were not considered, alone and, where those considered were accelerators, with them.
pub(crate) fn elsewhere(inventory: &Inventory, demand: &Demand, considered: &[&Device]) -> Vec<Nearest> {
    let is_other = |device: &&Device| considered.iter().all(|other| other.id != device.id);
    let others: Vec<&Device> = inventory.devices.iter().filter(is_other).collect();
    let mut found: Vec<Nearest> = Vec::new();
    if demand.memory.is_none() {
        let all_accelerate = considered.iter().all(|device| is_accelerator(device));
        for other in others.iter().filter(|_| all_accelerate && !considered.is_empty()) {
            let ids = considered.iter().chain([other]).map(|device| device.id.clone());
            let devices: Vec<String> = ids.collect();
            found.push(Nearest {
                words: format!("devices {}", devices.join(",")),
                demand: Demand {
                    devices,
                    ..demand.clone()
                },
            });
        }
        found.extend(others.iter().map(|device| on(device, demand)));
    }
    found
}

/// The same demand on `device` alone.
pub(crate) fn on(device: &Device, demand: &Demand) -> Nearest {
    Nearest {
        words: format!("device {}", device.id),
        demand: Demand {
            devices: vec![device.id.clone()],
            ..demand.clone()
        },
    }
}

fn sequences(count: u32) -> String {
    if count == 1 {
        "1 sequence".to_owned()
    } else {
        format!("{count} sequences")
    }
}
