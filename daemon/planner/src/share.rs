//! The best types for what each device has left.
//!
//! Devices do not share bytes, so each has a knapsack of its own. Tensors of one type on two devices - an embedding that is
//! also the output - tie two knapsacks: each of their types is tried.

use mains_contract::{BlockFormat, Bytes, StepLimits};

use crate::adds::{of_tensor, parts_of};
use crate::cut::Run;
use crate::fit::Costs;
use crate::knapsack::{Group, Selection, least_damage};
use crate::types::{Choices, Members, Types};

/// The types of least damage for which `runs` have room beside the working memory in `costs`. `None` when there is none for
/// any, or more than one group is on two devices.
pub(crate) fn best(
    choices: &Choices<'_>,
    costs: &Costs<'_>,
    runs: &[Run],
    limits: &StepLimits,
) -> Option<Types> {
    let sides: Option<Vec<Side<'_, '_>>> = runs
        .iter()
        .map(|run| Side::new(choices, costs, run, limits))
        .collect();
    let mut sides = sides?;
    let mut tied = None;
    for (index, group) in choices.groups.iter().enumerate() {
        let on: Vec<usize> = (0..sides.len()).filter(|side| sides[*side].has(group)).collect();
        match on[..] {
            [side] => sides[side].take(index, group),
            _ if tied.is_none() => tied = Some(index),
            _ => return None,
        }
    }
    let Some(tied) = tied else {
        return Some(Solved::of(&sides, choices.groups.len(), |_| Some(Bytes::ZERO))?.types(choices));
    };
    let group = &choices.groups[tied];
    let mut best: Option<Solved> = None;
    let mut bound = f64::INFINITY;
    for (pick, (format, damage)) in group.types.iter().enumerate() {
        let Some(mut solved) = Solved::of(&sides, choices.groups.len(), |side| side.bytes_of(group, *format))
        else {
            continue;
        };
        bound = bound.min(solved.bound + damage);
        solved.damage += damage;
        solved.picks[tied] = pick;
        if best.as_ref().is_none_or(|best| solved.damage < best.damage) {
            best = Some(solved);
        }
    }
    let solved = best?;
    Some(Solved { bound, ..solved }.types(choices))
}

/// One device's knapsack.
struct Side<'a, 'm> {
    costs: &'a Costs<'m>,
    run: &'a Run,
    /// Bytes for tensors in groups.
    budget: Bytes,
    /// Indexes of groups that are on this device alone.
    members: Vec<usize>,
    groups: Vec<Group>,
}

impl<'a, 'm> Side<'a, 'm> {
    fn new(choices: &Choices<'_>, costs: &'a Costs<'m>, run: &'a Run, limits: &StepLimits) -> Option<Self> {
        let beside = costs.run(run.room, run.first, run.last, limits)?.bytes.total();
        let memory = costs.rooms.list[run.room].memory;
        let mut side = Self {
            costs,
            run,
            budget: memory.checked_sub(beside + costs.beside_in(run.room, limits))?,
            members: Vec::new(),
            groups: Vec::new(),
        };
        for tensor in &choices.fixed {
            let format = costs.facts.tensors[*tensor].format;
            let bytes = side.bytes_in(*tensor, format)?;
            side.budget = side.budget.checked_sub(bytes)?;
        }
        Some(side)
    }

    fn parts_of(&self, tensor: usize) -> [usize; 2] {
        parts_of(self.costs.facts, self.costs.rooms.parts(self.costs.facts), tensor)
    }

    fn has(&self, group: &Members) -> bool {
        let here = |tensor: &usize| {
            let parts = self.parts_of(*tensor);
            parts
                .iter()
                .any(|part| (self.run.first..=self.run.last).contains(part))
        };
        group.tensors.iter().any(here)
    }

    fn take(&mut self, index: usize, group: &Members) {
        let bytes = |tensor, format| self.bytes_in(tensor, format).unwrap_or(Bytes(u64::MAX));
        let weighed = group.weighed(self.costs.facts, bytes);
        self.groups.push(weighed);
        self.members.push(index);
    }

    /// Bytes of `tensor` on this device, 0 when it is on another; `None` when its driver does not take the format.
    fn bytes_in(&self, tensor: usize, format: BlockFormat) -> Option<Bytes> {
        let run = [self.run.first, self.run.last];
        let parts = self.parts_of(tensor);
        if !parts.iter().any(|part| (run[0]..=run[1]).contains(part)) {
            return Some(Bytes::ZERO);
        }
        let room = &self.costs.rooms.list[self.run.room];
        of_tensor(room, tensor, format, parts, run).map(|adds| adds.weights)
    }

    fn bytes_of(&self, group: &Members, format: BlockFormat) -> Option<Bytes> {
        let bytes = group.tensors.iter().map(|tensor| self.bytes_in(*tensor, format));
        bytes.sum()
    }
}

/// The knapsacks of all devices together.
struct Solved {
    /// By group; 0 for the one that is tied.
    picks: Vec<usize>,
    damage: f64,
    /// No choice damages less.
    bound: f64,
}

impl Solved {
    /// Each device's best beside the bytes that are `taken` there; `None` when one has too little.
    fn of(
        sides: &[Side<'_, '_>],
        groups: usize,
        taken: impl Fn(&Side<'_, '_>) -> Option<Bytes>,
    ) -> Option<Self> {
        let mut solved = Self {
            picks: vec![0; groups],
            damage: 0.0,
            bound: 0.0,
        };
        for side in sides {
            let budget = side.budget.checked_sub(taken(side)?)?;
            let Selection {
                picks, damage, gap, ..
            } = least_damage(&side.groups, budget).ok()?;
            for (group, pick) in side.members.iter().zip(picks) {
                solved.picks[*group] = pick;
            }
            solved.damage += damage;
            solved.bound += damage / (1.0 + gap);
        }
        Some(solved)
    }

    fn types(&self, choices: &Choices<'_>) -> Types {
        let gap = if self.bound > 0.0 {
            (self.damage / self.bound - 1.0).max(0.0)
        } else {
            0.0
        };
        choices.types(&self.picks, self.damage, gap)
    }
}
