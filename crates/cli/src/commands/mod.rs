//! One module for each command.

#[cfg(feature = "train")]
pub(crate) mod ablation;
#[cfg(feature = "eval")]
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod complete;
#[cfg(feature = "eval")]
pub(crate) mod dataset;
pub(crate) mod dedupe;
#[cfg(feature = "eval")]
pub(crate) mod eval;
#[cfg(feature = "eval")]
pub(crate) mod films;
#[cfg(feature = "train")]
pub(crate) mod hard;
pub(crate) mod index;
pub(crate) mod library;
#[cfg(all(feature = "eval", feature = "remote"))]
pub(crate) mod load;
pub(crate) mod model;
#[cfg(feature = "remote")]
pub(crate) mod push;
#[cfg(feature = "eval")]
pub(crate) mod retrieval;
pub(crate) mod samples;
pub(crate) mod search;
#[cfg(feature = "eval")]
pub(crate) mod segments;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(feature = "train")]
pub(crate) mod train;
#[cfg(feature = "eval")]
pub(crate) mod trust;
