//! Similarity of what changes: codes less a mean code, compared region by region.
//!
//! The codes of a video as vectors of +-1, less the mean code of each region over the video, say what
//! changes in it. For a query frame i with regions r and a target frame j with regions p:
//!
//! ```text
//! x[i,r] = A[i,r] - a[r]        y[j,p] = B[j,p] - b[p]
//! C[i,j] = sum over r of weight[i,r] * max over p of <x[i,r], y[j,p]> * scale[j,p]
//! ```
//!
//! `<x, y> = <A, B> - <a, B> - <A, b> + <a, b>`. Means are kept as integers over [`DENOMINATOR`]: the
//! odd numbers up to it are sums of [`PLANES`] signed powers of two, so a mean is as many codes
//! ([`Planes`]), and all four products are sums of Hamming distances. Everything up to the
//! multiplication by `scale` is exact, and equal on every instruction set.

use alloc::vec;
use alloc::vec::Vec;

use super::generic::MAX_LANES;
use super::{Line, MAX_REGIONS, Part, Shape, ShapeError, each, pack_each, residual_rows, vector_layout};
use crate::Isa;

/// Codes that a mean code is made of.
pub const PLANES: usize = 6;
/// What the values of a mean are divided by: the largest sum of [`PLANES`] signed powers of two.
pub const DENOMINATOR: i32 = (1 << PLANES) - 1;
/// Most bits of a code whose residuals are compared: products stay within an i32.
pub const MAX_BITS: usize = 65_536;
/// Target frames whose distances are kept at a time; a multiple of every engine's lanes.
pub(super) const BLOCK: usize = 64;

/// The mean code of each region of a video, as [`PLANES`] codes a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planes {
    shape: Shape,
    /// `[PLANES][regions][bits / 8]`.
    codes: Vec<u8>,
    /// Of each region the sum of squares of the mean, times [`DENOMINATOR`] squared.
    squares: Vec<i64>,
}

impl Planes {
    /// The mean over the frames of `part`, each counted `weights` times.
    ///
    /// A mean is rounded to the nearest odd number over [`DENOMINATOR`], downwards where two are
    /// equally near; of no frame at all, or of weights that are all 0, it is the least of them.
    ///
    /// # Panics
    /// If there is not one weight for each frame.
    #[must_use]
    pub fn mean(part: &Part<'_>, weights: &[u8]) -> Self {
        assert_eq!(weights.len(), part.frames(), "one weight for each frame");
        let (shape, bytes) = (part.shape(), part.shape().code_bytes());
        let total: u64 = weights.iter().map(|&w| u64::from(w)).sum::<u64>().max(1);
        let mut codes = vec![0u8; PLANES * shape.frame_bytes()];
        let mut squares = vec![0i64; shape.regions()];
        let mut ones = vec![0u32; shape.bits()];
        for (region, square) in squares.iter_mut().enumerate() {
            ones.fill(0);
            for (frame, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0) {
                let code = part.code(frame, region);
                for (ones, &byte) in ones.as_chunks_mut::<8>().0.iter_mut().zip(code) {
                    for (k, ones) in ones.iter_mut().enumerate() {
                        *ones += u32::from(weight) * u32::from(byte >> k & 1);
                    }
                }
            }
            for (bit, &ones) in ones.iter().enumerate() {
                // The sum of signed powers of two is 2 n - DENOMINATOR for n in 0..=DENOMINATOR.
                let n = (u64::from(ones) * DENOMINATOR as u64 * 2 + total - 1) / (2 * total);
                let value = 2 * n as i64 - i64::from(DENOMINATOR);
                *square += value * value;
                for plane in 0..PLANES {
                    let at = (plane * shape.regions() + region) * bytes + bit / 8;
                    codes[at] |= ((n >> plane & 1) as u8) << (bit % 8);
                }
            }
        }
        Self { shape, codes, squares }
    }

    /// The layout of the part that it is the mean of.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The value of a bit's mean in -[`DENOMINATOR`]..=[`DENOMINATOR`].
    ///
    /// # Panics
    /// For a region or a bit that the layout lacks.
    #[must_use]
    pub fn value(&self, region: usize, bit: usize) -> i32 {
        assert!(region < self.shape.regions() && bit < self.shape.bits(), "region {region}, bit {bit}");
        let bytes = self.shape.code_bytes();
        (0..PLANES).fold(0, |sum, plane| {
            let byte = self.codes[(plane * self.shape.regions() + region) * bytes + bit / 8];
            let sign = 2 * i32::from(byte >> (bit % 8) & 1) - 1;
            sum + (sign << plane)
        })
    }

    /// Of every frame of `part` and each of its regions, the squared length of the code less the mean:
    /// `[frames][regions]`, in 0 to 4 `bits`.
    ///
    /// # Panics
    /// If the part has another layout than the mean.
    #[must_use]
    pub fn energies(&self, part: &Part<'_>) -> Vec<f32> {
        assert_eq!(part.shape(), self.shape, "the layout of the mean");
        let d = i64::from(DENOMINATOR);
        let mut energies = Vec::with_capacity(part.frames() * self.shape.regions());
        for frame in 0..part.frames() {
            for region in 0..self.shape.regions() {
                let product = i64::from(self.product(region, part.code(frame, region)));
                let scaled = d * d * self.shape.bits() as i64 - 2 * d * product + self.squares[region];
                energies.push(scaled as f32 / (d * d) as f32);
            }
        }
        energies
    }

    /// The product of a code with the mean of a region, times [`DENOMINATOR`].
    fn product(&self, region: usize, code: &[u8]) -> i32 {
        let bytes = self.shape.code_bytes();
        (0..PLANES).fold(0, |sum, plane| {
            let mean = &self.codes[(plane * self.shape.regions() + region) * bytes..][..bytes];
            let differing: u32 = mean.iter().zip(code).map(|(a, b)| (a ^ b).count_ones()).sum();
            sum + ((self.shape.bits() as i32 - 2 * differing as i32) << plane)
        })
    }

    /// The product of two means, times [`DENOMINATOR`] squared.
    fn product_of_means(&self, region: usize, other: &Self, other_region: usize) -> i32 {
        let (bytes, n) = (self.shape.code_bytes(), other.shape.regions());
        (0..PLANES).fold(0, |sum, plane| {
            let code = &other.codes[(plane * n + other_region) * bytes..][..bytes];
            sum + (self.product(region, code) << plane)
        })
    }
}

/// Some regions of every frame of a target, laid out so that the distance to each region is kept.
#[derive(Clone)]
pub struct EachTarget {
    isa: Isa,
    shape: Shape,
    frames: usize,
    packed: Vec<Line>,
}

impl EachTarget {
    /// Packs some regions of every frame for `isa`.
    #[must_use]
    pub fn of_part(isa: Isa, part: &Part<'_>) -> Self {
        let (shape, frames) = (part.shape(), part.frames());
        let (lanes, vector_bytes) = vector_layout(isa, shape);
        let bytes = frames.div_ceil(lanes) * shape.regions() * vector_bytes;
        let mut packed = vec![Line([0; 64]); bytes.div_ceil(size_of::<Line>())];
        pack_each(isa, part, Line::bytes_mut(&mut packed));
        Self { isa, shape, frames, packed }
    }

    /// Number of frames.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.frames
    }

    /// The layout of the part.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }
}

impl core::fmt::Debug for EachTarget {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EachTarget")
            .field("isa", &self.isa)
            .field("shape", &self.shape)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

/// A query's mean, a target and its mean: what all rows of a comparison share.
#[derive(Clone, Debug)]
pub struct Residuals {
    target: EachTarget,
    query_planes: Planes,
    target_planes: Planes,
    /// `DENOMINATOR <a[r], B[j,p]> - <a[r], b[p]> * DENOMINATOR^2`, `[query regions][regions][padded]`.
    shifts: Vec<i32>,
    /// `[regions][padded]`.
    scales: Vec<f32>,
    padded: usize,
}

impl Residuals {
    /// A comparison of a query whose mean is `query` with the regions of `target`, whose mean is
    /// `mean`; `scales` multiplies the products with region p of frame j, `[frames][regions]`.
    ///
    /// # Errors
    /// [`ShapeError::TooManyBits`] for codes above [`MAX_BITS`].
    ///
    /// # Panics
    /// If codes, means and scales do not fit one another.
    pub fn new(isa: Isa, query: Planes, target: &Part<'_>, mean: Planes, scales: &[f32]) -> Result<Self, ShapeError> {
        let (shape, frames) = (target.shape(), target.frames());
        assert_eq!(mean.shape, shape, "the mean of the target's part");
        assert_eq!(query.shape.bits(), shape.bits(), "codes of one length");
        assert_eq!(scales.len(), frames * shape.regions(), "a scale for each code");
        if shape.bits() > MAX_BITS {
            return Err(ShapeError::TooManyBits { regions: shape.regions(), bits: shape.bits() });
        }
        let packed = EachTarget::of_part(isa, target);
        let padded = frames.next_multiple_of(MAX_LANES);
        let (asked, regions) = (query.shape.regions(), shape.regions());
        let mut shifts = vec![0i32; asked * regions * padded];
        let mut distances = vec![0u16; asked * regions * BLOCK];
        for plane in 0..PLANES {
            let codes = &query.codes[plane * query.shape.frame_bytes()..][..query.shape.frame_bytes()];
            for start in (0..frames).step_by(BLOCK) {
                let count = BLOCK.min(padded - start);
                each(isa, codes, shape, Line::bytes(&packed.packed), frames, start, &mut distances);
                for (shifts, distances) in shifts.chunks_exact_mut(padded).zip(distances.chunks_exact(BLOCK)) {
                    for (shift, &distance) in shifts[start..start + count].iter_mut().zip(distances) {
                        *shift += (shape.bits() as i32 - 2 * i32::from(distance)) << plane;
                    }
                }
            }
        }
        for (index, shifts) in shifts.chunks_exact_mut(padded.max(1)).enumerate() {
            let means = query.product_of_means(index / regions, &mean, index % regions);
            shifts.iter_mut().for_each(|shift| *shift = DENOMINATOR * *shift - means);
        }
        let mut by_region = vec![0f32; regions * padded];
        for (frame, scales) in scales.chunks_exact(regions).enumerate() {
            for (region, &scale) in scales.iter().enumerate() {
                by_region[region * padded + frame] = scale;
            }
        }
        Ok(Self { target: packed, query_planes: query, target_planes: mean, shifts, scales: by_region, padded })
    }

    /// The rows of C for the frames of `query`, `[query frames][target frames]`; `weights` has a weight
    /// for each of their regions.
    ///
    /// # Panics
    /// If `query` has another layout than its mean, or a slice the wrong length.
    pub fn rows(&self, query: &Part<'_>, weights: &[f32], out: &mut [f32]) {
        let (asked, frames) = (query.shape(), self.target.frames);
        assert_eq!(asked, self.query_planes.shape, "the layout of the query's mean");
        assert_eq!(weights.len(), query.frames() * asked.regions(), "a weight for each region");
        assert_eq!(out.len(), query.frames() * frames, "query frames x target frames");
        if frames == 0 {
            return;
        }
        let regions = self.target.shape.regions();
        let mut products = vec![0i32; asked.regions() * regions];
        for (frame, out) in out.chunks_exact_mut(frames).enumerate() {
            for (region, products) in products.chunks_exact_mut(regions).enumerate() {
                let code = query.code(frame, region);
                for (p, product) in products.iter_mut().enumerate() {
                    *product = DENOMINATOR * self.target_planes.product(p, code);
                }
            }
            let row = Row {
                codes: query.frame(frame),
                weights: &weights[frame * asked.regions()..][..asked.regions()],
                products: &products,
                shifts: &self.shifts,
                scales: &self.scales,
                padded: self.padded,
            };
            residual_rows(self.target.isa, &row, self.target.shape, Line::bytes(&self.target.packed), out);
        }
    }
}

/// One query frame, and what the rows of a comparison share.
pub(super) struct Row<'a> {
    /// `[query regions][bits / 8]`.
    pub(super) codes: &'a [u8],
    /// `[query regions]`.
    pub(super) weights: &'a [f32],
    /// `[query regions][regions]`.
    pub(super) products: &'a [i32],
    /// `[query regions][regions][padded]`.
    pub(super) shifts: &'a [i32],
    /// `[regions][padded]`.
    pub(super) scales: &'a [f32],
    pub(super) padded: usize,
}

/// The row of C of one query frame from the distances of a block of target frames, `[query
/// regions][regions][BLOCK]`.
#[inline(always)]
pub(super) fn combine(row: &Row<'_>, shape: Shape, distances: &[u16], start: usize, out: &mut [f32]) {
    const SQUARE: i32 = DENOMINATOR * DENOMINATOR;
    let (regions, whole) = (shape.regions(), SQUARE * shape.bits() as i32);
    let mut sums = [0f32; BLOCK];
    // Whole groups of lanes are computed; those beyond the last frame are not kept.
    let count = out.len().next_multiple_of(MAX_LANES);
    for (r, weight) in row.weights.iter().enumerate() {
        let mut best = [f32::NEG_INFINITY; BLOCK];
        for p in 0..regions {
            let index = r * regions + p;
            let product = whole - row.products[index];
            let distances = &distances[index * BLOCK..][..count];
            let shifts = &row.shifts[index * row.padded + start..][..count];
            let scales = &row.scales[p * row.padded + start..][..count];
            let values = distances.iter().zip(shifts).zip(scales);
            for (best, ((&distance, &shift), &scale)) in best[..count].iter_mut().zip(values) {
                let value = (product - 2 * SQUARE * i32::from(distance) - shift) as f32 * scale;
                *best = if value > *best { value } else { *best };
            }
        }
        for (sum, best) in sums.iter_mut().zip(&best) {
            *sum += weight * best;
        }
    }
    const UNIT: f32 = 1.0 / SQUARE as f32;
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * UNIT);
}

/// C as plain loops over bits in f64: what the kernels are tested against.
///
/// # Panics
/// As [`Residuals::new`] and [`Residuals::rows`].
#[must_use]
pub fn naive(query: &Part<'_>, target: &Part<'_>, means: [&Planes; 2], weights: &[f32], scales: &[f32]) -> Vec<f64> {
    let sign = |code: &[u8], bit: usize| if code[bit / 8] >> (bit % 8) & 1 == 1 { 1.0 } else { -1.0 };
    let value = |part: &Part<'_>, mean: &Planes, frame, region, bit| {
        sign(part.code(frame, region), bit) - f64::from(mean.value(region, bit)) / f64::from(DENOMINATOR)
    };
    let (asked, regions) = (query.shape().regions(), target.shape().regions());
    let mut out = Vec::with_capacity(query.frames() * target.frames());
    for i in 0..query.frames() {
        for j in 0..target.frames() {
            let of_region = |r: usize| {
                let product = |p: usize| -> f64 {
                    let dot: f64 = (0..query.shape().bits())
                        .map(|k| value(query, means[0], i, r, k) * value(target, means[1], j, p, k))
                        .sum();
                    dot * f64::from(scales[j * regions + p])
                };
                f64::from(weights[i * asked + r]) * (0..regions).map(product).fold(f64::NEG_INFINITY, f64::max)
            };
            out.push((0..asked).map(of_region).sum());
        }
    }
    out
}

/// Most regions of either side.
const _: () = assert!(MAX_REGIONS * MAX_REGIONS * BLOCK * 2 <= 1 << 19);
