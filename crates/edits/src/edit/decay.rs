//! Edits that lose detail: compression, pixelation, blur, noise, scan lines.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation, even_size, is_share, moment};
use super::sample::{SourceFacts, vary};
use crate::image::Image;
use crate::{EditError, Pcg64, generator, ops};

/// Smaller and coded badly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recompress {
    /// Factor on the sides, 0.1 to 1.
    pub scale: f32,
    /// JPEG quality of the losses in the pixels, 1 to 100.
    pub quality: u8,
    /// For the writer of the video: the constant rate factor of H.264, 0 to 51.
    pub crf: u8,
}

impl Recompress {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self {
            scale: vary(rng, strength, 0.7, 0.4),
            quality: vary(rng, strength, 40.0, 10.0) as u8,
            crf: vary(rng, strength, 32.0, 41.0) as u8,
        }
    }
}

impl Operation for Recompress {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require((0.1..=1.0).contains(&self.scale), "the scale must be 0.1 to 1")?;
        check.require((1..=100).contains(&self.quality), "the quality must be 1 to 100")?;
        check.require(self.crf <= 51, "the crf must be 0 to 51")
    }

    fn crf(&self) -> Option<u8> {
        Some(self.crf)
    }

    fn size(&self, size: (u32, u32), _: Option<(u32, u32)>) -> Option<(u32, u32)> {
        even_size(size.0 as f32 * self.scale, size.1 as f32 * self.scale)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        ops::jpeg(&mut frame, self.quality, true);
        Ok(frame)
    }
}

/// Blocks of one colour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixelation {
    /// Size of the coarse image over that of the frame, 0.02 to 1.
    pub factor: f32,
}

impl Pixelation {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self { factor: vary(rng, strength, 0.5, 0.2) }
    }
}

impl Operation for Pixelation {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require((0.02..=1.0).contains(&self.factor), "the factor must be 0.02 to 1")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        ops::rescale(&mut frame, self.factor, true);
        Ok(frame)
    }
}

/// Out of focus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blur {
    /// Standard deviation over the height, 0 to 0.2.
    pub sigma: f32,
}

impl Blur {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self { sigma: vary(rng, strength, 0.005, 0.022) }
    }
}

impl Operation for Blur {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require((0.0..=0.2).contains(&self.sigma), "sigma must be 0 to 0.2")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        ops::blur(&mut frame, self.sigma * inputs.size.1 as f32);
        Ok(frame)
    }
}

/// Grain, other in every frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Standard deviation in 255ths, 0 to 128.
    pub sigma: f32,
    /// The same in all channels.
    pub grey: bool,
    /// The seed.
    pub seed: u64,
}

impl Noise {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self { sigma: vary(rng, strength, 5.0, 28.0), grey: rng.random_bool(0.5), seed: rng.random() }
    }
}

impl Operation for Noise {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require((0.0..=128.0).contains(&self.sigma), "sigma must be 0 to 128")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        ops::noise(&mut frame, self.sigma, self.grey, &mut generator(&[self.seed, moment(time)]));
        Ok(frame)
    }
}

/// Dark lines and corners, as of an old screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanLines {
    /// Rows from line to line, 1 to 100.
    pub period: f32,
    /// How dark the lines are, 0 to 1.
    pub strength: f32,
    /// How dark the corners are, 0 to 1.
    pub vignette: f32,
}

impl ScanLines {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self {
            period: rng.random_range(2.0..6.0),
            strength: vary(rng, strength, 0.1, 0.45),
            vignette: vary(rng, strength, 0.1, 0.8),
        }
    }
}

impl Operation for ScanLines {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require((1.0..=100.0).contains(&self.period), "the period must be 1 to 100")?;
        let shares = is_share(self.strength) && is_share(self.vignette);
        check.require(shares, "strength and vignette must be 0 to 1")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        let phase = (time * 7.0).rem_euclid(f64::from(self.period)) as f32;
        ops::scan_lines(&mut frame, self.period, self.strength, phase);
        ops::vignette(&mut frame, self.vignette);
        Ok(frame)
    }
}
