//! The choice of types, against every choice there is, and at the size of the largest models.

use mains_contract::{BlockFormat, Bytes};
use mains_planner::knapsack::{Candidate, Group, KnapsackError, Selection, least_bytes, least_damage};
use proptest::prelude::*;

/// The gap that is promised.
const GAP: f64 = 1e-3;

fn group(name: &str, candidates: &[(u64, f64)]) -> Group {
    let candidate = |(index, &(bytes, damage)): (usize, &(u64, f64))| Candidate {
        format: BlockFormat::ALL[index % BlockFormat::ALL.len()],
        bytes: Bytes(bytes),
        damage,
    };
    Group {
        name: name.to_owned(),
        tensors: vec![format!("{name}.weight")],
        candidates: candidates.iter().enumerate().map(candidate).collect(),
    }
}

fn any_groups(most: usize) -> impl Strategy<Value = Vec<Group>> {
    let candidates = proptest::collection::vec((0_u64..2000, 0_u32..1000), 1..5);
    proptest::collection::vec(candidates, 0..most).prop_map(|groups| {
        groups
            .iter()
            .map(|candidates| {
                let scaled: Vec<_> = candidates
                    .iter()
                    .map(|&(bytes, damage)| (bytes, f64::from(damage) / 7.0))
                    .collect();
                group("g", &scaled)
            })
            .collect()
    })
}

/// Bytes and damage of every selection there is.
fn all(groups: &[Group]) -> Vec<(u64, f64)> {
    groups.iter().fold(vec![(0, 0.0)], |sums, group| {
        let with = |(bytes, damage): (u64, f64)| {
            let add = move |candidate: &Candidate| (bytes + candidate.bytes.0, damage + candidate.damage);
            group.candidates.iter().map(add)
        };
        sums.into_iter().flat_map(with).collect()
    })
}

fn adds_up(groups: &[Group], selection: &Selection) -> bool {
    let picked = || {
        groups
            .iter()
            .zip(&selection.picks)
            .map(|(group, pick)| &group.candidates[*pick])
    };
    let damage: f64 = picked().map(|candidate| candidate.damage).sum();
    selection.picks.len() == groups.len()
        && picked().map(|candidate| candidate.bytes).sum::<Bytes>() == selection.bytes
        && (damage - selection.damage).abs() <= 1e-9
}

proptest! {
    #[test]
    fn no_selection_of_the_budget_is_better(groups in any_groups(7), budget in 0_u64..9000) {
        let best = all(&groups).into_iter().filter(|(bytes, _)| *bytes <= budget).map(|(_, damage)| damage);
        let best = best.fold(f64::INFINITY, f64::min);
        match least_damage(&groups, Bytes(budget)) {
            Ok(found) => {
                prop_assert!(adds_up(&groups, &found));
                prop_assert!(found.bytes <= Bytes(budget));
                prop_assert!(found.gap <= GAP);
                prop_assert!(found.damage <= best * (1.0 + found.gap) + 1e-9, "{} {best}", found.damage);
            }
            Err(error) => {
                prop_assert!(best.is_infinite());
                let is_budget = matches!(error, KnapsackError::Budget { least, .. } if least > Bytes(budget));
                prop_assert!(is_budget, "{}", error);
            }
        }
    }

    #[test]
    fn no_selection_of_the_quality_is_smaller(groups in any_groups(7), bound in 0.0..600.0_f64) {
        let best = all(&groups).into_iter().filter(|(_, damage)| *damage <= bound).map(|(bytes, _)| bytes).min();
        match (least_bytes(&groups, bound), best) {
            (Ok(found), Some(best)) => {
                prop_assert!(adds_up(&groups, &found));
                prop_assert!(found.damage <= bound * (1.0 + 1e-12));
                prop_assert!(found.gap <= GAP);
                prop_assert!(found.bytes.0 as f64 <= best as f64 * (1.0 + found.gap) + 1e-6);
            }
            (Err(KnapsackError::Quality { least, .. }), None) => prop_assert!(least > bound),
            (found, best) => prop_assert!(false, "{found:?} {best:?}"),
        }
    }
}

proptest! {
    // Hard models are rare among these: one in some hundreds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// More groups than can be tried out: the bound has to be proved by the search itself.
    #[test]
    fn the_gap_of_models_keeps_its_promise(groups in any_model(1..400), share in 0.0..1.0_f64) {
        let bytes = |of: fn(u64, u64) -> u64| -> u64 {
            let one = |group: &Group| group.candidates.iter().map(|one| one.bytes.0).reduce(of);
            groups.iter().filter_map(one).sum()
        };
        let (least, most) = (bytes(u64::min), bytes(u64::max));
        let budget = least + ((most - least) as f64 * share) as u64;
        let found = least_damage(&groups, Bytes(budget)).unwrap();
        prop_assert!(found.bytes <= Bytes(budget));
        prop_assert!(found.gap <= GAP, "{}", found.gap);
        let back = least_bytes(&groups, found.damage).unwrap();
        prop_assert!(back.gap <= GAP, "{}", back.gap);
        prop_assert!(back.bytes.0 as f64 <= found.bytes.0 as f64 * (1.0 + back.gap) + 1.0);
    }
}

/// Groups like those of a model: every block format, damage falling with bits, importance over several magnitudes.
fn any_model(layers: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Group>> {
    let shape = (1_u64..64, 1_u64..200, -9.0..-2.0_f64, 0.6..1.4_f64);
    proptest::collection::vec(shape, layers).prop_map(|shapes| {
        let one = |(rows, blocks, magnitude, bend): (u64, u64, f64, f64)| {
            let types = BlockFormat::ALL
                .iter()
                .filter(|format| **format != BlockFormat::F32);
            let candidate = |format: &BlockFormat| {
                let bytes =
                    rows * 16 * blocks * 256 / format.block_len() as u64 * format.block_bytes() as u64;
                let bits = 8.0 * format.block_bytes() as f64 / format.block_len() as f64;
                (bytes, 10_f64.powf(magnitude) * (-1.3 * bits * bend).exp2())
            };
            group("g", &types.map(candidate).collect::<Vec<_>>())
        };
        shapes.into_iter().map(one).collect()
    })
}

#[test]
fn refuses_what_is_no_group() {
    let empty = least_damage(&[group("output", &[])], Bytes(1));
    assert_eq!(empty.unwrap_err().to_string(), "group output has no candidate");
    for damage in [f64::NAN, f64::INFINITY, -1.0] {
        let refused = least_damage(&[group("output", &[(1, damage)])], Bytes(1));
        assert!(matches!(refused, Err(KnapsackError::Damage { .. })), "{damage}");
    }
}

#[test]
fn nothing_to_choose_from_is_chosen() {
    let none = least_damage(&[], Bytes::ZERO).unwrap();
    assert_eq!((none.bytes, none.damage, none.gap), (Bytes::ZERO, 0.0, 0.0));
}

/// A mixture of experts of 20,000 matrices in 12 types each.
#[test]
fn the_largest_models_are_solved() {
    let groups: Vec<Group> = (0..20_000_u64)
        .map(|index| {
            let rows = 64 * (1 + index % 37);
            let damage = 1e-9 * f64::from(u32::try_from(index * 7919 % 10_007).unwrap());
            let candidate = |bits: u64| (rows * 512 * bits, damage * f64::from(1_u32 << (24 - bits)));
            group("g", &(3..15).map(candidate).collect::<Vec<_>>())
        })
        .collect();
    let all: Bytes = groups.iter().map(|group| group.candidates[11].bytes).sum();
    let found = least_damage(&groups, Bytes(all.0 / 2)).unwrap();
    assert!(found.gap <= GAP && found.bytes <= Bytes(all.0 / 2));
}
