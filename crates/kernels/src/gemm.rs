//! f32 matrix products with a prepacked right operand.
//!
//! The right operand is cut into panels of two vectors of columns, k-major, so that the inner loop reads it in order. A
//! tile keeps as many rows as registers allow in accumulators while it walks once along k. Every element of the
//! product is a sum of chains of [`CHAIN`] multiply-adds in order of k, whatever the number of rows: a product that is
//! computed in parts has the same bits as one computed at once, and long sums lose little to rounding.

use alloc::vec;
use alloc::vec::Vec;

use crate::Isa;
use crate::simd::{F32s, dispatch_f32};

/// Bytes of the left operand that are worked on while all panels pass by: half of a small L2 cache.
const LEFT_BYTES: usize = 128 << 10;

/// Multiply-adds in one chain: rounding errors grow with the length of a chain and with the number of chains, not with k.
const CHAIN: usize = 256;

/// A right operand B [k][n], laid out for one instruction set.
#[derive(Clone, Debug)]
pub struct Packed {
    isa: Isa,
    k: usize,
    n: usize,
    panels: Vec<f32>,
}

fn lanes_of(isa: Isa) -> usize {
    dispatch_f32!(fn lanes() -> usize = lanes_body);
    #[inline(always)]
    unsafe fn lanes_body<V: F32s>() -> usize {
        V::LANES
    }
    lanes(isa)
}

impl Packed {
    /// Packs the transpose of `b`, which is [n][k]: the weight of a Linear layer, so that [`matmul`] computes `a·bᵀ`.
    ///
    /// # Panics
    /// If `b` has not `n * k` values.
    #[must_use]
    pub fn from_rows(isa: Isa, b: &[f32], n: usize, k: usize) -> Self {
        assert_eq!(n.checked_mul(k), Some(b.len()), "a right operand of {n} rows of {k}");
        Self::pack(isa, k, n, |i, j| b[j * k + i])
    }

    /// Packs `b`, which is [k][n].
    ///
    /// # Panics
    /// If `b` has not `k * n` values.
    #[must_use]
    pub fn from_columns(isa: Isa, b: &[f32], k: usize, n: usize) -> Self {
        assert_eq!(k.checked_mul(n), Some(b.len()), "a right operand of {k} rows of {n}");
        Self::pack(isa, k, n, |i, j| b[i * n + j])
    }

    fn pack(isa: Isa, k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let width = 2 * lanes_of(isa);
        let mut panels = vec![0f32; n.div_ceil(width) * width * k];
        if k > 0 {
            for (p, panel) in panels.chunks_exact_mut(k * width).enumerate() {
                let columns = width.min(n - p * width);
                for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                    for (j, value) in row[..columns].iter_mut().enumerate() {
                        *value = at(i, p * width + j);
                    }
                }
            }
        }
        Self { isa, k, n, panels }
    }

    /// Rows of B, columns of the left operand.
    #[must_use]
    pub const fn k(&self) -> usize {
        self.k
    }

    /// Columns of B and of the product.
    #[must_use]
    pub const fn n(&self) -> usize {
        self.n
    }

    /// The instruction set that this operand is laid out for.
    #[must_use]
    pub const fn isa(&self) -> Isa {
        self.isa
    }
}

/// `c = a·b`: `a` is [m][k], `c` is [m][n] and is overwritten.
///
/// # Panics
/// If `a` has not `m * k` or `c` not `m * n` values.
pub fn matmul(a: &[f32], m: usize, b: &Packed, c: &mut [f32]) {
    assert_eq!(m.checked_mul(b.k), Some(a.len()), "a left operand of {m} rows of {}", b.k);
    assert_eq!(m.checked_mul(b.n), Some(c.len()), "a product of {m} rows of {}", b.n);
    product(b.isa, a, m, b, c);
}

dispatch_f32!(fn product(a: &[f32], m: usize, b: &Packed, c: &mut [f32]) = product_body);

#[inline(always)]
unsafe fn product_body<V: F32s>(a: &[f32], m: usize, b: &Packed, c: &mut [f32]) {
    let (k, n) = (b.k, b.n);
    let width = 2 * V::LANES;
    let most = if V::REGISTERS >= 32 { 12 } else { 6 };
    let block = (LEFT_BYTES / 4 / k.max(1)).next_multiple_of(most).max(most);
    let mut top = 0;
    while top < m {
        let bottom = m.min(top + block);
        let mut column = 0;
        while column < n {
            // SAFETY: the caller has checked the operands' lengths; panels hold `k * width` values for each `width`
            // columns that are begun; rows stay below `m`, stored columns below `n`.
            unsafe {
                let panel = b.panels.as_ptr().add(column * k);
                let mut row = top;
                while row < bottom {
                    let rows = most.min(bottom - row);
                    let (x, y) = (a.as_ptr().add(row * k), c.as_mut_ptr().add(row * n + column));
                    let columns = width.min(n - column);
                    match rows {
                        12 => tile::<V, 12>(x, k, panel, y, n, columns),
                        11 => tile::<V, 11>(x, k, panel, y, n, columns),
                        10 => tile::<V, 10>(x, k, panel, y, n, columns),
                        9 => tile::<V, 9>(x, k, panel, y, n, columns),
                        8 => tile::<V, 8>(x, k, panel, y, n, columns),
                        7 => tile::<V, 7>(x, k, panel, y, n, columns),
                        6 => tile::<V, 6>(x, k, panel, y, n, columns),
                        5 => tile::<V, 5>(x, k, panel, y, n, columns),
                        4 => tile::<V, 4>(x, k, panel, y, n, columns),
                        3 => tile::<V, 3>(x, k, panel, y, n, columns),
                        2 => tile::<V, 2>(x, k, panel, y, n, columns),
                        _ => tile::<V, 1>(x, k, panel, y, n, columns),
                    }
                    row += rows;
                }
            }
            column += width;
        }
        top = bottom;
    }
}

/// `ROWS` rows by two vectors of columns of the product.
///
/// # Safety
/// `a` is readable for `ROWS` rows of `k`, `panel` for `k` rows of two vectors, `c` writable for `columns` values (at most
/// two vectors) of `ROWS` rows that are `n` apart. Callers are compiled for the instruction set of `V`.
#[inline(always)]
pub(crate) unsafe fn tile<V: F32s, const ROWS: usize>(
    a: *const f32,
    k: usize,
    panel: *const f32,
    c: *mut f32,
    n: usize,
    columns: usize,
) {
    let lanes = V::LANES;
    // SAFETY: as the function's contract says.
    unsafe {
        let mut start = 0;
        loop {
            let end = k.min(start + CHAIN);
            let mut sums = [[V::splat(0.0); 2]; ROWS];
            for i in start..end {
                let b0 = V::load(panel.add(i * 2 * lanes));
                let b1 = V::load(panel.add(i * 2 * lanes + lanes));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = V::splat(*a.add(row * k + i));
                    sum[0] = x.mul_add(b0, sum[0]);
                    sum[1] = x.mul_add(b1, sum[1]);
                }
            }
            for (row, sum) in sums.into_iter().enumerate() {
                for (half, mut value) in sum.into_iter().enumerate() {
                    let out = c.add(row * n + half * lanes);
                    if columns >= (half + 1) * lanes {
                        if start > 0 {
                            value = V::load(out).add(value);
                        }
                        value.store(out);
                    } else if columns > half * lanes {
                        let part = columns - half * lanes;
                        if start > 0 {
                            value = V::load_partial(out, part).add(value);
                        }
                        value.store_partial(out, part);
                    }
                }
            }
            start = end;
            if start >= k {
                break;
            }
        }
    }
}

/// The obvious loops, for tests and as the reference of benchmarks.
pub mod naive {
    /// `c = a·b` for `a` [m][k] and `b` [k][n], sums in f64.
    pub fn matmul(a: &[f32], b: &[f32], m: usize, k: usize, n: usize, c: &mut [f32]) {
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j])).sum();
                c[i * n + j] = sum as f32;
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

    fn check(m: usize, k: usize, n: usize, seed: u64) {
        let (a, b) = (numbers(seed, m * k), numbers(seed ^ 99, k * n));
        let mut expected = vec![0f32; m * n];
        naive::matmul(&a, &b, m, k, n, &mut expected);
        let transposed: Vec<f32> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
        for isa in Isa::available() {
            let packed = Packed::from_columns(isa, &b, k, n);
            let mut c = vec![f32::NAN; m * n];
            matmul(&a, m, &packed, &mut c);
            for (got, want) in c.iter().zip(&expected) {
                assert!((got - want).abs() <= 1e-6 * (k as f32).sqrt() + 1e-6, "{isa} {m}x{k}x{n}: {got} {want}");
            }
            let mut again = vec![f32::NAN; m * n];
            matmul(&a, m, &Packed::from_rows(isa, &transposed, n, k), &mut again);
            assert_eq!(c, again, "{isa} {m}x{k}x{n}");
            // In parts: the same bits.
            let cut = m / 3;
            let (top, bottom) = again.split_at_mut(cut * n);
            matmul(&a[..cut * k], cut, &packed, top);
            matmul(&a[cut * k..], m - cut, &packed, bottom);
            assert_eq!(c, again, "{isa} {m}x{k}x{n} in parts");
        }
    }

    #[test]
    fn chosen_shapes() {
        for (m, k, n) in
            [(0, 3, 3), (1, 1, 1), (3, 0, 5), (2, 7, 0), (1, 512, 33), (7, 1025, 9), (13, 5, 31), (25, 64, 64), (540, 40, 65)]
        {
            check(m, k, n, 7);
        }
    }

    proptest! {
        #[test]
        fn any_shape(m in 1usize..40, k in 1usize..70, n in 1usize..80, seed in any::<u64>()) {
            check(m, k, n, seed);
        }
    }
}
