//! Where lines are written.

use std::fmt::Write as _;
use std::io::Write as _;

use mains_wire::http::LogLine;
use serde_json::Value;

/// Journald with fields, or text on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    Journal,
    Text,
}

impl Sink {
    /// Journald when standard error is its stream (systemd.exec(5), `JOURNAL_STREAM`).
    pub(super) fn find() -> Self {
        let named = std::env::var("JOURNAL_STREAM").ok();
        let stream = nix::sys::stat::fstat(std::io::stderr()).ok();
        match (named, stream) {
            (Some(named), Some(stream)) if named == format!("{}:{}", stream.st_dev, stream.st_ino) => {
                Self::Journal
            }
            _ => Self::Text,
        }
    }

    /// Writes `line`. There is nobody to tell of a failure: standard error is what would be told.
    pub(super) fn write(self, line: &LogLine) {
        match self {
            Self::Journal => {
                let fields = journal_fields(line);
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                drop(systemd::journal::send(&fields));
            }
            Self::Text => drop(std::io::stderr().write_all(text(line).as_bytes())),
        }
    }
}

/// `time LEVEL target: message name=value …`
fn text(line: &LogLine) -> String {
    let mut text = format!("{} {:5} {}: {}", line.time, line.level, line.target, line.message);
    for (name, value) in &line.fields {
        let written = match value {
            Value::String(value) if !value.contains([' ', '"', '\n']) => write!(text, " {name}={value}"),
            value => write!(text, " {name}={value}"),
        };
        written.expect("writing into a string cannot fail");
    }
    // A line is a line, whatever a value holds.
    let mut text = text.replace('\n', "\\n");
    text.push('\n');
    text
}

/// `NAME=value` strings; our own names get a prefix, since journald has names of its own.
fn journal_fields(line: &LogLine) -> Vec<String> {
    let priority = match &*line.level {
        "ERROR" => 3,
        "WARN" => 4,
        "INFO" => 6,
        _ => 7,
    };
    let mut fields = vec![
        format!("PRIORITY={priority}"),
        format!("TARGET={}", line.target),
        "SYSLOG_IDENTIFIER=mainsd".to_owned(),
    ];
    let mut message = format!("MESSAGE={}", line.message);
    for (name, value) in &line.fields {
        let value = match value {
            Value::String(value) => value.clone(),
            value => value.to_string(),
        };
        write!(message, " {name}={value}").expect("writing into a string cannot fail");
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        fields.push(format!("MAINS_{name}={value}"));
    }
    fields.push(message);
    fields
}

#[cfg(test)]
mod tests {
    use super::{journal_fields, text};
    use mains_wire::http::LogLine;

    fn line() -> LogLine {
        LogLine {
            time: "2026-11-24T07:00:00Z".to_owned(),
            level: "WARN".to_owned(),
            target: "mainsd".to_owned(),
            message: "a\nb".to_owned(),
            fields: [
                ("model".to_owned(), "pilot".into()),
                ("error".to_owned(), "no room".into()),
                ("pid".to_owned(), 7.into()),
            ]
            .into_iter()
            .collect(),
        }
    }

    #[test]
    fn text_is_one_line() {
        assert_eq!(
            text(&line()),
            "2026-11-24T07:00:00Z WARN  mainsd: a\\nb model=pilot error=\"no room\" pid=7\n"
        );
    }

    #[test]
    fn journald_gets_fields() {
        let fields = journal_fields(&line());
        for field in [
            "PRIORITY=4",
            "MAINS_MODEL=pilot",
            "MAINS_PID=7",
            "MESSAGE=a\nb model=pilot error=no room pid=7",
        ] {
            assert!(fields.iter().any(|given| given == field), "{field}: {fields:?}");
        }
    }
}
