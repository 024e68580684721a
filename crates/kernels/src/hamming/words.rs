//! Packing for engines whose lanes are 64-bit words of codes.

use super::generic::MAX_LANES;

/// Steps of a code: its 64-bit words, the last one filled up with zeros.
#[inline(always)]
pub(super) const fn steps(code_bytes: usize) -> usize {
    code_bytes.div_ceil(8)
}

/// The `bytes < 8` bytes at `p`, filled up with zeros, as a word of the machine's byte order.
///
/// # Safety
/// `p` points to `bytes` readable bytes.
#[inline(always)]
pub(super) unsafe fn last_word(p: *const u8, bytes: usize) -> u64 {
    let mut word = [0; 8];
    // SAFETY: the caller vouches for the bytes.
    word[..bytes].copy_from_slice(unsafe { core::slice::from_raw_parts(p, bytes) });
    u64::from_ne_bytes(word)
}

/// `dst[step][index of vectors][lane]` = word `step` of the code of lane `lane`.
#[inline(always)]
pub(super) fn pack<const LANES: usize>(codes: &[&[u8]; MAX_LANES], index: usize, vectors: usize, dst: &mut [u8]) {
    let (dst, _) = dst.as_chunks_mut::<8>();
    for (lane, code) in codes[..LANES].iter().enumerate() {
        let (words, rest) = code.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(&last);
        for (step, &word) in dst.chunks_exact_mut(LANES * vectors).zip(words.iter().chain(last)) {
            // Packed words are read in the machine's byte order, like the query's.
            step[index * LANES + lane] = word;
        }
    }
}
