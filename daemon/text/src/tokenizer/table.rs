//! Which bytes each token id stands for.

use std::collections::HashMap;
use std::sync::LazyLock;

/// GPT-2's byte alphabet (`encoder.py`, `bytes_to_unicode`): bytes that print stand for themselves, the others for the
/// characters from U+0100 on, in order.
static BYTE_OF: LazyLock<HashMap<char, u8>> = LazyLock::new(|| {
    let mut next = 0x100_u32;
    (0..=u8::MAX)
        .map(|byte| {
            let prints = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            let code = if prints { u32::from(byte) } else { next };
            next += u32::from(!prints);
            (
                char::from_u32(code).expect("codes below U+0200 are characters"),
                byte,
            )
        })
        .collect()
});

/// The characters of the alphabet that stand for bytes which occur in UTF-8.
pub(super) fn utf8_alphabet() -> impl Iterator<Item = (char, u8)> {
    let never = |byte: u8| matches!(byte, 0xC0 | 0xC1 | 0xF5..=0xFF);
    BYTE_OF
        .iter()
        .map(|(&letter, &byte)| (letter, byte))
        .filter(move |&(_, byte)| !never(byte))
}

/// The bytes that a vocabulary entry spells; its own UTF-8 when it has a character outside the alphabet.
pub(super) fn spelled_bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| BYTE_OF.get(&letter).copied())
        .collect::<Option<Vec<u8>>>()
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Bytes by token id, in one allocation.
#[derive(Debug)]
pub(super) struct TokenTable {
    bytes: Vec<u8>,
    /// Start and end in `bytes`; equal to `ABSENT` where no token has the id.
    ranges: Vec<(u32, u32)>,
}

const ABSENT: (u32, u32) = (u32::MAX, 0);

impl TokenTable {
    /// Sets the bytes of an id. False when there are 4 GiB of them.
    pub(super) fn set(&mut self, id: u32, token: &[u8]) -> bool {
        let index = id as usize;
        if self.ranges.len() <= index {
            self.ranges.resize(index + 1, ABSENT);
        }
        let start = u32::try_from(self.bytes.len());
        let end = u32::try_from(self.bytes.len() + token.len());
        let (Ok(start), Ok(end)) = (start, end) else {
            return false;
        };
        self.bytes.extend_from_slice(token);
        self.ranges[index] = (start, end);
        true
    }

    /// A table of `len` ids, which have no bytes yet.
    pub(super) fn of(len: usize) -> Self {
        Self {
            bytes: Vec::new(),
            ranges: vec![ABSENT; len],
        }
    }

    /// Gives up room for more tokens, which depends on the order that they came in.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ranges.shrink_to_fit();
    }

    pub(super) fn get(&self, id: u32) -> Option<&[u8]> {
        let &(start, end) = self.ranges.get(id as usize)?;
        self.bytes.get(start as usize..end as usize)
    }

    pub(super) fn longest(&self) -> usize {
        self.ranges
            .iter()
            .map(|(start, end)| end.saturating_sub(*start) as usize)
            .max()
            .unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_one_letter_a_byte() {
        let mut bytes: Vec<_> = BYTE_OF.values().copied().collect();
        bytes.sort_unstable();
        assert!(bytes.into_iter().eq(0..=u8::MAX));
        assert_eq!(spelled_bytes("Ġhi"), b" hi");
        assert_eq!(spelled_bytes("Ċ"), b"\n");
        assert_eq!(spelled_bytes("a b"), b"a b", "a space is outside the alphabet");
    }

    #[test]
    fn ids_without_a_token_have_no_bytes() {
        let mut table = TokenTable::of(5);
        assert!(table.set(2, b"") && table.set(1, b"ab"));
        table.shrink();
        let all: Vec<_> = (0..6).map(|id| table.get(id)).collect();
        assert_eq!(all, [None, Some(&b"ab"[..]), Some(&b""[..]), None, None, None]);
        assert_eq!((table.len(), table.longest()), (5, 2));
    }
}
