//! AMD's cards: the kernel's files first, then ROCm's management library for what they do not tell.

mod load;
mod probe;
mod rocm;
mod sys;

pub(crate) use probe::Amdgpu;
pub(crate) use rocm::Rocm;
