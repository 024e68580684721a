//! Frames to records.

use std::collections::BTreeSet;
use std::rc::Rc;

use vidsieve_kernels::Isa;
use vidsieve_model::encoder::{EncodeError, MAX_FRAMES, Part};
use vidsieve_model::extractor::ExtractError;
use vidsieve_model::frames::{FrameError, RgbFrame};
use vidsieve_search::Query;
use vidsieve_search::segments::Timeline;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::Model;
use crate::error::{EngineErrorCode, Error};

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        let code = match &error {
            EncodeError::Extract(ExtractError::Frames(_)) => EngineErrorCode::BadFrame,
            EncodeError::Empty | EncodeError::TooLong { .. } | EncodeError::Part { .. } => EngineErrorCode::BadVideo,
            _ => EngineErrorCode::BadModel,
        };
        Self::new(code, error)
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Self::new(EngineErrorCode::BadFrame, error)
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
        Session {
            encoder: self.inner.clone(),
            open: Vec::new(),
            all: Part::default(),
            waiting: Vec::new(),
            threads: BTreeSet::new(),
        }
    }
}

/// A frame that waits until there is one for each thread.
#[derive(Debug)]
struct Waiting {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
    samples: usize,
}

impl Waiting {
    fn frame(&self) -> Result<RgbFrame<'_>, FrameError> {
        RgbFrame::from_rgba(self.width, self.height, &self.rgba)
    }
}

/// Frames that are described at a time: one for each thread.
fn together() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// The first samples of a video that may still be left out.
const OPEN: usize = 64;

/// A video whose frames are still coming.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    encoder: Rc<vidsieve_model::encoder::Encoder>,
    /// Up to [`OPEN`] samples, as long as these are all.
    open: Vec<Part>,
    all: Part,
    waiting: Vec<Waiting>,
    threads: BTreeSet<usize>,
}

impl Session {
    fn room(&self, samples: usize) -> Result<(), EncodeError> {
        let frames = self.frames().saturating_add(samples);
        if frames > MAX_FRAMES { Err(EncodeError::TooLong { frames }) } else { Ok(()) }
    }

    fn describe(&mut self) -> Result<(), Error> {
        let frames = self.waiting.iter().map(Waiting::frame).collect::<Result<Vec<_>, _>>()?;
        let described = self.encoder.describe_each(&frames)?;
        for ((part, thread), Waiting { samples, .. }) in described.iter().zip(&self.waiting) {
            for _ in 0..*samples {
                if self.open.len() == OPEN {
                    self.open.drain(..).for_each(|first| self.all.join(&first));
                }
                if self.all.frames() == 0 { self.open.push(part.clone()) } else { self.all.join(part) }
            }
            self.threads.insert(*thread);
        }
        self.waiting.clear();
        Ok(())
    }

    /// Describes all frames taken so far; none of them is left out any more.
    fn settle(&mut self) -> Result<(), Error> {
        self.describe()?;
        self.open.drain(..).for_each(|first| self.all.join(&first));
        Ok(())
    }
}

#[wasm_bindgen]
impl Session {
    /// Takes the next frame, RGBA rows from the top; it stands for `samples` samples that follow one another.
    ///
    /// # Errors
    /// `bad-frame`; `bad-video` for more frames than are encoded.
    pub fn push(&mut self, width: u32, height: u32, rgba: Vec<u8>, samples: usize) -> Result<(), Error> {
        self.room(samples)?;
        let frame = Waiting { width, height, rgba, samples };
        frame.frame()?;
        self.waiting.push(frame);
        if self.waiting.len() >= together() { self.describe() } else { Ok(()) }
    }

    /// Samples taken so far.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.open.len() + self.all.frames() + self.waiting.iter().map(|frame| frame.samples).sum::<usize>()
    }

    /// Leaves out every second sample, the second first: a video that turns out to be long needs
    /// fewer a second. It has up to 64 samples then.
    ///
    /// # Errors
    /// `bad-frame`; `bad-video` after more than 64 samples.
    pub fn halve(&mut self) -> Result<(), Error> {
        self.describe()?;
        if self.all.frames() > 0 {
            let message = format!("samples of the first {OPEN} alone can be left out, not of {}", self.frames());
            return Err(Error::new(EngineErrorCode::BadVideo, message));
        }
        let mut number = 0;
        self.open.retain(|_| {
            number += 1;
            number % 2 == 1
        });
        Ok(())
    }

    /// Describes the frames that wait for others, and tells how many threads have described frames of this video.
    ///
    /// # Errors
    /// `bad-frame`.
    pub fn flush(&mut self) -> Result<usize, Error> {
        self.describe()?;
        Ok(self.threads.len())
    }

    /// What is kept of the frames taken, for [`Session::join`] of another instance.
    ///
    /// # Errors
    /// `bad-frame`.
    pub fn part(mut self) -> Result<Vec<u8>, Error> {
        self.settle()?;
        Ok(self.all.to_bytes())
    }

    /// Takes the frames that follow from another instance.
    ///
    /// # Errors
    /// `bad-video` for bytes that are no part of a video of this model, or more frames than are encoded.
    pub fn join(&mut self, part: &[u8]) -> Result<(), Error> {
        self.settle()?;
        let part = self.encoder.part(part)?;
        self.room(part.frames())?;
        self.all.join(&part);
        Ok(())
    }

    /// The record of the video. `times`: when each sample is shown, in seconds from the first; `duration`: what the container
    /// says of its length, NaN if nothing.
    ///
    /// # Errors
    /// `bad-video` without frames or with times that do not fit them; `bad-record` for times that run backwards.
    pub fn finish(mut self, times: Vec<f64>, duration: f64) -> Result<Vec<u8>, Error> {
        self.settle()?;
        let Self { encoder, all, .. } = self;
        if times.len() != all.frames() {
            let message = format!("{} times for {} frames", times.len(), all.frames());
            return Err(Error::new(EngineErrorCode::BadVideo, message));
        }
        let encoded = encoder.finish(all)?;
        let timeline = Timeline::of_file(times, Some(duration).filter(|d| d.is_finite()));
        Ok(Query::new(encoder.bundle(), encoded, timeline).record()?.into_bytes())
    }
}
