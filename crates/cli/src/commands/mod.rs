//! One module for each command.

#[cfg(feature = "train")]
pub(crate) mod ablation;
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod complete;
pub(crate) mod dedupe;
pub(crate) mod eval;
#[cfg(feature = "train")]
pub(crate) mod hard;
pub(crate) mod index;
pub(crate) mod library;
#[cfg(feature = "remote")]
pub(crate) mod load;
pub(crate) mod model;
#[cfg(feature = "remote")]
pub(crate) mod push;
pub(crate) mod retrieval;
pub(crate) mod samples;
pub(crate) mod search;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(feature = "train")]
pub(crate) mod train;
