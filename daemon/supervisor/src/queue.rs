//! Requests of one model: those that wait, in order, and those that are admitted. Pure; time is a value.
//!
//! A request takes as many sequences as it has choices, at the most all that the worker has: a larger one runs alone and
//! the worker orders its choices. Only the head is ever admitted, so that a large request is not starved by small ones.
//! Nothing is admitted ahead of a free sequence: the worker would hold it anyway, and here it can still be cancelled or
//! time out without a word to the worker.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A request's number within one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// The queue is at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// Bounds of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    /// Requests that may wait.
    pub(crate) waiting: usize,
    /// How long each may wait.
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    sequences: u32,
    deadline: Instant,
}

/// Requests of one model.
#[derive(Debug)]
pub(crate) struct Queue {
    limits: QueueLimits,
    waiting: VecDeque<Waiting>,
    running: HashMap<Ticket, u32>,
    next: u64,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            running: HashMap::new(),
            next: 0,
        }
    }

    /// Applies to requests that come from now on.
    pub(crate) const fn set_limits(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    pub(crate) const fn limits(&self) -> QueueLimits {
        self.limits
    }

    /// Lets a request of `sequences` wait.
    pub(crate) fn push(&mut self, sequences: u32, now: Instant) -> Result<Ticket, QueueFull> {
        if self.waiting.len() >= self.limits.waiting {
            return Err(QueueFull);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.push_back(Waiting {
            ticket,
            sequences: sequences.max(1),
            deadline: now + self.limits.timeout,
        });
        Ok(ticket)
    }

    /// Admits the head if the worker, with `capacity` sequences, has room for it.
    pub(crate) fn admit(&mut self, capacity: u32) -> Option<Ticket> {
        let head = self.waiting.front()?;
        let sequences = head.sequences.min(capacity);
        let taken: u32 = self.running.values().sum();
        if sequences == 0 || taken + sequences > capacity {
            return None;
        }
        let ticket = head.ticket;
        self.waiting.pop_front();
        self.running.insert(ticket, sequences);
        Some(ticket)
    }

    /// Takes out every request whose time is over at `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Ticket> {
        let mut expired = Vec::new();
        self.waiting.retain(|waiting| {
            let keep = waiting.deadline > now;
            if !keep {
                expired.push(waiting.ticket);
            }
            keep
        });
        expired
    }

    /// Takes out a request, whether it waits or is admitted. False when it is not there any more.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> bool {
        if self.running.remove(&ticket).is_some() {
            return true;
        }
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        self.waiting.len() < before
    }

    /// Takes out everything that waits.
    pub(crate) fn refuse_waiting(&mut self) -> Vec<Ticket> {
        self.waiting.drain(..).map(|waiting| waiting.ticket).collect()
    }

    /// When the next waiting request's time is over.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.deadline).min()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{Queue, QueueFull, QueueLimits, Ticket};

    fn queue(waiting: usize, timeout_s: u64) -> Queue {
        Queue::new(QueueLimits {
            waiting,
            timeout: Duration::from_secs(timeout_s),
        })
    }

    #[test]
    fn a_request_larger_than_the_worker_runs_alone() {
        let now = Instant::now();
        let mut queue = queue(10, 10);
        let large = queue.push(100, now).unwrap();
        let small = queue.push(1, now).unwrap();
        assert_eq!(queue.admit(8), Some(large));
        assert_eq!(queue.admit(8), None);
        assert!(queue.remove(large));
        assert_eq!(queue.admit(8), Some(small));
    }

    #[test]
    fn nothing_is_admitted_without_a_worker() {
        let mut queue = queue(1, 10);
        queue.push(1, Instant::now()).unwrap();
        assert_eq!(queue.admit(0), None);
        assert_eq!(queue.push(1, Instant::now()), Err(QueueFull));
    }

    #[test]
    fn time_is_over_exactly_at_the_deadline() {
        let now = Instant::now();
        let mut queue = queue(10, 10);
        let ticket = queue.push(1, now).unwrap();
        let deadline = now + Duration::from_secs(10);
        assert_eq!(queue.next_deadline(), Some(deadline));
        assert!(queue.expire(deadline - Duration::from_nanos(1)).is_empty());
        assert_eq!(queue.expire(deadline), [ticket]);
        assert_eq!(queue.next_deadline(), None);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Push(u32),
        Admit(u32),
        Remove(u64),
        Pass(u64),
        Refuse,
    }

    fn any_act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0_u32..20).prop_map(Act::Push),
            4 => (0_u32..10).prop_map(Act::Admit),
            2 => (0_u64..60).prop_map(Act::Remove),
            2 => (0_u64..5).prop_map(Act::Pass),
            1 => Just(Act::Refuse),
        ]
    }

    proptest! {
        /// Every ticket leaves exactly once, in order where it is admitted; both bounds hold at every step.
        #[test]
        fn loses_and_doubles_nothing(acts in proptest::collection::vec(any_act(), 0..200), limit in 0_usize..8) {
            let mut queue = queue(limit, 6);
            let mut now = Instant::now();
            let mut waiting: Vec<(Ticket, Instant)> = Vec::new();
            let mut running: BTreeSet<Ticket> = BTreeSet::new();
            let mut last_admitted = None;
            for act in acts {
                match act {
                    Act::Push(sequences) => match queue.push(sequences, now) {
                        Ok(ticket) => waiting.push((ticket, now + Duration::from_secs(6))),
                        Err(QueueFull) => prop_assert_eq!(waiting.len(), limit),
                    },
                    Act::Admit(capacity) => if let Some(ticket) = queue.admit(capacity) {
                        prop_assert_eq!(waiting.remove(0).0, ticket);
                        prop_assert!(last_admitted < Some(ticket));
                        last_admitted = Some(ticket);
                        running.insert(ticket);
                        prop_assert!(queue.running.values().sum::<u32>() <= capacity);
                    },
                    Act::Remove(number) => {
                        let ticket = Ticket(number);
                        let known = running.remove(&ticket) || waiting.iter().any(|(waits, _)| *waits == ticket);
                        waiting.retain(|(waits, _)| *waits != ticket);
                        prop_assert_eq!(queue.remove(ticket), known);
                    }
                    Act::Pass(seconds) => {
                        now += Duration::from_secs(seconds);
                        let over: Vec<_> = waiting.iter().filter(|(_, at)| *at <= now).map(|(ticket, _)| *ticket).collect();
                        waiting.retain(|(_, at)| *at > now);
                        prop_assert_eq!(queue.expire(now), over);
                    }
                    Act::Refuse => {
                        let all: Vec<_> = waiting.drain(..).map(|(ticket, _)| ticket).collect();
                        prop_assert_eq!(queue.refuse_waiting(), all);
                    }
                }
                prop_assert_eq!(queue.waiting(), waiting.len());
                prop_assert_eq!(queue.running(), running.len());
                prop_assert!(queue.waiting() <= limit);
                prop_assert_eq!(queue.next_deadline(), waiting.iter().map(|(_, at)| *at).min());
            }
        }
    }
}
