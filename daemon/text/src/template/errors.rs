//! What a client may hear of a template that fails: never its source, never the request.

use std::error::Error as _;

use minijinja::{Error, ErrorKind};

use crate::{TextError, marks};

/// The template's own refusal, carried through minijinja.
#[derive(Debug, thiserror::Error)]
#[error("the template raised an exception")]
struct Raised(String);

/// `raise_exception(message)` of transformers.
pub(super) fn raise_exception(message: String) -> Result<minijinja::Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(Raised(message)))
}

pub(super) fn compile(error: &Error) -> TextError {
    let reason = error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| format!("{}: {detail}", error.kind()),
    );
    TextError::BadTemplate {
        line: error.line(),
        reason,
    }
}

fn failure(error: &Error) -> TextError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(Raised(message)) = inner.downcast_ref::<Raised>() {
            return TextError::Refused(marks::unmark(message).into_owned());
        }
        cause = inner.source();
    }
    let kind = error.kind();
    let reason = match (kind, error.detail()) {
        (ErrorKind::OutOfFuel, _) => {
            "it takes more steps than are allowed; shorten the conversation".to_owned()
        }
        // Details of these kinds name things of the template or types, no values.
        (
            ErrorKind::UnknownMethod
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction,
            Some(detail),
        ) => {
            format!("{kind}: {detail}")
        }
        (ErrorKind::InvalidOperation, Some(detail)) if detail.starts_with("tried to use ") => {
            detail.to_owned()
        }
        _ => kind.to_string(),
    };
    TextError::TemplateFailed {
        line: error.line(),
        reason,
    }
}

/// Collects a rendering up to a bound.
pub(super) struct BoundedText {
    bytes: Vec<u8>,
    limit: usize,
    overflow: Option<usize>,
}

impl BoundedText {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            overflow: None,
        }
    }

    pub(super) fn finish(self, done: Result<(), Error>) -> Result<String, TextError> {
        if let Some(bytes) = self.overflow {
            return Err(TextError::TooLong {
                bytes,
                limit: self.limit,
            });
        }
        done.map_err(|error| failure(&error))?;
        String::from_utf8(self.bytes).map_err(|_| TextError::TemplateFailed {
            line: None,
            reason: "it wrote half a character".to_owned(),
        })
    }
}

impl std::io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.bytes.len() + bytes.len();
        if length > self.limit {
            self.overflow = Some(length);
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
