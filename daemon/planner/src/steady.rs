//! Types that stay what they are while little changes: other types are another file of gigabytes to make.

use std::collections::{HashMap, HashSet};

use mains_contract::{BlockFormat, Bytes, Inventory};
use mains_types::{Demand, GroupSensitivity, ModelFacts, NoPlan, Plan, Policy, Sensitivity};

use crate::place::plan;
use crate::variant;

/// Steps that free memory is rounded down to where types are chosen: between half as many and so many. What programs take
/// and give back from one load to the next is less than a step as a rule, and at most a 32nd goes to context instead of types.
pub const MEMORY_STEPS: u64 = 64;

/// A file that is there is taken when its predicted KL divergence is above the best by so large a share of it at most: a
/// tenth is below what predictions are off by.
pub const KEPT_SHARE: f64 = 0.1;

/// And by so much more, nats a token, unless the policy is `quality`: where the best is next to nothing, a tenth of it is noise.
pub const KEPT_KL: f64 = 2e-4;

/// The types of a file of weights that is there, by the names of tensors.
pub type KeptTypes = HashMap<String, BlockFormat>;

/// As [`plan`], with types that do not follow every small change of free memory: they are chosen for memory in
/// [`MEMORY_STEPS`], and those of a file that is there, of `kept`, are taken instead where they cost hardly more quality,
/// no context and no sequences. Context and sequences get all the memory that there is. Who bounds the bytes of weights
/// gets the best within them: what may be used then does not depend on what is free.
///
/// # Errors
/// As [`plan`].
pub fn plan_steadily(
    inventory: &Inventory,
    facts: &ModelFacts,
    model: &str,
    demand: &Demand,
    kept: &[KeptTypes],
) -> Result<Plan, NoPlan> {
    if facts.sensitivity.is_none() {
        return plan(inventory, facts, model, demand);
    }
    let coarse = in_steps(inventory);
    let Ok(best) = plan(&coarse, facts, model, demand) else {
        return plan(inventory, facts, model, demand);
    };
    let with = |inventory: &Inventory, types: &KeptTypes| {
        plan(inventory, &keeping(facts, types)?, model, demand).ok()
    };
    let wanted = types_of(&best);
    let needs_no_other = demand.weights.is_some() || wanted == stored(facts) || kept.contains(&wanted);
    let others = kept.iter().filter(|_| !needs_no_other);
    let taken = others
        .filter_map(|types| with(&coarse, types))
        .filter(|kept| serves(kept, &best))
        .min_by(|one, other| one.kl.partial_cmp(&other.kl).unwrap_or(std::cmp::Ordering::Equal));
    let gap = best.gap + taken.as_ref().map_or(0.0, |taken| lag(taken, &best));
    let chosen = taken.unwrap_or(best);
    let whole = with(inventory, &types_of(&chosen)).unwrap_or(chosen);
    // Of the model as it is: what keeps its types was planned as if they were its own.
    let weights = variant::weights(facts, &whole.tensors);
    Ok(Plan {
        weights,
        variant: variant::digest(&weights, whole.kv_format),
        gap,
        ..whole
    })
}

/// Whether `kept`, whose file is there, does for what `best` would be made for.
fn serves(kept: &Plan, best: &Plan) -> bool {
    let (Some(kl), Some(least)) = (kept.kl, best.kl) else {
        return false;
    };
    let on = |plan: &Plan| -> Vec<String> {
        let segments = plan.segments.iter();
        segments.map(|segment| segment.device.clone()).collect()
    };
    let smaller = |bytes: Bytes| Bytes(bytes.0.saturating_add(bytes.0 / 10));
    let fast = best.policy != Policy::Speed || kept.bytes.weights <= smaller(best.bytes.weights);
    let noise = if best.policy == Policy::Quality {
        0.0
    } else {
        KEPT_KL
    };
    kl <= least * (1.0 + KEPT_SHARE) + noise
        && kept.context >= best.context
        && kept.parallel >= best.parallel
        && fast
        && on(kept) == on(best)
}

/// How far `kept` is from `best`, as a share of what was minimised.
fn lag(kept: &Plan, best: &Plan) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share of bytes needs few digits")]
    let of = |plan: &Plan| match plan.policy {
        Policy::Speed => plan.bytes.weights.0 as f64,
        _ => plan.kl.unwrap_or(0.0),
    };
    let (kept, best) = (of(kept), of(best));
    if kept > best { (kept - best) / kept } else { 0.0 }
}

fn types_of(plan: &Plan) -> KeptTypes {
    let tensors = plan.tensors.iter();
    tensors
        .map(|tensor| (tensor.name.clone(), tensor.format))
        .collect()
}

fn stored(facts: &ModelFacts) -> KeptTypes {
    let tensors = facts.tensors.iter();
    tensors
        .map(|tensor| (tensor.name.clone(), tensor.format))
        .collect()
}

/// `facts` as if the model had `types` and no others, each with what it costs. `None` when the table does not know one, or
/// they are of other tensors.
fn keeping(facts: &ModelFacts, types: &KeptTypes) -> Option<ModelFacts> {
    let table = facts.sensitivity.as_ref()?;
    let before = stored(facts);
    if types.len() != before.len() {
        return None;
    }
    let mut grouped = HashSet::new();
    let mut groups = Vec::with_capacity(table.groups.len());
    for group in &table.groups {
        let mut formats = group.tensors.iter().map(|name| types.get(name));
        let Some(Some(first)) = formats.next() else {
            continue;
        };
        if !formats.all(|format| format == Some(first)) {
            return None;
        }
        let measured = group.damages.iter().find(|(format, _)| format == first);
        let as_stored = || group.tensors.iter().all(|name| before.get(name) == Some(first));
        let damage = measured
            .map(|(_, damage)| *damage)
            .or_else(|| as_stored().then_some(0.0))?;
        grouped.extend(group.tensors.iter().map(String::as_str));
        groups.push(GroupSensitivity {
            damages: vec![(*first, damage)],
            ..group.clone()
        });
    }
    let mut tensors = facts.tensors.clone();
    for tensor in &mut tensors {
        let format = *types.get(&tensor.name)?;
        if format != tensor.format && !grouped.contains(tensor.name.as_str()) {
            return None;
        }
        tensor.format = format;
    }
    Some(ModelFacts {
        tensors,
        sensitivity: Some(Sensitivity {
            groups,
            ..table.clone()
        }),
        ..facts.clone()
    })
}

/// The devices with free memory in whole steps.
fn in_steps(inventory: &Inventory) -> Inventory {
    let mut coarse = inventory.clone();
    for memory in coarse
        .devices
        .iter_mut()
        .filter_map(|device| device.memory.as_mut())
    {
        memory.free = memory.free.map(rounded);
    }
    coarse
}

/// `free` rounded down to a whole number of steps, of which it has [`MEMORY_STEPS`] at the most.
fn rounded(free: Bytes) -> Bytes {
    let below = free.0.checked_ilog2().map_or(1, |log| 1 << log);
    let step = (below / (MEMORY_STEPS / 2)).max(1);
    Bytes(free.0 / step * step)
}

#[cfg(test)]
mod tests {
    use mains_contract::Bytes;
    use proptest::prelude::*;

    use super::rounded;

    #[test]
    fn small_changes_are_hidden() {
        assert_eq!(rounded(Bytes((22 << 30) + 5000)), rounded(Bytes(22 << 30)));
    }

    proptest! {
        #[test]
        fn a_step_is_at_most_a_32nd(free in any::<u64>()) {
            let Bytes(down) = rounded(Bytes(free));
            prop_assert!(down <= free && free - down <= free / 32);
            prop_assert_eq!(rounded(Bytes(down)), Bytes(down));
        }
    }
}
