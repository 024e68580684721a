//! Edits that put the picture on a larger canvas: borders and blurred fills.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation, canvas_size, even_size, is_share};
use super::overlay::cover;
use super::sample::{SourceFacts, frame_colour, vary};
use crate::colour::Grade;
use crate::image::Image;
use crate::{EditError, Pcg64, ops};

/// On a canvas of another aspect, filled with an enlarged, blurred copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurredFill {
    /// The canvas' width over its height, 0.2 to 5.
    pub aspect: f32,
    /// The picture is enlarged by this beyond what fits, 0.3 to 3.
    pub zoom: f32,
    /// The picture's place along the free axis, 0 to 1, 0.5 is the middle.
    pub place: f32,
    /// The fill is darkened by this, 0 to 1.
    pub darkness: f32,
}

impl BlurredFill {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, facts: &SourceFacts) -> Self {
        let shape = facts.width.max(1) as f32 / facts.height.max(1) as f32;
        Self {
            aspect: if shape >= 1.0 { if rng.random_bool(0.75) { 9.0 / 16.0 } else { 1.0 } } else { 16.0 / 9.0 },
            zoom: vary(rng, 1.0 - strength, 1.0, 1.5),
            place: if rng.random_bool(0.7) { 0.5 } else { rng.random_range(0.2..0.8) },
            darkness: rng.random_range(0.0..0.5),
        }
    }
}

impl Operation for BlurredFill {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.aspect(self.aspect)?;
        check.require((0.3..=3.0).contains(&self.zoom), "the zoom must be 0.3 to 3")?;
        check.require(is_share(self.place) && is_share(self.darkness), "place and darkness must be 0 to 1")
    }

    fn size(&self, size: (u32, u32), _: Option<(u32, u32)>) -> Option<(u32, u32)> {
        canvas_size(size, self.aspect)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        let (width, height) = inputs.size;
        let small = ((width / 8).max(4), (height / 8).max(4));
        let mut back = cover(&frame, small.0, small.1);
        ops::blur(&mut back, 1.6);
        Grade { gains: [1.0 - self.darkness; 3], ..Grade::default() }.apply(&mut back);
        let mut back = back.resize(width, height);
        let (w, h) = (frame.width as f32, frame.height as f32);
        let scale = (width as f32 / w).min(height as f32 / h) * self.zoom;
        let shown = frame.resize((w * scale).round() as u32, (h * scale).round() as u32);
        let free = [width as f32 - shown.width as f32, height as f32 - shown.height as f32];
        // What sticks out is cut evenly, free space goes to the picture's place.
        let at = free.map(|free| (free * if free > 0.0 { self.place } else { 0.5 }).round() as i64);
        back.paste(&shown, at[0], at[1], 1.0);
        Ok(back)
    }
}

/// A frame around the picture, letterbox or pillarbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainBorder {
    /// The widths at the left, top, right and bottom over the picture's width or height, 0 to 2.
    pub margins: [f32; 4],
    /// The colour.
    pub colour: [u8; 3],
}

impl PlainBorder {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let (margins, colour) = match rng.random_range(0..3) {
            0 => {
                let bar = vary(rng, strength, 0.08, 0.4);
                ([0.0, bar, 0.0, bar], [0; 3])
            }
            1 => {
                let bar = vary(rng, strength, 0.08, 0.4);
                ([bar, 0.0, bar, 0.0], [0; 3])
            }
            _ => {
                let widths = [0; 4].map(|_| vary(rng, strength, 0.03, 0.22));
                let even = rng.random_bool(0.6);
                (if even { [widths[0]; 4] } else { widths }, frame_colour(rng))
            }
        };
        Self { margins, colour }
    }
}

impl Operation for PlainBorder {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require(self.margins.iter().all(|value| (0.0..=2.0).contains(value)), "the margins must be 0 to 2")
    }

    fn size(&self, size: (u32, u32), _: Option<(u32, u32)>) -> Option<(u32, u32)> {
        let [left, top, right, bottom] = self.margins;
        even_size(size.0 as f32 * (1.0 + left + right), size.1 as f32 * (1.0 + top + bottom))
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        let (width, height) = inputs.size;
        let mut out = Image::filled(width, height, self.colour);
        let left = (self.margins[0] * frame.width as f32).round() as i64;
        let top = (self.margins[1] * frame.height as f32).round() as i64;
        // The size is rounded to even sides: a side without a border gets none from it.
        let left = if self.margins[2] == 0.0 { i64::from(width) - i64::from(frame.width) } else { left };
        let top = if self.margins[3] == 0.0 { i64::from(height) - i64::from(frame.height) } else { top };
        out.paste(&frame, left, top, 1.0);
        Ok(out)
    }
}
