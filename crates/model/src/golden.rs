//! Test helpers: the golden files of the repository, and the deterministic numbers they were made with.

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

/// A golden file of `tests/golden`.
pub(crate) struct File {
    bytes: Vec<u8>,
}

/// The golden file `name`.
pub(crate) fn file(name: &str) -> File {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let path = folder.join(format!("{name}.safetensors"));
    File { bytes: std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) }
}

impl File {
    fn tensor(&self, name: &str, dtype: Dtype) -> (Vec<usize>, &[u8]) {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), dtype, "{name}");
        (tensor.shape().to_vec(), tensor.data())
    }

    pub(crate) fn u8(&self, name: &str) -> (Vec<usize>, &[u8]) {
        self.tensor(name, Dtype::U8)
    }

    pub(crate) fn f32(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let (shape, data) = self.tensor(name, Dtype::F32);
        (shape, data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    pub(crate) fn i64(&self, name: &str) -> (Vec<usize>, Vec<i64>) {
        let (shape, data) = self.tensor(name, Dtype::I64);
        (shape, data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
    }
}

/// `count` numbers drawn from `name` alone: FNV-1a-64 of the name seeds SplitMix64, 24 bits each, spread over
/// `offset - scale .. offset + scale`.
pub(crate) fn numbers(name: &str, count: usize, scale: f32, offset: f32) -> Vec<f32> {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (1..=count as u64)
        .map(|i| {
            let mut z = hash.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            let u = (z >> 40) as f64 / f64::from(1 << 24);
            offset + (2.0 * u - 1.0) as f32 * scale
        })
        .collect()
}

/// Largest absolute difference; infinite where lengths differ or a value is NaN.
pub(crate) fn error(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    a.iter().zip(b).map(|(a, b)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() }).fold(0.0, f32::max)
}
