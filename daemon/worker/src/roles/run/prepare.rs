//! From a request to token ids and parameters that the engine takes, or to the reason why not.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use jiff::ZonedDateTime;
use mains_engine::models::ModelInfo;
use mains_engine::sampling::{SamplingError, SamplingParameters};
use mains_text::{ChatInput, ControlTokens, Detokenizer, TextError, Tokenizer};
use mains_types::{
    ChatEnd, ChatPrompt, Generate, GenerationError, GenerationErrorKind, Prompt, SamplingDefaults,
};

use crate::vocabulary::Vocabulary;

/// Answers of one request at the most, over all prompts: sixteen full batches.
const MAX_CHOICES: u32 = 2048;

/// What came of preparing a request.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) number: u64,
    pub(super) outcome: Result<Request, GenerationError>,
}

/// A request that the engine can take.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) prompts: Vec<PreparedPrompt>,
    pub(super) n: u32,
    pub(super) max_tokens: Option<u32>,
    pub(super) stop: Vec<String>,
    pub(super) top_logprobs: Option<u32>,
    pub(super) sampling: SamplingParameters,
    pub(super) eos: Arc<[u32]>,
    /// The request's parameter that has the prompt.
    pub(super) prompt_param: &'static str,
}

/// One prompt as token ids.
#[derive(Debug)]
pub(super) struct PreparedPrompt {
    pub(super) ids: Vec<u32>,
    /// Its text, when it is to be given back.
    pub(super) echo: Option<String>,
}

/// Prepares requests for one loaded model. Holds no request.
pub(super) struct Preparer {
    vocabulary: Vocabulary,
    vocabulary_len: u32,
    context: usize,
    defaults: SamplingDefaults,
    eos: Arc<[u32]>,
    seeds: RandomState,
}

impl Preparer {
    /// For the model of `vocabulary` and `info`, loaded with `context` positions a sequence.
    pub(super) fn new(vocabulary: Vocabulary, info: &ModelInfo, context: usize) -> Self {
        Self {
            vocabulary,
            vocabulary_len: info.vocabulary,
            context,
            defaults: info.sampling,
            eos: info.eos.clone().into(),
            seeds: RandomState::new(),
        }
    }

    /// The tokenizer, for the way back.
    pub(super) fn tokenizer(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.vocabulary.tokenizer)
    }

    /// Token ids of every prompt and parameters with every default filled in.
    pub(super) fn prepare(&self, request: Generate) -> Result<Request, GenerationError> {
        if request.choices() > MAX_CHOICES {
            let message = format!(
                "{} answers are asked for; at most {MAX_CHOICES} are given",
                request.choices()
            );
            return Err(invalid(message, "n"));
        }
        if request.stop.iter().any(String::is_empty) {
            return Err(invalid(TextError::EmptyStop.to_string(), "stop"));
        }
        if request.echo && request.top_logprobs.is_some() {
            let message =
                "echo with logprobs is not supported: the prompt's own log-probabilities are not kept";
            return Err(invalid(message.to_owned(), "echo"));
        }
        let seed = self.seeds.hash_one(&request.id);
        let sampling = SamplingParameters::resolve(&request.sampling, &self.defaults, seed, 0)
            .map_err(|error| sampling_error(&error))?;
        let chat = request
            .prompts
            .iter()
            .any(|prompt| matches!(prompt, Prompt::Chat(_)));
        let prompt_param = if chat { "messages" } else { "prompt" };
        let mut prompts = Vec::with_capacity(request.prompts.len());
        for prompt in request.prompts {
            let prompt = self.prompt(prompt, request.echo, prompt_param)?;
            self.check_length(prompt.ids.len(), request.max_tokens, prompt_param)?;
            prompts.push(prompt);
        }
        Ok(Request {
            prompts,
            n: request.n,
            max_tokens: request.max_tokens,
            stop: request.stop,
            top_logprobs: request.top_logprobs,
            sampling,
            eos: Arc::clone(&self.eos),
            prompt_param,
        })
    }

    fn prompt(
        &self,
        prompt: Prompt,
        echo: bool,
        param: &'static str,
    ) -> Result<PreparedPrompt, GenerationError> {
        let tokenizer = &self.vocabulary.tokenizer;
        let text_error = |error| self.text_error(&error, param);
        match prompt {
            Prompt::Chat(_) if echo => Err(invalid("a conversation can not be echoed".to_owned(), "echo")),
            Prompt::Chat(chat) => Ok(PreparedPrompt {
                ids: self.chat(&chat)?,
                echo: None,
            }),
            Prompt::Text(text) => Ok(PreparedPrompt {
                ids: tokenizer.encode_text(&text).map_err(text_error)?,
                echo: echo.then_some(text),
            }),
            Prompt::Ids(ids) => {
                if let Some(id) = ids.iter().find(|id| **id >= self.vocabulary_len) {
                    let message = format!(
                        "token id {id} is beyond the vocabulary; ids go from 0 to {}",
                        self.vocabulary_len.saturating_sub(1)
                    );
                    return Err(invalid(message, param));
                }
                let echo = echo.then(|| self.text_of(&ids));
                Ok(PreparedPrompt { ids, echo })
            }
        }
    }

    fn chat(&self, chat: &ChatPrompt) -> Result<Vec<u32>, GenerationError> {
        let template = self.vocabulary.template.as_ref().map_err(|reason| {
            let message = format!("{reason}; ask for a plain completion (/v1/completions) instead");
            invalid(message, "messages")
        })?;
        let now = ZonedDateTime::now();
        let input = ChatInput {
            messages: &chat.messages,
            tools: chat.tools.as_deref(),
            variables: chat.variables.as_deref(),
            add_generation_prompt: chat.end == ChatEnd::NewAnswer,
            continue_final_message: chat.end == ChatEnd::WithinLastMessage,
            now: &now,
        };
        if let Some(variables) = &chat.variables {
            template
                .check_variables(variables)
                .map_err(|error| self.text_error(&error, "chat_template_kwargs"))?;
        }
        let error = |error| self.text_error(&error, "messages");
        let rendered = template.render(&input).map_err(error)?;
        self.vocabulary
            .tokenizer
            .encode_rendered(&rendered)
            .map_err(error)
    }

    /// The text of a prompt of ids, control tokens shown: they are what was sent.
    fn text_of(&self, ids: &[u32]) -> String {
        let mut detokenizer = Detokenizer::new(self.tokenizer(), ControlTokens::Shown);
        let mut text: String = ids.iter().map(|id| detokenizer.push(*id)).collect();
        text.push_str(&detokenizer.finish());
        text
    }

    fn check_length(
        &self,
        prompt: usize,
        max_tokens: Option<u32>,
        param: &'static str,
    ) -> Result<(), GenerationError> {
        let context = self.context;
        let too_long = |rest: String, param| {
            let message = format!("this model's maximum context length is {context} tokens, {rest}");
            Err(error(GenerationErrorKind::ContextLength, message, param))
        };
        if prompt == 0 {
            return Err(invalid("the prompt has no tokens".to_owned(), param));
        }
        if prompt >= context {
            return too_long(format!("the prompt has {prompt}; shorten it"), param);
        }
        let room = context - prompt;
        match max_tokens {
            Some(max) if max as usize > room => {
                let rest =
                    format!("the prompt has {prompt} and max_tokens asks for {max}; ask for at most {room}");
                too_long(rest, "max_tokens")
            }
            _ => Ok(()),
        }
    }

    fn text_error(&self, text: &TextError, param: &'static str) -> GenerationError {
        match text {
            TextError::TooLong { .. } => {
                let message = format!(
                    "{text}; this model's maximum context length is {} tokens in any case",
                    self.context
                );
                error(GenerationErrorKind::ContextLength, message, param)
            }
            TextError::BadTokenizer(_) | TextError::BadTemplate { .. } | TextError::Unsupported { .. } => {
                error(GenerationErrorKind::Internal, text.to_string(), param)
            }
            _ => invalid(text.to_string(), param),
        }
    }
}

pub(super) fn sampling_error(error: &SamplingError) -> GenerationError {
    invalid(error.to_string(), error.param)
}

pub(super) fn invalid(message: String, param: &str) -> GenerationError {
    error(GenerationErrorKind::Invalid, message, param)
}

fn error(kind: GenerationErrorKind, mut message: String, param: &str) -> GenerationError {
    message.truncate(message.floor_char_boundary(mains_wire::frames::bounds::MESSAGE_BYTES));
    GenerationError {
        kind,
        message,
        param: Some(param.to_owned()),
    }
}
