//! Plain Rust: eight 64-bit lanes.
//!
//! Where popcount is one instruction of the baseline (wasm) it is used; elsewhere ones are counted in the bytes of a
//! word, and these are summed once a run: code that compilers turn into vectors of any baseline.

use super::generic::{Engine, MAX_LANES};
use super::words;

const LANES: usize = 8;

pub(super) struct Portable;

// SAFETY: `words::pack` fills `dst`; `tile_of` keeps to the contract of `tile`.
unsafe impl Engine for Portable {
    const LANES: usize = LANES;
    const TILE_CODES: usize = 1;
    const TILE_VECTORS: usize = 2;

    fn vector_bytes(code_bytes: usize) -> usize {
        words::steps(code_bytes) * LANES * 8
    }

    unsafe fn pack(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]) {
        words::pack::<LANES>(codes, index, vectors, dst);
    }

    #[inline(always)]
    unsafe fn tile(
        _count: usize,
        vectors: usize,
        query: *const u8,
        target: *const u8,
        code_bytes: usize,
        least: *mut u16,
        first: bool,
    ) {
        // SAFETY: the contract of `tile` is that of `tile_of`.
        unsafe {
            match vectors {
                1 => tile_of::<1>(query, target, code_bytes, least, first),
                _ => tile_of::<2>(query, target, code_bytes, least, first),
            }
        }
    }
}

/// Words whose bits are counted in the bytes of a word before a byte overflows.
const MAX_RUN: usize = 31;

/// Whether the baseline counts the ones of a word in one instruction.
const POPCOUNT: bool = cfg!(target_arch = "wasm32");

/// The ones of `x`, in all or of each byte.
#[inline(always)]
fn ones(x: u64) -> u64 {
    if POPCOUNT {
        return u64::from(x.count_ones());
    }
    let x = x - (x >> 1 & 0x5555_5555_5555_5555);
    let x = (x & 0x3333_3333_3333_3333) + (x >> 2 & 0x3333_3333_3333_3333);
    (x + (x >> 4)) & 0x0f0f_0f0f_0f0f_0f0f
}

/// The total of a sum of `ones`.
#[inline(always)]
fn total_of(x: u64) -> u64 {
    if POPCOUNT {
        return x;
    }
    let pairs = (x & 0x00ff_00ff_00ff_00ff) + (x >> 8 & 0x00ff_00ff_00ff_00ff);
    let quads = (pairs & 0x0000_ffff_0000_ffff) + (pairs >> 16 & 0x0000_ffff_0000_ffff);
    (quads & 0xffff_ffff) + (quads >> 32)
}

/// `tile` for `P` vectors.
///
/// # Safety
/// As for `tile`.
unsafe fn tile_of<const P: usize>(
    query: *const u8,
    target: *const u8,
    code_bytes: usize,
    least: *mut u16,
    first: bool,
) {
    let (full, rest) = (code_bytes / 8, code_bytes % 8);
    let steps = words::steps(code_bytes);
    let mut totals = [[0; LANES]; P];
    for start in (0..steps).step_by(MAX_RUN) {
        let mut counts = [[0; LANES]; P];
        for step in start..steps.min(start + MAX_RUN) {
            // SAFETY: the code has `full` whole words and `rest` bytes; there are `steps` steps of `P` vectors,
            // whose words are aligned because packed codes are, to 64 bytes.
            let (word, vectors) = unsafe {
                let p = query.add(step * 8);
                (
                    if step < full { p.cast::<u64>().read_unaligned() } else { words::last_word(p, rest) },
                    &*target.cast::<[[u64; LANES]; P]>().add(step),
                )
            };
            for (counts, vector) in counts.iter_mut().zip(vectors) {
                for (count, x) in counts.iter_mut().zip(vector) {
                    *count += ones(x ^ word);
                }
            }
        }
        for (total, counts) in totals.as_flattened_mut().iter_mut().zip(counts.as_flattened()) {
            *total += total_of(*counts);
        }
    }
    for lane in 0..LANES {
        // SAFETY: `least` has LANES values.
        unsafe {
            let least = least.add(lane);
            let value = if first { u16::MAX } else { *least };
            *least = totals.iter().fold(value, |value, total| value.min(total[lane] as u16));
        }
    }
}
