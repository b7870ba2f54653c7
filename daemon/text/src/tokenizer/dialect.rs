//! Expressions of tokenizer files are Oniguruma's, which the Python package is built with; ours is `fancy-regex`. Both have the same
//! classes but for the letters of words: Oniguruma's table has six fractions and exponents of Latin-1 and no joiners
//! (`CR_Word` of its `unicode.c`; compared over all assigned code points with `tokenizers` 0.23).

use std::borrow::Cow;

use serde_json::Value;

/// The letters of words, and all others.
const WORD: &str = r"[[\w²³¹¼½¾]&&[^\x{200C}\x{200D}]]";
const NO_WORD: &str = r"[^[\w²³¹¼½¾]&&[^\x{200C}\x{200D}]]";

/// The expression with `\w`, `\W`, `\b` and `\B` as Oniguruma has them.
fn translated(expression: &str) -> Cow<'_, str> {
    if !["\\w", "\\W", "\\b", "\\B"]
        .iter()
        .any(|escape| expression.contains(escape))
    {
        return Cow::Borrowed(expression);
    }
    let mut text = String::with_capacity(expression.len() + 4 * WORD.len());
    let mut classes = 0_usize;
    let mut letters = expression.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match (letters.next(), classes) {
                (Some('w'), _) => text.push_str(WORD),
                (Some('W'), _) => text.push_str(NO_WORD),
                (Some('b'), 0) => text.push_str(&format!("(?:(?<={WORD})(?!{WORD})|(?<!{WORD})(?={WORD}))")),
                (Some('B'), 0) => text.push_str(&format!("(?:(?<={WORD})(?={WORD})|(?<!{WORD})(?!{WORD}))")),
                (other, _) => {
                    text.push('\\');
                    text.extend(other);
                }
            },
            '[' => {
                classes += 1;
                text.push('[');
            }
            ']' => {
                classes = classes.saturating_sub(1);
                text.push(']');
            }
            other => text.push(other),
        }
    }
    Cow::Owned(text)
}

/// One expression of a pre-tokenizer.
pub(super) fn expression(text: &str) -> String {
    translated(text).into_owned()
}

/// Every expression in a part of `tokenizer.json`.
pub(super) fn expressions(mut part: Value) -> Value {
    translate(&mut part);
    part
}

fn translate(part: &mut Value) {
    match part {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "Regex" => *text = expression(text),
                    value => translate(value),
                }
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(translate),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
    use tokenizers::{
        OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
    };

    use super::{expression, expressions};

    fn pieces(pattern: &str, text: &str) -> Vec<String> {
        let pattern = SplitPattern::Regex(expression(pattern));
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).unwrap();
        let mut cut = PreTokenizedString::from(text);
        split.pre_tokenize(&mut cut).unwrap();
        let pieces = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
        pieces.into_iter().map(|(piece, ..)| piece.to_owned()).collect()
    }

    /// What the Python package 0.23 gives.
    #[test]
    fn words_are_those_of_the_python_package() {
        for (text, ends) in [
            ("6½", false),
            ("6²", false),
            ("6⅓", true),
            ("6①", true),
            ("6\u{200D}", true),
            ("6Ⓐ", false),
            ("6_", false),
            ("6\u{301}", false),
        ] {
            assert_eq!(pieces(r"\d(?=\b)", text).len() == 2, ends, "{text}");
            assert_eq!(pieces(r"\d(?=\B)", text).len() == 2, !ends, "{text}");
            assert_eq!(pieces(r"\d(?=\W)", text).len() == 2, ends, "{text}");
            assert_eq!(pieces(r"\d(?=[\w#])", text).len() == 2, !ends, "{text}");
        }
        assert_eq!(pieces(r"\d{1,3}(?=(?:\d{3})*\b)", "2026½"), ["2026½"]);
        assert_eq!(pieces(r"\d{1,3}(?=(?:\d{3})*\b)", "2026 x"), ["2", "026", " x"]);
    }

    #[test]
    fn escapes_and_other_fields_stay() {
        assert_eq!(expression(r"\\w[\\b\]]\p{L}"), r"\\w[\\b\]]\p{L}");
        let step = json!({"type": "Sequence", "pretokenizers": [{"pattern": {"Regex": "\\w"}, "content": "\\w"}, {"pattern": {"String": "\\w"}}]});
        let done = expressions(step);
        assert_ne!(done["pretokenizers"][0]["pattern"]["Regex"], "\\w");
        assert_eq!(done["pretokenizers"][0]["content"], "\\w");
        assert_eq!(done["pretokenizers"][1]["pattern"]["String"], "\\w");
    }
}
