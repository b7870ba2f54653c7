//! The pilot's greedy answers to its exam: 200 questions, against those of the `transformers` library in float32
//! (`tests/fixtures/exam`).

use mains_conformance::exam::{Question, exam, pilot};
use mains_conformance::families::{engine, greedy, open};
use mains_contract::{BlockFormat, Driver, StepLimits};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_driver_reference::ReferenceDriver;
use mains_engine::models::{Cast, Model};

/// Room for 8 questions at once, prompts in chunks.
const LIMITS: StepLimits = StepLimits {
    rows: 48,
    output_rows: 8,
    context: 256,
    blocks: 8 * 16,
    block_tokens: 16,
    slots: 0,
};

/// Answers of `model` on `driver`, all questions together.
fn answers(model: &Model, driver: &dyn Driver, exam: &[Question]) -> Vec<Vec<u32>> {
    let prompts: Vec<(Vec<u32>, usize)> = exam
        .iter()
        .map(|question| (question.prompt.clone(), question.answer.len().max(64)))
        .collect();
    greedy(&mut engine(model, driver, LIMITS), &prompts, &model.info.eos)
}

fn same(answers: &[Vec<u32>], exam: &[Question]) -> usize {
    let pairs = answers.iter().zip(exam);
    pairs
        .filter(|(answer, question)| **answer == question.answer)
        .count()
}

#[test]
fn in_float32_every_answer_is_token_for_token_the_published_one() {
    let exam = exam();
    assert_eq!(exam.len(), 200);
    // The naive driver has one thread: parts of the exam are sat side by side.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let part = exam.len().div_ceil(threads);
    std::thread::scope(|scope| {
        for questions in exam.chunks(part) {
            scope.spawn(move || {
                let model = open(&pilot(), BlockFormat::F32, Cast::Matrices(BlockFormat::F32));
                let found = answers(&model, &ReferenceDriver::new(), questions);
                for (answer, question) in found.iter().zip(questions) {
                    assert_eq!(*answer, question.answer, "to {:?}", question.prompt);
                }
            });
        }
    });
}

/// At least 98 % of the answers on the CPU driver are the published ones, with matrices in `format`.
fn cpu_answers_with(format: BlockFormat) {
    let exam = exam();
    let driver = CpuDriver::new(CpuOptions::default()).expect("the machine's own choice is always there");
    let model = open(&pilot(), BlockFormat::F16, Cast::Matrices(format));
    let same = same(&answers(&model, &driver, &exam), &exam);
    println!("{format} on cpu: {same} of {} answers are the same", exam.len());
    assert!(same * 100 >= exam.len() * 98, "{same} of {}", exam.len());
}

#[test]
fn on_the_cpu_in_bf16_nearly_every_answer_is_the_published_one() {
    cpu_answers_with(BlockFormat::BF16);
}

#[test]
fn on_the_cpu_in_q8_0_nearly_every_answer_is_the_published_one() {
    cpu_answers_with(BlockFormat::Q8_0);
}
