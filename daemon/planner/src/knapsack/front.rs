//! Partial selections of which none is both lighter and cheaper than another.

/// Marks the selection that the search starts from.
const START: u32 = u32::MAX;

/// A partial selection, by its differences from the one that the search starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct State {
    pub(super) weight: f64,
    pub(super) cost: f64,
    /// The last pick but one that led here, in [`History`], or the last one once the state is in a front.
    pub(super) last: u32,
    /// The last pick, until the state is in a front.
    pub(super) item: Option<u16>,
}

impl State {
    pub(super) const START: Self = Self {
        weight: 0.0,
        cost: 0.0,
        last: START,
        item: None,
    };
}

/// How selections came about: each entry one pick after another.
#[derive(Debug, Default)]
pub(super) struct History(Vec<(u32, u32, u16)>);

impl History {
    /// Takes note of what the states of a front pick in `group`.
    pub(super) fn record(&mut self, front: &mut [State], group: usize) {
        let group = u32::try_from(group).expect("a model's tensors are numbered in 32 bits");
        for state in front {
            if let Some(item) = state.item.take() {
                let entry = u32::try_from(self.0.len()).expect("the search's work is bounded far below 2^32");
                self.0.push((state.last, group, item));
                state.last = entry;
            }
        }
    }

    /// Changes `picks` as the state with this `last` does.
    pub(super) fn apply(&self, last: u32, picks: &mut [usize]) {
        let mut entry = last;
        while entry != START {
            let (before, group, item) = self.0[entry as usize];
            picks[group as usize] = usize::from(item);
            entry = before;
        }
    }
}

/// Leaves the states that no lighter one undercuts, the lightest first.
pub(super) fn pareto(states: &mut Vec<State>) {
    states.sort_unstable_by(|one, other| {
        one.weight
            .total_cmp(&other.weight)
            .then(one.cost.total_cmp(&other.cost))
            .then((one.last, one.item).cmp(&(other.last, other.item)))
    });
    let mut cheapest = f64::INFINITY;
    states.retain(|state| {
        let keep = state.cost < cheapest;
        cheapest = cheapest.min(state.cost);
        keep
    });
}

/// Leaves at most about `most` states of a front: each that goes has a lighter neighbour that costs at most the returned
/// amount more.
pub(super) fn thin(states: &mut Vec<State>, most: usize) -> f64 {
    let (Some(first), Some(last)) = (states.first(), states.last()) else {
        return 0.0;
    };
    #[expect(clippy::cast_precision_loss, reason = "a bound of some thousands")]
    let loss = (first.cost - last.cost) / most as f64;
    let mut kept = f64::INFINITY;
    states.retain(|state| {
        let keep = state.cost < kept - loss;
        if keep {
            kept = state.cost;
        }
        keep
    });
    loss
}

#[cfg(test)]
mod tests {
    use super::{State, pareto, thin};

    fn states(pairs: &[(f64, f64)]) -> Vec<State> {
        let state = |&(weight, cost)| State {
            weight,
            cost,
            ..State::START
        };
        pairs.iter().map(state).collect()
    }

    #[test]
    fn only_what_pays_stays() {
        let mut front = states(&[(3.0, 1.0), (1.0, 5.0), (2.0, 5.0), (2.0, 4.0), (4.0, 1.0)]);
        pareto(&mut front);
        assert_eq!(front, states(&[(1.0, 5.0), (2.0, 4.0), (3.0, 1.0)]));
    }

    #[test]
    fn thinning_costs_what_it_says() {
        let all: Vec<(f64, f64)> = (0..1000_u32)
            .map(|at| (f64::from(at), 1000.0 - f64::from(at)))
            .collect();
        let mut front = states(&all);
        let loss = thin(&mut front, 10);
        assert!(front.len() <= 11, "{}", front.len());
        for (weight, cost) in all {
            let stays = |state: &&State| state.weight <= weight && state.cost <= cost + loss;
            assert!(front.iter().any(|state| stays(&state)), "{weight}");
        }
    }
}
