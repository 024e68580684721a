//! The search of Distill-and-Select over an index of records, without input or output of its own.
//!
//! A search has two pages. [`SearchRun`] leads through both: it scans a [`Table`] of all videos
//! with S^c's vectors, asks the selector which coarse scores are doubtful, and selects the pairs
//! that the [`Budget`] pays for; that is enough for the coarse page. Then it says which records it
//! needs, compares them frame by frame, computes the segments of the hits, and returns the refined
//! page. The caller fetches and waits. [`Engine::comparison`] compares two videos alone.
//!
//! The same code answers natively, in a page and in a Worker.

pub mod budget;
pub mod comparison;
pub mod copies;
pub mod engine;
pub mod error;
pub mod hit;
pub mod matrix;
pub mod page;
pub mod placement;
pub mod plan;
pub mod quantised;
pub mod query;
#[cfg(all(feature = "parallel", not(target_family = "wasm")))]
pub mod read_ahead;
pub mod relation;
pub mod run;
pub mod segments;
pub mod session;
pub mod table;
pub mod windows;
pub mod words;

pub use budget::Budget;
pub use comparison::Comparison;
pub use copies::{CopyParameters, CopyRun, CopyStep};
pub use engine::Engine;
pub use error::SearchError;
pub use hit::{Explanation, Hit, HitStage, Outcome, Pair};
pub use matrix::Matrix;
pub use page::{PageStage, SearchPage, SearchTimings};
pub use plan::Plan;
pub use quantised::{BestWindows, Quantised, QuantisedScan, Wanted};
pub use query::Query;
pub use relation::{Coverage, CoverageSide, Relation, Untold, Verdict};
pub use run::{SearchParameters, SearchRun, SearchStep};
pub use segments::{Segment, SegmentPlace};
pub use session::{Fetched, Session};
pub use table::{NO_COSINE, Table};
pub use windows::{CoarseScan, Probe};
