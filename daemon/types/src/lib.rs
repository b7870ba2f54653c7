//! Nouns of the daemon, with units. No I/O.
