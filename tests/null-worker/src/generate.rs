//! Answers to a request: fixed tokens, one a step.

use mains_types::{
    Choice, FinishReason, Generate, GenerationError, GenerationErrorKind, Prompt, Started, TokenChunk,
    TokenLogprob,
};
use mains_wire::frames::FromWorker;
use tokio::sync::{mpsc, watch};

use crate::behaviour::{Behaviour, die, hang};

/// Text of every token.
const TEXT: &str = "null ";
/// Bytes of a prompt that count as a token.
const BYTES_PER_TOKEN: usize = 4;
/// Log-probability of every token.
const LOGPROB: f32 = -0.5;

/// Says all that the request gets. Ends early when the connection is gone.
pub(crate) async fn run(
    behaviour: Behaviour,
    number: u64,
    request: Generate,
    mut paused: watch::Receiver<bool>,
    frames: mpsc::Sender<FromWorker>,
) {
    let prompt_tokens = request.prompts.iter().map(tokens_of).fold(0, u32::saturating_add);
    let first = if prompt_tokens < behaviour.context {
        FromWorker::Started {
            number,
            started: Started {
                prompt_tokens,
                cached_tokens: 0,
                variant: "00".repeat(32),
            },
        }
    } else {
        let message = format!(
            "this model's maximum context length is {} tokens, the prompt has {prompt_tokens}",
            behaviour.context
        );
        failed(number, GenerationErrorKind::ContextLength, message)
    };
    let refused = matches!(first, FromWorker::Failed { .. });
    if frames.send(first).await.is_err() || refused {
        return;
    }
    let length = request.max_tokens.unwrap_or(behaviour.tokens);
    for step in 0..length {
        if paused.wait_for(|paused| !paused).await.is_err() {
            return;
        }
        if let Some(error) = act(&behaviour, number, step) {
            let _gone = frames.send(error).await;
            return;
        }
        for choice in 0..request.choices() {
            let chunk = token(&request, Choice(choice), step);
            if frames.send(FromWorker::Tokens { number, chunk }).await.is_err() {
                return;
            }
        }
        if behaviour.delay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(behaviour.delay).await;
        }
    }
    for choice in (0..request.choices()).map(Choice) {
        let reason = FinishReason::Length;
        let finished = FromWorker::Finished {
            number,
            choice,
            reason,
        };
        if frames.send(finished).await.is_err() {
            return;
        }
    }
    let _gone = frames.send(FromWorker::Done { number }).await;
}

/// Misbehaves before token `step`, if it is time to.
fn act(behaviour: &Behaviour, number: u64, step: u32) -> Option<FromWorker> {
    if behaviour.die_after == Some(step) {
        die();
    }
    if behaviour.hang_after == Some(step) {
        hang();
    }
    (behaviour.fail_after == Some(step)).then(|| {
        let message = format!("the null worker was told to fail after {step} tokens");
        failed(number, GenerationErrorKind::Internal, message)
    })
}

fn failed(number: u64, kind: GenerationErrorKind, message: String) -> FromWorker {
    FromWorker::Failed {
        number,
        error: GenerationError {
            kind,
            message,
            param: None,
        },
    }
}

fn token(request: &Generate, choice: Choice, step: u32) -> TokenChunk {
    let bytes = TEXT.as_bytes().to_vec();
    let logprobs = request.top_logprobs.map(|top| TokenLogprob {
        id: step,
        bytes: bytes.clone(),
        logprob: LOGPROB,
        top: vec![(step, bytes, LOGPROB); top as usize],
    });
    TokenChunk {
        choice,
        ids: vec![step],
        text: TEXT.to_owned(),
        logprobs: logprobs.into_iter().collect(),
    }
}

fn tokens_of(prompt: &Prompt) -> u32 {
    let tokens = match prompt {
        Prompt::Chat(chat) => chat.messages.len() / BYTES_PER_TOKEN,
        Prompt::Text(text) => text.len() / BYTES_PER_TOKEN,
        Prompt::Ids(ids) => ids.len(),
    };
    u32::try_from(tokens).unwrap_or(u32::MAX).max(1)
}
