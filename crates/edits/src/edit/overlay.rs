//! Edits that show two clips at once: insets and blends.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation, even_size, is_share};
use super::sample::{SourceFacts, frame_colour, inset_centre, vary};
use crate::image::Image;
use crate::{EditError, Pcg64, draw, ops};

/// The clip as an inset in another clip (needs a host).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureInPicture {
    /// The inset fits into this share of the host's sides.
    pub side: f32,
    /// The inset's middle in the host, moved inwards where it would stick out.
    pub centre: [f32; 2],
    /// A frame around it: its width over the host's height, and its colour.
    pub frame: Option<(f32, [u8; 3])>,
    /// 0 to 1, 1 covers the host.
    pub alpha: f32,
}

impl PictureInPicture {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self {
            side: vary(rng, strength, 0.6, 0.3),
            centre: inset_centre(rng),
            frame: rng.random_bool(0.3).then(|| (rng.random_range(0.005..0.02), frame_colour(rng))),
            alpha: if rng.random_bool(0.1) { rng.random_range(0.8..1.0) } else { 1.0 },
        }
    }
}

impl Operation for PictureInPicture {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.inset(self.side, &self.centre)?;
        let frame = self.frame.is_none_or(|(width, _)| (0.0..=0.2).contains(&width));
        check.require(frame, "the frame must be 0 to 0.2 wide")?;
        check.require(is_share(self.alpha), "alpha must be 0 to 1")
    }

    fn size(&self, size: (u32, u32), host: Option<(u32, u32)>) -> Option<(u32, u32)> {
        host_size(size, host)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        let mut host = inputs.host(time)?.into_size(inputs.size);
        let [x0, y0, x1, y1] = inset((frame.width, frame.height), inputs.size, self.side, self.centre);
        if let Some((share, colour)) = self.frame {
            let by = (share * inputs.size.1 as f32).max(1.0);
            let (x0, y0, x1, y1) = (x0 as f32 - by, y0 as f32 - by, x1 as f32 + by, y1 as f32 + by);
            draw::fill(&mut host, &[[x0, y0], [x1, y0], [x1, y1], [x0, y1]], colour, self.alpha);
        }
        host.paste(&frame.resize(x1 - x0, y1 - y0), i64::from(x0), i64::from(y0), self.alpha);
        Ok(host)
    }
}

/// Another clip as an inset over the clip (needs a host).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlayInset {
    /// The inset fits into this share of the sides.
    pub side: f32,
    /// The inset's middle, moved inwards where it would stick out.
    pub centre: [f32; 2],
    /// Within an ellipse, as web cameras are shown.
    pub round: bool,
}

impl OverlayInset {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self { side: vary(rng, strength, 0.2, 0.4), centre: inset_centre(rng), round: rng.random_bool(0.2) }
    }
}

impl Operation for OverlayInset {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.inset(self.side, &self.centre)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        let other = inputs.host(time)?;
        let area = inset((other.width, other.height), inputs.size, self.side, self.centre);
        let other = other.resize(area[2] - area[0], area[3] - area[1]);
        if self.round {
            draw::paste_ellipse(&mut frame, &other, area);
        } else {
            frame.paste(&other, i64::from(area[0]), i64::from(area[1]), 1.0);
        }
        Ok(frame)
    }
}

/// Another clip shines through (needs a host).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// How much of it, 0 to 1.
    pub alpha: f32,
}

impl Blend {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        Self { alpha: vary(rng, strength, 0.12, 0.4) }
    }
}

impl Operation for Blend {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require(is_share(self.alpha), "alpha must be 0 to 1")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        let other = cover(&inputs.host(time)?, inputs.size.0, inputs.size.1);
        ops::blend(&mut frame, &other, self.alpha);
        Ok(frame)
    }
}

/// The size of an edit that fills the host's frames.
pub(super) fn host_size(size: (u32, u32), host: Option<(u32, u32)>) -> Option<(u32, u32)> {
    let host = host.unwrap_or(size);
    even_size(host.0 as f32, host.1 as f32)
}

/// The pixels `[x0, y0, x1, y1]` of an inset of the aspect of `inner`.
///
/// It fits into `side` of `outer`'s sides, about `centre` but within the frame.
fn inset(inner: (u32, u32), outer: (u32, u32), side: f32, centre: [f32; 2]) -> [u32; 4] {
    let scale = (side * outer.0 as f32 / inner.0 as f32).min(side * outer.1 as f32 / inner.1 as f32);
    let place = |inner: u32, outer: u32, centre: f32| {
        let length = ((inner as f32 * scale).round() as u32).clamp(1, outer);
        let low = (centre * outer as f32 - length as f32 / 2.0).round().clamp(0.0, (outer - length) as f32) as u32;
        (low, low + length)
    };
    let ((x0, x1), (y0, y1)) = (place(inner.0, outer.0, centre[0]), place(inner.1, outer.1, centre[1]));
    [x0, y0, x1, y1]
}

/// The image's middle, cut so that it fills the size undistorted.
pub(crate) fn cover(image: &Image, width: u32, height: u32) -> Image {
    let (w, h) = (image.width as f32, image.height as f32);
    let scale = (w / width as f32).min(h / height as f32);
    let (across, down) = (scale * width as f32, scale * height as f32);
    let (x, y) = ((w - across) / 2.0, (h - down) / 2.0);
    image.resize_region([x, y, x + across, y + down], width, height)
}

/// The whole image within the size: stretched where the aspects are near, else between black bars.
pub(crate) fn letterbox(image: &Image, width: u32, height: u32) -> Image {
    let ratio = image.aspect() / (width as f32 / height as f32);
    if (0.88..=1.14).contains(&ratio) {
        return image.resize(width, height);
    }
    let mut out = Image::filled(width, height, [0; 3]);
    let area = inset((image.width, image.height), (width, height), 1.0, [0.5; 2]);
    let shown = image.resize(area[2] - area[0], area[3] - area[1]);
    out.paste(&shown, i64::from(area[0]), i64::from(area[1]), 1.0);
    out
}
