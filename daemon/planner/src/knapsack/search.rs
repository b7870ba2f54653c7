//! The search around the relaxation: which groups to move from where it has them.

use super::front::{History, State, pareto, thin};
use super::relaxation::{Relaxed, relax, sum};

/// One choice of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    /// What is minimised; at least 0.
    pub(super) cost: f64,
    /// What is limited; at least 0.
    pub(super) weight: f64,
}

/// A selection and what is proved of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solved {
    /// By group, the index of its item.
    pub(super) picks: Vec<usize>,
    /// No selection costs less.
    pub(super) bound: f64,
}

/// Share of the cost that is not searched for: a tenth of the gap that is promised, so that the rest is left for fronts
/// that have to be thinned.
const IGNORED: f64 = 1e-4;

/// States in a front. Enough for all that matter of hundreds of groups, few enough for a step of some milliseconds.
const FRONT: usize = 1 << 13;

/// States that are looked at before the search settles for what the relaxation proves: a fraction of a second.
const WORK: usize = 1 << 22;

/// How a group may be moved from where the relaxation has it.
#[derive(Debug)]
struct Moves {
    group: usize,
    /// The least that any of them costs beyond the relaxation.
    least: f64,
    moves: Vec<Move>,
}

/// One item instead of another.
#[derive(Debug, Clone, Copy)]
struct Move {
    item: u16,
    weight: f64,
    cost: f64,
    /// What it costs beyond the relaxation.
    beyond: f64,
}

/// What moves of the groups from some group on can do at best.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Weight that they can take away.
    lighter: f64,
    /// Cost beyond the relaxation, at least, of a unit of weight taken away.
    taking: f64,
    /// The same of a unit that is left of the limit, used or not.
    leaving: f64,
}

/// One item a group, of least cost within `limit`; `None` when the lightest exceed it.
pub(super) fn solve(groups: &[Vec<Item>], limit: f64) -> Option<Solved> {
    let relaxed = relax(groups, limit)?;
    if relaxed.price == 0.0 {
        return Some(Solved {
            picks: relaxed.picks,
            bound: relaxed.bound,
        });
    }
    Some(Search::new(groups, &relaxed).run())
}

struct Search<'a> {
    groups: &'a [Vec<Item>],
    relaxed: &'a Relaxed,
    moves: Vec<Moves>,
    /// By step of the search, what the groups from there on can do.
    rests: Vec<Rest>,
    history: History,
    front: Vec<State>,
    /// The cheapest selection within the limit.
    best: State,
    /// Cost of the selection that the search starts from.
    start: f64,
    /// What thinned fronts may have lost.
    lost: f64,
    /// States that were looked at.
    work: usize,
}

impl<'a> Search<'a> {
    fn new(groups: &'a [Vec<Item>], relaxed: &'a Relaxed) -> Self {
        let mut moves: Vec<Moves> = (0..groups.len())
            .map(|group| moves(&groups[group], relaxed, group))
            .filter(|moves| !moves.moves.is_empty())
            .collect();
        moves.sort_by(|one, other| one.least.total_cmp(&other.least));
        Self {
            groups,
            relaxed,
            rests: rests(&moves, relaxed.price),
            moves,
            history: History::default(),
            front: vec![State::START],
            best: State::START,
            start: sum(groups, &relaxed.picks, |item| item.cost),
            lost: 0.0,
            work: 0,
        }
    }

    fn run(mut self) -> Solved {
        for step in 0..self.moves.len() {
            if self.front.is_empty() || self.moves[step].least >= self.open() {
                break;
            }
            if self.work > WORK {
                self.lost = f64::INFINITY;
                break;
            }
            self.step(step);
        }
        let mut picks = self.relaxed.picks.clone();
        self.history.apply(self.best.last, &mut picks);
        let found = sum(self.groups, &picks, |item| item.cost);
        let proved = found - found * IGNORED - self.lost;
        Solved {
            picks,
            bound: self.relaxed.bound.max(proved).min(found),
        }
    }

    /// Selections that cost less than this beyond the relaxation are looked for.
    fn open(&self) -> f64 {
        let found = self.start + self.best.cost;
        found - found * IGNORED - self.relaxed.bound
    }

    /// Moves one more group.
    fn step(&mut self, step: usize) {
        let open = self.open();
        let rest = self.rests[step + 1];
        let Moves { group, ref moves, .. } = self.moves[step];
        let (price, left) = (self.relaxed.price, self.relaxed.left);
        self.work += self.front.len() * (moves.len() + 1);
        let mut next = Vec::with_capacity(self.front.len() * 2);
        for state in &self.front {
            let moved = moves.iter().filter(|one| one.beyond < open).map(|one| State {
                weight: state.weight + one.weight,
                cost: state.cost + one.cost,
                last: state.last,
                item: Some(one.item),
            });
            let all = moved.chain([*state]);
            next.extend(all.filter(|state| hopeful(state, price, left, &rest, open)));
        }
        pareto(&mut next);
        if next.len() > FRONT {
            self.lost += thin(&mut next, FRONT);
        }
        self.history.record(&mut next, group);
        self.front = next;
        let within = self.front.partition_point(|state| state.weight <= left);
        if let Some(state) = within.checked_sub(1).map(|at| self.front[at])
            && state.cost < self.best.cost
        {
            self.best = state;
        }
    }
}

/// Whether some selection that goes on from `state` may cost less than `open` beyond the relaxation.
fn hopeful(state: &State, price: f64, left: f64, rest: &Rest, open: f64) -> bool {
    let over = state.weight - left;
    let beyond = state.cost + price * state.weight;
    if over > 0.0 {
        over <= rest.lighter && beyond + rest.taking * over < open
    } else {
        beyond + rest.leaving * -over < open
    }
}

fn moves(items: &[Item], relaxed: &Relaxed, group: usize) -> Moves {
    let from = items[relaxed.picks[group]];
    let moves: Vec<Move> = (0_u16..)
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
    let least = moves.iter().map(|one| one.beyond).fold(f64::INFINITY, f64::min);
    Moves { group, least, moves }
}

/// By step, what the steps from there on can do; one more than there are steps.
fn rests(steps: &[Moves], price: f64) -> Vec<Rest> {
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
