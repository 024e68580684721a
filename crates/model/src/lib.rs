//! The networks of Distill-and-Select (DnS), the bundle that holds their weights, and frame preprocessing.
//!
//! Weights come from a [`bundle::Bundle`] or an official checkpoint as a [`weights::StateDict`]; a network is built from
//! one and a part of [`config::Config`]. The same code serves native programs, pages and Workers.

pub mod bundle;
#[cfg(feature = "checkpoint")]
pub mod checkpoint;
pub mod config;
pub mod selector;
pub mod merge;
pub mod math;
pub mod fine;
pub mod frames;
pub mod coarse;
mod attention;
pub mod regions;
pub mod tensors;
pub mod weights;
pub mod whitening;

#[cfg(test)]
mod golden;
