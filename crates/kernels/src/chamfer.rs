//! Region Chamfer similarity of float region vectors (§2.3 of the project's mathematics):
//! `f2f[i][j] = (1/R) sum over query regions o of max over target regions p of <q_io, t_jp>`.
//!
//! Lane = target frame: the products of a few query regions with one target region of a whole group of frames stay in
//! registers, the maximum over target regions is lane-wise, and nothing but one row of frame similarities is written. The
//! [Tq, R, R, Tt] tensor never exists. Each value depends on its two frames alone: rows that are computed in parts have the
//! bits of rows computed at once.

use alloc::vec;
use alloc::vec::Vec;

use crate::Isa;
use crate::simd::{F32s, dispatch_f32};

/// A target video, laid out for one instruction set: [group of frames][region][dimension][frame of the group].
#[derive(Clone, Debug)]
pub struct Target {
    isa: Isa,
    frames: usize,
    regions: usize,
    dims: usize,
    data: Vec<f32>,
}

dispatch_f32!(fn lanes() -> usize = lanes_body);

#[inline(always)]
unsafe fn lanes_body<V: F32s>() -> usize {
    V::LANES
}

impl Target {
    /// Packs region vectors [frames][regions][dims].
    ///
    /// # Panics
    /// If `x` has not `frames * regions * dims` values.
    #[must_use]
    pub fn new(isa: Isa, x: &[f32], frames: usize, regions: usize, dims: usize) -> Self {
        let frame = regions.checked_mul(dims);
        assert_eq!(frame.and_then(|n| n.checked_mul(frames)), Some(x.len()), "{frames} x {regions} x {dims} values");
        let lanes = lanes(isa);
        let frame = regions * dims;
        let mut data = vec![0f32; frames.div_ceil(lanes) * lanes * frame];
        if frame > 0 {
            for (j, values) in x.chunks_exact(frame).enumerate() {
                let group = &mut data[j / lanes * lanes * frame..][..lanes * frame];
                for (slot, value) in group.chunks_exact_mut(lanes).zip(values) {
                    slot[j % lanes] = *value;
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

    /// Query frames in `query`; checks both lengths.
    fn query_frames(&self, query: &[f32], f2f: &[f32]) -> usize {
        let frame = self.regions * self.dims;
        assert!(frame > 0, "a target without regions or dimensions");
        assert!(query.len().is_multiple_of(frame), "a query of whole frames of {} x {}", self.regions, self.dims);
        let frames = query.len() / frame;
        assert_eq!(frames.checked_mul(self.frames), Some(f2f.len()), "{frames} x {} similarities", self.frames);
        frames
    }
}

/// Frame similarities `f2f` [Tq][Tt] of `query` [Tq][R][D] with a target of the same R and D.
///
/// # Panics
/// If the query is not made of whole frames, `f2f` has not Tq * Tt values, or R * D is 0.
pub fn region_chamfer(query: &[f32], target: &Target, f2f: &mut [f32]) {
    let frames = target.query_frames(query, f2f);
    chamfer(target.isa, query, frames, target, f2f);
}

/// The mean of both directions (`visil_symmetric`): `(1/2R) (sum_o max_p <q_io, t_jp> + sum_p max_o <q_io, t_jp>)`.
///
/// # Panics
/// As [`region_chamfer`].
pub fn region_chamfer_symmetric(query: &[f32], target: &Target, f2f: &mut [f32]) {
    let frames = target.query_frames(query, f2f);
    symmetric(target.isa, query, frames, target, f2f);
}

dispatch_f32!(fn chamfer(query: &[f32], frames: usize, target: &Target, f2f: &mut [f32]) = chamfer_body);
dispatch_f32!(fn symmetric(query: &[f32], frames: usize, target: &Target, f2f: &mut [f32]) = symmetric_body);

/// Products of `ROWS` query regions with two target regions of a group of frames.
///
/// # Safety
/// `q` is readable for `ROWS` rows of `dims`, `t0` and `t1` for `dims` vectors. Callers are compiled for the instruction
/// set of `V`.
#[inline(always)]
unsafe fn products<V: F32s, const ROWS: usize>(
    q: *const f32,
    dims: usize,
    t0: *const f32,
    t1: *const f32,
) -> [[V; 2]; ROWS] {
    // SAFETY: as the function's contract says.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; ROWS];
        for k in 0..dims {
            let (b0, b1) = (V::load(t0.add(k * V::LANES)), V::load(t1.add(k * V::LANES)));
            for (row, sum) in sums.iter_mut().enumerate() {
                let x = V::splat(*q.add(row * dims + k));
                sum[0] = x.mul_add(b0, sum[0]);
                sum[1] = x.mul_add(b1, sum[1]);
            }
        }
        sums
    }
}

/// The best target region of a group for each of `ROWS` query regions, to `best` [ROWS][LANES].
///
/// # Safety
/// `q` is readable for `ROWS` rows of `dims`, `group` for `regions * dims` vectors, `best` writable for `ROWS` vectors;
/// `regions` is at least 1. Callers are compiled for the instruction set of `V`.
#[inline(always)]
unsafe fn maxima<V: F32s, const ROWS: usize>(
    q: *const f32,
    dims: usize,
    regions: usize,
    group: *const f32,
    best: *mut f32,
) {
    // SAFETY: as the function's contract says.
    unsafe {
        let mut top = [V::splat(f32::NEG_INFINITY); ROWS];
        let mut p = 0;
        while p < regions {
            // The last of an odd number of regions is its own partner.
            let partner = (p + 1).min(regions - 1);
            let region = dims * V::LANES;
            let sums = products::<V, ROWS>(q, dims, group.add(p * region), group.add(partner * region));
            for (top, sum) in top.iter_mut().zip(sums) {
                *top = top.max(sum[0].max(sum[1]));
            }
            p += 2;
        }
        for (row, top) in top.iter().enumerate() {
            top.store(best.add(row * V::LANES));
        }
    }
}

#[inline(always)]
unsafe fn chamfer_body<V: F32s>(query: &[f32], frames: usize, target: &Target, f2f: &mut [f32]) {
    let (regions, dims, lanes) = (target.regions, target.dims, V::LANES);
    let most = if V::REGISTERS >= 32 { 9 } else { 5 };
    let mut best = vec![0f32; regions * lanes];
    #[allow(clippy::cast_precision_loss)]
    let scale = 1.0 / regions as f32;
    for g in 0..target.frames.div_ceil(lanes) {
        let columns = lanes.min(target.frames - g * lanes);
        for i in 0..frames {
            // SAFETY: lengths were checked by the caller: the query holds `frames * regions * dims` values, the target a
            // padded group of `lanes * regions * dims` for each `lanes` frames that are begun, `best` a vector for each
            // region, `f2f` a row of the target's frames for each query frame.
            unsafe {
                let group = target.data.as_ptr().add(g * lanes * regions * dims);
                let q = query.as_ptr().add(i * regions * dims);
                let mut o = 0;
                while o < regions {
                    let rows = most.min(regions - o);
                    let (q, best) = (q.add(o * dims), best.as_mut_ptr().add(o * lanes));
                    match rows {
                        9 => maxima::<V, 9>(q, dims, regions, group, best),
                        8 => maxima::<V, 8>(q, dims, regions, group, best),
                        7 => maxima::<V, 7>(q, dims, regions, group, best),
                        6 => maxima::<V, 6>(q, dims, regions, group, best),
                        5 => maxima::<V, 5>(q, dims, regions, group, best),
                        4 => maxima::<V, 4>(q, dims, regions, group, best),
                        3 => maxima::<V, 3>(q, dims, regions, group, best),
                        2 => maxima::<V, 2>(q, dims, regions, group, best),
                        _ => maxima::<V, 1>(q, dims, regions, group, best),
                    }
                    o += rows;
                }
                let mut sum = V::splat(0.0);
                for o in 0..regions {
                    sum = sum.add(V::load(best.as_ptr().add(o * lanes)));
                }
                let out = f2f.as_mut_ptr().add(i * target.frames + g * lanes);
                sum.mul(V::splat(scale)).store_partial(out, columns);
            }
        }
    }
}

#[inline(always)]
unsafe fn symmetric_body<V: F32s>(query: &[f32], frames: usize, target: &Target, f2f: &mut [f32]) {
    let (regions, dims, lanes) = (target.regions, target.dims, V::LANES);
    #[allow(clippy::cast_precision_loss)]
    let scale = 0.5 / regions as f32;
    // Best query region of each target region.
    let mut column_best = vec![0f32; regions * lanes];
    for g in 0..target.frames.div_ceil(lanes) {
        let columns = lanes.min(target.frames - g * lanes);
        for i in 0..frames {
            column_best.fill(f32::NEG_INFINITY);
            // SAFETY: as in `chamfer_body`; `column_best` holds a vector for each region.
            unsafe {
                let group = target.data.as_ptr().add(g * lanes * regions * dims);
                let mut sum = V::splat(0.0);
                for o in 0..regions {
                    let q = query.as_ptr().add((i * regions + o) * dims);
                    let mut top = V::splat(f32::NEG_INFINITY);
                    let mut p = 0;
                    while p < regions {
                        let partner = (p + 1).min(regions - 1);
                        let (t0, t1) = (group.add(p * dims * lanes), group.add(partner * dims * lanes));
                        let [pair] = products::<V, 1>(q, dims, t0, t1);
                        top = top.max(pair[0].max(pair[1]));
                        for (p, value) in [(p, pair[0]), (partner, pair[1])] {
                            let slot = column_best.as_mut_ptr().add(p * lanes);
                            V::load(slot).max(value).store(slot);
                        }
                        p += 2;
                    }
                    sum = sum.add(top);
                }
                for p in 0..regions {
                    sum = sum.add(V::load(column_best.as_ptr().add(p * lanes)));
                }
                let out = f2f.as_mut_ptr().add(i * target.frames + g * lanes);
                sum.mul(V::splat(scale)).store_partial(out, columns);
            }
        }
    }
}

/// What upstream does: every product of every pair of regions, then maxima, then the mean.
pub mod naive {
    use alloc::vec;

    /// `f2f` [Tq][Tt] of `query` [Tq][R][D] and `target` [Tt][R][D] by way of the whole [Tq][R][R][Tt] tensor.
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
    use proptest::prelude::*;

    fn numbers(seed: u64, n: usize) -> Vec<f32> {
        let mut z = seed;
        (0..n)
            .map(|_| {
                z = z.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }

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

    #[test]
    fn chosen_shapes() {
        for (tq, tt, regions, dims) in [
            (1, 1, 1, 1),
            (4, 4, 9, 512),
            (7, 33, 9, 128),
            (1, 300, 9, 16),
            (300, 5, 9, 8),
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
    }
}
