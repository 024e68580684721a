//! The `vidsieve` command.
fn main() {}
