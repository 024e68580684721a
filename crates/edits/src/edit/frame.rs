//! Edits of the picture's place in the frame: crops, mirrored, turned, seen from aside.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation, even_size};
use super::sample::{SourceFacts, area, border, sign, vary};
use crate::image::Image;
use crate::warp::{Border, Projective};
use crate::{EditError, Pcg64};

/// Only a part of the frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// What is kept.
    pub area: [f32; 4],
}

impl Crop {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let share = vary(rng, strength, 0.9, 0.4);
        Self { area: area(rng, share, 0.25) }
    }
}

impl Operation for Crop {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.area(&self.area)
    }

    fn size(&self, size: (u32, u32), _: Option<(u32, u32)>) -> Option<(u32, u32)> {
        area_size(&self.area, size)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        Ok(frame.resize_region(pixels(&self.area, &frame), inputs.size.0, inputs.size.1))
    }
}

/// Left and right exchanged, then cropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flip {
    /// What is kept of the mirrored frame.
    pub area: [f32; 4],
}

impl Flip {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let share = vary(rng, strength, 1.0, 0.65);
        Self { area: area(rng, share, 0.15) }
    }
}

impl Operation for Flip {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.area(&self.area)
    }

    fn size(&self, size: (u32, u32), _: Option<(u32, u32)>) -> Option<(u32, u32)> {
        area_size(&self.area, size)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        let [x0, y0, x1, y1] = pixels(&self.area, &frame);
        let full = frame.width as f32;
        Ok(frame.resize_region([full - x0, y0, full - x1, y1], inputs.size.0, inputs.size.1))
    }
}

/// Turned about the middle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Radians, within -pi to pi.
    pub angle: f32,
    /// Enlarged by this, 0.2 to 5.
    pub zoom: f32,
    /// What shows in the corners.
    pub border: Border,
}

impl Rotation {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let angle = sign(rng) * vary(rng, strength, 5.0, 25.0).to_radians();
        Self { angle, zoom: rng.random_range(1.0..1.35), border: border(rng) }
    }
}

impl Operation for Rotation {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require(self.angle.abs() <= std::f32::consts::PI, "the angle must be within -pi to pi")?;
        check.require((0.2..=5.0).contains(&self.zoom), "the zoom must be 0.2 to 5")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        let (width, height) = inputs.size;
        let middle = [f64::from(frame.width) / 2.0, f64::from(frame.height) / 2.0];
        let zoom = 1.0 / f64::from(self.zoom);
        let map = Projective::translation(f64::from(width) / -2.0, f64::from(height) / -2.0)
            .then(&Projective::rotation(f64::from(self.angle)))
            .then(&Projective::scaling(zoom, zoom))
            .then(&Projective::translation(middle[0], middle[1]));
        Ok(frame.warp(&map, width, height, self.border))
    }
}

/// Seen from aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Perspective {
    /// Where the frame's corners go, from the top left clockwise.
    pub corners: [[f32; 2]; 4],
    /// What shows outside.
    pub border: Border,
}

impl Perspective {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let reach = vary(rng, strength, 0.05, 0.18);
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
            .map(|corner: [f32; 2]| corner.map(|value| value + rng.random_range(-reach..=reach)));
        Self { corners, border: border(rng) }
    }
}

impl Operation for Perspective {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.corners(&self.corners)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        Ok(match from_quad(&self.corners, &frame, inputs.size) {
            Some(map) => frame.warp(&map, inputs.size.0, inputs.size.1, self.border),
            None => frame,
        })
    }
}

/// Shares of the sides as pixels.
fn pixels(area: &[f32; 4], image: &Image) -> [f32; 4] {
    let (width, height) = (image.width as f32, image.height as f32);
    [area[0] * width, area[1] * height, area[2] * width, area[3] * height]
}

fn area_size(area: &[f32; 4], size: (u32, u32)) -> Option<(u32, u32)> {
    even_size(size.0 as f32 * (area[2] - area[0]), size.1 as f32 * (area[3] - area[1]))
}

/// The map from the pixels of an image of `size` to those of `source`.
///
/// `source` fills the quadrangle `corners`, which are shares of the sides.
pub(super) fn from_quad(corners: &[[f32; 2]; 4], source: &Image, size: (u32, u32)) -> Option<Projective> {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let corners = corners.map(|[x, y]| [f64::from(x) * width, f64::from(y) * height]);
    let back = Projective::unit_to_quad(corners).inverse()?;
    Some(back.then(&Projective::scaling(f64::from(source.width), f64::from(source.height))))
}
