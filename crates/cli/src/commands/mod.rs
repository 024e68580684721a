//! One module for each command.

pub(crate) mod bench;
pub(crate) mod eval;
pub(crate) mod model;
#[cfg(feature = "train")]
pub(crate) mod train;
