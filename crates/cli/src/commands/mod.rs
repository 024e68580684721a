//! One module for each command.

pub(crate) mod eval;
pub(crate) mod model;
