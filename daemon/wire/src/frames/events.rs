//! What a request says while it runs, on the wire.

use mains_types::{
    Choice, FinishReason, GenerationError, GenerationErrorKind, Started, TokenChunk, TokenLogprob,
};
use serde::{Deserialize, Serialize};

use super::{FrameError, bounds};

#[derive(Debug, Serialize, Deserialize)]
pub struct StartedWire {
    prompt_tokens: u32,
    cached_tokens: u32,
    variant: String,
}

impl From<Started> for StartedWire {
    fn from(started: Started) -> Self {
        Self {
            prompt_tokens: started.prompt_tokens,
            cached_tokens: started.cached_tokens,
            variant: started.variant,
        }
    }
}

impl TryFrom<StartedWire> for Started {
    type Error = FrameError;

    fn try_from(wire: StartedWire) -> Result<Self, FrameError> {
        if wire.cached_tokens > wire.prompt_tokens {
            return Err(FrameError::Invalid {
                what: "started.cached_tokens",
                reason: format!(
                    "{} of {} tokens of the prompt",
                    wire.cached_tokens, wire.prompt_tokens
                ),
            });
        }
        Ok(Self {
            prompt_tokens: wire.prompt_tokens,
            cached_tokens: wire.cached_tokens,
            variant: bounds::text("started.variant", wire.variant, bounds::NAME_BYTES)?,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct TokenChunkWire {
    choice: u32,
    ids: Vec<u32>,
    text: String,
    logprobs: Vec<TokenLogprobWire>,
}

impl From<TokenChunk> for TokenChunkWire {
    fn from(chunk: TokenChunk) -> Self {
        Self {
            choice: chunk.choice.0,
            ids: chunk.ids,
            text: chunk.text,
            logprobs: chunk.logprobs.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<TokenChunkWire> for TokenChunk {
    type Error = FrameError;

    fn try_from(wire: TokenChunkWire) -> Result<Self, FrameError> {
        bounds::within("tokens.ids", wire.ids.len(), bounds::CHUNK_IDS)?;
        Ok(Self {
            choice: Choice(wire.choice),
            ids: wire.ids,
            text: bounds::text("tokens.text", wire.text, bounds::CHUNK_TEXT_BYTES)?,
            logprobs: bounds::list(
                "tokens.logprobs",
                wire.logprobs,
                bounds::CHUNK_IDS,
                TryInto::try_into,
            )?,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct TokenLogprobWire {
    id: u32,
    bytes: Vec<u8>,
    logprob: f32,
    top: Vec<(u32, Vec<u8>, f32)>,
}

impl From<TokenLogprob> for TokenLogprobWire {
    fn from(token: TokenLogprob) -> Self {
        Self {
            id: token.id,
            bytes: token.bytes,
            logprob: token.logprob,
            top: token.top,
        }
    }
}

impl TryFrom<TokenLogprobWire> for TokenLogprob {
    type Error = FrameError;

    fn try_from(wire: TokenLogprobWire) -> Result<Self, FrameError> {
        bounds::within("logprob.bytes", wire.bytes.len(), bounds::TOKEN_BYTES)?;
        Ok(Self {
            id: wire.id,
            bytes: wire.bytes,
            logprob: log_probability("logprob", wire.logprob)?,
            top: bounds::list(
                "logprob.top",
                wire.top,
                bounds::TOP_LOGPROBS,
                |(id, bytes, logprob)| {
                    bounds::within("logprob.top.bytes", bytes.len(), bounds::TOKEN_BYTES)?;
                    Ok((id, bytes, log_probability("logprob.top", logprob)?))
                },
            )?,
        })
    }
}

fn log_probability(what: &'static str, value: f32) -> Result<f32, FrameError> {
    if value.is_nan() || value == f32::INFINITY {
        return Err(FrameError::Invalid {
            what,
            reason: format!("{value} is no log-probability"),
        });
    }
    Ok(value)
}

#[derive(Debug, Serialize, Deserialize)]
pub enum FinishReasonWire {
    Stop,
    Length,
}

impl From<FinishReason> for FinishReasonWire {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
        }
    }
}

impl From<FinishReasonWire> for FinishReason {
    fn from(wire: FinishReasonWire) -> Self {
        match wire {
            FinishReasonWire::Stop => Self::Stop,
            FinishReasonWire::Length => Self::Length,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorWire {
    kind: ErrorKindWire,
    message: String,
    param: Option<String>,
}

impl From<GenerationError> for ErrorWire {
    fn from(error: GenerationError) -> Self {
        Self {
            kind: error.kind.into(),
            message: error.message,
            param: error.param,
        }
    }
}

impl TryFrom<ErrorWire> for GenerationError {
    type Error = FrameError;

    fn try_from(wire: ErrorWire) -> Result<Self, FrameError> {
        Ok(Self {
            kind: wire.kind.into(),
            message: bounds::text("failed.message", wire.message, bounds::MESSAGE_BYTES)?,
            param: bounds::optional_text("failed.param", wire.param, bounds::NAME_BYTES)?,
        })
    }
}

/// One table for both directions, so that none can be forgotten in one of them.
macro_rules! error_kinds {
    ($($kind:ident),+ $(,)?) => {
        #[derive(Debug, Serialize, Deserialize)]
        enum ErrorKindWire { $($kind),+ }

        impl From<GenerationErrorKind> for ErrorKindWire {
            fn from(kind: GenerationErrorKind) -> Self {
                match kind { $(GenerationErrorKind::$kind => Self::$kind),+ }
            }
        }

        impl From<ErrorKindWire> for GenerationErrorKind {
            fn from(wire: ErrorKindWire) -> Self {
                match wire { $(ErrorKindWire::$kind => Self::$kind),+ }
            }
        }
    };
}

error_kinds!(
    Invalid,
    ContextLength,
    UnknownModel,
    Overloaded,
    Unavailable,
    WorkerLost,
    Unmetered,
    Cancelled,
    ShuttingDown,
    Internal,
);
