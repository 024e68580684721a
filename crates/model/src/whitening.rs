//! PCA-whitening of region vectors: `y = nrm((x - mean) W)` with `nrm(v) = v / max(|v|, 1e-12)`, `W` the leading
//! eigenvectors divided by the square roots of their eigenvalues (section 3.1 of the paper).

use vidsieve_kernels::{Isa, gemm};

/// Added to an eigenvalue before its square root is taken.
const EIGENVALUE_EPSILON: f64 = 1e-7;
/// Smallest norm that a vector is divided by.
const MIN_NORM: f64 = 1e-12;
/// Vectors that are whitened at a time, which bounds the scratch memory.
const BLOCK: usize = 256;

/// Why a whitening cannot be made, or not be applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WhiteningError {
    /// Sizes that do not belong together.
    #[error("whitening of {input} values to {dims}: `{what}` has {found} values, expected {expected}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Values before whitening.
        input: usize,
        /// Values after whitening.
        dims: usize,
        /// Values that the argument should have.
        expected: usize,
        /// Values that it has.
        found: usize,
    },
    /// No dimensions, or more than there are.
    #[error("whitening of {input} values to {dims}: the result must have 1 to {input} values")]
    Dims {
        /// Values before whitening.
        input: usize,
        /// Values after whitening.
        dims: usize,
    },
    /// An eigenvalue that cannot be divided by.
    #[error(
        "eigenvalue {index} of the whitening is {value}: it must be a number above -1e-7 (ask for fewer dimensions)"
    )]
    Eigenvalue {
        /// Position in the file.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// Vectors that are not whole.
    #[error("{found} values are no whole number of vectors of {input}")]
    Vectors {
        /// Values of a vector.
        input: usize,
        /// Values given.
        found: usize,
    },
}

/// The projection `W` `[input][dims]` of a PCA: the eigenvectors (columns of `v` `[input][input]`) of the `dims` largest
/// eigenvalues `d` (any order, ties in order of position), each divided by `sqrt(d + 1e-7)`.
///
/// # Errors
/// [`WhiteningError::Dims`], [`WhiteningError::Length`], [`WhiteningError::Eigenvalue`].
pub fn projection(d: &[f32], v: &[f32], dims: usize) -> Result<Vec<f32>, WhiteningError> {
    let input = d.len();
    if dims == 0 || dims > input {
        return Err(WhiteningError::Dims { input, dims });
    }
    let expected = input.saturating_mul(input);
    if v.len() != expected {
        return Err(WhiteningError::Length { what: "V", input, dims, expected, found: v.len() });
    }
    if let Some(index) = d.iter().position(|d| d.is_nan()) {
        return Err(WhiteningError::Eigenvalue { index, value: d[index] });
    }
    let mut order: Vec<usize> = (0..input).collect();
    order.sort_by(|&a, &b| d[b].total_cmp(&d[a]));
    order.truncate(dims);
    let mut scales = Vec::with_capacity(dims);
    for &index in &order {
        let scale = 1.0 / (f64::from(d[index]) + EIGENVALUE_EPSILON).sqrt();
        if !scale.is_finite() {
            return Err(WhiteningError::Eigenvalue { index, value: d[index] });
        }
        scales.push(scale);
    }
    let mut out = Vec::with_capacity(input * dims);
    for row in v.chunks_exact(input) {
        out.extend(order.iter().zip(&scales).map(|(&i, scale)| (f64::from(row[i]) * scale) as f32));
    }
    Ok(out)
}

/// PCA-whitening, ready to be applied.
#[derive(Debug, Clone)]
pub struct Whitening {
    mean: Vec<f32>,
    weights: gemm::Packed,
}

impl Whitening {
    /// Whitening by `mean` `[input]` and `projection` `[input][dims]`, row-major (upstream's `DVt`).
    ///
    /// # Errors
    /// [`WhiteningError::Dims`], [`WhiteningError::Length`].
    pub fn new(isa: Isa, mean: Vec<f32>, projection: &[f32], dims: usize) -> Result<Self, WhiteningError> {
        let input = mean.len();
        if dims == 0 || dims > input {
            return Err(WhiteningError::Dims { input, dims });
        }
        let expected = input.saturating_mul(dims);
        if projection.len() != expected {
            let found = projection.len();
            return Err(WhiteningError::Length { what: "projection", input, dims, expected, found });
        }
        Ok(Self { weights: gemm::Packed::from_columns(isa, projection, input, dims), mean })
    }

    /// Whitening by a PCA file `{mean, d, V}`, see [`projection`].
    ///
    /// # Errors
    /// As [`projection`]; [`WhiteningError::Length`] when `mean` and `d` differ in length.
    pub fn from_pca(isa: Isa, mean: Vec<f32>, d: &[f32], v: &[f32], dims: usize) -> Result<Self, WhiteningError> {
        let weights = projection(d, v, dims)?;
        if mean.len() != d.len() {
            let (input, found) = (d.len(), mean.len());
            return Err(WhiteningError::Length { what: "mean", input, dims, expected: input, found });
        }
        Self::new(isa, mean, &weights, dims)
    }

    /// Values of a vector before whitening.
    #[must_use]
    pub fn input(&self) -> usize {
        self.mean.len()
    }

    /// Values of a vector after whitening.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.weights.n()
    }

    /// Whitens the vectors of `x` `[n][input]` to unit vectors `[n][dims]`.
    ///
    /// # Errors
    /// [`WhiteningError::Vectors`].
    pub fn apply(&self, x: &[f32]) -> Result<Vec<f32>, WhiteningError> {
        let mut out = self.project(x)?;
        for vector in out.chunks_exact_mut(self.dims()) {
            let norm = vector.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt().max(MIN_NORM);
            for v in vector {
                *v = (f64::from(*v) / norm) as f32;
            }
        }
        Ok(out)
    }

    /// `(x - mean) W`, not normalised.
    fn project(&self, x: &[f32]) -> Result<Vec<f32>, WhiteningError> {
        let (input, dims) = (self.input(), self.dims());
        if !x.len().is_multiple_of(input) {
            return Err(WhiteningError::Vectors { input, found: x.len() });
        }
        let mut out = vec![0f32; x.len() / input * dims];
        let mut centred = Vec::with_capacity(x.len().min(BLOCK * input));
        for (x, out) in x.chunks(BLOCK * input).zip(out.chunks_mut(BLOCK * dims)) {
            centred.clear();
            for vector in x.chunks_exact(input) {
                centred.extend(vector.iter().zip(&self.mean).map(|(x, mean)| x - mean));
            }
            gemm::matmul(&centred, x.len() / input, &self.weights, out);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden;

    fn naive(mean: &[f32], projection: &[f32], dims: usize, x: &[f32]) -> Vec<f32> {
        x.chunks_exact(mean.len())
            .flat_map(|x| {
                let y: Vec<f64> = (0..dims)
                    .map(|j| {
                        let terms =
                            (0..x.len()).map(|i| f64::from(x[i] - mean[i]) * f64::from(projection[i * dims + j]));
                        terms.sum()
                    })
                    .collect();
                let norm = y.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
                y.into_iter().map(move |v| (v / norm) as f32)
            })
            .collect()
    }

    #[test]
    fn eigenvectors_are_sorted_and_scaled() {
        // Columns of V are the unit vectors; eigenvalues 4 and 16 lead.
        let v = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let w = projection(&[4.0, 0.25, 16.0], &v, 2).unwrap();
        let expected = [0.0, 0.5, 0.0, 0.0, 0.25, 0.0];
        assert!(golden::error(&w, &expected) < 1e-7, "{w:?}");
        let whitening = Whitening::from_pca(Isa::best(), vec![1.0, 5.0, -1.0], &[4.0, 0.25, 16.0], &v, 2).unwrap();
        let x = [7.0, 9.0, 15.0, 1.0, 0.0, -1.0];
        // (6, 4, 16) -> (4, 3) -> (0.8, 0.6); the mean itself -> 0.
        assert!(golden::error(&whitening.apply(&x).unwrap(), &[0.8, 0.6, 0.0, 0.0]) < 1e-6);
        assert_eq!((whitening.input(), whitening.dims()), (3, 2));
    }

    #[test]
    fn bad_sizes_and_eigenvalues_are_refused() {
        let isa = Isa::portable();
        assert_eq!(projection(&[1.0], &[1.0], 2), Err(WhiteningError::Dims { input: 1, dims: 2 }));
        assert_eq!(projection(&[1.0], &[1.0], 0), Err(WhiteningError::Dims { input: 1, dims: 0 }));
        assert!(matches!(
            projection(&[1.0, 2.0], &[1.0; 3], 1),
            Err(WhiteningError::Length { what: "V", found: 3, .. })
        ));
        assert_eq!(projection(&[1.0, -1e-3], &[1.0; 4], 1).map(|w| w.len()), Ok(2));
        let negative = projection(&[1.0, -1e-3], &[1.0; 4], 2);
        assert_eq!(negative, Err(WhiteningError::Eigenvalue { index: 1, value: -1e-3 }));
        assert!(matches!(projection(&[f32::NAN], &[1.0], 1), Err(WhiteningError::Eigenvalue { index: 0, .. })));
        let short = Whitening::new(isa, vec![0.0; 3], &[0.0; 5], 2).unwrap_err();
        assert!(matches!(short, WhiteningError::Length { what: "projection", expected: 6, found: 5, .. }));
        assert!(matches!(Whitening::new(isa, vec![], &[], 0), Err(WhiteningError::Dims { .. })));
        let mean = Whitening::from_pca(isa, vec![0.0; 2], &[1.0], &[1.0], 1).unwrap_err();
        assert!(matches!(mean, WhiteningError::Length { what: "mean", expected: 1, found: 2, .. }));
        let whitening = Whitening::new(isa, vec![0.0; 3], &[0.0; 6], 2).unwrap();
        assert_eq!(whitening.apply(&[0.0; 4]), Err(WhiteningError::Vectors { input: 3, found: 4 }));
        assert_eq!(whitening.apply(&[]), Ok(vec![]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn apply_matches_the_definition(input in 1usize..70, part in 0.0f64..1.0, n in prop_oneof![0usize..8, 255usize..259]) {
            let dims = 1 + ((input - 1) as f64 * part) as usize;
            let mean = golden::numbers("mean", input, 0.1, 0.0);
            let w = golden::numbers("w", input * dims, 1.0, 0.0);
            let x = golden::numbers("x", n * input, 1.0, 0.2);
            let expected = naive(&mean, &w, dims, &x);
            for isa in Isa::available() {
                let got = Whitening::new(isa, mean.clone(), &w, dims).unwrap().apply(&x).unwrap();
                prop_assert!(golden::error(&got, &expected) < 2e-5, "{isa}: {}", golden::error(&got, &expected));
            }
        }
    }

    #[test]
    fn golden_small_pca() {
        let file = golden::file("pca_small");
        let (shape, expected) = file.f32("DVt_7");
        let (d, v) = (file.f32("d").1, file.f32("V").1);
        let w = projection(&d, &v, shape[1]).unwrap();
        let scale = expected.iter().fold(0f32, |a, x| a.max(x.abs()));
        assert!(golden::error(&w, &expected) <= 1e-6 * scale);
        let whitening = Whitening::from_pca(Isa::best(), file.f32("mean").1, &d, &v, shape[1]).unwrap();
        let error = golden::error(&whitening.apply(&file.f32("x").1).unwrap(), &file.f32("y_7").1);
        assert!(error <= 1e-5, "{error}");
    }

    #[test]
    fn golden_features() {
        let file = golden::file("feature_extractor");
        let (shape, regions) = file.f32("regions3840");
        let input = shape[2];
        let d = file.f32("pca.d_sorted_desc").1;
        let v = golden::numbers("pca.V", input * d.len(), (3.0 / input as f64).sqrt() as f32, 0.0);
        let scales: Vec<f64> = d.iter().map(|d| 1.0 / (f64::from(*d) + EIGENVALUE_EPSILON).sqrt()).collect();
        let w: Vec<f32> = v
            .chunks_exact(d.len())
            .flat_map(|row| row.iter().zip(&scales).map(|(v, s)| (f64::from(*v) * s) as f32))
            .collect();
        let whitening = Whitening::new(Isa::best(), file.f32("pca.mean").1, &w, d.len()).unwrap();
        let raw = golden::error(&whitening.project(&regions).unwrap(), &file.f32("pca_out_unnormalised").1);
        let error = golden::error(&whitening.apply(&regions).unwrap(), &file.f32("features512").1);
        assert!(raw <= 1e-4 && error <= 1e-5, "{raw} {error}");
    }
}
