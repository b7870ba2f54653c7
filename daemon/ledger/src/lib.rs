//! The SQLite record of usage.
