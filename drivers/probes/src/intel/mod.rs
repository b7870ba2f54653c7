//! Intel's graphics: the kernel's files, and Level Zero's system management for what they do not tell.

mod level_zero;
mod load;
mod probe;
mod sys;

pub(crate) use level_zero::LevelZero;
pub(crate) use probe::IntelGraphics;
