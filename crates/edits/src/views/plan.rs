//! Which edits a view gets.

use rand::RngExt;

use super::config::ViewConfig;
use crate::Pcg64;

/// Which edits a view gets.
#[derive(Clone, Copy, Default)]
pub(super) struct Plan {
    pub(super) flip: bool,
    pub(super) crop: bool,
    pub(super) rotate: bool,
    pub(super) perspective: bool,
    pub(super) colour: bool,
    pub(super) grey: bool,
    pub(super) text: bool,
    pub(super) sticker: bool,
    pub(super) overlay: bool,
    pub(super) blend: bool,
    pub(super) rescale: bool,
    pub(super) blur: bool,
    pub(super) noise: bool,
    pub(super) jpeg: bool,
    pub(super) canvas: Canvas,
}

/// What surrounds the image in the view.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Canvas {
    #[default]
    Whole,
    Border,
    Inset,
    Framed,
    BlurredFill,
    Screen,
}

impl Plan {
    /// Draws a plan.
    pub(super) fn draw(c: &ViewConfig, rng: &mut Pcg64) -> Self {
        let mut plan = Self {
            flip: rng.random_bool(c.flip),
            crop: rng.random_bool(c.crop),
            rotate: rng.random_bool(c.rotate),
            perspective: rng.random_bool(c.perspective),
            colour: rng.random_bool(c.colour),
            grey: rng.random_bool(c.grey),
            text: rng.random_bool(c.text),
            sticker: rng.random_bool(c.sticker),
            overlay: rng.random_bool(c.overlay),
            blend: rng.random_bool(c.blend),
            rescale: rng.random_bool(c.rescale),
            blur: rng.random_bool(c.blur),
            noise: rng.random_bool(c.noise),
            jpeg: rng.random_bool(c.jpeg),
            canvas: Canvas::Whole,
        };
        let mut left = rng.random_range(0.0..1.0);
        for (canvas, share) in [
            (Canvas::Border, c.border),
            (Canvas::Inset, c.inset),
            (Canvas::Framed, c.framed),
            (Canvas::BlurredFill, c.blurred_fill),
            (Canvas::Screen, c.screen),
        ] {
            if left < share {
                plan.canvas = canvas;
                break;
            }
            left -= share;
        }
        if rng.random_bool(c.chain) {
            for _ in 0..rng.random_range(3..=5) {
                match rng.random_range(0..9) {
                    0 => plan.crop = true,
                    1 => plan.colour = true,
                    2 => plan.text = true,
                    3 => plan.sticker = true,
                    4 => plan.rescale = true,
                    5 => plan.jpeg = true,
                    6 => plan.rotate = true,
                    7 => plan.noise = true,
                    _ if plan.canvas == Canvas::Whole => plan.canvas = Canvas::Border,
                    _ => plan.blur = true,
                }
            }
        }
        plan
    }
}
