//! How the next token is chosen. An absent field takes the model's own default, then the neutral value.

/// Sampling parameters of a request, as far as it gave them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// Divides the logits; 0 is greedy. At most 2.
    pub temperature: Option<f32>,
    /// Only this many most likely tokens; 0 is all.
    pub top_k: Option<u32>,
    /// Only the smallest set of most likely tokens whose probability reaches this.
    pub top_p: Option<f32>,
    /// Only tokens at least this likely relative to the most likely one.
    pub min_p: Option<f32>,
    /// Subtracted from a token's logit for each time that it was generated.
    pub frequency_penalty: Option<f32>,
    /// Subtracted from a token's logit once when it was generated.
    pub presence_penalty: Option<f32>,
    /// Divides positive and multiplies negative logits of tokens that occurred in prompt or output; 1 is neutral.
    pub repetition_penalty: Option<f32>,
    /// Added to logits before anything else.
    pub logit_bias: Vec<LogitBias>,
    /// Key of the random numbers; a fresh one when absent.
    pub seed: Option<u64>,
}

/// A number added to one token's logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitBias {
    /// The token.
    pub token: u32,
    /// -100 to 100.
    pub bias: f32,
}
