//! What quantizing costs a model, as it was measured.

use mains_contract::BlockFormat;

use crate::Digest;

/// The damage of types to one model, by groups of tensors: KL divergence from the unquantized model, nats a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// [`crate::ModelFacts::digest`] of the model that was measured.
    pub model: Digest,
    /// Every group whose type can be chosen. A tensor is in one group at most; those in none keep their types.
    pub groups: Vec<GroupSensitivity>,
    /// Damage of types of cached keys and values; a type that was not measured is not chosen.
    pub kv: Vec<(BlockFormat, f64)>,
    /// Whole plans that were measured, as (damages added up, damage found), both growing: damages do not simply add up.
    pub whole: Vec<(f64, f64)>,
}

/// The damage of types to one group of tensors, the others left as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSensitivity {
    /// What tables call it.
    pub name: String,
    /// Names of its tensors in GGUF.
    pub tensors: Vec<String>,
    /// Types and what each costs, at least 0.
    pub damages: Vec<(BlockFormat, f64)>,
}

impl Sensitivity {
    /// The damage to expect where damages add up to `sum`: between the whole plans that were measured, and in proportion to
    /// the last one beyond them.
    #[must_use]
    pub fn predict(&self, sum: f64) -> f64 {
        let mut before = (0.0, 0.0);
        for &(added, found) in &self.whole {
            if sum <= added && added > before.0 {
                let share = (sum - before.0) / (added - before.0);
                return before.1 + share * (found - before.1);
            }
            before = (added, found);
        }
        if before.0 > 0.0 {
            sum * before.1 / before.0
        } else {
            sum
        }
    }

    /// The largest sum of damages whose damage to expect is at most `damage`.
    #[must_use]
    pub fn sum_within(&self, damage: f64) -> f64 {
        let mut before = (0.0, 0.0);
        for &(added, found) in &self.whole {
            if damage < found && found > before.1 {
                let share = (damage - before.1) / (found - before.1);
                return before.0 + share * (added - before.0);
            }
            before = (added, found);
        }
        if before.1 > 0.0 {
            damage * before.0 / before.1
        } else {
            damage
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sensitivity;
    use crate::Digest;

    fn table(whole: &[(f64, f64)]) -> Sensitivity {
        Sensitivity {
            model: Digest([0; 32]),
            groups: Vec::new(),
            kv: Vec::new(),
            whole: whole.to_vec(),
        }
    }

    #[test]
    fn sums_are_corrected_by_what_was_measured() {
        let measured = table(&[(1.0, 2.0), (2.0, 6.0)]);
        for (sum, expected) in [(0.0, 0.0), (0.5, 1.0), (1.0, 2.0), (1.5, 4.0), (4.0, 12.0)] {
            assert!((measured.predict(sum) - expected).abs() < 1e-12, "{sum}");
        }
        assert!((table(&[]).predict(0.25) - 0.25).abs() < 1e-12);
        for damage in [0.0, 0.5, 2.0, 3.0, 6.0, 20.0] {
            let there_and_back = measured.predict(measured.sum_within(damage));
            assert!((there_and_back - damage).abs() < 1e-12, "{damage}");
        }
    }
}
