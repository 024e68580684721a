//! The video that is searched for.

use vidsieve_kernels::hamming;
use vidsieve_model::encoder::Encoded;
use vidsieve_model::fine::{InputError, VideoTensor};
use vidsieve_model::footage::Footage;
use vidsieve_record::{BundleId, Parts, Record, RecordError};

use crate::error::SearchError;
use crate::segments::Timeline;

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

    /// The frames that say something, as S^f_B compares them.
    #[must_use]
    pub fn footage(&self) -> Footage {
        Footage::new(&self.codes, self.timeline.times(), self.timeline.duration(), &[])
    }

    /// A video that has just been encoded.
    #[must_use]
    pub fn new(bundle: BundleId, encoded: Encoded, timeline: Timeline) -> Self {
        let Encoded { global, self_similarity, codes } = encoded;
        Self { bundle, global, self_similarity, codes, timeline }
    }
}

/// The codes of a record as the networks take them.
pub(crate) fn codes<B: AsRef<[u8]>>(record: &Record<B>) -> Result<VideoTensor, SearchError> {
    let shape = record.shape();
    let codes = hamming::Shape::new(shape.regions, shape.bits).map_err(InputError::from)?;
    Ok(VideoTensor::Codes { data: record.codes().to_vec(), frames: shape.frames, shape: codes })
}

/// The frames of a record that say something.
pub(crate) fn footage<B: AsRef<[u8]>>(record: &Record<B>) -> Result<Footage, SearchError> {
    let times: Vec<f64> = record.times().collect();
    Ok(Footage::new(&codes(record)?, &times, record.duration(), &[]))
}
