//! Lines of a body that arrives in pieces.

/// Whole lines of what arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that are whole with `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn lines_are_whole_wherever_they_were_cut() {
        let mut lines = Lines::default();
        assert!(lines.push("{\"a\": \"水".as_bytes().split_at(9).0).is_empty());
        let rest = "{\"a\": \"水\"}\nx".as_bytes();
        assert_eq!(lines.push(&rest[9..]), ["{\"a\": \"水\"}"]);
        assert_eq!(lines.push(b"\n"), ["x"]);
    }
}
