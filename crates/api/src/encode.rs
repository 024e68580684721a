//! Bodies of frames and of region vectors to records.

use std::fmt::Display;

use ndarray::{ArrayView3, Axis};
use vidsieve_model::encoder::{EncodeError, Encoder, MAX_FRAMES, Part};
use vidsieve_model::frames::RgbFrame;
use vidsieve_record::wire;
use vidsieve_search::Query;
use vidsieve_search::segments::Timeline;

use crate::problem::Problem;

/// Frames of a batch of encoding: its memory does not grow with the body.
const FRAMES: usize = 8;
/// Frames of a batch of region vectors.
const REGIONS: usize = 64;

/// What a body that is to be encoded holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeInput {
    /// Decoded frames.
    Frames,
    /// Region vectors.
    Regions,
}

impl EncodeInput {
    /// What a media type names.
    ///
    /// # Errors
    /// `media-type`.
    pub fn of(media_type: &str) -> Result<Self, Problem> {
        match media_type {
            wire::FRAMES_TYPE => Ok(Self::Frames),
            wire::REGIONS_TYPE => Ok(Self::Regions),
            _ => Err(Problem::media_type(&format!("{} or {}", wire::FRAMES_TYPE, wire::REGIONS_TYPE))),
        }
    }
}

/// The media type of a `Content-Type` header, without its parameters.
#[must_use]
pub fn media_type(header: &str) -> &str {
    header.split(';').next().unwrap_or_default().trim()
}

/// The problem of a bundle that cannot encode.
#[must_use]
pub fn no_encoder() -> Problem {
    Problem::not_found("the index's bundle cannot encode")
}

fn bad(error: &dyn Display) -> Problem {
    Problem::bad_body(error.to_string())
}

/// The record of a body, as bytes. `stop` is called between batches and returns true
/// when the client has gone.
///
/// # Errors
/// `bad-body`; `busy` after a stop.
pub fn encode(encoder: &Encoder, input: EncodeInput, body: &[u8], stop: &dyn Fn() -> bool) -> Result<Vec<u8>, Problem> {
    let go_on = || if stop() { Err(Problem::busy()) } else { Ok(()) };
    // Before anything is computed.
    let fits = |frames: usize| match frames {
        0..=MAX_FRAMES => Ok(()),
        _ => Err(bad(&EncodeError::TooLong { frames })),
    };
    let mut all = Part::default();
    let (times, duration) = match input {
        EncodeInput::Frames => {
            let frames = wire::Frames::parse(body).map_err(|e| bad(&e))?;
            fits(frames.times.len())?;
            // At most 4096.
            #[allow(clippy::cast_possible_truncation)]
            let (width, height) = (frames.width as u32, frames.height as u32);
            for batch in frames.pixels.chunks(FRAMES * frames.width * frames.height * 3) {
                go_on()?;
                let views = batch
                    .chunks(frames.width * frames.height * 3)
                    .map(|pixels| RgbFrame::new(width, height, pixels))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|e| bad(&e))?;
                all.join(&encoder.describe(&views).map_err(|e| bad(&e))?);
            }
            (frames.times, frames.duration)
        }
        EncodeInput::Regions => {
            let regions = wire::Regions::parse(body).map_err(|e| bad(&e))?;
            let [t, r, d] = regions.shape;
            fits(t)?;
            let video = ArrayView3::from_shape((t, r, d), &regions.values).map_err(|e| bad(&e))?;
            for batch in video.axis_chunks_iter(Axis(0), REGIONS) {
                go_on()?;
                // Region vectors do not show which frames say nothing.
                let weights = vec![u8::MAX; batch.dim().0];
                all.join(&encoder.describe_regions(batch, &weights).map_err(|e| bad(&e))?);
            }
            (regions.times, regions.duration)
        }
    };
    let encoded = encoder.finish(all).map_err(|e| bad(&e))?;
    let query = Query::new(encoder.bundle(), encoded, Timeline::new(times, duration));
    Ok(query.record().map_err(|e| bad(&e))?.into_bytes())
}
