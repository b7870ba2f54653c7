//! For every family: chunks, company, returns to earlier positions, new beginnings, shared and copied state, moves by
//! snapshot, segments and thread counts change no bit of what is computed for a text.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ops::Range;

use mains_conformance::families::{folders, open};
use mains_conformance::ops::{available, cpu, reference};
use mains_conformance::seeds::for_seeds;
use mains_contract::{
    BlockFormat, BlockId, Driver, DriverFacts, FootprintModel, Graph, LoadedModel, OutputName, SequenceSpan,
    SequenceState, SlotId, Step, StepLimits,
};
use mains_engine::Segments;
use mains_engine::models::{Cast, Model};
use mains_engine::state::BlockPool;
use proptest::prelude::*;

/// Longer than the windows of the fixtures, which are at most 16.
const TOKENS: usize = 41;
/// Sequences on their way at once.
const SEQUENCES: usize = 3;
/// Thread counts of the driver `cpu`, more than most machines that run this have among them.
const THREADS: [usize; 4] = [1, 2, 3, 5];

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Action {
    /// So many next tokens of each sequence are computed; of every how manieth row the outputs are wanted.
    Go([usize; SEQUENCES], usize),
    /// A sequence returns to an earlier position, or to the beginning where it can not.
    Back(usize, usize),
    /// A sequence begins again, elsewhere.
    Again(usize),
    /// The second sequence goes on from where the first one is: whole blocks are shared, the rest is copied.
    Fork(usize, usize),
    /// The state of a sequence moves by a snapshot.
    Move(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let sequence = || 0..SEQUENCES;
    let rows = || prop_oneof![1 => Just(0), 2 => Just(1), 3 => 2..24usize];
    prop_oneof![
        8 => ([rows(), rows(), rows()], 1..4usize).prop_map(|(rows, every)| Action::Go(rows, every)),
        1 => (sequence(), 0..TOKENS).prop_map(|(sequence, position)| Action::Back(sequence, position)),
        1 => sequence().prop_map(Action::Again),
        1 => (sequence(), sequence()).prop_map(|(from, to)| Action::Fork(from, to)),
        1 => sequence().prop_map(Action::Move),
    ]
}

/// How the model is loaded, and what happens then.
#[derive(Debug, Clone)]
struct Schedule {
    /// Index in [`THREADS`].
    threads: usize,
    block_tokens: usize,
    /// Bit by layer: whether the graph is cut behind it, where it can be.
    cuts: u32,
    actions: Vec<Action>,
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let actions = prop::collection::vec(action(), 4..20);
    (0..THREADS.len(), 2..21usize, any::<u32>(), actions).prop_map(
        |(threads, block_tokens, cuts, actions)| Schedule {
            threads,
            block_tokens,
            cuts,
            actions,
        },
    )
}

fn limits(block_tokens: usize) -> StepLimits {
    StepLimits {
        rows: SEQUENCES * TOKENS,
        output_rows: SEQUENCES * TOKENS,
        context: TOKENS,
        blocks: (SEQUENCES + 1) * TOKENS.div_ceil(block_tokens),
        block_tokens,
        slots: SEQUENCES + 1,
    }
}

fn index_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap()
}

/// One output of the whole texts, alone and in one step.
struct Expected {
    name: OutputName,
    selected: bool,
    width: usize,
    /// Bits by text.
    texts: Vec<Vec<u32>>,
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn expected(model: &Model, driver: &dyn Driver, texts: &[Vec<u32>]) -> Vec<Expected> {
    let named = |(name, value): &(OutputName, _)| {
        let node = model.graph.node(*value);
        Expected {
            name: *name,
            selected: node.selected,
            width: node.width,
            texts: Vec::new(),
        }
    };
    let mut outputs: Vec<Expected> = model.graph.outputs().iter().map(named).collect();
    for text in texts {
        let whole = Schedule {
            threads: 0,
            block_tokens: TOKENS,
            cuts: 0,
            actions: Vec::new(),
        };
        let mut world = World::new(model, driver, &whole, std::slice::from_ref(text), &[]);
        for ((_, numbers), output) in world.compute(&[(0, TOKENS)], 1).into_iter().zip(&mut outputs) {
            output.texts.push(bits(&numbers));
        }
    }
    outputs
}

/// A sequence on its way.
struct Live {
    text: usize,
    done: usize,
    blocks: Vec<BlockId>,
    slot: SlotId,
}

/// A loaded model with sequences.
struct World<'a> {
    loaded: Box<dyn LoadedModel>,
    graph: &'a Graph,
    limits: StepLimits,
    texts: &'a [Vec<u32>],
    expected: &'a [Expected],
    pool: BlockPool,
    free_slot: SlotId,
    live: Vec<Live>,
}

impl<'a> World<'a> {
    fn new(
        model: &'a Model,
        driver: &dyn Driver,
        schedule: &Schedule,
        texts: &'a [Vec<u32>],
        expected: &'a [Expected],
    ) -> Self {
        let limits = limits(schedule.block_tokens);
        let live = |index: usize| Live {
            text: index % texts.len(),
            done: 0,
            blocks: Vec::new(),
            slot: SlotId(index_u32(index)),
        };
        Self {
            loaded: load(model, driver, schedule.cuts, &limits),
            graph: &model.graph,
            limits,
            texts,
            expected,
            pool: BlockPool::new(index_u32(limits.blocks)),
            free_slot: SlotId(index_u32(SEQUENCES)),
            live: (0..SEQUENCES).map(live).collect(),
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Go(rows, every) => {
                let pieces: Vec<(usize, usize)> = rows.into_iter().enumerate().collect();
                self.go(&pieces, every);
            }
            Action::Back(sequence, position) => {
                let position = if self.graph.has_sequence_state() {
                    0
                } else {
                    position
                };
                let live = &mut self.live[sequence];
                live.done = live.done.min(position);
            }
            Action::Again(sequence) => {
                let live = &mut self.live[sequence];
                live.blocks.drain(..).for_each(|block| self.pool.release(block));
                live.done = 0;
            }
            Action::Fork(from, to) if from != to => self.fork(from, to),
            Action::Fork(..) => {}
            Action::Move(sequence) => self.change_place(sequence),
        }
    }

    fn fork(&mut self, from: usize, to: usize) {
        let block_tokens = self.limits.block_tokens;
        self.live[to]
            .blocks
            .drain(..)
            .for_each(|block| self.pool.release(block));
        let source = &self.live[from];
        let (text, done, whole) = (source.text, source.done, source.done / block_tokens);
        let mut blocks = source.blocks[..whole].to_vec();
        blocks.iter().for_each(|block| self.pool.share(*block));
        if done % block_tokens > 0 {
            let copy = self.pool.take().unwrap();
            self.loaded.copy_blocks(&[(source.blocks[whole], copy)]).unwrap();
            blocks.push(copy);
        }
        let slot = self.live[to].slot;
        self.loaded.copy_slots(&[(source.slot, slot)]).unwrap();
        self.live[to] = Live {
            text,
            done,
            blocks,
            slot,
        };
    }

    fn change_place(&mut self, sequence: usize) {
        let live = &mut self.live[sequence];
        let used = live.done.div_ceil(self.limits.block_tokens);
        let old = SequenceState {
            blocks: &live.blocks[..used],
            slot: live.slot,
        };
        let snapshot = self.loaded.snapshot(&old).unwrap();
        let blocks: Vec<BlockId> = (0..used).map(|_| self.pool.take().unwrap()).collect();
        let new = SequenceState {
            blocks: &blocks,
            slot: self.free_slot,
        };
        self.loaded.restore(&snapshot, &new).unwrap();
        let old = std::mem::replace(&mut live.blocks, blocks);
        old.into_iter().for_each(|block| self.pool.release(block));
        std::mem::swap(&mut live.slot, &mut self.free_slot);
    }

    /// Computes so many next tokens of each of these sequences and compares what comes out.
    fn go(&mut self, pieces: &[(usize, usize)], every: usize) {
        let left = |(sequence, rows): &(usize, usize)| {
            let live = &self.live[*sequence];
            // Where tokens see later ones a sequence is whole in one step.
            let rows = if self.graph.is_causal() {
                *rows
            } else {
                rows.min(&1) * TOKENS
            };
            (*sequence, rows.min(TOKENS - live.done))
        };
        let pieces: Vec<(usize, usize)> = pieces.iter().map(left).filter(|(_, rows)| *rows > 0).collect();
        if pieces.is_empty() {
            return;
        }
        let places: Vec<(usize, usize)> = pieces
            .iter()
            .flat_map(|(sequence, rows)| {
                let live = &self.live[*sequence];
                (live.done..live.done + rows).map(|position| (live.text, position))
            })
            .collect();
        let found = self.compute(&pieces, every);
        for ((name, numbers), expected) in found.into_iter().zip(self.expected) {
            assert_eq!(name, expected.name);
            let step = if expected.selected { every } else { 1 };
            let rows = places.iter().step_by(step);
            assert_eq!(numbers.len(), rows.len() * expected.width);
            for ((text, position), row) in rows.zip(numbers.chunks_exact(expected.width)) {
                let whole = &expected.texts[*text][position * expected.width..][..expected.width];
                assert!(
                    bits(row) == whole,
                    "{name:?} of text {text} at {position} differs"
                );
            }
        }
        if !self.graph.is_causal() {
            self.live.iter_mut().for_each(|live| live.done = 0);
        }
    }

    /// The outputs of a step with so many next tokens of each of these sequences, of every `every`th row.
    fn compute(&mut self, pieces: &[(usize, usize)], every: usize) -> Vec<(OutputName, Vec<f32>)> {
        let (mut tokens, mut positions, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        for (sequence, rows) in pieces.iter().copied() {
            let done = self.live[sequence].done;
            self.own(sequence, done + rows);
            tokens.extend_from_slice(&self.texts[self.live[sequence].text][done..done + rows]);
            positions.extend((done..done + rows).map(index_u32));
            tables.push(self.table(sequence));
        }
        let mut spans = Vec::new();
        let mut first_row = 0;
        for ((sequence, rows), blocks) in pieces.iter().zip(&tables) {
            let (slot, rows) = (self.live[*sequence].slot, index_u32(*rows));
            spans.push(SequenceSpan {
                first_row,
                rows,
                blocks,
                slot,
            });
            first_row += rows;
        }
        let output_rows: Vec<u32> = (0..first_row).step_by(every).collect();
        let step = Step {
            tokens: &tokens,
            positions: &positions,
            sequences: &spans,
            output_rows: &output_rows,
            inputs: &[],
        };
        let ranges: Vec<_> = self.graph.output_ranges(&step).collect();
        let mut out = vec![f32::NAN; ranges.last().unwrap().1.end];
        self.loaded.run(&step, &mut out).unwrap();
        for (sequence, rows) in pieces {
            self.live[*sequence].done += rows;
        }
        let part = |(name, range): (OutputName, Range<usize>)| (name, out[range].to_vec());
        ranges.into_iter().map(part).collect()
    }

    /// Gives a sequence blocks up to the position `end`, and copies of those that it would write to and others hold.
    fn own(&mut self, sequence: usize, end: usize) {
        let live = &mut self.live[sequence];
        let first = live.done / self.limits.block_tokens;
        for index in first..end.div_ceil(self.limits.block_tokens) {
            match live.blocks.get(index).copied() {
                None => live.blocks.push(self.pool.take().unwrap()),
                Some(block) if self.pool.holders(block) > 1 => {
                    let copy = self.pool.take().unwrap();
                    self.loaded.copy_blocks(&[(block, copy)]).unwrap();
                    self.pool.release(block);
                    live.blocks[index] = copy;
                }
                Some(_) => {}
            }
        }
    }

    /// The blocks of a sequence. What is beyond every window is anybody's block.
    fn table(&self, sequence: usize) -> Vec<BlockId> {
        let live = &self.live[sequence];
        let mut blocks = live.blocks.clone();
        if let Some(window) = self.graph.window() {
            let beyond = (live.done + 1).saturating_sub(window) / self.limits.block_tokens;
            for (index, block) in blocks.iter_mut().take(beyond).enumerate() {
                *block = BlockId(index_u32((index * 7 + sequence) % self.limits.blocks));
            }
        }
        blocks
    }
}

/// `model` cut where `cuts` says and it can be, loaded on `driver`.
fn load(model: &Model, driver: &dyn Driver, cuts: u32, limits: &StepLimits) -> Box<dyn LoadedModel> {
    let segments = Segments::cut(&model.graph, &layers(model, cuts)).unwrap();
    let footprints = segments.graphs().iter();
    let footprints = footprints.map(|graph| driver.footprint(graph, &model.formats_of(graph)));
    let planned = footprints.sum::<FootprintModel>() + segments.borders();
    let parts = segments.graphs().iter();
    let parts = parts.map(|graph| driver.load(graph.clone(), &model.weights, limits).unwrap());
    let loaded = segments.join(parts.collect(), limits).unwrap();
    let threads = DriverFacts::new(driver.capabilities(), "").threads;
    assert_eq!(loaded.footprint(), planned.at(limits, threads));
    loaded
}

/// Layers behind which `model` can be cut and `cuts` has a bit. Later layers may read an earlier one's state.
fn layers(model: &Model, cuts: u32) -> Vec<usize> {
    let layers = model.graph.layer_ends().len() - 1;
    let wanted = (0..layers).filter(|layer| cuts >> layer & 1 == 1);
    wanted.filter(|layer| model.graph.split(*layer).is_ok()).collect()
}

fn texts(model: &Model) -> Vec<Vec<u32>> {
    let text = |number: u32| {
        let tokens = (0..).take(TOKENS);
        tokens
            .map(|token: u32| (token * 131 + number * 977 + 11) % model.info.vocabulary)
            .collect()
    };
    (0..2).map(text).collect()
}

/// Runs `cases` schedules of each model with the output `output`, on what `driver` gives for a number of threads.
fn check(output: OutputName, cases: u64, driver: impl Fn(usize) -> Box<dyn Driver>) {
    for folder in folders() {
        let model = open(&folder, BlockFormat::F16, Cast::AsStored);
        if model.graph.output(output).is_none() {
            continue;
        }
        let name = folder.display().to_string();
        assert!(
            !layers(&model, u32::MAX).is_empty(),
            "{name} can not be cut at all"
        );
        let texts = texts(&model);
        let expected = expected(&model, &*driver(1), &texts);
        for_seeds(&name, cases, &schedule(), |schedule| {
            let driver = driver(THREADS[schedule.threads]);
            let mut world = World::new(&model, &*driver, &schedule, &texts, &expected);
            for action in &schedule.actions {
                match action {
                    Action::Go(..) => world.apply(*action),
                    _ if model.graph.is_causal() => world.apply(*action),
                    _ => {}
                }
            }
            let rest: Vec<(usize, usize)> = (0..SEQUENCES).map(|sequence| (sequence, TOKENS)).collect();
            world.go(&rest, 1);
        });
    }
}

#[test]
fn steps_change_no_bit_of_decoders_on_reference() {
    check(OutputName::Logits, 2, |_| reference());
}

#[test]
fn steps_change_no_bit_of_decoders_on_cpu() {
    check(OutputName::Logits, 4, |threads| cpu(available()[0], threads));
}

#[test]
fn steps_change_no_bit_of_encoders() {
    check(OutputName::Hidden, 2, |_| reference());
    check(OutputName::Hidden, 4, |threads| cpu(available()[0], threads));
}
