//! Going on with the last message: the conversation ends where that message's text does, as with `continue_final_message` in
//! transformers (`utils/chat_template_utils.py`).

use serde_json::Value as Json;

use crate::{TextError, marks};

/// What stands behind the last message's text while the template runs. The space tells whether the template trims.
const TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// Puts the tag behind the last text of the last message and gives that text.
///
/// # Errors
/// [`TextError::BadInput`] when the message has no text.
pub(super) fn tag(messages: &mut Json) -> Result<String, TextError> {
    let none = || TextError::BadInput {
        what: "the message to go on with",
        expected: "the last one, and have text",
    };
    let last = messages
        .as_array_mut()
        .and_then(|all| all.last_mut())
        .ok_or_else(none)?;
    let content = last.get_mut("content").ok_or_else(none)?;
    let text = match content {
        Json::Array(parts) => {
            let part = parts.iter_mut().rev().find(|part| part.get("text").is_some());
            part.and_then(|part| part.get_mut("text")).ok_or_else(none)?
        }
        content => content,
    };
    let Json::String(text) = text else {
        return Err(none());
    };
    let own = text.clone();
    text.push_str(TAG);
    Ok(own)
}

/// Ends a conversation at the tag. Where the template trims the message, so is its end here.
///
/// # Errors
/// [`TextError::BadInput`] when the template does not write the message as it is.
pub(super) fn cut(mut rendered: String, message: &str) -> Result<String, TextError> {
    let written = marks::unmark(&rendered).contains(message.trim());
    let at = rendered.rfind(TAG.trim_end()).filter(|_| written);
    let at = at.ok_or(TextError::BadInput {
        what: "the message to go on with",
        expected: "one that the chat template writes in full",
    })?;
    let trims = !rendered[at..].starts_with(TAG);
    rendered.truncate(at);
    if trims {
        rendered.truncate(rendered.trim_end().len());
    }
    Ok(rendered)
}
