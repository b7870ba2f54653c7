//! The choice of types under a budget of bytes, corrected by measuring it whole.
//!
//! Damages that were measured one group at a time do not simply add up. A choice is therefore measured whole, and then
//! what each group adds to it: the difference that restoring that group alone makes. The table is scaled to that and
//! solved again; then single exchanges are tried - one group up a type, others down - and kept where the whole gets better.

use mains_contract::{BlockFormat, Bytes};
use mains_planner::knapsack::{Candidate, Group, least_damage};
use mains_types::GroupSensitivity;

use crate::{Evaluate, Formats, GroupOfTensors, MeasureError};

/// A group's scale is not changed by more than this factor at once: a difference of two measurements is uncertain.
const MOST_SCALING: f64 = 3.0;

/// Types for all groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The type of each tensor.
    pub formats: Formats,
    /// Bytes of all groups.
    pub bytes: Bytes,
    /// What the table's damages add up to.
    pub added: f64,
    /// What was measured of the whole.
    pub measured: f64,
    /// The proven distance of the first solution of the table from its optimum.
    pub gap: f64,
}

/// A search over choices of one budget.
struct Search<'a> {
    evaluate: &'a mut dyn Evaluate,
    /// How many more measurements may be made.
    left: usize,
    groups: Vec<Group>,
    budget: Bytes,
    best: Vec<usize>,
    best_damage: f64,
}

/// The best choice found for `groups` in at most `budget` bytes with at most `evaluations` measurements, at least one.
///
/// # Errors
/// [`MeasureError::Choice`] when the budget is below the smallest types; what `evaluate` gives.
pub fn choose(
    groups: &[GroupOfTensors],
    table: &[GroupSensitivity],
    budget: Bytes,
    evaluations: usize,
    evaluate: &mut dyn Evaluate,
) -> Result<Choice, MeasureError> {
    let knapsack = items(groups, table);
    let first = least_damage(&knapsack, budget)?;
    let mut search = Search {
        evaluate,
        left: evaluations.max(1),
        groups: knapsack.clone(),
        budget,
        best: first.picks,
        best_damage: f64::INFINITY,
    };
    let measured = search.measure(&search.best.clone())?;
    search.best_damage = measured.unwrap_or(f64::INFINITY);
    while search.left > groups.len() && search.rescale()? {}
    search.exchange()?;
    let picked = || {
        knapsack
            .iter()
            .zip(&search.best)
            .map(|(group, pick)| group.candidates[*pick])
    };
    Ok(Choice {
        formats: formats(&knapsack, &search.best),
        bytes: picked().map(|candidate| candidate.bytes).sum(),
        added: picked().map(|candidate| candidate.damage).sum(),
        measured: search.best_damage,
        gap: first.gap,
    })
}

/// Types for all groups, by a table alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The type of each tensor.
    pub formats: Formats,
    /// Bytes of all groups.
    pub bytes: Bytes,
    /// What the table's damages add up to.
    pub added: f64,
}

/// The types of least damage by `table` in at most `budget` bytes.
///
/// # Errors
/// [`MeasureError::Choice`] when the budget is below the smallest types.
pub fn solve(
    groups: &[GroupOfTensors],
    table: &[GroupSensitivity],
    budget: Bytes,
) -> Result<Solution, MeasureError> {
    let knapsack = items(groups, table);
    let picks = least_damage(&knapsack, budget)?.picks;
    let picked = || {
        knapsack
            .iter()
            .zip(&picks)
            .map(|(group, pick)| group.candidates[*pick])
    };
    Ok(Solution {
        formats: formats(&knapsack, &picks),
        bytes: picked().map(|candidate| candidate.bytes).sum(),
        added: picked().map(|candidate| candidate.damage).sum(),
    })
}

/// The knapsack of a table.
fn items(groups: &[GroupOfTensors], table: &[GroupSensitivity]) -> Vec<Group> {
    let damage = |group: &GroupOfTensors, format: BlockFormat| {
        let row = table.iter().find(|row| row.name == group.name)?;
        row.damages
            .iter()
            .find(|(known, _)| *known == format)
            .map(|(_, damage)| *damage)
    };
    let candidates = |group: &GroupOfTensors| {
        let known = group.candidates.iter().filter_map(|(format, bytes)| {
            Some(Candidate {
                format: *format,
                bytes: *bytes,
                damage: damage(group, *format)?,
            })
        });
        known.collect()
    };
    groups
        .iter()
        .map(|group| Group {
            name: group.name.clone(),
            tensors: group.tensors.clone(),
            candidates: candidates(group),
        })
        .collect()
}

fn formats(groups: &[Group], picks: &[usize]) -> Formats {
    let tensors = groups.iter().zip(picks).flat_map(|(group, pick)| {
        let format = group.candidates[*pick].format;
        group.tensors.iter().map(move |name| (name.clone(), format))
    });
    tensors.collect()
}

impl Search<'_> {
    /// The damage of a choice, or none when no measurement is left.
    fn measure(&mut self, picks: &[usize]) -> Result<Option<f64>, MeasureError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(Some(
            self.evaluate.divergence(&formats(&self.groups, picks))?.mean(),
        ))
    }

    /// Scales the table to what each group adds to the best choice and solves it again; whether that was better.
    fn rescale(&mut self) -> Result<bool, MeasureError> {
        let best = self.best.clone();
        for (index, pick) in best.iter().enumerate() {
            let told = self.groups[index].candidates[*pick].damage;
            let unquantized = self.groups[index].candidates.len() - 1;
            if told <= 0.0 || *pick == unquantized {
                continue;
            }
            let mut without = best.clone();
            without[index] = unquantized;
            let Some(rest) = self.measure(&without)? else {
                return Ok(false);
            };
            let adds = (self.best_damage - rest).max(0.0);
            // The geometric mean of both: the one is a random draw as the other is.
            let scale = (adds / told).sqrt().clamp(1.0 / MOST_SCALING, MOST_SCALING);
            self.groups[index]
                .candidates
                .iter_mut()
                .for_each(|candidate| candidate.damage *= scale);
        }
        let solved = least_damage(&self.groups, self.budget)?;
        if solved.picks == best {
            return Ok(false);
        }
        let Some(damage) = self.measure(&solved.picks)? else {
            return Ok(false);
        };
        let better = damage < self.best_damage;
        if better {
            (self.best, self.best_damage) = (solved.picks, damage);
        }
        Ok(better)
    }

    /// Tries exchanges around the best choice while measurements are left and new ones can be told.
    fn exchange(&mut self) -> Result<(), MeasureError> {
        let mut tried = std::collections::BTreeSet::from([self.best.clone()]);
        while self.left > 0 {
            let mut neighbours = self.neighbours();
            neighbours.sort_by(|left, right| left.0.total_cmp(&right.0));
            let Some((_, picks)) = neighbours.into_iter().find(|(_, picks)| !tried.contains(picks)) else {
                return Ok(());
            };
            tried.insert(picks.clone());
            if let Some(damage) = self.measure(&picks)?
                && damage < self.best_damage
            {
                (self.best, self.best_damage) = (picks, damage);
            }
        }
        Ok(())
    }

    /// Choices within the budget that move one group up and one down, with what the table adds up to.
    fn neighbours(&self) -> Vec<(f64, Vec<usize>)> {
        let mut found = Vec::new();
        for up in 0..self.groups.len() {
            for down in 0..self.groups.len() {
                let mut picks = self.best.clone();
                if up == down || picks[up] + 1 >= self.groups[up].candidates.len() || picks[down] == 0 {
                    continue;
                }
                picks[up] += 1;
                picks[down] -= 1;
                let all = || {
                    self.groups
                        .iter()
                        .zip(&picks)
                        .map(|(group, pick)| group.candidates[*pick])
                };
                if all().map(|candidate| candidate.bytes).sum::<Bytes>() <= self.budget {
                    found.push((all().map(|candidate| candidate.damage).sum(), picks));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mains_contract::{BlockFormat, Bytes};
    use mains_types::GroupSensitivity;

    use super::choose;
    use crate::divergence::Divergence;
    use crate::{Evaluate, Formats, GroupOfTensors, MeasureError, candidates};

    /// What each tensor adds when it is in Q2_K; a quarter of it in Q4_K. The first two together cost more than both.
    struct Truth(BTreeMap<String, f64>);

    impl Evaluate for Truth {
        fn divergence(&mut self, formats: &Formats) -> Result<Divergence, MeasureError> {
            let of = |name: &str| match formats[name] {
                BlockFormat::Q2_K => self.0[name],
                BlockFormat::BF16 => 0.0,
                _ => self.0[name] / 4.0,
            };
            let sum: f64 = formats.keys().map(|name| of(name)).sum();
            let mut found = Divergence::default();
            found.push((sum + (of("a") * of("b")).sqrt(), true));
            Ok(found)
        }
    }

    #[test]
    fn a_table_that_misjudges_is_corrected_by_the_whole() {
        let names = ["a", "b", "c", "d"];
        let group = |name: &str| GroupOfTensors {
            name: name.to_owned(),
            tensors: vec![name.to_owned()],
            shapes: vec![(16, 256)],
            candidates: candidates(BlockFormat::BF16, &[(16, 256)])
                .into_iter()
                .filter(|(format, _)| {
                    matches!(format, BlockFormat::Q2_K | BlockFormat::Q4_K | BlockFormat::BF16)
                })
                .collect(),
        };
        let groups: Vec<_> = names.map(group).into();
        // The table has them the wrong way round.
        let row = |name: &str, damage: f64| GroupSensitivity {
            name: name.to_owned(),
            tensors: vec![name.to_owned()],
            damages: vec![
                (BlockFormat::Q2_K, damage),
                (BlockFormat::Q4_K, damage / 4.0),
                (BlockFormat::BF16, 0.0),
            ],
        };
        let table = [row("a", 1.0), row("b", 1.0), row("c", 1.5), row("d", 1.5)];
        let mut truth = Truth(
            names
                .iter()
                .zip([3.0, 3.0, 1.0, 1.0])
                .map(|(name, damage)| ((*name).to_owned(), damage))
                .collect(),
        );
        let budget = Bytes(2 * 16 * 84 + 2 * 16 * 144);
        let once = choose(&groups, &table, budget, 1, &mut truth).unwrap();
        let often = choose(&groups, &table, budget, 60, &mut truth).unwrap();
        assert!(often.bytes <= budget && often.measured < once.measured);
        assert_eq!(often.formats["a"], BlockFormat::Q4_K);
        assert_eq!(often.formats["c"], BlockFormat::Q2_K);
        assert!(choose(&groups, &table, Bytes(100), 5, &mut truth).is_err());
    }
}
