//! Messages of a chat, checked and brought into the one form that templates read.
//!
//! Out of here each message is `{"role", "content": string, ..}`. `developer` becomes `system`, which is what models were
//! trained on. Text parts are joined by a line break, as the peers that serve open models do. Everything else is refused.

use serde_json::{Map, Value};

use super::RequestError;
use super::fields::{Fields, Refused, empty, never, wrong_type};

/// Fields of an assistant's message that clients send back as they got them.
const ECHOED: [Refused; 4] = [
    Refused {
        name: "refusal",
        asks_nothing: empty,
        why: "models served here do not refuse in a field of their own",
    },
    Refused {
        name: "annotations",
        asks_nothing: empty,
        why: "there is no web search",
    },
    Refused {
        name: "audio",
        asks_nothing: never,
        why: "there is no audio",
    },
    Refused {
        name: "function_call",
        asks_nothing: never,
        why: "it is the deprecated form of \"tool_calls\"",
    },
];

/// Checks `messages` and gives them back as a JSON array for the template.
pub(super) fn messages(fields: &mut Fields) -> Result<String, RequestError> {
    let items = match fields.take("messages") {
        None => return Err(RequestError::missing("messages")),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type("messages", "an array", &other)),
    };
    if items.is_empty() {
        return Err(RequestError::invalid(
            "messages",
            "there must be at least one message",
        ));
    }
    let messages: Vec<Value> = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| message(Fields::of(item, format!("messages[{index}]"))?))
        .collect::<Result<_, _>>()?;
    Ok(Value::Array(messages).to_string())
}

fn message(mut fields: Fields) -> Result<Value, RequestError> {
    let given = fields.required_string("role")?;
    let role = match given.as_str() {
        "developer" => "system",
        "system" | "user" | "assistant" | "tool" => &*given,
        other => {
            return Err(RequestError::invalid(
                fields.path_of("role"),
                format_args!("\"{other}\" is none of system, developer, user, assistant, tool"),
            ));
        }
    };
    let mut out = Map::new();
    out.insert("role".to_owned(), Value::from(role));
    let mut calls = None;
    if role == "assistant" {
        fields.refuse(&ECHOED)?;
        calls = tool_calls(&mut fields)?;
    }
    let content = match fields.take("content") {
        None if calls.is_some() => String::new(),
        None => return Err(RequestError::missing(fields.path_of("content"))),
        Some(value) => content(&fields.path_of("content"), value)?,
    };
    out.insert("content".to_owned(), Value::from(content));
    if let Some(name) = fields.string("name")? {
        out.insert("name".to_owned(), Value::from(name));
    }
    if let Some(calls) = calls {
        out.insert("tool_calls".to_owned(), calls);
    }
    if role == "assistant"
        && let Some(reasoning) = fields.string("reasoning_content")?
    {
        out.insert("reasoning_content".to_owned(), Value::from(reasoning));
    }
    if role == "tool" {
        let id = fields.required_string("tool_call_id")?;
        out.insert("tool_call_id".to_owned(), Value::from(id));
    }
    fields.finish()?;
    Ok(Value::Object(out))
}

fn content(path: &str, value: Value) -> Result<String, RequestError> {
    let parts = match value {
        Value::String(text) => return Ok(text),
        Value::Array(parts) => parts,
        other => return Err(wrong_type(path, "a string or an array of text parts", &other)),
    };
    if parts.is_empty() {
        return Err(RequestError::invalid(path, "there must be at least one part"));
    }
    let texts: Vec<String> = parts
        .into_iter()
        .enumerate()
        .map(|(index, part)| text_part(Fields::of(part, format!("{path}[{index}]"))?))
        .collect::<Result<_, _>>()?;
    Ok(texts.join("\n"))
}

fn text_part(mut part: Fields) -> Result<String, RequestError> {
    let kind = part.required_string("type")?;
    if kind != "text" {
        return Err(RequestError::unsupported(
            part.path_of("type"),
            &format!("a part of type \"{kind}\" is not text, and models served here read text alone"),
        ));
    }
    let text = part.required_string("text")?;
    part.finish()?;
    Ok(text)
}

fn tool_calls(fields: &mut Fields) -> Result<Option<Value>, RequestError> {
    let path = fields.path_of("tool_calls");
    let calls = match fields.take("tool_calls") {
        None => return Ok(None),
        Some(Value::Array(calls)) => calls,
        Some(other) => return Err(wrong_type(&path, "an array", &other)),
    };
    if calls.is_empty() {
        return Ok(None);
    }
    let calls: Vec<Value> = calls
        .into_iter()
        .enumerate()
        .map(|(index, call)| tool_call(Fields::of(call, format!("{path}[{index}]"))?))
        .collect::<Result<_, _>>()?;
    Ok(Some(Value::Array(calls)))
}

fn tool_call(mut call: Fields) -> Result<Value, RequestError> {
    let id = call.required_string("id")?;
    let kind = call.required_string("type")?;
    if kind != "function" {
        return Err(RequestError::unsupported(
            call.path_of("type"),
            "the only type of a tool call is \"function\"",
        ));
    }
    let path = call.path_of("function");
    let function = call
        .take("function")
        .ok_or_else(|| RequestError::missing(path.clone()))?;
    let mut function = Fields::of(function, path)?;
    let name = function.required_string("name")?;
    let arguments = function.required_string("arguments")?;
    function.finish()?;
    call.finish()?;
    Ok(serde_json::json!({
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }))
}
