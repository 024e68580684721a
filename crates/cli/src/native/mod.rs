//! What the commands share: models, the terminal, interruptions.

pub(crate) mod heatmap;
pub(crate) mod interrupt;
pub(crate) mod synthetic;
pub(crate) mod terminal;

use std::path::Path;

use vidsieve::Model;
use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::Encoder;
use vidsieve_record::{DrawnRecords, Shape};

use crate::output::Failure;

/// The model of a file, or without one the built-in model.
pub(crate) fn model(path: Option<&Path>) -> Result<Model, vidsieve::Error> {
    path.map_or_else(Model::built_in, Model::open)
}

/// Returns drawn records that fit a bundle.
pub(crate) fn drawn(bundle: &Bundle, frames: usize, seed: u64) -> Result<DrawnRecords, Failure> {
    let encoder = Encoder::new(vidsieve::instruction_set()?, bundle)?;
    let (codes, dims) = (encoder.shape(), encoder.global_dims());
    let shape = Shape { frames, regions: codes.regions(), bits: codes.bits(), dims };
    Ok(DrawnRecords::new(bundle.id(), shape, seed))
}
