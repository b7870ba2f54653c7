//! Measurements of the embedded pilot.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::PathBuf;

use mains_contract::{BlockFormat, Driver};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_driver_reference::ReferenceDriver;
use mains_engine::importance::Importance;
use mains_engine::models::{Model, ModelOptions};
use mains_measure::{Divergence, Evaluate, Evaluator, Formats, Texts, groups, importance, scores};

fn pilot() -> Model {
    pilot_with(BlockFormat::F32)
}

fn pilot_with(kv_format: BlockFormat) -> Model {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../store/pilot/pilot.gguf");
    let options = ModelOptions {
        kv_format,
        ..ModelOptions::default()
    };
    Model::open(&path, &options).unwrap()
}

/// Two texts of 48 tokens; of the second every other position counts.
fn texts(model: &Model) -> Texts {
    let row = |step: u32| (0..48).map(|at| 8 + at * step % 1500).collect::<Vec<u32>>();
    let masks = vec![vec![true; 48], (0..48).map(|at| at % 2 == 0).collect()];
    Texts::new(
        vec![row(37), row(91)],
        masks,
        model.info.vocabulary,
        model.info.context,
    )
    .unwrap()
}

fn cpu() -> CpuDriver {
    CpuDriver::new(CpuOptions {
        threads: std::num::NonZero::new(2),
        isa: None,
    })
    .unwrap()
}

fn all_in(model: &Model, format: BlockFormat) -> Formats {
    groups(model)
        .into_iter()
        .flat_map(|group| group.tensors)
        .map(|name| (name, format))
        .collect()
}

#[test]
fn every_matrix_gets_an_importance_and_drivers_agree_on_it() {
    let model = pilot();
    let texts = texts(&model);
    let mut told = Vec::new();
    let on = |driver: &dyn Driver, told: &mut Vec<usize>| {
        importance(driver, &model, &texts, |done| told.push(done)).unwrap()
    };
    let (reference, cpu) = (on(&ReferenceDriver::new(), &mut told), on(&cpu(), &mut told));
    assert_eq!(told, [1, 2, 1, 2]);
    assert_eq!(groups(&model).len(), 43);
    for group in groups(&model) {
        let (one, other) = (reference.of(&group.name).unwrap(), cpu.of(&group.name).unwrap());
        assert_eq!(one.len(), group.shapes[0].1, "{}", group.name);
        let largest = one.iter().copied().fold(0.0, f32::max);
        assert!(largest > 0.0);
        for (one, other) in one.iter().zip(other) {
            assert!(
                (one - other).abs() <= 1e-3 * largest,
                "{}: {one} and {other}",
                group.name
            );
        }
    }
}

#[test]
fn fewer_bits_damage_more_and_importance_less() {
    let model = pilot();
    let texts = texts(&model);
    let driver = cpu();
    let weighted = importance(&driver, &model, &texts, |_| ()).unwrap();
    let damage = |importance: &Importance, format| {
        let mut evaluator = Evaluator::new(&driver, &model, importance, &texts).unwrap();
        let found = evaluator.divergence(&all_in(&model, format)).unwrap();
        assert_eq!(found.each.len(), 48 + 24);
        found.mean()
    };
    let plain = Importance::default();
    let damages = [
        BlockFormat::BF16,
        BlockFormat::Q8_0,
        BlockFormat::Q4_K,
        BlockFormat::Q2_K,
    ]
    .map(|format| damage(&plain, format));
    assert!(damages.is_sorted(), "{damages:?}");
    assert!(damages[0] == 0.0 && damages[1] > 0.0);
    assert!(damage(&weighted, BlockFormat::Q2_K) < damages[3]);
}

#[test]
fn texts_measured_in_batches_are_told_as_those_measured_at_once() {
    let model = pilot();
    let (texts, driver, plain) = (texts(&model), cpu(), Importance::default());
    let formats = all_in(&model, BlockFormat::Q4_K);
    let mut evaluator = Evaluator::new(&driver, &model, &plain, &texts).unwrap();
    let at_once = evaluator.divergence(&formats).unwrap();
    let batches = texts.batches(1);
    assert_eq!(batches.len(), 2);
    let mut each = Divergence::default();
    for batch in &batches {
        evaluator.onto(batch).unwrap();
        each.append(evaluator.divergence(&formats).unwrap());
    }
    assert_eq!(each, at_once);
}

#[test]
fn smaller_caches_damage_more() {
    let model = pilot();
    let (texts, driver, plain) = (texts(&model), cpu(), Importance::default());
    let evaluator = Evaluator::new(&driver, &model, &plain, &texts).unwrap();
    let damages = [
        BlockFormat::F32,
        BlockFormat::F16,
        BlockFormat::Q8_0,
        BlockFormat::Q4_0,
    ]
    .map(|format| evaluator.divergence_of(&pilot_with(format)).unwrap().mean());
    assert!(
        damages[0] == 0.0 && damages.is_sorted() && damages[3] < 0.1,
        "{damages:?}"
    );
}

#[test]
fn moments_need_many_positions_and_lessen_the_damage() {
    let model = pilot();
    let few = texts(&model);
    let driver = cpu();
    assert_eq!(
        importance(&driver, &model, &few, |_| ())
            .unwrap()
            .moments()
            .1
            .count(),
        0
    );
    // The widest matrix has 768 columns; runs of 256 have 12 positions each.
    let row = |step: u32| (0..256).map(|at| 8 + at * at * step % 1500).collect::<Vec<u32>>();
    let rows: Vec<_> = (0..12).map(|step| row(2 * step + 1)).collect();
    let many = Texts::new(
        rows,
        vec![vec![true; 256]; 12],
        model.info.vocabulary,
        model.info.context,
    )
    .unwrap();
    let found = importance(&driver, &model, &many, |_| ()).unwrap();
    assert_eq!(found.moments().0, 256);
    assert_eq!(found.moments().1.count(), 43);
    let columns = found
        .iter()
        .map(|(name, rows, columns)| (name.to_owned(), (rows, columns.to_vec())));
    let columns = Importance::new(columns.collect());
    let damage = |importance: &Importance| {
        let mut evaluator = Evaluator::new(&driver, &model, importance, &many).unwrap();
        evaluator
            .divergence(&all_in(&model, BlockFormat::Q4_K))
            .unwrap()
            .mean()
    };
    assert!(damage(&found) < 0.7 * damage(&columns));
}

#[test]
fn scores_fall_with_bytes() {
    let model = pilot();
    let texts = texts(&model);
    let weighted = importance(&cpu(), &model, &texts, |_| ()).unwrap();
    for group in groups(&model).iter().take(5) {
        let scores = scores(&model, &weighted, group).unwrap();
        assert_eq!(scores.len(), group.candidates.len());
        assert!(scores[0] > 4.0 * scores[group.candidates.len() - 2], "{scores:?}");
        assert_eq!(scores.last(), Some(&0.0));
    }
}

#[test]
fn texts_are_parted_without_overlap() {
    let rows: Vec<Vec<u32>> = (0..5).map(|id| vec![id; 2]).collect();
    let texts = Texts::new(rows.clone(), vec![vec![true; 2]; 5], 10, 4).unwrap();
    let parted = |chosen, held_back| {
        let (chosen, last) = texts.split(chosen, held_back).unwrap();
        (chosen.rows().to_vec(), last.rows().to_vec())
    };
    assert_eq!(parted(2, 1), (rows[..2].to_vec(), rows[4..].to_vec()));
    assert_eq!(parted(9, 9), (rows[..3].to_vec(), rows[3..].to_vec()));
    assert_eq!(parted(9, 0), (rows.clone(), rows.clone()));
    let one = texts.first(1).unwrap();
    assert_eq!(one.split(1, 1).unwrap(), (one.clone(), one));
}

#[test]
fn batches_have_room_for_what_counts_in_them() {
    let rows: Vec<Vec<u32>> = (0..6).map(|id| vec![id; 4]).collect();
    let mask = |count: usize| (0..4).map(|at| at < count).collect::<Vec<_>>();
    let masks = vec![mask(2), mask(0), mask(3), mask(1), mask(4), mask(1)];
    let texts = Texts::new(rows, masks, 10, 4).unwrap();
    let counts = |positions| {
        let batches = texts.batches(positions);
        batches.iter().map(Texts::positions).collect::<Vec<_>>()
    };
    assert_eq!(counts(5), [5, 5, 1]);
    assert_eq!(counts(3), [2, 3, 1, 4, 1]);
    assert_eq!(counts(100), [11]);
    assert_eq!(
        texts.batches(100)[0].rows().len(),
        5,
        "a text in which nothing counts is in none"
    );
}

#[test]
fn texts_that_can_not_be_measured_on_are_refused() {
    let refused =
        |rows: Vec<Vec<u32>>, masks: Vec<Vec<bool>>| Texts::new(rows, masks, 10, 4).unwrap_err().to_string();
    assert!(refused(vec![], vec![]).contains("nothing to measure on"));
    assert!(refused(vec![vec![1, 2]], vec![vec![true]]).contains("2 tokens with 1 marks"));
    assert!(refused(vec![vec![1; 5]], vec![vec![true; 5]]).contains("the context is 4"));
    assert!(refused(vec![vec![10]], vec![vec![true]]).contains("beyond the vocabulary"));
    assert!(refused(vec![vec![1]], vec![vec![false]]).contains("no position"));
}
