//! The video comparator: the small CNN that reads a frame-to-frame similarity map (ViSiL; `docs/mathematics.md`, §2.2).
//!
//! ```text
//! S [C0][h][w] -> conv 3x3, ReLU, max-pool -> conv 3x3, ReLU, max-pool -> conv 3x3, ReLU -> conv 1x1 -> [h/4][w/4]
//! ```
//!
//! The first layer is a direct convolution, the second and third go through Winograd's F(4x4, 3x3); bias, ReLU, pooling
//! and the 1x1 layer are part of the convolutions, so that neither an unpooled map nor the C3 channels of the last map
//! are ever stored. [`naive`] is the definition in plain loops.

mod first;
pub mod naive;
mod pack;
mod pipeline;
#[cfg(test)]
mod tests;
mod window;

use core::fmt;
use core::ops::Range;

use crate::isa::Isa;
use pack::Packed;
use pipeline::Network;
pub use pipeline::Scratch;

/// The parameters of a comparator, in the layout of a PyTorch state dict.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// C0 (channels of the similarity map, usually 1), C1, C2, C3: each at least 1. Upstream 1, 32, 64, 128.
    pub channels: [usize; 4],
    /// `[C1][C0][3][3]`.
    pub conv1: &'a [f32],
    /// `[C1]`.
    pub bias1: &'a [f32],
    /// `[C2][C1][3][3]`.
    pub conv2: &'a [f32],
    /// `[C2]`.
    pub bias2: &'a [f32],
    /// `[C3][C2][3][3]`.
    pub conv3: &'a [f32],
    /// `[C3]`.
    pub bias3: &'a [f32],
    /// `[C3]`: the 1x1 convolution.
    pub fconv: &'a [f32],
    /// Bias of the 1x1 convolution.
    pub fbias: f32,
}

/// Why [`Comparator::new`] refuses weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightsError {
    /// A layer has no channels, or so many that its number of weights overflows.
    Channels([usize; 4]),
    /// The tensor has another number of values than [`Weights::channels`] says.
    Length {
        /// Field of [`Weights`].
        tensor: &'static str,
        /// Values that the channels ask for.
        expected: usize,
        /// Values that are there.
        found: usize,
    },
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channels(channels) => write!(f, "comparator with channels {channels:?}: each must be 1 or more"),
            Self::Length { tensor, expected, found } => {
                write!(f, "comparator weights {tensor}: {expected} values expected, {found} found")
            }
        }
    }
}

impl core::error::Error for WeightsError {}

impl Weights<'_> {
    /// Checks that every tensor has the length that the channels ask for.
    ///
    /// # Errors
    /// The first tensor that has not.
    pub fn check(&self) -> Result<(), WeightsError> {
        let [c0, c1, c2, c3] = self.channels;
        let bad = || WeightsError::Channels(self.channels);
        // The packed form holds 36 values a filter, widths rounded up.
        let count = |a: usize, b: usize| -> Result<usize, WeightsError> {
            let padded = a.checked_next_multiple_of(64).and_then(|a| a.checked_mul(b.checked_next_multiple_of(64)?));
            match padded.and_then(|n| n.checked_mul(36 * 8)) {
                Some(n) if n <= isize::MAX as usize && a > 0 && b > 0 => Ok(9 * a * b),
                _ => Err(bad()),
            }
        };
        let tensors = [
            ("conv1", count(c1, c0)?, self.conv1.len()),
            ("bias1", c1, self.bias1.len()),
            ("conv2", count(c2, c1)?, self.conv2.len()),
            ("bias2", c2, self.bias2.len()),
            ("conv3", count(c3, c2)?, self.conv3.len()),
            ("bias3", c3, self.bias3.len()),
            ("fconv", c3, self.fconv.len()),
        ];
        match tensors.into_iter().find(|(_, expected, found)| expected != found) {
            Some((tensor, expected, found)) => Err(WeightsError::Length { tensor, expected, found }),
            None => Ok(()),
        }
    }
}

/// What lies around a map, at each 3x3 layer on that layer's own input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Zeros (DnS).
    Zero,
    /// The nearest value of the map (ViSiL).
    Replicate,
}

/// What the 2x2 max-pools do with an odd last row or column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// Drop it: evaluation without masks.
    Floor,
    /// Keep a half-filled cell: evaluation with masks (§2.4), on the valid part of a map that was padded far enough,
    /// for instance to a multiple of 4 rows and columns.
    Ceil,
    /// Keep a half-filled cell where the padded map has room for it: evaluation with masks, on the valid part of a map
    /// that was padded to this many rows and columns (or to its own size, if that is larger) and is itself floored.
    Padded {
        /// Rows of the padded map.
        rows: usize,
        /// Columns of the padded map.
        columns: usize,
    },
}

impl Pool {
    /// Rows and columns of a map of `h` x `w` after the first and after the second pooling.
    #[must_use]
    pub const fn shapes(self, h: usize, w: usize) -> [(usize, usize); 2] {
        let (rows, columns) = match self {
            Self::Floor => (h, w),
            Self::Ceil => (h.saturating_add(3), w.saturating_add(3)),
            Self::Padded { rows, columns } => (if rows > h { rows } else { h }, if columns > w { columns } else { w }),
        };
        let ([h1, h2], [w1, w2]) = (halves(h, rows), halves(w, columns));
        [(h1, w1), (h2, w2)]
    }
}

/// `n` valid of `padded` values after one and after two poolings.
const fn halves(n: usize, padded: usize) -> [usize; 2] {
    const fn half(n: usize, padded: usize) -> usize {
        if n.div_ceil(2) < padded / 2 { n.div_ceil(2) } else { padded / 2 }
    }
    let first = half(n, padded);
    [first, half(first, padded / 2)]
}

/// A similarity map `[C0][h][w]`: rows are query frames, columns target frames.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// C0 * h * w values.
    pub values: &'a [f32],
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

/// A video comparator whose weights are packed for one instruction set.
///
/// ```
/// use vidsieve_kernels::Isa;
/// use vidsieve_kernels::comparator::{Comparator, Padding, Pool, Scratch, Weights, chamfer_of_output};
///
/// let weights = Weights {
///     channels: [1, 1, 1, 1],
///     conv1: &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
///     bias1: &[0.0],
///     conv2: &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
///     bias2: &[0.0],
///     conv3: &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
///     bias3: &[0.0],
///     fconv: &[1.0],
///     fbias: 0.0,
/// };
/// let comparator = Comparator::new(Isa::best(), &weights, Padding::Zero)?;
/// let (rows, columns) = Comparator::output_shape(4, 9, Pool::Floor).expect("at least 4 x 4");
/// let mut out = [0.0; 2];
/// comparator.forward(&[0.5; 4 * 9], 4, 9, Pool::Floor, &mut out, &mut Scratch::default());
/// assert!((chamfer_of_output(&out, rows, columns) - 0.5).abs() < 1e-5);
/// # Ok::<(), vidsieve_kernels::comparator::WeightsError>(())
/// ```
pub struct Comparator {
    network: Network,
}

impl fmt::Debug for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Network { isa, padding, .. } = &self.network;
        f.debug_struct("Comparator").field("isa", isa).field("padding", padding).finish_non_exhaustive()
    }
}

impl Comparator {
    /// Packs the weights for `isa`.
    ///
    /// # Errors
    /// If a tensor does not have the length that the channels ask for.
    pub fn new(isa: Isa, weights: &Weights<'_>, padding: Padding) -> Result<Self, WeightsError> {
        weights.check()?;
        Ok(Self { network: Network { isa, packed: Packed::new(isa, weights), padding } })
    }

    /// The instruction set that this comparator runs on.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.network.isa
    }

    /// C0: channels of a similarity map.
    #[must_use]
    pub fn input_channels(&self) -> usize {
        self.network.packed.first.inputs
    }

    /// Rows and columns of the output for a map of `h` x `w`: a quarter each, with the rounding of `pool`. `None` if
    /// nothing is left: below 4 ([`Pool::Floor`]) or at 0 ([`Pool::Ceil`]) rows or columns.
    #[must_use]
    pub const fn output_shape(h: usize, w: usize, pool: Pool) -> Option<(usize, usize)> {
        match pool.shapes(h, w)[1] {
            (0, _) | (_, 0) => None,
            shape => Some(shape),
        }
    }

    /// The raw output (before Hardtanh) `[oh][ow]` of one map `[C0][h][w]`, see [`Comparator::output_shape`].
    ///
    /// # Panics
    /// If the map is too small for an output, or the length of `map` or `out` is not that of its shape.
    pub fn forward(&self, map: &[f32], h: usize, w: usize, pool: Pool, out: &mut [f32], scratch: &mut Scratch) {
        let map = Map { values: map, h, w };
        assert_eq!(out.len(), self.output_len(&map, pool), "output of a map of {h} x {w}");
        self.forward_maps(&[map], pool, pipeline::band_of(w), out, scratch);
    }

    /// The raw outputs of several maps, of the same or of different sizes, one after the other in `out`: the same values
    /// as from [`Comparator::forward`]. Small maps are worked on together, so that the weights are read less often.
    ///
    /// # Panics
    /// If a map is too small for an output, or the length of a map or of `out` is not that of the shapes.
    pub fn forward_batch(&self, maps: &[Map<'_>], pool: Pool, mut out: &mut [f32], scratch: &mut Scratch) {
        let len: usize = maps.iter().map(|map| self.output_len(map, pool)).sum();
        assert_eq!(out.len(), len, "outputs of {} maps", maps.len());
        let mut rest = maps;
        while !rest.is_empty() {
            // As many maps as fill the matrix products once.
            let (mut count, mut tiles, mut band, mut len) = (0, 0, 1, 0);
            while count < rest.len() && tiles < pipeline::GROUP_TILES {
                let map = &rest[count];
                let (rows, columns) = pool.shapes(map.h, map.w)[1];
                let more = pipeline::tiles_of(rows, columns);
                if count > 0 && tiles + more > pipeline::GROUP_TILES {
                    break;
                }
                (count, tiles, len) = (count + 1, tiles + more, len + rows * columns);
                band = band.max(rows.div_ceil(4));
            }
            if count == 1 {
                band = pipeline::band_of(rest[0].w);
            }
            let (group, later) = rest.split_at(count);
            let (done, left) = out.split_at_mut(len);
            self.forward_maps(group, pool, band, done, scratch);
            (rest, out) = (later, left);
        }
    }

    /// The raw output of a map that is never whole in memory: `fill(rows, values)` writes the input rows
    /// `[C0][rows][w]` and is called for every row once, from the first to the last; `emit(row, values)` receives the
    /// output rows in order. The scratch space grows with `w`, not with `h`. The same values as from
    /// [`Comparator::forward`].
    ///
    /// # Panics
    /// If the map is too small for an output.
    pub fn forward_banded(
        &self,
        h: usize,
        w: usize,
        pool: Pool,
        mut fill: impl FnMut(Range<usize>, &mut [f32]),
        mut emit: impl FnMut(usize, &[f32]),
        scratch: &mut Scratch,
    ) {
        assert!(Self::output_shape(h, w, pool).is_some(), "a map of {h} x {w} has no output");
        self.network.run(
            core::iter::once([h, w]),
            pool,
            pipeline::band_of(w),
            |_, rows, values| fill(rows, values),
            |_, row, values| emit(row, values),
            scratch,
        );
    }

    /// Checks the map and returns the length of its output.
    fn output_len(&self, map: &Map<'_>, pool: Pool) -> usize {
        let (h, w) = (map.h, map.w);
        let values = h.checked_mul(w).and_then(|n| n.checked_mul(self.input_channels()));
        assert_eq!(Some(map.values.len()), values, "values of a map of {h} x {w}");
        match Self::output_shape(h, w, pool) {
            Some((rows, columns)) => rows * columns,
            None => panic!("a map of {h} x {w} has no output"),
        }
    }

    /// Maps and outputs have been checked.
    fn forward_maps(&self, maps: &[Map<'_>], pool: Pool, band: usize, out: &mut [f32], scratch: &mut Scratch) {
        let mut starts = alloc::vec::Vec::with_capacity(maps.len());
        let mut end = 0;
        for map in maps {
            starts.push(end);
            let (rows, columns) = pool.shapes(map.h, map.w)[1];
            end += rows * columns;
        }
        self.network.run(
            maps.iter().map(|map| [map.h, map.w]),
            pool,
            band,
            |index, rows, values| {
                let Map { values: map, h, w } = maps[index];
                for (channel, values) in values.chunks_exact_mut(rows.len() * w).enumerate() {
                    values.copy_from_slice(&map[(channel * h + rows.start) * w..][..rows.len() * w]);
                }
            },
            |index, row, values| out[starts[index] + row * values.len()..][..values.len()].copy_from_slice(values),
            scratch,
        );
    }
}

/// Hardtanh, then the Chamfer similarity of a comparator output `[rows][columns]`: the mean over rows of the maximum over
/// columns, each value clamped to [-1, 1] (§2.3). Divides by `rows`, so it can serve a masked evaluation as well.
///
/// # Panics
/// If `out` has not `rows * columns` values, or none.
#[must_use]
pub fn chamfer_of_output(out: &[f32], rows: usize, columns: usize) -> f32 {
    assert!(!out.is_empty() && rows.checked_mul(columns) == Some(out.len()), "{} values", out.len());
    let sum: f64 = out
        .chunks_exact(columns)
        .map(|row| f64::from(row.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x)).clamp(-1.0, 1.0)))
        .sum();
    (sum / rows as f64) as f32
}
