//! What memory is spent on first: types, KV type, context and sequences of one model on one device.
//!
//! - `balanced`: types and KV type that stay under [`BALANCED_KL`] in as few bytes as possible, then context, then sequences,
//!   and what is left goes to better types.
//! - `speed`: the same in as few bytes as [`SPEED_KL`] allows; what is left stays free.
//! - `quality`: the best types that leave room for [`QUALITY_CONTEXT`] positions, then context, then sequences.
//!
//! A model that was not measured keeps its types under every policy.

use std::cmp::Ordering;

use mains_contract::{BlockFormat, Bytes, FootprintModel};
use mains_types::{Demand, DriverCosts, ModelFacts, PlanBytes, Policy};

use crate::fit::{AskedShape, Costs, Shape};
use crate::types::{Choices, Count, Types};

/// KL divergence that `balanced` stays under, nats a token: what llama.cpp's customary `Q4_K_M` does to Llama-3-8B.
pub const BALANCED_KL: f64 = 0.03;

/// KL divergence that `speed` stays under: what `Q3_K_M` does to the same model.
pub const SPEED_KL: f64 = 0.085;

/// KL divergence beyond which no plan is made unless the bytes of weights are asked for: what `Q2_K` does to the same
/// model, which then takes another token at every fourth position.
pub const WORST_KL: f64 = 0.33;

/// Positions that `quality` leaves room for before it chooses types.
pub const QUALITY_CONTEXT: u32 = 4096;

/// A model on a device, and what was asked for.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) facts: &'a ModelFacts,
    pub(crate) costs: &'a DriverCosts,
    pub(crate) choices: Choices<'a>,
    pub(crate) threads: u32,
    pub(crate) memory: Bytes,
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

impl Chosen<'_> {
    pub(crate) fn bytes(&self) -> PlanBytes {
        self.costs.bytes(self.shape)
    }
}

/// Why nothing was chosen.
#[derive(Debug, Clone)]
pub(crate) enum Refused<'a> {
    /// Too little memory: what the smallest types that would do cost.
    Memory(Costs<'a>),
    /// No types would do, whatever the memory.
    Types(String),
}

impl<'a> Problem<'a> {
    pub(crate) fn new(
        facts: &'a ModelFacts,
        costs: &'a DriverCosts,
        threads: u32,
        memory: Bytes,
        demand: &Demand,
    ) -> Result<Self, String> {
        Ok(Self {
            choices: Choices::new(facts, costs)?,
            facts,
            costs,
            threads,
            memory,
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
        for (kv, base, damage) in self.kv_types() {
            match self.choose_with(kv, base, damage) {
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

    /// KV types with what they cost; only the first unless others were measured.
    fn kv_types(&self) -> impl Iterator<Item = (BlockFormat, &'a FootprintModel, f64)> {
        let measured = |kv: BlockFormat| {
            let table = self.choices.table()?;
            table
                .kv
                .iter()
                .find(|(known, _)| *known == kv)
                .map(|(_, damage)| *damage)
        };
        let all = self.costs.kv.iter().enumerate();
        all.filter_map(move |(index, (kv, base))| {
            let damage = measured(*kv).or((index == 0).then_some(0.0))?;
            Some((*kv, base, damage))
        })
    }

    fn choose_with(
        &self,
        kv: BlockFormat,
        base: &FootprintModel,
        damage: f64,
    ) -> Result<Chosen<'a>, Refused<'a>> {
        let (types, shape) = match (self.weights, self.policy) {
            (Some(budget), _) => self.within_budget(base, budget)?,
            (None, _) if !self.choices.are_measured() => self.as_stored(base)?,
            (None, Policy::Quality) => self.quality(base)?,
            (None, Policy::Balanced) => self.under_floor(base, damage, BALANCED_KL)?,
            (None, Policy::Speed) => self.under_floor(base, damage, SPEED_KL)?,
        };
        let costs = self.costs_of(base, &types.adds);
        let kl = self.choices.table().zip(types.damage);
        let kl = kl.map(|(table, sum)| table.predict(sum + damage));
        if self.weights.is_none() && kl.is_some_and(|kl| kl > WORST_KL) {
            return Err(Refused::Memory(self.least_costs(base, damage, WORST_KL)?));
        }
        Ok(Chosen {
            types,
            kv,
            shape,
            costs,
            kl,
        })
    }

    fn as_stored(&self, base: &FootprintModel) -> Result<(Types, Shape), Refused<'a>> {
        let types = self.choices.smallest().map_err(broken)?;
        let shape = self.shape(self.costs_of(base, &types.adds))?;
        Ok((types, shape))
    }

    fn under_floor(
        &self,
        base: &FootprintModel,
        damage: f64,
        floor: f64,
    ) -> Result<(Types, Shape), Refused<'a>> {
        let fewest = self.fewest(damage, floor)?;
        let shape = self.shape(self.reserving(base, &fewest))?;
        let types = if self.policy == Policy::Speed {
            fewest
        } else {
            self.best(base, shape).unwrap_or(fewest)
        };
        Ok((types, shape))
    }

    fn quality(&self, base: &FootprintModel) -> Result<(Types, Shape), Refused<'a>> {
        let smallest = self.choices.smallest().map_err(broken)?;
        let reserving = self.reserving(base, &smallest);
        let least = self.asked.least(self.facts);
        let context = match self.asked.context {
            Some(context) => context,
            None => {
                let most = QUALITY_CONTEXT.min(self.facts.context);
                let found = reserving.largest_context(least.context, most, least.parallel, self.memory);
                found.ok_or(Refused::Memory(reserving))?
            }
        };
        let first = Shape { context, ..least };
        if !reserving.fits(first, self.memory) {
            return Err(Refused::Memory(reserving));
        }
        let types = self.best(base, first).unwrap_or(smallest);
        let costs = self.costs_of(base, &types.adds);
        let shape = costs.largest_shape(&self.asked, first, self.memory);
        Ok((types, shape.unwrap_or(first)))
    }

    fn within_budget(&self, base: &FootprintModel, budget: Bytes) -> Result<(Types, Shape), Refused<'a>> {
        let least = |error: crate::knapsack::KnapsackError| {
            let why = if self.choices.are_measured() {
                error.to_string()
            } else {
                format!("{error}, and without a sensitivity table its tensors keep their types")
            };
            Refused::Types(format!("bytes of weights: {why}"))
        };
        let types = self.choices.within(budget, Count::Stored).map_err(least)?;
        let costs = self.costs_of(base, &types.adds);
        if let Ok(shape) = self.shape(costs) {
            return Ok((types, shape));
        }
        let smallest = self.choices.smallest().map_err(broken)?;
        let reserving = self.reserving(base, &smallest);
        let shape = self.asked.least(self.facts);
        if !reserving.fits(shape, self.memory) {
            return Err(Refused::Memory(reserving));
        }
        let types = self.best(base, shape).filter(|types| types.stored <= budget);
        Ok((types.unwrap_or(smallest), shape))
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

    /// The best types for `shape`.
    fn best(&self, base: &FootprintModel, shape: Shape) -> Option<Types> {
        let room = |adds: &FootprintModel| {
            let beside = FootprintModel {
                weights: Bytes::ZERO,
                ..*adds
            };
            let others = self.costs_of(base, &beside).bytes(shape).total();
            self.memory.checked_sub(others)
        };
        let types = self
            .choices
            .within(room(&self.choices.worst)?, Count::Loaded)
            .ok()?;
        // What the chosen types do not need of the working memory that was set aside goes to better ones, if those do not
        // need it either.
        let better = room(&types.adds).and_then(|room| self.choices.within(room, Count::Loaded).ok());
        let fits = |types: &Types| self.costs_of(base, &types.adds).fits(shape, self.memory);
        Some(better.filter(fits).unwrap_or(types))
    }

    fn shape(&self, costs: Costs<'a>) -> Result<Shape, Refused<'a>> {
        let shape = costs.largest_shape(&self.asked, self.asked.least(self.facts), self.memory);
        shape.ok_or(Refused::Memory(costs))
    }

    pub(crate) fn costs_of(&self, base: &FootprintModel, adds: &FootprintModel) -> Costs<'a> {
        Costs {
            facts: self.facts,
            footprint: *base + *adds,
            threads: self.threads,
        }
    }

    /// The costs of `types` with working memory for any: so more memory never ends in a smaller shape.
    fn reserving(&self, base: &FootprintModel, types: &Types) -> Costs<'a> {
        self.costs_of(base, &types.adds.beside(&self.choices.worst))
    }

    fn least_costs(&self, base: &FootprintModel, damage: f64, floor: f64) -> Result<Costs<'a>, Refused<'a>> {
        Ok(self.reserving(base, &self.fewest(damage, floor)?))
    }

    /// Whether the policy has `one` rather than `other`.
    pub(crate) fn prefers(&self, one: &Chosen<'_>, other: &Chosen<'_>) -> bool {
        let better = |kl: Option<f64>, than: Option<f64>| {
            let [kl, than] = [kl, than].map(|kl| kl.unwrap_or(f64::INFINITY));
            than.total_cmp(&kl)
        };
        let quality = better(one.kl, other.kl);
        let shape = one.shape.cmp(&other.shape);
        let fewer = other.bytes().total().cmp(&one.bytes().total());
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
            Refused::Types(_) => Bytes(u64::MAX),
        };
        match one {
            Some(one) if needed(&one) <= needed(&other) => one,
            _ => other,
        }
    }
}

fn broken(error: crate::knapsack::KnapsackError) -> Refused<'static> {
    Refused::Types(format!("its sensitivity table can not be used: {error}"))
}
