//! What the `post_processor` of a `tokenizer.json` puts before and after a single text.
//!
//! Read here and not by the crate `tokenizers`, which panics on a template that names a token it does not list.

use serde_json::Value;

use super::build::bad;
use crate::TextError;

/// Processors in a `Sequence` in another: more than any file has.
const MAX_DEPTH: usize = 4;

/// Ids before and after the text.
pub(super) fn around_text(post_processor: &Value) -> Result<(Vec<u32>, Vec<u32>), TextError> {
    let mut around = (Vec::new(), Vec::new());
    wrap(post_processor, &mut around, MAX_DEPTH)?;
    Ok(around)
}

fn wrap(processor: &Value, around: &mut (Vec<u32>, Vec<u32>), depth: usize) -> Result<(), TextError> {
    let (before, after) = match processor["type"].as_str() {
        None if processor.is_null() => return Ok(()),
        Some("ByteLevel") => return Ok(()),
        Some("Sequence") if depth > 0 => {
            let inner = processor["processors"].as_array().ok_or_else(malformed)?;
            return inner.iter().try_for_each(|inner| wrap(inner, around, depth - 1));
        }
        Some("TemplateProcessing") => template(processor)?,
        Some("BertProcessing" | "RobertaProcessing") => {
            (vec![id(&processor["cls"][1])?], vec![id(&processor["sep"][1])?])
        }
        other => {
            return Err(TextError::Unsupported {
                what: "the post-processor",
                name: other.unwrap_or("without a type").to_owned(),
                known: "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing, Sequence"
                    .to_owned(),
            });
        }
    };
    around.0.splice(0..0, before);
    around.1.extend(after);
    Ok(())
}

fn template(processor: &Value) -> Result<(Vec<u32>, Vec<u32>), TextError> {
    let pieces = processor["single"].as_array().ok_or_else(malformed)?;
    let is_text = |piece: &Value| piece.get("Sequence").is_some();
    let at = pieces.iter().position(is_text).ok_or_else(malformed)?;
    let ids = |pieces: &[Value]| {
        let mut all = Vec::new();
        for piece in pieces {
            let name = piece["SpecialToken"]["id"].as_str().ok_or_else(malformed)?;
            let listed = processor["special_tokens"][name]["ids"].as_array();
            let listed = listed.ok_or_else(|| {
                bad(format!(
                    "its post_processor names `{name}` but gives no ids for it"
                ))
            })?;
            for number in listed {
                all.push(id(number)?);
            }
        }
        Ok::<_, TextError>(all)
    };
    Ok((ids(&pieces[..at])?, ids(&pieces[at + 1..])?))
}

fn id(number: &Value) -> Result<u32, TextError> {
    number
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(malformed)
}

fn malformed() -> TextError {
    bad("its post_processor does not have the form that its type asks for")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn processors_wrap_the_text_from_the_inside_out() {
        let inner = json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
            "special_tokens": {"<s>": {"ids": [1, 2]}, "</s>": {"ids": [3]}},
        });
        let outer = json!({"type": "RobertaProcessing", "cls": ["<c>", 7], "sep": ["</c>", 8]});
        let both = json!({"type": "Sequence", "processors": [{"type": "ByteLevel"}, inner, outer]});
        assert_eq!(around_text(&both).unwrap(), (vec![7, 1, 2], vec![3, 8]));
        assert_eq!(around_text(&Value::Null).unwrap(), (vec![], vec![]));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let unlisted = json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
            "special_tokens": {},
        });
        let textless = json!({"type": "TemplateProcessing", "single": []});
        let twice = json!({"type": "TemplateProcessing", "single": [{"Sequence": {}}, {"Sequence": {}}]});
        for processor in [
            unlisted,
            textless,
            twice,
            json!({"type": "Other"}),
            json!({}),
            json!({"type": "Sequence"}),
        ] {
            assert!(around_text(&processor).is_err(), "{processor}");
        }
    }
}
