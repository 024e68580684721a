//! Drawn records for benchmarks and for calculations of costs.

use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::{Encoder, window_count};
use vidsieve_record::{DrawnRecords, Shape};

use crate::output::Failure;

/// Returns drawn records of the bundle's shape; `frames` each.
pub(crate) fn drawn(bundle: &Bundle, frames: usize, seed: u64) -> Result<DrawnRecords, Failure> {
    let encoder = Encoder::new(vidsieve::instruction_set()?, bundle)?;
    let (codes, dims) = (encoder.shape(), encoder.global_dims());
    let shape = Shape { frames, regions: codes.regions(), bits: codes.bits(), dims, windows: window_count(frames) };
    Ok(DrawnRecords::new(bundle.id(), shape, seed))
}

/// Reads a number of frames of a command line, 1 to 100,000.
pub(crate) fn frames(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(|| "must be 1 to 100000".to_owned())
}
