//! The area filter: every source pixel counts by the part of it that a resized pixel covers.

use super::image::RgbFrame;
use super::plan::{Axis, Plan};

/// The source pixels under every wanted pixel of an axis: the first one, and an integer weight each. The weights of a
/// pixel sum to the returned total, 65,536 at most.
pub(super) fn area_taps(axis: &Axis) -> (Vec<(usize, Vec<u32>)>, u32) {
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

pub(super) fn area(frame: &RgbFrame<'_>, plan: &Plan) -> Vec<u8> {
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
