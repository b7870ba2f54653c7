//! Any bytes as the body of a request: refused with a reason that fits an error body, or a request within the bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mains_wire::frames::{ToWorker, encode};
use mains_wire::http::{ChatRequest, CompletionRequest, MAX_CHOICES, RequestError};

fn told(error: &RequestError) {
    assert!(!error.message.is_empty() && !error.code.is_empty());
}

fuzz_target!(|body: &[u8]| {
    match ChatRequest::parse(body, "chatcmpl-1".to_owned()) {
        Ok(request) => {
            assert!(request.generate.choices() <= MAX_CHOICES);
            // What was accepted reaches the worker.
            encode(ToWorker::Generate(1, request.generate)).expect("a body within its bounds is a frame within its bounds");
        }
        Err(error) => told(&error),
    }
    match CompletionRequest::parse(body, "cmpl-1".to_owned()) {
        Ok(request) => assert!(request.generate.choices() <= MAX_CHOICES),
        Err(error) => told(&error),
    }
});
