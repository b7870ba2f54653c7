//! Numbers of errors of NVIDIA's driver ("XID Errors", NVIDIA's deployment guide), as far as they speak of the card. Pure.

use mains_contract::HealthState;

/// What error `xid` says of a card, and what to do. `None` for errors that programs make, and for those that nobody explains.
pub(super) fn meaning(xid: u64) -> Option<(HealthState, String)> {
    let (_, state, words) = KNOWN.iter().find(|(numbers, ..)| numbers.contains(&xid))?;
    Some((*state, format!("Xid {xid}: {words}")))
}

const KNOWN: &[(&[u64], HealthState, &str)] = &[
    (
        &[48, 95, 140],
        HealthState::Failed,
        "data in its memory was lost: reset the card (nvidia-smi --gpu-reset) or restart",
    ),
    (
        &[79],
        HealthState::Failed,
        "it fell off the bus: check its power and its seat, then restart the machine",
    ),
    (
        &[119, 120, 143],
        HealthState::Failed,
        "its own controller does not answer: reset the card (nvidia-smi --gpu-reset) or restart",
    ),
    (
        &[62, 109, 110],
        HealthState::Failed,
        "it stopped: reset the card (nvidia-smi --gpu-reset) or restart",
    ),
    (
        &[64],
        HealthState::Failed,
        "a row of its memory could not be remapped: replace the card",
    ),
    (
        &[63, 92, 94],
        HealthState::Degraded,
        "a part of its memory is worn out and is replaced by spare rows at the next reset",
    ),
    (
        &[74],
        HealthState::Degraded,
        "a link to another card makes errors: check its bridge",
    ),
    (
        &[54],
        HealthState::Degraded,
        "its auxiliary power is not connected: check the cable",
    ),
];

#[cfg(test)]
mod tests {
    use mains_contract::HealthState;

    use super::{KNOWN, meaning};

    #[test]
    fn errors_of_programs_are_none_of_the_card() {
        for xid in [13, 31, 43, 45, 0, 999, u64::MAX] {
            assert_eq!(meaning(xid), None);
        }
        let (state, words) = meaning(79).unwrap();
        assert_eq!(state, HealthState::Failed);
        assert!(words.starts_with("Xid 79: it fell off the bus"), "{words}");
    }

    #[test]
    fn each_number_is_explained_once() {
        let mut numbers: Vec<u64> = KNOWN
            .iter()
            .flat_map(|(numbers, ..)| numbers.iter().copied())
            .collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
    }
}
