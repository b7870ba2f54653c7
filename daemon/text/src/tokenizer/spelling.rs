//! How the entries of a vocabulary spell bytes.

use std::collections::{HashMap, HashSet};

use super::table::{spelled_bytes, utf8_alphabet};

/// What SentencePiece writes for a space (U+2581).
pub(super) const SPACE: char = '▁';

/// How entries spell bytes.
pub(super) enum Spelling {
    /// A letter of GPT-2's alphabet a byte.
    ByteLevel,
    /// Plain text with `▁` for spaces; `<0x0A>` is a byte.
    SentencePiece,
    /// Plain text; words begin with a space that is not written, and what continues a word begins with this.
    WordPiece(String),
}

impl Spelling {
    /// The bytes of an entry.
    pub(super) fn bytes(&self, text: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel => spelled_bytes(text),
            Self::SentencePiece => match byte_of(text) {
                Some(byte) => vec![byte],
                None => text.replace(SPACE, " ").into_bytes(),
            },
            Self::WordPiece(prefix) => match text.strip_prefix(prefix) {
                Some(rest) => rest.as_bytes().to_vec(),
                None => format!(" {text}").into_bytes(),
            },
        }
    }

    /// The bytes of an added token.
    pub(super) fn added_bytes(&self, text: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel | Self::WordPiece(_) => text.as_bytes().to_vec(),
            Self::SentencePiece => self.bytes(text),
        }
    }

    /// The tokens that every text can be spelled with, one for each byte that occurs in UTF-8.
    pub(super) fn byte_tokens(&self) -> Vec<(String, u8)> {
        let letters = utf8_alphabet();
        match self {
            Self::ByteLevel => letters.map(|(letter, byte)| (letter.to_string(), byte)).collect(),
            Self::SentencePiece => letters.map(|(_, byte)| (byte_token(byte), byte)).collect(),
            Self::WordPiece(_) => Vec::new(),
        }
    }

    /// The entries that a single character comes to before anything is merged.
    pub(super) fn letters(&self, vocabulary: &HashMap<String, u32>) -> HashSet<String> {
        match self {
            Self::ByteLevel => utf8_alphabet().map(|(letter, _)| letter.to_string()).collect(),
            Self::SentencePiece | Self::WordPiece(_) => {
                let single = |text: &&String| text.chars().nth(1).is_none();
                vocabulary.keys().filter(single).cloned().collect()
            }
        }
    }
}

/// SentencePiece's token for a byte.
fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The byte that a token stands for, if it is such a token.
pub(super) fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (byte_token(byte) == text).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::{Spelling, byte_of};

    #[test]
    fn entries_spell_bytes() {
        let spaced = Spelling::SentencePiece;
        assert_eq!(spaced.bytes("▁▁the"), b"  the");
        assert_eq!(spaced.bytes("<0x0A>"), b"\n");
        assert_eq!(spaced.bytes("<0x0a>"), b"<0x0a>");
        let words = Spelling::WordPiece("##".to_owned());
        assert_eq!(
            (words.bytes("play"), words.bytes("##ing")),
            (b" play".to_vec(), b"ing".to_vec())
        );
        assert_eq!(Spelling::ByteLevel.bytes("Ġa"), b" a");
        assert_eq!(
            [byte_of("<0xFF>"), byte_of("<0xF>"), byte_of("<0x+F>")],
            [Some(255), None, None]
        );
    }
}
