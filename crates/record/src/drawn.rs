//! Records of random codes, for benchmarks and load tests: how long work on a record takes does not
//! depend on its codes.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{BundleId, Parts, Record, RecordError, Shape, WindowVector};

/// A source of records of one shape, numbered from 0. Equal seeds and numbers give equal records.
#[derive(Debug, Clone, Copy)]
pub struct DrawnRecords {
    bundle: BundleId,
    shape: Shape,
    seed: u64,
}

impl DrawnRecords {
    /// Creates the source of a bundle's records; frames are a second apart.
    #[must_use]
    pub const fn new(bundle: BundleId, shape: Shape, seed: u64) -> Self {
        Self { bundle, shape, seed }
    }

    /// Returns the bundle that the records belong to.
    #[must_use]
    pub const fn bundle(&self) -> BundleId {
        self.bundle
    }

    /// Returns the sizes of the records.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the number that the records follow from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a record by its number.
    ///
    /// # Errors
    /// [`RecordError`] for a shape that no record has.
    pub fn record(&self, number: u64) -> Result<Record<Vec<u8>>, RecordError> {
        let Shape { frames, regions, bits, dims, windows } = self.shape;
        let mut rng = Pcg64::seed_from_u64(xxh3_64_with_seed(&number.to_le_bytes(), self.seed));
        let mut vector = || (0..dims).map(|_| rng.random_range(-1.0..1.0f32)).collect::<Vec<f32>>();
        let mut global = vector();
        let norm = global.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
        global.iter_mut().for_each(|v| *v /= norm);
        // At most a million frames; a shape of more is refused below.
        #[allow(clippy::cast_possible_truncation)]
        let window = |w: usize| [w * frames / windows, ((w + 1) * frames / windows).max(1) - 1].map(|f| f as u32);
        let windows: Vec<WindowVector> = (0..windows.min(frames))
            .map(window)
            .map(|[first, last]| WindowVector::quantise(first, last, &vector()))
            .collect();
        let mut codes = vec![0u8; frames * regions * bits / 8];
        codes.chunks_mut(8).for_each(|chunk| {
            let word: u64 = rng.random();
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        });
        #[allow(clippy::cast_precision_loss)]
        let times: Vec<f64> = (0..frames).map(|t| t as f64).collect();
        let self_similarity = rng.random_range(0.0..1.0);
        #[allow(clippy::cast_precision_loss)]
        let duration = frames as f64;
        let bundle = self.bundle;
        Record::new(&Parts {
            bundle,
            duration,
            self_similarity,
            global: &global,
            times: &times,
            weights: &vec![u8::MAX; frames],
            windows: &windows,
            regions,
            bits,
            codes: &codes,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_follow_from_seed_and_number() {
        let shape = Shape { frames: 3, regions: 9, bits: 24, dims: 5, windows: 2 };
        let of = |seed, number| DrawnRecords::new(BundleId([1; 32]), shape, seed).record(number).unwrap();
        assert_eq!(of(1, 2), of(1, 2));
        assert!(of(1, 2) != of(2, 1) && of(1, 2) != of(1, 3));
        assert_eq!(of(1, 2).shape(), shape);
        assert!((of(1, 2).global().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
        let none = Shape { frames: 0, ..shape };
        assert!(DrawnRecords::new(BundleId([1; 32]), none, 1).record(0).is_err());
    }
}
