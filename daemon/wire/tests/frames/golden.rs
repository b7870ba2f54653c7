//! The layout of frames does not change by accident.

use std::fmt::Write;

use mains_wire::frames::{Frame, PROTOCOL_VERSION, encode};

use crate::samples;

/// One line a frame: name and bytes. After a wanted change, bump `PROTOCOL_VERSION` and write this file anew with
/// `MAINS_BLESS=1 cargo test -p mains-wire --test frames golden`.
const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn golden_frames_are_encoded_as_ever() {
    let mut lines = format!("protocol {PROTOCOL_VERSION}\n");
    for (name, frame) in samples::to_worker() {
        line(&mut lines, name, frame);
    }
    for (name, frame) in samples::from_worker() {
        line(&mut lines, name, frame);
    }
    if std::env::var_os("MAINS_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frames/golden.txt");
        std::fs::write(path, &lines).unwrap();
    } else {
        assert_eq!(
            lines, GOLDEN,
            "the layout of frames changed: bump PROTOCOL_VERSION"
        );
    }
}

fn line<F: Frame>(lines: &mut String, name: &str, frame: F) {
    write!(lines, "{name} ").unwrap();
    for byte in encode(frame).unwrap() {
        write!(lines, "{byte:02x}").unwrap();
    }
    lines.push('\n');
}
