//! Which devices a model goes to.

use mains_contract::{Device, Inventory};
use mains_types::{Demand, ModelFacts, Nearest, NoPlan, Plan, PlannedTensor, Segment};

use crate::cut::Run;
use crate::explain;
use crate::fit::MAX_PARALLEL;
use crate::policy::{Chosen, Problem};
use crate::rooms::{Rooms, free, is_accelerator};
use crate::{speed, variant};

/// Plans `model` for `demand`: the device with the best plan, the first of the inventory when several have it. Where an
/// accelerator can compute the model, the CPU is taken only when it is asked for. When no device alone has a plan, layers
/// are split over several: over the accelerators, the one with most memory first, or over those that are demanded, in
/// their order, over no more of them than are needed.
///
/// # Errors
/// [`NoPlan`] when what is demanded can not be honoured, with the figures and the nearest demands that have a plan.
pub fn plan(inventory: &Inventory, facts: &ModelFacts, model: &str, demand: &Demand) -> Result<Plan, NoPlan> {
    let attempt = |demand: &Demand| attempt(inventory, facts, model, demand);
    attempt(demand).map_err(|failure| {
        let mut nearest: Vec<Nearest> = Vec::new();
        let mut further = Vec::new();
        for offer in failure.offers {
            if nearest.iter().any(|known| known.demand == offer.demand) {
                continue;
            }
            match attempt(&offer.demand) {
                Ok(_) => nearest.push(offer),
                Err(failure) => further.push((offer.words, failure.offers)),
            }
        }
        if nearest.is_empty() {
            // One change is not enough: two may be.
            let both = |(words, offers): (String, Vec<Nearest>)| {
                offers.into_iter().map(move |offer| Nearest {
                    words: format!("{words}, with {}", offer.words),
                    ..offer
                })
            };
            let has_plan = |offer: &Nearest| attempt(&offer.demand).is_ok();
            nearest.extend(further.into_iter().flat_map(both).filter(has_plan));
        }
        NoPlan {
            reason: failure.reason,
            nearest,
        }
    })
}

/// Why there is no plan, and demands that may have one.
struct Failure {
    reason: String,
    offers: Vec<Nearest>,
}

fn attempt(inventory: &Inventory, facts: &ModelFacts, model: &str, demand: &Demand) -> Result<Plan, Failure> {
    check(facts, demand)?;
    let mut reasons = Vec::new();
    let mut offers = Vec::new();
    let devices = asked(inventory, facts, demand)?;
    let ranks = attempts(&devices, demand);
    let last = ranks.len() - 1;
    for (rank, choices) in ranks.into_iter().enumerate() {
        // Of more and more devices only all together say something that one alone does not.
        let tells = rank == 0 || rank == last;
        let mut best: Option<(Problem<'_>, Chosen<'_>)> = None;
        for devices in choices {
            let rooms = Rooms::new(inventory, facts, demand, &devices);
            let problem = match rooms.and_then(|rooms| Problem::new(facts, rooms, demand)) {
                Ok(problem) => problem,
                Err(reason) => {
                    reasons.extend(tells.then_some(reason));
                    continue;
                }
            };
            match problem.choose() {
                Ok(chosen) => {
                    let is_better = |(_, best): &(_, Chosen<'_>)| problem.prefers(&chosen, best);
                    if best.as_ref().is_none_or(is_better) {
                        best = Some((problem, chosen));
                    }
                }
                Err(_) if !tells => {}
                Err(refused) => {
                    offers.extend(explain::offers(&problem, &refused, demand));
                    reasons.push(explain::reason(&problem, refused));
                }
            }
        }
        if let Some((problem, chosen)) = best {
            return Ok(stated(&problem, chosen, model));
        }
    }
    offers.extend(explain::elsewhere(inventory, demand, &devices));
    if reasons.is_empty() {
        reasons.push("no device was found; `mains devices` tells what was asked".to_owned());
    }
    Err(Failure {
        reason: format!("{model} does not fit: {}", reasons.join("; ")),
        offers,
    })
}

fn check(facts: &ModelFacts, demand: &Demand) -> Result<(), Failure> {
    let refuse = |reason: String, demand: Demand, words: String| {
        Err(Failure {
            reason,
            offers: vec![Nearest { demand, words }],
        })
    };
    if let Some(context) = demand.context
        && !(1..=facts.context).contains(&context)
    {
        let most = facts.context;
        let nearer = Demand {
            context: Some(most),
            ..demand.clone()
        };
        let reason =
            format!("a context of {context} positions is demanded; this model was made for 1 to {most}");
        return refuse(reason, nearer, format!("context {most}"));
    }
    if let Some(parallel) = demand.parallel
        && !(1..=MAX_PARALLEL).contains(&parallel)
    {
        let most = parallel.clamp(1, MAX_PARALLEL);
        let nearer = Demand {
            parallel: Some(most),
            ..demand.clone()
        };
        let reason = format!("{parallel} sequences at once are demanded; 1 to {MAX_PARALLEL} can be had");
        return refuse(reason, nearer, format!("parallel {most}"));
    }
    Ok(())
}

/// The devices that may be considered, in order: those that were asked for, or the accelerators that can compute the model,
/// or all when there is no such.
fn asked<'a>(
    inventory: &'a Inventory,
    facts: &ModelFacts,
    demand: &Demand,
) -> Result<Vec<&'a Device>, Failure> {
    if demand.devices.is_empty() {
        let is_usable = |device: &&Device| {
            let mut costs = facts.costs.iter();
            is_accelerator(device) && costs.any(|costs| device.usable_by.contains(&costs.driver))
        };
        let accelerators: Vec<&Device> = inventory.devices.iter().filter(is_usable).collect();
        if accelerators.is_empty() {
            return Ok(inventory.devices.iter().collect());
        }
        return Ok(accelerators);
    }
    let mut devices: Vec<&Device> = Vec::new();
    for id in &demand.devices {
        let mut known = inventory.devices.iter();
        match known.find(|device| device.id == *id) {
            Some(device) if devices.iter().any(|other| other.id == *id) => {
                let id = &device.id;
                return Err(Failure {
                    reason: format!("device {id:?} is demanded twice; name it once"),
                    offers: Vec::new(),
                });
            }
            Some(device) => devices.push(device),
            None => {
                return Err(Failure {
                    reason: format!("there is no device {id:?}"),
                    offers: inventory
                        .devices
                        .iter()
                        .map(|device| explain::on(device, demand))
                        .collect(),
                });
            }
        }
    }
    Ok(devices)
}

/// Sets of devices by rank: the best of the first rank that has a plan is taken.
fn attempts<'a>(devices: &[&'a Device], demand: &Demand) -> Vec<Vec<Vec<&'a Device>>> {
    let mut order = devices.to_vec();
    let mut ranks = Vec::new();
    let alone = if demand.devices.is_empty() {
        // Stable: of equal devices the first of the inventory comes first.
        order.retain(|device| is_accelerator(device));
        order.sort_by_key(|device| std::cmp::Reverse(free(device)));
        devices.len()
    } else {
        1
    };
    let mut different: Vec<&Device> = Vec::new();
    for device in &devices[..alone.min(devices.len())] {
        if !different.iter().any(|known| are_alike(known, device)) {
            different.push(device);
        }
    }
    ranks.push(different.into_iter().map(|device| vec![device]).collect());
    for count in 2..=order.len() {
        ranks.push(vec![order[..count].to_vec()]);
    }
    ranks
}

/// Whether a model alone on one of them is planned as on the other: the first has its plan then, or the reason why not.
fn are_alike(one: &Device, other: &Device) -> bool {
    let of = |device: &Device| {
        let shared = device.memory.is_some_and(|memory| memory.shared);
        (device.kind, free(device), shared, device.health.state)
    };
    of(one) == of(other)
        && one.usable_by == other.usable_by
        && one.drivers == other.drivers
        && one.health.reasons == other.health.reasons
        && one.unusable_because == other.unusable_because
}

/// The plan that a choice is.
fn stated(problem: &Problem<'_>, chosen: Chosen<'_>, model: &str) -> Plan {
    let Problem { facts, rooms, .. } = problem;
    let limits = chosen.costs.limits(chosen.shape);
    let limits = limits.expect("a shape was chosen because its blocks can be numbered");
    let runs = chosen.costs.cut(chosen.shape);
    let runs = runs.expect("a shape was chosen because it fits");
    let number = |count: usize| u32::try_from(count).expect("limits are made of 32 bits");
    let tensors: Vec<_> = facts
        .tensors
        .iter()
        .zip(&chosen.types.formats)
        .map(|(tensor, format)| PlannedTensor {
            name: tensor.name.clone(),
            format: *format,
            bytes: tensor.bytes_in(*format),
        })
        .collect();
    let weights = variant::weights(facts, &tensors);
    Plan {
        model: model.to_owned(),
        weights,
        variant: variant::digest(&weights, chosen.kv),
        policy: problem.policy,
        segments: runs.iter().map(|run| segment(problem, run)).collect(),
        host: rooms.host.device.clone(),
        context: chosen.shape.context,
        parallel: chosen.shape.parallel,
        step_rows: number(limits.rows),
        block_tokens: number(limits.block_tokens),
        blocks: number(limits.blocks),
        kv_format: chosen.kv,
        bytes: chosen.costs.bytes_of(&runs, &limits),
        predicted: speed::predict(&chosen.costs, &chosen.types.formats, &runs, chosen.shape.context),
        kl: chosen.kl,
        gap: chosen.types.gap,
        tensors,
    }
}

fn segment(problem: &Problem<'_>, run: &Run) -> Segment {
    let room = &problem.rooms.list[run.room];
    let border = |part: usize| {
        problem
            .facts
            .borders
            .get(part)
            .filter(|_| problem.rooms.list.len() > 1)
    };
    let before = run.first.checked_sub(1).and_then(border);
    let last = problem.facts.layers.saturating_sub(1);
    Segment {
        device: room.device.id.clone(),
        driver: room.costs.driver.clone(),
        threads: room.threads,
        first_layer: before.map_or(0, |border| border.after_layer + 1),
        last_layer: border(run.last).map_or(last, |border| border.after_layer),
        bytes: run.bytes,
    }
}
