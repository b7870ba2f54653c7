//! Small graphs with random weights, and ways to run them.

mod compare;
mod drivers;
mod layer;
mod sequences;
mod weights;

pub use compare::{same_bits, worst_error};
pub use drivers::{available, cpu, reference};
pub use layer::{LayerShape, layer};
pub use sequences::{Chunk, Runner};
pub use weights::{Random, Weights};
