//! Numbers for tests.

use alloc::vec::Vec;

/// `n` values in [-1, 1), the same for a seed on every platform.
pub(crate) fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut z = seed;
    (0..n)
        .map(|_| {
            z = z.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}
