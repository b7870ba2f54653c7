//! Which device a model goes to.

use mains_contract::{BlockFormat, Bytes, Device, HealthState, Inventory};
use mains_types::{Demand, ModelFacts, NoPlan, Plan, PlannedTensor, Segment};

use crate::explain;
use crate::fit::{Costs, MAX_PARALLEL, choose};
use crate::{speed, variant};

/// Left free on a device whose memory the host's processes share: the daemon, the journal, a shell to help with.
pub const HOST_RESERVE: Bytes = Bytes::from_mib(256);

/// Type of cached keys and values. The footprints of [`ModelFacts`] are stated for it.
const KV_FORMAT: BlockFormat = BlockFormat::F16;

/// Plans `model` for `demand`: the first device of the inventory that can compute it and has the room.
///
/// # Errors
/// [`NoPlan`] when what is demanded can not be honoured, with the figures and the nearest demands that would.
pub fn plan(inventory: &Inventory, facts: &ModelFacts, model: &str, demand: &Demand) -> Result<Plan, NoPlan> {
    check_demand(facts, demand)?;
    let mut reasons = Vec::new();
    let mut nearest = Vec::new();
    for device in asked(inventory, demand)? {
        let (costs, memory) = match usable(device, facts, demand) {
            Ok(usable) => usable,
            Err(reason) => {
                reasons.push(reason);
                continue;
            }
        };
        if let Some(plan) = plan_on(&costs, device, model, demand, memory) {
            return Ok(plan);
        }
        reasons.push(explain::shortage(&costs, &device.id, demand, memory));
        nearest.extend(explain::nearest(&costs, &device.id, demand, memory));
    }
    if reasons.is_empty() {
        reasons.push("no device was found; `mains devices` tells what was asked".to_owned());
    }
    Err(NoPlan {
        reason: format!("{model} does not fit: {}", reasons.join("; ")),
        nearest,
    })
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

/// The devices that may be considered: the one that was asked for, or all.
fn asked<'a>(inventory: &'a Inventory, demand: &Demand) -> Result<Vec<&'a Device>, NoPlan> {
    let Some(id) = &demand.device else {
        return Ok(inventory.devices.iter().collect());
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

/// What the model costs on `device` and the memory that may be used there, or why the model can not go there.
fn usable<'a>(
    device: &'a Device,
    facts: &'a ModelFacts,
    demand: &Demand,
) -> Result<(Costs<'a>, Bytes), String> {
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
        .footprints
        .iter()
        .find(|(driver, _)| device.usable_by.contains(driver));
    let Some((name, footprint)) = found else {
        let refused = facts
            .unsupported
            .iter()
            .filter(|(driver, _)| device.usable_by.contains(driver));
        let why: Vec<_> = refused
            .map(|(driver, reason)| format!("driver {driver}: {reason}"))
            .collect();
        return Err(format!("{id} can not compute it ({})", why.join(", ")));
    };
    let driver = device.drivers.iter().find(|driver| driver.name == *name);
    let driver = driver.ok_or_else(|| {
        format!("what driver {name} allocates on {id} is not known: export its inventory with this version of mains")
    })?;
    let memory = demand.memory.or_else(|| free(device)).ok_or_else(|| {
        format!("the free memory of {id} is not known; say how much may be used (`--memory`)")
    })?;
    let costs = Costs {
        facts,
        footprint,
        driver,
    };
    Ok((costs, memory))
}

fn free(device: &Device) -> Option<Bytes> {
    let memory = device.memory?;
    let free = memory.free?;
    let reserve = if memory.shared { HOST_RESERVE } else { Bytes::ZERO };
    Some(free.checked_sub(reserve).unwrap_or(Bytes::ZERO))
}

fn plan_on(costs: &Costs<'_>, device: &Device, model: &str, demand: &Demand, memory: Bytes) -> Option<Plan> {
    let facts = costs.facts;
    let shape = choose(costs, demand.context, demand.parallel, memory)?;
    let limits = costs.limits(shape)?;
    let tensors: Vec<_> = facts
        .tensors
        .iter()
        .map(|tensor| PlannedTensor {
            name: tensor.name.clone(),
            format: tensor.format,
            bytes: tensor.bytes(),
        })
        .collect();
    Some(Plan {
        model: model.to_owned(),
        variant: variant::digest(&facts.digest, KV_FORMAT, &tensors),
        segments: vec![Segment {
            device: device.id.clone(),
            driver: costs.driver.name.clone(),
            threads: costs.driver.threads,
            first_layer: 0,
            last_layer: facts.layers.saturating_sub(1),
        }],
        context: shape.context,
        parallel: shape.parallel,
        step_rows: u32::try_from(limits.rows).ok()?,
        block_tokens: u32::try_from(limits.block_tokens).ok()?,
        blocks: u32::try_from(limits.blocks).ok()?,
        kv_format: KV_FORMAT,
        bytes: costs.bytes(shape),
        predicted: speed::predict(costs, device, shape),
        tensors,
    })
}
