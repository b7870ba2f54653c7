//! What memory is spent on first: types, KV type, context and sequences of one model on its devices.
//!
//! - `balanced`: types and KV type that stay under [`BALANCED_KL`] in as few bytes as possible, then context, then sequences,
//!   and what is left goes to better types.
//! - `speed`: the same in as few bytes as [`SPEED_KL`] allows; what is left stays free.
//! - `quality`: the best types that leave room for [`QUALITY_CONTEXT`] positions, then context, then sequences.
//!
//! A model that was not measured keeps its types under every policy.

use std::cmp::Ordering;
use std::rc::Rc;

use mains_contract::{BlockFormat, Bytes};
use mains_types::{Demand, ModelFacts, Policy};

use crate::adds::Adds;
use crate::fit::{AskedShape, Costs, Shape};
use crate::knapsack::KnapsackError;
use crate::rooms::Rooms;
use crate::share;
use crate::types::{Choices, Types};

/// KL divergence that `balanced` stays under, nats a token: what llama.cpp's customary `Q4_K_M` does to Llama-3-8B.
pub const BALANCED_KL: f64 = 0.03;

/// KL divergence that `speed` stays under: what `Q3_K_M` does to the same model.
pub const SPEED_KL: f64 = 0.085;

/// KL divergence beyond which no plan is made unless the bytes of weights are asked for: what `Q2_K` does to the same
/// model, which then takes another token at every fourth position.
pub const WORST_KL: f64 = 0.33;

/// Positions that `quality` leaves room for before it chooses types.
pub const QUALITY_CONTEXT: u32 = 4096;

/// A model on its devices, and what was asked for.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) facts: &'a ModelFacts,
    pub(crate) rooms: Rc<Rooms<'a>>,
    pub(crate) choices: Choices<'a>,
    pub(crate) asked: AskedShape,
    pub(crate) weights: Option<Bytes>,
    pub(crate) policy: Policy,
}

/// What was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Chosen<'a> {
    pub(crate) types: Types,
    pub(crate) kv: BlockFormat,
    pub(crate) shape: Shape,
    pub(crate) costs: Costs<'a>,
    /// The damage to expect; `None` when the model was not measured.
    pub(crate) kl: Option<f64>,
}

/// Why nothing was chosen.
#[derive(Debug, Clone)]
pub(crate) enum Refused<'a> {
    /// Too little memory: what the smallest types that would do cost.
    Memory(Costs<'a>),
    /// The bytes of weights that were asked for are too few: the least that there can be.
    Weights(Bytes, String),
    /// No types would do, whatever the memory.
    Types(String),
}

impl Chosen<'_> {
    fn bytes(&self) -> Bytes {
        self.costs.bytes(self.shape).total()
    }
}

impl<'a> Problem<'a> {
    /// # Errors
    /// A sentence when the model can not go to these devices.
    pub(crate) fn new(facts: &'a ModelFacts, rooms: Rooms<'a>, demand: &Demand) -> Result<Self, String> {
        let rooms = Rc::new(rooms);
        if rooms.list.len() > 1 && facts.borders.is_empty() {
            return Err(format!(
                "its layers can not be parted, so {} do not help together",
                rooms.names()
            ));
        }
        Ok(Self {
            choices: Choices::new(facts, Rc::clone(&rooms))?,
            facts,
            rooms,
            asked: AskedShape {
                context: demand.context,
                parallel: demand.parallel,
            },
            weights: demand.weights,
            policy: demand.policy.unwrap_or_default(),
        })
    }

    /// The best choice over all KV types.
    pub(crate) fn choose(&self) -> Result<Chosen<'a>, Refused<'a>> {
        let mut best: Option<Chosen<'a>> = None;
        let mut refused: Option<Refused<'a>> = None;
        for (kv, damage) in self.kv_types() {
            match self.choose_with(kv, damage) {
                Ok(chosen) if best.as_ref().is_none_or(|best| self.prefers(&chosen, best)) => {
                    best = Some(chosen)
                }
                Ok(_) => {}
                Err(why) => refused = Some(self.kinder(refused, why)),
            }
        }
        let nothing = || Refused::Types("its driver takes no type of keys and values".to_owned());
        best.ok_or_else(|| refused.unwrap_or_else(nothing))
    }

    /// KV types that every driver takes, with their damage; only the first unless others were measured.
    fn kv_types(&self) -> impl Iterator<Item = (BlockFormat, f64)> {
        let measured = |kv: BlockFormat| {
            let table = self.choices.table()?;
            let mut known = table.kv.iter();
            known.find(|(known, _)| *known == kv).map(|(_, damage)| *damage)
        };
        let (first, others) = self.rooms.list.split_first().expect("a problem has a device");
        let taken = |kv: BlockFormat| {
            let mut others = others.iter();
            others.all(|room| room.costs.kv.iter().any(|(known, _)| *known == kv))
        };
        let all = first.costs.kv.iter().map(|(kv, _)| *kv);
        let all = all.filter(move |kv| taken(*kv)).enumerate();
        all.filter_map(move |(index, kv)| Some((kv, measured(kv).or((index == 0).then_some(0.0))?)))
    }

    fn choose_with(&self, kv: BlockFormat, damage: f64) -> Result<Chosen<'a>, Refused<'a>> {
        let (types, shape) = match (self.weights, self.policy) {
            (Some(budget), _) => self.within_budget(kv, budget)?,
            (None, _) if !self.choices.are_measured() => self.as_stored(kv)?,
            (None, Policy::Quality) => self.quality(kv, damage)?,
            (None, Policy::Balanced) => self.under_floor(kv, damage, BALANCED_KL)?,
            (None, Policy::Speed) => self.under_floor(kv, damage, SPEED_KL)?,
        };
        let costs = self.costs_of(kv, &types.adds);
        let kl = self.choices.table().zip(types.damage);
        let kl = kl.map(|(table, sum)| table.predict(sum + damage));
        Ok(Chosen {
            types,
            kv,
            shape,
            costs,
            kl,
        })
    }

    fn as_stored(&self, kv: BlockFormat) -> Result<(Types, Shape), Refused<'a>> {
        let types = self.choices.smallest().map_err(broken)?;
        let shape = self.shape(self.costs_of(kv, &types.adds))?;
        Ok((types, shape))
    }

    fn under_floor(&self, kv: BlockFormat, damage: f64, floor: f64) -> Result<(Types, Shape), Refused<'a>> {
        let fewest = self.fewest(damage, floor)?;
        let shape = self.shape(self.reserving(kv, &fewest))?;
        let types = if self.policy == Policy::Speed {
            fewest
        } else {
            self.better(kv, shape, fewest)
        };
        Ok((types, shape))
    }

    fn quality(&self, kv: BlockFormat, damage: f64) -> Result<(Types, Shape), Refused<'a>> {
        let fewest = self.fewest(damage, WORST_KL)?;
        let reserving = self.reserving(kv, &fewest);
        let least = self.asked.least(self.facts);
        let context = match self.asked.context {
            Some(context) => context,
            None => {
                let most = QUALITY_CONTEXT.min(self.facts.context);
                let found = reserving.largest_context(least.context, most, least.parallel);
                found.ok_or_else(|| Refused::Memory(reserving.clone()))?
            }
        };
        let first = Shape { context, ..least };
        if !reserving.fits(first) {
            return Err(Refused::Memory(reserving));
        }
        let types = self.better(kv, first, fewest);
        let costs = self.costs_of(kv, &types.adds);
        let shape = costs.largest_shape(&self.asked, first);
        Ok((types, shape.unwrap_or(first)))
    }

    fn within_budget(&self, kv: BlockFormat, budget: Bytes) -> Result<(Types, Shape), Refused<'a>> {
        let types = self
            .choices
            .within(budget)
            .map_err(|error| self.too_few(&error))?;
        let costs = self.costs_of(kv, &types.adds);
        if let Ok(shape) = self.shape(costs) {
            return Ok((types, shape));
        }
        let smallest = self.choices.smallest().map_err(broken)?;
        let reserving = self.reserving(kv, &smallest);
        let shape = self.asked.least(self.facts);
        if !reserving.fits(shape) {
            return Err(Refused::Memory(reserving));
        }
        let best = self.best(kv, shape, &smallest);
        Ok((
            best.filter(|types| types.stored <= budget).unwrap_or(smallest),
            shape,
        ))
    }

    /// Why the bytes of weights that were asked for do not do.
    fn too_few(&self, error: &KnapsackError) -> Refused<'a> {
        let why = if self.choices.are_measured() {
            error.to_string()
        } else {
            format!("{error}, and without a sensitivity table its tensors keep their types")
        };
        let why = format!("bytes of weights: {why}");
        match error {
            KnapsackError::Budget { least, .. } => Refused::Weights(*least, why),
            _ => Refused::Types(why),
        }
    }

    /// The fewest bytes of types that stay under `floor` beside a KV type's `damage`.
    fn fewest(&self, damage: f64, floor: f64) -> Result<Types, Refused<'a>> {
        let bound = self
            .choices
            .table()
            .map_or(floor, |table| table.sum_within(floor));
        let types = self.choices.fewest((bound - damage).max(0.0));
        types.map_err(|error| Refused::Types(format!("no types stay under {floor} nats a token: {error}")))
    }

    /// Types for `shape` that damage less than `least`, which fit, with what those leave.
    fn better(&self, kv: BlockFormat, shape: Shape, least: Types) -> Types {
        // The best is within a gap of the optimum, which `least` may be.
        let is_better = |types: &Types| types.damage <= least.damage;
        self.best(kv, shape, &least).filter(is_better).unwrap_or(least)
    }

    /// The best types for `shape`, where `least` would fit with working memory for any.
    fn best(&self, kv: BlockFormat, shape: Shape, least: &Types) -> Option<Types> {
        let reserving = self.reserving(kv, least);
        let (runs, limits) = (reserving.cut(shape)?, reserving.limits(shape)?);
        let within = |adds: &Adds| {
            let costs = self.costs_of(kv, &Rc::new(adds.without_weights()));
            share::best(&self.choices, &costs, &runs, &limits)
        };
        let types = within(&self.choices.worst)?;
        // What the chosen types do not need of the working memory that was set aside goes to better ones, if those do not
        // need it either.
        let better = within(&types.adds).filter(|types| self.costs_of(kv, &types.adds).fits(shape));
        Some(better.unwrap_or(types))
    }

    fn shape(&self, costs: Costs<'a>) -> Result<Shape, Refused<'a>> {
        let shape = costs.largest_shape(&self.asked, self.asked.least(self.facts));
        shape.ok_or(Refused::Memory(costs))
    }

    pub(crate) fn costs_of(&self, kv: BlockFormat, adds: &Rc<Adds>) -> Costs<'a> {
        Costs {
            facts: self.facts,
            rooms: Rc::clone(&self.rooms),
            kv,
            adds: Rc::clone(adds),
        }
    }

    /// The costs of `types` with working memory for any: so more memory never ends in a smaller shape.
    fn reserving(&self, kv: BlockFormat, types: &Types) -> Costs<'a> {
        self.costs_of(kv, &Rc::new(types.adds.beside(&self.choices.worst)))
    }

    /// Whether the policy has `one` rather than `other`.
    pub(crate) fn prefers(&self, one: &Chosen<'_>, other: &Chosen<'_>) -> bool {
        let better = |kl: Option<f64>, than: Option<f64>| {
            let [kl, than] = [kl, than].map(|kl| kl.unwrap_or(f64::INFINITY));
            than.total_cmp(&kl)
        };
        let quality = better(one.kl, other.kl);
        let shape = one.shape.cmp(&other.shape);
        let fewer = other.bytes().cmp(&one.bytes());
        let order = match self.policy {
            Policy::Quality => quality.then(shape),
            Policy::Balanced => shape.then(quality),
            Policy::Speed => shape.then(fewer),
        };
        order == Ordering::Greater
    }

    /// Of two refusals the one that less would mend.
    fn kinder(&self, one: Option<Refused<'a>>, other: Refused<'a>) -> Refused<'a> {
        let needed = |refused: &Refused<'_>| match refused {
            Refused::Memory(costs) => costs.bytes(self.asked.least(self.facts)).total(),
            Refused::Weights(..) | Refused::Types(_) => Bytes(u64::MAX),
        };
        match one {
            Some(one) if needed(&one) <= needed(&other) => one,
            _ => other,
        }
    }
}

fn broken(error: KnapsackError) -> Refused<'static> {
    Refused::Types(format!("its sensitivity table can not be used: {error}"))
}
