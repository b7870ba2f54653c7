//! Schedules change nothing: the logits after a text depend on the text alone, to the bit, whatever the company, the
//! chunks, the blocks and the preemptions.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mains_conformance::families::{Reference, fixtures, load, open};
use mains_contract::{
    BlockFormat, BlockId, Driver, DriverError, Footprint, LoadedModel, SequenceState, SlotId, Step,
    StepLimits,
};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_driver_reference::ReferenceDriver;
use mains_engine::models::{Cast, Model};
use mains_engine::sampling::SamplingParameters;
use mains_engine::{
    Engine, EngineConfig, SequenceEvent, SequenceId, SequenceRequest, logits_limits, logits_of,
};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const FAMILY: &str = "qwen3";
const CONTEXT: usize = 96;

/// Bits of the logits after each text that was computed.
type Seen = HashMap<Vec<u32>, Vec<u32>>;

/// Passes steps on and notes the logits after each text, which it knows from the tokens that went into the blocks.
struct Witness {
    inner: Box<dyn LoadedModel>,
    block_tokens: usize,
    slots: HashMap<(BlockId, usize), u32>,
    seen: Arc<Mutex<Seen>>,
}

impl Witness {
    fn text(&self, blocks: &[BlockId], positions: usize) -> Vec<u32> {
        let slot = |position: usize| (blocks[position / self.block_tokens], position % self.block_tokens);
        (0..positions)
            .map(|position| self.slots[&slot(position)])
            .collect()
    }
}

impl LoadedModel for Witness {
    fn footprint(&self) -> Footprint {
        self.inner.footprint()
    }

    fn run(&mut self, step: &Step<'_>, logits: &mut [f32]) -> Result<(), DriverError> {
        self.inner.run(step, logits)?;
        let width = logits.len() / step.output_rows.len().max(1);
        for span in step.sequences {
            let rows = span.first_row as usize..(span.first_row + span.rows) as usize;
            for row in rows.clone() {
                let position = step.positions[row] as usize;
                let block = span.blocks[position / self.block_tokens];
                self.slots
                    .insert((block, position % self.block_tokens), step.tokens[row]);
            }
            for (index, row) in step.output_rows.iter().map(|row| *row as usize).enumerate() {
                if rows.contains(&row) {
                    let text = self.text(span.blocks, step.positions[row] as usize + 1);
                    let bits = bits(&logits[index * width..][..width]);
                    let known = self.seen.lock().unwrap().insert(text, bits.clone());
                    assert!(known.is_none_or(|known| known == bits), "one text, two results");
                }
            }
        }
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        for (from, to) in pairs {
            for slot in 0..self.block_tokens {
                if let Some(token) = self.slots.get(&(*from, slot)).copied() {
                    self.slots.insert((*to, slot), token);
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

/// Texts by sequence: prompt and answer.
fn generate(engine: &mut Engine, requests: Vec<SequenceRequest>) -> HashMap<u64, Vec<u32>> {
    let mut texts = HashMap::new();
    for request in requests {
        texts.insert(request.id.0, request.prompt.clone());
        engine.submit(request).unwrap();
    }
    while !engine.is_idle() {
        for event in engine.step().unwrap() {
            match event {
                SequenceEvent::Token { id, token, .. } => texts.get_mut(&id.0).unwrap().push(token),
                SequenceEvent::Started { .. } | SequenceEvent::Finished { .. } => {}
                SequenceEvent::Failed { error, .. } => panic!("{error}"),
            }
        }
    }
    texts
}

/// Runs `requests` under `limits` and compares every text's logits with those computed alone, in one go. Gives the
/// number of preemptions.
fn check(model: &Model, driver: &dyn Driver, limits: StepLimits, requests: Vec<SequenceRequest>) -> u64 {
    let vocabulary = model.info.vocabulary as usize;
    let seen = Arc::new(Mutex::new(Seen::new()));
    let witness = Witness {
        inner: load(model, driver, &limits),
        block_tokens: limits.block_tokens,
        slots: HashMap::new(),
        seen: Arc::clone(&seen),
    };
    let config = EngineConfig {
        limits,
        vocabulary,
        window: model.graph.window(),
    };
    let mut engine = Engine::new(Box::new(witness), config).unwrap();
    let texts = generate(&mut engine, requests);
    let alone_limits = logits_limits(CONTEXT);
    let mut alone = load(model, driver, &alone_limits);
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
    engine.stats().counters.preemptions
}

prop_compose! {
    /// Up to 5 prompts, cut from the published rows, some with several choices.
    fn any_requests()(
        cuts in prop::collection::vec((0..2usize, 0..100usize, 1..70usize, 1..25u32, 1..3u32), 1..6),
    ) -> Vec<SequenceRequest> {
        let rows = Reference::of(FAMILY).ids;
        let mut requests = Vec::new();
        for (group, (row, start, length, max_tokens, choices)) in (0..).zip(cuts) {
            for choice in 0..choices {
                requests.push(SequenceRequest {
                    id: SequenceId(requests.len() as u64),
                    prompt: rows[row][start..start + length].to_vec(),
                    max_tokens: Some(max_tokens),
                    sampling: SamplingParameters { temperature: 1.0, choice, ..SamplingParameters::greedy() },
                    eos: [].into(),
                    group: Some(group),
                    top_logprobs: None,
                });
            }
        }
        requests
    }
}

prop_compose! {
    fn any_limits()(
        rows in 2..70usize,
        output_rows in 2..8usize,
        block_tokens in 3..40usize,
        spare in 0..9usize,
    ) -> StepLimits {
        let blocks = CONTEXT.div_ceil(block_tokens) + spare;
        StepLimits { rows, output_rows, context: CONTEXT, blocks, block_tokens, slots: 0 }
    }
}

fn model() -> Model {
    let path = fixtures().join("families").join(FAMILY);
    open(&path, BlockFormat::F16, Cast::AsStored)
}

proptest! {
    // Each case loads two models and computes up to a thousand rows.
    #![proptest_config(ProptestConfig {
        cases: 6,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn logits_depend_on_the_text_alone_on_reference(requests in any_requests(), limits in any_limits()) {
        check(&model(), &ReferenceDriver::new(), limits, requests);
    }

    #[test]
    fn logits_depend_on_the_text_alone_on_cpu(requests in any_requests(), limits in any_limits()) {
        check(&model(), &CpuDriver::new(CpuOptions::default()).unwrap(), limits, requests);
    }
}

#[test]
fn preemption_changes_no_logits() {
    let request = |id: u64| SequenceRequest {
        id: SequenceId(id),
        prompt: Reference::of(FAMILY).ids[0][..30].to_vec(),
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
    let driver = CpuDriver::new(CpuOptions::default()).unwrap();
    let preemptions = check(&model(), &driver, limits, (0..3).map(request).collect());
    assert!(preemptions > 0);
}
