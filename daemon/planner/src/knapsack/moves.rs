//! How groups may be moved from where the relaxation has them, and what moves can do at best.

use super::front::State;
use super::relaxation::Relaxed;
use super::search::Item;

/// How a group may be moved from where the relaxation has it.
#[derive(Debug)]
pub(super) struct Moves {
    pub(super) group: usize,
    /// The least that any of them costs beyond the relaxation.
    pub(super) least: f64,
    /// The one that costs least beyond the relaxation first.
    pub(super) moves: Vec<Move>,
}

/// One item instead of another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    item: u16,
    weight: f64,
    cost: f64,
    /// What it costs beyond the relaxation.
    beyond: f64,
}

impl Moves {
    /// The states that come of `state`, itself last, by moves that cost less than `open` beyond the relaxation.
    pub(super) fn applied(&self, state: State, open: f64) -> impl Iterator<Item = State> + '_ {
        let worth = self.moves.iter().take_while(move |one| one.beyond < open);
        let moved = worth.map(move |one| State {
            weight: state.weight + one.weight,
            cost: state.cost + one.cost,
            last: state.last,
            item: Some(one.item),
        });
        moved.chain([state])
    }
}

/// What moves of the groups from some group on can do at best.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// Weight that they can take away.
    lighter: f64,
    /// Cost beyond the relaxation, at least, of a unit of weight taken away.
    taking: f64,
    /// The same of a unit that is left of the limit, used or not.
    leaving: f64,
}

/// How `group` may be moved to another of its `items`.
pub(super) fn moves(items: &[Item], relaxed: &Relaxed, group: usize) -> Moves {
    let from = items[relaxed.picks[group]];
    let mut moves: Vec<Move> = (0_u16..)
        .zip(items)
        .filter(|(item, to)| usize::from(*item) != relaxed.picks[group] && **to != from)
        .map(|(item, to)| {
            let (weight, cost) = (to.weight - from.weight, to.cost - from.cost);
            // Below 0 only by rounding.
            let beyond = (cost + relaxed.price * weight).max(0.0);
            Move {
                item,
                weight,
                cost,
                beyond,
            }
        })
        .collect();
    moves.sort_by(|one, other| one.beyond.total_cmp(&other.beyond));
    let least = moves.first().map_or(f64::INFINITY, |one| one.beyond);
    Moves { group, least, moves }
}

/// By step, what the steps from there on can do; one more than there are steps.
pub(super) fn rests(steps: &[Moves], price: f64) -> Vec<Rest> {
    let mut rest = Rest {
        lighter: 0.0,
        taking: f64::INFINITY,
        leaving: price,
    };
    let mut rests = vec![rest];
    for step in steps.iter().rev() {
        let mut lightest = 0.0_f64;
        for one in &step.moves {
            if one.weight < 0.0 {
                lightest = lightest.max(-one.weight);
                rest.taking = rest.taking.min(one.beyond / -one.weight);
            } else if one.weight > 0.0 {
                rest.leaving = rest.leaving.min(one.beyond / one.weight);
            }
        }
        rest.lighter += lightest;
        rests.push(rest);
    }
    rests.reverse();
    rests
}

impl Rest {
    /// What a selection costs beyond the relaxation, at least, that goes on from `state`; `left` is what the relaxation
    /// leaves of the limit, at this `price`.
    pub(super) fn beyond(&self, state: &State, price: f64, left: f64) -> f64 {
        let over = state.weight - left;
        let beyond = state.cost + price * state.weight;
        if over <= 0.0 {
            beyond + self.leaving * -over
        } else if over <= self.lighter {
            beyond + self.taking * over
        } else {
            f64::INFINITY
        }
    }
}
