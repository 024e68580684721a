//! Plain Rust: four 64-bit lanes, counted inside the words.

use super::generic::{Engine, MAX_LANES, tiles};
use super::words;

const LANES: usize = 4;

pub(super) struct Portable;

// SAFETY: `words::pack` fills `dst`; `tile_of` keeps to the contract of `tile`.
unsafe impl Engine for Portable {
    const LANES: usize = LANES;
    const TILE_CODES: usize = 1;
    const TILE_VECTORS: usize = 3;

    fn vector_bytes(code_bytes: usize) -> usize {
        words::steps(code_bytes) * LANES * 8
    }

    unsafe fn pack(codes: &[&[u8]; MAX_LANES], dst: &mut [u8]) {
        words::pack::<LANES>(codes, dst);
    }

    #[inline(always)]
    unsafe fn tile(
        count: usize,
        vectors: usize,
        query: *const u8,
        target: *const u8,
        code_bytes: usize,
        least: *mut u16,
        first: bool,
    ) {
        // SAFETY: the contract of `tile` is that of `tile_of`.
        unsafe {
            tiles!(count, vectors, tile_of(query, target, code_bytes, least, first), [(1, 1), (1, 2), (1, 3)]);
        }
    }
}

/// Distances of words: in wasm popcount is one instruction; elsewhere bytes of counts are summed, and the bytes of a
/// word only at the end of a run, for baselines without that instruction.
#[derive(Clone, Copy)]
struct Counter {
    bytes: u64,
    total: u64,
}

impl Counter {
    /// Words that can be counted before a byte overflows.
    const RUN: usize = 31;

    #[inline(always)]
    fn add(&mut self, x: u64) {
        if cfg!(target_arch = "wasm32") {
            self.total += u64::from(x.count_ones());
        } else {
            let x = x - (x >> 1 & 0x5555_5555_5555_5555);
            let x = (x & 0x3333_3333_3333_3333) + (x >> 2 & 0x3333_3333_3333_3333);
            self.bytes += (x + (x >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        let pairs = (self.bytes & 0x00ff_00ff_00ff_00ff) + (self.bytes >> 8 & 0x00ff_00ff_00ff_00ff);
        let quads = (pairs & 0x0000_ffff_0000_ffff) + (pairs >> 16 & 0x0000_ffff_0000_ffff);
        self.total += (quads & 0xffff_ffff) + (quads >> 32);
        self.bytes = 0;
    }
}

/// `tile` for `Q` codes and `P` vectors.
///
/// # Safety
/// As for `tile`.
unsafe fn tile_of<const Q: usize, const P: usize>(
    query: *const u8,
    target: *const u8,
    code_bytes: usize,
    least: *mut u16,
    first: bool,
) {
    let (full, rest) = (code_bytes / 8, code_bytes % 8);
    let steps = words::steps(code_bytes);
    for q in 0..Q {
        let mut counters = [[Counter { bytes: 0, total: 0 }; LANES]; P];
        let mut start = 0;
        while start < steps {
            let end = steps.min(start + Counter::RUN);
            for step in start..end {
                // SAFETY: the code has `full` whole words and `rest` bytes; each vector has `steps` steps.
                unsafe {
                    let p = query.add(q * code_bytes + step * 8);
                    let word =
                        if step < full { p.cast::<u64>().read_unaligned() } else { words::last_word(p, rest).to_le() };
                    for (v, counters) in counters.iter_mut().enumerate() {
                        let vector = target.add((v * steps + step) * LANES * 8).cast::<[u64; LANES]>().read_unaligned();
                        for (counter, x) in counters.iter_mut().zip(vector) {
                            counter.add(x ^ word);
                        }
                    }
                }
            }
            for counter in counters.as_flattened_mut() {
                counter.flush();
            }
            start = end;
        }
        for lane in 0..LANES {
            // SAFETY: `least` has `Q` rows of LANES values.
            unsafe {
                let least = least.add(q * LANES + lane);
                let mut value = if first { u16::MAX } else { *least };
                for counters in &counters {
                    value = value.min(counters[lane].total as u16);
                }
                *least = value;
            }
        }
    }
}
