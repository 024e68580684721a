//! Benchmarks of whole bundles, on videos that no training saw.
//!
//! | module | question |
//! |---|---|
//! | [`trust`] | What is an answer worth where different footage looks alike, and is the relation right? |
//! | [`films`] | Is a clip found in a long video, and where? |
//! | `hard` | How well are copies by every kind of edit found among other takes and thousands of distractors? |
//! | `ablation` | What is each part of a network, and each choice of its training, worth? |
//!
//! A benchmark belongs here when it needs networks, edits and corpora together: made videos come
//! from [`vidsieve_edits`] and `vidsieve_train::data`, metrics and plain baselines from
//! [`vidsieve_eval`], which this crate adds none to. What it measures is returned as a report that
//! serialises to JSON and draws itself; printing is left to the caller. Videos and runs are kept in
//! a working folder under the key of their settings (`vidsieve_train::stage`), so that an
//! interrupted benchmark continues and never uses the videos of other settings. The feature `train`
//! brings `hard` and `ablation`.

#[cfg(feature = "train")]
pub mod ablation;
#[cfg(feature = "train")]
mod error;
pub mod films;
#[cfg(feature = "train")]
pub mod hard;
pub mod trust;

#[cfg(feature = "train")]
pub use error::BenchmarkError;
