//! Evaluation of Vidsieve: the data sets' metrics, parity with the golden numbers, and benchmarks.

pub mod bench;
pub mod metrics;
pub mod parity;
pub mod plots;
pub mod retrieval;
pub mod rule;
