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

/// Of each byte its bits as bytes, the lowest first.
const SPREAD: [u64; 256] = {
    let mut all = [0u64; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            all[byte] |= ((byte >> bit & 1) as u64) << (8 * bit);
            bit += 1;
        }
        byte += 1;
    }
    all
};

/// The mean code of each region of a video, as [`PLANES`] codes a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planes {
    shape: Shape,
    /// `[PLANES][regions][bits / 8]`.
    codes: Vec<u8>,
    /// The values of the bits, `[regions][bits]`.
    values: Vec<i16>,
    /// Of each region the sum of squares of the mean, times [`DENOMINATOR`] squared.
    squares: Vec<i64>,
}

impl Planes {
    /// The mean over the frames of `part`.
    ///
    /// A mean is rounded to the nearest odd number over [`DENOMINATOR`], downwards where two are
    /// equally near; of no frame at all it is the least of them.
    #[must_use]
    pub fn mean(part: &Part<'_>) -> Self {
        let (shape, frames) = (part.shape(), part.frames());
        let bytes = shape.frame_bytes();
        // Bits are counted in all places at once: word k has bit k of the counts.
        let words = bytes.div_ceil(8);
        let levels = (usize::BITS - frames.leading_zeros()) as usize;
        let mut counts = vec![0u64; levels * words];
        let mut carry = vec![0u64; words];
        for frame in 0..frames {
            carry.fill(0);
            let (whole, rest) = part.frame(frame).as_chunks::<8>();
            carry.iter_mut().zip(whole).for_each(|(carry, word)| *carry = u64::from_le_bytes(*word));
            for (k, &byte) in rest.iter().enumerate() {
                carry[words - 1] |= u64::from(byte) << (8 * k);
            }
            for level in counts.chunks_exact_mut(words.max(1)) {
                for (count, carry) in level.iter_mut().zip(&mut carry) {
                    let next = *count & *carry;
                    *count ^= *carry;
                    *carry = next;
                }
            }
        }
        // The sum of signed powers of two is 2 n - DENOMINATOR for n in 0..=DENOMINATOR.
        let total = frames.max(1) as u64;
        let rounded: Vec<u8> =
            (0..=frames as u64).map(|ones| ((ones * DENOMINATOR as u64 * 2 + total - 1) / (2 * total)) as u8).collect();
        let mut codes = vec![0u8; PLANES * bytes];
        let mut values = vec![0i16; shape.regions() * shape.bits()];
        for (byte, values) in values.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut ones = [0usize; 8];
            for (k, level) in counts.chunks_exact(words.max(1)).enumerate() {
                let bits = SPREAD[usize::from((level[byte / 8] >> (8 * (byte % 8))) as u8)].to_le_bytes();
                ones.iter_mut().zip(bits).for_each(|(ones, bit)| *ones += usize::from(bit) << k);
            }
            for (bit, (value, ones)) in values.iter_mut().zip(ones).enumerate() {
                let n = rounded[ones];
                *value = 2 * i16::from(n) - DENOMINATOR as i16;
                for plane in 0..PLANES {
                    codes[plane * bytes + byte] |= (n >> plane & 1) << bit;
                }
            }
        }
        let square = |values: &[i16]| values.iter().map(|&v| i64::from(v) * i64::from(v)).sum();
        let squares = values.chunks_exact(shape.bits()).map(square).collect();
        Self { shape, codes, values, squares }
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
        i32::from(self.values[region * self.shape.bits() + bit])
    }

    /// The products of the mean of each region with the codes of a video, times [`DENOMINATOR`]: `[regions of the
    /// mean][regions][padded]`, `padded` frames.
    fn products(&self, video: &EachTarget, padded: usize) -> Vec<i32> {
        let (shape, asked) = (video.shape, self.shape.regions());
        let mut products = vec![0i32; asked * shape.regions() * padded];
        let mut distances = vec![0u16; asked * shape.regions() * BLOCK];
        for (plane, codes) in self.codes.chunks_exact(self.shape.frame_bytes()).enumerate() {
            for start in (0..video.frames).step_by(BLOCK) {
                let count = BLOCK.min(padded - start);
                each(video.isa, codes, shape, Line::bytes(&video.packed), video.frames, start, &mut distances);
                for (products, distances) in products.chunks_exact_mut(padded).zip(distances.chunks_exact(BLOCK)) {
                    for (product, &distance) in products[start..start + count].iter_mut().zip(distances) {
                        *product += (shape.bits() as i32 - 2 * i32::from(distance)) << plane;
                    }
                }
            }
        }
        products
    }

    /// The product of two means, times [`DENOMINATOR`] squared.
    fn product_of_means(&self, region: usize, other: &Self, other_region: usize) -> i32 {
        let bits = self.shape.bits();
        let [a, b] = [(self, region), (other, other_region)].map(|(mean, r)| &mean.values[r * bits..][..bits]);
        a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
    }
}

/// A video with its mean code: what every comparison of its changes starts from.
#[derive(Clone, Debug)]
pub struct Changes {
    codes: EachTarget,
    mean: Planes,
    padded: usize,
    energies: Vec<f32>,
}

impl Changes {
    /// The changes of some regions of a video.
    ///
    /// # Errors
    /// [`ShapeError::TooManyBits`] for codes above [`MAX_BITS`].
    pub fn of_part(isa: Isa, part: &Part<'_>) -> Result<Self, ShapeError> {
        let (shape, frames) = (part.shape(), part.frames());
        if shape.bits() > MAX_BITS {
            return Err(ShapeError::TooManyBits { regions: shape.regions(), bits: shape.bits() });
        }
        let (codes, mean) = (EachTarget::of_part(isa, part), Planes::mean(part));
        let (regions, padded) = (shape.regions(), frames.next_multiple_of(MAX_LANES));
        let products = mean.products(&codes, padded);
        let d = i64::from(DENOMINATOR);
        let mut energies = Vec::with_capacity(frames * regions);
        for frame in 0..frames {
            for (region, square) in mean.squares.iter().enumerate() {
                let product = i64::from(products[(region * regions + region) * padded + frame]);
                energies.push((d * d * shape.bits() as i64 - 2 * d * product + square) as f32 / (d * d) as f32);
            }
        }
        Ok(Self { codes, mean, padded, energies })
    }

    /// The mean code.
    #[must_use]
    pub const fn mean(&self) -> &Planes {
        &self.mean
    }

    /// Of every frame and each of its regions the squared length of the code less the mean: `[frames][regions]`,
    /// in 0 to 4 `bits`.
    #[must_use]
    pub fn energies(&self) -> &[f32] {
        &self.energies
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

/// A query, a target and their means: what all rows of a comparison share.
#[derive(Clone, Debug)]
pub struct Residuals {
    target: EachTarget,
    /// The layout of the query, and its number of frames.
    asked: (Shape, usize),
    /// `DENOMINATOR <A[i,r], b[p]>`, times [`DENOMINATOR`]: `[query frames][query regions][regions]`.
    products: Vec<i32>,
    /// `DENOMINATOR <a[r], B[j,p]> - <a[r], b[p]> * DENOMINATOR^2`, `[query regions][regions][padded]`.
    shifts: Vec<i32>,
    /// `[regions][padded]`.
    scales: Vec<f32>,
    padded: usize,
}

impl Residuals {
    /// A comparison of `query` with `target`; `scales` multiplies the products with region p of frame j, `[frames][regions]`.
    ///
    /// # Panics
    /// If the codes have different lengths or were laid out for different instruction sets, or the scales do not fit.
    #[must_use]
    pub fn new(query: &Changes, target: Changes, scales: &[f32]) -> Self {
        let (shape, frames, padded) = (target.codes.shape, target.codes.frames, target.padded);
        let asked = query.codes.shape;
        assert_eq!(asked.bits(), shape.bits(), "codes of one length");
        assert_eq!(query.codes.isa, target.codes.isa, "codes of one instruction set");
        assert_eq!(scales.len(), frames * shape.regions(), "a scale for each code");
        let regions = shape.regions();
        let mut shifts = query.mean.products(&target.codes, padded);
        for (index, shifts) in shifts.chunks_exact_mut(padded.max(1)).enumerate() {
            let means = query.mean.product_of_means(index / regions, &target.mean, index % regions);
            shifts.iter_mut().for_each(|shift| *shift = DENOMINATOR * *shift - means);
        }
        let by_mean = target.mean.products(&query.codes, query.padded);
        let mut products = Vec::with_capacity(query.codes.frames * asked.regions() * regions);
        for frame in 0..query.codes.frames {
            for r in 0..asked.regions() {
                let of = |p: usize| DENOMINATOR * by_mean[(p * asked.regions() + r) * query.padded + frame];
                products.extend((0..regions).map(of));
            }
        }
        let mut by_region = vec![0f32; regions * padded];
        for (frame, scales) in scales.chunks_exact(regions).enumerate() {
            for (region, &scale) in scales.iter().enumerate() {
                by_region[region * padded + frame] = scale;
            }
        }
        let asked = (asked, query.codes.frames);
        Self { target: target.codes, asked, products, shifts, scales: by_region, padded }
    }

    /// The rows of C for the frames of `query`, which begin with frame `first` of the query: `[frames][target frames]`;
    /// `weights` has a weight for each of their regions.
    ///
    /// # Panics
    /// If `query` is not a part of the query, or a slice has the wrong length.
    pub fn rows(&self, first: usize, query: &Part<'_>, weights: &[f32], out: &mut [f32]) {
        let ((asked, all), frames) = (self.asked, self.target.frames);
        assert_eq!(query.shape(), asked, "the layout of the query");
        assert!(first + query.frames() <= all, "frames of the query");
        assert_eq!(weights.len(), query.frames() * asked.regions(), "a weight for each region");
        assert_eq!(out.len(), query.frames() * frames, "query frames x target frames");
        if frames == 0 {
            return;
        }
        let pairs = asked.regions() * self.target.shape.regions();
        for (frame, out) in out.chunks_exact_mut(frames).enumerate() {
            let row = Row {
                codes: query.frame(frame),
                weights: &weights[frame * asked.regions()..][..asked.regions()],
                products: &self.products[(first + frame) * pairs..][..pairs],
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
