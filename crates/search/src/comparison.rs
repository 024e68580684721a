//! Two videos compared with each other alone.

use serde::Serialize;
use vidsieve_model::fine::Workspace;
use vidsieve_record::Record;

use crate::engine::Engine;
use crate::error::SearchError;
use crate::query::Query;
use crate::relation::{Coverage, Relation, Untold};
use crate::segments::{self, Alignment, Segment, Timeline};
use crate::table::{NO_COSINE, Table};

/// Result of comparing two videos.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Comparison {
    /// S^f_B's score in [0, 1]: the probability that the query's informative footage is in the target.
    pub score: f32,
    /// S^c's score in [0, 1].
    pub coarse: f32,
    /// S^f_B's score in [0, 1].
    pub fine: f32,
    /// The selector's probability that the coarse score is wrong, if there is a selector.
    pub doubt: Option<f32>,
    /// Relation of the query to the target.
    pub relation: Relation,
    /// How much of each video the other one shows.
    pub coverage: Coverage,
    /// Why the relation cannot be determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub untold: Option<Untold>,
    /// Matching segments, best first.
    pub segments: Vec<Segment>,
}

impl Engine {
    /// The coarse cosine of a pair, as a search of an index that holds the record alone ([`Table::coarse`]).
    ///
    /// # Errors
    /// [`SearchError::Dims`] for vectors of different lengths.
    pub fn cosine<B: AsRef<[u8]>>(&self, query: &Query, record: &Record<B>) -> Result<f32, SearchError> {
        let mut table = Table::new(record.shape().dims);
        table.put_record("", record)?;
        Ok(table.coarse(self.isa(), query)?.cosines.first().copied().unwrap_or(NO_COSINE))
    }

    /// Compares a query with a record; also returns the frames that are aligned in each segment.
    ///
    /// # Errors
    /// As [`Engine::compare`], and [`SearchError::Dims`] for vectors of different lengths.
    pub fn comparison<B: AsRef<[u8]>>(
        &self,
        query: &Query,
        record: &Record<B>,
    ) -> Result<(Comparison, Vec<Alignment>), SearchError> {
        let examined = self.examine(query, record, &mut Workspace::default())?;
        let pair = self.pair(&examined);
        let cosine = self.cosine(query, record)?;
        let doubt = self.doubt(query.self_similarity, &[record.self_similarity()], &[cosine]);
        let timeline = Timeline::new(record.times().collect(), record.duration());
        let paths = segments::alignments(&examined.aligned, &query.timeline, &timeline);
        let comparison = Comparison {
            score: pair.score,
            coarse: self.coarse_score(cosine),
            fine: pair.score,
            doubt: doubt.and_then(|d| d.first().copied()),
            relation: pair.verdict.relation,
            coverage: pair.verdict.coverage,
            untold: pair.verdict.untold,
            segments: paths.iter().map(|p| p.segment).collect(),
        };
        Ok((comparison, paths))
    }
}
