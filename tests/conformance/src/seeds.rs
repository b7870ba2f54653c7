//! Random cases that can be asked for again: each is made from a seed, and a failing one names its own.

use std::env;
use std::ops::Range;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Seeds to use instead of a test's own, as `first..end`: one to see a failure again, thousands to look for new ones.
const SEEDS: &str = "MAINS_SEEDS";

/// Runs `check` on a case of `strategy` for each seed below `cases`, or for those of the environment variable
/// `MAINS_SEEDS` (`first..end`).
///
/// # Panics
/// When a check does: with `what`, the seed, and the smallest case found that fails. When the variable is no range.
pub fn for_seeds<S: Strategy>(what: &str, cases: u64, strategy: &S, mut check: impl FnMut(S::Value)) {
    for seed in seeds(cases) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config {
            cases: 1,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let check = std::cell::RefCell::new(&mut check);
        let outcome = TestRunner::new_with_rng(config, rng).run(strategy, |case| {
            (check.borrow_mut())(case);
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{what}, seed {seed} ({SEEDS}={seed}..{}): {failure}", seed + 1);
        }
    }
}

fn seeds(cases: u64) -> Range<u64> {
    let Ok(asked) = env::var(SEEDS) else {
        return 0..cases;
    };
    let range = asked.split_once("..");
    let range = range.and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range.unwrap_or_else(|| panic!("{SEEDS}={asked} is no range of seeds such as 7..8"))
}
