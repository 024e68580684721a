//! What sampling knows of a clip, and random parameters that several kinds of edits share.

use rand::RngExt;

use crate::Pcg64;
use crate::clip::Clip;
use crate::warp::Border;

/// The facts of a clip that sampling needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceFacts {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Length in seconds.
    pub duration: f64,
}

impl SourceFacts {
    /// The facts of a clip.
    pub fn of(clip: &dyn Clip) -> Self {
        let (width, height) = clip.size();
        Self { width, height, duration: clip.duration() }
    }
}

/// A value between `mild` and `strong`, near the share `strength` of the way.
pub(super) fn vary(rng: &mut Pcg64, strength: f32, mild: f32, strong: f32) -> f32 {
    let share = (strength + rng.random_range(-0.3..=0.3)).clamp(0.0, 1.0);
    mild + (strong - mild) * share
}

/// -1 or 1.
pub(super) fn sign(rng: &mut Pcg64) -> f32 {
    if rng.random_bool(0.5) { 1.0 } else { -1.0 }
}

/// An area of this share of the frame at a random place.
///
/// Its aspect is the frame's times up to exp(`stretch`).
pub(super) fn area(rng: &mut Pcg64, share: f32, stretch: f32) -> [f32; 4] {
    let stretch = rng.random_range(-stretch..=stretch).exp().sqrt();
    let (width, height) = ((share.sqrt() * stretch).min(1.0), (share.sqrt() / stretch).min(1.0));
    let x = rng.random_range(0.0..=1.0 - width);
    let y = rng.random_range(0.0..=1.0 - height);
    [x, y, (x + width).min(1.0), (y + height).min(1.0)]
}

/// What shows outside a moved frame.
pub(super) fn border(rng: &mut Pcg64) -> Border {
    match rng.random_range(0..4) {
        0 => Border::Mirror,
        1 => Border::Constant(rng.random()),
        _ => Border::Constant([0; 3]),
    }
}

/// The colour of a frame around a picture.
pub(super) fn frame_colour(rng: &mut Pcg64) -> [u8; 3] {
    match rng.random_range(0..3) {
        0 => [255; 3],
        1 => [rng.random(); 3],
        _ => rng.random(),
    }
}

/// The middle of an inset: mostly in a corner.
pub(super) fn inset_centre(rng: &mut Pcg64) -> [f32; 2] {
    if rng.random_bool(0.6) {
        std::array::from_fn(
            |_| if rng.random_bool(0.5) { rng.random_range(0.0..0.3) } else { rng.random_range(0.7..1.0) },
        )
    } else {
        std::array::from_fn(|_| rng.random_range(0.2..0.8))
    }
}

/// Rounded down to milliseconds, so that files show short numbers that are read back exactly.
pub(super) fn short(time: f64) -> f64 {
    (time * 1000.0).floor() / 1000.0
}

/// A part of this length of a clip, in whole milliseconds unless it is very short.
pub(super) fn part(rng: &mut Pcg64, duration: f64, length: f64) -> [f64; 2] {
    let from = rng.random_range(0.0..=(duration - length).max(0.0));
    let to = (from + length).min(duration);
    let rounded = [short(from), short(to)];
    if rounded[1] - rounded[0] > 0.01 { rounded } else { [from, to] }
}
