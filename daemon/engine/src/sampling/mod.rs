//! Choosing the next token, on the host. Pure: logits, history and a counter go in, a token comes out, so that a
//! request gets the same tokens alone, in a batch and after preemption.

mod candidates;
mod logprobs;
mod parameters;
mod philox;
mod sampler;

pub use logprobs::TokenLogprobs;
pub use parameters::{SamplingError, SamplingParameters};
pub use sampler::{Chosen, History, SampleError, Sampler};
