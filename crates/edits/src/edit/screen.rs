//! The clip on a screen that is filmed by hand.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::frame::from_quad;
use super::operation::{Check, Inputs, Operation, canvas_size, is_share, moment};
use super::sample::{SourceFacts, sign, vary};
use crate::clip::sway;
use crate::colour::Grade;
use crate::image::Image;
use crate::warp::{Border, draw_warped};
use crate::{EditError, Pcg64, draw, generator, ops, procedural};

/// A screen that shows the clip, filmed by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilmedScreen {
    /// Width over height of the film, 0.2 to 5.
    pub aspect: f32,
    /// Where the screen's corners are in the film, from the top left clockwise.
    pub corners: [[f32; 2]; 4],
    /// Width of the screen's frame over the film's height, 0 to 0.5, and its colour.
    pub bezel: (f32, [u8; 3]),
    /// How far the hand moves, over the film's sides, 0 to 0.2.
    pub jitter: f32,
    /// Strength of the moire, 0 to 1.
    pub moire: f32,
    /// Its waves a pixel across and down.
    pub wave: [f32; 2],
    /// Darkness of the corners, 0 to 1.
    pub vignette: f32,
    /// Standard deviation of the noise in 255ths, 0 to 128.
    pub noise: f32,
    /// The camera's colours.
    pub grade: Grade,
    /// Seed of the room, the hand and the noise.
    pub seed: u64,
}

impl FilmedScreen {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, facts: &SourceFacts) -> Self {
        let shape = facts.width as f32 / facts.height.max(1) as f32;
        // Mostly a film of about the clip's own shape; seldom an upright film of a wide screen, or
        // the other way round.
        let aspects = [shape, shape, 16.0 / 9.0, 4.0 / 3.0, if shape > 1.0 { 1.0 } else { 3.0 / 4.0 }, 9.0 / 16.0];
        let aspect = aspects[rng.random_range(0..aspects.len())].clamp(0.3, 3.0);
        // The screen has the clip's shape in pixels of the film.
        let size = vary(rng, strength, 0.95, 0.65);
        let (width, height) =
            if shape > aspect { (size, size * aspect / shape) } else { (size * shape / aspect, size) };
        let shift = [rng.random_range(-0.5..0.5) * (1.0 - width), rng.random_range(-0.5..0.5) * (1.0 - height)];
        let angle = sign(rng) * vary(rng, strength, 0.0, 0.1);
        let (sin, cos) = angle.sin_cos();
        let bend = vary(rng, strength, 0.02, 0.12);
        // One side is further away.
        let tilt = [sign(rng) * bend * rng.random_range(0.3..1.0), sign(rng) * bend * rng.random_range(0.3..1.0)];
        let corners = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5f32]].map(|[x, y]: [f32; 2]| {
            let near = 1.0 + tilt[0] * x * 2.0 + tilt[1] * y * 2.0;
            let (x, y) = (x * width * near * aspect, y * height * near);
            let (x, y) = (x * cos - y * sin, x * sin + y * cos);
            [x / aspect + 0.5 + shift[0] * 0.8, y + 0.5 + shift[1] * 0.8]
        });
        let dark = if rng.random_bool(0.8) { rng.random_range(5..45u8) } else { rng.random_range(150..220u8) };
        Self {
            aspect,
            corners,
            bezel: (rng.random_range(0.0..0.06), [dark; 3]),
            jitter: vary(rng, strength, 0.001, 0.012),
            moire: if rng.random_bool(0.75) { vary(rng, strength, 0.02, 0.12) } else { 0.0 },
            wave: [rng.random_range(-0.3..0.3), rng.random_range(-0.3..0.3)],
            vignette: vary(rng, strength, 0.05, 0.6),
            noise: vary(rng, strength, 1.0, 9.0),
            grade: Grade {
                contrast: rng.random_range(0.7..1.1),
                brightness: rng.random_range(-20.0..30.0),
                gains: std::array::from_fn(|_| rng.random_range(0.88..1.12)),
                ..Grade::default()
            },
            seed: rng.random(),
        }
    }
}

impl Operation for FilmedScreen {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.aspect(self.aspect)?;
        check.corners(&self.corners)?;
        check.require((0.0..=0.5).contains(&self.bezel.0), "the bezel must be 0 to 0.5 wide")?;
        check.require((0.0..=0.2).contains(&self.jitter), "the jitter must be 0 to 0.2")?;
        check.require(is_share(self.moire) && is_share(self.vignette), "moire and vignette must be 0 to 1")?;
        check.require(self.wave.iter().all(|value| value.abs() <= 10.0), "the waves must be within -10 to 10")?;
        check.require((0.0..=128.0).contains(&self.noise), "the noise must be 0 to 128")?;
        check.require(self.grade.is_valid(), "a number of the grade is out of range")
    }

    fn size(&self, size: (u32, u32), _: Option<(u32, u32)>) -> Option<(u32, u32)> {
        canvas_size(size, self.aspect)
    }

    /// The room around the screen, a little larger than the film.
    fn backdrop(&self, size: (u32, u32)) -> Option<Image> {
        let margin = 2.0 * self.jitter + 0.02;
        let grown = |side: u32| side + (side as f32 * margin).ceil() as u32 * 2;
        let (width, height) = (grown(size.0), grown(size.1));
        let mut rng = generator(&[0x700, self.seed]);
        let mut room = procedural::still(&mut rng, (width / 3).clamp(8, 1000), (height / 3).clamp(8, 1000));
        ops::blur(&mut room, 1.5);
        Grade { saturation: 0.5, gains: [0.6; 3], ..Grade::default() }.apply(&mut room);
        Some(room.resize(width, height))
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let frame = inputs.source(time)?;
        let (width, height) = inputs.size;
        let (full_width, full_height) = (width as f32, height as f32);
        let sway = sway(self.seed, time).map(|value| value as f32 * self.jitter);
        let (sin, cos) = (sway[2] * 0.5).sin_cos();
        // The hand moves the screen and the room alike.
        let moved = |[x, y]: [f32; 2]| {
            let (x, y) = ((x - 0.5) * self.aspect, y - 0.5);
            [(x * cos - y * sin) / self.aspect + 0.5 + sway[0], x * sin + y * cos + 0.5 + sway[1]]
        };
        let corners = self.corners.map(moved);
        let mut film = match inputs.backdrop {
            Some(room) => {
                let (across, down) = (room.width as f32, room.height as f32);
                let (spare_x, spare_y) = ((across - full_width) / 2.0, (down - full_height) / 2.0);
                let (x, y) = (spare_x - sway[0] * full_width, spare_y - sway[1] * full_height);
                room.resize_region([x, y, x + full_width, y + full_height], width, height)
            }
            None => Image::filled(width, height, [20; 3]),
        };
        if self.bezel.0 > 0.0 {
            let middle = [0, 1].map(|axis| corners.iter().map(|corner| corner[axis]).sum::<f32>() / 4.0);
            let by = [self.bezel.0 / self.aspect, self.bezel.0];
            let outer: Vec<[f32; 2]> = corners
                .iter()
                .map(|corner| {
                    let out = [0, 1].map(|axis| corner[axis] + (corner[axis] - middle[axis]).signum() * by[axis]);
                    [out[0] * full_width, out[1] * full_height]
                })
                .collect();
            draw::fill(&mut film, &outer, self.bezel.1, 1.0);
        }
        // The screen's own pixels: about as many as the film resolves.
        let extent = |axis: usize| {
            let values = corners.iter().map(|corner| corner[axis]);
            values.clone().fold(f32::MIN, f32::max) - values.fold(f32::MAX, f32::min)
        };
        let own = [extent(0) * full_width, extent(1) * full_height].map(|side| (side.round() as u32).clamp(2, 8192));
        let mut shown = frame.resize(own[0], own[1]);
        if self.moire > 0.0 {
            let phase = (time * 0.7).fract() as f32;
            ops::moire(&mut shown, [0, 0, own[0], own[1]], self.moire, self.wave, phase);
        }
        if let Some(map) = from_quad(&corners, &shown, inputs.size) {
            draw_warped(&mut film, [0, 0, width, height], &shown, &map, Border::Keep);
        }
        // The camera adapts to the light, slowly.
        let mut grade = self.grade;
        grade.brightness = (grade.brightness + 4.0 * (time * 1.3).sin() as f32).clamp(-255.0, 255.0);
        grade.apply(&mut film);
        ops::vignette(&mut film, self.vignette);
        ops::noise(&mut film, self.noise, false, &mut generator(&[self.seed, moment(time)]));
        Ok(film)
    }
}
