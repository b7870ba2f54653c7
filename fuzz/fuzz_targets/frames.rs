//! Frames of both directions from arbitrary bytes. What is accepted travels again and comes back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mains_wire::frames::{Frame, FromWorker, ToWorker, decode, encode};

fn survives<F: Frame + Clone + PartialEq>(bytes: &[u8]) {
    let Ok(frame) = decode::<F>(bytes) else {
        return;
    };
    let again = encode(frame.clone()).expect("what fitted once fits again");
    assert!(decode::<F>(&again).is_ok_and(|again| again == frame));
}

fuzz_target!(|bytes: &[u8]| {
    survives::<FromWorker>(bytes);
    survives::<ToWorker>(bytes);
});
