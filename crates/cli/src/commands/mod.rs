//! One module for each command.

pub(crate) mod bench;
pub(crate) mod eval;
pub(crate) mod model;
pub(crate) mod retrieval;
#[cfg(feature = "train")]
pub(crate) mod train;
