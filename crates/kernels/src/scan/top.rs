//! The best of many scores, without sorting them all.

use alloc::vec::Vec;

/// A row and its score.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hit {
    /// The row.
    pub index: u32,
    /// Its score; never NaN in the results of this module.
    pub score: f32,
}

impl Hit {
    /// Smaller is better: higher scores first, then lower indices. 0 and -0 are equal.
    fn key(self) -> u64 {
        let falling = !(rising(self.score + 0.0) as u32 ^ 1 << 31);
        u64::from(falling) << 32 | u64::from(self.index)
    }
}

/// An integer that rises with the number: negative numbers have their magnitude flipped. -0 is just below 0, NaN outside
/// the infinities.
#[inline(always)]
fn rising(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

/// Collects the `k` best of scores that arrive in blocks, in any order.
///
/// Candidates that beat the k-th best so far go to a buffer; a full buffer is cut to the k best by selection. The cost for
/// each score is one comparison, and the memory is O(k).
#[derive(Clone, Debug)]
pub struct Best {
    k: usize,
    buffer: Vec<Hit>,
    /// Candidates below this cannot be among the k best.
    threshold: f32,
}

impl Best {
    /// An empty collection of at most `k`.
    #[must_use]
    pub const fn new(k: usize) -> Self {
        Self { k, buffer: Vec::new(), threshold: f32::NEG_INFINITY }
    }

    /// Offers `scores` of the rows from `start` on. Scores that are NaN are passed over.
    ///
    /// # Panics
    /// If an index does not fit `u32`.
    pub fn push(&mut self, start: usize, scores: &[f32]) {
        assert!(
            start.checked_add(scores.len()).is_some_and(|end| end as u64 <= 1 << 32),
            "rows are counted in 32 bits"
        );
        if self.k == 0 {
            return;
        }
        let room = self.k.saturating_mul(2).max(256);
        for (block, values) in scores.chunks(16).enumerate() {
            // No branch for each score. Integers, because compilers for relaxed-simd join comparisons of floats to a maximum
            // in which a number beside NaN is lost. -0 is what equals a threshold of 0 and is lowest.
            let least = rising(if self.threshold == 0.0 { -0.0 } else { self.threshold });
            if !values.iter().fold(false, |any, &score| any | (rising(score) >= least)) {
                continue;
            }
            for (i, &score) in values.iter().enumerate() {
                if score >= self.threshold {
                    self.buffer.push(Hit { index: (start + block * 16 + i) as u32, score });
                }
            }
            if self.buffer.len() >= room {
                self.cut();
            }
        }
    }

    /// Leaves the k best in the buffer.
    fn cut(&mut self) {
        if self.buffer.len() > self.k {
            let (_, worst, _) = self.buffer.select_nth_unstable_by_key(self.k - 1, |hit| hit.key());
            self.threshold = worst.score;
            self.buffer.truncate(self.k);
        }
    }

    /// The best, in order: falling score, then rising index.
    #[must_use]
    pub fn finish(mut self) -> Vec<Hit> {
        self.cut();
        self.buffer.sort_unstable_by_key(|hit| hit.key());
        self.buffer
    }
}

/// The `k` best of `scores` (all, if there are fewer): falling score, then rising index. NaN is never among them.
///
/// # Panics
/// If there are more than 2^32 scores.
#[must_use]
pub fn top_k(scores: &[f32], k: usize) -> Vec<Hit> {
    let mut best = Best::new(k);
    best.push(0, scores);
    best.finish()
}
