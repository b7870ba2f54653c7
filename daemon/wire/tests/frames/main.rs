//! Frames keep their layout, come back as they went, and refuse what is beyond a bound.

#![expect(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

mod arbitrary;
mod bounds;
mod golden;
mod samples;
mod streams;

use mains_wire::frames::{Frame, FromWorker, ToWorker, decode, encode};
use proptest::prelude::*;

proptest! {
    #[test]
    fn frames_to_workers_come_back(frame in arbitrary::to_worker()) {
        let bytes = encode(frame.clone()).unwrap();
        prop_assert_eq!(decode::<ToWorker>(&bytes).unwrap(), frame);
    }

    #[test]
    fn frames_from_workers_come_back(frame in arbitrary::from_worker()) {
        let bytes = encode(frame.clone()).unwrap();
        prop_assert_eq!(decode::<FromWorker>(&bytes).unwrap(), frame);
    }

    #[test]
    fn arbitrary_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        survives::<ToWorker>(&bytes);
        survives::<FromWorker>(&bytes);
    }

    #[test]
    fn damaged_frames_are_a_frame_or_an_error(
        frame in arbitrary::from_worker(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(frame).unwrap().to_vec();
        let at = place.index(bytes.len());
        bytes[at] = byte;
        survives::<FromWorker>(&bytes);
        survives::<FromWorker>(&bytes[..at]);
    }
}

/// Decoding ends without a panic, and what it gives is a value that travels again.
fn survives<F: Frame>(bytes: &[u8]) {
    if let Ok(frame) = decode::<F>(bytes) {
        encode(frame).unwrap();
    }
}
