//! What the post-processor of `tokenizer.json` puts around a text. GGUF knows only whether BOS and EOS are added.

use serde_json::Value as Json;

use super::ConvertError;
use super::tokenizer::refuse;
use crate::models::Model;

/// Which special tokens the post-processor puts around a text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Around {
    /// The token that begins a text, before it.
    pub(super) bos: bool,
    /// A token that ends an answer, after it.
    pub(super) eos: bool,
}

impl Around {
    /// Reads the post-processor of `tokenizer.json`.
    pub(super) fn read(post: &Json, tokens: &[String], model: &Model) -> Result<Self, ConvertError> {
        let text_of = |id: Option<u32>| id.and_then(|id| tokens.get(id as usize)).map(String::as_str);
        let eos: Vec<&str> = model
            .info
            .eos
            .iter()
            .filter_map(|id| text_of(Some(*id)))
            .collect();
        Self::of(post, text_of(model.info.bos), &eos)
    }

    fn of(post: &Json, bos: Option<&str>, eos: &[&str]) -> Result<Self, ConvertError> {
        let refused = || {
            refuse(
                "post-processor",
                &post.to_string(),
                "one that adds BOS, EOS or nothing",
            )
        };
        let mut around = Self::default();
        match post["type"].as_str() {
            // It moves offsets only.
            Some("ByteLevel") => {}
            None if post.is_null() => {}
            Some("Sequence") => {
                for part in post["processors"].as_array().ok_or_else(refused)? {
                    let part = Self::of(part, bos, eos)?;
                    around = Self {
                        bos: around.bos || part.bos,
                        eos: around.eos || part.eos,
                    };
                }
            }
            Some("TemplateProcessing") => {
                let mut text_seen = false;
                for item in post["single"].as_array().ok_or_else(refused)? {
                    match item["SpecialToken"]["id"].as_str() {
                        None => text_seen = true,
                        Some(token) if !text_seen && !around.bos && Some(token) == bos => around.bos = true,
                        Some(token) if text_seen && !around.eos && eos.contains(&token) => around.eos = true,
                        Some(_) => return Err(refused()),
                    }
                }
            }
            _ => return Err(refused()),
        }
        Ok(around)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Around;

    #[test]
    fn a_post_processor_adds_bos_eos_or_is_refused() {
        let template = |items: serde_json::Value| json!({"type": "TemplateProcessing", "single": items});
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let token = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
        let around = |post: &serde_json::Value| Around::of(post, Some("<s>"), &["</s>"]);
        assert_eq!(around(&json!(null)).unwrap(), Around::default());
        assert_eq!(around(&template(json!([text]))).unwrap(), Around::default());
        let both = template(json!([token("<s>"), text, token("</s>")]));
        assert_eq!(around(&both).unwrap(), Around { bos: true, eos: true });
        let sequence = json!({"type": "Sequence", "processors": [{"type": "ByteLevel"}, template(json!([token("<s>"), text]))]});
        assert_eq!(
            around(&sequence).unwrap(),
            Around {
                bos: true,
                eos: false
            }
        );
        assert!(around(&template(json!([token("[CLS]"), text]))).is_err());
        assert!(around(&json!({"type": "BertProcessing"})).is_err());
    }
}
