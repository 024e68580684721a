//! The networks of a search, and the comparison of pairs.

use ndarray::Array2;
use vidsieve_kernels::{Isa, hamming};
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::calibration::Calibration;
use vidsieve_model::encoder::Encoded;
use vidsieve_model::extractor::ExtractError;
use vidsieve_model::fine::{Fine, InputError, VideoTensor, Workspace};
use vidsieve_model::merge::fine_to_unit;
use vidsieve_model::selector::Selector;
use vidsieve_record::{BundleId, Parts, Record, RecordError};

use crate::budget::Budget;
use crate::plan::{Outcome, Plan};
use crate::segments::{self, Alignment, Raster, Segment, Timeline};
use crate::table::Table;

/// Why a search cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A vector of another length than the table's.
    #[error("a video vector of {found} values where {expected} are indexed")]
    Dims {
        /// Values that the index has.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Columns of a table that do not belong together.
    #[error("{ids} ids, {values} values and {scalars} scalars do not make a table of {dims} dimensions")]
    Columns {
        /// Ids.
        ids: usize,
        /// Values of all vectors.
        values: usize,
        /// Self-similarities.
        scalars: usize,
        /// Dimensions of a vector.
        dims: usize,
    },
    /// A record of another bundle, or damaged.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Codes of another shape than the networks'.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The bundle lacks a network.
    #[error(transparent)]
    Bundle(#[from] ExtractError),
}

/// A video that is searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The bundle that encoded it.
    pub bundle: BundleId,
    /// S^c's vector, of unit length.
    pub global: Vec<f32>,
    /// The selector's scalar.
    pub self_similarity: f32,
    /// S^f_B's codes.
    pub codes: VideoTensor,
    /// When its frames are shown, in seconds from the first, and how long it lasts.
    pub timeline: Timeline,
}

impl Query {
    /// The video of a record.
    ///
    /// # Errors
    /// [`SearchError::Input`] for codes that no network could have made.
    pub fn from_record<B: AsRef<[u8]>>(record: &Record<B>) -> Result<Self, SearchError> {
        Ok(Self {
            bundle: record.bundle(),
            global: record.global().collect(),
            self_similarity: record.self_similarity(),
            codes: codes(record)?,
            timeline: Timeline::new(record.times().collect(), record.duration()),
        })
    }

    /// What is kept of the video.
    ///
    /// # Errors
    /// [`RecordError`] for times or codes that no record holds.
    pub fn record(&self) -> Result<Record<Vec<u8>>, RecordError> {
        let (codes, shape) = match &self.codes {
            VideoTensor::Codes { data, shape, .. } => (data.as_slice(), (shape.regions(), shape.bits())),
            VideoTensor::Float { .. } => (&[][..], (0, 0)),
        };
        Record::new(&Parts {
            bundle: self.bundle,
            duration: self.timeline.duration(),
            self_similarity: self.self_similarity,
            global: &self.global,
            times: self.timeline.times(),
            regions: shape.0,
            bits: shape.1,
            codes,
        })
    }

    /// A video that has just been encoded.
    #[must_use]
    pub fn new(bundle: BundleId, encoded: Encoded, timeline: Timeline) -> Self {
        let Encoded { global, self_similarity, codes } = encoded;
        Self { bundle, global, self_similarity, codes, timeline }
    }
}

/// The codes of a record as the networks take them.
fn codes<B: AsRef<[u8]>>(record: &Record<B>) -> Result<VideoTensor, SearchError> {
    let shape = record.shape();
    let codes = hamming::Shape::new(shape.regions, shape.bits).map_err(InputError::from)?;
    Ok(VideoTensor::Codes { data: record.codes().to_vec(), frames: shape.frames, shape: codes })
}

/// Two videos compared frame by frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// S^f_B's similarity in [-1, 1].
    pub raw: f32,
    /// The score that users see, in [0, 1].
    pub score: f32,
}

/// All networks that look at pairs of videos.
#[derive(Debug)]
pub struct Engine {
    isa: Isa,
    bundle: BundleId,
    fine: Fine,
    selector: Option<Selector>,
    calibration: Option<Calibration>,
}

impl Engine {
    /// The engine of a bundle with S^f_B, and SN if there is one: without it the most similar pairs are looked at again.
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

    /// What users see of a coarse cosine, in [0, 1]. Of a bundle without calibration it is the cosine itself, which the
    /// paper merges with [`fine_to_unit`].
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

    /// For each pair (the query, a video) the probability that the coarse answer is wrong; `None` without a selector.
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

    /// The coarse answer to a query and the pairs that are to be looked at again.
    ///
    /// # Errors
    /// [`SearchError::Record`] for a query of another bundle, [`SearchError::Dims`] for vectors of different lengths.
    pub fn plan(&self, query: &Query, table: &Table, budget: Budget) -> Result<Plan, SearchError> {
        self.plan_scanned(query, table, table.scan(self.isa, &query.global)?, budget)
    }

    /// [`Engine::plan`] after the table's scan for the query: who wants to know how long each takes.
    ///
    /// # Errors
    /// [`SearchError::Record`] for a query of another bundle.
    pub fn plan_scanned(
        &self,
        query: &Query,
        table: &Table,
        coarse: Vec<f32>,
        budget: Budget,
    ) -> Result<Plan, SearchError> {
        self.same_bundle(query.bundle)?;
        let doubt = self.doubt(query.self_similarity, table.self_similarities(), &coarse);
        Ok(Plan::new(coarse, doubt, budget))
    }

    fn same_bundle(&self, found: BundleId) -> Result<(), SearchError> {
        if found == self.bundle {
            return Ok(());
        }
        Err(RecordError::Bundle { expected: self.bundle, found }.into())
    }

    /// S^f_B's similarity of the query and a record in [-1, 1].
    ///
    /// # Errors
    /// [`SearchError::Record`] for a record of another bundle, [`SearchError::Input`] for codes of another shape.
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

    /// [`Engine::compare`] for several records, on all cores where the crate is built with `parallel`. A record that is not
    /// there or does not fit is an outcome, not a failure: the others are compared all the same.
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

    /// The frame similarities of the query and a record, [Tq][Tt] in [-1, 1]: what the comparator sees, in one picture.
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

    /// Where the query and a record match, best first. Memory does not grow with the product of their lengths.
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
        let options = segments::Options::default();
        let mut raster = Raster::new([h.min(query.timeline.times().len()), w], &options);
        let rows = (BAND / w.max(1)).max(1);
        for first in (0..h).step_by(rows) {
            let band = query.codes.slice(first..h.min(first + rows));
            raster.fill(first, self.fine.frame_similarity(&band, &target)?.view());
        }
        Ok(raster.align(&query.timeline, &timeline, &options))
    }
}
