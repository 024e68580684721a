//! The scalar reference: what the kernels are tested against and timed against.

use super::{Part, Shape};

/// [`region_chamfer`](super::region_chamfer) as four plain loops over 64-bit words and `u64::count_ones`, on canonical
/// codes on both sides.
///
/// What `count_ones` becomes depends on the flags of the build: the x86-64 baseline has no popcount instruction (see
/// [`region_chamfer_popcnt`]).
///
/// # Panics
/// The codes are not whole frames, or `sums` has the wrong length.
pub fn region_chamfer(shape: Shape, query: &[u8], target: &[u8], sums: &mut [u16]) {
    sums_of_minima(shape, query, target, sums, |word| u64::from(word.count_ones()));
}

/// [`region_chamfer_part`](super::region_chamfer_part) as four plain loops, on canonical codes on both sides.
///
/// # Panics
/// The codes of the two differ in length, or `sums` has the wrong length.
pub fn region_chamfer_part(query: &Part<'_>, target: &Part<'_>, sums: &mut [u16]) {
    assert_eq!(query.shape().bits(), target.shape().bits(), "codes of one length");
    assert_eq!(sums.len(), query.frames() * target.frames(), "sums must be query frames x target frames");
    let columns = target.frames().max(1);
    for (i, row) in sums.chunks_exact_mut(columns).enumerate() {
        for (j, sum) in row.iter_mut().enumerate() {
            let least = |o: usize| {
                let distance = |p| hamming(query.code(i, o), target.code(j, p), |word| u64::from(word.count_ones()));
                (0..target.shape().regions()).map(distance).min().unwrap_or(0)
            };
            *sum = (0..query.shape().regions()).map(least).sum::<u64>() as u16;
        }
    }
}

/// [`region_chamfer`] with the scalar popcount instruction: the fair reference of vector code. Returns `false`, with `sums`
/// unchanged, on an x86-64 machine without it; on other machines it is [`region_chamfer`].
///
/// # Panics
/// The codes are not whole frames, or `sums` has the wrong length.
pub fn region_chamfer_popcnt(shape: Shape, query: &[u8], target: &[u8], sums: &mut [u16]) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        cpufeatures::new!(popcnt, "popcnt");
        if !popcnt::get() {
            return false;
        }
        // Written as the instruction: from `count_ones` the compiler makes SSE2 arithmetic, which is slower.
        sums_of_minima(shape, query, target, sums, |word| {
            let count: u64;
            // SAFETY: detection found the instruction; it reads and writes registers only.
            unsafe {
                core::arch::asm!("popcnt {}, {}", lateout(reg) count, in(reg) word, options(pure, nomem, nostack))
            };
            count
        });
    }
    #[cfg(not(target_arch = "x86_64"))]
    region_chamfer(shape, query, target, sums);
    true
}

#[inline(always)]
fn sums_of_minima(shape: Shape, query: &[u8], target: &[u8], sums: &mut [u16], ones: impl Fn(u64) -> u64) {
    // With a constant length the compiler unrolls the loop over words: 512 bits are the usual code.
    match shape.code_bytes() {
        64 => loops(shape, 64, query, target, sums, ones),
        code => loops(shape, code, query, target, sums, ones),
    }
}

#[inline(always)]
fn loops(shape: Shape, code: usize, query: &[u8], target: &[u8], sums: &mut [u16], ones: impl Fn(u64) -> u64) {
    let frame = shape.frame_bytes();
    assert!(query.len().is_multiple_of(frame) && target.len().is_multiple_of(frame), "codes must be whole frames");
    assert_eq!(sums.len(), query.len() / frame * (target.len() / frame), "sums must be query frames x target frames");
    let mut next = sums.iter_mut();
    for query in query.chunks_exact(frame) {
        for (target, sum) in target.chunks_exact(frame).zip(&mut next) {
            *sum = 0;
            for query in query.chunks_exact(code) {
                let mut least = u64::MAX;
                for target in target.chunks_exact(code) {
                    least = least.min(hamming(&query[..code], &target[..code], &ones));
                }
                *sum += least as u16;
            }
        }
    }
}

/// Hamming distance of two codes of equal length.
#[inline(always)]
fn hamming(a: &[u8], b: &[u8], ones: impl Fn(u64) -> u64) -> u64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a.iter().zip(b).map(|(&a, &b)| ones(u64::from_le_bytes(a) ^ u64::from_le_bytes(b)));
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| ones(u64::from(a ^ b)));
    words.sum::<u64>() + rest.sum::<u64>()
}
