//! The selector's MLP over many pairs (§5 of the project's mathematics): (self-similarity of the query, of the target,
//! coarse similarity) to the probability that the coarse answer is wrong.
//!
//! Lane = pair. A block of two vectors of pairs goes through all layers while its activations stay in the first cache;
//! batch normalisation is folded into the matrices beforehand.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::Isa;
use crate::gemm::tile;
use crate::math::sigmoid;
use crate::simd::{F32s, dispatch_f32};

/// Inputs of the network.
const INPUTS: usize = 3;

/// One Linear layer: `weight` [out][in], `bias` [out]. All but the last are followed by ReLU.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Row-major [out][in].
    pub weight: Vec<f32>,
    /// [out].
    pub bias: Vec<f32>,
}

/// Layers that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlpError {
    layer: usize,
    reason: &'static str,
}

impl fmt::Display for MlpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {} of the selector's MLP: {}", self.layer, self.reason)
    }
}

impl core::error::Error for MlpError {}

/// Folds batch normalisation (evaluation mode: `(x - mean) / sqrt(var + eps) * gamma + beta`) that follows a Linear
/// layer without bias into one layer with bias. Computed in f64.
///
/// # Panics
/// If the four vectors have not one value for each row of `weight`.
#[must_use]
pub fn fold_batch_norm(weight: &[f32], gamma: &[f32], beta: &[f32], mean: &[f32], var: &[f32], eps: f64) -> Layer {
    let n = gamma.len();
    assert!(beta.len() == n && mean.len() == n && var.len() == n, "batch normalisation of {n} values");
    assert!(n > 0 && weight.len().is_multiple_of(n), "{} weights in {n} rows", weight.len());
    let factor = |i: usize| f64::from(gamma[i]) / libm::sqrt(f64::from(var[i]) + eps);
    let rows = weight.chunks_exact(weight.len() / n).enumerate();
    Layer {
        weight: rows.flat_map(|(i, row)| row.iter().map(move |&w| (f64::from(w) * factor(i)) as f32)).collect(),
        bias: (0..n).map(|i| (f64::from(beta[i]) - f64::from(mean[i]) * factor(i)) as f32).collect(),
    }
}

/// The MLP with its layers.
#[derive(Clone, Debug)]
pub struct Mlp {
    isa: Isa,
    first: Layer,
    hidden: Vec<Layer>,
    last: Layer,
    width: usize,
}

impl Mlp {
    /// Takes 3 -> H, any number of H -> H, and H -> 1, batch normalisation folded in.
    ///
    /// # Errors
    /// [`MlpError`] when the sizes do not fit together.
    pub fn new(isa: Isa, layers: &[Layer]) -> Result<Self, MlpError> {
        let [first, hidden @ .., last] = layers else {
            return Err(MlpError { layer: layers.len(), reason: "there must be at least two layers" });
        };
        let width = first.bias.len();
        let mut inputs = INPUTS;
        for (i, layer) in layers.iter().enumerate() {
            let outputs = layer.bias.len();
            if outputs == 0 || layer.weight.len() != outputs * inputs {
                return Err(MlpError { layer: i, reason: "its weight is not [out][in of the layer before]" });
            }
            if outputs != if i + 1 == layers.len() { 1 } else { width } {
                return Err(MlpError { layer: i, reason: "hidden layers have one width, the last has one output" });
            }
            inputs = outputs;
        }
        Ok(Self { isa, first: first.clone(), hidden: hidden.to_vec(), last: last.clone(), width })
    }

    /// Probabilities `p` for one query against many targets.
    ///
    /// # Panics
    /// If `target_self`, `coarse` and `p` differ in length.
    pub fn predict(&self, query_self: f32, target_self: &[f32], coarse: &[f32], p: &mut [f32]) {
        self.logits(query_self, target_self, coarse, p);
        p.iter_mut().for_each(|v| *v = sigmoid(*v));
    }

    /// The same before the logistic function: the same order, without its rounding near 0 and 1.
    ///
    /// # Panics
    /// If `target_self`, `coarse` and `out` differ in length.
    pub fn logits(&self, query_self: f32, target_self: &[f32], coarse: &[f32], out: &mut [f32]) {
        assert!(target_self.len() == out.len() && coarse.len() == out.len(), "one output for each pair");
        run(self.isa, self, &|pair| [query_self, target_self[pair], coarse[pair]], out);
    }

    /// Probabilities `p` for any pairs: (self-similarity of the query, of the target, coarse similarity).
    ///
    /// # Panics
    /// If `inputs` and `p` differ in length.
    pub fn predict_pairs(&self, inputs: &[[f32; 3]], p: &mut [f32]) {
        self.logits_pairs(inputs, p);
        p.iter_mut().for_each(|v| *v = sigmoid(*v));
    }

    /// The same before the logistic function.
    ///
    /// # Panics
    /// If `inputs` and `out` differ in length.
    pub fn logits_pairs(&self, inputs: &[[f32; 3]], out: &mut [f32]) {
        assert_eq!(inputs.len(), out.len(), "one output for each pair");
        run(self.isa, self, &|pair| inputs[pair], out);
    }
}

dispatch_f32!(fn run(mlp: &Mlp, inputs: &dyn Fn(usize) -> [f32; 3], out: &mut [f32]) = run_body);

#[inline(always)]
unsafe fn run_body<V: F32s>(mlp: &Mlp, inputs: &dyn Fn(usize) -> [f32; 3], out: &mut [f32]) {
    let (width, lanes) = (mlp.width, V::LANES);
    let block = 2 * lanes;
    let most = if V::REGISTERS >= 32 { 12 } else { 6 };
    let mut x = vec![0f32; width * block];
    let mut y = vec![0f32; width * block];
    let mut columns = [[0f32; 32]; INPUTS];
    let mut sums = [0f32; 32];
    for (start, out) in (0..out.len()).step_by(block).zip(out.chunks_mut(block)) {
        for j in 0..out.len() {
            let triple = inputs(start + j);
            for (column, value) in columns.iter_mut().zip(triple) {
                column[j] = value;
            }
        }
        // SAFETY: `x` and `y` hold `width` rows of `block` values, `columns` and `sums` 32 >= block; `Mlp::new` has checked
        // that a layer's weight is [out][in] and its bias [out], with `width` for all hidden sizes.
        unsafe {
            for (o, (w, &b)) in mlp.first.weight.as_chunks::<INPUTS>().0.iter().zip(&mlp.first.bias).enumerate() {
                for half in [0, lanes] {
                    let mut sum = V::splat(b);
                    for (&w, column) in w.iter().zip(&columns) {
                        sum = V::splat(w).mul_add(V::load(column.as_ptr().add(half)), sum);
                    }
                    sum.max(V::splat(0.0)).store(x.as_mut_ptr().add(o * block + half));
                }
            }
            for layer in &mlp.hidden {
                let mut row = 0;
                while row < width {
                    let rows = most.min(width - row);
                    let (w, to) = (layer.weight.as_ptr().add(row * width), y.as_mut_ptr().add(row * block));
                    match rows {
                        12 => tile::<V, 12>(w, width, x.as_ptr(), to, block, block),
                        6..12 => {
                            tile::<V, 6>(w, width, x.as_ptr(), to, block, block);
                            for r in 6..rows {
                                tile::<V, 1>(w.add(r * width), width, x.as_ptr(), to.add(r * block), block, block);
                            }
                        }
                        4..6 => {
                            tile::<V, 4>(w, width, x.as_ptr(), to, block, block);
                            for r in 4..rows {
                                tile::<V, 1>(w.add(r * width), width, x.as_ptr(), to.add(r * block), block, block);
                            }
                        }
                        _ => {
                            for r in 0..rows {
                                tile::<V, 1>(w.add(r * width), width, x.as_ptr(), to.add(r * block), block, block);
                            }
                        }
                    }
                    row += rows;
                }
                for (row, &b) in layer.bias.iter().enumerate() {
                    for half in [0, lanes] {
                        let slot = row * block + half;
                        let value = V::load(y.as_ptr().add(slot)).add(V::splat(b)).max(V::splat(0.0));
                        value.store(x.as_mut_ptr().add(slot));
                    }
                }
            }
            for half in [0, lanes] {
                let mut sum = V::splat(mlp.last.bias[0]);
                for (row, &w) in mlp.last.weight.iter().enumerate() {
                    sum = V::splat(w).mul_add(V::load(x.as_ptr().add(row * block + half)), sum);
                }
                sum.store(sums.as_mut_ptr().add(half));
            }
        }
        out.copy_from_slice(&sums[..out.len()]);
    }
}

/// One pair after the other, in plain loops.
pub mod naive {
    use alloc::vec::Vec;

    use super::Layer;

    /// The probability for one pair; the layers as for [`Mlp::new`](super::Mlp::new).
    #[must_use]
    pub fn predict(layers: &[Layer], input: [f32; 3]) -> f32 {
        let mut x: Vec<f32> = input.to_vec();
        for (i, layer) in layers.iter().enumerate() {
            let rows = layer.weight.chunks_exact(x.len()).zip(&layer.bias);
            x = rows
                .map(|(row, b)| {
                    let sum = row.iter().zip(&x).map(|(w, v)| w * v).sum::<f32>() + b;
                    if i + 1 < layers.len() { sum.max(0.0) } else { sum }
                })
                .collect();
        }
        1.0 / (1.0 + libm::expf(-x[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layers(width: usize, hidden: usize, seed: u64) -> Vec<Layer> {
        let mut z = seed;
        let mut numbers = |n: usize| -> Vec<f32> {
            (0..n)
                .map(|_| {
                    z = z.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
                })
                .collect()
        };
        let mut all = vec![Layer { weight: numbers(3 * width), bias: numbers(width) }];
        for _ in 0..hidden {
            let weight = numbers(width * width).into_iter().map(|w| w / (width as f32).sqrt()).collect();
            all.push(Layer { weight, bias: numbers(width) });
        }
        all.push(Layer { weight: numbers(width), bias: numbers(1) });
        all
    }

    fn check(width: usize, hidden: usize, pairs: usize, seed: u64) {
        let layers = layers(width, hidden, seed);
        let coarse: Vec<f32> = (0..pairs).map(|i| (i as f32 * 0.37).sin()).collect();
        let own: Vec<f32> = (0..pairs).map(|i| (i as f32 * 0.11).cos() * 2.0).collect();
        for isa in Isa::available() {
            let mlp = Mlp::new(isa, &layers).unwrap();
            let mut p = vec![f32::NAN; pairs];
            mlp.predict(0.3, &own, &coarse, &mut p);
            for i in 0..pairs {
                let want = naive::predict(&layers, [0.3, own[i], coarse[i]]);
                assert!((p[i] - want).abs() <= 2e-6, "{isa} width {width}: {} {want}", p[i]);
            }
            let triples: Vec<[f32; 3]> = (0..pairs).map(|i| [0.3, own[i], coarse[i]]).collect();
            let mut again = vec![f32::NAN; pairs];
            mlp.predict_pairs(&triples, &mut again);
            assert_eq!(p, again);
            mlp.logits_pairs(&triples, &mut again);
            let from_logits: Vec<f32> = again.iter().map(|&v| sigmoid(v)).collect();
            assert_eq!(p, from_logits);
        }
    }

    #[test]
    fn chosen_sizes() {
        for (width, hidden, pairs) in [(100, 1, 1000), (1, 0, 1), (7, 2, 33), (13, 1, 31), (17, 3, 64)] {
            check(width, hidden, pairs, 3);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn any_size(width in 1usize..40, hidden in 0usize..3, pairs in 0usize..80, seed in any::<u64>()) {
            check(width, hidden, pairs, seed);
        }
    }

    #[test]
    fn batch_normalisation_is_folded() {
        let layer = fold_batch_norm(&[1.0, 2.0, -1.0, 0.5], &[2.0, 1.0], &[0.5, -1.0], &[1.0, 0.0], &[4.0, 0.25], 0.0);
        assert_eq!(layer.weight, [1.0, 2.0, -2.0, 1.0]);
        assert_eq!(layer.bias, [-0.5, -1.0]);
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let mut bad = layers(4, 1, 1);
        bad[1].weight.pop();
        let message = alloc::format!("{}", Mlp::new(Isa::portable(), &bad).unwrap_err());
        assert!(message.contains("layer 1"), "{message}");
        assert!(Mlp::new(Isa::portable(), &bad[..1]).is_err());
    }
}
