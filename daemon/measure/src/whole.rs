//! Whole choices of types, measured on texts that nothing was chosen by.
//!
//! A few positions carry most of a divergence: the means of two samples of 4,000 positions differ by a third. A prediction is
//! therefore made on as many texts as there are and time is for, a batch after the other, as their logits do not fit in memory.

use crate::{Divergence, Formats, MeasureError};

/// What each of `choices` costs on `batches` batches of texts, by `evaluate(batch, choice)`, while `go_on` says so.
///
/// All that are told are told on the same texts: once the first batch is done, a batch counts for all or for none. Choices that the
/// first batch had no time for are left out, the last first.
///
/// # Errors
/// What `evaluate` gives.
pub fn measure_whole(
    choices: &[&Formats],
    batches: usize,
    go_on: &mut dyn FnMut() -> bool,
    evaluate: &mut dyn FnMut(usize, &Formats) -> Result<Divergence, MeasureError>,
) -> Result<Vec<Divergence>, MeasureError> {
    let mut found: Vec<Divergence> = Vec::new();
    for batch in 0..batches {
        let wanted = if batch == 0 { choices.len() } else { found.len() };
        let mut here = Vec::with_capacity(wanted);
        for choice in &choices[..wanted] {
            if !go_on() {
                break;
            }
            here.push(evaluate(batch, choice)?);
        }
        let is_whole = here.len() == wanted;
        if batch == 0 {
            found = here;
        } else if is_whole {
            found
                .iter_mut()
                .zip(here)
                .for_each(|(found, here)| found.append(here));
        }
        if !is_whole {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::measure_whole;
    use crate::{Divergence, Formats};

    proptest! {
        /// However much time there is: choices in order, each on the same batches, and never more work than allowed.
        #[test]
        fn all_choices_are_told_on_the_same_texts(choices in 0..5_usize, batches in 0..5_usize, steps in 0..30_usize) {
            let formats = vec![Formats::new(); choices];
            let formats: Vec<&Formats> = formats.iter().collect();
            let (mut left, mut done) = (steps, 0_usize);
            let mut go_on = || {
                let is_left = left > 0;
                left = left.saturating_sub(1);
                is_left
            };
            let mut evaluate = |batch: usize, _: &Formats| {
                done += 1;
                let mut found = Divergence::default();
                found.push((f64::from(u32::try_from(batch).unwrap()), true));
                Ok(found)
            };
            let told = measure_whole(&formats, batches, &mut go_on, &mut evaluate).unwrap();
            prop_assert!(told.len() <= choices && done <= steps.min(choices * batches));
            prop_assert!(told.windows(2).all(|pair| pair[0] == pair[1]));
            let whole = told.first().map_or(0, |first| first.each.len());
            prop_assert!(told.len() * whole <= done);
            if steps >= choices * batches && batches > 0 {
                prop_assert!(told.len() == choices && (choices == 0 || whole == batches));
            }
        }
    }
}
