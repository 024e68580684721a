//! Decoded frames to the input of a backbone: resize, centre crop, normalise (section 3.1 of the paper).
//!
//! Pixels are the same on every machine: the area filter works in integers, the bicubic one in f32 and f64 operations of
//! fixed order.

use ndarray::Array4;
use serde::{Deserialize, Serialize};

/// Largest width or height of a frame or of a resized frame. Keeps every sum of the filters in its integer type.
pub const MAX_SIDE: u32 = 32_768;

/// Why frames or a [`Preprocess`] are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A side of a frame is 0 or larger than [`MAX_SIDE`].
    #[error("a frame of {width}x{height} pixels: each side must be 1 to {MAX_SIDE}")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The bytes do not fit the dimensions.
    #[error("a frame of {width}x{height} pixels with {channels} bytes each needs {expected} bytes, got {found}")]
    Length {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes of a pixel.
        channels: usize,
        /// `width * height * channels`.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A frame so elongated that resizing by its short side makes the other one too large.
    #[error(
        "a frame of {width}x{height} pixels is too elongated: its long side would be resized beyond {MAX_SIDE} pixels"
    )]
    Elongated {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Frames of one batch end up with different sizes.
    #[error("frame {index} of the batch becomes {found:?} pixels (width, height), the first one {first:?}")]
    Mixed {
        /// Position in the batch.
        index: usize,
        /// Width and height of the first frame after preprocessing.
        first: (u32, u32),
        /// Width and height of this frame after preprocessing.
        found: (u32, u32),
    },
    /// The preprocessing contradicts itself.
    #[error("preprocessing: {0}")]
    Config(String),
}

/// One decoded frame, borrowed: rows from the top, pixels from the left, 8 bits a channel, no padding between rows.
#[derive(Debug, Clone, Copy)]
pub struct RgbFrame<'a> {
    width: u32,
    height: u32,
    channels: usize,
    data: &'a [u8],
}

impl<'a> RgbFrame<'a> {
    /// A frame of `width * height` RGB pixels.
    ///
    /// # Errors
    /// [`FrameError::Size`], [`FrameError::Length`].
    pub fn new(width: u32, height: u32, data: &'a [u8]) -> Result<Self, FrameError> {
        Self::with_channels(width, height, 3, data)
    }

    /// A frame of `width * height` RGBA pixels, as browsers hand them out; alpha is ignored.
    ///
    /// # Errors
    /// [`FrameError::Size`], [`FrameError::Length`].
    pub fn from_rgba(width: u32, height: u32, data: &'a [u8]) -> Result<Self, FrameError> {
        Self::with_channels(width, height, 4, data)
    }

    fn with_channels(width: u32, height: u32, channels: usize, data: &'a [u8]) -> Result<Self, FrameError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FrameError::Size { width, height });
        }
        let expected = (width as usize).saturating_mul(height as usize).saturating_mul(channels);
        if data.len() != expected {
            return Err(FrameError::Length { width, height, channels, expected, found: data.len() });
        }
        Ok(Self { width, height, channels, data })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    fn row(&self, y: usize) -> &'a [u8] {
        let stride = self.width as usize * self.channels;
        &self.data[y * stride..][..stride]
    }
}

/// An RGB image: `height * width * 3` bytes, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pixels.
    pub data: Vec<u8>,
}

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
            resize: Resize::ShortSide(short_side),
            filter: Filter::OpencvCubic,
            crop: Some(crop),
            divisor: 255.0,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// The light backbone's preprocessing: a square of `side` pixels by area, `(x - 115) / 58`.
    #[must_use]
    pub fn square(side: u32) -> Self {
        Self {
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

    /// Width and height of the network input made of a frame of this width and height.
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

    /// The frame resized and cropped, not normalised.
    ///
    /// # Errors
    /// As [`Preprocess::output_size`].
    pub fn image(&self, frame: &RgbFrame<'_>) -> Result<RgbImage, FrameError> {
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
        for frame in frames {
            let image = self.image(frame)?;
            for (c, values) in values.iter().enumerate() {
                out.extend(image.data.iter().skip(c).step_by(3).map(|&x| values[usize::from(x)]));
            }
        }
        let shape = (frames.len(), 3, h as usize, w as usize);
        Ok(Array4::from_shape_vec(shape, out)
            .unwrap_or_else(|_| unreachable!("three planes of every frame were written")))
    }
}

/// Which part of which resized frame is computed.
struct Plan {
    x: Axis,
    y: Axis,
}

/// One axis: `resized` pixels are made of `source`, of those `start .. start + len` are wanted.
#[derive(Clone, Copy)]
struct Axis {
    source: u32,
    resized: u32,
    /// Source pixels a resized pixel, for filters of points.
    scale: f64,
    start: u32,
    len: u32,
}

impl Axis {
    fn is_identity(&self) -> bool {
        self.source == self.resized
    }

    fn wanted(&self) -> std::ops::Range<u32> {
        self.start..self.start + self.len
    }
}

fn crop(frame: &RgbFrame<'_>, plan: &Plan) -> Vec<u8> {
    let n = frame.channels;
    let mut out = Vec::with_capacity(plan.x.len as usize * plan.y.len as usize * 3);
    for y in plan.y.wanted() {
        let row = &frame.row(y as usize)[plan.x.start as usize * n..][..plan.x.len as usize * n];
        for pixel in row.chunks_exact(n) {
            out.extend_from_slice(&pixel[..3]);
        }
    }
    out
}

/// Four source positions (borders repeated) and their coefficients for every wanted pixel of an axis.
fn cubic_taps(axis: &Axis) -> Vec<CubicTap> {
    const A: f64 = -0.75;
    let last = i64::from(axis.source) - 1;
    axis.wanted()
        .map(|d| {
            let position = (f64::from(d) + 0.5) * axis.scale - 0.5;
            let x = position - position.floor();
            let (y, near) = (1.0 - x, |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0);
            let first = position.floor() as i64 - 1;
            (
                std::array::from_fn(|k| (first + k as i64).clamp(0, last) as usize),
                [A * x * y * y, near(x), near(y), A * x * x * y].map(|c| c as f32),
            )
        })
        .collect()
}

/// `a * b + c` rounded once (but for ties of the f64 sum), the same with and without a fused instruction.
fn fused(a: f32, b: f32, c: f32) -> f32 {
    (f64::from(a) * f64::from(b) + f64::from(c)) as f32
}

/// First pass: the sum of four weighted pixels, from the first to the last.
fn chain(t: [u8; 4], c: [f32; 4]) -> f32 {
    let t = t.map(f32::from);
    fused(t[3], c[3], fused(t[2], c[2], fused(t[1], c[1], t[0] * c[0])))
}

/// Bytes of a frame and its resized copy from which on OpenCV splits the work over threads; the order of the two passes
/// then changes, and with it the rounding of about one value of 100,000.
const SPLIT_BYTES: u64 = 1 << 19;

fn cubic(frame: &RgbFrame<'_>, plan: &Plan) -> Vec<u8> {
    let area = |x: u32, y: u32| u64::from(x) * u64::from(y);
    let bytes = 3 * (area(plan.x.source, plan.y.source) + area(plan.x.resized, plan.y.resized));
    let (xs, ys) = (cubic_taps(&plan.x), cubic_taps(&plan.y));
    if bytes < SPLIT_BYTES { cubic_rows_first(frame, &xs, &ys) } else { cubic_columns_first(frame, &xs, &ys) }
}

type CubicTap = ([usize; 4], [f32; 4]);

/// Along rows, then along columns.
fn cubic_rows_first(frame: &RgbFrame<'_>, xs: &[CubicTap], ys: &[CubicTap]) -> Vec<u8> {
    let width = xs.len() * 3;
    let n = frame.channels;
    // Filtered source rows; a row is computed once and found again by its number.
    let mut rows: [(usize, Vec<f32>); 4] = std::array::from_fn(|_| (usize::MAX, vec![0.0; width]));
    let mut out = Vec::with_capacity(width * ys.len());
    for (sources, weights) in ys {
        for &y in sources {
            if rows.iter().any(|(have, _)| *have == y) {
                continue;
            }
            // Four slots, at most four rows: one slot holds a row that this pixel row does not need.
            let Some(slot) = rows.iter_mut().find(|(have, _)| !sources.contains(have)) else { continue };
            slot.0 = y;
            let source = frame.row(y);
            for (pixel, (at, c)) in slot.1.chunks_exact_mut(3).zip(xs) {
                let taps = at.map(|x| &source[x * n..x * n + 3]);
                for (channel, value) in pixel.iter_mut().enumerate() {
                    *value = chain(taps.map(|tap| tap[channel]), *c);
                }
            }
        }
        let [r0, r1, r2, r3] = sources.map(|y| rows.iter().find(|(have, _)| *have == y).map_or(&[][..], |r| &r.1));
        let [w0, w1, w2, w3] = *weights;
        out.extend(r0.iter().zip(r1).zip(r2).zip(r3).map(|(((&a, &b), &c), &d)| {
            let value = fused(a, w0, b * w1) + fused(c, w2, d * w3);
            value.round_ties_even() as u8
        }));
    }
    out
}

/// Along columns, then along rows.
fn cubic_columns_first(frame: &RgbFrame<'_>, xs: &[CubicTap], ys: &[CubicTap]) -> Vec<u8> {
    let n = frame.channels;
    // Only the columns that the crop leaves.
    let first = xs.iter().flat_map(|(at, _)| at).min().map_or(0, |x| x * n);
    let end = xs.iter().flat_map(|(at, _)| at).max().map_or(0, |x| (x + 1) * n);
    let mut line: Vec<f32> = Vec::with_capacity(end - first);
    let mut out = Vec::with_capacity(xs.len() * ys.len() * 3);
    for (sources, weights) in ys {
        let [r0, r1, r2, r3] = sources.map(|y| &frame.row(y)[first..end]);
        line.clear();
        line.extend(r0.iter().zip(r1).zip(r2).zip(r3).map(|(((&a, &b), &c), &d)| chain([a, b, c, d], *weights)));
        for (at, c) in xs {
            let taps = at.map(|x| &line[x * n - first..][..3]);
            for channel in 0..3 {
                let [t0, t1, t2, t3] = taps.map(|tap| tap[channel]);
                let value = (t0 * c[0] + t1 * c[1]) + (t2 * c[2] + t3 * c[3]);
                out.push(value.round_ties_even() as u8);
            }
        }
    }
    out
}

/// The source pixels under every wanted pixel of an axis: the first one, and an integer weight each. The weights of a
/// pixel sum to the returned total, 65,536 at most.
fn area_taps(axis: &Axis) -> (Vec<(usize, Vec<u32>)>, u32) {
    let divisor = gcd(axis.source, axis.resized);
    let (source, resized) = (axis.source / divisor, axis.resized / divisor);
    let taps = axis.wanted().map(u64::from);
    if source >= resized {
        // In units of 1/resized of a source pixel: pixel i lies over [i * source, (i + 1) * source).
        let unit = u64::from(resized);
        let taps = taps.map(|i| {
            let (from, to) = (i * u64::from(source), (i + 1) * u64::from(source));
            let first = from / unit;
            let covered = |j: u64| to.min((j + 1) * unit) - from.max(j * unit);
            (first as usize, (first..to.div_ceil(unit)).map(|j| covered(j) as u32).collect())
        });
        (taps.collect(), source)
    } else {
        // In units of 1/(2 resized) of a source pixel, which is also the width of the area; two neighbours at most.
        let unit = 2 * u64::from(resized);
        let last = u64::from(axis.source) - 1;
        let taps = taps.map(|i| {
            // End of the area; its start is `unit` less, before the image for the first pixels.
            let to = (2 * i + 1) * u64::from(source) + u64::from(resized);
            let (right, share) = (to / unit, (to % unit) as u32);
            match right {
                0 => (0, vec![unit as u32]),
                right if right > last => (last as usize, vec![unit as u32]),
                right => (right as usize - 1, vec![unit as u32 - share, share]),
            }
        });
        (taps.collect(), unit as u32)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn area(frame: &RgbFrame<'_>, plan: &Plan) -> Vec<u8> {
    let ((xs, x_total), (ys, y_total)) = (area_taps(&plan.x), area_taps(&plan.y));
    let n = frame.channels;
    let total = u64::from(x_total) * u64::from(y_total);
    let mut out = Vec::with_capacity(xs.len() * ys.len() * 3);
    // 255 * 65536 at most.
    let mut sums = vec![0u32; frame.width as usize * n];
    for (first, weights) in &ys {
        sums.fill(0);
        for (y, &weight) in (*first..).zip(weights) {
            for (sum, &x) in sums.iter_mut().zip(frame.row(y)) {
                *sum += u32::from(x) * weight;
            }
        }
        for (first, weights) in &xs {
            let mut pixel = [0u64; 3];
            for (source, &weight) in sums[first * n..].chunks_exact(n).zip(weights) {
                for (p, &s) in pixel.iter_mut().zip(source) {
                    *p += u64::from(s) * u64::from(weight);
                }
            }
            out.extend(pixel.map(|p| ((2 * p + total) / (2 * total)) as u8));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden;

    fn frame(width: u32, height: u32, data: &[u8]) -> RgbFrame<'_> {
        RgbFrame::new(width, height, data).unwrap()
    }

    fn noise(width: u32, height: u32) -> Vec<u8> {
        let values = golden::numbers(&format!("frame.{width}x{height}"), (width * height * 3) as usize, 128.0, 128.0);
        values.iter().map(|&v| v as u8).collect()
    }

    #[test]
    fn bad_frames_and_configurations_are_refused() {
        assert_eq!(RgbFrame::new(0, 2, &[]).unwrap_err(), FrameError::Size { width: 0, height: 2 });
        assert_eq!(
            RgbFrame::new(1, MAX_SIDE + 1, &[]).unwrap_err(),
            FrameError::Size { width: 1, height: MAX_SIDE + 1 }
        );
        let short = RgbFrame::from_rgba(2, 2, &[0; 12]).unwrap_err().to_string();
        assert!(short.contains("16 bytes, got 12"), "{short}");
        let long = [0; 3 * 400];
        let elongated = Preprocess::imagenet(256, 224).image(&frame(400, 1, &long)).unwrap_err();
        assert_eq!(elongated, FrameError::Elongated { width: 400, height: 1 });
        let good = Preprocess::square(112);
        for bad in [
            Preprocess { divisor: 0.0, ..good },
            Preprocess { divisor: f32::NAN, ..good },
            Preprocess { std: [1.0, -1.0, 1.0], ..good },
            Preprocess { mean: [f32::INFINITY; 3], ..good },
            Preprocess { resize: Resize::Square(0), ..good },
            Preprocess { crop: Some(113), ..good },
            Preprocess { crop: Some(0), resize: Resize::Keep, ..good },
        ] {
            assert!(matches!(bad.validate(), Err(FrameError::Config(_))), "{bad:?}");
        }
        assert_eq!(good.validate(), Ok(()));
    }

    #[test]
    fn sizes_round_halves_to_even_and_crops_truncate() {
        let p = Preprocess { crop: None, ..Preprocess::imagenet(256, 224) };
        assert_eq!(p.output_size(160, 90), Ok((455, 256)));
        assert_eq!(p.output_size(420, 300), Ok((358, 256)));
        assert_eq!(p.output_size(331, 257), Ok((330, 256)));
        let half = Preprocess { resize: Resize::ShortSide(1), ..p };
        assert_eq!(half.output_size(5, 2), Ok((2, 1)));
        assert_eq!(half.output_size(7, 2), Ok((4, 1)));
        let kept = Preprocess { resize: Resize::Keep, crop: Some(2), ..p };
        let data: Vec<u8> = (0..5 * 3).collect();
        assert_eq!(kept.image(&frame(5, 1, &data)).unwrap().data, [3, 4, 5, 6, 7, 8]);
        assert_eq!(kept.output_size(5, 1), Ok((2, 1)));
    }

    #[test]
    fn configuration_round_trips_as_json() {
        for p in [Preprocess::imagenet(256, 224), Preprocess::square(112)] {
            let json = serde_json::to_string(&p).unwrap();
            assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), p, "{json}");
        }
        let json = serde_json::to_value(Preprocess::square(96)).unwrap();
        assert_eq!(json["resize"]["square"], 96);
        assert_eq!(json["filter"], "area");
    }

    #[test]
    fn rgba_equals_rgb_and_batches_are_planar() {
        let rgb = noise(9, 7);
        let rgba: Vec<u8> = rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 17]).collect();
        for p in [Preprocess::imagenet(8, 6), Preprocess::square(5), Preprocess::square(20)] {
            let a = p.batch(&[frame(9, 7, &rgb), RgbFrame::from_rgba(9, 7, &rgba).unwrap()]).unwrap();
            assert_eq!(a.index_axis(ndarray::Axis(0), 0), a.index_axis(ndarray::Axis(0), 1));
            let image = p.image(&frame(9, 7, &rgb)).unwrap();
            let (w, h) = (image.width as usize, image.height as usize);
            assert_eq!(a.dim(), (2, 3, h, w));
            let byte = f32::from(image.data[((h - 1) * w + 1) * 3 + 2]);
            assert_eq!(a[[1, 2, h - 1, 1]], (byte / p.divisor - p.mean[2]) / p.std[2]);
        }
        assert_eq!(Preprocess::square(5).batch(&[]).unwrap().dim(), (0, 3, 0, 0));
        let mixed = Preprocess { crop: None, ..Preprocess::imagenet(8, 6) };
        let error = mixed.batch(&[frame(9, 7, &rgb), frame(7, 9, &rgb)]).unwrap_err();
        assert_eq!(error, FrameError::Mixed { index: 1, first: (10, 8), found: (8, 10) });
    }

    #[test]
    fn area_means_by_hand() {
        // 3 columns to 2: the middle one belongs half to each. (10 + 20/2) / 1.5 and (20/2 + 40) / 1.5.
        let data: Vec<u8> = [10u8, 20, 40].iter().flat_map(|&v| [v; 3]).collect();
        let axis = |source: u32, resized: u32| Axis {
            source,
            resized,
            scale: f64::from(source) / f64::from(resized),
            start: 0,
            len: resized,
        };
        let run = |x: Axis, y: Axis, data: &[u8]| -> Vec<u8> {
            area(&frame(x.source, y.source, data), &Plan { x, y }).chunks_exact(3).map(|p| p[0]).collect()
        };
        assert_eq!(run(axis(3, 2), axis(1, 1), &data), [13, 33]);
        assert_eq!(run(axis(1, 1), axis(3, 1), &data), [23]);
        // Growing interpolates: 2 columns to 4 at 1/4, 3/4 between the centres, borders repeated.
        let data: Vec<u8> = [0u8, 100].iter().flat_map(|&v| [v; 3]).collect();
        assert_eq!(run(axis(2, 4), axis(1, 1), &data), [0, 25, 75, 100]);
        assert_eq!(run(axis(1, 1), axis(2, 3), &data), [0, 50, 100]);
    }

    /// The area filter in f64 from its definition.
    fn area_naive(source: &[f64], resized: usize) -> Vec<f64> {
        let scale = source.len() as f64 / resized as f64;
        let width = scale.max(1.0);
        (0..resized)
            .map(|i| {
                let centre = (i as f64 + 0.5) * scale;
                let (from, to) = (centre - width / 2.0, centre + width / 2.0);
                let cover = |j: i64| (to.min((j + 1) as f64) - from.max(j as f64)).max(0.0);
                let at = |j: i64| source[j.clamp(0, source.len() as i64 - 1) as usize];
                (from.floor() as i64..=to.ceil() as i64).map(|j| cover(j) * at(j)).sum::<f64>() / width
            })
            .collect()
    }

    /// Bicubic interpolation in f64 from its formula, one axis, borders repeated.
    fn cubic_naive(source: &[f64], resized: usize) -> Vec<f64> {
        let kernel = |t: f64| {
            let (a, t) = (-0.75, t.abs());
            if t <= 1.0 {
                (a + 2.0) * t.powi(3) - (a + 3.0) * t.powi(2) + 1.0
            } else if t < 2.0 {
                a * t.powi(3) - 5.0 * a * t.powi(2) + 8.0 * a * t - 4.0 * a
            } else {
                0.0
            }
        };
        (0..resized)
            .map(|i| {
                let x = (i as f64 + 0.5) * source.len() as f64 / resized as f64 - 0.5;
                (x.floor() as i64 - 1..=x.floor() as i64 + 2)
                    .map(|j| kernel(x - j as f64) * source[j.clamp(0, source.len() as i64 - 1) as usize])
                    .sum()
            })
            .collect()
    }

    fn separable(
        data: &[u8],
        w: usize,
        h: usize,
        size: (usize, usize),
        axis: fn(&[f64], usize) -> Vec<f64>,
    ) -> Vec<f64> {
        let mut out = vec![0.0; size.0 * size.1 * 3];
        for c in 0..3 {
            let rows: Vec<Vec<f64>> = (0..h)
                .map(|y| axis(&(0..w).map(|x| f64::from(data[(y * w + x) * 3 + c])).collect::<Vec<_>>(), size.0))
                .collect();
            for x in 0..size.0 {
                let column = axis(&rows.iter().map(|r| r[x]).collect::<Vec<_>>(), size.1);
                for (y, v) in column.iter().enumerate() {
                    out[(y * size.0 + x) * 3 + c] = *v;
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn filters_match_their_definitions(w in 1u32..40, h in 1u32..40, rw in 1u32..50, rh in 1u32..50, cut in 0u32..4) {
            let data = noise(w, h);
            let axis = |source: u32, resized: u32| {
                let start = cut.min(resized - 1);
                Axis { source, resized, scale: f64::from(source) / f64::from(resized), start, len: resized - start }
            };
            let plan = Plan { x: axis(w, rw), y: axis(h, rh) };
            let frame = frame(w, h, &data);
            for (filter, naive, tolerance) in [
                (area as fn(&RgbFrame<'_>, &Plan) -> Vec<u8>, area_naive as fn(&[f64], usize) -> Vec<f64>, 0.5 + 1e-9),
                (
                    |frame, plan| cubic_rows_first(frame, &cubic_taps(&plan.x), &cubic_taps(&plan.y)),
                    cubic_naive,
                    0.5 + 1e-3,
                ),
                (
                    |frame, plan| cubic_columns_first(frame, &cubic_taps(&plan.x), &cubic_taps(&plan.y)),
                    cubic_naive,
                    0.5 + 1e-3,
                ),
            ] {
                let got = filter(&frame, &plan);
                let expected = separable(&data, w as usize, h as usize, (rw as usize, rh as usize), naive);
                let wanted = plan.y.wanted().flat_map(|y| plan.x.wanted().map(move |x| ((y * rw + x) * 3) as usize));
                for (pixel, at) in got.chunks_exact(3).zip(wanted) {
                    for c in 0..3 {
                        let clamped = expected[at + c].clamp(0.0, 255.0);
                        prop_assert!((f64::from(pixel[c]) - clamped).abs() <= tolerance, "{} {clamped}", pixel[c]);
                    }
                }
                prop_assert_eq!(got.len(), (plan.x.len * plan.y.len * 3) as usize);
            }
        }
    }

    #[test]
    fn golden_preprocess() {
        let Some(file) = golden::file("preprocess") else { return };
        let p = Preprocess::imagenet(256, 224);
        for name in ["up_90x160", "down_300x420", "odd_257x331"] {
            let (shape, input) = file.u8(&format!("{name}.input"));
            let input = frame(shape[1] as u32, shape[0] as u32, input);
            let uncropped = Preprocess { crop: None, ..p };
            let size = uncropped.output_size(input.width(), input.height()).unwrap();
            let (_, resized) = file.i64(&format!("{name}.resized_shape"));
            assert_eq!(resized, [i64::from(size.1), i64::from(size.0), 3]);
            let (_, expected) = file.u8(&format!("{name}.crop224"));
            let got = p.image(&input).unwrap();
            let differences = got.data.iter().zip(expected).filter(|(a, b)| a != b).count();
            assert_eq!(differences, 0, "{name}");
        }
    }
}
