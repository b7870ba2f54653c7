//! The interface over real Unix sockets, with a backend of values.

mod admin;
mod bounds;
mod fake;
mod fake_store;
mod generation;
mod imports;
mod reading;
