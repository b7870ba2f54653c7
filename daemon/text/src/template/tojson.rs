//! The filter `tojson` of transformers: Python's `json.dumps` with `ensure_ascii=False` unless told otherwise, and nothing escaped
//! for HTML.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, Value, escape_formatter};

use crate::marks;

/// Levels of nesting: more than the 128 that a request's JSON may have.
const MAX_DEPTH: usize = 160;

struct Style {
    ensure_ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort_keys: bool,
}

/// `value | tojson(ensure_ascii, indent, separators, sort_keys)`.
pub(super) fn tojson(
    state: &State<'_, '_>,
    value: &Value,
    ensure_ascii: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let named: Option<bool> = options.get("ensure_ascii")?;
    let indent = indent(options.get("indent")?)?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let sort_keys: Option<bool> = options.get("sort_keys")?;
    options.assert_all_used()?;
    let (item, key) = match separators.as_deref() {
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "separators are two strings",
            ));
        }
    };
    let style = Style {
        ensure_ascii: ensure_ascii.or(named).unwrap_or(false),
        indent,
        item,
        key,
        sort_keys: sort_keys.unwrap_or(false),
    };
    let mut json = String::new();
    write_value(&mut json, value, &style, 0)?;
    // minijinja's price for a string that a filter makes.
    state.consume_fuel(json.len() as u64 / 64)?;
    Ok(Value::from(json))
}

/// Python takes a number of spaces or the text itself.
fn indent(value: Option<Value>) -> Result<Option<String>, Error> {
    const WIDEST: usize = 16;
    match value {
        None => Ok(None),
        Some(value) if value.is_none() => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => usize::try_from(value).map(|spaces| Some(" ".repeat(spaces.min(WIDEST)))),
        },
    }
}

fn write_value(json: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    let refuse = |what| Err(Error::new(ErrorKind::BadSerialization, what));
    if depth > MAX_DEPTH {
        return refuse("the value is nested too deeply for JSON");
    }
    match value.kind() {
        ValueKind::None => json.push_str("null"),
        ValueKind::Bool => json.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => write_number(json, value),
        ValueKind::String => write_string(json, value.as_str().unwrap_or_default(), style),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            write_list(json, ('[', ']'), &items, style, depth, |json, item| {
                write_value(json, item, style, depth + 1)
            })?;
        }
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            if style.sort_keys {
                keys.sort();
            }
            write_list(json, ('{', '}'), &keys, style, depth, |json, key| {
                write_string(json, &key.to_string(), style);
                json.push_str(&style.key);
                write_value(json, &value.get_item(key)?, style, depth + 1)
            })?;
        }
        ValueKind::Undefined => return refuse("an undefined value has no JSON"),
        _ => return refuse("a value has no JSON"),
    }
    Ok(())
}

fn write_list(
    json: &mut String,
    brackets: (char, char),
    items: &[Value],
    style: &Style,
    depth: usize,
    mut write: impl FnMut(&mut String, &Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let new_line = |json: &mut String, depth: usize| {
        if let Some(indent) = style.indent.as_deref().filter(|_| !items.is_empty()) {
            json.push('\n');
            (0..depth).for_each(|_| json.push_str(indent));
        }
    };
    json.push(brackets.0);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            json.push_str(&style.item);
        }
        new_line(json, depth + 1);
        write(json, item)?;
    }
    new_line(json, depth);
    json.push(brackets.1);
    Ok(())
}

fn write_number(json: &mut String, value: &Value) {
    match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => json.push_str(&python_float(number)),
        _ => json.push_str(&value.to_string()),
    }
}

/// Prints a value as a template's `{{ }}` does; a number that is not whole as Python's `str`.
///
/// # Errors
/// As printing does.
pub(super) fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match fraction(value) {
        Some(number) => Ok(out.write_str(&python_float(number))?),
        None => escape_formatter(out, state, value),
    }
}

/// The filter `string`: a text as it is, other values as they are printed.
pub(super) fn string(value: &Value) -> Value {
    match fraction(value) {
        Some(number) => Value::from(python_float(number)),
        None if value.kind() == ValueKind::String => value.clone(),
        None => Value::from(value.to_string()),
    }
}

/// A finite number that Python has as a float.
fn fraction(value: &Value) -> Option<f64> {
    let is_float = value.kind() == ValueKind::Number && !value.is_integer();
    let number = is_float.then(|| f64::try_from(value.clone()).ok())?;
    number.filter(|number| number.is_finite())
}

/// `repr` of a Python float: shortest digits, an exponent below 1e-4 and from 1e16 on.
fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn write_string(json: &mut String, text: &str, style: &Style) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ..='\u{1f}' => push_escape(json, character as u32),
            _ if style.ensure_ascii
                && !(' '..='~').contains(&character)
                && !marks::is_reserved(character) =>
            {
                let mut units = [0; 2];
                character
                    .encode_utf16(&mut units)
                    .iter()
                    .for_each(|unit| push_escape(json, u32::from(*unit)));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}

fn push_escape(json: &mut String, unit: u32) {
    // Writing to a string cannot fail.
    let _ = write!(json, "\\u{unit:04x}");
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    use super::{print, python_float, string};

    #[test]
    fn numbers_are_printed_as_by_python() {
        let mut environment = Environment::new();
        environment.set_formatter(print);
        environment.add_filter("string", string);
        let source = "{{ 3.0 }} {{ 1e20 }} {{ 2.5e-7 }} {{ 3 }} {{ -0.0 }} {{ 7 / 2 }} {{ '1e20' }} {{ true }} {{ n }} {{ 1e-7 | string }}{{ 1 | string }}{{ 'a' | string }}";
        let printed = environment.render_str(source, context! { n => 1e16 }).unwrap();
        assert_eq!(printed, "3.0 1e+20 2.5e-07 3 -0.0 3.5 1e20 True 1e+16 1e-071a");
    }

    #[test]
    fn floats_print_as_in_python() {
        let numbers = [
            0.1,
            1.0,
            1e16,
            1.5e-5,
            0.0001,
            123_456_789.0,
            -2.5e300,
            1e22,
            9_999_999_999_999_998.0,
        ];
        let expected = [
            "0.1",
            "1.0",
            "1e+16",
            "1.5e-05",
            "0.0001",
            "123456789.0",
            "-2.5e+300",
            "1e+22",
            "9999999999999998.0",
        ];
        assert_eq!(numbers.map(python_float), expected);
    }
}
