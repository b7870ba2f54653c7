//! A request for tokens on the wire.

use mains_types::{ChatEnd, ChatPrompt, Generate, Prompt};
use serde::{Deserialize, Serialize};

use super::sampling::SamplingWire;
use super::{FrameError, bounds};

#[derive(Debug, Serialize, Deserialize)]
pub struct GenerateWire {
    id: String,
    model: String,
    prompts: Vec<PromptWire>,
    n: u32,
    max_tokens: Option<u32>,
    stop: Vec<String>,
    top_logprobs: Option<u32>,
    echo: bool,
    sampling: SamplingWire,
    keep_alive_s: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
enum PromptWire {
    Chat {
        messages: String,
        tools: Option<String>,
        variables: Option<String>,
        end: ChatEndWire,
    },
    Text(String),
    Ids(Vec<u32>),
}

#[derive(Debug, Serialize, Deserialize)]
enum ChatEndWire {
    NewAnswer,
    LastMessage,
    WithinLastMessage,
}

impl From<ChatEnd> for ChatEndWire {
    fn from(end: ChatEnd) -> Self {
        match end {
            ChatEnd::NewAnswer => Self::NewAnswer,
            ChatEnd::LastMessage => Self::LastMessage,
            ChatEnd::WithinLastMessage => Self::WithinLastMessage,
        }
    }
}

impl From<ChatEndWire> for ChatEnd {
    fn from(end: ChatEndWire) -> Self {
        match end {
            ChatEndWire::NewAnswer => Self::NewAnswer,
            ChatEndWire::LastMessage => Self::LastMessage,
            ChatEndWire::WithinLastMessage => Self::WithinLastMessage,
        }
    }
}

impl From<Generate> for GenerateWire {
    fn from(generate: Generate) -> Self {
        Self {
            id: generate.id,
            model: generate.model,
            prompts: generate.prompts.into_iter().map(Into::into).collect(),
            n: generate.n,
            max_tokens: generate.max_tokens,
            stop: generate.stop,
            top_logprobs: generate.top_logprobs,
            echo: generate.echo,
            sampling: generate.sampling.into(),
            keep_alive_s: generate.keep_alive_s,
        }
    }
}

impl TryFrom<GenerateWire> for Generate {
    type Error = FrameError;

    fn try_from(wire: GenerateWire) -> Result<Self, FrameError> {
        let top_logprobs = wire.top_logprobs.unwrap_or(0) as usize;
        bounds::within("generate.n", wire.n as usize, bounds::N)?;
        bounds::within("generate.top_logprobs", top_logprobs, bounds::TOP_LOGPROBS)?;
        if wire.n == 0 || wire.prompts.is_empty() {
            return Err(FrameError::Invalid {
                what: "generate",
                reason: "a request has at least one prompt and one answer".to_owned(),
            });
        }
        Ok(Self {
            id: bounds::text("generate.id", wire.id, bounds::NAME_BYTES)?,
            model: bounds::text("generate.model", wire.model, bounds::NAME_BYTES)?,
            prompts: bounds::list("generate.prompts", wire.prompts, bounds::PROMPTS, |prompt| {
                Ok(prompt.into())
            })?,
            n: wire.n,
            max_tokens: wire.max_tokens,
            // A stop string is as long as the request's body allows.
            stop: bounds::texts("generate.stop", wire.stop, bounds::STOPS, bounds::TO_WORKER_BYTES)?,
            top_logprobs: wire.top_logprobs,
            echo: wire.echo,
            sampling: wire.sampling.try_into()?,
            keep_alive_s: wire.keep_alive_s,
        })
    }
}

impl From<Prompt> for PromptWire {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Chat(ChatPrompt {
                messages,
                tools,
                variables,
                end,
            }) => Self::Chat {
                messages,
                tools,
                variables,
                end: end.into(),
            },
            Prompt::Text(text) => Self::Text(text),
            Prompt::Ids(ids) => Self::Ids(ids),
        }
    }
}

impl From<PromptWire> for Prompt {
    fn from(wire: PromptWire) -> Self {
        match wire {
            PromptWire::Chat {
                messages,
                tools,
                variables,
                end,
            } => Self::Chat(ChatPrompt {
                messages,
                tools,
                variables,
                end: end.into(),
            }),
            PromptWire::Text(text) => Self::Text(text),
            PromptWire::Ids(ids) => Self::Ids(ids),
        }
    }
}
