//! Quality against bytes, around a plan.

use std::collections::BTreeMap;

use mains_contract::{BlockFormat, Bytes, Inventory};
use mains_types::{Around, Demand, ModelFacts, Plan};

use crate::fit::Shape;
use crate::policy::Problem;
use crate::rooms::Rooms;
use crate::types::Types;

/// Bytes of weights as per cent of the plan's.
const SHARES: [u64; 10] = [50, 60, 70, 80, 90, 100, 112, 125, 150, 200];

/// What `plan`, made of `inventory`, `facts` and `demand`, would be with fewer and with more bytes of weights, the fewest
/// first. Empty when the model was not measured.
#[must_use]
pub fn around(inventory: &Inventory, facts: &ModelFacts, demand: &Demand, plan: &Plan) -> Vec<Around> {
    let device = |id: &String| inventory.devices.iter().find(|device| device.id == *id);
    let devices = plan.segments.iter().map(|segment| device(&segment.device));
    let Some(devices) = devices.collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    let rooms = Rooms::new(inventory, facts, demand, &devices);
    let Ok(problem) = rooms.and_then(|rooms| Problem::new(facts, rooms, demand)) else {
        return Vec::new();
    };
    let stored: Bytes = plan.tensors.iter().map(|tensor| tensor.bytes).sum();
    let mut rows: Vec<Around> = Vec::new();
    for share in SHARES {
        let budget = Bytes(u64::try_from(u128::from(stored.0) * u128::from(share) / 100).unwrap_or(u64::MAX));
        let Some(row) = row(&problem, plan, budget) else {
            continue;
        };
        // Steps that buy nothing are told once; the plan's own is told.
        let same = rows.iter().position(|known| known.weights == row.weights);
        match same {
            Some(at) if row.chosen => rows[at].chosen = true,
            Some(_) => {}
            None => rows.push(row),
        }
    }
    rows.sort_by_key(|row| row.weights);
    rows
}

fn row(problem: &Problem<'_>, plan: &Plan, budget: Bytes) -> Option<Around> {
    let table = problem.choices.table()?;
    let kv = table.kv.iter().find(|(kv, _)| *kv == plan.kv_format);
    let is_plan = |types: &Types| {
        let planned = plan.tensors.iter().map(|tensor| tensor.format);
        planned.eq(types.formats.iter().copied())
    };
    let types = problem.choices.within(budget).ok()?;
    let costs = problem.costs_of(plan.kv_format, &types.adds);
    let shape = Shape {
        context: plan.context,
        parallel: plan.parallel,
    };
    Some(Around {
        weights: types.stored,
        total: costs.bytes(shape).total(),
        kl: table.predict(types.damage? + kv.map_or(0.0, |(_, damage)| *damage)),
        types: by_type(problem.facts, &types),
        fits: costs.fits(shape),
        chosen: is_plan(&types),
    })
}

fn by_type(facts: &ModelFacts, types: &Types) -> Vec<(BlockFormat, Bytes)> {
    let mut sums: BTreeMap<BlockFormat, Bytes> = BTreeMap::new();
    for (tensor, format) in facts.tensors.iter().zip(&types.formats) {
        *sums.entry(*format).or_default() += tensor.bytes_in(*format);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    sums
}
