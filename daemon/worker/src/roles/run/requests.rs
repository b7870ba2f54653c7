//! Requests that run: which sequence belongs to which choice, and what each event of the engine means to its client.

use std::collections::HashMap;
use std::sync::Arc;

use mains_engine::sampling::{SampleError, TokenLogprobs};
use mains_engine::{Engine, SequenceEvent, SequenceId, SequenceRequest, SubmitError};
use mains_text::Tokenizer;
use mains_types::{
    Choice, FinishReason, GenerationError, GenerationErrorKind, Started, TokenChunk, TokenLogprob,
};
use mains_wire::frames::{FromWorker, bounds};

use super::choice::{ChoiceText, Shown};
use super::prepare::{Request, invalid, sampling_error};
use super::start::Start;

/// All requests that have begun and not ended.
pub(super) struct Requests {
    tokenizer: Arc<Tokenizer>,
    variant: String,
    running: HashMap<u64, Running>,
    answers: HashMap<SequenceId, Answer>,
    next_sequence: u64,
    next_group: u64,
}

#[derive(Default)]
struct Running {
    /// Sequences that have not ended.
    sequences: Vec<SequenceId>,
    paused: bool,
    /// What is said at its first step; none from then on.
    start: Option<Start>,
}

/// One choice of one request.
struct Answer {
    number: u64,
    choice: Choice,
    text: ChoiceText,
}

impl Requests {
    pub(super) fn new(tokenizer: Arc<Tokenizer>, variant: String) -> Self {
        Self {
            tokenizer,
            variant,
            running: HashMap::new(),
            answers: HashMap::new(),
            next_sequence: 0,
            next_group: 0,
        }
    }

    /// Whether a step would bring anybody on.
    pub(super) fn wants_steps(&self) -> bool {
        self.running.values().any(|request| !request.paused)
    }

    /// Gives a request to the engine, whole or not at all.
    pub(super) fn begin(&mut self, engine: &mut Engine, number: u64, request: Request) -> Vec<FromWorker> {
        let tokens: usize = request.prompts.iter().map(|prompt| prompt.ids.len()).sum();
        let echoes: Vec<String> = request
            .prompts
            .iter()
            .flat_map(|prompt| vec![prompt.echo.clone().unwrap_or_default(); request.n as usize])
            .collect();
        let started = Started {
            prompt_tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            cached_tokens: 0,
            variant: self.variant.clone(),
        };
        let start = Start {
            started,
            echoes,
            leaders: Vec::new(),
        };
        let running = Running {
            start: Some(start),
            ..Running::default()
        };
        self.running.insert(number, running);
        if let Err(error) = self.submit(engine, number, request) {
            self.cancel(engine, number);
            return vec![FromWorker::Failed { number, error }];
        }
        Vec::new()
    }

    /// Says of each request that a step computed for the first time that it started: before all else of that step.
    pub(super) fn start(&mut self, events: &[SequenceEvent]) -> Vec<FromWorker> {
        let mut numbers = Vec::new();
        for event in events {
            let SequenceEvent::Started { id, cached_tokens } = event else {
                continue;
            };
            let Some(number) = self.answers.get(id).map(|answer| answer.number) else {
                continue;
            };
            if let Some(start) = self
                .running
                .get_mut(&number)
                .and_then(|running| running.start.as_mut())
            {
                start.count_cached(*id, *cached_tokens);
                numbers.push(number);
            }
        }
        let mut frames = Vec::new();
        for number in numbers {
            let start = self
                .running
                .get_mut(&number)
                .and_then(|running| running.start.take());
            frames.extend(start.into_iter().flat_map(|start| start.frames(number)));
        }
        frames
    }

    fn submit(&mut self, engine: &mut Engine, number: u64, request: Request) -> Result<(), GenerationError> {
        let param = request.prompt_param;
        let mut choices = (0..).map(Choice);
        for prompt in request.prompts {
            let group = (request.n > 1).then_some(self.next_group);
            self.next_group += 1;
            let mut is_first = true;
            for choice in choices.by_ref().take(request.n as usize) {
                let id = SequenceId(self.next_sequence);
                self.next_sequence += 1;
                let text = ChoiceText::new(Arc::clone(&self.tokenizer), request.stop.clone())
                    .map_err(|error| invalid(error.to_string(), "stop"))?;
                let mut sampling = request.sampling.clone();
                sampling.choice = choice.0;
                engine
                    .submit(SequenceRequest {
                        id,
                        prompt: prompt.ids.clone(),
                        max_tokens: request.max_tokens,
                        sampling,
                        eos: Arc::clone(&request.eos),
                        group,
                        top_logprobs: request.top_logprobs,
                    })
                    .map_err(|error| submit_error(error, param))?;
                self.answers.insert(id, Answer { number, choice, text });
                let running = self.running.entry(number).or_default();
                running.sequences.push(id);
                if let Some(start) = running.start.as_mut().filter(|_| is_first) {
                    start.leaders.push(id);
                }
                is_first = false;
            }
        }
        Ok(())
    }

    /// Ends a request without a word.
    pub(super) fn cancel(&mut self, engine: &mut Engine, number: u64) {
        for id in self.running.remove(&number).unwrap_or_default().sequences {
            engine.cancel(id);
            self.answers.remove(&id);
        }
    }

    /// Leaves a request out of the steps.
    pub(super) fn pause(&mut self, engine: &mut Engine, number: u64) {
        if let Some(request) = self.running.get_mut(&number) {
            request.paused = true;
            for id in &request.sequences {
                engine.pause(*id);
            }
        }
    }

    /// Takes a request into the steps again.
    pub(super) fn resume(&mut self, engine: &mut Engine, number: u64) {
        if let Some(request) = self.running.get_mut(&number) {
            request.paused = false;
            for id in &request.sequences {
                engine.resume(*id);
            }
        }
    }

    /// What an event of the engine is to the client.
    pub(super) fn follow(&mut self, engine: &mut Engine, event: SequenceEvent) -> Vec<FromWorker> {
        match event {
            SequenceEvent::Started { .. } => Vec::new(),
            SequenceEvent::Token {
                id,
                token,
                eos,
                logprobs,
            } => self.token(engine, id, token, eos, logprobs),
            SequenceEvent::Finished { id, reason } => {
                let Some(answer) = self.answers.get_mut(&id) else {
                    return Vec::new();
                };
                let (text, reason) = answer.text.finish(reason);
                let mut frames = text_frames(answer.number, answer.choice, &text);
                frames.extend(self.end(id, reason));
                frames
            }
            SequenceEvent::Failed { id, error } => {
                let Some(number) = self.answers.get(&id).map(|answer| answer.number) else {
                    return Vec::new();
                };
                self.cancel(engine, number);
                let error = sample_error(&error);
                vec![FromWorker::Failed { number, error }]
            }
        }
    }

    fn token(
        &mut self,
        engine: &mut Engine,
        id: SequenceId,
        token: u32,
        eos: bool,
        logprobs: Option<TokenLogprobs>,
    ) -> Vec<FromWorker> {
        let Some(answer) = self.answers.get_mut(&id) else {
            return Vec::new();
        };
        let Shown { text, stopped } = answer.text.push(token, eos);
        let (number, choice) = (answer.number, answer.choice);
        let logprobs = logprobs.map(|logprobs| logprob(&self.tokenizer, token, logprobs));
        let (first, rest) = split(&text, bounds::CHUNK_TEXT_BYTES);
        let chunk = TokenChunk {
            choice,
            ids: vec![token],
            text: first.to_owned(),
            logprobs: logprobs.into_iter().collect(),
        };
        let mut frames = vec![FromWorker::Tokens { number, chunk }];
        frames.extend(text_frames(number, choice, rest));
        if stopped {
            engine.cancel(id);
            frames.extend(self.end(id, FinishReason::Stop));
        }
        frames
    }

    /// The end of one choice, and of the request when it was the last.
    fn end(&mut self, id: SequenceId, reason: FinishReason) -> Vec<FromWorker> {
        let Some(Answer { number, choice, .. }) = self.answers.remove(&id) else {
            return Vec::new();
        };
        let mut frames = vec![FromWorker::Finished {
            number,
            choice,
            reason,
        }];
        if let Some(request) = self.running.get_mut(&number) {
            request.sequences.retain(|sequence| *sequence != id);
            if request.sequences.is_empty() {
                self.running.remove(&number);
                frames.push(FromWorker::Done { number });
            }
        }
        frames
    }

    /// Ends every request: the device failed, in the words of `reason`.
    pub(super) fn fail_all(&mut self, reason: &str) -> Vec<FromWorker> {
        self.answers.clear();
        let failed = |(number, _)| FromWorker::Failed {
            number,
            error: GenerationError {
                kind: GenerationErrorKind::WorkerLost,
                message: format!("the device failed while it computed this answer ({reason}); ask again"),
                param: None,
            },
        };
        self.running.drain().map(failed).collect()
    }
}

/// Text without ids, in chunks that fit a frame.
pub(super) fn text_frames(number: u64, choice: Choice, text: &str) -> Vec<FromWorker> {
    let mut frames = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (first, after) = split(rest, bounds::CHUNK_TEXT_BYTES);
        rest = after;
        let chunk = TokenChunk {
            choice,
            ids: Vec::new(),
            text: first.to_owned(),
            logprobs: Vec::new(),
        };
        frames.push(FromWorker::Tokens { number, chunk });
    }
    frames
}

/// `text` cut after at most `most` bytes, between two characters.
fn split(text: &str, most: usize) -> (&str, &str) {
    text.split_at(text.floor_char_boundary(most))
}

fn logprob(tokenizer: &Tokenizer, id: u32, logprobs: TokenLogprobs) -> TokenLogprob {
    let bytes = |id: u32| tokenizer.token_bytes(id).unwrap_or_default().to_vec();
    TokenLogprob {
        id,
        bytes: bytes(id),
        logprob: logprobs.logprob,
        top: logprobs
            .top
            .into_iter()
            .map(|(id, logprob)| (id, bytes(id), logprob))
            .collect(),
    }
}

fn submit_error(error: SubmitError, prompt_param: &str) -> GenerationError {
    match &error {
        SubmitError::ContextLength { .. } => GenerationError {
            kind: GenerationErrorKind::ContextLength,
            ..invalid(error.to_string(), prompt_param)
        },
        SubmitError::EmptyPrompt => invalid(error.to_string(), prompt_param),
        SubmitError::Vocabulary { param: "prompt", .. } => invalid(error.to_string(), prompt_param),
        SubmitError::Vocabulary { param, .. } => invalid(error.to_string(), param),
        SubmitError::Sampling(sampling) => sampling_error(sampling),
        SubmitError::NoTokens => invalid(error.to_string(), "max_tokens"),
        SubmitError::Duplicate(_) => GenerationError {
            kind: GenerationErrorKind::Internal,
            message: error.to_string(),
            param: None,
        },
    }
}

fn sample_error(error: &SampleError) -> GenerationError {
    match error {
        SampleError::NothingLeft => invalid(error.to_string(), "logit_bias"),
        SampleError::NotANumber => GenerationError {
            kind: GenerationErrorKind::Internal,
            message: error.to_string(),
            param: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{split, text_frames};
    use mains_types::Choice;
    use mains_wire::frames::bounds;

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(split("aé", 2), ("a", "é"));
        let text = "é".repeat(bounds::CHUNK_TEXT_BYTES);
        assert_eq!(text_frames(1, Choice(0), &text).len(), 2);
        assert!(text_frames(1, Choice(0), "").is_empty());
    }
}
