//! The engine on a pretended device: schedules, choices and neighbours change nothing about an answer.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::HashMap;
use std::sync::Arc;

use mains_contract::{BlockId, DriverError, Footprint, LoadedModel, SequenceState, SlotId, Step, StepLimits};
use mains_engine::sampling::SamplingParameters;
use mains_engine::{Engine, EngineConfig, SequenceEvent, SequenceId, SequenceRequest, SubmitError};
use mains_types::{FinishReason, LogitBias};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const VOCABULARY: usize = 50;
const EOS: u32 = 0;

/// Remembers tokens by block and slot; a row's logits are a hash of all tokens that it sees there.
struct Pretended {
    limits: StepLimits,
    slots: HashMap<(BlockId, usize), u32>,
}

impl LoadedModel for Pretended {
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }

    fn run(&mut self, step: &Step<'_>, logits: &mut [f32]) -> Result<(), DriverError> {
        step.check(&self.limits)?;
        assert_eq!(logits.len(), step.output_rows.len() * VOCABULARY);
        let size = self.limits.block_tokens;
        let place = |blocks: &[BlockId], position: usize| (blocks[position / size], position % size);
        let mut out = logits.chunks_exact_mut(VOCABULARY);
        for span in step.sequences {
            for row in span.first_row as usize..(span.first_row + span.rows) as usize {
                let position = step.positions[row] as usize;
                self.slots.insert(place(span.blocks, position), step.tokens[row]);
                if step.output_rows.contains(&u32::try_from(row).unwrap()) {
                    let seen = (0..=position).map(|position| self.slots[&place(span.blocks, position)]);
                    fill(out.next().unwrap(), seen);
                }
            }
        }
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        for (from, to) in pairs {
            for slot in 0..self.limits.block_tokens {
                if let Some(token) = self.slots.get(&(*from, slot)).copied() {
                    self.slots.insert((*to, slot), token);
                }
            }
        }
        Ok(())
    }

    fn copy_slots(&mut self, _: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        Ok(())
    }

    fn snapshot(&mut self, _: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        Err(unused())
    }

    fn restore(&mut self, _: &[u8], _: &SequenceState<'_>) -> Result<(), DriverError> {
        Err(unused())
    }
}

fn unused() -> DriverError {
    DriverError::Device("no snapshot of pretended state".to_owned())
}

/// Says the same after every text.
struct Flat;

impl LoadedModel for Flat {
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }

    fn run(&mut self, _: &Step<'_>, logits: &mut [f32]) -> Result<(), DriverError> {
        logits.fill(0.0);
        Ok(())
    }

    fn copy_blocks(&mut self, _: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        Ok(())
    }

    fn copy_slots(&mut self, _: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        Ok(())
    }

    fn snapshot(&mut self, _: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        Ok(Vec::new())
    }

    fn restore(&mut self, _: &[u8], _: &SequenceState<'_>) -> Result<(), DriverError> {
        Ok(())
    }
}

fn fill(logits: &mut [f32], seen: impl Iterator<Item = u32>) {
    let hash = seen.fold(7u32, |hash, token| {
        hash.wrapping_mul(0x9E37_79B1).wrapping_add(token + 1)
    });
    for (index, logit) in (0u32..).zip(logits) {
        let mixed = (hash ^ index.wrapping_mul(0x85EB_CA6B)).wrapping_mul(0xC2B2_AE35) >> 20;
        *logit = f32::from(u16::try_from(mixed).unwrap()) / 512.0;
    }
}

const LIMITS: StepLimits = StepLimits {
    rows: 16,
    output_rows: 8,
    context: 40,
    blocks: 60,
    block_tokens: 4,
    slots: 0,
};

fn engine(limits: StepLimits) -> Engine {
    let loaded = Pretended {
        limits,
        slots: HashMap::new(),
    };
    let config = EngineConfig {
        limits,
        vocabulary: VOCABULARY,
        window: None,
    };
    Engine::new(Box::new(loaded), config).unwrap()
}

fn request(id: u64, prompt: Vec<u32>, sampling: SamplingParameters) -> SequenceRequest {
    SequenceRequest {
        id: SequenceId(id),
        prompt,
        max_tokens: None,
        sampling,
        eos: Arc::from([EOS]),
        group: None,
        top_logprobs: None,
    }
}

/// What [`finish`] grants: 15 sequences of 40 positions, each computed again at every one of them, are 24,000 single rows.
const MOST_STEPS: usize = 50_000;

/// Steps until nothing is left; answers by sequence. Sequences that displace each other for ever are a failure, not a test without end.
fn finish(engine: &mut Engine) -> HashMap<u64, (Vec<u32>, FinishReason)> {
    let mut tokens: HashMap<u64, Vec<u32>> = HashMap::new();
    let mut ended = HashMap::new();
    let mut steps = 0;
    while !engine.is_idle() {
        steps += 1;
        assert!(steps <= MOST_STEPS, "after {MOST_STEPS} steps there is no end");
        for event in engine.step().unwrap() {
            match event {
                SequenceEvent::Started { .. } => {}
                SequenceEvent::Token { id, token, eos, .. } => {
                    assert_eq!(eos, token == EOS);
                    tokens.entry(id.0).or_default().push(token);
                }
                SequenceEvent::Finished { id, reason } => {
                    ended.insert(id.0, (tokens.remove(&id.0).unwrap(), reason));
                }
                SequenceEvent::Failed { error, .. } => panic!("{error}"),
            }
        }
    }
    assert!(tokens.is_empty());
    ended
}

fn alone(request: SequenceRequest) -> (Vec<u32>, FinishReason) {
    let id = request.id.0;
    let mut engine = engine(LIMITS);
    engine.submit(request).unwrap();
    finish(&mut engine).remove(&id).unwrap()
}

prop_compose! {
    fn any_request()(
        prompt in prop::collection::vec(1..50u32, 1..30),
        max_tokens in 1..30u32,
        temperature in prop_oneof![Just(0.0f32), 0.3f32..2.0],
        penalty in prop_oneof![Just(0.0f32), Just(0.7)],
        seed: u64,
    ) -> SequenceRequest {
        let sampling = SamplingParameters {
            temperature,
            frequency_penalty: penalty,
            repetition_penalty: 1.0 + penalty,
            top_p: 0.9,
            seed,
            ..SamplingParameters::greedy()
        };
        SequenceRequest { max_tokens: Some(max_tokens), ..request(0, prompt, sampling) }
    }
}

prop_compose! {
    fn any_limits()(
        rows in 1..20usize,
        output_rows in 1..9usize,
        block_tokens in 1..9usize,
        spare in 0..12usize,
    ) -> StepLimits {
        let blocks = LIMITS.context.div_ceil(block_tokens) + spare;
        StepLimits { rows, output_rows, block_tokens, blocks, ..LIMITS }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn company_chunks_and_preemption_change_no_answer(
        requests in prop::collection::vec((any_request(), 1..4u32), 1..6),
        limits in any_limits(),
    ) {
        let mut engine = engine(limits);
        let mut expected = HashMap::new();
        for (group, (request, choices)) in (0..).zip(requests) {
            for choice in 0..choices {
                let mut request = request.clone();
                request.id = SequenceId(expected.len() as u64);
                request.sampling.choice = choice;
                request.group = (choices > 1).then_some(group);
                expected.insert(request.id.0, alone(SequenceRequest { group: None, ..request.clone() }));
                engine.submit(request).unwrap();
            }
        }
        prop_assert_eq!(finish(&mut engine), expected);
        prop_assert_eq!(engine.stats().free_blocks, limits.blocks);
    }
}

#[test]
fn an_answer_ends_at_its_length_or_at_the_contexts() {
    let no_eos = SamplingParameters {
        logit_bias: vec![LogitBias {
            token: EOS,
            bias: f32::NEG_INFINITY,
        }],
        ..SamplingParameters::greedy()
    };
    let short = SequenceRequest {
        max_tokens: Some(3),
        ..request(0, vec![5; 10], no_eos.clone())
    };
    let (tokens, reason) = alone(short);
    assert_eq!((tokens.len(), reason), (3, FinishReason::Length));
    let (tokens, reason) = alone(request(0, vec![5; 10], no_eos));
    assert_eq!(
        (tokens.len(), reason),
        (LIMITS.context - 10, FinishReason::Length)
    );
}

#[test]
fn eos_ends_an_answer_and_counts_as_a_token() {
    let only_eos = SamplingParameters {
        logit_bias: vec![LogitBias {
            token: EOS,
            bias: 100.0,
        }],
        ..SamplingParameters::greedy()
    };
    let (tokens, reason) = alone(request(0, vec![5], only_eos));
    assert_eq!((tokens, reason), (vec![EOS], FinishReason::Stop));
}

#[test]
fn what_can_not_be_honoured_is_refused() {
    let greedy = SamplingParameters::greedy;
    let mut engine = engine(LIMITS);
    assert_eq!(
        engine.submit(request(0, vec![], greedy())),
        Err(SubmitError::EmptyPrompt)
    );
    let long = engine.submit(request(0, vec![1; 40], greedy())).unwrap_err();
    assert_eq!(
        long.to_string(),
        "this model's maximum context length is 40 tokens; the prompt has 40"
    );
    let beyond = engine.submit(request(0, vec![50], greedy())).unwrap_err();
    assert_eq!(
        beyond.to_string(),
        "token id 50 in prompt is beyond the vocabulary of 50"
    );
    let hot = SamplingParameters {
        temperature: 3.0,
        ..greedy()
    };
    assert!(matches!(
        engine.submit(request(0, vec![1], hot)),
        Err(SubmitError::Sampling(_))
    ));
    let none = SequenceRequest {
        max_tokens: Some(0),
        ..request(0, vec![1], greedy())
    };
    assert_eq!(engine.submit(none), Err(SubmitError::NoTokens));
    assert!(engine.is_idle());
    engine.submit(request(0, vec![1], greedy())).unwrap();
    assert_eq!(
        engine.submit(request(0, vec![1], greedy())),
        Err(SubmitError::Duplicate(0))
    );
}

#[test]
fn every_position_draws_its_own_number() {
    let others = (0..).take(VOCABULARY).filter(|token| ![7, 8].contains(token));
    let sampling = SamplingParameters {
        temperature: 2.0,
        logit_bias: others
            .map(|token| LogitBias {
                token,
                bias: f32::NEG_INFINITY,
            })
            .collect(),
        ..SamplingParameters::greedy()
    };
    let answer = |seed: u64, choice: u32| {
        let sampling = SamplingParameters {
            seed,
            choice,
            ..sampling.clone()
        };
        let request = SequenceRequest {
            max_tokens: Some(30),
            ..request(0, vec![1], sampling)
        };
        let mut engine = Engine::new(
            Box::new(Flat),
            EngineConfig {
                limits: LIMITS,
                vocabulary: VOCABULARY,
                window: None,
            },
        )
        .unwrap();
        engine.submit(request).unwrap();
        finish(&mut engine).remove(&0).unwrap().0
    };
    let first = answer(1, 0);
    assert!(first.contains(&7) && first.contains(&8), "{first:?}");
    assert_eq!(first, answer(1, 0));
    assert_ne!(first, answer(2, 0));
    assert_ne!(first, answer(1, 1));
}

#[test]
fn a_cancelled_sequence_says_nothing_more() {
    let mut engine = engine(LIMITS);
    engine
        .submit(request(0, vec![1, 2, 3], SamplingParameters::greedy()))
        .unwrap();
    engine.step().unwrap();
    assert!(engine.cancel(SequenceId(0)));
    assert!(!engine.cancel(SequenceId(0)));
    assert!(engine.is_idle());
    assert_eq!(engine.step().unwrap(), []);
    assert_eq!(engine.stats().free_blocks, LIMITS.blocks);
}

#[test]
fn a_paused_sequence_goes_on_where_it_was() {
    let mut engine = engine(LIMITS);
    let sampling = SamplingParameters::greedy();
    let expected = alone(request(0, vec![1, 2, 3], sampling.clone()));
    engine.submit(request(0, vec![1, 2, 3], sampling)).unwrap();
    let first = engine.step().unwrap();
    assert!(engine.pause(SequenceId(0)));
    assert_eq!(engine.step().unwrap(), []);
    assert!(engine.resume(SequenceId(0)));
    let (rest, reason) = finish(&mut engine).remove(&0).unwrap();
    let [
        SequenceEvent::Started { cached_tokens: 0, .. },
        SequenceEvent::Token { token, .. },
    ] = &first[..]
    else {
        panic!("{first:?}");
    };
    assert_eq!(([vec![*token], rest].concat(), reason), expected);
}
