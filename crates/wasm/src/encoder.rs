//! Frames to records.

use std::rc::Rc;

use vidsieve_index::record::BundleId;
use vidsieve_kernels::Isa;
use vidsieve_model::encoder::{EncodeError, MAX_FRAMES, Part};
use vidsieve_model::extractor::ExtractError;
use vidsieve_model::frames::{FrameError, RgbFrame};
use vidsieve_search::Query;
use vidsieve_search::segments::Timeline;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::Model;
use crate::error::{Code, Error};

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        let code = match &error {
            EncodeError::Extract(ExtractError::Frames(_)) => Code::BadFrame,
            EncodeError::Empty | EncodeError::TooLong { .. } => Code::BadVideo,
            _ => Code::BadModel,
        };
        Self::new(code, error)
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Self::new(Code::BadFrame, error)
    }
}

/// The networks that look at a video by itself.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Encoder {
    inner: Rc<vidsieve_model::encoder::Encoder>,
}

#[wasm_bindgen]
impl Encoder {
    /// The encoder of a bundle.
    ///
    /// # Errors
    /// `bad-model` for a bundle that cannot encode.
    #[wasm_bindgen(constructor)]
    pub fn new(model: &Model) -> Result<Self, Error> {
        Ok(Self { inner: Rc::new(vidsieve_model::encoder::Encoder::new(Isa::best(), &model.bundle)?) })
    }

    /// The longer side in pixels to which frames may be reduced, by area, before they are encoded.
    #[wasm_bindgen(getter, js_name = frameSide)]
    #[must_use]
    pub fn frame_side(&self) -> u32 {
        self.inner.frame_side()
    }

    /// Most frames of a video.
    #[wasm_bindgen(getter, js_name = maxFrames)]
    #[must_use]
    pub fn max_frames(&self) -> usize {
        MAX_FRAMES
    }

    /// Begins a video.
    #[must_use]
    pub fn session(&self) -> Session {
        Session { encoder: self.inner.clone(), all: Part::default() }
    }
}

/// A video whose frames are still coming.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    encoder: Rc<vidsieve_model::encoder::Encoder>,
    all: Part,
}

#[wasm_bindgen]
impl Session {
    /// Takes the next frame, RGBA rows from the top; it stands for `samples` samples that follow one another.
    ///
    /// # Errors
    /// `bad-frame`; `bad-video` for more frames than are encoded.
    pub fn push(&mut self, width: u32, height: u32, rgba: &[u8], samples: usize) -> Result<(), Error> {
        let frames = self.all.frames().saturating_add(samples);
        if frames > MAX_FRAMES {
            return Err(EncodeError::TooLong { frames }.into());
        }
        let part = self.encoder.describe(&[RgbFrame::from_rgba(width, height, rgba)?])?;
        (0..samples).for_each(|_| self.all.join(&part));
        Ok(())
    }

    /// Frames taken so far.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.all.frames()
    }

    /// The record of the video. `times`: when each sample is shown, in seconds from the first; `duration`: what the container
    /// says of its length, NaN if nothing.
    ///
    /// # Errors
    /// `bad-video` without frames or with times that do not fit them; `bad-record` for times that run backwards.
    pub fn finish(self, times: Vec<f64>, duration: f64) -> Result<Vec<u8>, Error> {
        let Self { encoder, all } = self;
        if times.len() != all.frames() {
            let message = format!("{} times for {} frames", times.len(), all.frames());
            return Err(Error::new(Code::BadVideo, message));
        }
        let encoded = encoder.finish(all)?;
        let timeline = Timeline::of_file(times, Some(duration).filter(|d| d.is_finite()));
        Ok(Query::new(BundleId(encoder.bundle().0), encoded, timeline).record()?.into_bytes())
    }
}
