//! Families on caches of every format: steps change no bit, and what the smaller formats cost the pilot.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use mains_conformance::exam::{exam, pilot};
use mains_conformance::families::{all, engine, fixtures, greedy, load, log_softmax, open};
use mains_conformance::ops::{available, cpu, reference};
use mains_contract::{BlockFormat, Driver, StepLimits};
use mains_engine::models::{Cast, Model};
use mains_engine::{logits_limits, logits_of};

const QUANTIZED: [BlockFormat; 2] = [BlockFormat::Q8_0, BlockFormat::Q4_0];

fn logits(model: &Model, driver: &dyn Driver, ids: &[u32], rows: usize) -> Vec<f32> {
    let limits = StepLimits {
        rows,
        output_rows: rows,
        ..logits_limits(ids.len())
    };
    let mut loaded = load(model, driver, &limits);
    logits_of(&mut *loaded, &limits, model.info.vocabulary as usize, ids).unwrap()
}

fn supports(model: &Model, driver: &dyn Driver) -> bool {
    let formats = model.formats();
    let mut nodes = model.graph.nodes().iter();
    nodes.all(|node| driver.supports(&model.graph, node, &formats).is_ok())
}

#[test]
fn chunks_change_no_bit_of_any_family_whose_heads_are_whole_blocks() {
    let ids: Vec<u32> = (7..47).collect();
    let mut done = 0;
    for family in all("logits") {
        for format in QUANTIZED {
            let model = open(&fixtures().join("families").join(&family), format, Cast::AsStored);
            for driver in [reference(), cpu(available()[0], 2)] {
                if supports(&model, &*driver) {
                    let bits = |rows| {
                        let logits = logits(&model, &*driver, &ids, rows);
                        logits.iter().map(|logit| logit.to_bits()).collect::<Vec<u32>>()
                    };
                    assert!(
                        bits(ids.len()) == bits(7),
                        "{family} in {format} on {}",
                        driver.capabilities().driver
                    );
                    done += 1;
                }
            }
        }
    }
    assert!(done >= 16, "{done} of all families");
}

/// The mean of KL(exact || `format`) over the assistant's tokens, in nats, and the share of equal best tokens.
fn damage(format: BlockFormat) -> (f64, f64) {
    let driver = cpu(available()[0], 2);
    let [exact, rounded] = [BlockFormat::F32, format].map(|kv| open(&pilot(), kv, Cast::AsStored));
    let vocabulary = exact.info.vocabulary as usize;
    let limits = logits_limits(
        exam()
            .iter()
            .map(|row| row.prompt.len() + row.answer.len())
            .max()
            .unwrap(),
    );
    let [mut exact, mut rounded] = [&exact, &rounded].map(|model| load(model, &*driver, &limits));
    let (mut sum, mut equal, mut count) = (0.0, 0.0, 0.0);
    for question in exam() {
        let ids = [question.prompt.as_slice(), &question.answer].concat();
        let [exact, rounded] = [&mut exact, &mut rounded]
            .map(|loaded| logits_of(&mut **loaded, &limits, vocabulary, &ids).unwrap());
        let rows = exact
            .chunks_exact(vocabulary)
            .zip(rounded.chunks_exact(vocabulary));
        for (exact, rounded) in rows.skip(question.prompt.len() - 1).take(question.answer.len()) {
            let (exact, rounded) = (log_softmax(exact), log_softmax(rounded));
            sum += exact
                .iter()
                .zip(&rounded)
                .map(|(p, q)| p.exp() * (p - q))
                .sum::<f64>();
            let best = |logits: &[f64]| (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            equal += f64::from(u8::from(best(&exact) == best(&rounded)));
            count += 1.0;
        }
    }
    (sum / count, equal / count)
}

/// Of the 200 answers of the exam, how many are the published ones.
fn exact_answers(format: BlockFormat) -> usize {
    let exam = exam();
    let model = open(&pilot(), format, Cast::AsStored);
    let limits = StepLimits {
        rows: 48,
        output_rows: 8,
        context: 256,
        blocks: 8 * 16,
        block_tokens: 16,
        slots: 0,
    };
    let prompts: Vec<_> = exam
        .iter()
        .map(|question| (question.prompt.clone(), question.answer.len().max(64)))
        .collect();
    let mut engine = engine(&model, &*cpu(available()[0], 2), limits);
    let answers = greedy(&mut engine, &prompts, &model.info.eos);
    answers
        .iter()
        .zip(&exam)
        .filter(|(answer, question)| **answer == question.answer)
        .count()
}

#[test]
fn what_a_smaller_cache_costs_the_pilot() {
    for (format, kl_bound, answers_bound) in [
        (BlockFormat::F16, 1e-7, 198),
        (BlockFormat::Q8_0, 1e-5, 196),
        (BlockFormat::Q4_0, 1e-3, 190),
    ] {
        let ((kl, equal), answers) = (damage(format), exact_answers(format));
        println!(
            "{format}: KL {kl:.1e} nats, {:.2} % equal best tokens, {answers} of 200 answers",
            100.0 * equal
        );
        assert!(
            kl < kl_bound && answers >= answers_bound,
            "{format}: {kl} nats, {answers} answers"
        );
    }
}
