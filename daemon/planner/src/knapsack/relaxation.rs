//! The linear relaxation: groups may be between two candidates.

use super::search::Item;

/// The best selection of the relaxation, rounded down to what fits, and what it proves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Relaxed {
    /// By group, the candidate that the relaxation has, for the one group between two the lighter.
    pub(super) picks: Vec<usize>,
    /// Cost saved by one more unit of weight, where the limit cut in. 0 when everything fitted.
    pub(super) price: f64,
    /// No selection costs less.
    pub(super) bound: f64,
    /// Weight that `picks` leave of the limit.
    pub(super) left: f64,
}

/// One step of a group from a candidate to the next heavier one on its convex hull.
#[derive(Debug, Clone, Copy)]
struct Step {
    group: usize,
    to: usize,
    weight: f64,
    saved: f64,
}

impl Step {
    fn price(&self) -> f64 {
        self.saved / self.weight
    }
}

/// Solves the relaxation, or `None` when the lightest candidates exceed `limit`.
pub(super) fn relax(groups: &[Vec<Item>], limit: f64) -> Option<Relaxed> {
    let mut picks = Vec::with_capacity(groups.len());
    let mut steps = Vec::new();
    for (group, items) in groups.iter().enumerate() {
        let hull = hull(items);
        picks.push(hull[0]);
        steps.extend(hull.windows(2).map(|pair| Step {
            group,
            to: pair[1],
            weight: items[pair[1]].weight - items[pair[0]].weight,
            saved: items[pair[0]].cost - items[pair[1]].cost,
        }));
    }
    let mut left = limit - sum(groups, &picks, |item| item.weight);
    if left < 0.0 {
        return None;
    }
    // Stable: steps of one group stay in order where prices are equal.
    steps.sort_by(|one, other| other.price().total_cmp(&one.price()));
    let mut price = 0.0;
    for step in steps {
        if step.weight > left {
            price = step.price();
            break;
        }
        left -= step.weight;
        picks[step.group] = step.to;
    }
    // Summed again, since many small differences lose digits.
    left = (limit - sum(groups, &picks, |item| item.weight)).max(0.0);
    let bound = sum(groups, &picks, |item| item.cost) - price * left;
    Some(Relaxed {
        picks,
        price,
        bound,
        left,
    })
}

/// `of` summed over the picked items, in the order of groups.
pub(super) fn sum(groups: &[Vec<Item>], picks: &[usize], of: impl Fn(&Item) -> f64) -> f64 {
    groups
        .iter()
        .zip(picks)
        .map(|(items, pick)| of(&items[*pick]))
        .sum()
}

/// Indexes of the lower convex hull, from the lightest to the cheapest; at least one.
fn hull(items: &[Item]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|one, other| {
        let (one, other) = (&items[*one], &items[*other]);
        one.weight
            .total_cmp(&other.weight)
            .then(one.cost.total_cmp(&other.cost))
    });
    let mut hull: Vec<usize> = Vec::new();
    for next in order {
        if hull
            .last()
            .is_some_and(|last| items[*last].cost <= items[next].cost)
        {
            continue;
        }
        while let [.., before, last] = hull[..] {
            if price(&items[before], &items[last]) > price(&items[last], &items[next]) {
                break;
            }
            hull.pop();
        }
        hull.push(next);
    }
    hull
}

fn price(from: &Item, to: &Item) -> f64 {
    (from.cost - to.cost) / (to.weight - from.weight)
}

#[cfg(test)]
mod tests {
    use super::{Item, hull, relax};

    fn items(pairs: &[(f64, f64)]) -> Vec<Item> {
        pairs
            .iter()
            .map(|&(weight, cost)| Item { cost, weight })
            .collect()
    }

    #[test]
    fn a_hull_leaves_out_what_two_others_beat() {
        // (2, 9) lies above the line from (1, 10) to (3, 2), (4, 5) costs more than the lighter (3, 2).
        let items = items(&[(3.0, 2.0), (2.0, 9.0), (1.0, 10.0), (4.0, 5.0), (9.0, 0.0)]);
        assert_eq!(hull(&items), [2, 0, 4]);
    }

    #[test]
    fn the_limit_cuts_a_step() {
        let groups = [
            items(&[(1.0, 10.0), (3.0, 2.0)]),
            items(&[(1.0, 4.0), (5.0, 0.0)]),
        ];
        let relaxed = relax(&groups, 6.0).unwrap();
        assert_eq!(relaxed.picks, [1, 0]);
        // Of the second step 2 of 4 units fit, each saving 1.
        assert_eq!((relaxed.price, relaxed.left, relaxed.bound), (1.0, 2.0, 4.0));
        assert_eq!(relax(&groups, 1.9), None);
        assert_eq!(relax(&groups, 8.0).unwrap().price, 0.0);
    }
}
