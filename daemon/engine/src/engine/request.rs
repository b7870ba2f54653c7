//! What is asked of the engine, and what comes back.

use std::sync::Arc;

use mains_contract::DriverError;
use mains_types::FinishReason;

use crate::sampling::{SampleError, SamplingError, SamplingParameters, TokenLogprobs};
use crate::scheduler::SequenceId;

/// One answer that is to be generated. Several choices of one prompt are several requests of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceRequest {
    /// Its number, not in use.
    pub id: SequenceId,
    /// Token ids; at least one, and fewer than the context.
    pub prompt: Vec<u32>,
    /// Tokens at the most, EOS included; the rest of the context when absent.
    pub max_tokens: Option<u32>,
    /// How tokens are chosen.
    pub sampling: SamplingParameters,
    /// Tokens that end the answer.
    pub eos: Arc<[u32]>,
    /// Requests of one group have the same prompt, which is computed once.
    pub group: Option<u64>,
    /// Give each token's log-probability and this many alternatives.
    pub top_logprobs: Option<u32>,
}

/// What a step brought for one sequence. A sequence's events are in order; `Finished` or `Failed` is its last.
#[derive(Debug, Clone, PartialEq)]
pub enum SequenceEvent {
    /// The prompt is being computed; comes once, before anything else.
    Started {
        /// Whose.
        id: SequenceId,
        /// Tokens of the prompt whose state was there already.
        cached_tokens: usize,
    },
    /// A token was generated.
    Token {
        /// Whose.
        id: SequenceId,
        /// Its id.
        token: u32,
        /// Whether it ends the answer by the model's word: it counts as generated and is not shown.
        eos: bool,
        /// When they were asked for.
        logprobs: Option<TokenLogprobs>,
    },
    /// The answer has ended.
    Finished {
        /// Whose.
        id: SequenceId,
        /// Why.
        reason: FinishReason,
    },
    /// No further token can be chosen.
    Failed {
        /// Whose.
        id: SequenceId,
        /// Why.
        error: SampleError,
    },
}

/// A request that the engine does not take. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Nothing to go on from.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// The prompt leaves no room for a token.
    #[error("this model's maximum context length is {context} tokens; the prompt has {prompt}")]
    ContextLength {
        /// Positions of one sequence.
        context: usize,
        /// The prompt's tokens.
        prompt: usize,
    },
    /// An id that the model does not have.
    #[error("token id {token} in {param} is beyond the vocabulary of {vocabulary}")]
    Vocabulary {
        /// `prompt` or `logit_bias`.
        param: &'static str,
        /// The id.
        token: u32,
        /// Tokens that there are.
        vocabulary: usize,
    },
    /// A sampling parameter outside its range.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// An answer of no tokens.
    #[error("max_tokens must be at least 1")]
    NoTokens,
    /// The number is in use.
    #[error("sequence {0} is in use")]
    Duplicate(u64),
}

/// The engine can not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Limits that leave no room for one sequence of full context.
    #[error("the plan does not work: {0}")]
    Limits(String),
    /// The driver failed; the state of the step's sequences is lost.
    #[error(transparent)]
    Driver(#[from] DriverError),
}
