//! The types of a model's tensors, as a knapsack has them.

use std::collections::HashMap;
use std::rc::Rc;

use mains_contract::{BlockFormat, Bytes};
use mains_types::{ModelFacts, Sensitivity, TensorFacts};

use crate::adds::{Adds, of_tensor, parts_of};
use crate::knapsack::{Candidate, Group, KnapsackError, Selection, least_bytes, least_damage};
use crate::rooms::{Room, Rooms};

/// A type for every tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Types {
    /// In the order of [`ModelFacts::tensors`].
    pub(crate) formats: Vec<BlockFormat>,
    /// What they add to footprints.
    pub(crate) adds: Rc<Adds>,
    /// Bytes of their tensors in a file.
    pub(crate) stored: Bytes,
    /// Damages added up; `None` when the model was not measured.
    pub(crate) damage: Option<f64>,
    /// See [`Selection::gap`].
    pub(crate) gap: f64,
}

/// Tensors that share a type.
#[derive(Debug)]
pub(crate) struct Members {
    /// Their indexes.
    pub(crate) tensors: Vec<usize>,
    /// Types that they can have, with the damage of each.
    pub(crate) types: Vec<(BlockFormat, f64)>,
}

/// The types that a model's tensors can have on its devices.
#[derive(Debug)]
pub(crate) struct Choices<'a> {
    facts: &'a ModelFacts,
    pub(crate) rooms: Rc<Rooms<'a>>,
    table: Option<&'a Sensitivity>,
    pub(crate) groups: Vec<Members>,
    /// Tensors in no group.
    pub(crate) fixed: Vec<usize>,
    /// What the largest of all types add to a footprint beside their bytes.
    pub(crate) worst: Adds,
}

impl<'a> Choices<'a> {
    /// Every type that the table has a damage for and every driver takes. Tensors in no group keep theirs.
    ///
    /// # Errors
    /// A sentence when a driver does not take a type that can not be changed.
    pub(crate) fn new(facts: &'a ModelFacts, rooms: Rc<Rooms<'a>>) -> Result<Self, String> {
        let table = facts.sensitivity.as_ref();
        let table = table.filter(|table| table.model == facts.digest);
        let mut grouped = vec![false; facts.tensors.len()];
        let mut known = Vec::new();
        for (tensors, damages) in groups(facts, table) {
            let types = candidates(facts, &rooms, &tensors, damages);
            if !types.is_empty() {
                tensors.iter().for_each(|tensor| grouped[*tensor] = true);
                known.push(Members { tensors, types });
            }
        }
        let fixed: Vec<usize> = (0..grouped.len()).filter(|tensor| !grouped[*tensor]).collect();
        for tensor in &fixed {
            let TensorFacts { name, format, .. } = &facts.tensors[*tensor];
            let mut list = rooms.list.iter();
            if let Some(room) = list.find(|room| !takes(facts, &rooms, room, *tensor, *format)) {
                let driver = &room.costs.driver;
                return Err(format!("driver {driver} does not take {name} in {format}"));
            }
        }
        let mut formats: Vec<Vec<BlockFormat>> =
            facts.tensors.iter().map(|tensor| vec![tensor.format]).collect();
        for group in &known {
            for tensor in &group.tensors {
                formats[*tensor] = group.types.iter().map(|(format, _)| *format).collect();
            }
        }
        let worst = Adds::of(facts, &rooms, |tensor| formats[tensor].as_slice());
        Ok(Self {
            worst: worst
                .expect("drivers were asked for every type")
                .without_weights(),
            facts,
            rooms,
            table,
            groups: known,
            fixed,
        })
    }

    /// Whether there is anything to choose.
    pub(crate) const fn are_measured(&self) -> bool {
        self.table.is_some() && !self.groups.is_empty()
    }

    /// The table that damages are from.
    pub(crate) fn table(&self) -> Option<&'a Sensitivity> {
        self.table.filter(|_| !self.groups.is_empty())
    }

    /// The least damage in `budget` bytes of all tensors together, as a file has them.
    pub(crate) fn within(&self, budget: Bytes) -> Result<Types, KnapsackError> {
        let stored = |tensor: usize, format| self.facts.tensors[tensor].bytes_in(format);
        let fixed = self
            .fixed
            .iter()
            .map(|tensor| self.facts.tensors[*tensor].bytes());
        let fixed: Bytes = fixed.sum();
        // Below the fixed tensors nothing is left, which is too little unless there is no group.
        let left = budget.checked_sub(fixed).unwrap_or(Bytes::ZERO);
        match least_damage(&self.weighed(stored), left) {
            Ok(found) if budget >= fixed => Ok(self.selected(&found)),
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

    /// The fewest bytes, as the first device has them, whose damages add up to at most `bound`.
    pub(crate) fn fewest(&self, bound: f64) -> Result<Types, KnapsackError> {
        let costs = &self.rooms.list[0].costs.formats;
        let loaded = |tensor, format| {
            costs
                .of_format(tensor, format)
                .map_or(Bytes(u64::MAX), |adds| adds.weights)
        };
        least_bytes(&self.weighed(loaded), bound).map(|found| self.selected(&found))
    }

    /// Every group as a knapsack has it, where a tensor in a type has so many bytes.
    fn weighed(&self, bytes: impl Fn(usize, BlockFormat) -> Bytes) -> Vec<Group> {
        self.groups
            .iter()
            .map(|group| group.weighed(self.facts, &bytes))
            .collect()
    }

    fn selected(&self, selection: &Selection) -> Types {
        self.types(&selection.picks, selection.damage, selection.gap)
    }

    /// The types that `picks` have, one a group.
    pub(crate) fn types(&self, picks: &[usize], damage: f64, gap: f64) -> Types {
        let mut formats: Vec<BlockFormat> = self.facts.tensors.iter().map(|tensor| tensor.format).collect();
        for (group, pick) in self.groups.iter().zip(picks) {
            for tensor in &group.tensors {
                formats[*tensor] = group.types[*pick].0;
            }
        }
        let adds = Adds::of(self.facts, &self.rooms, |tensor| {
            std::slice::from_ref(&formats[tensor])
        });
        let tensors = self.facts.tensors.iter().zip(&formats);
        Types {
            adds: Rc::new(adds.expect("drivers were asked for every type")),
            stored: tensors.map(|(tensor, format)| tensor.bytes_in(*format)).sum(),
            damage: self.table.map(|_| damage),
            gap,
            formats,
        }
    }
}

impl Members {
    /// The group as a knapsack has it, where a tensor in a type has so many bytes.
    pub(crate) fn weighed(&self, facts: &ModelFacts, bytes: impl Fn(usize, BlockFormat) -> Bytes) -> Group {
        let candidate = |(format, damage): &(BlockFormat, f64)| Candidate {
            format: *format,
            bytes: self.tensors.iter().map(|tensor| bytes(*tensor, *format)).sum(),
            damage: *damage,
        };
        Group {
            name: facts.tensors[self.tensors[0]].name.clone(),
            tensors: Vec::new(),
            candidates: self.types.iter().map(candidate).collect(),
        }
    }
}

/// Types that every tensor can have on every device, with their damage. Their own type damages nothing.
fn candidates(
    facts: &ModelFacts,
    rooms: &Rooms<'_>,
    tensors: &[usize],
    damages: &[(BlockFormat, f64)],
) -> Vec<(BlockFormat, f64)> {
    let mut candidates = damages.to_vec();
    let own = |tensor: &usize| facts.tensors[*tensor].format;
    if let Some(first) = tensors.first().map(own)
        && tensors.iter().all(|tensor| own(tensor) == first)
        && !damages.iter().any(|(format, _)| *format == first)
    {
        candidates.push((first, 0.0));
    }
    candidates.retain(|(format, _)| {
        let taken = |tensor: &usize| {
            rooms
                .list
                .iter()
                .all(|room| takes(facts, rooms, room, *tensor, *format))
        };
        tensors.iter().all(taken)
    });
    candidates
}

/// Whether the driver of `room` takes `tensor` in `format`, whatever parts are there.
fn takes(facts: &ModelFacts, rooms: &Rooms<'_>, room: &Room<'_>, tensor: usize, format: BlockFormat) -> bool {
    let [first, last] = parts_of(facts, rooms.parts(facts), tensor);
    let runs = [[first, last], [first, first], [last, last]];
    runs.iter()
        .all(|run| of_tensor(room, tensor, format, [first, last], *run).is_some())
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
