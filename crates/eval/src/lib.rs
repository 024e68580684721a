//! Evaluation of Vidsieve: metrics, plain baselines, retrieval on labelled videos, parity with the
//! golden numbers, and kernel benchmarks. Training and the benchmarks of whole bundles are built on
//! it.

pub mod baselines;
pub mod bench;
pub mod charts;
pub mod dataset;
pub mod metrics;
pub mod parity;
pub mod plots;
pub mod retrieval;
pub mod rule;
pub mod segments;
