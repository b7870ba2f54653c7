//! The text side of one answer: ids in, final text out, up to a stop string. Pure.

use std::sync::Arc;

use mains_text::{ControlTokens, Detokenizer, StopMatcher, TextError, Tokenizer};
use mains_types::FinishReason;

/// One answer as far as it was shown.
pub(super) struct ChoiceText {
    detokenizer: Detokenizer,
    stops: StopMatcher,
}

/// What a token adds to the text that may be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Text that is final.
    pub(super) text: String,
    /// Whether a stop string is complete: nothing follows.
    pub(super) stopped: bool,
}

impl ChoiceText {
    /// An answer that ends before the first of `stops`.
    pub(super) fn new(tokenizer: Arc<Tokenizer>, stops: Vec<String>) -> Result<Self, TextError> {
        Ok(Self {
            detokenizer: Detokenizer::new(tokenizer, ControlTokens::Hidden),
            stops: StopMatcher::new(stops)?,
        })
    }

    /// The next token. One that ends the answer shows nothing.
    pub(super) fn push(&mut self, token: u32, eos: bool) -> Shown {
        let piece = if eos {
            String::new()
        } else {
            self.detokenizer.push(token)
        };
        let step = self.stops.push(&piece);
        Shown {
            text: step.text,
            stopped: step.stopped,
        }
    }

    /// The end that the engine gave for `reason`: text that was held back, and the reason that holds. The last bytes may yet
    /// complete a stop string.
    pub(super) fn finish(&mut self, reason: FinishReason) -> (String, FinishReason) {
        let step = self.stops.push(&self.detokenizer.finish());
        if step.stopped {
            return (step.text, FinishReason::Stop);
        }
        (step.text + &self.stops.finish(), reason)
    }
}
