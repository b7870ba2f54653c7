//! Which device a model goes to.

use mains_contract::{Bytes, Device, DeviceKind, HealthState, Inventory};
use mains_types::{Demand, ModelFacts, NoPlan, Plan, PlannedTensor, Segment};

use crate::explain;
use crate::fit::MAX_PARALLEL;
use crate::policy::{Chosen, Problem, Refused};
use crate::{speed, variant};

/// Left free on a device whose memory the host's processes share: the daemon, the journal, a shell to help with.
pub const HOST_RESERVE: Bytes = Bytes::from_mib(256);

/// Plans `model` for `demand`: the device with the best plan, the first of the inventory when several have it. Where an
/// accelerator can compute the model, the CPU is taken only when it is asked for.
///
/// # Errors
/// [`NoPlan`] when what is demanded can not be honoured, with the figures and the nearest demands that would.
pub fn plan(inventory: &Inventory, facts: &ModelFacts, model: &str, demand: &Demand) -> Result<Plan, NoPlan> {
    check_demand(facts, demand)?;
    let mut best: Option<(Problem<'_>, Chosen<'_>, &Device)> = None;
    let mut reasons = Vec::new();
    let mut nearest = Vec::new();
    let devices = asked(inventory, facts, demand)?;
    for device in &devices {
        let problem = match usable(device, facts, demand) {
            Ok(problem) => problem,
            Err(reason) => {
                reasons.push(reason);
                continue;
            }
        };
        match problem.choose() {
            Ok(chosen) => {
                if best
                    .as_ref()
                    .is_none_or(|(_, best, _)| problem.prefers(&chosen, best))
                {
                    best = Some((problem, chosen, device));
                }
            }
            Err(Refused::Memory(costs)) => {
                reasons.push(explain::shortage(&problem, &costs, &device.id));
                nearest.extend(explain::nearest(&problem, &costs, &device.id));
            }
            Err(Refused::Types(why)) => reasons.push(format!("on {}: {why}", device.id)),
        }
    }
    if let Some((problem, chosen, device)) = best {
        return Ok(stated(&problem, chosen, device, model));
    }
    nearest.extend(elsewhere(inventory, facts, demand, &devices));
    if reasons.is_empty() {
        reasons.push("no device was found; `mains devices` tells what was asked".to_owned());
    }
    Err(NoPlan {
        reason: format!("{model} does not fit: {}", reasons.join("; ")),
        nearest,
    })
}

/// Devices that were not considered and have a plan for the same demand.
fn elsewhere(
    inventory: &Inventory,
    facts: &ModelFacts,
    demand: &Demand,
    considered: &[&Device],
) -> Vec<String> {
    let mut found = Vec::new();
    for device in &inventory.devices {
        if considered.iter().any(|other| other.id == device.id) || demand.memory.is_some() {
            continue;
        }
        let chosen = usable(device, facts, demand).ok();
        if let Some(Ok(chosen)) = chosen.map(|problem| problem.choose()) {
            let Chosen { shape, .. } = chosen;
            found.push(format!(
                "device {}, context {} and parallel {}",
                device.id, shape.context, shape.parallel
            ));
        }
    }
    found
}

fn check_demand(facts: &ModelFacts, demand: &Demand) -> Result<(), NoPlan> {
    if let Some(context) = demand.context
        && !(1..=facts.context).contains(&context)
    {
        return Err(NoPlan {
            reason: format!(
                "a context of {context} positions is demanded; this model was made for 1 to {}",
                facts.context
            ),
            nearest: vec![format!("context {}", facts.context)],
        });
    }
    if let Some(parallel) = demand.parallel
        && !(1..=MAX_PARALLEL).contains(&parallel)
    {
        return Err(NoPlan {
            reason: format!("{parallel} sequences at once are demanded; 1 to {MAX_PARALLEL} can be had"),
            nearest: vec![format!("parallel {}", parallel.clamp(1, MAX_PARALLEL))],
        });
    }
    Ok(())
}

/// The devices that may be considered: the one that was asked for, or the accelerators that can compute the model, or all
/// when there is no such.
fn asked<'a>(
    inventory: &'a Inventory,
    facts: &ModelFacts,
    demand: &Demand,
) -> Result<Vec<&'a Device>, NoPlan> {
    let Some(id) = &demand.device else {
        let is_accelerator = |device: &&Device| {
            let computes = facts
                .costs
                .iter()
                .any(|costs| device.usable_by.contains(&costs.driver));
            computes && !matches!(device.kind, DeviceKind::Cpu | DeviceKind::Software)
        };
        let accelerators: Vec<&Device> = inventory.devices.iter().filter(is_accelerator).collect();
        if accelerators.is_empty() {
            return Ok(inventory.devices.iter().collect());
        }
        return Ok(accelerators);
    };
    match inventory.devices.iter().find(|device| device.id == *id) {
        Some(device) => Ok(vec![device]),
        None => Err(NoPlan {
            reason: format!("there is no device {id:?}"),
            nearest: inventory
                .devices
                .iter()
                .map(|device| format!("device {}", device.id))
                .collect(),
        }),
    }
}

/// What there is to choose on `device`, or why the model can not go there.
pub(crate) fn usable<'a>(
    device: &Device,
    facts: &'a ModelFacts,
    demand: &Demand,
) -> Result<Problem<'a>, String> {
    let id = &device.id;
    if matches!(device.health.state, HealthState::Failed | HealthState::Lost) {
        let why = device.health.reasons.join(", ");
        return Err(format!("{id} is {}: {why}", device.health.state.name()));
    }
    if device.usable_by.is_empty() {
        let why = device
            .unusable_because
            .as_deref()
            .unwrap_or("no driver computes on it");
        return Err(format!("{id}: {why}"));
    }
    let found = facts
        .costs
        .iter()
        .find(|costs| device.usable_by.contains(&costs.driver));
    let Some(costs) = found else {
        let refused = facts
            .unsupported
            .iter()
            .filter(|(driver, _)| device.usable_by.contains(driver));
        let why: Vec<_> = refused
            .map(|(driver, reason)| format!("driver {driver}: {reason}"))
            .collect();
        return Err(format!("{id} can not compute it ({})", why.join(", ")));
    };
    let driver = device.drivers.iter().find(|driver| driver.name == costs.driver);
    let driver = driver.ok_or_else(|| {
        let name = &costs.driver;
        format!("what driver {name} allocates on {id} is not known: export its inventory with this version of mains")
    })?;
    let memory = demand.memory.or_else(|| free(device)).ok_or_else(|| {
        format!("the free memory of {id} is not known; say how much may be used (`--memory`)")
    })?;
    Problem::new(facts, costs, driver.threads, memory, demand)
}

fn free(device: &Device) -> Option<Bytes> {
    let memory = device.memory?;
    let free = memory.free?;
    let reserve = if memory.shared { HOST_RESERVE } else { Bytes::ZERO };
    Some(free.checked_sub(reserve).unwrap_or(Bytes::ZERO))
}

/// The plan that a choice is.
fn stated(problem: &Problem<'_>, chosen: Chosen<'_>, device: &Device, model: &str) -> Plan {
    let facts = problem.facts;
    let limits = chosen.costs.limits(chosen.shape);
    let limits = limits.expect("a shape was chosen because its blocks can be numbered");
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
    let run = speed::Run {
        facts,
        formats: &chosen.types.formats,
        footprint: &chosen.costs.footprint,
        driver: &problem.costs.driver,
        threads: problem.threads,
        context: chosen.shape.context,
    };
    let weights = variant::weights(facts, &tensors);
    Plan {
        model: model.to_owned(),
        weights,
        variant: variant::digest(&weights, chosen.kv),
        policy: problem.policy,
        segments: vec![Segment {
            device: device.id.clone(),
            driver: problem.costs.driver.clone(),
            threads: problem.threads,
            first_layer: 0,
            last_layer: facts.layers.saturating_sub(1),
        }],
        context: chosen.shape.context,
        parallel: chosen.shape.parallel,
        step_rows: number(limits.rows),
        block_tokens: number(limits.block_tokens),
        blocks: number(limits.blocks),
        kv_format: chosen.kv,
        bytes: chosen.bytes(),
        predicted: speed::predict(&run, device),
        kl: chosen.kl,
        gap: chosen.types.gap,
        tensors,
    }
}
