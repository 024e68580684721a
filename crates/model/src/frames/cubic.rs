//! The bicubic filter, as OpenCV computes it.

use super::image::RgbFrame;
use super::plan::{Axis, Plan};

/// Four source positions (borders repeated) and their coefficients for every wanted pixel of an axis.
pub(super) fn cubic_taps(axis: &Axis) -> Vec<CubicTap> {
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

pub(super) fn cubic(frame: &RgbFrame<'_>, plan: &Plan) -> Vec<u8> {
    let area = |x: u32, y: u32| u64::from(x) * u64::from(y);
    let bytes = 3 * (area(plan.x.source, plan.y.source) + area(plan.x.resized, plan.y.resized));
    let (xs, ys) = (cubic_taps(&plan.x), cubic_taps(&plan.y));
    if bytes < SPLIT_BYTES { cubic_rows_first(frame, &xs, &ys) } else { cubic_columns_first(frame, &xs, &ys) }
}

pub(super) type CubicTap = ([usize; 4], [f32; 4]);

/// Along rows, then along columns.
pub(super) fn cubic_rows_first(frame: &RgbFrame<'_>, xs: &[CubicTap], ys: &[CubicTap]) -> Vec<u8> {
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
pub(super) fn cubic_columns_first(frame: &RgbFrame<'_>, xs: &[CubicTap], ys: &[CubicTap]) -> Vec<u8> {
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
