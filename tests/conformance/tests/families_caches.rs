//! Every family on caches of every format: chunks and threads change no bit of the logits.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use mains_conformance::families::{all, fixtures, load, open};
use mains_conformance::ops::{available, cpu, reference};
use mains_contract::{BlockFormat, Driver, StepLimits};
use mains_engine::models::{Cast, Model};
use mains_engine::{logits_limits, logits_of};

/// Families whose fixtures have heads of whole blocks in a quantized cache.
const WHOLE_BLOCKS: usize = 12;

/// The bits of the logits of all positions, with at most `rows` tokens a step.
fn bits(model: &Model, driver: &dyn Driver, ids: &[u32], rows: usize) -> Vec<u32> {
    let limits = StepLimits {
        rows,
        output_rows: rows,
        ..logits_limits(ids.len())
    };
    let mut loaded = load(model, driver, &limits);
    let logits = logits_of(&mut *loaded, &limits, model.info.vocabulary as usize, ids).unwrap();
    logits.into_iter().map(f32::to_bits).collect()
}

fn supports(model: &Model, driver: &dyn Driver) -> bool {
    let formats = model.formats();
    let mut nodes = model.graph.nodes().iter();
    nodes.all(|node| driver.supports(&model.graph, node, &formats).is_ok())
}

/// How many families of those with logits `driver` computes with keys and values in `format`; fails when chunks of 7 tokens, or
/// `other` threads, give other bits than the whole at once.
fn checked(format: BlockFormat, driver: &dyn Driver, other: &dyn Driver) -> usize {
    let ids: Vec<u32> = (7..47).collect();
    let mut count = 0;
    for family in all("logits") {
        let model = open(&fixtures().join("families").join(&family), format, Cast::AsStored);
        if !supports(&model, driver) {
            continue;
        }
        let whole = bits(&model, driver, &ids, ids.len());
        assert!(
            whole == bits(&model, driver, &ids, 7),
            "{family} in {format}: chunks"
        );
        assert!(
            whole == bits(&model, other, &ids, 11),
            "{family} in {format}: threads"
        );
        count += 1;
    }
    count
}

#[test]
fn chunks_and_threads_change_no_bit_in_any_format_of_the_cache() {
    let families = all("logits").len();
    for format in [BlockFormat::F16, BlockFormat::BF16] {
        assert_eq!(checked(format, &*reference(), &*reference()), families);
        assert_eq!(
            checked(format, &*cpu(available()[0], 2), &*cpu(available()[0], 1)),
            families
        );
    }
    for format in [BlockFormat::Q8_0, BlockFormat::Q4_0] {
        // The others' heads are no whole blocks of 32.
        let of_reference = checked(format, &*reference(), &*reference());
        let of_cpu = checked(format, &*cpu(available()[0], 2), &*cpu(available()[0], 1));
        assert_eq!([of_reference, of_cpu], [WHOLE_BLOCKS; 2], "{format}");
    }
}
