//! Parity and kernel benchmarks under WASI.
fn main() {}
