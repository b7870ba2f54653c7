//! Server-sent events as OpenAI's stream uses them: `data:` lines, each event ended by an empty line.

/// Longest line that is kept: one chunk of a stream is far below it.
const MAX_LINE_BYTES: usize = 8 << 20;

/// The stream is no event stream.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SseError {
    /// A line did not end.
    #[error("a line of the answer is over {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// A line is not UTF-8.
    #[error("a line of the answer is not UTF-8")]
    NotUtf8,
}

/// Splits arriving bytes into the data of events, wherever the pieces were cut.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    data: Vec<String>,
}

impl SseParser {
    /// Takes the next bytes and returns the data of each event that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, SseError> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() >= MAX_LINE_BYTES {
                    return Err(SseError::LineTooLong);
                }
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8(line).map_err(|_| SseError::NotUtf8)?;
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                if !self.data.is_empty() {
                    events.push(std::mem::take(&mut self.data).join("\n"));
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SseParser;

    #[test]
    fn comments_and_other_fields_are_passed_over() {
        let mut parser = SseParser::default();
        let events = parser
            .push(b": hello\nevent: x\ndata: a\ndata: b\r\n\r\n\ndata:c\n\n")
            .unwrap();
        assert_eq!(events, ["a\nb", "c"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert!(SseParser::default().push(b"data: \xff\n").is_err());
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(data in proptest::collection::vec("[^\r\n]{1,12}", 0..8), cuts in any::<u64>()) {
            let stream: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
            let mut parser = SseParser::default();
            let mut events = Vec::new();
            let mut rest = stream.as_bytes();
            let mut cuts = cuts;
            while !rest.is_empty() {
                let size = 1 + usize::try_from(cuts % 5).unwrap();
                cuts = cuts.rotate_right(3) ^ 0x9e37;
                let (piece, after) = rest.split_at(size.min(rest.len()));
                events.extend(parser.push(piece).unwrap());
                rest = after;
            }
            prop_assert_eq!(events, data);
        }
    }
}
