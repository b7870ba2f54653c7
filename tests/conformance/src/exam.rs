//! The pilot and its exam: 200 questions with the answers of the `transformers` library in float32
//! (`tests/fixtures/exam`).

use std::path::PathBuf;

use crate::families::fixtures;

/// A question with the answer of the reference implementation, EOS included.
#[derive(Debug)]
pub struct Question {
    /// Token ids up to where the assistant speaks.
    pub prompt: Vec<u32>,
    /// What it says.
    pub answer: Vec<u32>,
}

/// All questions.
///
/// # Panics
/// When the fixture is not there or something else.
#[must_use]
pub fn exam() -> Vec<Question> {
    let path = fixtures().join("exam/exam.json");
    let text = std::fs::read_to_string(path).expect("the exam is among the fixtures");
    let rows: serde_json::Value = serde_json::from_str(&text).expect("the exam is JSON");
    let ids = |row: &serde_json::Value, name: &str| -> Vec<u32> {
        serde_json::from_value(row[name].clone()).expect("ids are numbers")
    };
    let rows = rows.as_array().expect("the exam is a list");
    rows.iter()
        .map(|row| Question {
            prompt: ids(row, "prompt"),
            answer: ids(row, "answer"),
        })
        .collect()
}

/// Where the pilot is.
#[must_use]
pub fn pilot() -> PathBuf {
    fixtures().join("../../daemon/store/pilot/pilot.gguf")
}
