//! Decoded frames to the input of a backbone: resize, centre crop, normalise (section 3.1 of the paper).
//!
//! Pixels are the same on every machine: the area filter works in integers, the bicubic one in f32 and f64 operations of
//! fixed order.

mod area;
mod bars;
mod cubic;
mod fill;
mod image;
mod informative;
mod lines;
mod plan;
#[cfg(test)]
mod tests;

use ndarray::Array4;
use serde::{Deserialize, Serialize};

use self::area::area;
use self::cubic::cubic;
pub use self::image::{FrameError, MAX_SIDE, RgbFrame, RgbImage};
pub use self::informative::weight;
use self::plan::{Axis, Plan, crop};

/// To which size a frame is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Resize {
    /// Not at all.
    Keep,
    /// The short side becomes this many pixels, the aspect stays; `round(side * ratio)`, halves to even.
    ShortSide(u32),
    /// A square of this side; the aspect is lost.
    Square(u32),
}

/// How a resized pixel is made of source pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// OpenCV's `INTER_CUBIC` on 8-bit images as its x86 builds compute it: a = -0.75, no antialiasing, border repeated,
    /// f32 sums, halves to even. By the short side, the scale is the ratio as given, not the quotient of
    /// the rounded sizes. (OpenCV without IPP rounds coefficients to 11 bits: about 2 values of 100 differ by 1.)
    OpencvCubic,
    /// Mean over the source area of the pixel, parts of source pixels counted by their share. Along an axis that grows,
    /// the area is one source pixel wide around the pixel's centre, which is linear interpolation. Rounded half up.
    Area,
}

/// Frames to network input: resize, centre crop, `(x / divisor - mean) / std`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Whether what is beside a frame's picture is cut off before anything else: bars (letterboxes, pillars), and sides that
    /// are filled with a blurred picture.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_bars: bool,
    /// Size before the crop.
    pub resize: Resize,
    /// How pixels are resized.
    pub filter: Filter,
    /// Side of the centre crop; `None` keeps all. A side of the frame that is shorter stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<u32>,
    /// What pixel values (0 to 255) are divided by before `mean` and `std` apply.
    pub divisor: f32,
    /// Mean of the red, green and blue channel.
    pub mean: [f32; 3],
    /// Standard deviation of the red, green and blue channel.
    pub std: [f32; 3],
}

impl Preprocess {
    /// The official networks' preprocessing (upstream: 256, 224): bicubic by the short side, centre crop, ImageNet
    /// statistics.
    #[must_use]
    pub fn imagenet(short_side: u32, crop: u32) -> Self {
        Self {
            cut_bars: false,
            resize: Resize::ShortSide(short_side),
            filter: Filter::OpencvCubic,
            crop: Some(crop),
            divisor: 255.0,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// The light backbone's preprocessing: bars and blurred sides cut off, a square of `side` pixels by area, `(x - 115) / 58`.
    #[must_use]
    pub fn square(side: u32) -> Self {
        Self {
            cut_bars: true,
            resize: Resize::Square(side),
            filter: Filter::Area,
            crop: None,
            divisor: 1.0,
            mean: [115.0; 3],
            std: [58.0; 3],
        }
    }

    /// Checks the configuration itself.
    ///
    /// # Errors
    /// [`FrameError::Config`] for a size of 0 or above [`MAX_SIDE`], a crop larger than the resized frame, a divisor or
    /// standard deviation that is not positive, values that are not finite.
    pub fn validate(&self) -> Result<(), FrameError> {
        let config = |message: String| Err(FrameError::Config(message));
        let side = match self.resize {
            Resize::Keep => None,
            Resize::ShortSide(side) | Resize::Square(side) => Some(side),
        };
        for (name, size) in [("resize", side), ("crop", self.crop)] {
            if let Some(size) = size.filter(|s| !(1..=MAX_SIDE).contains(s)) {
                return config(format!("`{name}` is {size} pixels, must be 1 to {MAX_SIDE}"));
            }
        }
        if let (Some(side), Some(crop)) = (side, self.crop)
            && crop > side
        {
            return config(format!("`crop` of {crop} pixels is larger than the resized side of {side}"));
        }
        if !(self.divisor.is_finite() && self.divisor > 0.0) {
            return config(format!("`divisor` is {}, must be positive", self.divisor));
        }
        if let Some(mean) = self.mean.iter().find(|m| !m.is_finite()) {
            return config(format!("`mean` holds {mean}"));
        }
        if let Some(std) = self.std.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
            return config(format!("`std` holds {std}, must be positive"));
        }
        Ok(())
    }

    /// Width and height after resizing, before the crop.
    fn resized_size(&self, width: u32, height: u32) -> Result<(u32, u32), FrameError> {
        match self.resize {
            Resize::Keep => Ok((width, height)),
            Resize::Square(side) => Ok((side, side)),
            Resize::ShortSide(side) => {
                let ratio = f64::from(side) / f64::from(width.min(height));
                // At most 32768 * 32768: exact in f64 and u32.
                let scaled = |v: u32| (f64::from(v) * ratio).round_ties_even() as u32;
                let size = (scaled(width), scaled(height));
                if size.0.max(size.1) > MAX_SIDE {
                    return Err(FrameError::Elongated { width, height });
                }
                Ok(size)
            }
        }
    }

    /// Width and height of the network input made of a frame that shows this width and height, bars apart.
    ///
    /// # Errors
    /// As [`Preprocess::validate`]; [`FrameError::Size`], [`FrameError::Elongated`].
    pub fn output_size(&self, width: u32, height: u32) -> Result<(u32, u32), FrameError> {
        let plan = self.plan(width, height)?;
        Ok((plan.x.len, plan.y.len))
    }

    /// Width and height of the network input where they are the same for frames of every size; `None` where they are not.
    #[must_use]
    pub fn fixed_size(&self) -> Option<(u32, u32)> {
        match (self.resize, self.crop) {
            (Resize::Square(side), crop) => Some(crop.map_or(side, |crop| crop.min(side))),
            // Both sides are at least the short one.
            (Resize::ShortSide(side), Some(crop)) if crop <= side => Some(crop),
            (Resize::Keep | Resize::ShortSide(_), _) => None,
        }
        .map(|side| (side, side))
    }

    fn plan(&self, width: u32, height: u32) -> Result<Plan, FrameError> {
        self.validate()?;
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FrameError::Size { width, height });
        }
        let (w, h) = self.resized_size(width, height)?;
        let axis = |source: u32, resized: u32| {
            let len = self.crop.map_or(resized, |crop| crop.min(resized));
            let scale = match self.resize {
                Resize::ShortSide(side) => 1.0 / (f64::from(side) / f64::from(width.min(height))),
                Resize::Keep | Resize::Square(_) => f64::from(source) / f64::from(resized),
            };
            Axis { source, resized, scale, start: (resized - len) / 2, len }
        };
        Ok(Plan { x: axis(width, w), y: axis(height, h) })
    }

    /// What is looked at of a frame.
    fn shown<'a>(&self, frame: &RgbFrame<'a>) -> RgbFrame<'a> {
        if self.cut_bars { fill::within(&bars::within(frame)) } else { *frame }
    }

    /// The frame without its bars, resized and cropped, not normalised.
    ///
    /// # Errors
    /// As [`Preprocess::output_size`].
    pub fn image(&self, frame: &RgbFrame<'_>) -> Result<RgbImage, FrameError> {
        self.resized(&self.shown(frame))
    }

    fn resized(&self, frame: &RgbFrame<'_>) -> Result<RgbImage, FrameError> {
        let plan = self.plan(frame.width, frame.height)?;
        let data = if plan.x.is_identity() && plan.y.is_identity() {
            crop(frame, &plan)
        } else {
            match self.filter {
                Filter::OpencvCubic => cubic(frame, &plan),
                Filter::Area => area(frame, &plan),
            }
        };
        Ok(RgbImage { width: plan.x.len, height: plan.y.len, data })
    }

    /// Normalised network input `[frames, 3, height, width]`; no frames give `[0, 3, 0, 0]`.
    ///
    /// # Errors
    /// As [`Preprocess::output_size`]; [`FrameError::Mixed`] where frames of different shape make inputs of different
    /// size.
    pub fn batch(&self, frames: &[RgbFrame<'_>]) -> Result<Array4<f32>, FrameError> {
        self.validate()?;
        let frames: Vec<RgbFrame<'_>> = frames.iter().map(|frame| self.shown(frame)).collect();
        let Some(first) = frames.first() else { return Ok(Array4::zeros((0, 3, 0, 0))) };
        let (w, h) = self.output_size(first.width, first.height)?;
        for (index, frame) in frames.iter().enumerate() {
            let found = self.output_size(frame.width, frame.height)?;
            if found != (w, h) {
                return Err(FrameError::Mixed { index, first: (w, h), found });
            }
        }
        let values: [[f32; 256]; 3] =
            [0, 1, 2].map(|c| std::array::from_fn(|x| (x as f32 / self.divisor - self.mean[c]) / self.std[c]));
        let plane = w as usize * h as usize;
        let mut out = Vec::with_capacity(frames.len() * 3 * plane);
        for frame in &frames {
            let image = self.resized(frame)?;
            for (c, values) in values.iter().enumerate() {
                out.extend(image.data.iter().skip(c).step_by(3).map(|&x| values[usize::from(x)]));
            }
        }
        let shape = (frames.len(), 3, h as usize, w as usize);
        Ok(Array4::from_shape_vec(shape, out)
            .unwrap_or_else(|_| unreachable!("three planes of every frame were written")))
    }
}
