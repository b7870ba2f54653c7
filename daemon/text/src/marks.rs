//! Keeps what a user wrote apart from what a template wrote, inside one string.
//!
//! Before a template sees a user's string, every control token that it spells gets a mark on both sides, and a beginning or end
//! that could grow into a control token beside the template's own text gets one there. Marks are noncharacters (Unicode 16.0,
//! section 23.7), which interchanged text does not have; where a user sends one all the same it is escaped. In the rendered
//! text, a control token without marks can only come from the template.

use std::borrow::Cow;

/// Before a control token's text that a user wrote.
pub(crate) const OPEN: char = '\u{FDD0}';
/// After it.
pub(crate) const CLOSE: char = '\u{FDD1}';
/// At a user's string's end that is part of a control token.
pub(crate) const EDGE: char = '\u{FDD2}';
/// Before the stand-in of a user's own noncharacter.
const ESCAPE: char = '\u{FDD3}';
/// Stand-ins of the four above, in their order.
const STAND_INS: [(char, char); 4] = [
    (OPEN, '\u{FDD4}'),
    (CLOSE, '\u{FDD5}'),
    (EDGE, '\u{FDD6}'),
    (ESCAPE, '\u{FDD7}'),
];

/// Whether a character may not stand in a template's source.
pub(crate) fn is_reserved(character: char) -> bool {
    matches!(character, OPEN..='\u{FDD7}')
}

/// Whether a character is a mark and no part of the text.
pub(crate) fn is_mark(character: char) -> bool {
    matches!(character, OPEN | CLOSE | EDGE)
}

/// Appends text, escaping the characters that serve as marks.
pub(crate) fn push_escaped(marked: &mut String, text: &str) {
    for character in text.chars() {
        match STAND_INS.iter().find(|(own, _)| *own == character) {
            Some((_, stand_in)) => marked.extend([ESCAPE, *stand_in]),
            None => marked.push(character),
        }
    }
}

/// The text without marks.
pub(crate) fn unmark(marked: &str) -> Cow<'_, str> {
    if !marked.contains(is_reserved) {
        return Cow::Borrowed(marked);
    }
    let mut text = String::with_capacity(marked.len());
    let mut characters = marked.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ESCAPE {
            let own = STAND_INS
                .iter()
                .find(|(_, stand_in)| characters.peek() == Some(stand_in));
            if let Some((own, _)) = own {
                text.push(*own);
                characters.next();
            }
        } else if !is_mark(character) {
            text.push(character);
        }
    }
    Cow::Owned(text)
}
