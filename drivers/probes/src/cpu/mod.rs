//! The host's processors and memory, from the files of the Linux kernel.

mod cgroup;
mod load;
mod probe;
mod sys;
mod watch;

pub use probe::CpuProbe;
