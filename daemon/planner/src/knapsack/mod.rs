//! Types for groups of tensors: the least damage under a budget of bytes, or the fewest bytes under a bound of damage.
//!
//! A multiple-choice knapsack: one candidate a group, sums on both sides. Solved by the linear relaxation, whose bound is
//! tight within one group's step, and by a search over the groups that the relaxation leaves open (D. Pisinger, "A minimal
//! algorithm for the multiple-choice knapsack problem", 1995). The distance to the optimum is proved and reported.

mod front;
mod moves;
mod relaxation;
mod search;

use mains_contract::{BlockFormat, Bytes};

use self::search::{Item, Solved};

/// Tensors that share a type: a projection, a stack of experts, a matrix that is used twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What errors and tables call it.
    pub name: String,
    /// Names of its tensors in GGUF.
    pub tensors: Vec<String>,
    /// Types that it can have, in any order.
    pub candidates: Vec<Candidate>,
}

/// One type of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The type.
    pub format: BlockFormat,
    /// Bytes of all the group's tensors in it.
    pub bytes: Bytes,
    /// What it costs in quality: nats a token, at least 0. Damages of groups are added up.
    pub damage: f64,
}

/// A candidate for every group.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// By group, the index of its candidate.
    pub picks: Vec<usize>,
    /// Bytes of all of them.
    pub bytes: Bytes,
    /// Damage of all of them.
    pub damage: f64,
    /// How far what was minimised may be from the optimum, as a share of the optimum: 0 is proved to be optimal.
    pub gap: f64,
}

/// Why there is no selection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KnapsackError {
    /// A group that can have no type.
    #[error("group {group} has no candidate")]
    NoCandidates {
        /// Its name.
        group: String,
    },
    /// A damage that is none.
    #[error(
        "group {group} in {format}: a damage of {damage} is not a number of at least 0; measure it again"
    )]
    Damage {
        /// The group's name.
        group: String,
        /// The candidate.
        format: BlockFormat,
        /// What it has.
        damage: f64,
    },
    /// The smallest types are too large together.
    #[error("{least} are needed at least, the budget is {budget}")]
    Budget {
        /// Bytes of the smallest types.
        least: Bytes,
        /// What was given.
        budget: Bytes,
    },
    /// The best types damage too much together.
    #[error("the damage is {least} nats a token at least, the bound is {bound}")]
    Quality {
        /// Damage of the best types.
        least: f64,
        /// What was given.
        bound: f64,
    },
}

/// The selection of least damage in at most `budget` bytes.
///
/// # Errors
/// [`KnapsackError`] when a group is not in order or the budget is below the smallest types.
pub fn least_damage(groups: &[Group], budget: Bytes) -> Result<Selection, KnapsackError> {
    check(groups)?;
    let items = items(groups, |candidate| Item {
        cost: candidate.damage,
        weight: as_number(candidate.bytes),
    });
    let solved = search::solve(&items, as_number(budget)).ok_or_else(|| KnapsackError::Budget {
        least: groups.iter().map(smallest).sum(),
        budget,
    })?;
    Ok(selection(groups, solved, |selection| selection.damage))
}

/// Share of a bound of damage by which sums in another order may differ.
const ROUNDING: f64 = 1e-12;

/// The selection of fewest bytes that damages at most `bound`, up to the rounding of sums.
///
/// # Errors
/// [`KnapsackError`] when a group is not in order or the best types damage more.
pub fn least_bytes(groups: &[Group], bound: f64) -> Result<Selection, KnapsackError> {
    check(groups)?;
    let items = items(groups, |candidate| Item {
        cost: as_number(candidate.bytes),
        weight: candidate.damage,
    });
    let solved = search::solve(&items, bound * (1.0 + ROUNDING)).ok_or_else(|| KnapsackError::Quality {
        least: groups.iter().map(mildest).sum(),
        bound,
    })?;
    Ok(selection(groups, solved, |selection| as_number(selection.bytes)))
}

fn check(groups: &[Group]) -> Result<(), KnapsackError> {
    for group in groups {
        if group.candidates.is_empty() {
            let group = group.name.clone();
            return Err(KnapsackError::NoCandidates { group });
        }
        let bad = |candidate: &&Candidate| !(candidate.damage.is_finite() && candidate.damage >= 0.0);
        if let Some(candidate) = group.candidates.iter().find(bad) {
            return Err(KnapsackError::Damage {
                group: group.name.clone(),
                format: candidate.format,
                damage: candidate.damage,
            });
        }
    }
    Ok(())
}

fn items(groups: &[Group], item: impl Fn(&Candidate) -> Item) -> Vec<Vec<Item>> {
    groups
        .iter()
        .map(|group| group.candidates.iter().map(&item).collect())
        .collect()
}

fn selection(groups: &[Group], solved: Solved, minimised: impl Fn(&Selection) -> f64) -> Selection {
    let picked = || {
        groups
            .iter()
            .zip(&solved.picks)
            .map(|(group, pick)| group.candidates[*pick])
    };
    let mut selection = Selection {
        bytes: picked().map(|candidate| candidate.bytes).sum(),
        damage: picked().map(|candidate| candidate.damage).sum(),
        gap: 0.0,
        picks: solved.picks.clone(),
    };
    let found = minimised(&selection);
    if found > solved.bound && solved.bound > 0.0 {
        selection.gap = found / solved.bound - 1.0;
    }
    selection
}

fn smallest(group: &Group) -> Bytes {
    let bytes = group.candidates.iter().map(|candidate| candidate.bytes);
    bytes.min().unwrap_or(Bytes::ZERO)
}

fn mildest(group: &Group) -> f64 {
    let damages = group.candidates.iter().map(|candidate| candidate.damage);
    damages.fold(f64::INFINITY, f64::min)
}

/// Exact below 2^53 bytes, more than any device has.
#[expect(clippy::cast_precision_loss, reason = "8 PiB and less are exact")]
const fn as_number(bytes: Bytes) -> f64 {
    bytes.0 as f64
}
