//! The video that is searched for.

use vidsieve_kernels::hamming;
use vidsieve_model::encoder::Encoded;
use vidsieve_model::fine::{InputError, VideoTensor};
use vidsieve_model::footage::Footage;
use vidsieve_record::{BundleId, Parts, Record, RecordError, WindowVector};

use crate::error::SearchError;
use crate::segments::Timeline;

/// A video that is searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The bundle that encoded it.
    pub bundle: BundleId,
    /// S^c's vector, of unit length.
    pub global: Vec<f32>,
    /// S^c's vectors of parts of the video, by their first frame.
    pub windows: Vec<WindowVector>,
    /// The selector's scalar.
    pub self_similarity: f32,
    /// How much each frame shows, T values: 0 of one that says nothing, 255 of one that is fully
    /// informative.
    pub weights: Vec<u8>,
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
            windows: record.windows().collect(),
            self_similarity: record.self_similarity(),
            weights: record.weights().to_vec(),
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
            weights: &self.weights,
            windows: &self.windows,
            regions: shape.0,
            bits: shape.1,
            codes,
        })
    }

    /// The frames that say something, as S^f_B compares them.
    #[must_use]
    pub fn footage(&self) -> Footage {
        Footage::new(&self.codes, self.timeline.times(), self.timeline.duration(), &self.weights)
    }

    /// A video that has just been encoded.
    #[must_use]
    pub fn new(bundle: BundleId, encoded: Encoded, timeline: Timeline) -> Self {
        let Encoded { global, windows, self_similarity, weights, codes } = encoded;
        Self { bundle, global, windows, self_similarity, weights, codes, timeline }
    }

    /// Whether any frame says anything. A video of which this is false has no answer: no score of
    /// it is above 0.
    #[must_use]
    pub fn is_informative(&self) -> bool {
        self.weights.iter().any(|w| *w > 0)
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
    Ok(Footage::new(&codes(record)?, &times, record.duration(), record.weights()))
}
