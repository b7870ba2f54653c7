//! The loop of one step: plan, compute, choose.

use std::collections::HashMap;

use mains_contract::{Bytes, LoadedModel, StepLimits};
use mains_types::FinishReason;

use super::{EngineError, SequenceEvent, SequenceRequest, SubmitError};
use crate::sampling::{Chosen, History, Sampler};
use crate::scheduler::{Counters, NewSequence, Scheduler, SchedulerLimits, SequenceId};

/// What the engine needs to know of its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// The limits that the model was loaded under.
    pub limits: StepLimits,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// The graph's widest window ([`mains_contract::Graph::window`]).
    pub window: Option<usize>,
}

impl EngineConfig {
    /// Bytes that the engine itself takes: logits, a working copy of one row, and what is kept of each block. A plan counts them
    /// as the worker's.
    #[must_use]
    pub fn host_bytes(&self) -> Bytes {
        let row = Bytes::from(size_of::<f32>()).times(self.vocabulary as u64);
        let block = Bytes::from(Scheduler::bytes_a_block(self.limits.block_tokens));
        row.times(self.limits.output_rows as u64 + 2) + block.times(self.limits.blocks as u64)
    }
}

/// What the engine did and holds, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// Steps, rows and preemptions.
    pub counters: Counters,
    /// Tokens that were generated.
    pub generated_tokens: u64,
    /// Sequences with state.
    pub running: usize,
    /// Sequences without.
    pub waiting: usize,
    /// Blocks that no sequence holds.
    pub free_blocks: usize,
    /// All blocks.
    pub total_blocks: usize,
}

/// Generates tokens for many sequences at once on one loaded model.
pub struct Engine {
    loaded: Box<dyn LoadedModel>,
    config: EngineConfig,
    scheduler: Scheduler,
    answers: HashMap<SequenceId, Answer>,
    sampler: Sampler,
    logits: Vec<f32>,
    generated_tokens: u64,
}

/// What is known of a sequence beside its tokens.
struct Answer {
    request: SequenceRequest,
    history: History,
    generated: u32,
}

impl Engine {
    /// An engine on `loaded`, without sequences.
    ///
    /// # Errors
    /// [`EngineError::Limits`] when the limits leave no room for one sequence of full context.
    pub fn new(loaded: Box<dyn LoadedModel>, config: EngineConfig) -> Result<Self, EngineError> {
        let limits = SchedulerLimits::new(&config.limits, config.window).map_err(EngineError::Limits)?;
        Ok(Self {
            loaded,
            config,
            scheduler: Scheduler::new(limits),
            answers: HashMap::new(),
            sampler: Sampler::default(),
            logits: vec![0.0; config.limits.output_rows * config.vocabulary],
            generated_tokens: 0,
        })
    }

    /// Takes a request; its first event comes from a later [`Engine::step`].
    ///
    /// # Errors
    /// [`SubmitError`] says what about it can not be honoured.
    pub fn submit(&mut self, mut request: SequenceRequest) -> Result<(), SubmitError> {
        self.check(&request)?;
        let prompt = std::mem::take(&mut request.prompt);
        let history = if request.sampling.looks_back() {
            History::new(&prompt)
        } else {
            History::default()
        };
        self.scheduler.submit(NewSequence {
            id: request.id,
            prompt,
            group: request.group,
        });
        let answer = Answer {
            history,
            generated: 0,
            request,
        };
        self.answers.insert(answer.request.id, answer);
        Ok(())
    }

    fn check(&self, request: &SequenceRequest) -> Result<(), SubmitError> {
        let vocabulary = self.config.vocabulary;
        let within = |param: &'static str, token: u32| {
            if (token as usize) < vocabulary {
                Ok(())
            } else {
                Err(SubmitError::Vocabulary {
                    param,
                    token,
                    vocabulary,
                })
            }
        };
        if request.prompt.is_empty() {
            return Err(SubmitError::EmptyPrompt);
        }
        if request.prompt.len() >= self.config.limits.context {
            return Err(SubmitError::ContextLength {
                context: self.config.limits.context,
                prompt: request.prompt.len(),
            });
        }
        request
            .prompt
            .iter()
            .try_for_each(|token| within("prompt", *token))?;
        let bias = &request.sampling.logit_bias;
        bias.iter()
            .try_for_each(|entry| within("logit_bias", entry.token))?;
        request.sampling.check()?;
        if request.max_tokens == Some(0) {
            return Err(SubmitError::NoTokens);
        }
        if self.scheduler.contains(request.id) {
            return Err(SubmitError::Duplicate(request.id.0));
        }
        Ok(())
    }

    /// Ends a sequence without an event; `false` when there is none of that number.
    pub fn cancel(&mut self, id: SequenceId) -> bool {
        self.answers.remove(&id);
        self.scheduler.remove(id)
    }

    /// Leaves a sequence out of the steps until [`Engine::resume`]: its client does not keep up. Its state is given up
    /// and computed again. `false` when there is none of that number.
    pub fn pause(&mut self, id: SequenceId) -> bool {
        self.scheduler.pause(id)
    }

    /// Takes a paused sequence in again; `false` when there is none of that number.
    pub fn resume(&mut self, id: SequenceId) -> bool {
        self.scheduler.resume(id)
    }

    /// Whether there is no sequence, paused ones included.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.answers.is_empty()
    }

    /// Computes one step and gives what it brought; nothing when there is nothing to compute.
    ///
    /// # Errors
    /// [`EngineError::Driver`]: the engine can not go on, load the model again.
    pub fn step(&mut self) -> Result<Vec<SequenceEvent>, EngineError> {
        let Some(plan) = self.scheduler.plan() else {
            return Ok(Vec::new());
        };
        if !plan.copies.is_empty() {
            self.loaded.copy_blocks(&plan.copies)?;
        }
        if !plan.slot_copies.is_empty() {
            self.loaded.copy_slots(&plan.slot_copies)?;
        }
        let vocabulary = self.config.vocabulary;
        let wanted = plan.outputs.len() * vocabulary;
        self.loaded
            .run(&plan.step(&plan.sequence_spans()), &mut self.logits[..wanted])?;
        let started = |(id, cached_tokens): &(SequenceId, usize)| SequenceEvent::Started {
            id: *id,
            cached_tokens: *cached_tokens,
        };
        let mut events: Vec<SequenceEvent> = plan.started.iter().map(started).collect();
        for (index, id) in plan.outputs.iter().enumerate() {
            self.choose(*id, index * vocabulary, &mut events);
        }
        Ok(events)
    }

    /// Chooses the next token of `id` from the logits that begin at `first`.
    fn choose(&mut self, id: SequenceId, first: usize, events: &mut Vec<SequenceEvent>) {
        let Some(answer) = self.answers.get_mut(&id) else {
            return;
        };
        let logits = &self.logits[first..first + self.config.vocabulary];
        let request = &answer.request;
        let chosen = self.sampler.choose(
            logits,
            &answer.history,
            &request.sampling,
            answer.generated,
            request.top_logprobs,
        );
        let Chosen { token, logprobs } = match chosen {
            Ok(chosen) => chosen,
            Err(error) => {
                self.cancel(id);
                events.push(SequenceEvent::Failed { id, error });
                return;
            }
        };
        let eos = request.eos.contains(&token);
        let max_tokens = request.max_tokens.unwrap_or(u32::MAX);
        if request.sampling.looks_back() {
            answer.history.push(token);
        }
        answer.generated += 1;
        self.generated_tokens += 1;
        events.push(SequenceEvent::Token {
            id,
            token,
            eos,
            logprobs,
        });
        let enough = answer.generated >= max_tokens;
        let length = self.scheduler.push(id, token);
        let full = length.is_none_or(|length| length >= self.config.limits.context);
        let reason = match (eos, enough || full) {
            (true, _) => FinishReason::Stop,
            (false, true) => FinishReason::Length,
            (false, false) => return,
        };
        self.cancel(id);
        events.push(SequenceEvent::Finished { id, reason });
    }

    /// What was done and is held.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let (running, waiting) = self.scheduler.running_and_waiting();
        let (free_blocks, total_blocks) = self.scheduler.free_and_total_blocks();
        EngineStats {
            counters: self.scheduler.counters(),
            generated_tokens: self.generated_tokens,
            running,
            waiting,
            free_blocks,
            total_blocks,
        }
    }
}
