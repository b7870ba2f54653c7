//! What can go wrong between text and token ids, in words for whoever can mend it.

/// Why text, a template or a tokenizer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A kind of tokenizer that is not implemented. Nothing near is taken in its place.
    #[error("{what} `{name}` is not supported; known: {known}")]
    Unsupported {
        /// Which property: the model, the pre-tokenizer, ...
        what: &'static str,
        /// Its value in the file.
        name: String,
        /// The values that are supported.
        known: String,
    },
    /// The tokenizer's data contradicts itself or is incomplete.
    #[error("the tokenizer cannot be used: {0}")]
    BadTokenizer(String),
    /// The template does not compile.
    #[error("the chat template cannot be used{}: {reason}", at_line(*line))]
    BadTemplate {
        /// Line of the template, from 1.
        line: Option<usize>,
        /// What is wrong there.
        reason: String,
    },
    /// A text that is longer than [`crate::MAX_TEXT_BYTES`].
    #[error("the text has {bytes} bytes, more than the {limit} that are taken at once; shorten it")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// A run of whitespace that is longer than [`crate::MAX_WHITESPACE_RUN`].
    #[error("the text has more than {limit} whitespace characters in a row; shorten that run")]
    WhitespaceRun {
        /// The most.
        limit: usize,
    },
    /// Messages, tools or variables are not the JSON that a template takes.
    #[error("{what} must be {expected}")]
    BadInput {
        /// Which of them.
        what: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A variable that the template gets from the model, not from the caller.
    #[error("the template variable `{0}` is set by the server and cannot be given")]
    ReservedVariable(String),
    /// A variable that the template does not read: it would change nothing.
    #[error("this model's chat template does not read the variable `{name}`; it reads: {known}")]
    UnreadVariable {
        /// The variable.
        name: String,
        /// Those that it reads, beyond the server's own.
        known: String,
    },
    /// The template itself refuses the messages by `raise_exception`. Its words may quote the request, so they are for the
    /// client alone and must not be logged.
    #[error("the chat template refuses these messages: {0}")]
    Refused(String),
    /// The template failed on these messages. Neither the request nor the template is quoted.
    #[error("the chat template fails on these messages{}: {reason}", at_line(*line))]
    TemplateFailed {
        /// Line of the template, from 1.
        line: Option<usize>,
        /// What went wrong there.
        reason: String,
    },
    /// The request spells a control token, and the template's course depends on it.
    #[error(
        "the messages contain the text of a control token, which the chat template interprets; remove it from the messages"
    )]
    ControlText,
    /// An empty stop string would stop everything.
    #[error("a stop string is empty; leave it out")]
    EmptyStop,
}

impl TextError {
    /// Whether the request is at fault, and not the model's files.
    #[must_use]
    pub const fn is_invalid_request(&self) -> bool {
        !matches!(
            self,
            Self::Unsupported { .. } | Self::BadTokenizer(_) | Self::BadTemplate { .. }
        )
    }
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" (line {line})"))
}
