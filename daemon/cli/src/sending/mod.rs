//! A model on this user's disk, on its way to the daemon.
//!
//! The daemon opens no path of a user: this program reads the files as they are and sends their bytes.

mod send;
mod source;

pub(crate) use send::send;
pub(crate) use source::Source;
