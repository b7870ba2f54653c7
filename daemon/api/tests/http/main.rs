//! The interface over real Unix sockets, with a backend of values.

mod admin;
mod bounds;
mod fake;
mod generation;
mod reading;
