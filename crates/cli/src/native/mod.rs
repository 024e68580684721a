//! What the commands share: models, the terminal, interruptions.

#[cfg(any(feature = "eval", feature = "remote"))]
pub(crate) mod drawn;
pub(crate) mod heatmap;
pub(crate) mod interrupt;
#[cfg(feature = "eval")]
pub(crate) mod synthetic;
pub(crate) mod terminal;

use std::path::Path;

use vidsieve::{Model, Sampling};

/// The model of a file, or without one the built-in model.
pub(crate) fn model(path: Option<&Path>) -> Result<Model, vidsieve::Error> {
    path.map_or_else(Model::built_in, Model::open)
}

/// Reads the value of `--fps`: `auto` or frames a second.
pub(crate) fn fps(text: &str) -> Result<Sampling, String> {
    match text {
        "auto" => Ok(Sampling::Adaptive),
        _ => text.parse().map(Sampling::Fps).map_err(|_| "must be `auto` or a number of frames a second".to_owned()),
    }
}
