//! The sensitivity table: what each type costs each group of tensors.
//!
//! Where errors are small, the divergence that a tensor's error makes is a quadratic form of it, so for one tensor the types'
//! damages are in proportion to the error in its outputs. Each group is therefore measured end to end with one coarse type,
//! and its other types follow by their cheap [`crate::scores`]. That is also better than measuring every type: a divergence of a
//! few thousand positions is a random draw, and a choice among many picks those that were drawn too low.

use mains_types::GroupSensitivity;

use crate::{Evaluate, Formats, GroupOfTensors, MeasureError};

/// Damage of one group in the type that it was measured in.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The group's name.
    pub name: String,
    /// Nats a token with this group alone in its coarsest type.
    pub damage: f64,
}

/// A measurement that can be interrupted after each group and taken up again.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    groups: Vec<GroupOfTensors>,
    /// By group, the scores of its candidates.
    scores: Vec<Vec<f64>>,
    /// By group, what was measured of it.
    found: Vec<Option<f64>>,
    /// Groups to measure, in order.
    order: Vec<usize>,
}

impl Measurement {
    /// Plans to measure at most `most` of `groups`, spread over the layers; the others are told by what was measured of
    /// tensors of their kind. `known` are groups that an earlier run measured.
    #[must_use]
    pub fn new(groups: Vec<GroupOfTensors>, scores: Vec<Vec<f64>>, most: usize, known: &[Measured]) -> Self {
        let of = |group: &GroupOfTensors| {
            known
                .iter()
                .find(|known| known.name == group.name)
                .map(|known| known.damage)
        };
        let found: Vec<Option<f64>> = groups.iter().map(of).collect();
        let mut order = spread(&groups);
        order.truncate(most);
        Self {
            groups,
            scores,
            found,
            order,
        }
    }

    /// What was measured so far: what [`Measurement::new`] takes to go on.
    #[must_use]
    pub fn known(&self) -> Vec<Measured> {
        let each = self.groups.iter().zip(&self.found);
        each.filter_map(|(group, damage)| {
            Some(Measured {
                name: group.name.clone(),
                damage: (*damage)?,
            })
        })
        .collect()
    }

    /// Groups that are measured, and how many of them are to be.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        let done = self
            .order
            .iter()
            .filter(|index| self.found[**index].is_some())
            .count();
        (done, self.order.len())
    }

    /// Measures one more group; false when none is left.
    ///
    /// # Errors
    /// What `evaluate` gives.
    pub fn step(&mut self, evaluate: &mut dyn Evaluate) -> Result<bool, MeasureError> {
        let Some(index) = self
            .order
            .iter()
            .copied()
            .find(|index| self.found[*index].is_none())
        else {
            return Ok(false);
        };
        let group = &self.groups[index];
        let formats: Formats = group
            .tensors
            .iter()
            .map(|name| (name.clone(), group.candidates[0].0))
            .collect();
        self.found[index] = Some(evaluate.divergence(&formats)?.mean());
        Ok(true)
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[GroupOfTensors] {
        &self.groups
    }

    /// The damage of every type to every group.
    #[must_use]
    pub fn table(&self) -> Vec<GroupSensitivity> {
        let rows = self.groups.iter().zip(&self.scores).enumerate();
        rows.map(|(index, (group, scores))| {
            let per_score = self.per_score(index);
            let damages = group.candidates.iter().zip(scores);
            GroupSensitivity {
                name: group.name.clone(),
                tensors: group.tensors.clone(),
                damages: damages
                    .map(|((format, _), score)| (*format, score * per_score))
                    .collect(),
            }
        })
        .collect()
    }

    /// Nats a token for each unit of a group's score.
    fn per_score(&self, index: usize) -> f64 {
        let ratio = |index: usize| {
            let score = self.scores[index].first().copied().unwrap_or(0.0);
            self.found[index]
                .filter(|damage| score > 0.0 && *damage > 0.0)
                .map(|damage| damage / score)
        };
        if let Some(own) = ratio(index) {
            return own;
        }
        let mean = |of: &dyn Fn(&GroupOfTensors) -> bool| {
            let like = (0..self.groups.len())
                .filter(|other| of(&self.groups[*other]))
                .filter_map(ratio);
            let logs: Vec<f64> = like.map(f64::ln).collect();
            let count = f64::from(u32::try_from(logs.len()).unwrap_or(u32::MAX));
            (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / count).exp())
        };
        let kind = kind(&self.groups[index].name);
        let alike = mean(&|other| self::kind(&other.name) == kind);
        alike.or_else(|| mean(&|_| true)).unwrap_or(1.0)
    }
}

/// A tensor's name without the number of its layer.
fn kind(name: &str) -> String {
    let parts = name.split('.').filter(|part| part.parse::<u32>().is_err());
    parts.collect::<Vec<_>>().join(".")
}

/// All groups, those first that stand for many: of each kind the first, the last, the middle, and so on by halves.
fn spread(groups: &[GroupOfTensors]) -> Vec<usize> {
    let mut kinds: std::collections::BTreeMap<String, Vec<usize>> = std::collections::BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        kinds.entry(kind(&group.name)).or_default().push(index);
    }
    let mut ranked: Vec<(usize, usize)> = Vec::new();
    for members in kinds.values() {
        let ranks = by_halves(members.len());
        ranked.extend(
            ranks
                .into_iter()
                .enumerate()
                .map(|(rank, member)| (rank, members[member])),
        );
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, index)| index).collect()
}

/// The numbers below `count`: the first, the last, and then the middle of the largest gap.
fn by_halves(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let mut gaps = std::collections::VecDeque::from([(0, count.saturating_sub(1))]);
    order.extend((count > 0).then_some(0));
    order.extend((count > 1).then_some(count.saturating_sub(1)));
    while let Some((low, high)) = gaps.pop_front() {
        if high > low + 1 {
            let middle = low.midpoint(high);
            order.push(middle);
            gaps.extend([(low, middle), (middle, high)]);
        }
    }
    order
}

/// Spearman's rank correlation of two scores of the same things: 1 when they rank them alike.
#[must_use]
pub fn rank_agreement(pairs: &[(f64, f64)]) -> f64 {
    let ranks = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by(|left, right| of(&pairs[*left]).total_cmp(&of(&pairs[*right])));
        let mut ranks = vec![0.0; pairs.len()];
        for (rank, index) in order.into_iter().enumerate() {
            ranks[index] = f64::from(u32::try_from(rank).unwrap_or(u32::MAX));
        }
        ranks
    };
    let (left, right) = (ranks(&|pair| pair.0), ranks(&|pair| pair.1));
    let n = f64::from(u32::try_from(pairs.len()).unwrap_or(u32::MAX));
    if n < 2.0 {
        return 1.0;
    }
    let squares: f64 = left
        .iter()
        .zip(&right)
        .map(|(left, right)| (left - right).powi(2))
        .sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mains_contract::{BlockFormat, Bytes};

    use super::{Measured, Measurement, by_halves, rank_agreement};
    use crate::divergence::Divergence;
    use crate::{Evaluate, Formats, GroupOfTensors, MeasureError};

    /// Damages by tensor, whatever the type.
    struct Known(BTreeMap<String, f64>, usize);

    impl Evaluate for Known {
        fn divergence(&mut self, formats: &Formats) -> Result<Divergence, MeasureError> {
            self.1 += 1;
            let mut found = Divergence::default();
            found.push((formats.keys().map(|name| self.0[name]).sum(), true));
            Ok(found)
        }
    }

    fn layer(index: usize) -> GroupOfTensors {
        let name = format!("blk.{index}.attn_q.weight");
        GroupOfTensors {
            tensors: vec![name.clone()],
            name,
            shapes: vec![(1, 256)],
            candidates: vec![(BlockFormat::Q2_K, Bytes(84)), (BlockFormat::F16, Bytes(512))],
        }
    }

    #[test]
    fn what_is_not_measured_follows_its_kind_and_nothing_is_measured_twice() {
        let groups: Vec<_> = (0..5).map(layer).collect();
        let scores = vec![vec![2.0, 0.0]; 5];
        let mut known = Known(groups.iter().map(|group| (group.name.clone(), 0.5)).collect(), 0);
        let mut first = Measurement::new(groups.clone(), scores.clone(), 3, &[]);
        assert!(first.step(&mut known).unwrap());
        let mut second = Measurement::new(groups.clone(), scores, 3, &first.known());
        assert_eq!(second.progress(), (1, 3));
        while second.step(&mut known).unwrap() {}
        assert_eq!((known.1, second.progress()), (3, (3, 3)));
        let table = second.table();
        assert_eq!(table.len(), 5);
        for row in table {
            assert_eq!(row.damages[0].0, BlockFormat::Q2_K);
            assert!((row.damages[0].1 - 0.5).abs() < 1e-12 && row.damages[1].1 == 0.0);
        }
        let one = [Measured {
            name: "blk.0.attn_q.weight".to_owned(),
            damage: 0.25,
        }];
        let rest = Measurement::new(groups, vec![vec![1.0, 0.0]; 5], 0, &one);
        assert!((rest.table()[4].damages[0].1 - 0.25).abs() < 1e-12);
    }

    #[test]
    fn ranks_agree_or_do_not() {
        assert_eq!(rank_agreement(&[(1.0, 10.0), (2.0, 20.0), (3.0, 21.0)]), 1.0);
        assert_eq!(rank_agreement(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]), -1.0);
        assert_eq!(by_halves(5), [0, 4, 2, 1, 3]);
    }
}
