//! Two videos compared with each other alone.

use serde::Serialize;
use vidsieve_model::fine::Workspace;
use vidsieve_record::Record;

use crate::engine::Engine;
use crate::error::SearchError;
use crate::query::Query;
use crate::segments::{Alignment, Segment};

/// Two videos compared with each other alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Comparison {
    /// S^f_B's score in [0, 1]: how probably the query's footage is in the target.
    pub score: f32,
    /// S^c's score in [0, 1].
    pub coarse: f32,
    /// S^f_B's score in [0, 1].
    pub fine: f32,
    /// The selector's probability that the coarse score is wrong, if there is a selector.
    pub doubt: Option<f32>,
    /// Where the videos match, best first.
    pub segments: Vec<Segment>,
}

impl Engine {
    /// Compares a query with a record; also returns the frames that are aligned in each segment.
    ///
    /// # Errors
    /// As [`Engine::compare`], and [`SearchError::Dims`] for vectors of different lengths.
    pub fn comparison<B: AsRef<[u8]>>(
        &self,
        query: &Query,
        record: &Record<B>,
    ) -> Result<(Comparison, Vec<Alignment>), SearchError> {
        let pair = self.compare(query, record, &mut Workspace::default())?;
        if query.global.len() != record.shape().dims {
            return Err(SearchError::Dims { expected: record.shape().dims, found: query.global.len() });
        }
        let cosine: f32 = query.global.iter().zip(record.global()).map(|(x, y)| x * y).sum();
        let doubt = self.doubt(query.self_similarity, &[record.self_similarity()], &[cosine]);
        let paths = self.align(query, record)?;
        let comparison = Comparison {
            score: pair.score,
            coarse: self.coarse_score(cosine),
            fine: pair.score,
            doubt: doubt.and_then(|d| d.first().copied()),
            segments: paths.iter().map(|p| p.segment).collect(),
        };
        Ok((comparison, paths))
    }
}
