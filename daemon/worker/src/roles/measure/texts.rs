//! What to measure on: token ids of a file, a text, an exam, or the calibration text.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use mains_engine::models::Model;
use mains_measure::{CALIBRATION, Texts};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::vocabulary::Vocabulary;

/// Tokens of a piece that a text is cut into.
pub(crate) const PIECE_TOKENS: usize = 256;

/// Where texts come from; the calibration text when nothing is given.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Source {
    /// A safetensors file with `ids`, int64 (row, n), and perhaps `mask`, uint8 (row, n): where the next token counts.
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
    /// A text in UTF-8.
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Questions as JSON: a list of `{"prompt": [ids], "answer": [ids]}`.
    #[arg(long, value_name = "FILE")]
    pub(crate) exam: Option<PathBuf>,
}

/// One question of an exam.
#[derive(Debug, Deserialize)]
struct Question {
    prompt: Vec<u32>,
    answer: Vec<u32>,
}

impl Source {
    /// Reads at most `rows` texts for `model`.
    pub(crate) fn read(&self, model: &Model, rows: usize) -> Result<Texts> {
        let (ids, masks) = if let Some(path) = &self.ids {
            at(path, |file| of_ids(&file))?
        } else if let Some(path) = &self.exam {
            at(path, |file| of_exam(&file))?
        } else if let Some(path) = &self.text {
            at(path, |file| pieces(model, &String::from_utf8(file)?))?
        } else {
            pieces(model, CALIBRATION)?
        };
        let texts = Texts::new(ids, masks, model.info.vocabulary, model.info.context)?;
        Ok(texts.first(rows)?)
    }
}

type Rows = (Vec<Vec<u32>>, Vec<Vec<bool>>);

fn at(path: &Path, read: impl FnOnce(Vec<u8>) -> Result<Rows>) -> Result<Rows> {
    let file = std::fs::read(path).with_context(|| path.display().to_string())?;
    read(file).with_context(|| path.display().to_string())
}

fn of_ids(file: &[u8]) -> Result<Rows> {
    let tensors = SafeTensors::deserialize(file).context("no safetensors file")?;
    let ids = tensors.tensor("ids").context("there is no tensor called ids")?;
    let [rows, n] = *ids.shape() else {
        bail!("ids have the shape {:?}, not (row, n)", ids.shape())
    };
    ensure!(
        ids.dtype() == Dtype::I64 && rows > 0 && n > 0,
        "ids are {:?} {rows} x {n}, not int64",
        ids.dtype()
    );
    let numbers = ids
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|raw| u32::try_from(i64::from_le_bytes(*raw)));
    let numbers: Vec<u32> = numbers
        .collect::<Result<_, _>>()
        .context("an id is no token id")?;
    let mask = match tensors.tensor("mask") {
        Ok(mask) => {
            ensure!(
                mask.dtype() == Dtype::U8 && mask.shape() == ids.shape(),
                "mask is not uint8 {rows} x {n}"
            );
            mask.data().iter().map(|mark| *mark > 0).collect()
        }
        Err(_) => vec![true; numbers.len()],
    };
    Ok((
        numbers.chunks(n).map(<[u32]>::to_vec).collect(),
        mask.chunks(n).map(<[bool]>::to_vec).collect(),
    ))
}

/// Each question with its answer; the positions before the answer's tokens count.
fn of_exam(file: &[u8]) -> Result<Rows> {
    let questions: Vec<Question> = serde_json::from_slice(file)?;
    let row = |question: Question| {
        ensure!(
            !question.prompt.is_empty() && !question.answer.is_empty(),
            "a question without prompt or answer"
        );
        let (prompt, answer) = (question.prompt.len(), question.answer.len());
        let mut ids = question.prompt;
        ids.extend(question.answer);
        let mask = (0..ids.len())
            .map(|at| at + 1 >= prompt && at + 1 < prompt + answer)
            .collect();
        Ok((ids, mask))
    };
    questions.into_iter().map(row).collect()
}

/// Bytes of the unquantized model's logits that are kept at a time: 512 MiB are 900 positions of a vocabulary of 150,000, which
/// take a model of 8 billion weights on two cores about two minutes.
const LOGITS_BYTES: usize = 512 << 20;

/// Positions whose logits have room in [`LOGITS_BYTES`], at least one piece's.
pub(crate) fn most_positions(model: &Model) -> usize {
    let logits = model.info.vocabulary as usize * size_of::<f32>();
    (LOGITS_BYTES / logits.max(1)).max(PIECE_TOKENS)
}

/// A fourth of the calibration text tells what was chosen by the rest: a few positions carry most of a divergence, so that it
/// takes many.
const HELD_BACK_SHARE: usize = 4;

/// Pieces of the calibration text to measure and choose by, and those that are held back; both from all of its parts.
pub(crate) fn calibration(model: &Model) -> Result<(Texts, Texts)> {
    let (ids, masks) = pieces(model, CALIBRATION)?;
    let all = Texts::new(ids, masks, model.info.vocabulary, model.info.context)?;
    Ok(all.split(usize::MAX, all.rows().len() / HELD_BACK_SHARE)?)
}

/// A text's pieces, in an order in which those that follow each other are from all over the text.
fn pieces(model: &Model, text: &str) -> Result<Rows> {
    let ids = Vocabulary::of(model)?.tokenizer.encode_text(text)?;
    let pieces: Vec<&[u32]> = ids.chunks(PIECE_TOKENS).collect();
    let order = spread(pieces.len()).into_iter();
    Ok(order
        .map(|index| (pieces[index].to_vec(), vec![true; pieces[index].len()]))
        .unzip())
}

/// The numbers below `count`, so that any run of them is spread evenly: ordered by the fractions of multiples of the golden ratio
/// (additive recurrence; Kuipers and Niederreiter, Uniform Distribution of Sequences, 1974).
fn spread(count: usize) -> Vec<usize> {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|index| GOLDEN.wrapping_mul(*index as u64));
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{of_exam, spread};

    proptest! {
        /// A run of a fourth of all pieces has a share of each half and each quarter of the text.
        #[test]
        fn runs_of_pieces_are_from_all_over(count in 64..2000_usize, from in 0..1000_usize) {
            let order = spread(count);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            let length = count / 4;
            let from = from % (count - length);
            for quarter in 0..4 {
                let inside = order[from..from + length].iter().filter(|index| **index * 4 / count == quarter);
                let share = inside.count();
                prop_assert!(share * 8 >= length && share * 8 <= 3 * length, "{} of {}", share, length);
            }
        }
    }

    #[test]
    fn the_positions_before_an_answers_tokens_count() {
        let (ids, masks) = of_exam(br#"[{"prompt": [5, 6], "answer": [7, 2]}]"#).unwrap();
        assert_eq!(ids, [[5, 6, 7, 2]]);
        assert_eq!(masks, [[false, true, true, false]]);
        assert!(of_exam(br#"[{"prompt": [], "answer": [7]}]"#).is_err());
    }
}
