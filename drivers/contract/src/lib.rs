//! All that the engine and the planner see of a device.
//!
//! A family declaration builds a [`Graph`] of [`Op`]s. A [`Driver`] says which of them it supports, states the bytes
//! that a load takes as a [`FootprintModel`] of values, loads weights in its own layout and runs [`Step`]s. The engine
//! never sees a kernel, and a driver never sees a request.
//!
//! Invariant: nothing here does I/O, and nothing here names a concrete driver or a family.

mod bytes;
mod cache;
mod check;
mod costs;
mod device;
mod driver;
mod driver_facts;
mod footprint;
mod graph;
mod kinds;
mod op;
mod packed;
mod parts;
mod probe;
mod products;
mod shapes;
mod split;
mod state;
mod step;
mod uses;

pub use bytes::Bytes;
pub use cache::{CACHE_FORMATS, cache_refusal, cache_rotation};
pub use costs::FormatCosts;
pub use device::{
    Device, DeviceKind, EccErrors, Health, HealthState, Inventory, Link, Memory, Problem, Runtime,
};
pub use driver::{Capabilities, Driver, DriverError, LoadedModel, Unsupported, WeightData, WeightSource};
pub use driver_facts::{DriverFacts, Measured, Precision};
pub use footprint::{Footprint, FootprintModel, StepLimits};
pub use graph::{Graph, GraphBuilder, GraphError, Node, OutputName, ValueId, WeightDecl, WeightId};
pub use kinds::{Activation, ExpertGroups, GroupRank, RopePairing, Scoring};
pub use mains_blocks::BlockFormat;
pub use op::Op;
pub use packed::{KeptWeight, PACKED_ALIGNMENT, Packer, SharedBytes};
pub use parts::{Border, PartsOfWeight, run_costs, run_count, run_index};
pub use probe::{Anew, Probe, ProbeError, ProbeReport, Watch};
pub use products::Products;
pub use state::{BlockId, SequenceState, SlotId, StateId, StateSpec};
pub use step::{SequenceSpan, Step};
pub use uses::WeightUse;
