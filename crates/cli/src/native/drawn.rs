//! Drawn records for benchmarks and for calculations of costs.

use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::Encoder;
use vidsieve_record::{DrawnRecords, Shape};

use crate::output::Failure;

/// Returns drawn records of the bundle's shape; `frames` each.
pub(crate) fn drawn(bundle: &Bundle, frames: usize, seed: u64) -> Result<DrawnRecords, Failure> {
    let encoder = Encoder::new(vidsieve::instruction_set()?, bundle)?;
    let (codes, dims) = (encoder.shape(), encoder.global_dims());
    let shape = Shape { frames, regions: codes.regions(), bits: codes.bits(), dims };
    Ok(DrawnRecords::new(bundle.id(), shape, seed))
}
