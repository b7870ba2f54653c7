//! Sizes of memory and of disks as people write them.

use mains_contract::Bytes;

/// Words for what was not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size: give bytes, or a number with KiB, MiB, GiB or TiB, such as 6GiB or 3.5MiB")]
pub struct NoSize(String);

/// The bytes that `text` means, rounded down: a number, or one with KiB, MiB, GiB or TiB.
///
/// # Errors
/// [`NoSize`] when it is something else, or more than 64 bits count.
pub fn parse_size(text: &str) -> Result<Bytes, NoSize> {
    let no_size = || NoSize(text.to_owned());
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(no_size()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Nine digits hold every fraction of a TiB to within a KiB, and their product fits 128 bits.
    if fraction.is_empty() || fraction.len() > 9 {
        return Err(no_size());
    }
    let whole: u64 = whole.parse().map_err(|_| no_size())?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| no_size())?);
    let fraction: u128 = fraction.parse().map_err(|_| no_size())?;
    let bytes = (u128::from(whole) << shift) + ((fraction << shift) / scale);
    u64::try_from(bytes).map(Bytes).map_err(|_| no_size())
}

#[cfg(test)]
mod tests {
    use mains_contract::Bytes;
    use proptest::prelude::*;

    use super::parse_size;

    #[test]
    fn binary_units() {
        assert_eq!(parse_size("6GiB"), Ok(Bytes(6 << 30)));
        assert_eq!(parse_size("3.5 MiB"), Ok(Bytes(3_670_016)));
        assert_eq!(parse_size("1000"), Ok(Bytes(1000)));
    }

    #[test]
    fn other_units_are_refused() {
        for text in [
            "",
            "GiB",
            "6GB",
            "6 gib",
            "-1",
            "1.",
            ".5GiB",
            "1.2.3",
            "99999999999TiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9.]{0,30}[A-Za-z ]{0,5}") {
            let _ = parse_size(&text);
        }
    }
}
