//! Labelled text that is broken where a terminal's line ends.

use std::io::IsTerminal;

use terminal_size::terminal_size;
use unicode_width::UnicodeWidthStr;

/// Columns of a label and the space after it.
const LABEL: usize = 10;

/// Columns that text gets on the narrowest terminal: a few words.
const LEAST: usize = 30;

/// Columns of the terminal that standard output is; `None` when it is none, and lines are not to be broken.
pub(crate) fn columns() -> Option<usize> {
    let is_terminal = std::io::stdout().is_terminal();
    let size = terminal_size().filter(|_| is_terminal)?;
    Some(usize::from(size.0.0)).filter(|columns| *columns > 0)
}

/// `text` after `label`, broken between words where it would be wider than `columns`; further lines begin below its first word.
pub(crate) fn labelled(label: &str, text: &str, columns: Option<usize>) -> String {
    let indent = LABEL.max(label.width() + 1);
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent).max(LEAST));
    let mut lines: Vec<String> = vec![String::new()];
    for word in words(text) {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    let mut paragraph = format!("{label}{}", " ".repeat(indent - label.width()));
    paragraph.push_str(&lines.join(&format!("\n{}", " ".repeat(indent))));
    paragraph.push('\n');
    paragraph
}

/// The words of `text`, a number with its unit as one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    /// Units that follow numbers, as bytes are told.
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let is_unit = |word: &str| UNITS.contains(&word.trim_end_matches([',', ';', ')', '.']));
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut end = text.find(' ').unwrap_or(text.len());
        while let Some(after) = text.get(end + 1..) {
            let next = after.find(' ').unwrap_or(after.len());
            if !is_unit(&after[..next]) {
                break;
            }
            end += 1 + next;
        }
        rest = text.get(end + 1..);
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::labelled;

    #[test]
    fn lines_are_broken_between_words_below_the_first() {
        let text = "one two three four five six seven eight";
        assert_eq!(labelled("types", text, None), format!("types     {text}\n"));
        assert_eq!(
            labelled("types", text, Some(40)),
            "types     one two three four five six\n          seven eight\n"
        );
        assert_eq!(
            labelled("types", "Q4_K: 15 tensors of 1.6 MiB; Q5_K", Some(40)),
            "types     Q4_K: 15 tensors of 1.6 MiB;\n          Q5_K\n"
        );
        assert_eq!(
            labelled("types", "Q4_K: 15 long tensors of 1.6 MiB; Q5_K", Some(40)),
            "types     Q4_K: 15 long tensors of\n          1.6 MiB; Q5_K\n"
        );
        assert_eq!(labelled("would fit", "less", Some(80)), "would fit less\n");
    }

    proptest! {
        #[test]
        fn every_word_stays_and_no_line_is_too_wide(words in proptest::collection::vec("[a-z模]{1,12}", 1..40), columns in 40..130_usize) {
            let text = labelled("types", &words.join(" "), Some(columns));
            let found: Vec<&str> = text.split_whitespace().skip(1).collect();
            prop_assert_eq!(found, words);
            prop_assert!(text.lines().all(|line| line.width() <= columns));
        }
    }
}
