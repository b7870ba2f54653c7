//! The sandboxed worker: one process, one role.
fn main() {}
