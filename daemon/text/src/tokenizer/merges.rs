//! Merges from scores, for files of SentencePiece's BPE, which store no merges.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::build::bad;
use super::gguf::GgufTokenKind;
use crate::TextError;

/// Characters of a token beyond which it is not taken apart: no vocabulary merges longer ones, and the work grows with the
/// square.
const MAX_MERGED_CHARS: usize = 512;

/// A merge that makes a token.
struct Merge<'a> {
    left: &'a str,
    right: &'a str,
    score: f32,
    /// Characters of the left part.
    chars: usize,
}

/// Every way to make a token of two others, the highest score first: SentencePiece merges the pair whose result scores
/// highest. Of the ways to make one token the longest left part comes first, as in `transformers`
/// (`convert_slow_tokenizer.py`, `generate_merges`).
///
/// # Errors
/// [`TextError::BadTokenizer`] when a score is not a number.
pub(super) fn from_scores(tokens: &[(String, u32, f32)]) -> Result<Vec<(String, String)>, TextError> {
    let ids: HashMap<&str, u32> = tokens.iter().map(|(text, id, _)| (text.as_str(), *id)).collect();
    let mut merges = Vec::new();
    for (text, id, score) in tokens {
        if score.is_nan() {
            return Err(bad(format!("the score of token {id} is not a number")));
        }
        let mut ways: Vec<(u32, u32, Merge<'_>)> = Vec::new();
        let cuts = text.char_indices().enumerate().skip(1).take(MAX_MERGED_CHARS);
        for (chars, (at, _)) in cuts {
            let (left, right) = text.split_at(at);
            if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                let score = *score;
                ways.push((
                    *left_id,
                    *right_id,
                    Merge {
                        left,
                        right,
                        score,
                        chars,
                    },
                ));
            }
        }
        ways.sort_by_key(|(left, right, _)| (*left, *right));
        merges.extend(ways.into_iter().map(|(_, _, merge)| merge));
    }
    let right_chars = |merge: &Merge<'_>| merge.right.chars().count();
    merges.sort_by(|one, other| {
        let by_score = other.score.total_cmp(&one.score);
        by_score
            .then_with(|| Reverse(one.chars).cmp(&Reverse(other.chars)))
            .then_with(|| right_chars(other).cmp(&right_chars(one)))
    });
    let owned = |merge: Merge<'_>| (merge.left.to_owned(), merge.right.to_owned());
    Ok(merges.into_iter().map(owned).collect())
}

/// Scores that say a list of merges.
#[derive(Debug, PartialEq)]
pub(super) struct Scored {
    /// By token id.
    pub(super) scores: Vec<f32>,
    /// Whether [`from_scores`] gives the merges in their own order, also those that make one token.
    pub(super) same_order: bool,
}

/// Scores from which [`from_scores`] makes these merges, or none when no scores do: where a token that could be merged has no
/// merge, or the merges that make one token do not come together.
pub(super) fn scores_of(
    tokens: &[String],
    kinds: &[GgufTokenKind],
    merges: &[(String, String)],
) -> Option<Scored> {
    let merged = |kind: &GgufTokenKind| matches!(kind, GgufTokenKind::Normal | GgufTokenKind::UserDefined);
    let mut ranks: HashMap<String, f32> = HashMap::new();
    let mut rank = 0.0;
    for (left, right) in merges {
        let whole = format!("{left}{right}");
        ranks.entry(whole).or_insert_with(|| {
            // Exact up to 2^24 tokens, more than any vocabulary has.
            rank -= 1.0;
            rank
        });
    }
    let scored: Vec<_> = tokens
        .iter()
        .zip(kinds)
        .zip(0_u32..)
        .filter(|((_, kind), _)| merged(kind))
        .map(|((text, _), id)| (text.clone(), id, ranks.get(text).copied().unwrap_or(0.0)))
        .collect();
    let again = from_scores(&scored).ok()?;
    let results = |merges: &[(String, String)]| -> Vec<String> {
        merges
            .iter()
            .map(|(left, right)| format!("{left}{right}"))
            .collect()
    };
    let set = |merges: &[(String, String)]| -> HashSet<(String, String)> { merges.iter().cloned().collect() };
    let same = results(&again) == results(merges) && set(&again) == set(merges);
    let mut scores = vec![0.0; tokens.len()];
    scored
        .iter()
        .for_each(|(_, id, score)| scores[*id as usize] = *score);
    same.then(|| Scored {
        scores,
        same_order: again == merges,
    })
}

#[cfg(test)]
mod tests {
    use super::{GgufTokenKind, from_scores, scores_of};

    #[test]
    fn scores_say_merges_or_there_are_none() {
        let tokens = ["a", "b", "ab", "aa", "aab", "x"].map(str::to_owned);
        let kinds = [GgufTokenKind::Normal; 6];
        let merge = |text: &str| {
            let (left, right) = text.split_once(' ').unwrap();
            (left.to_owned(), right.to_owned())
        };
        let scored = |merges: &[&str]| {
            scores_of(
                &tokens,
                &kinds,
                &merges.iter().map(|text| merge(text)).collect::<Vec<_>>(),
            )
        };
        let all = scored(&["a b", "a a", "aa b", "a ab"]).unwrap();
        assert!(all.same_order);
        assert_eq!(all.scores, [0.0, 0.0, -1.0, -2.0, -3.0, 0.0]);
        assert!(!scored(&["a b", "a a", "a ab", "aa b"]).unwrap().same_order);
        assert_eq!(scored(&["a b", "a a", "a ab"]), None);
        assert_eq!(scored(&["a b", "aa b", "a a", "a ab"]), None);
    }

    fn merges(tokens: &[(&str, f32)]) -> Vec<String> {
        let tokens: Vec<_> = (0..)
            .zip(tokens)
            .map(|(id, (text, score))| ((*text).to_owned(), id, *score))
            .collect();
        let merges = from_scores(&tokens).unwrap();
        merges
            .iter()
            .map(|(left, right)| format!("{left} {right}"))
            .collect()
    }

    #[test]
    fn the_highest_score_is_merged_first() {
        let tokens = [
            ("a", 0.0),
            ("b", 0.0),
            ("c", 0.0),
            ("bc", -2.0),
            ("ab", -1.0),
            ("abc", -3.0),
            ("xy", 0.0),
        ];
        assert_eq!(merges(&tokens), ["a b", "b c", "ab c", "a bc"]);
    }

    #[test]
    fn of_one_token_the_longest_left_part_comes_first() {
        let tokens = [("▁", 0.0), ("▁▁", -1.0), ("▁▁▁", -2.0)];
        assert_eq!(merges(&tokens), ["▁ ▁", "▁▁ ▁", "▁ ▁▁"]);
    }

    #[test]
    fn a_score_is_a_number() {
        assert!(from_scores(&[("a".to_owned(), 0, f32::NAN)]).is_err());
    }
}
