//! Frames between `mainsd` and its workers.
//!
//! A frame is a length (4 bytes, big endian, [`Frame::MAX_BYTES`] at the most) and one postcard value. Both sides start
//! with a `Hello`, whose layout never changes; a side that finds another [`PROTOCOL_VERSION`] in it ends the connection.
//!
//! Types on the wire are private to this module: callers see nouns of `mains-types` and `mains-contract`, and every
//! collection, text and number is checked against a named bound before it becomes one.
//!
//! Flow: `mainsd` reads a worker's stream all the time and buffers a bounded amount a request. A request whose client does
//! not keep up is paused (`Pause`, `Resume`): the worker leaves it out of its steps, and the others go on. When `mainsd`
//! itself stops reading, the worker stops computing.

pub mod bounds;
mod codec;
mod convert;
mod error;
mod events;
mod facts;
mod from_worker;
mod generate;
mod hello;
mod inherited;
mod inventory;
mod measured;
mod pack;
mod plan;
mod sampling;
mod sensitivity;
mod to_worker;

pub use codec::{Frame, FrameReader, FrameWriter, decode, encode};
pub use convert::ConvertOrder;
pub use error::FrameError;
pub use from_worker::FromWorker;
pub use hello::{BUILD_ID, DaemonHello, PROTOCOL_VERSION, Role, Wall, WorkerHello};
pub use inherited::{CONNECTION_DESCRIPTOR, inherited_connection};
pub use pack::PackOrder;
pub use sensitivity::SensitivityOrder;
pub use to_worker::ToWorker;
