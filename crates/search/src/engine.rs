//! The networks of a search: scores, doubts, comparisons and segments of pairs.

use ndarray::Array2;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::calibration::{Calibration, PairEvidence};
use vidsieve_model::fine::{Examined, Fine, Workspace};
use vidsieve_model::footage::Footage;
use vidsieve_model::merge::fine_to_unit;
use vidsieve_model::selector::Selector;
use vidsieve_record::{BundleId, Record, RecordError};

use crate::error::SearchError;
use crate::hit::{Outcome, Pair};
use crate::query::{Query, codes, footage};
use crate::relation::{Relation, Untold, Verdict};
use crate::segments::{self, Alignment, Segment, Timeline};
use crate::table::NO_COSINE;

/// The greatest score of a pair that was not compared frame by frame: one vector cannot tell a take from
/// a copy, so that such a pair is likely at most, never sure.
pub const COARSE_MOST: f32 = 0.89;

/// The greatest score of a pair that was compared and in which the query was not found: its footage may be there, and
/// nothing shows it.
const UNSURE_MOST: f32 = 0.89;

/// The networks that compare pairs of videos.
#[derive(Debug)]
pub struct Engine {
    isa: Isa,
    bundle: BundleId,
    fine: Fine,
    selector: Option<Selector>,
    calibration: Option<Calibration>,
}

impl Engine {
    /// The engine of a bundle with S^f_B, and SN if it has one: without it the most similar pairs
    /// are selected for re-ranking.
    ///
    /// # Errors
    /// [`SearchError::Bundle`] for a bundle without S^f_B or with damaged weights.
    pub fn new(isa: Isa, bundle: &Bundle) -> Result<Self, SearchError> {
        let selector = bundle.config().selector.is_some().then(|| bundle.selector(isa)).transpose()?;
        let calibration = bundle.config().calibration.clone().filter(|c| c.coarse.is_some() && c.fine_binary.is_some());
        Ok(Self { isa, bundle: bundle.id(), fine: bundle.fine(isa, Network::FineBinary)?, selector, calibration })
    }

    /// The bundle of all records that this engine compares.
    #[must_use]
    pub const fn bundle(&self) -> BundleId {
        self.bundle
    }

    /// Instruction set of the kernels.
    #[must_use]
    pub const fn isa(&self) -> Isa {
        self.isa
    }

    /// What users see of a coarse cosine, in [0, 1]. Of a bundle without calibration it is the
    /// cosine itself, which the paper merges with [`fine_to_unit`].
    #[must_use]
    pub fn coarse_score(&self, raw: f32) -> f32 {
        if raw <= NO_COSINE {
            return 0.0;
        }
        match &self.calibration {
            Some(calibration) => calibration.apply(Network::Coarse, raw).min(COARSE_MOST),
            None => raw.clamp(0.0, 1.0),
        }
    }

    /// What users see of a pair with this relation, in [0, 1]: the probability that the query's informative footage is in the
    /// target. Without the relation that says so it is never sure.
    fn score(&self, evidence: &PairEvidence, relation: Relation) -> f32 {
        let Some(calibration) = &self.calibration else {
            #[allow(clippy::cast_possible_truncation)]
            return (fine_to_unit(f64::from(evidence.similarity)) as f32).clamp(0.0, 1.0);
        };
        let score = calibration.of_evidence(evidence);
        if calibration.evidence.is_some() && !matches!(relation, Relation::Copy | Relation::Excerpt) {
            return score.min(UNSURE_MOST);
        }
        score
    }

    /// For each pair (the query, a video) the probability that the coarse answer is wrong; `None`
    /// without a selector.
    #[must_use]
    pub fn doubt(&self, query: f32, targets: &[f32], coarse: &[f32]) -> Option<Vec<f32>> {
        let selector = self.selector.as_ref()?;
        let mut doubt = vec![0f32; coarse.len()];
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            /// Pairs that a thread judges at a time.
            const BLOCK: usize = 4096;
            doubt
                .par_chunks_mut(BLOCK)
                .zip(targets.par_chunks(BLOCK).zip(coarse.par_chunks(BLOCK)))
                .for_each(|(p, (targets, coarse))| selector.mlp().predict(query, targets, coarse, p));
        }
        #[cfg(not(feature = "parallel"))]
        selector.mlp().predict(query, targets, coarse, &mut doubt);
        // A video that shows nothing is not worth comparing.
        doubt.iter_mut().zip(coarse).filter(|(_, cosine)| **cosine <= NO_COSINE).for_each(|(doubt, _)| *doubt = 0.0);
        Some(doubt)
    }

    pub(crate) fn same_bundle(&self, found: BundleId) -> Result<(), SearchError> {
        if found == self.bundle {
            return Ok(());
        }
        Err(RecordError::Bundle { expected: self.bundle, found }.into())
    }

    /// What S^f_B tells of the query and a record.
    ///
    /// # Errors
    /// [`SearchError::Record`] for a record of another bundle, [`SearchError::Input`] for codes of
    /// another shape.
    pub fn examine<B: AsRef<[u8]>>(
        &self,
        query: &Query,
        record: &Record<B>,
        workspace: &mut Workspace,
    ) -> Result<Examined, SearchError> {
        self.same_bundle(query.bundle)?;
        self.examine_footage(&query.footage(), record, workspace)
    }

    fn examine_footage<B: AsRef<[u8]>>(
        &self,
        query: &Footage,
        record: &Record<B>,
        workspace: &mut Workspace,
    ) -> Result<Examined, SearchError> {
        self.same_bundle(record.bundle())?;
        Ok(self.fine.examine(query, &footage(record)?, workspace)?)
    }

    /// What users see of a pair.
    pub(crate) fn pair(&self, examined: &Examined) -> Pair {
        let verdict = Verdict::new(&examined.aligned);
        let score = match verdict.untold {
            // Of a video that shows nothing nothing is found.
            Some(Untold::NothingInQuery | Untold::NothingInTarget) => 0.0,
            _ => self.score(&verdict.evidence(examined), verdict.relation),
        };
        Pair { raw: examined.similarity, score, verdict }
    }

    /// Compares the query with a record.
    ///
    /// # Errors
    /// As [`Engine::examine`].
    pub fn compare<B: AsRef<[u8]>>(
        &self,
        query: &Query,
        record: &Record<B>,
        workspace: &mut Workspace,
    ) -> Result<Pair, SearchError> {
        Ok(self.pair(&self.examine(query, record, workspace)?))
    }

    /// [`Engine::compare`] for several records, on all cores where the crate is built with
    /// `parallel`. A record that is not there or does not fit is an outcome, not a failure: the
    /// others are compared all the same.
    #[must_use]
    pub fn compare_all<B: AsRef<[u8]> + Sync>(&self, query: &Query, records: &[Option<Record<B>>]) -> Vec<Outcome> {
        let footage = query.footage();
        let one = |workspace: &mut Workspace, record: &Option<Record<B>>| match record {
            None => Outcome::Missing,
            Some(record) => {
                let examined =
                    self.same_bundle(query.bundle).and_then(|()| self.examine_footage(&footage, record, workspace));
                match examined {
                    Ok(examined) => Outcome::Compared(self.pair(&examined)),
                    Err(error) => Outcome::Failed(error.to_string()),
                }
            }
        };
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            records.par_iter().map_init(Workspace::default, one).collect()
        }
        #[cfg(not(feature = "parallel"))]
        {
            let mut workspace = Workspace::default();
            records.iter().map(|record| one(&mut workspace, record)).collect()
        }
    }

    /// The frame similarities of the query and a record, `[Tq][Tt]` in [-1, 1]: what the comparator
    /// sees, in one picture.
    ///
    /// # Errors
    /// As [`Engine::compare`].
    pub fn frame_similarity<B: AsRef<[u8]>>(
        &self,
        query: &Query,
        record: &Record<B>,
    ) -> Result<Array2<f32>, SearchError> {
        self.same_bundle(record.bundle())?;
        Ok(self.fine.frame_similarity(&query.codes, &codes(record)?)?)
    }

    /// Where the query and a record match, best first. Memory does not grow with the product of
    /// their lengths.
    ///
    /// # Errors
    /// As [`Engine::compare`].
    pub fn segments<B: AsRef<[u8]>>(&self, query: &Query, record: &Record<B>) -> Result<Vec<Segment>, SearchError> {
        Ok(self.align(query, record)?.into_iter().map(|alignment| alignment.segment).collect())
    }

    /// [`Engine::segments`] with the frames that are aligned.
    ///
    /// # Errors
    /// As [`Engine::compare`].
    pub fn align<B: AsRef<[u8]>>(&self, query: &Query, record: &Record<B>) -> Result<Vec<Alignment>, SearchError> {
        let examined = self.examine(query, record, &mut Workspace::default())?;
        let timeline = Timeline::new(record.times().collect(), record.duration());
        Ok(segments::alignments(&examined.aligned, &query.timeline, &timeline))
    }

    /// [`Engine::segments`] of each record, on all cores where the crate is built with `parallel`;
    /// a record that is `None` has none.
    #[must_use]
    pub fn segments_each<B: AsRef<[u8]> + Sync>(
        &self,
        query: &Query,
        records: &[Option<Record<B>>],
    ) -> Vec<Result<Vec<Segment>, SearchError>> {
        let one = |record: &Option<Record<B>>| match record {
            Some(record) => self.segments(query, record),
            None => Ok(Vec::new()),
        };
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            records.par_iter().map(one).collect()
        }
        #[cfg(not(feature = "parallel"))]
        records.iter().map(one).collect()
    }

    /// [`Engine::segments_each`], or the first error of them.
    ///
    /// # Errors
    /// As [`Engine::segments`].
    pub fn segments_all<B: AsRef<[u8]> + Sync>(
        &self,
        query: &Query,
        records: &[Option<Record<B>>],
    ) -> Result<Vec<Vec<Segment>>, SearchError> {
        self.segments_each(query, records).into_iter().collect()
    }
}
