//! NVIDIA's cards: NVML for identity, memory and health, the CUDA driver API for what computes. Neither makes a context.

mod cuda;
mod events;
mod load;
mod probe;
mod sys;
mod xid;

pub(crate) use cuda::Cuda;
pub(crate) use probe::Nvml;
