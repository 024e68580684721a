//! Region Chamfer similarity of float region vectors (`docs/mathematics.md`, §2.3):
//! `f2f[i][j] = (1/R) sum over query regions o of max over target regions p of <q_io, t_jp>`.
//! Either side may be a [`Part`], some of the regions of every frame; R is then the number of regions in the query's part.
//!
//! Lane = target frame: the products of a few query regions with a few target regions of a whole group of frames stay in
//! registers, maxima over regions are lane-wise, and nothing but one row of frame similarities is written. The
//! `[Tq, R, R, Tt]` tensor never exists. Each value depends on its two frames alone: rows that are computed in parts have the
//! bits of rows computed at once.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::Isa;
use crate::dispatch::dispatch_f32;
use crate::gemm::{multiply, pack_tile};
use crate::simd::F32s;

/// Target regions whose products are kept in registers at a time: a span.
const fn span<V: F32s>() -> usize {
    if V::REGISTERS >= 32 || V::LANES >= 8 { 3 } else { 2 }
}

/// Query frames that are packed at a time, beside which the target passes by: 8 frames of 9 x 512 take 144 KiB.
const BLOCK_FRAMES: usize = 8;

/// Some consecutive regions of every frame of a video.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    values: &'a [f32],
    /// Of a whole frame.
    frame_regions: usize,
    dims: usize,
    first: usize,
    /// Of the part.
    regions: usize,
}

impl<'a> Part<'a> {
    /// The regions `range` of region vectors `[frames][regions][dims]`.
    ///
    /// # Panics
    /// If `values` is not made of whole frames, `dims` is 0, or `range` is empty or reaches beyond the regions.
    #[must_use]
    pub fn new(values: &'a [f32], regions: usize, dims: usize, range: Range<usize>) -> Self {
        assert!(!range.is_empty() && range.end <= regions, "regions {range:?} of a frame of {regions}");
        let frame = regions.checked_mul(dims).filter(|&n| n > 0 && values.len().is_multiple_of(n));
        assert!(frame.is_some(), "{} values are not whole frames of {regions} x {dims}", values.len());
        Self { values, frame_regions: regions, dims, first: range.start, regions: range.len() }
    }

    /// Number of frames.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.values.len() / (self.frame_regions * self.dims)
    }

    /// Regions in the part.
    #[must_use]
    pub const fn regions(&self) -> usize {
        self.regions
    }

    /// D.
    #[must_use]
    pub const fn dims(&self) -> usize {
        self.dims
    }

    /// The part of every frame, `[regions of the part][dims]` each.
    fn iter(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let (start, length) = (self.first * self.dims, self.regions * self.dims);
        self.values.chunks_exact(self.frame_regions * self.dims).map(move |frame| &frame[start..start + length])
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.first..self.first + self.regions;
        write!(f, "regions {range:?} of {} frames of {} x {}", self.frames(), self.frame_regions, self.dims)
    }
}

/// Over which side's regions the mean goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The mean over the query's regions of the maximum over the target's.
    Query,
    /// The mean over the target's regions of the maximum over the query's.
    Target,
}

/// Which maxima a value of the matrix is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    One(Direction),
    Both,
}

/// A target video, laid out for one instruction set:
/// `[group of frames][span of a few regions][dimension][region of the span][frame of the group]`.
#[derive(Clone, Debug)]
pub struct Target {
    isa: Isa,
    frames: usize,
    regions: usize,
    dims: usize,
    data: Vec<f32>,
}

dispatch_f32!(fn lanes_and_span() -> (usize, usize) = lanes_and_span_body);

#[inline(always)]
unsafe fn lanes_and_span_body<V: F32s>() -> (usize, usize) {
    (V::LANES, span::<V>())
}

impl Target {
    /// Packs region vectors `[frames][regions][dims]`.
    ///
    /// # Panics
    /// If `x` has not `frames * regions * dims` values.
    #[must_use]
    pub fn new(isa: Isa, x: &[f32], frames: usize, regions: usize, dims: usize) -> Self {
        let frame = regions.checked_mul(dims);
        assert_eq!(frame.and_then(|n| n.checked_mul(frames)), Some(x.len()), "{frames} x {regions} x {dims} values");
        if regions * dims == 0 {
            return Self { isa, frames, regions, dims, data: Vec::new() };
        }
        Self::of_part(isa, &Part::new(x, regions, dims, 0..regions))
    }

    /// Packs some regions of every frame.
    #[must_use]
    pub fn of_part(isa: Isa, part: &Part<'_>) -> Self {
        let (frames, regions, dims) = (part.frames(), part.regions, part.dims);
        let (lanes, span) = lanes_and_span(isa);
        let frame = regions * dims;
        let mut data = vec![0f32; frames.div_ceil(lanes) * lanes * frame];
        for (j, values) in part.iter().enumerate() {
            let group = &mut data[j / lanes * lanes * frame..][..lanes * frame];
            let spans = group.chunks_mut(span * dims * lanes);
            for (slots, values) in spans.zip(values.chunks(span * dims)) {
                let width = values.len() / dims;
                for (p, region) in values.chunks_exact(dims).enumerate() {
                    let slots = slots[p * lanes + j % lanes..].iter_mut().step_by(width * lanes);
                    slots.zip(region).for_each(|(slot, value)| *slot = *value);
                }
            }
        }
        Self { isa, frames, regions, dims, data }
    }

    /// T of the target.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.frames
    }

    /// R.
    #[must_use]
    pub const fn regions(&self) -> usize {
        self.regions
    }

    /// D.
    #[must_use]
    pub const fn dims(&self) -> usize {
        self.dims
    }

    /// All regions of `query`, which has the target's R and D.
    fn query<'a>(&self, query: &'a [f32]) -> Part<'a> {
        let frame = self.regions * self.dims;
        assert!(frame > 0, "a target without regions or dimensions");
        assert!(query.len().is_multiple_of(frame), "a query of whole frames of {} x {}", self.regions, self.dims);
        Part::new(query, self.regions, self.dims, 0..self.regions)
    }

    /// Computes the matrix; checks that shapes agree.
    fn compare(&self, query: &Part<'_>, f2f: &mut [f32], sides: Sides) {
        assert_eq!(query.dims, self.dims, "region vectors of one length");
        assert!(self.regions > 0, "a target without regions");
        let frames = query.frames();
        assert_eq!(frames.checked_mul(self.frames), Some(f2f.len()), "{frames} x {} similarities", self.frames);
        if !f2f.is_empty() {
            chamfer(self.isa, query, self, f2f, sides);
        }
    }
}

/// Frame similarities `f2f` `[Tq][Tt]` of `query` `[Tq][R][D]` with a target of the same R and D.
///
/// # Panics
/// If the query is not made of whole frames, `f2f` has not Tq * Tt values, or R * D is 0.
pub fn region_chamfer(query: &[f32], target: &Target, f2f: &mut [f32]) {
    target.compare(&target.query(query), f2f, Sides::One(Direction::Query));
}

/// The mean of both directions (`visil_symmetric`): `(1/2R) (sum_o max_p <q_io, t_jp> + sum_p max_o <q_io, t_jp>)`.
///
/// # Panics
/// As [`region_chamfer`].
pub fn region_chamfer_symmetric(query: &[f32], target: &Target, f2f: &mut [f32]) {
    target.compare(&target.query(query), f2f, Sides::Both);
}

/// Frame similarities `f2f` `[Tq][Tt]` of the regions of `query` with those of the target, whose numbers may differ; the
/// mean is over the regions of one of them.
///
/// # Panics
/// If the region vectors differ in length, the target has no regions or `f2f` has not Tq * Tt values.
pub fn region_chamfer_part(query: &Part<'_>, target: &Target, direction: Direction, f2f: &mut [f32]) {
    target.compare(query, f2f, Sides::One(direction));
}

dispatch_f32!(fn chamfer(query: &Part<'_>, target: &Target, f2f: &mut [f32], sides: Sides) = chamfer_body);

/// Query regions in a tile beside a span of the target.
const fn tile_regions<V: F32s>() -> usize {
    if V::REGISTERS >= 32 { 9 } else { 3 }
}

#[inline(always)]
unsafe fn chamfer_body<V: F32s>(query: &Part<'_>, target: &Target, f2f: &mut [f32], sides: Sides) {
    let (rows, columns, dims, lanes) = (query.regions, target.regions, target.dims, V::LANES);
    let most = tile_regions::<V>();
    // Values of a frame on either side.
    let (row, column) = (rows * dims, columns * dims);
    let groups = target.frames.div_ceil(lanes);
    let frames = query.frames();
    // Of the maxima, those of the query's regions first, which ones are added and how many they are.
    #[allow(clippy::cast_precision_loss)]
    let (added, scale) = match sides {
        Sides::One(Direction::Query) => (0..rows, 1.0 / rows as f32),
        Sides::One(Direction::Target) => (rows..rows + columns, 1.0 / columns as f32),
        Sides::Both => (0..rows + columns, 0.5 / rows as f32),
    };
    let both = sides != Sides::One(Direction::Query);
    let mut tiles = vec![0f32; BLOCK_FRAMES.min(frames) * row];
    // Best target region of each query region, best query region of each target region.
    let mut best = vec![0f32; (rows + columns) * lanes];
    let mut queries = query.iter();
    for first in (0..frames).step_by(BLOCK_FRAMES) {
        let block = BLOCK_FRAMES.min(frames - first);
        for (to, from) in tiles.chunks_exact_mut(row).zip(queries.by_ref().take(block)) {
            for (tile, rows) in to.chunks_mut(most * dims).zip(from.chunks(most * dims)) {
                pack_tile(rows, dims, rows.len() / dims, tile);
            }
        }
        for g in 0..groups {
            let width = lanes.min(target.frames - g * lanes);
            for i in 0..block {
                best.fill(f32::NEG_INFINITY);
                // SAFETY: lengths were checked by the caller: the target holds a padded group of `lanes * column` for each
                // `lanes` frames that are begun, `tiles` `row` values for each frame of the block, `best` a vector for
                // each region of both sides, `f2f` a row of the target's frames for each query frame.
                unsafe {
                    let group = target.data.as_ptr().add(g * lanes * column);
                    let q = tiles.as_ptr().add(i * row);
                    let rows_best = best.as_mut_ptr();
                    let columns_best = rows_best.add(rows * lanes);
                    for o in (0..rows).step_by(most) {
                        let q = q.add(o * dims);
                        let best = rows_best.add(o * lanes);
                        let other = if both { columns_best } else { core::ptr::null_mut() };
                        match most.min(rows - o) {
                            9 => maxima::<V, 9>(q, dims, columns, group, best, other),
                            8 => maxima::<V, 8>(q, dims, columns, group, best, other),
                            7 => maxima::<V, 7>(q, dims, columns, group, best, other),
                            6 => maxima::<V, 6>(q, dims, columns, group, best, other),
                            5 => maxima::<V, 5>(q, dims, columns, group, best, other),
                            4 => maxima::<V, 4>(q, dims, columns, group, best, other),
                            3 => maxima::<V, 3>(q, dims, columns, group, best, other),
                            2 => maxima::<V, 2>(q, dims, columns, group, best, other),
                            _ => maxima::<V, 1>(q, dims, columns, group, best, other),
                        }
                    }
                    let mut sum = V::splat(0.0);
                    for o in added.clone() {
                        sum = sum.add(V::load(rows_best.add(o * lanes)));
                    }
                    let out = f2f.as_mut_ptr().add((first + i) * target.frames + g * lanes);
                    sum.mul(V::splat(scale)).store_partial(out, width);
                }
            }
        }
    }
}

/// The best target region of a group for each of `ROWS` query regions raises `best` `[ROWS][LANES]`; unless `other` is null, the
/// best of these query regions raises `other` `[regions][LANES]`, one vector for each target region.
///
/// # Safety
/// `q` is readable for `[dims][ROWS]` values, `group` for `regions * dims` vectors, `best` readable and writable for `ROWS` vectors, `other`
/// null or readable and writable for `regions` vectors. Callers are compiled for the instruction set of `V`.
#[inline(always)]
unsafe fn maxima<V: F32s, const ROWS: usize>(
    q: *const f32,
    dims: usize,
    regions: usize,
    group: *const f32,
    best: *mut f32,
    other: *mut f32,
) {
    // SAFETY: as the function's contract says.
    unsafe {
        for p in (0..regions).step_by(span::<V>()) {
            let from = group.add(p * dims * V::LANES);
            let other = if other.is_null() { other } else { other.add(p * V::LANES) };
            match span::<V>().min(regions - p) {
                3 => span_maxima::<V, ROWS, 3>(q, dims, from, best, other),
                2 => span_maxima::<V, ROWS, 2>(q, dims, from, best, other),
                _ => span_maxima::<V, ROWS, 1>(q, dims, from, best, other),
            }
        }
    }
}

/// `best` and `other` raised by the products of `ROWS` query regions with a span of `WIDTH` target regions.
///
/// # Safety
/// As for [`maxima`], with `span` readable for `[dims][WIDTH]` vectors and `other` null or for `WIDTH` vectors.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
unsafe fn span_maxima<V: F32s, const ROWS: usize, const WIDTH: usize>(
    q: *const f32,
    dims: usize,
    span: *const f32,
    best: *mut f32,
    other: *mut f32,
) {
    // SAFETY: as the function's contract says.
    unsafe {
        let products = multiply::<V, ROWS, WIDTH>(q, span, dims, [[V::splat(0.0); WIDTH]; ROWS]);
        for (o, row) in products.iter().enumerate() {
            let slot = best.add(o * V::LANES);
            let mut most = V::load(slot);
            for product in row {
                most = most.max(*product);
            }
            most.store(slot);
        }
        if !other.is_null() {
            for p in 0..WIDTH {
                let slot = other.add(p * V::LANES);
                let mut most = V::load(slot);
                for row in &products {
                    most = most.max(row[p]);
                }
                most.store(slot);
            }
        }
    }
}

/// What upstream does: every product of every pair of regions, then maxima, then the mean.
pub mod naive {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{Direction, Part};

    /// [`region_chamfer_part`](super::region_chamfer_part) in plain loops over both sides' frames and regions.
    ///
    /// # Panics
    /// If the region vectors differ in length or `f2f` has not Tq * Tt values.
    pub fn region_chamfer_part(query: &Part<'_>, target: &Part<'_>, direction: Direction, f2f: &mut [f32]) {
        let dims = query.dims;
        assert!(dims == target.dims && f2f.len() == query.frames() * target.frames(), "shapes disagree");
        let mut next = f2f.iter_mut();
        for q in query.iter() {
            for (t, value) in target.iter().zip(&mut next) {
                let (mean, max) = if direction == Direction::Query { (q, t) } else { (t, q) };
                let best: Vec<f32> = mean
                    .chunks_exact(dims)
                    .map(|a| {
                        let product = |b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                        max.chunks_exact(dims).map(product).fold(f32::NEG_INFINITY, f32::max)
                    })
                    .collect();
                *value = best.iter().sum::<f32>() / best.len() as f32;
            }
        }
    }

    /// `f2f` `[Tq][Tt]` of `query` `[Tq][R][D]` and `target` `[Tt][R][D]` by way of the whole `[Tq][R][R][Tt]` tensor.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn region_chamfer(query: &[f32], target: &[f32], regions: usize, dims: usize, f2f: &mut [f32]) {
        let (tq, tt) = (query.len() / (regions * dims), target.len() / (regions * dims));
        let mut products = vec![0f32; tq * regions * regions * tt];
        for (row, q) in query.chunks_exact(dims).enumerate() {
            for (column, t) in target.chunks_exact(dims).enumerate() {
                let (j, p) = (column / regions, column % regions);
                products[(row * regions + p) * tt + j] = q.iter().zip(t).map(|(a, b)| a * b).sum();
            }
        }
        for i in 0..tq {
            for j in 0..tt {
                let best = |o: usize| {
                    (0..regions)
                        .fold(f32::NEG_INFINITY, |m, p| m.max(products[((i * regions + o) * regions + p) * tt + j]))
                };
                f2f[i * tt + j] = (0..regions).map(best).sum::<f32>() / regions as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::numbers;
    use proptest::prelude::*;

    fn check(tq: usize, tt: usize, regions: usize, dims: usize, seed: u64) {
        let (q, t) = (numbers(seed, tq * regions * dims), numbers(!seed, tt * regions * dims));
        let (mut forward, mut backward) = (vec![0f32; tq * tt], vec![0f32; tt * tq]);
        naive::region_chamfer(&q, &t, regions, dims, &mut forward);
        naive::region_chamfer(&t, &q, regions, dims, &mut backward);
        let tolerance = 2e-6 * (dims as f32).sqrt() + 1e-6;
        for isa in Isa::available() {
            let target = Target::new(isa, &t, tt, regions, dims);
            let mut f2f = vec![f32::NAN; tq * tt];
            region_chamfer(&q, &target, &mut f2f);
            for (got, want) in f2f.iter().zip(&forward) {
                assert!((got - want).abs() <= tolerance, "{isa} {tq}x{tt}x{regions}x{dims}: {got} {want}");
            }
            let mut parts = vec![f32::NAN; tq * tt];
            let cut = tq / 2;
            region_chamfer(&q[..cut * regions * dims], &target, &mut parts[..cut * tt]);
            region_chamfer(&q[cut * regions * dims..], &target, &mut parts[cut * tt..]);
            assert_eq!(f2f, parts, "{isa} in parts");
            region_chamfer_symmetric(&q, &target, &mut f2f);
            for (i, got) in f2f.iter().enumerate() {
                let want = (forward[i] + backward[i % tt * tq + i / tt]) / 2.0;
                assert!((got - want).abs() <= tolerance, "{isa} symmetric: {got} {want}");
            }
        }
    }

    fn check_parts(query: &Part<'_>, target: &Part<'_>) {
        let (tq, tt, dims) = (query.frames(), target.frames(), query.dims());
        let tolerance = 2e-6 * (dims as f32).sqrt() + 1e-6;
        for direction in [Direction::Query, Direction::Target] {
            let mut expected = vec![0f32; tq * tt];
            naive::region_chamfer_part(query, target, direction, &mut expected);
            for isa in Isa::available() {
                let packed = Target::of_part(isa, target);
                assert_eq!((packed.frames(), packed.regions(), packed.dims()), (tt, target.regions(), dims));
                let mut f2f = vec![f32::NAN; tq * tt];
                region_chamfer_part(query, &packed, direction, &mut f2f);
                for (got, want) in f2f.iter().zip(&expected) {
                    assert!((got - want).abs() <= tolerance, "{isa} {query:?} {target:?} {direction:?}: {got} {want}");
                }
                // From the target's side is from the query's side with the two swapped.
                let swapped = Target::of_part(isa, query);
                let mut back = vec![f32::NAN; tq * tt];
                let other = if direction == Direction::Query { Direction::Target } else { Direction::Query };
                region_chamfer_part(target, &swapped, other, &mut back);
                for (i, got) in f2f.iter().enumerate() {
                    let want = back[i % tt * tq + i / tt];
                    assert!((got - want).abs() <= tolerance, "{isa} {query:?} {target:?} swapped: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn parts_of_the_usual_shape() {
        let (regions, dims) = (35, 24);
        let (q, t) = (numbers(3, 19 * regions * dims), numbers(4, 37 * regions * dims));
        for (a, b) in [(0..9, 0..9), (9..10, 10..35), (10..35, 9..10), (0..35, 34..35), (1..35, 0..35)] {
            check_parts(&Part::new(&q, regions, dims, a), &Part::new(&t, regions, dims, b));
        }
        let none = Part::new(&[], regions, dims, 0..9);
        check_parts(&none, &Part::new(&t, regions, dims, 10..35));
        check_parts(&Part::new(&t, regions, dims, 10..35), &none);
    }

    #[test]
    fn a_part_that_is_all_has_the_bits_of_the_whole() {
        for isa in Isa::available() {
            let (q, t) = (numbers(5, 11 * 9 * 33), numbers(6, 30 * 9 * 33));
            let target = Target::new(isa, &t, 30, 9, 33);
            let (mut whole, mut part) = (vec![0f32; 330], vec![1f32; 330]);
            region_chamfer(&q, &target, &mut whole);
            region_chamfer_part(&Part::new(&q, 9, 33, 0..9), &target, Direction::Query, &mut part);
            assert_eq!(whole, part, "{isa}");
        }
    }

    #[test]
    fn chosen_shapes() {
        for (tq, tt, regions, dims) in [
            (1, 1, 1, 1),
            (4, 4, 9, 512),
            (7, 33, 9, 128),
            (1, 300, 9, 16),
            (300, 5, 9, 8),
            (17, 31, 9, 33),
            (9, 16, 8, 5),
            (8, 15, 10, 7),
            (3, 17, 12, 31),
            (2, 2, 64, 3),
        ] {
            check(tq, tt, regions, dims, 5);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn any_shape(tq in 1usize..12, tt in 1usize..40, regions in 1usize..13, dims in 1usize..70, seed in any::<u64>()) {
            check(tq, tt, regions, dims, seed);
        }

        #[test]
        fn any_parts(
            tq in 0usize..12,
            tt in 0usize..40,
            regions in [1usize..40, 1usize..40],
            dims in 1usize..40,
            cuts: [prop::sample::Index; 4],
            seed in any::<u64>(),
        ) {
            let [rq, rt] = regions;
            let (q, t) = (numbers(seed, tq * rq * dims), numbers(!seed, tt * rt * dims));
            let range = |regions: usize, a: prop::sample::Index, b: prop::sample::Index| {
                let start = a.index(regions);
                start..start + 1 + b.index(regions - start)
            };
            let [a, b, c, d] = cuts;
            check_parts(&Part::new(&q, rq, dims, range(rq, a, b)), &Part::new(&t, rt, dims, range(rt, c, d)));
        }
    }
}
