//! The search of Distill-and-Select over an index of records, without input or output of its own.
//!
//! A search has two pages, and [`Session`] leads from one to the other. [`Engine::plan`] scans a [`Table`] of all videos with S^c's vectors, asks the selector which of
//! the answers are to be doubted, and chooses the pairs that the [`Budget`] pays for: that is enough for the coarse page. The
//! caller fetches the records of [`Plan::selected`] from wherever they lie, [`Engine::compare`] compares them frame by frame,
//! and [`Plan::page`] merges both into the refined page. [`Engine::segments`] tells where two videos match.
//!
//! The same code answers natively, in a page and in a Worker.

pub mod budget;
pub mod cluster;
pub mod comparison;
pub mod engine;
pub mod matrix;
pub mod plan;
pub mod quantised;
pub mod segments;
pub mod session;
pub mod table;

pub use budget::Budget;
pub use comparison::Comparison;
pub use engine::{Engine, Pair, Query, SearchError};
pub use matrix::Matrix;
pub use plan::{Hit, Outcome, Plan, Stage};
pub use quantised::{Quantised, Wanted};
pub use segments::Segment;
pub use session::{Fetched, Session};
pub use table::Table;
