//! Python's methods, tests and functions that templates count on, beyond those of `minijinja-contrib`.
//!
//! Those that look for text see through the marks (see [`crate::marks`]); those that cut text leave the marks in what remains.

use jiff::ZonedDateTime;
use jiff::fmt::strtime;
use minijinja::value::{ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use crate::marks::{CLOSE, EDGE, OPEN, is_mark, unmark};

/// A method that minijinja itself does not have.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str()
        && let Some(result) = string_method(text, name, args)
    {
        return result;
    }
    pycompat::unknown_method_callback(state, value, name, args)
}

fn string_method(text: &str, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match name {
        "startswith" | "endswith" => affixes(args).map(|affixes| {
            let text = unmark(text);
            let has = |affix: &String| match name {
                "startswith" => text.starts_with(affix.as_str()),
                _ => text.ends_with(affix.as_str()),
            };
            Value::from(affixes.iter().any(has))
        }),
        "title" => from_args(args).map(|()| Value::from(title(text))),
        "strip" => strip(text, args, true, true),
        "lstrip" => strip(text, args, true, false),
        "rstrip" => strip(text, args, false, true),
        "removeprefix" | "removesuffix" => from_args(args).map(|(affix,): (&str,)| {
            let found = match name {
                "removeprefix" => find(text, affix).filter(|(start, _)| text[..*start].chars().all(is_mark)),
                _ => find_last(text, affix).filter(|(_, end)| text[*end..].chars().all(is_mark)),
            };
            found.map_or_else(
                || Value::from(text),
                |(start, end)| piece(&[&text[..start], &text[end..]].concat()),
            )
        }),
        "partition" => from_args(args).and_then(|(separator,): (&str,)| {
            Ok(match find(text, non_empty(separator)?) {
                Some((start, end)) => parts([&text[..start], separator, &text[end..]]),
                None => parts([text, "", ""]),
            })
        }),
        "rpartition" => from_args(args).and_then(|(separator,): (&str,)| {
            Ok(match find_last(text, non_empty(separator)?) {
                Some((start, end)) => parts([&text[..start], separator, &text[end..]]),
                None => parts(["", "", text]),
            })
        }),
        "split" | "rsplit" => from_args(args).and_then(|(separator, most): (Option<&str>, Option<i64>)| {
            let most = most
                .and_then(|most| usize::try_from(most).ok())
                .unwrap_or(usize::MAX);
            match separator {
                None if most == usize::MAX => Ok(text.split_whitespace().map(Value::from).collect()),
                None => Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "split by whitespace takes no limit here",
                )),
                Some(separator) if name == "split" => split(text, non_empty(separator)?, most),
                Some(separator) => rsplit(text, non_empty(separator)?, most),
            }
        }),
        _ => return None,
    })
}

/// A capital wherever a letter follows what is none, and small letters else; marks aside.
fn title(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut in_word = false;
    for character in text.chars() {
        if is_mark(character) {
            whole.push(character);
        } else if in_word {
            whole.extend(character.to_lowercase());
        } else {
            let mut capital = character.to_uppercase();
            whole.extend(capital.next());
            whole.extend(capital.flat_map(char::to_lowercase));
        }
        if !is_mark(character) {
            in_word = character.is_lowercase() || character.is_uppercase();
        }
    }
    whole
}

/// A piece of text that was cut. A pair of marks that the cut took apart no longer encloses a control token, and what the template
/// writes between them is its own; their halves still keep the pieces from growing together.
fn piece(text: &str) -> Value {
    let mut whole = String::with_capacity(text.len());
    let mut open = None;
    for character in text.chars() {
        match character {
            OPEN => open = Some(whole.len()),
            CLOSE if open.take().is_none() => {
                whole.insert(0, EDGE);
                whole.push(EDGE);
                continue;
            }
            _ => {}
        }
        whole.push(character);
    }
    if let Some(at) = open {
        whole.replace_range(at..at + OPEN.len_utf8(), EDGE.encode_utf8(&mut [0; 4]));
        whole.push(EDGE);
    }
    Value::from(whole)
}

fn parts(parts: [&str; 3]) -> Value {
    parts.into_iter().map(piece).collect()
}

fn non_empty(separator: &str) -> Result<&str, Error> {
    let empty = || Error::new(ErrorKind::InvalidOperation, "empty separator");
    Some(separator).filter(|text| !text.is_empty()).ok_or_else(empty)
}

/// The one string, or the tuple of strings, that `startswith` takes.
fn affixes(args: &[Value]) -> Result<Vec<String>, Error> {
    let (affix,): (&Value,) = from_args(args)?;
    let refused = || {
        Error::new(
            ErrorKind::InvalidOperation,
            "a string or a tuple of strings is needed",
        )
    };
    let string = |value: &Value| {
        value
            .as_str()
            .map(|text| unmark(text).into_owned())
            .ok_or_else(refused)
    };
    match affix.kind() {
        ValueKind::Seq | ValueKind::Iterable => affix.try_iter()?.map(|value| string(&value)).collect(),
        _ => Ok(vec![string(affix)?]),
    }
}

/// Where a text is, marks aside: the first byte of its first and the end of its last character.
fn find(text: &str, wanted: &str) -> Option<(usize, usize)> {
    text.char_indices()
        .filter(|(_, character)| !is_mark(*character))
        .find_map(|(start, _)| matches_at(text, start, wanted))
}

fn find_last(text: &str, wanted: &str) -> Option<(usize, usize)> {
    let starts = text
        .char_indices()
        .rev()
        .filter(|(_, character)| !is_mark(*character));
    starts
        .map(|(start, _)| start)
        .find_map(|start| matches_at(text, start, wanted))
}

fn matches_at(text: &str, start: usize, wanted: &str) -> Option<(usize, usize)> {
    let mut visible = text[start..]
        .char_indices()
        .filter(|(_, character)| !is_mark(*character));
    let mut end = start;
    for wanted in wanted.chars().filter(|character| !is_mark(*character)) {
        let (at, character) = visible.next()?;
        if character != wanted {
            return None;
        }
        end = start + at + character.len_utf8();
    }
    Some((start, end))
}

fn split(text: &str, separator: &str, most: usize) -> Result<Value, Error> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while pieces.len() < most
        && let Some((start, end)) = find(rest, separator)
    {
        pieces.push(piece(&rest[..start]));
        rest = &rest[end..];
    }
    pieces.push(piece(rest));
    Ok(Value::from(pieces))
}

fn rsplit(text: &str, separator: &str, most: usize) -> Result<Value, Error> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while pieces.len() < most
        && let Some((start, end)) = find_last(rest, separator)
    {
        pieces.push(piece(&rest[end..]));
        rest = &rest[..start];
    }
    pieces.push(piece(rest));
    pieces.reverse();
    Ok(Value::from(pieces))
}

fn strip(text: &str, args: &[Value], left: bool, right: bool) -> Result<Value, Error> {
    let (set,): (Option<&str>,) = from_args(args)?;
    Ok(Value::from(stripped(text, set, left, right)))
}

/// The filter `trim`, which takes any value as a string.
pub(super) fn trim(value: &Value, set: Option<&str>) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), |text| stripped(text, set, true, true))
}

/// Takes characters of a set (whitespace when none) from the ends, and lets marks among them stand.
fn stripped(text: &str, set: Option<&str>, left: bool, right: bool) -> String {
    let goes = |character: char| set.map_or_else(|| python_space(character), |set| set.contains(character));
    let stays = |character: char| !goes(character) && !is_mark(character);
    let start = if left {
        text.find(stays).unwrap_or(text.len())
    } else {
        0
    };
    let last = text.char_indices().rev().find(|(_, character)| stays(*character));
    let end = if right {
        last.map_or(start, |(at, character)| at + character.len_utf8())
            .max(start)
    } else {
        text.len()
    };
    let marks = |part: &str| {
        part.chars()
            .filter(|character| is_mark(*character))
            .collect::<String>()
    };
    [&marks(&text[..start]), &text[start..end], &marks(&text[end..])].concat()
}

/// Python's `str.isspace` for one character: Unicode's White_Space and the four separators U+001C to U+001F.
fn python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Jinja's test `sequence`: has a length and can be indexed, so strings and dictionaries too.
pub(super) fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
}

/// Jinja's test `iterable`.
pub(super) fn is_iterable(value: &Value) -> bool {
    value.kind() == ValueKind::String || value.try_iter().is_ok()
}

/// `strftime_now(format)` of transformers, at a given time.
pub(super) fn strftime_now(now: ZonedDateTime) -> Value {
    Value::from_function(move |format: String| {
        strtime::format(&format, &now).map_err(|_| {
            Error::new(
                ErrorKind::InvalidOperation,
                "strftime_now: the format is not known",
            )
        })
    })
}
