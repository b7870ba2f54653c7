//! The daemon: configuration, wiring, systemd.
fn main() {}
