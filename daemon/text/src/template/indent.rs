//! The filter `indent` as Jinja2 has it: minijinja's indents nothing but whole blank lines otherwise.

use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use crate::marks::unmark;

/// The most columns of one indentation: more than any template asks for.
const WIDEST: usize = 1024;

/// `text | indent(width=4, first=False, blank=False)`: every line but the first and blank ones begins with so many spaces, or with that
/// text. Line breaks become `\n`, and one at the end stays.
pub(super) fn indent(
    state: &State<'_, '_>,
    text: &str,
    positional: Rest<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let (width, first, blank): (Option<Value>, Option<bool>, Option<bool>) = from_args(&positional)?;
    let width = width.map_or_else(|| options.get::<Option<Value>>("width"), |width| Ok(Some(width)))?;
    let named = [
        options.get::<Option<bool>>("first")?,
        options.get::<Option<bool>>("blank")?,
    ];
    options.assert_all_used()?;
    let indentation = indentation(width)?;
    let [first, blank] = [first.or(named[0]), blank.or(named[1])].map(|flag| flag.unwrap_or(false));
    let lines = lines(text);
    let mut whole = String::with_capacity(text.len());
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            whole.push('\n');
        }
        let is_blank = unmark(line).is_empty();
        if if at == 0 { first } else { blank || !is_blank } {
            whole.push_str(&indentation);
        }
        whole.push_str(line);
        // minijinja's price for a string that a filter makes.
        state.consume_fuel(1 + (indentation.len() + line.len()) as u64 / 64)?;
    }
    Ok(Value::from(whole))
}

fn indentation(width: Option<Value>) -> Result<String, Error> {
    let Some(width) = width else {
        return Ok(" ".repeat(4));
    };
    if let (ValueKind::String, Some(text)) = (width.kind(), width.as_str()) {
        return Ok(text.to_owned());
    }
    let columns = i64::try_from(width)?;
    match usize::try_from(columns) {
        // Python repeats nothing so often.
        Err(_) => Ok(String::new()),
        Ok(columns) if columns <= WIDEST => Ok(" ".repeat(columns)),
        Ok(columns) => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("indent by {columns} columns: at most {WIDEST}"),
        )),
    }
}

/// Python's `splitlines` of the text and a line break behind it.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let Some(end) = rest.find(is_break) else {
            lines.push(rest);
            return lines;
        };
        let (line, from_break) = rest.split_at(end);
        lines.push(line);
        // What stands before the added break is one with it.
        if from_break == "\r" {
            return lines;
        }
        let skipped = if from_break.starts_with("\r\n") {
            2
        } else {
            from_break.chars().next().map_or(0, char::len_utf8)
        };
        rest = &from_break[skipped..];
    }
}

fn is_break(character: char) -> bool {
    matches!(
        character,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    use super::indent;

    fn rendered(filter: &str, text: &str) -> String {
        let mut environment = Environment::new();
        environment.add_filter("indent", indent);
        let source = format!("{{{{ text | {filter} }}}}");
        environment.render_str(&source, context! { text }).unwrap()
    }

    #[test]
    fn lines_are_indented_as_by_jinja2() {
        // What Jinja2 3.1 makes of them.
        for (filter, text, expected) in [
            ("indent", "a\nb\n\nc", "a\n    b\n\n    c"),
            ("indent(2, first=true)", "\na\n\n", "  \n  a\n\n"),
            ("indent(2, true, true)", "a\n\nb\n", "  a\n  \n  b\n  "),
            ("indent('> ', blank=true)", "a\n\nb", "a\n> \n> b"),
            ("indent(width=1)", "a\r\nb\rc\u{2028}d", "a\n b\n c\n d"),
            ("indent(-3)", "a\nb", "a\nb"),
            ("indent", "", ""),
            ("indent(2)", "a\r", "a"),
        ] {
            assert_eq!(rendered(filter, text), expected, "{filter} of {text:?}");
        }
    }

    #[test]
    fn an_indentation_without_bound_is_refused() {
        let mut environment = Environment::new();
        environment.add_filter("indent", indent);
        let error = environment
            .render_str("{{ 'a' | indent(1025) }}", context! {})
            .unwrap_err();
        assert!(error.to_string().contains("at most 1024"), "{error}");
    }
}
