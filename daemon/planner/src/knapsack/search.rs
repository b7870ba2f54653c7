//! The search around the relaxation: which groups to move from where it has them.

use super::front::{History, State, pareto, thin};
use super::moves::{Moves, Rest, moves, rests};
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

/// States that are looked at before the search settles for what it has proved: a fraction of a second.
const WORK: usize = 1 << 22;

/// Steps between two looks at all the groups that are still to come, which cost about as much as one step.
const LOOK_AHEAD: usize = 4;

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
    /// The cheapest selection within the limit: moves of two fronts' states.
    best: [u32; 2],
    /// Its cost, as a difference from the selection that the search starts from.
    best_cost: f64,
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
            best: [State::START.last; 2],
            best_cost: 0.0,
            start: sum(groups, &relaxed.picks, |item| item.cost),
            lost: 0.0,
            work: 0,
        }
    }

    fn run(mut self) -> Solved {
        let mut rest = f64::INFINITY;
        for step in 0..self.moves.len() {
            if self.front.is_empty() || self.moves[step].least >= self.open() {
                break;
            }
            if self.work > WORK {
                rest = self.unsearched(step);
                break;
            }
            self.step(step);
            if step % LOOK_AHEAD == 0 {
                self.look_ahead(step + 1);
            }
        }
        let mut picks = self.relaxed.picks.clone();
        for last in self.best {
            self.history.apply(last, &mut picks);
        }
        let found = sum(self.groups, &picks, |item| item.cost);
        let proved = (found - found * IGNORED).min(self.relaxed.bound + rest) - self.lost;
        Solved {
            picks,
            bound: self.relaxed.bound.max(proved).min(found),
        }
    }

    /// Selections that cost less than this beyond the relaxation are looked for.
    fn open(&self) -> f64 {
        let found = self.start + self.best_cost;
        found - found * IGNORED - self.relaxed.bound
    }

    /// The least that what was not searched costs beyond the relaxation, when the search ends before `step`.
    fn unsearched(&self, step: usize) -> f64 {
        let (price, left) = (self.relaxed.price, self.relaxed.left);
        let beyond = |state: &State| self.rests[step].beyond(state, price, left);
        self.front.iter().map(beyond).fold(f64::INFINITY, f64::min)
    }

    /// Moves one more group.
    fn step(&mut self, step: usize) {
        let open = self.open();
        let (price, left) = (self.relaxed.price, self.relaxed.left);
        let rest = self.rests[step + 1];
        let moves = &self.moves[step];
        let mut next = Vec::with_capacity(self.front.len() * 2);
        for state in &self.front {
            let applied = moves.applied(*state, open).inspect(|_| self.work += 1);
            next.extend(applied.filter(|state| rest.beyond(state, price, left) < open));
        }
        pareto(&mut next);
        if next.len() > FRONT {
            self.lost += thin(&mut next, FRONT);
        }
        self.history.record(&mut next, moves.group);
        self.front = next;
        self.join(&[State::START]);
    }

    /// Joins the front with single moves of the groups from `step` on: a good selection is found long before the front has
    /// grown to it, and what can not be better is then left out of the front.
    fn look_ahead(&mut self, step: usize) {
        let open = self.open();
        let worth = self.moves[step..].iter().take_while(|moves| moves.least < open);
        let mut single: Vec<State> = Vec::new();
        for (number, moves) in (0_u32..).zip(worth) {
            // The number of its group, until the entry in the history takes its place.
            let unmoved = State {
                last: number,
                ..State::START
            };
            let moved = moves.applied(unmoved, open);
            single.extend(moved.filter(|state| state.item.is_some()));
        }
        self.work += single.len();
        pareto(&mut single);
        for state in &mut single {
            let group = self.moves[step + state.last as usize].group;
            state.last = State::START.last;
            self.history.record(std::slice::from_mut(state), group);
        }
        self.join(&single);
    }

    /// Looks for the best that a state of the front and one of `other`, which moves other groups, are together.
    fn join(&mut self, other: &[State]) {
        let mut fitting = other.len();
        for state in &self.front {
            let room = self.relaxed.left - state.weight;
            while fitting > 0 && other[fitting - 1].weight > room {
                fitting -= 1;
            }
            let Some(partner) = fitting.checked_sub(1).map(|at| other[at]) else {
                break;
            };
            let cost = state.cost + partner.cost;
            if cost < self.best_cost {
                self.best_cost = cost;
                self.best = [state.last, partner.last];
            }
        }
    }
}
