//! The naive float32 driver, the oracle of every test.
