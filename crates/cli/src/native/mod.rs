//! What the commands share: models, the terminal, interruptions.

#[cfg(any(feature = "eval", feature = "remote"))]
pub(crate) mod drawn;
pub(crate) mod heatmap;
pub(crate) mod interrupt;
#[cfg(feature = "eval")]
pub(crate) mod synthetic;
pub(crate) mod terminal;

use std::path::Path;

use vidsieve::Model;

/// The model of a file, or without one the built-in model.
pub(crate) fn model(path: Option<&Path>) -> Result<Model, vidsieve::Error> {
    path.map_or_else(Model::built_in, Model::open)
}
