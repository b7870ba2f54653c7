//! The types of a model's tensors, as a knapsack has them.

use std::collections::HashMap;

use mains_contract::{BlockFormat, Bytes, FootprintModel};
use mains_types::{DriverCosts, ModelFacts, Sensitivity};

use crate::knapsack::{Candidate, Group, KnapsackError, Selection, least_bytes, least_damage};

/// What bytes of a choice are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// As the driver keeps them.
    Loaded,
    /// As a file has them.
    Stored,
}

/// A type for every tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Types {
    /// In the order of [`ModelFacts::tensors`].
    pub(crate) formats: Vec<BlockFormat>,
    /// What they add to a footprint.
    pub(crate) adds: FootprintModel,
    /// Bytes of their tensors in a file.
    pub(crate) stored: Bytes,
    /// Damages added up; `None` when the model was not measured.
    pub(crate) damage: Option<f64>,
    /// See [`Selection::gap`].
    pub(crate) gap: f64,
}

/// The types that a model's tensors can have on one driver.
#[derive(Debug)]
pub(crate) struct Choices<'a> {
    facts: &'a ModelFacts,
    costs: &'a DriverCosts,
    table: Option<&'a Sensitivity>,
    /// By group, the indexes of its tensors.
    members: Vec<Vec<usize>>,
    loaded: Vec<Group>,
    stored: Vec<Group>,
    /// Bytes of tensors in no group, as loaded and as stored.
    fixed: [Bytes; 2],
    /// What the largest of all types add to a footprint beside their bytes.
    pub(crate) worst: FootprintModel,
}

impl<'a> Choices<'a> {
    /// Every type that the table has a damage for and the driver takes. Tensors in no group keep theirs.
    ///
    /// # Errors
    /// A sentence when the driver does not take a type that can not be changed.
    pub(crate) fn new(facts: &'a ModelFacts, costs: &'a DriverCosts) -> Result<Self, String> {
        let table = facts
            .sensitivity
            .as_ref()
            .filter(|table| table.model == facts.digest);
        let mut choices = Self {
            facts,
            costs,
            table,
            members: Vec::new(),
            loaded: Vec::new(),
            stored: Vec::new(),
            fixed: [Bytes::ZERO; 2],
            worst: FootprintModel::default(),
        };
        let mut grouped = vec![false; facts.tensors.len()];
        for (members, damages) in groups(facts, table) {
            let candidates = choices.candidates(&members, damages);
            if candidates.is_empty() {
                continue;
            }
            members.iter().for_each(|tensor| grouped[*tensor] = true);
            choices.add(members, candidates);
        }
        for (index, tensor) in facts
            .tensors
            .iter()
            .enumerate()
            .filter(|(index, _)| !grouped[*index])
        {
            let Some(adds) = costs.formats.of_format(index, tensor.format) else {
                return Err(format!(
                    "driver {} does not take {} in {}",
                    costs.driver, tensor.name, tensor.format
                ));
            };
            choices.fixed[0] += adds.weights;
            choices.fixed[1] += tensor.bytes();
            choices.worst = choices.worst.beside(adds);
        }
        choices.worst.weights = Bytes::ZERO;
        Ok(choices)
    }

    /// Whether there is anything to choose.
    pub(crate) const fn are_measured(&self) -> bool {
        self.table.is_some() && !self.loaded.is_empty()
    }

    /// The table that damages are from.
    pub(crate) fn table(&self) -> Option<&'a Sensitivity> {
        self.table.filter(|_| !self.loaded.is_empty())
    }

    /// The least damage in `budget` bytes of all tensors together.
    pub(crate) fn within(&self, budget: Bytes, count: Count) -> Result<Types, KnapsackError> {
        let (groups, fixed) = self.counted(count);
        // Below the fixed tensors nothing is left, which is too little unless there is no group.
        let left = budget.checked_sub(fixed).unwrap_or(Bytes::ZERO);
        match least_damage(groups, left) {
            Ok(found) if budget >= fixed => Ok(self.types(&found)),
            Ok(_) => Err(KnapsackError::Budget { least: fixed, budget }),
            Err(KnapsackError::Budget { least, .. }) => Err(KnapsackError::Budget {
                least: least + fixed,
                budget,
            }),
            Err(other) => Err(other),
        }
    }

    /// The fewest bytes there are, whatever the damage.
    pub(crate) fn smallest(&self) -> Result<Types, KnapsackError> {
        /// More than any sum of damages.
        const ANY: f64 = 1e300;
        self.fewest(ANY)
    }

    /// The fewest bytes whose damages add up to at most `bound`.
    pub(crate) fn fewest(&self, bound: f64) -> Result<Types, KnapsackError> {
        least_bytes(&self.loaded, bound).map(|found| self.types(&found))
    }

    fn counted(&self, count: Count) -> (&[Group], Bytes) {
        match count {
            Count::Loaded => (&self.loaded, self.fixed[0]),
            Count::Stored => (&self.stored, self.fixed[1]),
        }
    }

    fn types(&self, selection: &Selection) -> Types {
        let mut formats: Vec<BlockFormat> = self.facts.tensors.iter().map(|tensor| tensor.format).collect();
        for ((members, group), pick) in self.members.iter().zip(&self.loaded).zip(&selection.picks) {
            for tensor in members {
                formats[*tensor] = group.candidates[*pick].format;
            }
        }
        let adds = self.costs.formats.adds(&formats);
        let tensors = self.facts.tensors.iter().zip(&formats);
        Types {
            adds: adds.expect("every candidate and every fixed type was found to be taken"),
            stored: tensors.map(|(tensor, format)| tensor.bytes_in(*format)).sum(),
            damage: self.table.map(|_| selection.damage),
            gap: selection.gap,
            formats,
        }
    }

    /// Types that every member can have, with their damage. Its own type damages nothing.
    fn candidates(&self, members: &[usize], damages: &[(BlockFormat, f64)]) -> Vec<(BlockFormat, f64)> {
        let tensor = |index: usize| &self.facts.tensors[index];
        let mut candidates = damages.to_vec();
        if let Some(first) = members.first().map(|first| tensor(*first).format)
            && members.iter().all(|member| tensor(*member).format == first)
            && !damages.iter().any(|(format, _)| *format == first)
        {
            candidates.push((first, 0.0));
        }
        candidates.retain(|(format, _)| {
            let taken = |member: &usize| self.costs.formats.of_format(*member, *format).is_some();
            members.iter().all(taken)
        });
        candidates
    }

    fn add(&mut self, members: Vec<usize>, candidates: Vec<(BlockFormat, f64)>) {
        let mut of = [Vec::new(), Vec::new()];
        for (format, damage) in candidates {
            let adds = members
                .iter()
                .filter_map(|member| self.costs.formats.of_format(*member, format));
            let adds = adds.fold(FootprintModel::default(), |sum, adds| sum.beside(adds));
            let stored = members
                .iter()
                .map(|member| self.facts.tensors[*member].bytes_in(format));
            for (candidates, bytes) in of.iter_mut().zip([adds.weights, stored.sum()]) {
                candidates.push(Candidate {
                    format,
                    bytes,
                    damage,
                });
            }
            self.worst = self.worst.beside(&adds);
        }
        let name = self.facts.tensors[members[0]].name.clone();
        let [loaded, stored] = of.map(|candidates| Group {
            name: name.clone(),
            tensors: Vec::new(),
            candidates,
        });
        self.loaded.push(loaded);
        self.stored.push(stored);
        self.members.push(members);
    }
}

/// Types with what each costs.
type Damages<'a> = &'a [(BlockFormat, f64)];

/// The table's groups whose tensors the model has: their indexes and damages.
fn groups<'a>(facts: &ModelFacts, table: Option<&'a Sensitivity>) -> Vec<(Vec<usize>, Damages<'a>)> {
    let names = facts.tensors.iter().map(|tensor| tensor.name.as_str());
    let index: HashMap<&str, usize> = names.zip(0..).collect();
    let mut taken = vec![false; facts.tensors.len()];
    let mut groups = Vec::new();
    for group in table.iter().flat_map(|table| &table.groups) {
        let members = group.tensors.iter().map(|name| index.get(name.as_str()).copied());
        let Some(mut members) = members.collect::<Option<Vec<usize>>>() else {
            continue;
        };
        members.sort_unstable();
        members.dedup();
        if !members.is_empty() && members.iter().all(|member| !taken[*member]) {
            members.iter().for_each(|member| taken[*member] = true);
            groups.push((members, group.damages.as_slice()));
        }
    }
    groups
}
