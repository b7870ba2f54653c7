//! A request for tokens, and what comes back for it.

use crate::Sampling;

/// A validated request for tokens of one model. Choices are numbered prompt by prompt: `prompt * n + copy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// The id that the client gets and that the ledger's row has, such as `chatcmpl-…`.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// At least one prompt; several only for plain completions.
    pub prompts: Vec<Prompt>,
    /// Independent answers to each prompt.
    pub n: u32,
    /// Tokens of one answer at the most; the rest of the context when absent.
    pub max_tokens: Option<u32>,
    /// An answer ends before the first of these.
    pub stop: Vec<String>,
    /// Give each token's log-probability and this many alternatives.
    pub top_logprobs: Option<u32>,
    /// Give the prompt back before the answer.
    pub echo: bool,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Seconds that the model stays loaded after this request; the configured time when absent.
    pub keep_alive_s: Option<u64>,
}

impl Generate {
    /// How many answers this request has.
    #[must_use]
    pub fn choices(&self) -> u32 {
        u32::try_from(self.prompts.len())
            .unwrap_or(u32::MAX)
            .saturating_mul(self.n)
    }
}

/// What the model is to go on from.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// Messages for the model's chat template.
    Chat(ChatPrompt),
    /// Plain text. Nothing in it becomes a control token.
    Text(String),
    /// Token ids, taken as they are.
    Ids(Vec<u32>),
}

/// Messages for a chat template. They stay JSON: only the template in the worker looks inside.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatPrompt {
    /// A JSON array of messages with string contents.
    pub messages: String,
    /// A JSON array of tool declarations.
    pub tools: Option<String>,
    /// A JSON object of further template variables.
    pub variables: Option<String>,
    /// Where the conversation ends and the model begins.
    pub end: ChatEnd,
}

/// Where a rendered conversation ends: what `add_generation_prompt` and `continue_final_message` say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChatEnd {
    /// Behind the beginning of a new answer.
    #[default]
    NewAnswer,
    /// Behind the last message.
    LastMessage,
    /// Within the last message, where its text ends: the model goes on with it.
    WithinLastMessage,
}

/// One answer of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Choice(pub u32);

/// What a running request says, in order: one `Started`, tokens and endings of choices mixed, then `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The prompt is understood and admitted.
    Started(Started),
    /// Tokens of one choice.
    Tokens(TokenChunk),
    /// One choice has ended.
    Finished {
        /// Which.
        choice: Choice,
        /// Why.
        reason: FinishReason,
    },
    /// Every choice has ended and the ledger has the row.
    Done,
    /// The request ended early; nothing follows.
    Failed(GenerationError),
}

/// What is known once a prompt was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Tokens of all prompts together.
    pub prompt_tokens: u32,
    /// Of those, how many a cache had.
    pub cached_tokens: u32,
    /// Digest of the variant that answers, hexadecimal.
    pub variant: String,
}

/// Tokens of one choice that may be shown. Text lags behind ids while a character or a stop string is incomplete.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenChunk {
    /// Which choice.
    pub choice: Choice,
    /// The ids generated since the last chunk of this choice; empty for an echoed prompt.
    pub ids: Vec<u32>,
    /// Text that is final.
    pub text: String,
    /// One entry an id, when they were asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// A token with its log-probability and the alternatives.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token's id.
    pub id: u32,
    /// The token's bytes; not always whole characters.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability, finite or -infinity.
    pub logprob: f32,
    /// The most likely tokens: id, bytes, log-probability.
    pub top: Vec<(u32, Vec<u8>, f32)>,
}

/// Why a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model said so, or a stop string came.
    Stop,
    /// The most tokens that were asked for, or the context's end.
    Length,
}

impl FinishReason {
    /// OpenAI's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// Why a request was refused or ended early, in words for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GenerationError {
    /// What kind of failure.
    pub kind: GenerationErrorKind,
    /// What happened and what to do.
    pub message: String,
    /// The request's parameter that is at fault.
    pub param: Option<String>,
}

/// Kinds of failure; the interface maps each to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GenerationErrorKind {
    /// The request itself cannot be honoured.
    Invalid,
    /// Prompt and answer exceed the context.
    ContextLength,
    /// There is no such model.
    UnknownModel,
    /// The queue is full or the wait was too long.
    Overloaded,
    /// The model can not be loaded: no plan, or its load failed.
    Unavailable,
    /// The worker died or the device failed.
    WorkerLost,
    /// The ledger cannot record: disk full or slow.
    Unmetered,
    /// The client went away.
    Cancelled,
    /// The daemon is shutting down.
    ShuttingDown,
    /// A defect of ours.
    Internal,
}

impl GenerationErrorKind {
    /// The short code that errors and ledger rows carry.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_request",
            Self::ContextLength => "context_length_exceeded",
            Self::UnknownModel => "model_not_found",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "model_unavailable",
            Self::WorkerLost => "worker_lost",
            Self::Unmetered => "ledger_unavailable",
            Self::Cancelled => "client_gone",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal_error",
        }
    }
}
