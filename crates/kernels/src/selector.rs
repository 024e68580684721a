//! The selector's MLP over many pairs (`docs/mathematics.md`, §5): (self-similarity of the query, of the target,
//! coarse similarity) to the probability that the coarse answer is wrong.
//!
//! Lane = pair. A block of two vectors of pairs goes through all layers while its activations stay in the first cache;
//! batch normalisation is folded into the matrices beforehand.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::Isa;
use crate::dispatch::dispatch_f32;
use crate::gemm::{multiply, pack_tile, rows, tile_rows};
use crate::math::sigmoid;
use crate::simd::F32s;

/// Inputs of the network.
const INPUTS: usize = 3;

/// One Linear layer: `weight` `[out][in]`, `bias` `[out]`. All but the last are followed by ReLU.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Row-major `[out][in]`.
    pub weight: Vec<f32>,
    /// `[out]`.
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
    /// Weights cut into tiles of rows, `[in][row of the tile]`.
    hidden: Vec<Layer>,
    last: Layer,
    width: usize,
}

dispatch_f32!(fn rows_of_tiles() -> usize = rows_of_tiles_body);

#[inline(always)]
unsafe fn rows_of_tiles_body<V: F32s>() -> usize {
    tile_rows::<V>()
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
        let most = rows_of_tiles(isa);
        let mut hidden = hidden.to_vec();
        for layer in &mut hidden {
            let mut tiles = vec![0f32; width * width];
            let rows = most * width;
            for (tile, rows) in tiles.chunks_mut(rows).zip(layer.weight.chunks(rows)) {
                pack_tile(rows, width, rows.len() / width, tile);
            }
            layer.weight = tiles;
        }
        Ok(Self { isa, first: first.clone(), hidden, last: last.clone(), width })
    }

    /// Probabilities `p` for one query against many targets.
    ///
    /// # Panics
    /// If `target_self`, `coarse` and `p` differ in length.
    pub fn predict(&self, query_self: f32, target_self: &[f32], coarse: &[f32], p: &mut [f32]) {
        self.logits(query_self, target_self, coarse, p);
        p.iter_mut().for_each(|v| *v = sigmoid(*v));
    }

    /// Logits of the probabilities, before the logistic function: the same order, without its rounding near 0 and 1.
    ///
    /// # Panics
    /// If `target_self`, `coarse` and `out` differ in length.
    pub fn logits(&self, query_self: f32, target_self: &[f32], coarse: &[f32], out: &mut [f32]) {
        assert!(target_self.len() == out.len() && coarse.len() == out.len(), "one output for each pair");
        run(self.isa, self, Inputs::Query(query_self, target_self, coarse), out);
    }

    /// Probabilities `p` for any pairs: (self-similarity of the query, of the target, coarse similarity).
    ///
    /// # Panics
    /// If `inputs` and `p` differ in length.
    pub fn predict_pairs(&self, inputs: &[[f32; 3]], p: &mut [f32]) {
        self.logits_pairs(inputs, p);
        p.iter_mut().for_each(|v| *v = sigmoid(*v));
    }

    /// Logits of given inputs, before the logistic function.
    ///
    /// # Panics
    /// If `inputs` and `out` differ in length.
    pub fn logits_pairs(&self, inputs: &[[f32; 3]], out: &mut [f32]) {
        assert_eq!(inputs.len(), out.len(), "one output for each pair");
        run(self.isa, self, Inputs::Pairs(inputs), out);
    }
}

/// Inputs of as many pairs as there are outputs.
#[derive(Clone, Copy)]
enum Inputs<'a> {
    /// Self-similarity of one query, of the targets; coarse similarities.
    Query(f32, &'a [f32], &'a [f32]),
    Pairs(&'a [[f32; INPUTS]]),
}

/// Values in two vectors of any instruction set, at most.
const MAX_BLOCK: usize = 32;

impl Inputs<'_> {
    /// `n` pairs from `start` on, to one row for each input. Rows keep what they hold after `n`.
    #[inline(always)]
    fn copy(self, start: usize, n: usize, rows: &mut [[f32; MAX_BLOCK]; INPUTS]) {
        match self {
            Self::Query(own, targets, coarse) => {
                rows[0].fill(own);
                rows[1][..n].copy_from_slice(&targets[start..start + n]);
                rows[2][..n].copy_from_slice(&coarse[start..start + n]);
            }
            Self::Pairs(pairs) => {
                for (j, pair) in pairs[start..start + n].iter().enumerate() {
                    for (row, value) in rows.iter_mut().zip(pair) {
                        row[j] = *value;
                    }
                }
            }
        }
    }
}

dispatch_f32!(fn run(mlp: &Mlp, inputs: Inputs<'_>, out: &mut [f32]) = run_body);

#[inline(always)]
unsafe fn run_body<V: F32s>(mlp: &Mlp, inputs: Inputs<'_>, out: &mut [f32]) {
    let (width, lanes) = (mlp.width, V::LANES);
    let block = 2 * lanes;
    let most = tile_rows::<V>();
    let mut x = vec![0f32; width * block];
    let mut y = vec![0f32; width * block];
    let mut columns = [[0f32; MAX_BLOCK]; INPUTS];
    let mut sums = [0f32; MAX_BLOCK];
    for (start, out) in (0..out.len()).step_by(block).zip(out.chunks_mut(block)) {
        inputs.copy(start, out.len(), &mut columns);
        // SAFETY: `x` and `y` hold `width` rows of `block` values, `columns` and `sums` MAX_BLOCK >= block; `Mlp::new` has
        // checked that a layer's weight is [out][in] and its bias [out], with `width` for all hidden sizes, and the tiles of
        // rows before `row` hold `row * width` values.
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
                for row in (0..width).step_by(most) {
                    let (w, b) = (layer.weight.as_ptr().add(row * width), layer.bias.as_ptr().add(row));
                    let to = y.as_mut_ptr().add(row * block);
                    rows!(most.min(width - row), activate::<V, ROWS>(w, b, width, x.as_ptr(), to));
                }
                core::mem::swap(&mut x, &mut y);
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

/// `y = relu(w x + b)` for `ROWS` rows and two vectors of pairs.
///
/// # Safety
/// `w` is readable for `[width][ROWS]` values, `b` for `ROWS`, `x` for `width` rows of two vectors, `y` writable for `ROWS`
/// rows of two vectors. Callers are compiled for the instruction set of `V`.
#[inline(always)]
unsafe fn activate<V: F32s, const ROWS: usize>(w: *const f32, b: *const f32, width: usize, x: *const f32, y: *mut f32) {
    // SAFETY: as the function's contract says.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; ROWS];
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = [V::splat(*b.add(row)); 2];
        }
        for (row, sum) in multiply::<V, ROWS, 2>(w, x, width, sums).iter().enumerate() {
            for (half, sum) in sum.iter().enumerate() {
                sum.max(V::splat(0.0)).store(y.add((2 * row + half) * V::LANES));
            }
        }
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

    fn exact(layers: &[Layer], input: [f32; 3]) -> f64 {
        let mut x: Vec<f64> = input.iter().map(|&v| f64::from(v)).collect();
        for (i, layer) in layers.iter().enumerate() {
            let floor = if i + 1 < layers.len() { 0.0 } else { f64::NEG_INFINITY };
            let rows = layer.weight.chunks_exact(x.len()).zip(&layer.bias);
            let sum = |row: &[f32]| row.iter().zip(&x).map(|(&w, v)| f64::from(w) * v).sum::<f64>();
            x = rows.map(|(row, &b)| (sum(row) + f64::from(b)).max(floor)).collect();
        }
        1.0 / (1.0 + (-x[0]).exp())
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
                let input = [0.3, own[i], coarse[i]];
                let exact = exact(&layers, input);
                assert!((f64::from(p[i]) - exact).abs() <= 1e-6, "{isa} width {width}: {} {exact}", p[i]);
                let plain = naive::predict(&layers, input);
                assert!((f64::from(plain) - exact).abs() <= 1e-6, "width {width}: {plain} {exact}");
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
