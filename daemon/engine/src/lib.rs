//! Family declarations, shared blocks, paged state, scheduler, sampling.

pub mod blocks;
pub mod models;
pub mod sampling;
pub mod scheduler;
pub mod state;
