//! A stage of the network, and the lanes that its values are cut into.

use super::super::pool::{REGIONS, Windows};
use super::unit::{SCRATCH, Sums, Unit, sum_up};

/// Views of a lane.
pub(super) const LANE: usize = 8;

/// The stem, or one stage.
#[derive(Debug)]
pub(super) struct Level {
    /// First convolution of a stage, its activations and their gradient.
    pub(super) inner: Option<(Unit, Vec<f32>, Vec<f32>)>,
    pub(super) last: Unit,
    pub(super) shortcut: Option<Unit>,
    pub(super) out: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    /// Side of the output.
    pub(super) side: usize,
}

impl Level {
    pub(super) fn channels(&self) -> usize {
        self.last.conv.outputs
    }

    /// Values a view.
    pub(super) fn size(&self) -> usize {
        self.side * self.side * self.channels()
    }
}

/// Zeroes the gradient where the activation is 0.
pub(super) fn mask(gradient: &mut [f32], out: &[f32]) {
    for (g, &o) in gradient.iter_mut().zip(out) {
        *g = if o > 0.0 { *g } else { 0.0 };
    }
}

/// Lanes of `size` values a view; `count` empty ones where there are no values.
pub(super) fn cut(x: &[f32], size: usize, count: usize) -> Vec<&[f32]> {
    if x.is_empty() { vec![&[]; count] } else { x.chunks(LANE * size).collect() }
}

/// As [`cut`].
pub(super) fn cut_mut(x: &mut [f32], size: usize, count: usize) -> Vec<&mut [f32]> {
    if x.is_empty() { (0..count).map(|_| &mut [][..]).collect() } else { x.chunks_mut(LANE * size).collect() }
}

pub(super) fn resize(x: &mut Vec<f32>, count: usize) {
    x.resize(count, 0.0);
}

/// Means of the regions of one tap for the views of a lane.
pub(super) fn pool_lane(level: &Level, out: &[f32], means: &mut [f32], (offset, width): (usize, usize)) {
    let (windows, channels) = (Windows::new(level.side), level.channels());
    SCRATCH.with_borrow_mut(|scratch| {
        for (map, means) in out.chunks_exact(level.size()).zip(means.chunks_exact_mut(REGIONS * width)) {
            windows.forward(map, channels, means, (offset, width), &mut scratch.delta);
        }
    });
}

/// Writes the gradient of one tap for the views of a lane.
pub(super) fn pool_lane_backward(
    level: &Level,
    out: &[f32],
    (means, gradients): (&[f32], &[f32]),
    place: (usize, usize),
    dx: &mut [f32],
) {
    let (windows, channels) = (Windows::new(level.side), level.channels());
    let size = REGIONS * place.1;
    SCRATCH.with_borrow_mut(|scratch| {
        let views = out.chunks_exact(level.size()).zip(dx.chunks_exact_mut(level.size()));
        for ((map, dx), (m, g)) in views.zip(means.chunks_exact(size).zip(gradients.chunks_exact(size))) {
            windows.backward(map, channels, (m, g), place, dx, &mut scratch.delta);
        }
    });
}

/// Masks the gradient of a lane of a level's output, and sums it up for the level's batch
/// normalisations.
pub(super) fn level_sums(level: &Level, g: &mut [f32], out: &[f32], z: &[f32], short: &[f32]) -> (Sums, Option<Sums>) {
    mask(g, out);
    let zeros = || [vec![0.0; level.channels()], vec![0.0; level.channels()]];
    let mut sums = zeros();
    sum_up(&mut sums, g, z);
    let short = level.shortcut.as_ref().map(|_| {
        let mut sums = zeros();
        sum_up(&mut sums, g, short);
        sums
    });
    (sums, short)
}
