//! Backbone taps to region vectors: L3-iMAC of the paper (section 3.1), and overlapping windows for light backbones.
//!
//! A tap is a feature map `[frames, channels, height, width]`. All taps of a backbone come from the same frames; the
//! result is `[frames, regions, channels of all taps]`, regions in row-major order over their grid.

use ndarray::{Array3, ArrayView3, ArrayView4};
use serde::{Deserialize, Serialize};

/// Most regions of a frame, all scales together.
pub const MAX_REGIONS: usize = 4096;

/// Smallest norm that a vector is divided by.
const MIN_NORM: f64 = 1e-12;

/// Why taps cannot be pooled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The pooling contradicts itself.
    #[error("region pooling: {0}")]
    Config(String),
    /// Another number of taps than the pooling is configured for, or none.
    #[error("region pooling is configured for {expected} taps, got {found}")]
    Taps {
        /// Taps by the configuration (at least 1).
        expected: usize,
        /// Taps given.
        found: usize,
    },
    /// Taps of different batches.
    #[error("tap {tap} holds {found} frames, the first tap {expected}")]
    Frames {
        /// Position of the tap.
        tap: usize,
        /// Frames of the first tap.
        expected: usize,
        /// Frames of this tap.
        found: usize,
    },
    /// A map is smaller than one window.
    #[error("tap {tap} is a map of {height}x{width}, smaller than a window of {window}: the frames are too small")]
    TooSmall {
        /// Position of the tap.
        tap: usize,
        /// Height of the map.
        height: usize,
        /// Width of the map.
        width: usize,
        /// Side of the window.
        window: usize,
    },
}

/// How the values of one channel in one window become one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pooling {
    /// Their maximum.
    Max,
    /// Generalised mean `(mean(max(x, floor)^p))^(1/p)`.
    Gem {
        /// The exponent, positive.
        p: f32,
        /// What values are raised to before, positive (usually 1e-6).
        floor: f32,
    },
}

/// A square grid of overlapping windows on a map.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowGrid {
    /// Windows along each axis.
    pub count: usize,
    /// Side of a window as a part of the map's side n: `k = max(1, round(n * fraction))`, in (0, 1]. Window i of `count`
    /// starts at `round((n - k) * i / (count - 1))`, a single one in the middle; halves round to even.
    pub fraction: f64,
}

/// How taps become region vectors. `nrm` divides by the Euclidean norm, at least 1e-12.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RegionPooling {
    /// L3-iMAC: a tap is max-pooled by windows of `k`, stride `ceil(k / 2)`, no padding; `nrm` over channels; adaptive
    /// max-pooling to the grid of the last tap; `nrm` again; taps are concatenated; `nrm`.
    L3Imac {
        /// k of each tap (ResNet-50 at 224 pixels: 28, 14, 6, 3, a grid of 3x3).
        kernels: Vec<usize>,
    },
    /// Overlapping windows: a tap is pooled by every window of every grid; `nrm` over channels; taps are concatenated.
    Windows {
        /// The grids, whose regions follow each other.
        grids: Vec<WindowGrid>,
        /// Pooling in a window.
        pooling: Pooling,
        /// Whether the concatenated vector is divided by its norm as well.
        normalise: bool,
    },
}

impl RegionPooling {
    /// 3x3 windows of half the side: 9 regions.
    #[must_use]
    pub fn windows3x3(pooling: Pooling, normalise: bool) -> Self {
        Self::Windows { grids: vec![WindowGrid { count: 3, fraction: 0.5 }], pooling, normalise }
    }

    /// Checks the configuration itself.
    ///
    /// # Errors
    /// [`RegionError::Config`].
    pub fn validate(&self) -> Result<(), RegionError> {
        let config = |message: String| Err(RegionError::Config(message));
        match self {
            Self::L3Imac { kernels } if kernels.is_empty() => config("`kernels` is empty".into()),
            Self::L3Imac { kernels } if kernels.contains(&0) => config("`kernels` holds 0".into()),
            Self::L3Imac { .. } => Ok(()),
            Self::Windows { grids, pooling, .. } => {
                if grids.is_empty() {
                    return config("`grids` is empty".into());
                }
                for grid in grids {
                    if grid.count == 0 {
                        return config("a grid's `count` is 0".into());
                    }
                    if !(grid.fraction > 0.0 && grid.fraction <= 1.0) {
                        return config(format!("a grid's `fraction` is {}, must be in (0, 1]", grid.fraction));
                    }
                }
                if let Some(count) = self.fixed_count().filter(|&n| n > MAX_REGIONS) {
                    return config(format!("`grids` make {count} regions, at most {MAX_REGIONS} are taken"));
                }
                match *pooling {
                    Pooling::Gem { p, floor } if !(p.is_finite() && p > 0.0 && floor.is_finite() && floor > 0.0) => {
                        config(format!("GeM with p = {p} and floor = {floor}: both must be positive"))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Number of regions a frame where it does not depend on the taps (windows); `None` where it does (L3-iMAC).
    #[must_use]
    pub fn fixed_count(&self) -> Option<usize> {
        match self {
            Self::L3Imac { .. } => None,
            Self::Windows { grids, .. } => {
                Some(grids.iter().fold(0, |n: usize, g| n.saturating_add(g.count.saturating_mul(g.count))))
            }
        }
    }

    /// Number of regions a frame for taps of these sizes (height, width).
    ///
    /// # Errors
    /// As [`RegionPooling::pool`].
    pub fn regions(&self, maps: &[(usize, usize)]) -> Result<usize, RegionError> {
        // L3-iMAC reduces all taps to the grid of the last one; otherwise every tap has the same number of windows.
        Ok(self.windows(maps)?.last().map_or(0, |grids| grids.iter().map(Windows::count).sum()))
    }

    /// The windows of every tap, grid by grid.
    fn windows(&self, maps: &[(usize, usize)]) -> Result<Vec<Vec<Windows>>, RegionError> {
        self.validate()?;
        let expected = match self {
            Self::L3Imac { kernels } => kernels.len(),
            Self::Windows { .. } => maps.len().max(1),
        };
        if maps.len() != expected {
            return Err(RegionError::Taps { expected, found: maps.len() });
        }
        let windows_of = |(tap, &(height, width)): (usize, &(usize, usize))| {
            let too_small = |window| RegionError::TooSmall { tap, height, width, window };
            match self {
                Self::L3Imac { kernels } if height.min(width) < kernels[tap] => Err(too_small(kernels[tap])),
                Self::L3Imac { kernels } => {
                    let axis = |n| strided(n, kernels[tap]);
                    Ok(vec![Windows { rows: axis(height), columns: axis(width) }])
                }
                Self::Windows { .. } if height.min(width) == 0 => Err(too_small(1)),
                Self::Windows { grids, .. } => Ok(grids
                    .iter()
                    .map(|grid| Windows { rows: grid.windows(height), columns: grid.windows(width) })
                    .collect()),
            }
        };
        maps.iter().enumerate().map(windows_of).collect()
    }

    /// Region vectors `[frames, regions, channels of all taps]` of `taps`, each `[frames, channels, height, width]`.
    ///
    /// # Errors
    /// [`RegionError`] for a bad configuration, another number of taps, taps of different batches, maps smaller than a
    /// window.
    pub fn pool(&self, taps: &[ArrayView4<'_, f32>]) -> Result<Array3<f32>, RegionError> {
        let maps: Vec<_> = taps.iter().map(|t| (t.dim().2, t.dim().3)).collect();
        let windows = self.windows(&maps)?;
        let frames = taps.first().map_or(0, |t| t.dim().0);
        for (tap, map) in taps.iter().enumerate() {
            if map.dim().0 != frames {
                return Err(RegionError::Frames { tap, expected: frames, found: map.dim().0 });
            }
        }
        let regions = windows.last().map_or(0, |grids| grids.iter().map(Windows::count).sum());
        let channels: usize = taps.iter().map(|t| t.dim().1).sum();
        let mut out = vec![0f32; frames * regions * channels];
        let mut offset = 0;
        for (map, grids) in taps.iter().zip(&windows) {
            let count = map.dim().1;
            for (frame, out) in map.outer_iter().zip(out.chunks_exact_mut((regions * channels).max(1))) {
                let mut pooled = Vec::with_capacity(regions * count);
                match (self, windows.last().and_then(|last| last.first())) {
                    (Self::L3Imac { .. }, Some(target)) => {
                        let mut grid = vec![];
                        pool_frame(frame, &grids[0], Pooling::Max, &mut grid);
                        normalise(&mut grid, count);
                        adapt(&grid, count, grids[0].shape(), target.shape(), &mut pooled);
                    }
                    (Self::Windows { pooling, .. }, _) => {
                        for grid in grids {
                            pool_frame(frame, grid, *pooling, &mut pooled);
                        }
                    }
                    (Self::L3Imac { .. }, None) => {}
                }
                normalise(&mut pooled, count);
                for (region, vector) in out.chunks_exact_mut(channels.max(1)).zip(pooled.chunks_exact(count.max(1))) {
                    region[offset..offset + count].copy_from_slice(vector);
                }
            }
            offset += count;
        }
        if matches!(self, Self::L3Imac { .. } | Self::Windows { normalise: true, .. }) {
            normalise(&mut out, channels);
        }
        Ok(Array3::from_shape_vec((frames, regions, channels), out)
            .unwrap_or_else(|_| unreachable!("the vector was made for this shape")))
    }
}

impl WindowGrid {
    /// Start and end of every window along an axis of `n >= 1` values.
    fn windows(&self, n: usize) -> Vec<(usize, usize)> {
        let k = ((n as f64 * self.fraction).round_ties_even() as usize).clamp(1, n);
        let spare = (n - k) as f64;
        (0..self.count)
            .map(|i| if self.count == 1 { spare / 2.0 } else { spare * i as f64 / (self.count - 1) as f64 })
            .map(|at| at.round_ties_even() as usize)
            .map(|at| (at, at + k))
            .collect()
    }
}

/// Start and end of the windows of `k <= n` values at stride `ceil(k / 2)`.
fn strided(n: usize, k: usize) -> Vec<(usize, usize)> {
    (0..=n - k).step_by(k.div_ceil(2)).map(|at| (at, at + k)).collect()
}

/// Windows on a map: the product of row and column intervals, start and end each.
struct Windows {
    rows: Vec<(usize, usize)>,
    columns: Vec<(usize, usize)>,
}

impl Windows {
    fn count(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    fn shape(&self) -> (usize, usize) {
        (self.rows.len(), self.columns.len())
    }
}

/// Appends `[windows][channels]` of one frame `[channels, height, width]` to `out`.
fn pool_frame(frame: ArrayView3<'_, f32>, windows: &Windows, pooling: Pooling, out: &mut Vec<f32>) {
    let (channels, _, width) = frame.dim();
    let first = out.len();
    out.resize(first + windows.count() * channels, 0.0);
    let out = &mut out[first..];
    let frame = frame.as_standard_layout();
    let mut powers = vec![];
    let mut line = vec![0f32; width];
    for (channel, plane) in frame.outer_iter().enumerate() {
        // A slice, since the layout is standard.
        let mut plane = plane.to_slice().unwrap_or_default();
        if let Pooling::Gem { p, floor } = pooling {
            powers.clear();
            // Not `f32::max`, which is a call of its own in WebAssembly.
            powers.extend(plane.iter().map(|&x| power(if x > floor { x } else { floor }, p)));
            plane = &powers;
        }
        for (row, &(top, bottom)) in windows.rows.iter().enumerate() {
            // Rows of the window first, all columns at once.
            line.copy_from_slice(&plane[top * width..][..width]);
            for source in plane[(top + 1) * width..bottom * width].chunks_exact(width) {
                for (a, &x) in line.iter_mut().zip(source) {
                    *a = match pooling {
                        Pooling::Max => {
                            if x > *a {
                                x
                            } else {
                                *a
                            }
                        }
                        Pooling::Gem { .. } => *a + x,
                    };
                }
            }
            for (column, &(left, right)) in windows.columns.iter().enumerate() {
                let values = &line[left..right];
                out[(row * windows.columns.len() + column) * channels + channel] = match pooling {
                    Pooling::Max => values.iter().fold(f32::NEG_INFINITY, |a, &x| a.max(x)),
                    Pooling::Gem { p, .. } => {
                        let sum: f64 = values.iter().map(|&x| f64::from(x)).sum();
                        let mean = sum / ((bottom - top) * (right - left)) as f64;
                        mean.powf(1.0 / f64::from(p)) as f32
                    }
                };
            }
        }
    }
}

/// `x^p` of a positive `x`.
fn power(x: f32, p: f32) -> f32 {
    if p == 3.0 { x * x * x } else { x.powf(p) }
}

/// Appends the adaptive max-pooling of `grid` `[from][channels]` to `to` (height, width): window i of n over m inputs is
/// `floor(i m / n) .. ceil((i + 1) m / n)`.
fn adapt(grid: &[f32], channels: usize, from: (usize, usize), to: (usize, usize), out: &mut Vec<f32>) {
    let windows = |m: usize, n: usize| (0..n).map(move |i| (i * m / n, ((i + 1) * m).div_ceil(n)));
    for (top, bottom) in windows(from.0, to.0) {
        for (left, right) in windows(from.1, to.1) {
            let first = out.len();
            out.resize(first + channels, f32::NEG_INFINITY);
            for row in top..bottom {
                for cell in row * from.1 + left..row * from.1 + right {
                    for (a, &x) in out[first..].iter_mut().zip(&grid[cell * channels..]) {
                        *a = a.max(x);
                    }
                }
            }
        }
    }
}

/// Divides every `width` values by their Euclidean norm, at least [`MIN_NORM`].
fn normalise(values: &mut [f32], width: usize) {
    for vector in values.chunks_exact_mut(width.max(1)) {
        let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt().max(MIN_NORM);
        for x in vector {
            *x = (f64::from(*x) / norm) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;
    use proptest::prelude::*;

    use super::*;
    use crate::golden;

    fn map(name: &str, shape: [usize; 4]) -> Array4<f32> {
        let values = golden::numbers(name, shape.iter().product(), 1.0, 0.3);
        Array4::from_shape_vec(shape, values).unwrap()
    }

    fn unit(v: &[f64]) -> Vec<f64> {
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
        v.iter().map(|x| x / norm).collect()
    }

    /// One window from the definition.
    fn window(
        map: &Array4<f32>,
        frame: usize,
        rows: (usize, usize),
        columns: (usize, usize),
        pool: Pooling,
    ) -> Vec<f64> {
        (0..map.dim().1)
            .map(|c| {
                let values: Vec<f64> = (rows.0..rows.1)
                    .flat_map(|y| (columns.0..columns.1).map(move |x| (y, x)))
                    .map(|(y, x)| f64::from(map[[frame, c, y, x]]))
                    .collect();
                match pool {
                    Pooling::Max => values.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b)),
                    Pooling::Gem { p, floor } => {
                        let powers = values.iter().map(|v| v.max(f64::from(floor)).powf(f64::from(p)));
                        (powers.sum::<f64>() / values.len() as f64).powf(1.0 / f64::from(p))
                    }
                }
            })
            .collect()
    }

    #[test]
    fn overlapping_windows_by_hand() {
        let grid = WindowGrid { count: 3, fraction: 0.5 };
        assert_eq!(grid.windows(7), [(0, 4), (2, 6), (3, 7)]);
        assert_eq!(grid.windows(14), [(0, 7), (4, 11), (7, 14)]);
        assert_eq!(grid.windows(5), [(0, 2), (2, 4), (3, 5)]);
        assert_eq!(grid.windows(1), [(0, 1), (0, 1), (0, 1)]);
        assert_eq!(WindowGrid { count: 1, fraction: 1.0 }.windows(6), [(0, 6)]);
        assert_eq!(strided(14, 6), [(0, 6), (3, 9), (6, 12)]);
        assert_eq!(strided(7, 3), [(0, 3), (2, 5), (4, 7)]);
    }

    #[test]
    fn a_small_map_by_hand() {
        // 2x2 map, one channel each in two taps; windows of one pixel at 0, 0 (half to even), 1.
        let a = Array4::from_shape_vec((1, 1, 2, 2), vec![3.0, 1.0, 0.0, -2.0]).unwrap();
        let b = Array4::from_shape_vec((1, 1, 2, 2), vec![4.0, 0.0, 5.0, 2.0]).unwrap();
        let pooled = RegionPooling::windows3x3(Pooling::Max, false).pool(&[a.view(), b.view()]).unwrap();
        assert_eq!(pooled.dim(), (1, 9, 2));
        assert_eq!(pooled.as_slice().unwrap()[..8], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(pooled.as_slice().unwrap()[16..], [-1.0, 1.0]);
        // GeM of 1 and 2 with p = 3 is (4.5)^(1/3); the sign is lost to the floor.
        let c = Array4::from_shape_vec((1, 2, 1, 2), vec![1.0, 2.0, -1.0, -1.0]).unwrap();
        let gem = RegionPooling::Windows {
            grids: vec![WindowGrid { count: 1, fraction: 1.0 }],
            pooling: Pooling::Gem { p: 3.0, floor: 1e-6 },
            normalise: true,
        };
        let pooled = gem.pool(&[c.view()]).unwrap();
        assert!((pooled[[0, 0, 1]] - 1e-6 / 4.5f32.cbrt()).abs() < 1e-12);
        assert!((pooled[[0, 0, 0]] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn bad_input_is_refused() {
        let small = map("small", [1, 2, 3, 3]);
        let two = map("two", [2, 2, 3, 3]);
        let imac = RegionPooling::L3Imac { kernels: vec![3, 4] };
        assert_eq!(imac.pool(&[small.view()]), Err(RegionError::Taps { expected: 2, found: 1 }));
        let error = imac.pool(&[small.view(), small.view()]).unwrap_err();
        assert_eq!(error, RegionError::TooSmall { tap: 1, height: 3, width: 3, window: 4 });
        let windows = RegionPooling::windows3x3(Pooling::Max, true);
        assert_eq!(windows.pool(&[]), Err(RegionError::Taps { expected: 1, found: 0 }));
        let error = windows.pool(&[small.view(), two.view()]).unwrap_err();
        assert_eq!(error, RegionError::Frames { tap: 1, expected: 1, found: 2 });
        for bad in [
            RegionPooling::L3Imac { kernels: vec![] },
            RegionPooling::L3Imac { kernels: vec![3, 0] },
            RegionPooling::Windows { grids: vec![], pooling: Pooling::Max, normalise: true },
            RegionPooling::windows3x3(Pooling::Gem { p: 0.0, floor: 1e-6 }, true),
            RegionPooling::windows3x3(Pooling::Gem { p: 3.0, floor: f32::NAN }, true),
        ] {
            assert!(matches!(bad.pool(&[small.view()]), Err(RegionError::Config(_))), "{bad:?}");
        }
    }

    #[test]
    fn no_frames_and_no_channels_pool_to_nothing() {
        let windows = RegionPooling::windows3x3(Pooling::Max, true);
        assert_eq!(windows.pool(&[map("x", [0, 4, 3, 3]).view()]).unwrap().dim(), (0, 9, 4));
        assert_eq!(windows.pool(&[map("x", [2, 0, 3, 3]).view()]).unwrap().dim(), (2, 9, 0));
        assert_eq!(
            windows.pool(&[map("x", [1, 2, 0, 3]).view()]).unwrap_err(),
            RegionError::TooSmall { tap: 0, height: 0, width: 3, window: 1 }
        );
    }

    #[test]
    fn configuration_round_trips_as_json() {
        for pooling in [
            RegionPooling::L3Imac { kernels: vec![28, 14, 6, 3] },
            RegionPooling::windows3x3(Pooling::Gem { p: 3.0, floor: 1e-6 }, false),
            RegionPooling::windows3x3(Pooling::Max, true),
        ] {
            let json = serde_json::to_string(&pooling).unwrap();
            assert_eq!(serde_json::from_str::<RegionPooling>(&json).unwrap(), pooling, "{json}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn windows_match_the_definition(
            n in 1usize..3, h in 1usize..17, w in 1usize..17, c in 1usize..5, gem in any::<bool>(), finish in any::<bool>(),
            count in 1usize..5, fraction in 0.01f64..1.0,
        ) {
            let taps = [map("a", [n, c, h, w]), map("b", [n, c + 1, h.div_ceil(2), w.div_ceil(2)])];
            let pooling = if gem { Pooling::Gem { p: 2.5, floor: 1e-3 } } else { Pooling::Max };
            let grids = vec![WindowGrid { count, fraction }, WindowGrid { count: 1, fraction: 1.0 }];
            let config = RegionPooling::Windows { grids: grids.clone(), pooling, normalise: finish };
            let got = config.pool(&[taps[0].view(), taps[1].view()]).unwrap();
            prop_assert_eq!(got.dim(), (n, count * count + 1, 2 * c + 1));
            prop_assert_eq!(config.regions(&[(h, w), (h.div_ceil(2), w.div_ceil(2))]).unwrap(), count * count + 1);
            for frame in 0..n {
                let mut region = 0;
                for grid in &grids {
                    for i in 0..grid.count {
                        for j in 0..grid.count {
                            let mut expected = vec![];
                            for tap in &taps {
                                let rows = grid.windows(tap.dim().2)[i];
                                let columns = grid.windows(tap.dim().3)[j];
                                expected.extend(unit(&window(tap, frame, rows, columns, pooling)));
                            }
                            if finish {
                                expected = unit(&expected);
                            }
                            for (a, b) in got.slice(ndarray::s![frame, region, ..]).iter().zip(expected) {
                                prop_assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
                            }
                            region += 1;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn golden_region_pooling() {
        let file = golden::file("region_pooling");
        let pooling = RegionPooling::L3Imac { kernels: vec![28, 14, 6, 3] };
        // Channels and stride of each tap; the maps are the rule's numbers, rectified.
        let layout = [(4, 4), (8, 8), (16, 16), (32, 32)];
        for ((width, height), regions) in [((224, 224), 9), ((256, 256), 9), ((288, 224), 12), ((160, 160), 4)] {
            let size = format!("{height}x{width}");
            let (shape, expected) = file.f32(&format!("{size}.regions"));
            let taps: Vec<Array4<f32>> = (layout.iter().enumerate())
                .map(|(i, &(channels, stride))| {
                    let shape = (shape[0], channels, height / stride, width / stride);
                    let count = shape.0 * shape.1 * shape.2 * shape.3;
                    let values = golden::numbers(&format!("maps.{size}.{i}"), count, 1.0, 0.0);
                    Array4::from_shape_vec(shape, values.into_iter().map(|v| v.max(0.0)).collect()).unwrap()
                })
                .collect();
            let views: Vec<_> = taps.iter().map(|t| t.view()).collect();
            let got = pooling.pool(&views).unwrap();
            assert_eq!(got.shape(), shape);
            assert_eq!(got.dim().1, regions);
            let error = golden::error(got.as_slice().unwrap(), &expected);
            assert!(error <= 1e-6, "{size}: {error}");
        }
    }
}
