//! Region vectors of feature maps while training: generalised means of windows, each tap divided by its norm.

/// Exponent 3, and what values are raised to before.
pub(super) const FLOOR: f32 = 1e-6;
/// Windows along an axis that overlap.
const GRID: usize = 3;
/// Overlapping windows, and one that is the whole map.
pub(super) const REGIONS: usize = GRID * GRID + 1;

/// A window: rows and columns, start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    rows: (usize, usize),
    columns: (usize, usize),
}

/// The windows on a map of side `n`: nine of half its side, then the whole map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    side: usize,
    windows: Vec<Window>,
}

impl Windows {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn new(side: usize) -> Self {
        let k = ((side as f64 / 2.0).round_ties_even() as usize).clamp(1, side.max(1));
        let starts: Vec<usize> =
            (0..GRID).map(|i| ((side - k) as f64 * i as f64 / (GRID - 1) as f64).round_ties_even() as usize).collect();
        let mut windows = Vec::with_capacity(REGIONS);
        for &top in &starts {
            for &left in &starts {
                windows.push(Window { rows: (top, top + k), columns: (left, left + k) });
            }
        }
        windows.push(Window { rows: (0, side), columns: (0, side) });
        Self { side, windows }
    }

    /// Calls `f` with the region, its number of pixels and each run of its pixels.
    fn runs(&self, mut f: impl FnMut(usize, usize, std::ops::Range<usize>)) {
        for (region, w) in self.windows.iter().enumerate() {
            let area = (w.rows.1 - w.rows.0) * (w.columns.1 - w.columns.0);
            for y in w.rows.0..w.rows.1 {
                f(region, area, y * self.side + w.columns.0..y * self.side + w.columns.1);
            }
        }
    }

    /// Means of the regions `[region][width]` at `offset` of one map `[pixel][channel]`, not yet normalised.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn forward(
        &self,
        map: &[f32],
        channels: usize,
        out: &mut [f32],
        (offset, width): (usize, usize),
        scratch: &mut Vec<f32>,
    ) {
        scratch.clear();
        scratch.extend(map.iter().map(|&x| {
            let x = x.max(FLOOR);
            x * x * x
        }));
        for region in 0..REGIONS {
            out[region * width + offset..][..channels].fill(0.0);
        }
        self.runs(|region, _, pixels| {
            let sums = &mut out[region * width + offset..][..channels];
            for values in scratch[pixels.start * channels..pixels.end * channels].chunks_exact(channels) {
                for (s, v) in sums.iter_mut().zip(values) {
                    *s += v;
                }
            }
        });
        for (region, w) in self.windows.iter().enumerate() {
            let area = ((w.rows.1 - w.rows.0) * (w.columns.1 - w.columns.0)) as f32;
            for s in &mut out[region * width + offset..][..channels] {
                *s = (*s / area).cbrt();
            }
        }
    }

    /// Writes the gradient of one map, for means and their gradients `[region][width]` at `offset`.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn backward(
        &self,
        map: &[f32],
        channels: usize,
        (means, gradients): (&[f32], &[f32]),
        (offset, width): (usize, usize),
        dx: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        scratch.clear();
        for (region, w) in self.windows.iter().enumerate() {
            let area = ((w.rows.1 - w.rows.0) * (w.columns.1 - w.columns.0)) as f32;
            let at = region * width + offset;
            scratch.extend(
                means[at..at + channels].iter().zip(&gradients[at..at + channels]).map(|(m, g)| g / (m * m * area)),
            );
        }
        dx.fill(0.0);
        self.runs(|region, _, pixels| {
            let factors = &scratch[region * channels..][..channels];
            for values in dx[pixels.start * channels..pixels.end * channels].chunks_exact_mut(channels) {
                for (d, f) in values.iter_mut().zip(factors) {
                    *d += f;
                }
            }
        });
        for (d, &x) in dx.iter_mut().zip(map) {
            *d = if x > FLOOR { *d * x * x } else { 0.0 };
        }
    }
}

/// Divides by the Euclidean norm, which is given back.
pub(super) fn normalise(x: &mut [f32]) -> f32 {
    let norm = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt().max(1e-12) as f32;
    for v in x {
        *v /= norm;
    }
    norm
}

/// Turns the gradient of a unit vector into that of the vector it was made of.
pub(super) fn normalise_backward(unit: &[f32], norm: f32, gradient: &mut [f32]) {
    let along: f32 = unit.iter().zip(&*gradient).map(|(u, g)| u * g).sum();
    for (g, u) in gradient.iter_mut().zip(unit) {
        *g = (*g - along * u) / norm;
    }
}
