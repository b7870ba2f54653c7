//! Opens makers' libraries and turns what they say into devices: one mechanism, of which each maker's folder fills in a
//! table.
//!
//! A maker is a [`Vendor`]: how its library is started and its devices are numbered, and a list of [`call::Call`]s, each
//! of which names a symbol, the shape of its arguments and where the answer's bytes hold which fact in which unit. A
//! symbol that is missing, or a code that says "not supported", costs the facts of that call; any other code is a problem
//! beside the devices.
//!
//! Invariant: nothing that a library answers is believed before it was bounded ([`facts`]).

pub(crate) mod call;
pub(crate) mod facts;
pub(crate) mod layout;
pub(crate) mod nvml;
pub(crate) mod open;
mod probe;
pub(crate) mod rocm_smi;
pub(crate) mod vendor;

pub(crate) use probe::LibraryProbe;
