//! The command line: a client of the sockets.
fn main() {}
