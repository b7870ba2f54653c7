//! The bounds of request bodies, each with its unit and its reason.

/// Bytes of a request body. A prompt of a million tokens is about 4 MiB of text; escaped JSON doubles it.
pub const MAX_BODY_BYTES: usize = 8 << 20;

/// Independent answers to one prompt. Each takes a sequence of the worker for as long as it runs.
pub const MAX_N: u32 = 8;

/// Answers of one request, over all prompts: what one client may keep in a worker at once.
pub const MAX_CHOICES: u32 = 64;

/// Stop strings of a request, as OpenAI documents.
pub const MAX_STOPS: usize = 4;

/// Bytes of one stop string. Text is held back while it may still become one, so a long one delays a stream.
pub const MAX_STOP_BYTES: usize = 256;

/// Alternatives a token in chat completions, as OpenAI documents.
pub const MAX_TOP_LOGPROBS: u32 = 20;

/// Alternatives a token in plain completions, as OpenAI documents.
pub const MAX_LEGACY_LOGPROBS: u32 = 5;

/// Entries of `logit_bias`. OpenAI allows 300; more is no longer a bias but a grammar.
pub const MAX_LOGIT_BIAS: usize = 300;

/// Seconds that a request may keep its model loaded: a week. A model that is to stay for good is pinned in the configuration.
pub const MAX_KEEP_ALIVE_S: u64 = 7 * 24 * 3600;

/// Tokens of an answer to a plain completion when `max_tokens` is absent, as OpenAI documents.
pub const DEFAULT_COMPLETION_TOKENS: u32 = 16;
