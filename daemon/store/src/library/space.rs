//! Whether there is room for what comes.

use mains_contract::Bytes;

use crate::disk::Space;

/// The part of a disk that stays free, as `1 / KEPT`: 5 %. File systems get slow and the ledger stops when they are full.
const KEPT: u64 = 20;

/// What is missing, if `needed` more bytes would leave less than 5 % of the disk free.
pub(crate) fn missing(space: Space, needed: Bytes) -> Option<Bytes> {
    let wanted = needed.0.saturating_add(space.total.0.div_ceil(KEPT));
    let missing = wanted.saturating_sub(space.free.0);
    (missing > 0).then_some(Bytes(missing))
}

#[cfg(test)]
mod tests {
    use mains_contract::Bytes;
    use proptest::prelude::*;

    use super::{Space, missing};

    #[test]
    fn five_percent_stay() {
        let space = Space {
            free: Bytes(30),
            total: Bytes(100),
        };
        assert_eq!(missing(space, Bytes(25)), None);
        assert_eq!(missing(space, Bytes(26)), Some(Bytes(1)));
    }

    proptest! {
        #[test]
        fn what_is_missing_is_just_enough(free: u32, total: u32, needed: u32) {
            let space = |free: u64| Space { free: Bytes(free), total: Bytes(total.into()) };
            if let Some(short) = missing(space(free.into()), Bytes(needed.into())) {
                prop_assert_eq!(missing(space(u64::from(free) + short.0), Bytes(needed.into())), None);
                prop_assert!(missing(space(u64::from(free) + short.0 - 1), Bytes(needed.into())).is_some());
            }
        }
    }
}
