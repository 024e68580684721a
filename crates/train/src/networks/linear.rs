//! PCA-whitening (§1.3) and iterative quantisation (§7.2) of region vectors.

use nalgebra::{DMatrix, SymmetricEigen};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use vidsieve_kernels::{Isa, gemm};

use crate::TrainError;
use crate::networks::init::normal;

/// Rows whose products are summed in single precision before they are added in double.
const BLOCK: usize = 4096;

/// Principal axes of region vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// Mean of the vectors, `[input]`.
    pub mean: Vec<f32>,
    /// Variances along the axes, falling, `[input]`.
    pub variances: Vec<f32>,
    /// Axes as columns, `[input, input]` row-major.
    pub axes: Vec<f32>,
}

/// Adds the outer products of `rows` `[n, d]` to `sum` `[d, d]`.
fn add_scatter(isa: Isa, rows: &[f32], d: usize, sum: &mut [f64]) {
    let n = rows.len() / d;
    let mut transposed = vec![0f32; rows.len()];
    for (i, row) in rows.chunks_exact(d).enumerate() {
        for (j, v) in row.iter().enumerate() {
            transposed[j * n + i] = *v;
        }
    }
    let mut product = vec![0f32; d * d];
    gemm::matmul(&transposed, d, &gemm::Packed::from_columns(isa, rows, n, d), &mut product);
    sum.iter_mut().zip(&product).for_each(|(s, p)| *s += f64::from(*p));
}

impl Pca {
    /// Fits the axes to vectors `x` `[n, input]`.
    ///
    /// # Errors
    /// [`TrainError::Data`] for fewer vectors than dimensions.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub fn fit(isa: Isa, x: &[f32], input: usize) -> Result<Self, TrainError> {
        let n = x.len() / input.max(1);
        if n < input || input == 0 {
            return Err(TrainError::Data(format!("PCA of {input} dimensions needs at least as many vectors, got {n}")));
        }
        let mut mean = vec![0f64; input];
        for row in x.chunks_exact(input) {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
        }
        let mean: Vec<f32> = mean.iter().map(|m| (m / n as f64) as f32).collect();
        let mut scatter = vec![0f64; input * input];
        let mut centred = Vec::new();
        for block in x.chunks(BLOCK * input) {
            centred.clear();
            centred.extend(block.chunks_exact(input).flat_map(|row| row.iter().zip(&mean).map(|(v, m)| v - m)));
            add_scatter(isa, &centred, input, &mut scatter);
        }
        scatter.iter_mut().for_each(|s| *s /= (n - 1).max(1) as f64);
        let eigen = SymmetricEigen::new(DMatrix::from_row_slice(input, input, &scatter));
        let mut order: Vec<usize> = (0..input).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let mut axes = vec![0f32; input * input];
        for (column, &from) in order.iter().enumerate() {
            let axis = eigen.eigenvectors.column(from);
            // An axis has no direction of its own: its largest component is made positive.
            let largest = axis.iter().copied().fold(0f64, |m, v| if v.abs() > m.abs() { v } else { m });
            for (row, v) in axis.iter().enumerate() {
                axes[row * input + column] = (v * largest.signum()) as f32;
            }
        }
        let variances = order.iter().map(|&i| eigen.eigenvalues[i].max(0.0) as f32).collect();
        Ok(Self { mean, variances, axes })
    }

    /// The whitening projection to the first `dims` axes, `[input, dims]`: axis k divided by `(variance_k + shrink *
    /// mean variance)^(1/2)`. `shrink` 0 is plain whitening; more keeps weak axes weak.
    ///
    /// # Errors
    /// [`TrainError::Data`] for more dimensions than there are axes with variance.
    #[allow(clippy::cast_precision_loss)]
    pub fn whitening(&self, dims: usize, shrink: f32) -> Result<Vec<f32>, TrainError> {
        let input = self.mean.len();
        let useful = self.variances.iter().filter(|v| **v > 1e-10).count();
        if dims == 0 || dims > useful {
            return Err(TrainError::Data(format!("{dims} dimensions asked of {useful} axes that have variance")));
        }
        let mean = self.variances.iter().sum::<f32>() / input as f32;
        let scale: Vec<f32> = self.variances[..dims].iter().map(|v| 1.0 / (v + shrink * mean).sqrt()).collect();
        Ok(self.axes.chunks_exact(input).flat_map(|row| row[..dims].iter().zip(&scale).map(|(v, s)| v * s)).collect())
    }
}

/// Iterative quantisation (Gong & Lazebnik): a projection `[dims, bits]` whose signs keep what vectors say. `x` `[n, dims]`
/// are unit vectors. More bits than dimensions are several rotations side by side, each from another start: the angle between
/// two vectors is measured by more signs.
///
/// # Errors
/// [`TrainError::Data`] for no bits or no vectors.
pub fn itq(
    isa: Isa,
    x: &[f32],
    dims: usize,
    bits: usize,
    iterations: usize,
    seed: u64,
) -> Result<Vec<f32>, TrainError> {
    if bits == 0 || dims == 0 || x.len() < dims {
        return Err(TrainError::Data(format!("ITQ of {} values to {bits} bits: there is nothing to fit", x.len())));
    }
    if bits > dims {
        let mut all = vec![0f32; dims * bits];
        for (part, start) in (0..bits).step_by(dims).enumerate() {
            let width = dims.min(bits - start);
            let rotation = itq(isa, x, dims, width, iterations, seed.wrapping_add(part as u64))?;
            for (to, from) in all.chunks_exact_mut(bits).zip(rotation.chunks_exact(width)) {
                to[start..start + width].copy_from_slice(from);
            }
        }
        return Ok(all);
    }
    // X in its first `bits` principal axes; with bits == dims this is a rotation only.
    let mut scatter = vec![0f64; dims * dims];
    for block in x.chunks(BLOCK * dims) {
        add_scatter(isa, block, dims, &mut scatter);
    }
    let eigen = SymmetricEigen::new(DMatrix::from_row_slice(dims, dims, &scatter));
    let mut order: Vec<usize> = (0..dims).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let axes = DMatrix::from_fn(dims, bits, |r, c| eigen.eigenvectors[(r, order[c])]);
    let mut rng = Pcg64::seed_from_u64(seed);
    let start: Vec<f64> = normal(&mut rng, bits * bits, 1.0).into_iter().map(f64::from).collect();
    let mut rotation = DMatrix::from_row_slice(bits, bits, &start).qr().q();
    let n = x.len() / dims;
    for _ in 0..iterations {
        let projection = columns(&(&axes * &rotation));
        let packed = gemm::Packed::from_columns(isa, &projection, dims, bits);
        // B^T X (in the axes), block by block.
        let mut sum = vec![0f64; bits * dims];
        for block in x.chunks(BLOCK * dims) {
            let rows = block.len() / dims;
            let mut z = vec![0f32; rows * bits];
            gemm::matmul(block, rows, &packed, &mut z);
            let mut signs = vec![0f32; rows * bits];
            for (i, row) in z.chunks_exact(bits).enumerate() {
                for (j, v) in row.iter().enumerate() {
                    signs[j * rows + i] = if *v > 0.0 { 1.0 } else { -1.0 };
                }
            }
            let mut product = vec![0f32; bits * dims];
            gemm::matmul(&signs, bits, &gemm::Packed::from_columns(isa, block, rows, dims), &mut product);
            sum.iter_mut().zip(&product).for_each(|(s, p)| *s += f64::from(*p));
        }
        #[allow(clippy::cast_precision_loss)]
        let product = DMatrix::from_row_slice(bits, dims, &sum) * &axes / n as f64;
        let svd = product.svd(true, true);
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else {
            return Err(TrainError::Data("ITQ: the singular value decomposition failed".into()));
        };
        rotation = v_t.transpose() * u.transpose();
    }
    Ok(columns(&(&axes * &rotation)))
}

/// A matrix as row-major single precision.
#[allow(clippy::cast_possible_truncation)]
fn columns(m: &DMatrix<f64>) -> Vec<f32> {
    (0..m.nrows()).flat_map(|r| m.row(r).iter().map(|v| *v as f32).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidsieve_model::math::normalise_rows;

    fn cloud(n: usize) -> Vec<f32> {
        let mut rng = Pcg64::seed_from_u64(5);
        let scales = [3.0f32, 0.5, 1.5, 0.1];
        normal(&mut rng, n * 4, 1.0)
            .chunks_exact(4)
            .flat_map(|z| {
                let v: Vec<f32> = z.iter().zip(scales).map(|(z, s)| z * s).collect();
                // A rotation in two planes and an offset.
                [v[0] * 0.6 - v[1] * 0.8 + 2.0, v[0] * 0.8 + v[1] * 0.6, v[2] - 1.0, v[3]]
            })
            .collect()
    }

    #[test]
    fn whitened_vectors_have_unit_variance_and_no_correlation() {
        let isa = Isa::best();
        let x = cloud(20_000);
        let pca = Pca::fit(isa, &x, 4).unwrap();
        for (got, expected) in pca.variances.iter().zip([9.0, 2.25, 0.25, 0.01]) {
            assert!((got / expected - 1.0f32).abs() < 0.05, "{got} {expected}");
        }
        let w = pca.whitening(3, 0.0).unwrap();
        let y: Vec<f32> = x
            .chunks_exact(4)
            .flat_map(|row| {
                let c: Vec<f32> = row.iter().zip(&pca.mean).map(|(v, m)| v - m).collect();
                (0..3).map(|k| (0..4).map(|i| c[i] * w[i * 3 + k]).sum()).collect::<Vec<f32>>()
            })
            .collect();
        let mut scatter = vec![0f64; 9];
        add_scatter(isa, &y, 3, &mut scatter);
        for (i, s) in scatter.iter().enumerate() {
            let expected = if i % 4 == 0 { 1.0 } else { 0.0 };
            assert!((s / 19_999.0 - expected).abs() < 1e-3, "{i}: {s}");
        }
        assert!(pca.whitening(5, 0.0).is_err() && Pca::fit(isa, &x[..8], 4).is_err());
    }

    /// ITQ must lose less to quantisation than the random rotation that it starts from.
    #[test]
    fn itq_lowers_the_quantisation_error() {
        let isa = Isa::best();
        let mut rng = Pcg64::seed_from_u64(3);
        // Sixteen clusters: signs can tell them apart after the right rotation.
        let centres = normal(&mut rng, 16 * 8, 1.0);
        let noise = normal(&mut rng, 4000 * 8, 0.1);
        let mut x: Vec<f32> = noise
            .chunks_exact(8)
            .enumerate()
            .flat_map(|(i, n)| n.iter().zip(&centres[(i % 16) * 8..]).map(|(n, c)| n + c).collect::<Vec<_>>())
            .collect();
        normalise_rows(&mut x, 8);
        let error = |w: &[f32]| -> f64 {
            x.chunks_exact(8)
                .map(|row| {
                    (0..8)
                        .map(|k| {
                            let z: f32 = (0..8).map(|i| row[i] * w[i * 8 + k]).sum();
                            f64::from((z.signum() / 8f32.sqrt() - z).powi(2))
                        })
                        .sum::<f64>()
                })
                .sum()
        };
        let start = itq(isa, &x, 8, 8, 0, 9).unwrap();
        let end = itq(isa, &x, 8, 8, 50, 9).unwrap();
        assert!(error(&end) < 0.9 * error(&start), "{} {}", error(&end), error(&start));
        assert_eq!(end, itq(isa, &x, 8, 8, 50, 9).unwrap());
        assert!(itq(isa, &x, 8, 0, 1, 0).is_err());
        // More bits than dimensions: the first rotation and others.
        let wide = itq(isa, &x, 8, 20, 50, 9).unwrap();
        for (wide, first) in wide.chunks_exact(20).zip(end.chunks_exact(8)) {
            assert_eq!(wide[..8], *first);
            assert_ne!(wide[8..16], *first);
        }
    }
}
