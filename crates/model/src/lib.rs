//! The networks of Distill-and-Select (DnS), the bundle that holds their weights, and frame preprocessing.
//!
//! Weights come from a [`bundle::Bundle`] or an official checkpoint as a [`weights::StateDict`]; a network is built from
//! one and a part of [`config::Config`]. The same code serves native programs, pages and Workers.

pub mod alignment;
mod attention;
pub mod backbone;
pub mod bundle;
pub mod calibration;
mod change;
pub mod coarse;
pub mod config;
#[cfg(feature = "checkpoint")]
pub mod convert;
pub mod direct;
pub mod encoder;
pub mod extractor;
pub mod fine;
pub mod footage;
pub mod frames;
pub mod math;
pub mod merge;
mod network;
pub mod regions;
pub mod selector;
pub mod tensors;
pub mod weights;
pub mod whitening;

#[cfg(test)]
mod golden;
