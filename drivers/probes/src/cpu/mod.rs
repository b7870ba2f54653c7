//! The host's processors and memory, from the files of the Linux kernel.

mod cgroup;
mod load;
mod probe;
mod sys;

pub use probe::CpuProbe;
