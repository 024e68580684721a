//! The networks of a search: scores, doubts, comparisons and segments of pairs.

use ndarray::Array2;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::calibration::Calibration;
use vidsieve_model::fine::{Fine, Workspace};
use vidsieve_model::merge::fine_to_unit;
use vidsieve_model::selector::Selector;
use vidsieve_record::{BundleId, Record, RecordError};

use crate::error::SearchError;
use crate::hit::{Outcome, Pair};
use crate::query::{Query, codes};
use crate::segments::{self, Alignment, Raster, Segment, Timeline};

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
        match &self.calibration {
            Some(calibration) => calibration.apply(Network::Coarse, raw),
            None => raw.clamp(0.0, 1.0),
        }
    }

    /// What users see of S^f_B's similarity, in [0, 1].
    #[must_use]
    pub fn fine_score(&self, raw: f32) -> f32 {
        match &self.calibration {
            Some(calibration) => calibration.apply(Network::FineBinary, raw),
            #[allow(clippy::cast_possible_truncation)]
            None => (fine_to_unit(f64::from(raw)) as f32).clamp(0.0, 1.0),
        }
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
        Some(doubt)
    }

    pub(crate) fn same_bundle(&self, found: BundleId) -> Result<(), SearchError> {
        if found == self.bundle {
            return Ok(());
        }
        Err(RecordError::Bundle { expected: self.bundle, found }.into())
    }

    /// S^f_B's similarity of the query and a record in [-1, 1].
    ///
    /// # Errors
    /// [`SearchError::Record`] for a record of another bundle, [`SearchError::Input`] for codes of
    /// another shape.
    pub fn compare<B: AsRef<[u8]>>(
        &self,
        query: &Query,
        record: &Record<B>,
        workspace: &mut Workspace,
    ) -> Result<Pair, SearchError> {
        self.same_bundle(query.bundle)?;
        self.same_bundle(record.bundle())?;
        let raw = self.fine.similarity_with(&query.codes, &codes(record)?, workspace)?;
        Ok(Pair { raw, score: self.fine_score(raw) })
    }

    /// [`Engine::compare`] for several records, on all cores where the crate is built with
    /// `parallel`. A record that is not there or does not fit is an outcome, not a failure: the
    /// others are compared all the same.
    #[must_use]
    pub fn compare_all<B: AsRef<[u8]> + Sync>(&self, query: &Query, records: &[Option<Record<B>>]) -> Vec<Outcome> {
        let one = |workspace: &mut Workspace, record: &Option<Record<B>>| match record {
            None => Outcome::Missing,
            Some(record) => match self.compare(query, record, workspace) {
                Ok(pair) => Outcome::Compared(pair),
                Err(error) => Outcome::Failed(error.to_string()),
            },
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
        /// Cells of the matrix that are worked on at once.
        const BAND: usize = 1 << 20;
        self.same_bundle(query.bundle)?;
        self.same_bundle(record.bundle())?;
        let (target, timeline) = (codes(record)?, Timeline::new(record.times().collect(), record.duration()));
        let (h, w) = (query.codes.frames(), target.frames());
        let options = segments::AlignmentOptions::default();
        let mut raster = Raster::new([h.min(query.timeline.times().len()), w], &options);
        let rows = (BAND / w.max(1)).max(1);
        for first in (0..h).step_by(rows) {
            let band = query.codes.slice(first..h.min(first + rows));
            raster.fill(first, self.fine.frame_similarity(&band, &target)?.view());
        }
        Ok(raster.align(&query.timeline, &timeline, &options))
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
