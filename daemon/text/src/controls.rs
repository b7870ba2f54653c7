//! The tokens that no user may write: finding them in a user's strings and in a rendered conversation.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::TextError;
use crate::marks::{self, CLOSE, EDGE, OPEN};

/// A token outside the merges, with the attributes of `tokenizer.json`'s `added_tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) id: u32,
    pub(crate) text: String,
    /// Marked as special in the model's files.
    pub(crate) special: bool,
    /// Matches only where no word character is beside it.
    pub(crate) single_word: bool,
    /// Takes the whitespace before it.
    pub(crate) lstrip: bool,
    /// Takes the whitespace after it.
    pub(crate) rstrip: bool,
    /// Matched after normalization. Plain text is the same before and after, so this matters to textual tokens only.
    pub(crate) normalized: bool,
}

/// A conversation as the template wrote it. Where it came from a user is kept, invisibly.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    pub(crate) marked: String,
}

impl Rendered {
    /// The text that the model is given.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        marks::unmark(&self.marked)
    }
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Prompts must not get into logs.
        write!(out, "Rendered({} bytes)", self.marked.len())
    }
}

/// A piece of a rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    Control(u32),
    Text(Cow<'a, str>),
}

/// All control tokens of a tokenizer.
#[derive(Debug)]
pub(crate) struct Controls {
    tokens: Vec<Control>,
    /// Leftmost, longest; pattern numbers are indices of `tokens`.
    exact: AhoCorasick,
    /// The same without regard to ASCII case, because templates change the case of strings.
    folded: AhoCorasick,
    /// Texts in lower case, sorted; and backwards, sorted: for the question whether a fragment begins or ends one.
    forward: Vec<String>,
    backward: Vec<String>,
    longest: usize,
}

impl Controls {
    pub(crate) fn new(tokens: Vec<Control>) -> Result<Self, TextError> {
        let texts = || tokens.iter().map(|token| &token.text);
        if texts().any(|text| text.contains(marks::is_reserved)) {
            return Err(TextError::BadTokenizer(
                "a control token has a Unicode noncharacter".to_owned(),
            ));
        }
        let automaton = |fold: bool| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .ascii_case_insensitive(fold)
                .build(texts())
                .map_err(|error| TextError::BadTokenizer(format!("its control tokens: {error}")))
        };
        let (exact, folded) = (automaton(false)?, automaton(true)?);
        let mut forward: Vec<String> = texts().map(|text| text.to_ascii_lowercase()).collect();
        let mut backward: Vec<String> = forward.iter().map(|text| text.chars().rev().collect()).collect();
        forward.sort_unstable();
        backward.sort_unstable();
        let longest = texts().map(String::len).max().unwrap_or(0);
        Ok(Self {
            tokens,
            exact,
            folded,
            forward,
            backward,
            longest,
        })
    }

    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.tokens
            .iter()
            .find(|token| token.text == text)
            .map(|token| token.id)
    }

    /// A user's string, with marks at everything that is or could become a control token.
    pub(crate) fn mark<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let (starts, ends) = (self.starts_inside(text), self.ends_inside(text));
        if !starts && !ends && !self.folded.is_match(text) && !text.contains(marks::is_reserved) {
            return Cow::Borrowed(text);
        }
        let mut marked = String::with_capacity(text.len() + 16);
        if starts {
            marked.push(EDGE);
        }
        let mut done = 0;
        for found in self.folded.find_iter(text) {
            marks::push_escaped(&mut marked, &text[done..found.start()]);
            push_occurrence(
                &mut marked,
                &text[found.range()],
                &self.tokens[found.pattern().as_usize()],
            );
            done = found.end();
        }
        marks::push_escaped(&mut marked, &text[done..]);
        if ends {
            marked.push(EDGE);
        }
        Cow::Owned(marked)
    }

    /// Cuts a rendered conversation at the control tokens that the template wrote.
    pub(crate) fn split<'a>(&self, rendered: &'a Rendered) -> Vec<Segment<'a>> {
        let marked = rendered.marked.as_str();
        let (mut segments, mut done) = (Vec::new(), 0);
        for found in self.exact.find_iter(marked) {
            let token = &self.tokens[found.pattern().as_usize()];
            let (before, after) = (&marked[..found.start()], &marked[found.end()..]);
            let users = before.ends_with(OPEN) && after.starts_with(CLOSE);
            if users || (token.single_word && in_a_word(before, after)) {
                continue;
            }
            // A token that took the whitespace after it may have gone past this one's beginning.
            let mut text = marked.get(done..found.start()).unwrap_or_default();
            if token.lstrip {
                text = text.trim_end();
            }
            push_text(&mut segments, text);
            segments.push(Segment::Control(token.id));
            done = found.end();
            if token.rstrip {
                done += after.len() - after.trim_start().len();
            }
        }
        push_text(&mut segments, &marked[done..]);
        segments
    }

    /// Whether a beginning of the text is a proper end of a control token.
    fn starts_inside(&self, text: &str) -> bool {
        let ends = text
            .char_indices()
            .map(|(at, character)| at + character.len_utf8());
        ends.take_while(|end| *end < self.longest).any(|end| {
            let reversed: String = text[..end].to_ascii_lowercase().chars().rev().collect();
            begins_longer(&self.backward, &reversed)
        })
    }

    /// Whether an end of the text is a proper beginning of a control token.
    fn ends_inside(&self, text: &str) -> bool {
        let starts = text.char_indices().rev().map(|(at, _)| at);
        starts
            .take_while(|start| text.len() - start < self.longest)
            .any(|start| begins_longer(&self.forward, &text[start..].to_ascii_lowercase()))
    }
}

/// Appends a control token that a user wrote. In its own case it stays whole, so that a template may still look for it; in
/// another it could turn into a different one, so no two of its characters stay together.
fn push_occurrence(marked: &mut String, text: &str, token: &Control) {
    if text == token.text {
        marked.push(OPEN);
        marked.push_str(text);
        marked.push(CLOSE);
    } else {
        marked.extend(text.chars().flat_map(|character| [EDGE, character]));
        marked.push(EDGE);
    }
}

/// Whether some string of the sorted list begins with the fragment and goes on after it.
fn begins_longer(sorted: &[String], fragment: &str) -> bool {
    let at = sorted.partition_point(|text| text.as_str() <= fragment);
    sorted.get(at).is_some_and(|text| text.starts_with(fragment))
}

fn in_a_word(before: &str, after: &str) -> bool {
    let word = |character: char| character.is_alphanumeric() || character == '_';
    let text = |character: &char| !marks::is_mark(*character);
    before.chars().rev().find(text).is_some_and(word) || after.chars().find(text).is_some_and(word)
}

fn push_text<'a>(segments: &mut Vec<Segment<'a>>, marked: &'a str) {
    let text = marks::unmark(marked);
    if !text.is_empty() {
        segments.push(Segment::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn controls(texts: &[&str]) -> Controls {
        let token = |(id, text): (u32, &&str)| Control {
            id,
            text: (*text).to_owned(),
            special: true,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
        };
        Controls::new((0..).zip(texts).map(token).collect()).unwrap()
    }

    fn split(controls: &Controls, marked: &str) -> Vec<Segment<'static>> {
        let rendered = Rendered {
            marked: marked.to_owned(),
        };
        let own = |segment| match segment {
            Segment::Control(id) => Segment::Control(id),
            Segment::Text(text) => Segment::Text(Cow::Owned(Cow::into_owned(text))),
        };
        controls.split(&rendered).into_iter().map(own).collect()
    }

    #[test]
    fn stripping_tokens_take_the_whitespace_beside_them() {
        let mut tokens = controls(&["<a>", "<b>"]).tokens;
        tokens[0].lstrip = true;
        tokens[1].rstrip = true;
        let controls = Controls::new(tokens).unwrap();
        let text = |text| Segment::Text(Cow::Borrowed(text));
        assert_eq!(
            split(&controls, "x  <a> y <b>\n <a> z"),
            [
                text("x"),
                Segment::Control(0),
                text(" y "),
                Segment::Control(1),
                Segment::Control(0),
                text(" z")
            ]
        );
    }

    #[test]
    fn single_words_match_only_alone() {
        let mut tokens = controls(&["end"]).tokens;
        tokens[0].single_word = true;
        let controls = Controls::new(tokens).unwrap();
        let controls_in = |text| {
            split(&controls, text)
                .iter()
                .filter(|segment| **segment == Segment::Control(0))
                .count()
        };
        assert_eq!(
            [
                controls_in("the end."),
                controls_in("bend"),
                controls_in("ends"),
                controls_in("end")
            ],
            [1, 0, 0, 1]
        );
    }

    #[test]
    fn neighbours_cannot_complete_a_fragment() {
        let controls = controls(&["<|end|>", "<|start|>"]);
        for (left, right) in [
            ("x<|e", "nd|>"),
            ("<|end", "|>"),
            ("<", "|START|>"),
            ("<|end|", ">"),
        ] {
            let joined = format!("{}{}", controls.mark(left), controls.mark(right));
            assert_eq!(
                split(&controls, &joined),
                [Segment::Text(Cow::Owned(format!("{left}{right}")))]
            );
        }
        let template_completes = format!("{}nd|>", controls.mark("<|e"));
        assert_eq!(split(&controls, &template_completes).len(), 1);
        assert!(
            matches!(controls.mark("user"), Cow::Borrowed(_)),
            "ordinary strings stay as they are"
        );
    }

    proptest! {
        #[test]
        fn a_marked_string_has_no_control_token_and_loses_nothing(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("<|end|>".to_owned()), Just("<|END|>".to_owned()), Just("<|".to_owned()), Just("end|>".to_owned()),
                    Just("<think>".to_owned()), Just("\u{FDD0}".to_owned()), Just("\u{FDD3}\u{FDD4}".to_owned()), ".{0,4}",
                ],
                0..12,
            ),
        ) {
            let text = pieces.concat();
            let controls = controls(&["<|end|>", "<think>", "<|"]);
            let marked = controls.mark(&text).into_owned();
            prop_assert_eq!(marks::unmark(&marked), text.as_str());
            let whole = if text.is_empty() { vec![] } else { vec![Segment::Text(Cow::Owned(text.clone()))] };
            // Before and after it the template writes tokens of its own, which stay tokens.
            let lowered = split(&controls, &marked.to_ascii_lowercase());
            prop_assert!(lowered.iter().all(|segment| matches!(segment, Segment::Text(_))));
            prop_assert_eq!(split(&controls, &marked), whole.clone());
            let around = split(&controls, &format!("<think>{marked}<|end|>"));
            prop_assert_eq!(around.first(), Some(&Segment::Control(1)));
            prop_assert_eq!(around.last(), Some(&Segment::Control(0)));
            prop_assert_eq!(&around[1..around.len() - 1], &whole[..]);
        }
    }
}
