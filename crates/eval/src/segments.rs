//! Matching segments against labelled ones: VCSL's precision, recall and F1, and the micro-averaged
//! precision of the Video Similarity Challenge.

mod files;
mod intervals;
mod vcsl;
mod vsc;

use serde::Serialize;

pub use files::{PairSegments, SegmentError, SegmentFile};
pub use vcsl::{PrecisionRecall, VcslReport, vcsl};
pub use vsc::{VscReport, vsc};

/// A stretch of a query and the stretch of a reference that matches it, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelledSegment {
    /// Start and end in the query.
    pub query: [f64; 2],
    /// Start and end in the reference.
    pub reference: [f64; 2],
    /// Confidence; 1 in labels.
    pub score: f64,
}

impl LabelledSegment {
    /// Start and end on one side.
    fn side(&self, side: Side) -> [f64; 2] {
        match side {
            Side::Query => self.query,
            Side::Reference => self.reference,
        }
    }

    /// What two segments have in common, on both sides; `None` without a common area.
    fn common(&self, other: &Self) -> Option<Self> {
        let side = |a: [f64; 2], b: [f64; 2]| [a[0].max(b[0]), a[1].min(b[1])];
        let both = Self {
            query: side(self.query, other.query),
            reference: side(self.reference, other.reference),
            score: self.score,
        };
        (both.query[1] > both.query[0] && both.reference[1] > both.reference[0]).then_some(both)
    }
}

/// A time axis of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Query,
    Reference,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Query, Self::Reference];
}
