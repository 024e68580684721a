//! Metrics, golden parity and benchmarks.
