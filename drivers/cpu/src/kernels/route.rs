//! Choosing experts for one row (arXiv 1701.06538). There are few numbers and much hangs on their order: float64, on no
//! vectors.

use std::cmp::Ordering;

use mains_contract::{ExpertGroups, GroupRank, Scoring};

/// Added to the sum that weights are divided by, so that it is never 0.
const SUM_EPSILON: f64 = 1e-20;

/// How experts are chosen.
#[derive(Clone, Copy)]
pub(crate) struct Router<'a> {
    pub(crate) scoring: Scoring,
    pub(crate) normalise: bool,
    pub(crate) scale: f32,
    pub(crate) groups: Option<ExpertGroups>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) expert_scale: Option<&'a [f32]>,
}

impl Router<'_> {
    /// Numbers of working memory for a choice among `experts`.
    pub(crate) const fn scratch(experts: usize) -> usize {
        2 * experts
    }

    /// Ids and weights of the chosen of `logits`, half of `out` each.
    pub(crate) fn route(&self, logits: &[f32], scratch: &mut [f64], out: &mut [f32]) {
        let (scores, choice) = scratch.split_at_mut(logits.len());
        self.score(logits, scores);
        for (expert, choice) in choice.iter_mut().enumerate() {
            *choice = scores[expert] + self.bias.map_or(0.0, |bias| f64::from(bias[expert]));
        }
        if let Some(groups) = self.groups {
            keep_groups(groups, choice);
        }
        let (ids, weights) = out.split_at_mut(out.len() / 2);
        for (id, weight) in ids.iter_mut().zip(weights.iter_mut()) {
            let best = best(choice);
            // Below all that can be chosen: no expert is chosen twice.
            choice[best] = f64::NAN;
            (*id, *weight) = (number(best), 0.0);
        }
        self.weigh(scores, ids, weights);
    }

    fn score(&self, logits: &[f32], scores: &mut [f64]) {
        for (score, logit) in scores.iter_mut().zip(logits) {
            let logit = f64::from(*logit);
            *score = match self.scoring {
                Scoring::Softmax | Scoring::SoftmaxOfChosen => logit,
                Scoring::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
            };
        }
        if self.scoring == Scoring::Softmax {
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for score in scores.iter_mut() {
                *score = (*score - highest).exp();
            }
            let sum: f64 = scores.iter().sum();
            for score in scores {
                *score /= sum;
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to float32 on purpose")]
    fn weigh(&self, scores: &mut [f64], ids: &[f32], weights: &mut [f32]) {
        if self.scoring == Scoring::SoftmaxOfChosen {
            let highest = ids
                .iter()
                .map(|id| scores[expert(*id)])
                .fold(f64::NEG_INFINITY, f64::max);
            for id in ids {
                let score = &mut scores[expert(*id)];
                *score = (*score - highest).exp();
            }
        }
        let sum: f64 = ids.iter().map(|id| scores[expert(*id)]).sum();
        let divisor = match self.scoring {
            Scoring::SoftmaxOfChosen => sum,
            _ if self.normalise => sum + SUM_EPSILON,
            _ => 1.0,
        };
        for (id, weight) in ids.iter().zip(weights) {
            let own = self
                .expert_scale
                .map_or(1.0, |scales| f64::from(scales[expert(*id)]));
            *weight = (scores[expert(*id)] / divisor * f64::from(self.scale) * own) as f32;
        }
    }
}

/// The expert that an id of a route stands for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a route gives whole numbers from 0"
)]
pub(crate) fn expert(id: f32) -> usize {
    id as usize
}

#[expect(clippy::cast_precision_loss, reason = "a graph has at most 2^24 experts")]
fn number(expert: usize) -> f32 {
    expert as f32
}

/// The first of the highest numbers that are not taken (NaN); the first of all when all are.
fn best(choice: &[f64]) -> usize {
    let mut best = 0;
    for (expert, number) in choice.iter().enumerate() {
        let above = choice[best].is_nan() && !number.is_nan() || *number > choice[best];
        if above {
            best = expert;
        }
    }
    best
}

/// Puts the experts of all but the best groups below all others.
fn keep_groups(groups: ExpertGroups, choice: &mut [f64]) {
    let each = choice.len() / groups.count;
    let rank = |group: &[f64]| {
        let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for number in group {
            if *number > first {
                (first, second) = (*number, first);
            } else {
                second = second.max(*number);
            }
        }
        match groups.rank {
            GroupRank::Max => first,
            GroupRank::TopTwoSum => first + second,
        }
    };
    let ranks: Vec<f64> = choice.chunks_exact(each).map(rank).collect();
    for (group, numbers) in choice.chunks_exact_mut(each).enumerate() {
        let better = ranks.iter().enumerate().filter(|(other, rank)| {
            let order = rank.partial_cmp(&&ranks[group]);
            order == Some(Ordering::Greater) || order == Some(Ordering::Equal) && *other < group
        });
        if better.count() >= groups.kept {
            numbers.fill(f64::NEG_INFINITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use mains_contract::{ExpertGroups, GroupRank, Scoring};

    use super::Router;

    const PLAIN: Router<'_> = Router {
        scoring: Scoring::Softmax,
        normalise: false,
        scale: 1.0,
        groups: None,
        bias: None,
        expert_scale: None,
    };

    fn route(router: &Router<'_>, logits: &[f32], used: usize) -> (Vec<f32>, Vec<f32>) {
        let mut out = vec![0.0; 2 * used];
        router.route(logits, &mut vec![0.0; Router::scratch(logits.len())], &mut out);
        let weights = out.split_off(used);
        (out, weights)
    }

    #[test]
    fn ties_go_to_the_lowest_id() {
        assert_eq!(route(&PLAIN, &[1.0, 2.0, 2.0, 1.0], 3).0, [1.0, 2.0, 0.0]);
    }

    #[test]
    fn a_logit_that_is_no_number_chooses_whom_it_can() {
        let (ids, _) = route(&PLAIN, &[f32::NAN, 2.0, 2.0, 1.0], 3);
        assert!(ids.iter().all(|id| *id < 4.0));
    }

    #[test]
    fn only_the_best_groups_are_chosen_from() {
        let groups = |rank| Router {
            scoring: Scoring::SoftmaxOfChosen,
            groups: Some(ExpertGroups {
                count: 2,
                kept: 1,
                rank,
            }),
            ..PLAIN
        };
        let logits = [5.0, 0.0, 4.0, 3.0];
        assert_eq!(route(&groups(GroupRank::Max), &logits, 2).0, [0.0, 1.0]);
        assert_eq!(route(&groups(GroupRank::TopTwoSum), &logits, 2).0, [2.0, 3.0]);
    }
}
