//! The chat template, wherever the folder has it.

use serde_json::Value;

use crate::Reason;

/// The template inside `tokenizer_config.json`: a text, or a list of named ones of which `default` is taken.
pub(super) fn in_tokenizer_config(config: &Value) -> Result<Option<String>, Reason> {
    let wrong = || {
        Reason::key(
            "chat_template",
            "is neither a text nor a list with one named \"default\"",
        )
    };
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(template)) => Ok(Some(template.clone())),
        Some(Value::Array(named)) => {
            let default = named
                .iter()
                .find(|entry| entry.get("name").is_some_and(|name| name == "default"));
            let template = default
                .and_then(|entry| entry.get("template"))
                .and_then(Value::as_str);
            template
                .map(|template| Some(template.to_owned()))
                .ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::in_tokenizer_config;

    #[test]
    fn takes_the_text_or_the_default_of_a_list() {
        let list = json!({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]});
        assert_eq!(in_tokenizer_config(&list).unwrap().as_deref(), Some("d"));
        assert_eq!(
            in_tokenizer_config(&json!({"chat_template": "x"}))
                .unwrap()
                .as_deref(),
            Some("x")
        );
        assert_eq!(
            in_tokenizer_config(&json!({"chat_template": null})).unwrap(),
            None
        );
        assert!(in_tokenizer_config(&json!({"chat_template": [{"name": "rag", "template": "r"}]})).is_err());
        assert!(in_tokenizer_config(&json!({"chat_template": 3})).is_err());
    }
}
