//! Checks a `precompiled_charsmap` of SentencePiece before the library follows it: it trusts every index in there.
//!
//! The format is the one of sentencepiece's `normalizer.cc`: the length of a double-array trie in bytes, its units of 32
//! bits, and the texts that the trie's values are offsets into, each with a zero behind it. Units are those of Darts-clone.

use super::build::bad;
use crate::TextError;

/// Units that hold values, not branches.
const VALUE: u32 = 1 << 31;
/// The mark of a unit that has a value below it.
const HAS_VALUE: u32 = 1 << 8;

/// # Errors
/// [`TextError::BadTokenizer`] when an index leaves the trie or the texts.
pub(super) fn check(charsmap: &[u8]) -> Result<(), TextError> {
    let bad = || bad("its precompiled_charsmap is damaged");
    let (size, rest) = charsmap.split_first_chunk().ok_or_else(bad)?;
    let size = u32::from_le_bytes(*size) as usize;
    let (trie, texts) = rest.split_at_checked(size).ok_or_else(bad)?;
    let texts = str::from_utf8(texts).map_err(|_| bad())?;
    let units: Vec<u32> = trie
        .as_chunks()
        .0
        .iter()
        .map(|raw| u32::from_le_bytes(*raw))
        .collect();
    if units.is_empty() || !size.is_multiple_of(4) {
        return Err(bad());
    }
    for (at, unit) in units.iter().enumerate().filter(|(_, unit)| *unit & VALUE == 0) {
        let offset = (unit >> 10) << ((unit & 1 << 9) >> 6);
        let below = at ^ offset as usize;
        // A step from here goes to `below` with any byte in its low bits.
        if (below | 0xff) >= units.len() {
            return Err(bad());
        }
        let text = (units[below] & !VALUE) as usize;
        if unit & HAS_VALUE != 0 && !texts.is_char_boundary(text) {
            return Err(bad());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    fn charsmap(units: &[u32], texts: &str) -> Vec<u8> {
        let mut bytes = u32::try_from(units.len() * 4).unwrap().to_le_bytes().to_vec();
        units.iter().for_each(|unit| bytes.extend(unit.to_le_bytes()));
        bytes.extend(texts.as_bytes());
        bytes
    }

    #[test]
    fn indices_stay_inside() {
        let mut units = vec![0; 256];
        assert_eq!(check(&charsmap(&units, "a\0")), Ok(()));
        // The root leads to itself, with a value at 0: the unit itself, as an offset of 256.
        units[0] = 1 << 8;
        assert!(check(&charsmap(&units, "a\0")).is_err());
        assert_eq!(check(&charsmap(&units, &"a".repeat(300))), Ok(()));
        units[7] = 1 << 18;
        assert!(check(&charsmap(&units, &"a".repeat(300))).is_err());
        assert!(check(&charsmap(&[0; 200], "")).is_err());
    }

    #[test]
    fn a_length_is_no_longer_than_the_bytes() {
        assert!(check(&[]).is_err());
        assert!(check(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]).is_err());
        assert!(check(&charsmap(&[0; 256], "")[..900]).is_err());
    }
}
