//! Stop strings across the borders of tokens.

use crate::TextError;

/// Finds the first of several stop strings in text that comes in pieces.
///
/// The text ends before the stop string that is complete first; of several that end at one place the longest counts. Where the
/// text is cut into pieces changes nothing. What is held back is the longest end of the text that begins a stop string, and
/// never more (Knuth, Morris and Pratt, 1977).
#[derive(Debug, Clone)]
pub struct StopMatcher {
    patterns: Vec<Pattern>,
    /// Text that may be the beginning of a stop string.
    held: String,
    stopped: bool,
}

/// What a piece of text gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StopStep {
    /// Text that is before any stop string.
    pub text: String,
    /// Whether a stop string is complete. Nothing follows then.
    pub stopped: bool,
}

#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    /// For each length of matched beginning, the next shorter one that is also its end.
    failure: Vec<usize>,
    matched: usize,
}

impl Pattern {
    fn new(text: String) -> Self {
        let bytes = text.as_bytes();
        let mut failure = vec![0; bytes.len() + 1];
        let mut length = 0;
        for at in 1..bytes.len() {
            while length > 0 && bytes[at] != bytes[length] {
                length = failure[length];
            }
            length += usize::from(bytes[at] == bytes[length]);
            failure[at + 1] = length;
        }
        Self {
            text,
            failure,
            matched: 0,
        }
    }

    fn push(&mut self, byte: u8) {
        let bytes = self.text.as_bytes();
        while self.matched > 0 && bytes.get(self.matched) != Some(&byte) {
            self.matched = self.failure[self.matched];
        }
        self.matched += usize::from(bytes[self.matched] == byte);
    }

    fn complete(&self) -> bool {
        self.matched == self.text.len()
    }
}

impl StopMatcher {
    /// Takes any number of stop strings, none of them empty.
    ///
    /// # Errors
    /// [`TextError::EmptyStop`].
    pub fn new(stops: impl IntoIterator<Item = String>) -> Result<Self, TextError> {
        let patterns: Vec<_> = stops.into_iter().map(Pattern::new).collect();
        if patterns.iter().any(|pattern| pattern.text.is_empty()) {
            return Err(TextError::EmptyStop);
        }
        Ok(Self {
            patterns,
            held: String::new(),
            stopped: false,
        })
    }

    /// Takes the next piece of text. After a stop it takes none.
    pub fn push(&mut self, piece: &str) -> StopStep {
        if self.stopped {
            return StopStep {
                text: String::new(),
                stopped: true,
            };
        }
        for character in piece.chars() {
            self.held.push(character);
            let mut bytes = [0; 4];
            for &byte in character.encode_utf8(&mut bytes).as_bytes() {
                self.patterns.iter_mut().for_each(|pattern| pattern.push(byte));
            }
            let complete = self.patterns.iter().filter(|pattern| pattern.complete());
            if let Some(longest) = complete.map(|pattern| pattern.text.len()).max() {
                self.stopped = true;
                self.held.truncate(self.held.len() - longest);
                return StopStep {
                    text: std::mem::take(&mut self.held),
                    stopped: true,
                };
            }
        }
        let hold = self
            .patterns
            .iter()
            .map(|pattern| pattern.matched)
            .max()
            .unwrap_or(0);
        let held = self.held.split_off(self.held.len() - hold);
        StopStep {
            text: std::mem::replace(&mut self.held, held),
            stopped: false,
        }
    }

    /// The text that was held back, when the answer ends without a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where the text ends and whether it stopped: the first end at which a stop string is complete, less the longest one.
    fn naive(text: &str, stops: &[String]) -> (usize, bool) {
        for (end, _) in text.char_indices().map(|(at, c)| (at + c.len_utf8(), c)) {
            let longest = stops
                .iter()
                .filter(|stop| text[..end].ends_with(*stop))
                .map(String::len)
                .max();
            if let Some(longest) = longest {
                return (end - longest, true);
            }
        }
        (text.len(), false)
    }

    /// The longest end of the text that is a proper beginning of a stop string.
    fn may_become(text: &str, stops: &[String]) -> usize {
        let starts = text.char_indices().map(|(at, _)| at);
        let begins = |rest: &str| {
            stops
                .iter()
                .any(|stop| stop.len() > rest.len() && stop.starts_with(rest))
        };
        starts
            .filter(|&at| begins(&text[at..]))
            .map(|at| text.len() - at)
            .max()
            .unwrap_or(0)
    }

    proptest! {
        #[test]
        fn agrees_with_a_search_of_the_whole(
            pieces in prop::collection::vec("[ab火]{0,4}", 0..12),
            stops in prop::collection::vec("[ab火]{1,5}", 0..4),
        ) {
            let text = pieces.concat();
            let (end, stops_there) = naive(&text, &stops);
            let mut matcher = StopMatcher::new(stops.clone()).unwrap();
            let (mut shown, mut seen, mut stopped) = (String::new(), String::new(), false);
            for piece in &pieces {
                let step = matcher.push(piece);
                shown.push_str(&step.text);
                seen.push_str(piece);
                stopped = step.stopped;
                if !stopped {
                    prop_assert_eq!(seen.len() - shown.len(), may_become(&seen, &stops), "held back too little or too much");
                }
            }
            if !stopped {
                shown.push_str(&matcher.finish());
            }
            prop_assert_eq!(stopped, stops_there);
            prop_assert_eq!(shown, &text[..end]);
        }
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        assert_eq!(
            StopMatcher::new([String::new()]).unwrap_err(),
            TextError::EmptyStop
        );
    }

    #[test]
    fn after_a_stop_nothing_follows() {
        let mut matcher = StopMatcher::new(["END".to_owned()]).unwrap();
        assert_eq!(
            matcher.push("one E"),
            StopStep {
                text: "one ".to_owned(),
                stopped: false
            }
        );
        assert_eq!(
            matcher.push("ND two"),
            StopStep {
                text: String::new(),
                stopped: true
            }
        );
        assert_eq!(
            matcher.push("three"),
            StopStep {
                text: String::new(),
                stopped: true
            }
        );
        assert_eq!(matcher.finish(), "");
    }
}
