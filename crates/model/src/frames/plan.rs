//! Which pixels of a resized frame are computed, and the copy of a frame that keeps its size.

use super::image::RgbFrame;

/// Which part of which resized frame is computed.
pub(super) struct Plan {
    pub(super) x: Axis,
    pub(super) y: Axis,
}

/// One axis: `resized` pixels are made of `source`, of those `start .. start + len` are wanted.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub(super) source: u32,
    pub(super) resized: u32,
    /// Source pixels a resized pixel, for filters of points.
    pub(super) scale: f64,
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Axis {
    pub(super) fn is_identity(&self) -> bool {
        self.source == self.resized
    }

    pub(super) fn wanted(&self) -> std::ops::Range<u32> {
        self.start..self.start + self.len
    }
}

pub(super) fn crop(frame: &RgbFrame<'_>, plan: &Plan) -> Vec<u8> {
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
