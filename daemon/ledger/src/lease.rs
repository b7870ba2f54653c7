//! The lease of a request: how many tokens may leave before the next commit. Pure.

/// The most that a crash may bill beyond what was received. A smaller one costs an fsync more often, a larger one costs
/// the team more after a crash: 64 tokens are about a second of output, and a tenth of a page.
pub const LEASE_TOKENS: u32 = 64;

/// Tokens that may be on their way between the ledger's acknowledgement and the client's socket when the daemon dies.
/// A lease is extended by this much less, so that [`LEASE_TOKENS`] holds for what the client received.
pub const IN_FLIGHT_TOKENS: u32 = 16;

/// Tokens that one extension adds to what has left: the most that a chunk may have, too.
pub const EXTENSION_TOKENS: u32 = LEASE_TOKENS - IN_FLIGHT_TOKENS;

/// What may leave and what has left, in completion tokens over all choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    most: u32,
    leased: u32,
    covered: u32,
}

impl Lease {
    /// The first lease of a request that makes `most` tokens at the most. Nothing was sent yet, so it is a whole one.
    pub(crate) const fn first(most: u32) -> Self {
        let leased = if most < LEASE_TOKENS { most } else { LEASE_TOKENS };
        Self {
            most,
            leased,
            covered: 0,
        }
    }

    /// What is durable.
    pub(crate) const fn leased(&self) -> u32 {
        self.leased
    }

    /// What was covered last: all that may have left.
    pub(crate) const fn covered(&self) -> u32 {
        self.covered
    }

    /// The lease to commit before `tokens` in all may leave; `None` when the present one has room.
    pub(crate) fn wanted(&self, tokens: u32) -> Option<u32> {
        let extended = self.covered.saturating_add(EXTENSION_TOKENS).min(self.most);
        (tokens > self.leased).then(|| extended.max(tokens))
    }

    /// A lease of `leased` is durable.
    pub(crate) fn grant(&mut self, leased: u32) {
        self.leased = self.leased.max(leased);
    }

    /// `tokens` in all are about to leave.
    pub(crate) fn cover(&mut self, tokens: u32) {
        self.covered = self.covered.max(tokens);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_lease_is_never_short_and_never_far_ahead(
            most in 0..500u32,
            chunks in prop::collection::vec(0..=EXTENSION_TOKENS, 0..60),
        ) {
            let mut lease = Lease::first(most);
            prop_assert!(lease.leased() <= most.min(LEASE_TOKENS));
            let mut sent = 0;
            for chunk in chunks {
                let tokens = (sent + chunk).min(most);
                if let Some(wanted) = lease.wanted(tokens) {
                    prop_assert!(wanted > lease.leased() && wanted >= tokens && wanted <= most);
                    prop_assert!(wanted <= sent + EXTENSION_TOKENS);
                    lease.grant(wanted);
                }
                lease.cover(tokens);
                sent = tokens;
                prop_assert!(sent <= lease.leased() && lease.leased() <= sent + LEASE_TOKENS);
            }
        }
    }

    #[test]
    fn what_leaves_is_leased_even_beyond_the_most_that_was_said() {
        let lease = Lease::first(10);
        assert_eq!(lease.wanted(11), Some(11));
        assert_eq!(lease.wanted(10), None);
    }
}
