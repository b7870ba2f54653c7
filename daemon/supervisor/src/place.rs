//! Finds a place for a model: facts, devices, a plan, and its bytes reserved.

use std::sync::Arc;

use mains_contract::Inventory;
use mains_planner::plan_steadily;
use mains_types::{Around, Demand, ModelFacts, NoPlan, Plan};

use crate::context::Context;
use crate::devices::Freshness;
use crate::error::SupervisorError;
use crate::reservations::{ReservationId, Shortage};
use crate::settings::Settings;
use crate::variants;

/// How often a place is looked for while others take what was just freed.
const ATTEMPTS: u32 = 4;

/// Bytes that are promised to one load. Given back when it is dropped: keep it until the worker's end is proved.
pub(crate) struct Room {
    context: Arc<Context>,
    id: ReservationId,
}

impl Room {
    /// Promises the bytes of `plan`.
    pub(crate) fn reserve(context: &Arc<Context>, plan: &Plan) -> Result<Self, Shortage> {
        let id = context.reservations().reserve(plan)?;
        let context = Arc::clone(context);
        Ok(Self { context, id })
    }

    /// The worker has allocated them.
    pub(crate) fn loaded(&self) {
        self.context.reservations().loaded(self.id);
    }

    /// The worker is about to end.
    pub(crate) fn ending(&self) {
        self.context.reservations().ending(self.id);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.context.reservations().release(self.id);
    }
}

/// Why a model has no place now.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// Not before the model or its configuration changes.
    pub(crate) for_good: bool,
}

impl Refusal {
    pub(crate) const fn for_now(reason: String) -> Self {
        Self {
            reason,
            for_good: false,
        }
    }
}

/// Plans the model and reserves what it takes, unloading idle models for it.
pub(crate) async fn place(
    context: &Arc<Context>,
    settings: &Settings,
    facts: &ModelFacts,
) -> Result<(Arc<Plan>, Room), Refusal> {
    let kept = variants::kept(context, facts).await;
    let _turn = context.turn.take().await;
    let name = &settings.source.name;
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let inventory = context.inventory(Freshness::Memory, settings.threads).await;
        let inventory = inventory.map_err(|error| Refusal::for_now(error.to_string()))?;
        let candidates = context.evictable(name);
        let victims = {
            let mut reservations = context.reservations();
            let idle: Vec<_> = candidates
                .iter()
                .map(|candidate| candidate.model.as_str())
                .collect();
            let seen = reservations.as_seen(&inventory, &idle);
            let planned = plan_steadily(&seen, facts, name, &settings.demand, &kept);
            let plan = planned.map_err(|no| Refusal::for_now(no_plan(&no)));
            let plan = plan.map_err(|refusal| with_holders(context_holders(&reservations), refusal))?;
            match reservations.reserve(&plan) {
                Ok(id) => {
                    let context = Arc::clone(context);
                    return Ok((Arc::new(plan), Room { context, id }));
                }
                Err(shortage) => {
                    let victims = reservations.victims(&shortage, candidates);
                    last = Some(shortage);
                    victims
                }
            }
        };
        let Some(victims) = victims else {
            break;
        };
        for victim in victims {
            tracing::info!(model = %victim, "unloaded to make room for {name}");
            // One that got a request meanwhile stays, and the next attempt finds others.
            context.evict(&victim).await;
        }
    }
    Err(with_holders(
        holders(context),
        Refusal::for_now(too_little(last.as_ref())),
    ))
}

/// The plan for `demand` with what is left and what idle models would give back, without reserving it.
pub(crate) async fn preview(
    context: &Context,
    settings: &Settings,
    demand: &Demand,
) -> Result<Plan, SupervisorError> {
    let facts = context.facts(&settings.source.path).await?;
    let inventory = context.inventory(Freshness::Memory, settings.threads).await?;
    let name = &settings.source.name;
    let seen = as_planned(context, settings, &inventory);
    let kept = variants::kept(context, &facts).await;
    plan_steadily(&seen, &facts, name, &settings.complete(demand), &kept).map_err(|source| {
        SupervisorError::NoPlan {
            model: name.clone(),
            source,
        }
    })
}

/// `plan`, by which a worker runs, with the speed that is predicted by what is known now.
pub(crate) async fn running(context: &Context, settings: &Settings, plan: &Plan) -> Plan {
    let facts = context.facts(&settings.source.path).await;
    let inventory = context.inventory(Freshness::Known, settings.threads).await;
    let known = facts.ok().zip(inventory.ok());
    Plan {
        predicted: known.and_then(|(facts, inventory)| mains_planner::predict_plan(&inventory, &facts, plan)),
        ..plan.clone()
    }
}

/// See [`crate::Supervisor::around`].
pub(crate) async fn around(
    context: &Context,
    settings: &Settings,
    demand: &Demand,
    plan: &Plan,
    elsewhere: Option<&Inventory>,
) -> Result<Vec<Around>, SupervisorError> {
    let facts = context.facts(&settings.source.path).await?;
    if let Some(inventory) = elsewhere {
        return Ok(mains_planner::around(inventory, &facts, demand, plan));
    }
    let inventory = context.inventory(Freshness::Known, settings.threads).await?;
    let seen = as_planned(context, settings, &inventory);
    let demand = settings.complete(demand);
    Ok(mains_planner::around(&seen, &facts, &demand, plan))
}

/// The devices with what is left, what idle models would give back and what the model itself holds.
fn as_planned(context: &Context, settings: &Settings, inventory: &Inventory) -> Inventory {
    let name = settings.source.name.as_str();
    let candidates = context.evictable(name);
    let mut released: Vec<_> = candidates
        .iter()
        .map(|candidate| candidate.model.as_str())
        .collect();
    released.push(name);
    // A measurement in the background ends before a load takes its place.
    released.push(crate::background::need::HOLDER);
    context.reservations().as_seen(inventory, &released)
}

/// The plan for `demand` on the devices of another box.
pub(crate) async fn elsewhere(
    context: &Context,
    settings: &Settings,
    demand: &Demand,
    inventory: &Inventory,
) -> Result<Plan, SupervisorError> {
    let facts = context.facts(&settings.source.path).await?;
    let name = &settings.source.name;
    mains_planner::plan(inventory, &facts, name, demand).map_err(|source| SupervisorError::NoPlan {
        model: name.clone(),
        source,
    })
}

fn no_plan(no: &NoPlan) -> String {
    let words: Vec<&str> = no.nearest.iter().map(|nearest| nearest.words.as_str()).collect();
    if words.is_empty() {
        no.reason.clone()
    } else {
        format!("{}; it would fit with {}", no.reason, words.join(", or with "))
    }
}

fn too_little(shortage: Option<&Shortage>) -> String {
    shortage.map_or_else(|| "no memory could be reserved".to_owned(), ToString::to_string)
}

fn holders(context: &Context) -> String {
    context_holders(&context.reservations())
}

fn context_holders(reservations: &crate::reservations::Reservations) -> String {
    let held = reservations
        .held()
        .map(|held| format!("{} holds {} of {}", held.model, held.bytes, held.device));
    held.collect::<Vec<_>>().join(", ")
}

fn with_holders(holders: String, refusal: Refusal) -> Refusal {
    if holders.is_empty() {
        return refusal;
    }
    Refusal {
        reason: format!("{} ({holders})", refusal.reason),
        ..refusal
    }
}
