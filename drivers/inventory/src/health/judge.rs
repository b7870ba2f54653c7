//! The state machine of one device.

use std::time::{Duration, SystemTime};

use mains_contract::{Device, EccErrors, Health, HealthState};

/// How long a reason holds after it was last seen: a card that is slowed down by heat swings about the threshold.
const HOLD: Duration = Duration::from_mins(1);

/// How long lost data counts: one event is a particle, several within a day are a card that wears out.
const MEMORY_HOLD: Duration = Duration::from_hours(24);

/// Readings in a row that a link must be narrow or a source silent: one is a card that was just asked while it changed.
const IN_A_ROW: u32 = 3;

/// Reasons that are kept. A device with more is unwell whatever the others say.
const MAX_REASONS: usize = 16;

/// What is known about one device's state.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    reasons: Vec<Reason>,
    /// Lanes at the best reading.
    widest: Option<u32>,
    narrow: u32,
    silent: u32,
    /// Uncorrected errors at the last reading.
    uncorrected: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    state: HealthState,
    words: String,
    until: SystemTime,
}

impl Judge {
    /// Takes note of a reading.
    pub(super) fn note(&mut self, device: &Device, silent: bool, now: SystemTime) {
        self.reasons.retain(|reason| reason.until > now);
        if device.health.state == HealthState::Lost {
            // What comes back may sit in another slot, and counts its errors anew.
            *self = Self::default();
            return;
        }
        self.silent = if silent { self.silent.saturating_add(1) } else { 0 };
        if self.silent >= IN_A_ROW {
            let from = device.sources.join(", ");
            self.hold(
                HealthState::Degraded,
                format!("no news of it from {from}: its numbers are old"),
                now,
                HOLD,
            );
        }
        if silent {
            return;
        }
        // A source's state without words is held by the state alone.
        for words in &device.health.reasons {
            self.hold(device.health.state, words.clone(), now, HOLD);
        }
        self.note_memory(device.ecc, now);
        self.note_link(device, now);
    }

    fn note_memory(&mut self, ecc: Option<EccErrors>, now: SystemTime) {
        let Some(errors) = ecc.and_then(|ecc| ecc.uncorrected) else {
            return;
        };
        let before = self.uncorrected.replace(errors);
        // A counter that fell was started anew with the driver.
        let new = before.map_or(0, |before| errors.saturating_sub(before));
        if new > 0 {
            let words = "data in its memory was lost to an error that could not be corrected: if it happens again within \
                         days, replace the card";
            self.hold(HealthState::Degraded, words.to_owned(), now, MEMORY_HOLD);
        }
    }

    fn note_link(&mut self, device: &Device, now: SystemTime) {
        let Some(width) = device.link.and_then(|link| link.width) else {
            return;
        };
        let widest = self.widest.map_or(width, |widest| widest.max(width));
        self.widest = Some(widest);
        self.narrow = if width < widest {
            self.narrow.saturating_add(1)
        } else {
            0
        };
        if self.narrow >= IN_A_ROW {
            let words =
                format!("its PCI Express link fell from {widest} lanes to {width}: seat the card anew");
            self.hold(HealthState::Degraded, words, now, HOLD);
        }
    }

    /// A reason that is known holds on; of too many the one that ends first goes.
    fn hold(&mut self, state: HealthState, words: String, now: SystemTime, hold: Duration) {
        if state == HealthState::Ok {
            return;
        }
        let until = now.checked_add(hold).unwrap_or(now);
        if let Some(known) = self.reasons.iter_mut().find(|known| known.words == words) {
            known.state = state;
            known.until = until;
            return;
        }
        if self.reasons.len() >= MAX_REASONS {
            let first = self
                .reasons
                .iter()
                .enumerate()
                .min_by_key(|(_, reason)| reason.until);
            if let Some(index) = first.map(|(index, _)| index) {
                self.reasons.remove(index);
            }
        }
        self.reasons.push(Reason { state, words, until });
    }

    /// The state at `now` of `device`, whose sources' own words come first.
    pub(super) fn health(&self, device: &Device, now: SystemTime) -> Health {
        let mut health = device.health.clone();
        let lost = health.state == HealthState::Lost;
        for reason in self.reasons.iter().filter(|reason| !lost && reason.until > now) {
            if reason.state.severity() > health.state.severity() {
                health.state = reason.state;
            }
            if !health.reasons.contains(&reason.words) {
                health.reasons.push(reason.words.clone());
            }
        }
        health.reasons.truncate(MAX_REASONS);
        if health.state != HealthState::Ok && health.reasons.is_empty() {
            health.reasons.push("its source does not say why".to_owned());
        }
        health
    }
}
