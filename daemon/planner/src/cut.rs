//! Which parts of a model go to which device.
//!
//! Layers keep their order and devices theirs. The first devices get as much as leaves the rest a place. Equal devices then get equal shares: the cut that leaves every
//! one of them the largest share of its memory free.

use std::collections::HashSet;

use mains_contract::{Bytes, Footprint, FootprintModel, StepLimits};

use crate::fit::{Costs, Shape};

/// Steps in which devices' shares are evened out.
const SHARES: u64 = 256;

/// Neighbouring parts on one device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    /// The device, by its index among the rooms.
    pub(crate) room: usize,
    pub(crate) first: usize,
    /// Included.
    pub(crate) last: usize,
    pub(crate) model: FootprintModel,
    pub(crate) bytes: Footprint,
}

impl Costs<'_> {
    /// What goes where for `shape`; `None` when it does not fit.
    pub(crate) fn cut(&self, shape: Shape) -> Option<Vec<Run>> {
        let limits = self.limits(shape)?;
        let rooms = &self.rooms;
        let share = |share: u64| {
            let part = move |memory: Bytes| u128::from(memory.0) * u128::from(share) / u128::from(SHARES);
            let list = &rooms.list;
            move |room: usize| Bytes(u64::try_from(part(list[room].memory)).unwrap_or(u64::MAX))
        };
        let filled = self.fill(&limits, share(SHARES))?;
        if !rooms.hosts(self.beside(&limits)) {
            return None;
        }
        if filled.len() < 2 || rooms.are_filled() {
            return Some(filled);
        }
        let (mut short, mut enough, mut even) = (0, SHARES, filled);
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            match self.fill(&limits, share(middle)) {
                Some(runs) => (enough, even) = (middle, runs),
                None => short = middle,
            }
        }
        Some(even)
    }

    /// Each device with as much of what is left as fits in its `memory` and leaves no more than the next ones can take; `None`
    /// when there is no such cut.
    pub(crate) fn fill(&self, limits: &StepLimits, memory: impl Fn(usize) -> Bytes) -> Option<Vec<Run>> {
        let rooms = 0..self.rooms.list.len();
        let memory = rooms.map(|room| memory(room).checked_sub(self.beside_in(room, limits)));
        let memory: Vec<Option<Bytes>> = memory.collect();
        let mut runs = self.fill_from(0, 0, limits, &memory, &mut HashSet::new())?;
        runs.reverse();
        Some(runs)
    }

    /// The parts from `first` on in rooms from `room` on, the last first. `dead` are ends that were tried: what a run takes may
    /// shrink as it grows, since drivers share memory between values as well as they can.
    fn fill_from(
        &self,
        room: usize,
        first: usize,
        limits: &StepLimits,
        memory: &[Option<Bytes>],
        dead: &mut HashSet<(usize, usize)>,
    ) -> Option<Vec<Run>> {
        let parts = self.rooms.parts(self.facts);
        if first == parts {
            return Some(Vec::new());
        }
        let there = memory.get(room)?;
        if dead.contains(&(room, first)) {
            return None;
        }
        for last in (first..parts).rev().filter(|_| there.is_some()) {
            let run = self.run(room, first, last, limits)?;
            if Some(run.bytes.total()) <= *there
                && let Some(mut runs) = self.fill_from(room + 1, last + 1, limits, memory, dead)
            {
                runs.push(run);
                return Some(runs);
            }
        }
        let skipped = self.fill_from(room + 1, first, limits, memory, dead);
        if skipped.is_none() {
            dead.insert((room, first));
        }
        skipped
    }

    /// The parts from `first` to `last` in room `room`; `None` when its driver does not take the type of keys and values.
    pub(crate) fn run(&self, room: usize, first: usize, last: usize, limits: &StepLimits) -> Option<Run> {
        let parts = self.rooms.parts(self.facts);
        let there = &self.rooms.list[room];
        let base = there.costs.run(self.kv, parts, first, last)?;
        let model = *base + self.adds.run(room, first, last);
        Some(Run {
            room,
            first,
            last,
            bytes: model.at(limits, there.threads),
            model,
        })
    }

    /// Everything on the first device.
    pub(crate) fn whole(&self, limits: &StepLimits) -> Vec<Run> {
        let last = self.rooms.parts(self.facts) - 1;
        self.run(0, 0, last, limits).into_iter().collect()
    }

    /// What is beside the arenas in room `room`.
    pub(crate) fn beside_in(&self, room: usize, limits: &StepLimits) -> Bytes {
        if self.rooms.host.room == Some(room) {
            self.beside(limits)
        } else {
            Bytes::ZERO
        }
    }

    /// The most that is beside the arenas: the worker, and rows at as many of the widest borders as there can be.
    pub(crate) fn beside(&self, limits: &StepLimits) -> Bytes {
        let borders = 0..self.facts.borders.len();
        let widest = borders.map(|border| self.border_bytes(border, limits)).max();
        let most = (self.rooms.list.len() - 1) as u64;
        self.facts.runtime.at(limits) + widest.unwrap_or(Bytes::ZERO).times(most)
    }

    /// The rows that cross border `border` in a step.
    pub(crate) fn border_bytes(&self, border: usize, limits: &StepLimits) -> Bytes {
        let width = self.facts.borders.get(border).map_or(0, |border| border.width);
        Bytes::from(size_of::<f32>())
            .times(width.into())
            .times(limits.rows as u64)
    }
}
