//! Choosing experts and computing with the chosen (arXiv 1701.06538).

use mains_contract::{ExpertGroups, GroupRank, Scoring};

use super::linear::linear;
use super::narrow;

/// Added to the sum that weights are divided by.
const SUM_EPSILON: f64 = 1e-20;

/// How experts are chosen, as [`mains_contract::Op::Route`] gives it.
pub(crate) struct Router<'a> {
    pub(crate) scoring: Scoring,
    pub(crate) normalise: bool,
    pub(crate) scale: f32,
    pub(crate) groups: Option<ExpertGroups>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) expert_scale: Option<&'a [f32]>,
}

impl Router<'_> {
    /// Numbers of working memory for a choice among `experts`: scores, what is chosen by, and ranks of groups.
    pub(crate) const fn scratch(experts: usize) -> usize {
        3 * experts
    }

    /// Ids and weights of the chosen of `logits`, half of `out` each.
    pub(crate) fn route(&self, logits: &[f32], scratch: &mut [f64], out: &mut [f32]) {
        let experts = logits.len();
        let (scores, rest) = scratch.split_at_mut(experts);
        let (choice, ranks) = rest.split_at_mut(experts);
        self.score(logits, scores);
        for (expert, choice) in choice.iter_mut().enumerate() {
            *choice = scores[expert] + self.bias.map_or(0.0, |bias| f64::from(bias[expert]));
        }
        if let Some(groups) = self.groups {
            keep_best_groups(groups, choice, ranks);
        }
        let (ids, weights) = out.split_at_mut(out.len() / 2);
        for slot in 0..ids.len() {
            ids[slot] = id_number(best_beside(choice, &ids[..slot]));
        }
        let chosen = |slot: usize| scores[index(ids[slot])];
        let highest = (0..ids.len()).map(chosen).fold(f64::NEG_INFINITY, f64::max);
        let score = |slot: usize| match self.scoring {
            Scoring::SoftmaxOfChosen => (chosen(slot) - highest).exp(),
            Scoring::Softmax | Scoring::Sigmoid => chosen(slot),
        };
        let sum: f64 = (0..ids.len()).map(score).sum();
        let divisor = match self.scoring {
            Scoring::SoftmaxOfChosen => sum,
            _ if self.normalise => sum + SUM_EPSILON,
            _ => 1.0,
        };
        for (slot, weight) in weights.iter_mut().enumerate() {
            let own = self
                .expert_scale
                .map_or(1.0, |scale| f64::from(scale[index(ids[slot])]));
            *weight = narrow(score(slot) / divisor * f64::from(self.scale) * own);
        }
    }

    fn score(&self, logits: &[f32], scores: &mut [f64]) {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (score, logit) in scores.iter_mut().zip(logits) {
            let logit = f64::from(*logit);
            *score = match self.scoring {
                Scoring::Softmax => (logit - f64::from(highest)).exp(),
                Scoring::SoftmaxOfChosen => logit,
                Scoring::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
            };
        }
        if self.scoring == Scoring::Softmax {
            let sum: f64 = scores.iter().sum();
            for score in scores {
                *score /= sum;
            }
        }
    }
}

/// Puts the experts of all groups but the best out of the choice.
fn keep_best_groups(groups: ExpertGroups, choice: &mut [f64], ranks: &mut [f64]) {
    let ranks = &mut ranks[..groups.count];
    let each = choice.len() / groups.count;
    for (rank, group) in ranks.iter_mut().zip(choice.chunks_exact(each)) {
        let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for number in group {
            if *number > first {
                (first, second) = (*number, first);
            } else {
                second = second.max(*number);
            }
        }
        *rank = match groups.rank {
            GroupRank::Max => first,
            GroupRank::TopTwoSum => first + second,
        };
    }
    for (group, numbers) in choice.chunks_exact_mut(each).enumerate() {
        let better =
            |other: usize| ranks[other] > ranks[group] || (ranks[other] == ranks[group] && other < group);
        if (0..groups.count).filter(|other| better(*other)).count() >= groups.kept {
            numbers.fill(f64::NEG_INFINITY);
        }
    }
}

/// The expert with the highest number that is not among `taken`; the first of equal ones.
fn best_beside(choice: &[f64], taken: &[f32]) -> usize {
    let mut best: Option<(usize, f64)> = None;
    for (expert, number) in choice.iter().enumerate() {
        if taken.contains(&id_number(expert)) {
            continue;
        }
        if best.is_none_or(|(_, highest)| number.total_cmp(&highest).is_gt()) {
            best = Some((expert, *number));
        }
    }
    let (expert, _) = best.expect("a graph chooses no more experts than there are");
    expert
}

/// `out`, slot by slot: the product with the matrix of the slot's expert, plus its bias. `per_slot`: x has a part a slot.
pub(crate) fn expert_linear(
    x: &[f32],
    route: &[f32],
    matrices: &[f32],
    bias: Option<&[f32]>,
    per_slot: bool,
    out: &mut [f32],
) {
    let used = route.len() / 2;
    let (inputs, outputs) = (if per_slot { x.len() / used } else { x.len() }, out.len() / used);
    for (slot, (id, out)) in route.iter().zip(out.chunks_exact_mut(outputs)).enumerate() {
        let x = if per_slot {
            &x[slot * inputs..][..inputs]
        } else {
            x
        };
        let expert = index(*id);
        let matrix = &matrices[expert * inputs * outputs..][..inputs * outputs];
        linear(
            x,
            matrix,
            bias.map(|bias| &bias[expert * outputs..][..outputs]),
            out,
        );
    }
}

/// The sum of the slots of `x`, each times its weight.
pub(crate) fn combine(x: &[f32], route: &[f32], out: &mut [f32]) {
    let weights = &route[route.len() / 2..];
    for (at, number) in out.iter_mut().enumerate() {
        let slots = x.iter().skip(at).step_by(x.len() / weights.len());
        let terms = slots
            .zip(weights)
            .map(|(x, weight)| f64::from(*x) * f64::from(*weight));
        *number = narrow(terms.sum());
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a graph has at most 2^24 experts, which float32 counts exactly"
)]
fn id_number(expert: usize) -> f32 {
    expert as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ids are whole numbers that a route has made"
)]
fn index(id: f32) -> usize {
    id as usize
}

#[cfg(test)]
mod tests {
    use super::{Router, combine, expert_linear};
    use mains_contract::{ExpertGroups, GroupRank, Scoring};

    fn router(scoring: Scoring) -> Router<'static> {
        Router {
            scoring,
            normalise: false,
            scale: 1.0,
            groups: None,
            bias: None,
            expert_scale: None,
        }
    }

    fn routed(router: &Router<'_>, logits: &[f32], used: usize) -> (Vec<f32>, Vec<f32>) {
        let mut scratch = vec![0.0; Router::scratch(logits.len())];
        let mut out = vec![0.0; 2 * used];
        router.route(logits, &mut scratch, &mut out);
        let weights = out.split_off(used);
        (out, weights)
    }

    fn close(found: &[f32], expected: &[f32]) -> bool {
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn the_best_come_first_and_ties_go_to_the_lowest_id() {
        let (ids, weights) = routed(&router(Scoring::Softmax), &[1.0, 3.0, 3.0, 1.0, 0.0], 4);
        assert_eq!(ids, [1.0, 2.0, 0.0, 3.0]);
        // e^logit over the sum of all five.
        assert!(
            close(&weights, &[0.430_949_5, 0.430_949_5, 0.058_322_67, 0.058_322_67]),
            "{weights:?}"
        );
    }

    #[test]
    fn weights_are_of_the_chosen_when_asked() {
        let normalised = Router {
            normalise: true,
            scale: 2.0,
            ..router(Scoring::Softmax)
        };
        let of_chosen = router(Scoring::SoftmaxOfChosen);
        let share = 1.0 / (1.0 + f32::exp(-2.0));
        let (_, weights) = routed(&normalised, &[0.0, 2.0, -1.0], 2);
        assert!(
            close(&weights, &[2.0 * share, 2.0 * (1.0 - share)]),
            "{weights:?}"
        );
        let (ids, weights) = routed(&of_chosen, &[0.0, 2.0, -1.0], 2);
        assert!(close(&weights, &[share, 1.0 - share]), "{weights:?}");
        assert_eq!(ids, [1.0, 0.0]);
    }

    #[test]
    fn a_bias_chooses_and_does_not_weigh() {
        let biased = Router {
            bias: Some(&[0.0, 0.0, 5.0]),
            expert_scale: Some(&[1.0, 1.0, 10.0]),
            ..router(Scoring::Sigmoid)
        };
        let (ids, weights) = routed(&biased, &[1.0, 0.0, -1.0], 2);
        assert_eq!(ids, [2.0, 0.0]);
        assert!(close(&weights, &[2.689_414, 0.731_058_6]), "{weights:?}");
    }

    #[test]
    fn only_the_best_groups_take_part() {
        let groups = |rank| Router {
            groups: Some(ExpertGroups {
                count: 3,
                kept: 1,
                rank,
            }),
            ..router(Scoring::Sigmoid)
        };
        let logits = [4.0, -4.0, 1.0, 2.0, 2.0, 1.0];
        assert_eq!(routed(&groups(GroupRank::Max), &logits, 2).0, [0.0, 1.0]);
        // Groups two and three rank the same: the first of them is kept.
        assert_eq!(routed(&groups(GroupRank::TopTwoSum), &logits, 2).0, [3.0, 2.0]);
    }

    #[test]
    fn slots_meet_their_experts_and_are_summed_by_weight() {
        let route = [2.0, 0.0, 0.5, 3.0];
        let matrices = [1.0, 0.0, 9.0, 9.0, 0.0, 1.0];
        let bias = [0.5, 0.0, 100.0];
        let mut out = [0.0; 2];
        expert_linear(&[3.0, 4.0], &route, &matrices, Some(&bias), false, &mut out);
        assert_eq!(out, [104.0, 3.5]);
        expert_linear(&[3.0, 4.0, 5.0, 6.0], &route, &matrices, None, true, &mut out);
        assert_eq!(out, [4.0, 5.0]);
        let mut sum = [0.0; 2];
        combine(&[2.0, 4.0, 1.0, -1.0], &route, &mut sum);
        assert_eq!(sum, [4.0, -1.0]);
    }
}
