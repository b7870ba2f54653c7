//! The scheduler against a pretended device that remembers which token lies in which slot of which block.

use std::collections::{BTreeMap, HashMap, HashSet};

use mains_contract::{BlockId, SlotId, StepLimits};
use proptest::prelude::*;

use super::{NewSequence, Scheduler, SchedulerLimits, SequenceId, StepPlan};

/// What a sequence must have said: each token follows from all before it.
fn next_token(tokens: &[u32]) -> u32 {
    tokens
        .iter()
        .fold(17u32, |hash, token| hash.wrapping_mul(31).wrapping_add(*token))
        % 1000
}

struct World {
    scheduler: Scheduler,
    limits: StepLimits,
    window: Option<usize>,
    slots: HashMap<(BlockId, usize), u32>,
    /// What was summed up in each slot.
    sums: HashMap<SlotId, Vec<u32>>,
    /// Tokens and the length at which each sequence ends.
    alive: BTreeMap<SequenceId, (Vec<u32>, usize)>,
    paused: HashSet<SequenceId>,
}

impl World {
    fn new(limits: StepLimits) -> Self {
        Self::windowed(limits, None)
    }

    /// Of a graph that sees the last `window` positions.
    fn windowed(limits: StepLimits, window: Option<usize>) -> Self {
        Self {
            scheduler: Scheduler::new(SchedulerLimits::new(&limits, window).unwrap()),
            limits,
            window,
            slots: HashMap::new(),
            sums: HashMap::new(),
            alive: BTreeMap::new(),
            paused: HashSet::new(),
        }
    }

    fn submit(&mut self, prompt: Vec<u32>, more: usize, group: Option<u64>) {
        let id = SequenceId(self.alive.keys().next_back().map_or(0, |id| id.0 + 1));
        let end = (prompt.len() + more).min(self.limits.context);
        self.alive.insert(id, (prompt.clone(), end));
        self.scheduler.submit(NewSequence { id, prompt, group });
    }

    fn remove(&mut self, id: SequenceId) {
        assert!(self.scheduler.remove(id));
        self.alive.remove(&id);
        self.paused.remove(&id);
    }

    /// Plans and "runs" a step; `false` when there was nothing to do.
    fn step(&mut self) -> bool {
        let decoding: Vec<u64> = self.decoding();
        let Some(plan) = self.scheduler.plan() else {
            return false;
        };
        assert!(plan.tokens.len() <= self.limits.rows);
        assert!(plan.outputs.len() <= self.limits.output_rows);
        plan.step(&plan.sequence_spans()).check(&self.limits).unwrap();
        self.check_order(&decoding, &plan);
        self.run(&plan);
        for id in &plan.outputs {
            let (tokens, end) = self.alive.get_mut(id).unwrap();
            let token = next_token(tokens);
            tokens.push(token);
            assert_eq!(self.scheduler.push(*id, token), Some(tokens.len()));
            if tokens.len() >= *end {
                self.remove(*id);
            }
        }
        true
    }

    /// Who was decoding comes first, the oldest goes on, and no row is left over while somebody could use it.
    fn check_order(&self, decoding: &[u64], plan: &StepPlan) {
        let running = &self.scheduler.running;
        let decoding = decoding.iter().filter_map(|arrival| running.get(arrival));
        for (index, sequence) in decoding.enumerate() {
            let served = plan.spans.get(index).map(|span| span.id);
            assert_eq!(served, Some(sequence.id), "sequence {} starves", sequence.id.0);
        }
        if let Some(oldest) = running.values().next() {
            assert!(plan.spans.iter().any(|span| span.id == oldest.id));
        }
        if plan.tokens.len() < self.limits.rows {
            let mut left = running.values().filter(|sequence| sequence.pending() > 0);
            assert!(left.all(|sequence| sequence.checkpoints.contains(&sequence.computed)));
        }
    }

    fn decoding(&self) -> Vec<u64> {
        let running = self.scheduler.running.iter();
        running
            .filter(|(_, sequence)| sequence.pending() == 1)
            .map(|(arrival, _)| *arrival)
            .collect()
    }

    /// Copies, writes, then checks that every row sees exactly its own sequence's tokens.
    fn run(&mut self, plan: &StepPlan) {
        if self.limits.slots > 0 {
            for (from, to) in &plan.slot_copies {
                let sum = self.sums.get(from).cloned().unwrap_or_default();
                self.sums.insert(*to, sum);
            }
            self.sum_up(plan);
        }
        for (from, to) in &plan.copies {
            for slot in 0..self.limits.block_tokens {
                if let Some(token) = self.slots.get(&(*from, slot)).copied() {
                    self.slots.insert((*to, slot), token);
                }
            }
        }
        let place = |blocks: &[BlockId], position: usize| {
            let size = self.limits.block_tokens;
            (blocks[position / size], position % size)
        };
        let mut written = HashSet::new();
        for span in &plan.spans {
            for row in span.first_row..span.first_row + span.rows {
                let place = place(plan.blocks_of(span), plan.positions[row] as usize);
                assert!(written.insert(place), "two rows write to {place:?}");
                self.slots.insert(place, plan.tokens[row]);
            }
        }
        for span in &plan.spans {
            let last = plan.positions[span.first_row + span.rows - 1] as usize;
            let first = plan.positions[span.first_row] as usize;
            let seen = self.window.map_or(0, |window| (first + 1).saturating_sub(window));
            let (tokens, _) = &self.alive[&span.id];
            for (position, token) in tokens[..=last].iter().enumerate().skip(seen) {
                let found = self.slots.get(&place(plan.blocks_of(span), position));
                assert_eq!(found, Some(token), "sequence {} at {position}", span.id.0);
            }
        }
    }

    /// Slots hold what their sequences were before the step, and nothing else.
    fn sum_up(&mut self, plan: &StepPlan) {
        for span in &plan.spans {
            let rows = span.first_row..span.first_row + span.rows;
            let first = plan.positions[rows.start] as usize;
            let sum = self.sums.entry(span.slot).or_default();
            if first == 0 {
                sum.clear();
            }
            assert_eq!(*sum, self.alive[&span.id].0[..first], "sequence {}", span.id.0);
            sum.extend_from_slice(&plan.tokens[rows]);
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    Submit {
        prompt: Vec<u32>,
        more: usize,
        choices: usize,
    },
    Step,
    Cancel(usize),
    Pause(usize),
    Resume(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (prop::collection::vec(0..50u32, 1..23), 1..20usize, 1..4usize)
            .prop_map(|(prompt, more, choices)| Action::Submit { prompt, more, choices }),
        6 => Just(Action::Step),
        1 => (0..9usize).prop_map(Action::Cancel),
        1 => (0..9usize).prop_map(Action::Pause),
        1 => (0..9usize).prop_map(Action::Resume),
    ]
}

fn limits() -> impl Strategy<Value = StepLimits> {
    (1..12usize, 1..6usize, 1..6usize, 0..12usize, 0..4usize).prop_map(
        |(rows, output_rows, block_tokens, spare, slots)| {
            let context = 24;
            StepLimits {
                rows,
                output_rows,
                context,
                blocks: context.div_ceil(block_tokens) + spare,
                block_tokens,
                slots,
            }
        },
    )
}

fn apply(world: &mut World, action: Action, group: u64) {
    let chosen = |index: usize| world.alive.keys().nth(index).copied();
    match action {
        Action::Submit {
            prompt,
            more,
            choices,
        } => {
            for _ in 0..choices {
                world.submit(prompt.clone(), more, (choices > 1).then_some(group));
            }
        }
        Action::Step => {
            world.step();
        }
        Action::Cancel(index) => {
            if let Some(id) = chosen(index) {
                world.remove(id);
            }
        }
        Action::Pause(index) => {
            if let Some(id) = chosen(index) {
                assert!(world.scheduler.pause(id));
                world.paused.insert(id);
            }
        }
        Action::Resume(index) => {
            if let Some(id) = chosen(index) {
                assert!(world.scheduler.resume(id));
                world.paused.remove(&id);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_sequence_ends_with_its_own_tokens(
        limits in limits(),
        window in prop::option::of(1..20usize),
        actions in prop::collection::vec(action(), 0..80),
    ) {
        let mut world = World::windowed(limits, window);
        for (group, action) in (0..).zip(actions) {
            apply(&mut world, action, group);
            let (free, total) = world.scheduler.free_and_total_blocks();
            prop_assert!(world.scheduler.running.is_empty() == (free == total));
        }
        for id in std::mem::take(&mut world.paused) {
            world.scheduler.resume(id);
        }
        // The oldest sequence gets at least a row a step, or throws another one's rows away to get it.
        let bound = 100 + world.alive.len() * limits.context * limits.context;
        let mut steps = 0;
        while !world.alive.is_empty() {
            steps += 1;
            prop_assert!(steps < bound, "{} sequences do not end", world.alive.len());
            prop_assert!(world.step(), "nothing is planned while {} sequences wait", world.alive.len());
        }
        prop_assert!(!world.step());
        let (free, total) = world.scheduler.free_and_total_blocks();
        prop_assert_eq!(free, total);
    }
}

const ROOMY: StepLimits = StepLimits {
    rows: 8,
    output_rows: 4,
    context: 64,
    blocks: 64,
    block_tokens: 4,
    slots: 0,
};

#[test]
fn decodes_come_first_and_prompts_take_the_rest_in_chunks() {
    let mut world = World::new(ROOMY);
    world.submit(vec![1, 2], 10, None);
    assert!(world.step());
    world.submit((0..20).collect(), 10, None);
    let plan = world.scheduler.plan().unwrap();
    let rows: Vec<usize> = plan.spans.iter().map(|span| span.rows).collect();
    assert_eq!(rows, [1, 7]);
    assert_eq!(plan.outputs, [SequenceId(0)]);
}

#[test]
fn choices_compute_their_prompt_once() {
    let mut world = World::new(ROOMY);
    for _ in 0..3 {
        world.submit((0..21).collect(), 3, Some(7));
    }
    while world.step() {}
    // 21 rows for the prompt, its last row again for two choices, two more rows for each choice's further tokens.
    assert_eq!(world.scheduler.counters().rows, 21 + 2 + 3 * 2);
}

#[test]
fn the_youngest_is_preempted_and_keeps_its_tokens() {
    let mut world = World::new(StepLimits {
        context: 16,
        blocks: 6,
        ..ROOMY
    });
    world.submit(vec![1, 2, 3], 13, None);
    world.submit(vec![4, 5, 6], 13, None);
    while world.step() {}
    assert!(world.alive.is_empty());
    let counters = world.scheduler.counters();
    assert!(
        counters.preemptions > 0 && counters.recomputed_rows > 0,
        "{counters:?}"
    );
}

#[test]
fn limits_without_room_for_one_sequence_are_refused() {
    let tight = StepLimits { blocks: 15, ..ROOMY };
    let reason = SchedulerLimits::new(&tight, None).unwrap_err();
    assert_eq!(
        reason,
        "15 blocks of 4 positions do not hold one sequence of 64: 16 are needed"
    );
    assert!(SchedulerLimits::new(&StepLimits { rows: 0, ..ROOMY }, None).is_err());
}

#[test]
fn a_known_beginning_is_not_computed_again() {
    let mut world = World::new(ROOMY);
    let text: Vec<u32> = (0..21).collect();
    world.submit(text.clone(), 3, None);
    while world.step() {}
    let rows = world.scheduler.counters().rows;
    // Five blocks of four are known; the whole prompt would be, but for its last token.
    world.submit(text[..20].to_vec(), 1, None);
    let plan = world.scheduler.plan().unwrap();
    assert_eq!(plan.started, [(SequenceId(0), 16)]);
    assert_eq!(
        (plan.tokens.len(), world.scheduler.counters().cached_tokens),
        (4, 16)
    );
    assert_eq!(rows, 23);
}

#[test]
fn sums_over_a_sequence_are_gone_on_from_at_a_checkpoint() {
    let mut world = World::new(StepLimits { slots: 4, ..ROOMY });
    let text: Vec<u32> = (0..21).collect();
    for _ in 0..2 {
        world.submit(text.clone(), 1, None);
        while world.step() {}
    }
    // Five blocks of the first prompt; the last token is always computed.
    let counters = world.scheduler.counters();
    assert_eq!((counters.rows, counters.cached_tokens), (21 + 1, 20));
    // Where a text leaves another one is a checkpoint from the second time on.
    for (last, cached) in [(70, 0), (80, 12), (90, 12)] {
        let before = world.scheduler.counters().cached_tokens;
        let text: Vec<u32> = (0..12).chain(last..last + 7).collect();
        world.submit(text, 1, None);
        while world.step() {}
        assert_eq!(world.scheduler.counters().cached_tokens - before, cached);
    }
}

#[test]
fn a_running_sequence_is_worth_more_than_a_checkpoint() {
    let mut world = World::new(StepLimits { slots: 2, ..ROOMY });
    world.submit((0..21).collect(), 1, None);
    while world.step() {}
    assert_eq!(world.scheduler.prefixes.kept_slots(), 1);
    world.submit((100..110).collect(), 9, None);
    world.submit((0..21).collect(), 9, None);
    assert!(world.step());
    // The second one took the checkpoint's slot over with all that is in it.
    let counters = world.scheduler.counters();
    assert_eq!(
        (counters.cached_tokens, world.scheduler.prefixes.kept_slots()),
        (20, 0)
    );
    assert_eq!(world.scheduler.running_and_waiting(), (2, 0));
    while world.step() {}
}

#[test]
fn choices_go_on_from_the_first_ones_checkpoint() {
    let mut world = World::new(StepLimits { slots: 4, ..ROOMY });
    for _ in 0..3 {
        world.submit((0..21).collect(), 3, Some(7));
    }
    while world.step() {}
    assert_eq!(world.scheduler.counters().rows, 21 + 2 + 3 * 2);
}

#[test]
fn blocks_beyond_every_window_go_to_others() {
    let limits = StepLimits {
        context: 40,
        blocks: 10,
        ..ROOMY
    };
    let mut preemptions = Vec::new();
    for window in [None, Some(6)] {
        let mut world = World::windowed(limits, window);
        for first in [0, 100, 200] {
            world.submit((first..first + 3).collect(), 37, None);
        }
        while world.step() {}
        assert!(world.alive.is_empty());
        preemptions.push(world.scheduler.counters().preemptions);
    }
    // Ten blocks hold one whole sequence, or three windows of up to three blocks.
    assert!(preemptions[0] > 0 && preemptions[1] == 0, "{preemptions:?}");
}
