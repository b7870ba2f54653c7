//! Schedules change nothing: for every family, the logits after a text depend on the text alone, to the bit, whatever the
//! company, the chunks, the blocks, the preemptions, the known beginnings, the segments and the threads.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mains_conformance::families::{Reference, all, fixtures, load, open};
use mains_conformance::ops::{available, cpu, reference};
use mains_conformance::seeds::for_seeds;
use mains_contract::{
    BlockFormat, BlockId, Driver, DriverError, Footprint, LoadedModel, SequenceState, SlotId, Step,
    StepLimits,
};
use mains_engine::models::{Cast, Model};
use mains_engine::sampling::SamplingParameters;
use mains_engine::{
    Engine, EngineConfig, EngineStats, Segments, SequenceEvent, SequenceId, SequenceRequest, logits_limits,
    logits_of,
};
use proptest::prelude::*;

const CONTEXT: usize = 96;
/// Thread counts of the driver `cpu`.
const THREADS: [usize; 4] = [1, 2, 3, 5];

/// Bits of the logits after each text that was computed.
type Seen = HashMap<Vec<u32>, Vec<u32>>;

/// A text: the one without its last token, and that token. The empty one is number 0.
type Texts = HashMap<(usize, u32), usize>;

/// Passes steps on and notes the logits after each text, which it knows from the tokens that went into the blocks.
struct Witness {
    inner: Box<dyn LoadedModel>,
    block_tokens: usize,
    numbers: Texts,
    texts: Vec<Vec<u32>>,
    /// By place: the text up to there.
    places: HashMap<(BlockId, usize), usize>,
    seen: Arc<Mutex<Seen>>,
}

impl Witness {
    fn new(inner: Box<dyn LoadedModel>, block_tokens: usize, seen: Arc<Mutex<Seen>>) -> Self {
        Self {
            inner,
            block_tokens,
            numbers: Texts::new(),
            texts: vec![Vec::new()],
            places: HashMap::new(),
            seen,
        }
    }

    /// Notes that `token` goes to `position` of the sequence in `blocks`; gives the text up to there. Only the place
    /// before it is asked for: earlier ones may be beyond every window, and somebody else's.
    fn write(&mut self, blocks: &[BlockId], position: usize, token: u32) -> Vec<u32> {
        let place = |position: usize| (blocks[position / self.block_tokens], position % self.block_tokens);
        let before = position
            .checked_sub(1)
            .map_or(0, |before| self.places[&place(before)]);
        let next = self.texts.len();
        let number = *self.numbers.entry((before, token)).or_insert(next);
        self.places.insert(place(position), number);
        if number == next {
            let mut text = self.texts[before].clone();
            text.push(token);
            self.texts.push(text);
        }
        self.texts[number].clone()
    }
}

impl LoadedModel for Witness {
    fn footprint(&self) -> Footprint {
        self.inner.footprint()
    }

    fn run(&mut self, step: &Step<'_>, logits: &mut [f32]) -> Result<(), DriverError> {
        self.inner.run(step, logits)?;
        let width = logits.len() / step.output_rows.len().max(1);
        let mut outputs = step
            .output_rows
            .iter()
            .zip(logits.chunks_exact(width.max(1)))
            .peekable();
        for span in step.sequences {
            for row in span.first_row..span.first_row + span.rows {
                let (position, token) = (step.positions[row as usize], step.tokens[row as usize]);
                let text = self.write(span.blocks, position as usize, token);
                assert_eq!(
                    text.len(),
                    position as usize + 1,
                    "a row goes on from another text"
                );
                if let Some((_, logits)) = outputs.next_if(|(wanted, _)| **wanted == row) {
                    let bits = bits(logits);
                    let known = self.seen.lock().unwrap().insert(text, bits.clone());
                    assert!(known.is_none_or(|known| known == bits), "one text, two results");
                }
            }
        }
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        for (from, to) in pairs {
            for at in 0..self.block_tokens {
                if let Some(text) = self.places.get(&(*from, at)).copied() {
                    self.places.insert((*to, at), text);
                }
            }
        }
        self.inner.copy_blocks(pairs)
    }

    fn copy_slots(&mut self, pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        self.inner.copy_slots(pairs)
    }

    fn snapshot(&mut self, state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        self.inner.snapshot(state)
    }

    fn restore(&mut self, snapshot: &[u8], state: &SequenceState<'_>) -> Result<(), DriverError> {
        self.inner.restore(snapshot, state)
    }
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

/// Texts by sequence: prompt and answer. Requests come in `waves`, one after the other has ended. After every
/// `pause_every`th step another sequence is paused, and the one before resumed; none when that is 0.
fn generate(
    engine: &mut Engine,
    requests: Vec<SequenceRequest>,
    waves: usize,
    pause_every: usize,
) -> HashMap<u64, Vec<u32>> {
    let ids: Vec<SequenceId> = requests.iter().map(|request| request.id).collect();
    let mut texts = HashMap::new();
    let mut waiting = requests.into_iter().peekable();
    let wave = waiting.len().div_ceil(waves).max(1);
    let mut steps = 0;
    while waiting.peek().is_some() {
        for request in waiting.by_ref().take(wave) {
            texts.insert(request.id.0, request.prompt.clone());
            engine.submit(request).unwrap();
        }
        while !engine.is_idle() {
            let events = engine.step().unwrap();
            steps += 1;
            if pause_every > 0 && steps % pause_every == 0 {
                for id in &ids {
                    engine.resume(*id);
                }
                // Without an end a long prompt could be given up again and again.
                let turn = steps / pause_every;
                if turn < 2 * ids.len() {
                    engine.pause(ids[turn % ids.len()]);
                }
            }
            for event in events {
                match event {
                    SequenceEvent::Token { id, token, .. } => texts.get_mut(&id.0).unwrap().push(token),
                    SequenceEvent::Started { .. } | SequenceEvent::Finished { .. } => {}
                    SequenceEvent::Failed { error, .. } => panic!("{error}"),
                }
            }
        }
    }
    texts
}

/// How a model is loaded and what is asked of it.
#[derive(Debug, Clone)]
struct Case {
    limits: StepLimits,
    /// Slots, for graphs that have state of sequences.
    slots: usize,
    /// Index in [`THREADS`].
    threads: usize,
    /// Bit by layer: whether the graph is cut behind it, where it can be.
    cuts: u32,
    waves: usize,
    pause_every: usize,
    requests: Vec<Request>,
}

/// Choices of one prompt: `length` tokens from `start` of a published row, and its last one replaced by `last`.
#[derive(Debug, Clone)]
struct Request {
    row: usize,
    start: usize,
    length: usize,
    last: u32,
    max_tokens: u32,
    choices: u32,
}

fn request() -> impl Strategy<Value = Request> {
    // Most prompts begin alike.
    let start = prop_oneof![3 => Just(0), 1 => 0..20usize];
    (0..2usize, start, 1..60usize, 0..2000u32, 1..25u32, 1..3u32).prop_map(
        |(row, start, length, last, max_tokens, choices)| Request {
            row,
            start,
            length,
            last,
            max_tokens,
            choices,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = (2..70usize, 2..8usize, 3..40usize, 0..9usize, 1..5usize);
    let load = (0..THREADS.len(), any::<u32>(), 1..3usize, 0..9usize);
    (sizes, load, prop::collection::vec(request(), 1..6)).prop_map(|(sizes, load, requests)| {
        let (rows, output_rows, block_tokens, spare, slots) = sizes;
        let (threads, cuts, waves, pause_every) = load;
        let blocks = CONTEXT.div_ceil(block_tokens) + spare;
        let limits = StepLimits {
            rows,
            output_rows,
            context: CONTEXT,
            blocks,
            block_tokens,
            slots: 0,
        };
        Case {
            limits,
            slots,
            threads,
            cuts,
            waves,
            pause_every,
            requests,
        }
    })
}

impl Case {
    fn requests(&self, rows: &[Vec<u32>]) -> Vec<SequenceRequest> {
        let mut all = Vec::new();
        for (group, asked) in (0..).zip(&self.requests) {
            let row = &rows[asked.row % rows.len()];
            let start = asked.start.min(row.len() - 1);
            let mut prompt: Vec<u32> = row[start..].iter().copied().take(asked.length).collect();
            *prompt.last_mut().unwrap() = asked.last;
            for choice in 0..asked.choices {
                all.push(SequenceRequest {
                    id: SequenceId(all.len() as u64),
                    prompt: prompt.clone(),
                    max_tokens: Some(asked.max_tokens),
                    sampling: SamplingParameters {
                        temperature: 1.0,
                        choice,
                        ..SamplingParameters::greedy()
                    },
                    eos: [].into(),
                    group: Some(group),
                    top_logprobs: None,
                });
            }
        }
        all
    }

    fn limits(&self, model: &Model) -> StepLimits {
        let slots = if model.graph.has_sequence_state() {
            self.slots
        } else {
            0
        };
        StepLimits { slots, ..self.limits }
    }
}

/// `model` on `driver`, in segments.
fn load_cut(model: &Model, driver: &dyn Driver, limits: &StepLimits, cuts: u32) -> Box<dyn LoadedModel> {
    let layers = 0..model.graph.layer_ends().len() - 1;
    let wanted = layers.filter(|layer| cuts >> layer & 1 == 1);
    let possible: Vec<usize> = wanted.filter(|layer| model.graph.split(*layer).is_ok()).collect();
    let segments = Segments::cut(&model.graph, &possible).unwrap();
    let load = |graph: &Arc<_>| driver.load(Arc::clone(graph), &model.weights, limits).unwrap();
    segments
        .join(segments.graphs().iter().map(load).collect(), limits)
        .unwrap()
}

/// Runs a case and compares every text's logits with those computed alone, in one go, by `alone`.
fn check(
    model: &Model,
    driver: &dyn Driver,
    alone: &dyn Driver,
    case: &Case,
    requests: Vec<SequenceRequest>,
) -> EngineStats {
    let vocabulary = model.info.vocabulary as usize;
    let seen = Arc::new(Mutex::new(Seen::new()));
    let limits = case.limits(model);
    let loaded = load_cut(model, driver, &limits, case.cuts);
    let witness = Witness::new(loaded, limits.block_tokens, Arc::clone(&seen));
    let config = EngineConfig {
        limits,
        vocabulary,
        window: model.graph.window(),
    };
    let mut engine = Engine::new(Box::new(witness), config).unwrap();
    let texts = generate(&mut engine, requests, case.waves, case.pause_every);
    let alone_limits = logits_limits(CONTEXT);
    let mut alone = load(model, alone, &alone_limits);
    let seen = seen.lock().unwrap();
    for text in texts.values() {
        let logits = logits_of(&mut *alone, &alone_limits, vocabulary, text).unwrap();
        for (length, row) in (1..).zip(logits.chunks_exact(vocabulary)) {
            if let Some(noted) = seen.get(&text[..length]) {
                assert!(*noted == bits(row), "the logits after {length} tokens differ");
            }
        }
        assert!(
            seen.contains_key(&text[..text.len() - 1]),
            "the last token came from nowhere"
        );
    }
    engine.stats()
}

fn model(family: &str) -> Model {
    let path = fixtures().join("families").join(family);
    open(&path, BlockFormat::F16, Cast::AsStored)
}

/// Runs `cases` cases of each family.
fn check_all(cases: u64, driver: impl Fn(usize) -> Box<dyn Driver>) {
    let families = all("logits");
    assert!(!families.is_empty());
    for family in families {
        let (model, rows) = (model(&family), Reference::of(&family).ids);
        for_seeds(&family, cases, &case(), |case| {
            let (one, other) = (driver(1), driver(THREADS[case.threads]));
            check(&model, &*other, &*one, &case, case.requests(&rows));
        });
    }
}

#[test]
fn logits_depend_on_the_text_alone_on_reference() {
    check_all(1, |_| reference());
}

#[test]
fn logits_depend_on_the_text_alone_on_cpu() {
    check_all(2, |threads| cpu(available()[0], threads));
}

/// Three sequences that outgrow the blocks, of each kind of state that a family may have; but for `mistral`, which gives
/// up what is beyond its window.
#[test]
fn preemption_changes_no_logits() {
    for family in ["qwen3", "gemma3_text", "qwen3_next", "deepseek_v3", "mistral"] {
        let model = model(family);
        let rows = Reference::of(family).ids;
        let request = |id: u64| SequenceRequest {
            id: SequenceId(id),
            prompt: rows[0][..30].to_vec(),
            max_tokens: Some(40),
            sampling: SamplingParameters::greedy(),
            eos: [].into(),
            group: None,
            top_logprobs: None,
        };
        let limits = StepLimits {
            rows: 40,
            output_rows: 4,
            context: CONTEXT,
            blocks: 13,
            block_tokens: 8,
            slots: 0,
        };
        let case = Case {
            limits,
            slots: 4,
            threads: 0,
            cuts: 0,
            waves: 1,
            pause_every: 0,
            requests: Vec::new(),
        };
        let driver = cpu(available()[0], 2);
        let stats = check(&model, &*driver, &*driver, &case, (0..3).map(request).collect());
        let preempted = stats.counters.preemptions > 0;
        assert_eq!(preempted, family != "mistral", "{family}: {:?}", stats.counters);
    }
}

/// The second of two alike prompts goes on from what the first left, in every family.
#[test]
fn known_beginnings_are_found_in_every_family() {
    for family in all("logits") {
        let model = model(&family);
        let rows = Reference::of(&family).ids;
        let request = |id: u64, length: usize| SequenceRequest {
            id: SequenceId(id),
            prompt: rows[0][..length].to_vec(),
            max_tokens: Some(3),
            sampling: SamplingParameters::greedy(),
            eos: [].into(),
            group: None,
            top_logprobs: None,
        };
        let case = Case {
            limits: StepLimits {
                rows: 16,
                output_rows: 4,
                context: CONTEXT,
                blocks: 40,
                block_tokens: 8,
                slots: 0,
            },
            slots: 2,
            threads: 0,
            cuts: 0,
            waves: 2,
            pause_every: 0,
            requests: Vec::new(),
        };
        let driver = cpu(available()[0], 1);
        let requests = vec![request(0, 41), request(1, 45)];
        let stats = check(&model, &*driver, &*driver, &case, requests);
        assert_eq!(stats.counters.cached_tokens, 40, "{family}");
    }
}
