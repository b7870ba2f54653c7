//! From a request's JSON to template variables.

use minijinja::Value;
use serde_json::Value as Json;

use super::{ChatInput, RESERVED, continuation};
use crate::TextError;

/// The JSON of one conversation.
pub(super) struct Parsed {
    messages: Json,
    tools: Option<Json>,
    variables: serde_json::Map<String, Json>,
    /// The text of the last message, when the model is to go on with it.
    unfinished: Option<String>,
}

impl Parsed {
    pub(super) fn new(input: &ChatInput<'_>) -> Result<Self, TextError> {
        let objects = |json: &Json| json.as_array().is_some_and(|all| all.iter().all(Json::is_object));
        let messages = |json: &Json| objects(json) && json != &Json::Array(Vec::new());
        let mut messages = parse(
            "messages",
            "a JSON array of objects, not empty",
            input.messages,
            &messages,
        )?;
        messages
            .as_array_mut()
            .into_iter()
            .flatten()
            .filter_map(Json::as_object_mut)
            .for_each(normalize);
        if input.continue_final_message && input.add_generation_prompt {
            return Err(TextError::BadInput {
                what: "add_generation_prompt",
                expected: "false when the last message is gone on with",
            });
        }
        let unfinished = input
            .continue_final_message
            .then(|| continuation::tag(&mut messages))
            .transpose()?;
        let tools = input
            .tools
            .map(|text| parse("tools", "a JSON array of objects", text, &objects))
            .transpose()?;
        let variables = input.variables.map(variables).transpose()?.unwrap_or_default();
        Ok(Self {
            messages,
            tools,
            variables,
            unfinished,
        })
    }

    /// The text of the last message, when the model is to go on with it.
    pub(super) fn unfinished(&self) -> Option<&str> {
        self.unfinished.as_deref()
    }

    /// The variables, each string through `string`. Absent tools and documents are none, as in transformers.
    pub(super) fn context(&self, string: &mut dyn FnMut(&str) -> String) -> Vec<(String, Value)> {
        let mut context = vec![("documents".to_owned(), Value::from(()))];
        context.extend(
            self.variables
                .iter()
                .map(|(name, json)| (name.clone(), value(json, string))),
        );
        context.push(("messages".to_owned(), value(&self.messages, string)));
        let tools = self
            .tools
            .as_ref()
            .map_or_else(|| Value::from(()), |tools| value(tools, string));
        context.push(("tools".to_owned(), tools));
        context
    }
}

fn parse(
    what: &'static str,
    expected: &'static str,
    text: &str,
    valid: &dyn Fn(&Json) -> bool,
) -> Result<Json, TextError> {
    let json: Option<Json> = serde_json::from_str(text).ok();
    json.filter(|json| valid(json))
        .ok_or(TextError::BadInput { what, expected })
}

/// The variables of a JSON object, none of them the server's own.
pub(super) fn variables(text: &str) -> Result<serde_json::Map<String, Json>, TextError> {
    let Json::Object(variables) = parse("the template variables", "a JSON object", text, &Json::is_object)?
    else {
        return Ok(serde_json::Map::new());
    };
    match variables.keys().find(|name| RESERVED.contains(&name.as_str())) {
        Some(name) => Err(TextError::ReservedVariable(name.clone())),
        None => Ok(variables),
    }
}

/// What transformers does to a message before its template sees it (`apply_chat_template`, `_alias_reasoning_fields`): fields that
/// are null are as good as absent, and reasoning is found under the names that templates read.
fn normalize(message: &mut serde_json::Map<String, Json>) {
    message.retain(|_, field| !field.is_null());
    let reasoning = ["reasoning_content", "thinking", "reasoning"]
        .iter()
        .find_map(|name| message.get(*name))
        .cloned();
    if let Some(reasoning) = reasoning {
        let given = std::mem::take(message);
        message.insert("thinking".to_owned(), reasoning.clone());
        message.extend(given);
        message.insert("reasoning_content".to_owned(), reasoning);
    }
}

/// Recursion is bounded by the parser, at 128 levels.
fn value(json: &Json, string: &mut dyn FnMut(&str) -> String) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => {
            let integer = number
                .as_i64()
                .map(Value::from)
                .or_else(|| number.as_u64().map(Value::from));
            integer.unwrap_or_else(|| Value::from(number.as_f64().unwrap_or(f64::NAN)))
        }
        Json::String(text) => Value::from(string(text)),
        Json::Array(items) => items.iter().map(|item| value(item, string)).collect(),
        Json::Object(fields) => {
            let mut pairs = Vec::with_capacity(fields.len());
            for (key, field) in fields {
                pairs.push((Value::from(string(key)), value(field, string)));
            }
            Value::from_pairs(pairs)
        }
    }
}
