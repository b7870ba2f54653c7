//! Makes one inventory of what the sources say, over time. Pure: values in, values out, the time injected.
//!
//! - [`SOURCES`] is the one list of sources, with what each is believed
//! - [`accept`] bounds what a source said to what it may say
//! - [`inventory`] joins what all sources said into one list, in which a card that several saw is one device
//! - [`Board`] keeps each source's last good answer, and tells which is old and which device is gone
//! - [`Watch`] keeps what was measured of each device over time, and judges its state
//! - [`makers`] is who makes accelerators
//!
//! Invariant: nothing here opens a library or reads a file, so that the process that faces the network may use it.

mod accept;
mod advice;
mod board;
mod health;
mod join;
pub mod makers;
mod memory;
mod sources;

pub use accept::accept;
pub use board::Board;
pub use health::{SAMPLES, Sample, Watch};
pub use join::{Answer, inventory};
pub use sources::{SOURCES, Source, source, unverified};
