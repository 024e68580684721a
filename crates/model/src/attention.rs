//! Weighting of region vectors: ViSiL's l2-attention and DnS's h-attention (`docs/mathematics.md`, §2.1).

use vidsieve_kernels::{
    Isa,
    gemm::{self, Packed},
};

use crate::config;
use crate::math::{dot, sigmoid, tanh};
use crate::weights::{StateDict, WeightsError};

/// Rows worked on at once: the hidden layer of this many region vectors stays in cache.
const BLOCK: usize = 64;

/// One scalar in [0, 1] for each region vector.
#[derive(Debug)]
pub(crate) enum RegionAttention {
    /// `(u·x)/2 + 0.5`; `u` has unit length.
    L2 { context: Vec<f32> },
    /// `sigmoid(u·tanh(Wx + b))`.
    H { transform: Box<Packed>, bias: Vec<f32>, context: Vec<f32> },
}

impl RegionAttention {
    /// Reads `attention.*`; `None` for [`config::Attention::None`].
    pub(crate) fn new(
        isa: Isa,
        kind: config::Attention,
        dims: usize,
        state: &StateDict,
    ) -> Result<Option<Self>, WeightsError> {
        let context = || state.get("attention.context_vector.weight", &[1, dims]).map(<[f32]>::to_vec);
        Ok(match kind {
            config::Attention::None => None,
            config::Attention::L2 => {
                let mut context = context()?;
                // The constraint |u| = 1 is part of the network's definition. It is applied in f64, so that a vector that
                // has it already keeps its values to rounding.
                let length = context.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1e-12);
                #[allow(clippy::cast_possible_truncation)]
                context.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
                Some(Self::L2 { context })
            }
            config::Attention::H => {
                let transform = state.get("attention.transform.weight", &[dims, dims])?;
                Some(Self::H {
                    transform: Box::new(Packed::from_rows(isa, transform, dims, dims)),
                    bias: state.get("attention.transform.bias", &[dims])?.to_vec(),
                    context: context()?,
                })
            }
        })
    }

    /// One weight for each row of `x` ([n][D]).
    pub(crate) fn weights(&self, x: &[f32]) -> Vec<f32> {
        match self {
            Self::L2 { context } => x.chunks_exact(context.len()).map(|row| dot(row, context) * 0.5 + 0.5).collect(),
            Self::H { transform, bias, context } => {
                let dims = bias.len();
                let mut weights = Vec::with_capacity(x.len() / dims);
                let mut hidden = vec![0f32; BLOCK * dims];
                for block in x.chunks(BLOCK * dims) {
                    let rows = block.len() / dims;
                    let hidden = &mut hidden[..rows * dims];
                    gemm::matmul(block, rows, transform, hidden);
                    for row in hidden.chunks_exact_mut(dims) {
                        row.iter_mut().zip(bias).for_each(|(v, b)| *v = tanh(*v + b));
                        weights.push(sigmoid(dot(row, context)));
                    }
                }
                weights
            }
        }
    }

    /// Multiplies each row of `x` ([n][D]) by its weight; returns the weights.
    pub(crate) fn apply(&self, x: &mut [f32]) -> Vec<f32> {
        let weights = self.weights(x);
        let dims = x.len() / weights.len().max(1);
        if dims > 0 {
            for (row, w) in x.chunks_exact_mut(dims).zip(&weights) {
                row.iter_mut().for_each(|v| *v *= w);
            }
        }
        weights
    }
}

/// Length of the context vector; 1 for l2-attention.
#[cfg(test)]
pub(crate) fn context_length(attention: &RegionAttention) -> f32 {
    match attention {
        RegionAttention::L2 { context } | RegionAttention::H { context, .. } => crate::math::norm(context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l2_attention_uses_a_unit_vector() {
        let mut state = StateDict::new("teacher.");
        state.insert("attention.context_vector.weight", vec![1, 2], vec![30.0, 40.0]).unwrap();
        let a = RegionAttention::new(Isa::best(), config::Attention::L2, 2, &state).unwrap().unwrap();
        assert!((context_length(&a) - 1.0).abs() < 1e-6);
        let mut x = vec![0.6, 0.8, -0.6, -0.8, 0.8, -0.6];
        let w = a.apply(&mut x);
        for (w, expected) in w.iter().zip([1.0, 0.0, 0.5]) {
            assert!((w - expected).abs() < 1e-6, "{w}");
        }
        assert!((x[4] - 0.4).abs() < 1e-6);
    }

    #[test]
    fn h_attention_follows_its_formula_over_block_borders() {
        let (d, n) = (3, 2 * BLOCK + 5);
        let mut state = StateDict::new("coarse.");
        let w: Vec<f32> = (0..9).map(|i| (i as f32 - 4.0) / 3.0).collect();
        state.insert("attention.transform.weight", vec![d, d], w.clone()).unwrap();
        state.insert("attention.transform.bias", vec![d], vec![0.1, -0.2, 0.3]).unwrap();
        state.insert("attention.context_vector.weight", vec![1, d], vec![1.0, -2.0, 0.5]).unwrap();
        let a = RegionAttention::new(Isa::best(), config::Attention::H, d, &state).unwrap().unwrap();
        let x: Vec<f32> = (0..n * d).map(|i| (i as f32 * 0.7).sin()).collect();
        for (row, got) in x.chunks(d).zip(a.weights(&x)) {
            let mut z = 0f64;
            for (i, (b, u)) in [(0.1, 1.0), (-0.2, -2.0), (0.3, 0.5)].into_iter().enumerate() {
                let h: f64 = (0..d).map(|k| f64::from(w[i * d + k]) * f64::from(row[k])).sum::<f64>() + b;
                z += u * h.tanh();
            }
            assert!((f64::from(got) - 1.0 / (1.0 + (-z).exp())).abs() < 1e-6);
        }
    }
}
