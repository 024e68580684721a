//! f32 matrix products with a prepacked right operand.
//!
//! The right operand is cut into panels of two vectors of columns, k-major, so that the inner loop reads it in order;
//! the left operand is copied, a block of rows and k at a time, into tiles that are k-major too. A tile keeps as many rows
//! as registers allow in accumulators while it walks along a block. Every element of the product is a sum of chains of
//! `CHAIN` multiply-adds in order of k, whatever the number of rows: a product that is computed in parts has the same
//! bits as one computed at once, and long sums lose little to rounding.

use alloc::vec;
use alloc::vec::Vec;

use crate::Isa;
use crate::dispatch::dispatch_f32;
use crate::simd::F32s;

/// Steps along k in a block, and multiply-adds in one chain: rounding errors grow with the length of a chain and with the
/// number of chains, not with k. A tile of the left operand stays in the first cache, a panel's part too.
const CHAIN: usize = 256;

/// Rows in a block of the left operand, a multiple of every tile's rows; a block of 96 x 256 takes 96 KiB.
const BLOCK_ROWS: usize = 96;

/// Rows of a tile of two vectors of columns: what the registers hold beside the operands.
pub(crate) const fn tile_rows<V: F32s>() -> usize {
    match (V::REGISTERS, V::LANES) {
        (32.., _) => 12,
        (_, 8..) => 6,
        _ => 4,
    }
}

/// Most rows of a tile on this architecture: no instance for more is compiled, which in WebAssembly would be most of the code.
pub(crate) const MOST_ROWS: usize = if cfg!(target_arch = "wasm32") { 4 } else { 12 };

/// `rows!(n, f::<V, ROWS>(…))` calls the instance of `f` for `n` rows, 1 to [`MOST_ROWS`]; also without `V`.
macro_rules! rows {
    ($n:expr, $f:ident::<ROWS>($($arg:expr),* $(,)?)) => {
        rows!(@match $n, $f, (), ($($arg),*))
    };
    ($n:expr, $f:ident::<$v:ident, ROWS>($($arg:expr),* $(,)?)) => {
        rows!(@match $n, $f, ($v,), ($($arg),*))
    };
    (@match $n:expr, $f:ident, $v:tt, $args:tt) => {
        match $n {
            12 if $crate::gemm::MOST_ROWS >= 12 => rows!(@call $f, $v, 12, $args),
            11 if $crate::gemm::MOST_ROWS >= 11 => rows!(@call $f, $v, 11, $args),
            10 if $crate::gemm::MOST_ROWS >= 10 => rows!(@call $f, $v, 10, $args),
            9 if $crate::gemm::MOST_ROWS >= 9 => rows!(@call $f, $v, 9, $args),
            8 if $crate::gemm::MOST_ROWS >= 8 => rows!(@call $f, $v, 8, $args),
            7 if $crate::gemm::MOST_ROWS >= 7 => rows!(@call $f, $v, 7, $args),
            6 if $crate::gemm::MOST_ROWS >= 6 => rows!(@call $f, $v, 6, $args),
            5 if $crate::gemm::MOST_ROWS >= 5 => rows!(@call $f, $v, 5, $args),
            4 => rows!(@call $f, $v, 4, $args),
            3 => rows!(@call $f, $v, 3, $args),
            2 => rows!(@call $f, $v, 2, $args),
            _ => rows!(@call $f, $v, 1, $args),
        }
    };
    (@call $f:ident, ($($v:ident,)?), $rows:literal, ($($arg:expr),*)) => {
        $f::<$($v,)? $rows>($($arg),*)
    };
}
pub(crate) use rows;

/// A right operand B `[k][n]`, laid out for one instruction set.
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
    /// Packs the transpose of `b`, which is `[n][k]`: the weight of a Linear layer, so that [`matmul`] computes `a·bᵀ`.
    ///
    /// # Panics
    /// If `b` has not `n * k` values.
    #[must_use]
    pub fn from_rows(isa: Isa, b: &[f32], n: usize, k: usize) -> Self {
        assert_eq!(n.checked_mul(k), Some(b.len()), "a right operand of {n} rows of {k}");
        Self::pack(isa, k, n, |i, j| b[j * k + i])
    }

    /// Packs `b`, which is `[k][n]`.
    ///
    /// # Panics
    /// If `b` has not `k * n` values.
    #[must_use]
    pub fn from_columns(isa: Isa, b: &[f32], k: usize, n: usize) -> Self {
        assert_eq!(k.checked_mul(n), Some(b.len()), "a right operand of {k} rows of {n}");
        let width = 2 * lanes_of(isa);
        let mut panels = vec![0f32; n.div_ceil(width) * width * k];
        if k > 0 {
            for (p, panel) in panels.chunks_exact_mut(k * width).enumerate() {
                let columns = width.min(n - p * width);
                for (row, from) in panel.chunks_exact_mut(width).zip(b.chunks_exact(n)) {
                    row[..columns].copy_from_slice(&from[p * width..][..columns]);
                }
            }
        }
        Self { isa, k, n, panels }
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

/// `c = a·b`: `a` is `[m][k]`, `c` is `[m][n]` and is overwritten.
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
    if k == 0 {
        return c.fill(0.0);
    }
    if m == 1 {
        // SAFETY: the caller has checked the operands' lengths.
        return unsafe { row_product::<V>(a, b, c) };
    }
    let width = 2 * V::LANES;
    let most = tile_rows::<V>();
    let mut tiles = vec![0f32; m.min(BLOCK_ROWS) * k.min(CHAIN)];
    for top in (0..m).step_by(BLOCK_ROWS) {
        let bottom = m.min(top + BLOCK_ROWS);
        for start in (0..k).step_by(CHAIN) {
            let steps = CHAIN.min(k - start);
            for row in (top..bottom).step_by(most) {
                let rows = most.min(bottom - row);
                let tile = &mut tiles[(row - top) * steps..][..rows * steps];
                pack_tile(&a[row * k + start..], k, rows, tile);
            }
            for column in (0..n).step_by(width) {
                let columns = width.min(n - column);
                for row in (top..bottom).step_by(most) {
                    // SAFETY: `tiles` holds `steps` values for each of the block's rows; panels hold `k * width` values for
                    // each `width` columns that are begun; rows stay below `m`, columns below `n`.
                    unsafe {
                        let x = tiles.as_ptr().add((row - top) * steps);
                        let panel = b.panels.as_ptr().add(column * k + start * width);
                        let y = c.as_mut_ptr().add(row * n + column);
                        rows!(most.min(bottom - row), block::<V, ROWS>(x, steps, panel, y, n, columns, start > 0));
                    }
                }
            }
        }
    }
}

/// The product of one row: four panels at a time, so that reading the right operand is not held up by additions.
///
/// # Safety
/// `a` holds `b.k > 0` values and `c` `b.n`. Callers are compiled for the instruction set of `V`.
#[inline(always)]
unsafe fn row_product<V: F32s>(a: &[f32], b: &Packed, c: &mut [f32]) {
    const PANELS: usize = 4;
    let (k, n) = (b.k, b.n);
    let width = 2 * V::LANES;
    let mut column = 0;
    while column < n {
        // SAFETY: panels hold `k * width` values for each `width` columns that are begun; columns stay below `n`.
        unsafe {
            let panel = b.panels.as_ptr().add(column * k);
            let out = c.as_mut_ptr().add(column);
            if n - column >= PANELS * width {
                let mut totals = [[V::splat(0.0); 2]; PANELS];
                for start in (0..k).step_by(CHAIN) {
                    let mut sums = [[V::splat(0.0); 2]; PANELS];
                    for i in start..k.min(start + CHAIN) {
                        let x = V::splat(*a.as_ptr().add(i));
                        for (p, sum) in sums.iter_mut().enumerate() {
                            let from = panel.add((p * k + i) * width);
                            sum[0] = x.mul_add(V::load(from), sum[0]);
                            sum[1] = x.mul_add(V::load(from.add(V::LANES)), sum[1]);
                        }
                    }
                    for (total, sum) in totals.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                        *total = if start > 0 { total.add(*sum) } else { *sum };
                    }
                }
                for (i, total) in totals.as_flattened().iter().enumerate() {
                    total.store(out.add(i * V::LANES));
                }
                column += PANELS * width;
            } else {
                let columns = width.min(n - column);
                for start in (0..k).step_by(CHAIN) {
                    let (x, panel) = (a.as_ptr().add(start), panel.add(start * width));
                    block::<V, 1>(x, CHAIN.min(k - start), panel, out, n, columns, start > 0);
                }
                column += width;
            }
        }
    }
}

/// Copies `rows` rows (1 to [`MOST_ROWS`]) that are `stride` apart to `tile` `[k][rows]`.
///
/// # Panics
/// If `a` ends early or `rows` is 0.
pub(crate) fn pack_tile(a: &[f32], stride: usize, rows: usize, tile: &mut [f32]) {
    let steps = tile.len() / rows;
    debug_assert!(rows <= MOST_ROWS && tile.len() == steps * rows);
    rows!(rows, pack_rows::<ROWS>(a, stride, steps, tile));
}

fn pack_rows<const ROWS: usize>(a: &[f32], stride: usize, steps: usize, tile: &mut [f32]) {
    let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
    for (row, from) in rows.iter_mut().enumerate() {
        *from = &a[row * stride..][..steps];
    }
    for (i, to) in tile.as_chunks_mut::<ROWS>().0.iter_mut().enumerate().take(steps) {
        for (to, from) in to.iter_mut().zip(&rows) {
            *to = from[i];
        }
    }
}

/// `sums + a b` for a tile of `ROWS` rows and `VECTORS` vectors of columns.
///
/// # Safety
/// `a` is readable for `[k][ROWS]` values, `b` for `[k][VECTORS]` vectors. Callers are compiled for the instruction set of `V`.
#[inline(always)]
pub(crate) unsafe fn multiply<V: F32s, const ROWS: usize, const VECTORS: usize>(
    a: *const f32,
    b: *const f32,
    k: usize,
    mut sums: [[V; VECTORS]; ROWS],
) -> [[V; VECTORS]; ROWS] {
    for i in 0..k {
        // SAFETY: as the function's contract says.
        unsafe {
            let (a, b) = (a.add(i * ROWS), b.add(i * VECTORS * V::LANES));
            let columns: [V; VECTORS] = load_all(b);
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = V::splat(*a.add(row));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = x.mul_add(column, *sum);
                }
            }
        }
    }
    sums
}

/// `N` vectors from `p`.
///
/// # Safety
/// `p` is readable for `N` vectors. Callers are compiled for the instruction set of `V`.
#[inline(always)]
unsafe fn load_all<V: F32s, const N: usize>(p: *const f32) -> [V; N] {
    // SAFETY: as the function's contract says.
    unsafe {
        let mut all = [V::splat(0.0); N];
        for (i, vector) in all.iter_mut().enumerate() {
            *vector = V::load(p.add(i * V::LANES));
        }
        all
    }
}

/// `ROWS` rows by two vectors of columns of the product, added to what `c` holds if `more`.
///
/// # Safety
/// `a` is readable for `[k][ROWS]` values, `panel` for `k` rows of two vectors, `c` readable and writable for `columns` values
/// (at most two vectors) of `ROWS` rows that are `n` apart. Callers are compiled for the instruction set of `V`.
#[inline(always)]
unsafe fn block<V: F32s, const ROWS: usize>(
    a: *const f32,
    k: usize,
    panel: *const f32,
    c: *mut f32,
    n: usize,
    columns: usize,
    more: bool,
) {
    let lanes = V::LANES;
    // SAFETY: as the function's contract says.
    unsafe {
        let sums = multiply::<V, ROWS, 2>(a, panel, k, [[V::splat(0.0); 2]; ROWS]);
        for (row, sum) in sums.into_iter().enumerate() {
            for (half, mut value) in sum.into_iter().enumerate() {
                let out = c.add(row * n + half * lanes);
                if columns >= (half + 1) * lanes {
                    if more {
                        value = V::load(out).add(value);
                    }
                    value.store(out);
                } else if columns > half * lanes {
                    let part = columns - half * lanes;
                    if more {
                        value = V::load_partial(out, part).add(value);
                    }
                    value.store_partial(out, part);
                }
            }
        }
    }
}

/// The obvious loops, for tests and as the reference of benchmarks.
pub mod naive {
    /// `c = a·b` for `a` `[m][k]` and `b` `[k][n]`, sums in f64.
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
    use crate::samples::numbers;
    use proptest::prelude::*;

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
            // In parts, the last row by itself: the same bits.
            again.fill(f32::NAN);
            let (cut, last) = (m / 3, m.saturating_sub(1));
            let (top, bottom) = again.split_at_mut(cut * n);
            matmul(&a[..cut * k], cut, &packed, top);
            matmul(&a[cut * k..last * k], last - cut, &packed, &mut bottom[..(last - cut) * n]);
            matmul(&a[last * k..], m - last, &packed, &mut bottom[(last - cut) * n..]);
            assert_eq!(c, again, "{isa} {m}x{k}x{n} in parts");
        }
    }

    #[test]
    fn chosen_shapes() {
        for (m, k, n) in [
            (0, 3, 3),
            (1, 1, 1),
            (3, 0, 5),
            (2, 7, 0),
            (1, 512, 33),
            (2, 700, 300),
            (7, 1025, 9),
            (13, 5, 31),
            (97, 257, 35),
            (25, 64, 64),
            (540, 40, 65),
        ] {
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
