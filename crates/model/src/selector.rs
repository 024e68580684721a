//! The selector SN (`docs/mathematics.md`, §5): one self-similarity scalar a video, and for a pair the probability
//! that the coarse answer is wrong.

use std::ops::Range;

use ndarray::{Array2, ArrayView3, Axis, s};
use vidsieve_kernels::{
    Isa,
    comparator::{Comparator, Pool, Scratch},
    gemm::{self, Packed},
    selector::{Mlp, fold_batch_norm},
};

use crate::attention::RegionAttention;
use crate::config::{Attention, SelectorConfig, check_range};
use crate::fine::{InputError, MIN_FRAMES, build_comparator, regions_of};
use crate::weights::{StateDict, WeightsError};

/// The selector with its weights.
#[derive(Debug)]
pub struct Selector {
    config: SelectorConfig,
    isa: Isa,
    attention: RegionAttention,
    comparator: Comparator,
    mlp: Mlp,
}

impl Selector {
    /// Builds the network from its weights.
    ///
    /// # Errors
    /// Missing, misshapen or damaged tensors.
    pub fn new(isa: Isa, config: SelectorConfig, state: &StateDict) -> Result<Self, WeightsError> {
        let refuse = |reason: String| WeightsError::Config { network: state.label.clone(), reason };
        config.regions.map_or(Ok(()), check_range).map_err(&refuse)?;
        let attention = RegionAttention::new(isa, Attention::H, config.dims, state)?
            .ok_or_else(|| refuse("the selector needs its attention".into()))?;
        if config.comparator.channels[0] != 1 {
            return Err(refuse("the selector's comparator has one input channel".into()));
        }
        let comparator = build_comparator(isa, &config.comparator, state)?;
        let hidden = config.hidden;
        if hidden == 0 {
            return Err(refuse("hidden must be at least 1".into()));
        }
        let mut layers = Vec::with_capacity(config.layers + 2);
        for layer in 0..=config.layers {
            let (linear, norm) = (4 * layer, 4 * layer + 1);
            let inputs = if layer == 0 { 3 } else { hidden };
            let vector = |name: &str| state.get(&format!("mlp.model.{norm}.{name}"), &[hidden]);
            let variance = vector("running_var")?;
            if let Some(v) = variance.iter().find(|v| **v < 0.0) {
                return Err(refuse(format!("mlp.model.{norm}.running_var holds {v}: a variance is not negative")));
            }
            layers.push(fold_batch_norm(
                state.get(&format!("mlp.model.{linear}.weight"), &[hidden, inputs])?,
                vector("weight")?,
                vector("bias")?,
                vector("running_mean")?,
                variance,
                1e-5,
            ));
        }
        let last = 4 * (config.layers + 1);
        layers.push(vidsieve_kernels::selector::Layer {
            weight: state.get(&format!("mlp.model.{last}.weight"), &[1, hidden])?.to_vec(),
            bias: state.get(&format!("mlp.model.{last}.bias"), &[1])?.to_vec(),
        });
        let mlp = Mlp::new(isa, &layers).map_err(|e| refuse(e.to_string()))?;
        Ok(Self { config, isa, attention, comparator, mlp })
    }

    /// Sizes of the network.
    #[must_use]
    pub const fn config(&self) -> &SelectorConfig {
        &self.config
    }

    /// The MLP over (self-similarity of the query, of the target, coarse similarity).
    #[must_use]
    pub const fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// `sum_o a_o x_o / R` of each frame of a video tensor [T, R, D], `[T][D]`: all that the network keeps of its frames. Those
    /// of parts of a video, one after the other, are those of the video.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn pool(&self, video: ArrayView3<'_, f32>) -> Result<Vec<f32>, InputError> {
        let (frames, regions, dims) = video.dim();
        if frames == 0 || regions == 0 {
            return Err(InputError::Empty { frames, regions });
        }
        if dims != self.config.dims {
            return Err(InputError::Dims { expected: self.config.dims, found: dims });
        }
        let range = regions_of(self.config.regions, regions)?;
        #[allow(clippy::cast_precision_loss)]
        let share = 1.0 / range.len() as f32;
        let mut sums = vec![0f32; frames * dims];
        for (frame, sum) in video.slice(s![.., range, ..]).outer_iter().zip(sums.chunks_exact_mut(dims)) {
            let frame = frame.as_standard_layout();
            let x = frame.as_slice().unwrap_or_default();
            for (region, w) in x.chunks_exact(dims).zip(self.attention.weights(x)) {
                sum.iter_mut().zip(region).for_each(|(s, v)| *s += w * v);
            }
            sum.iter_mut().for_each(|s| *s *= share);
        }
        Ok(sums)
    }

    /// The self-similarity of a video tensor [T, R, D]: the mean of the comparator's raw output over the frame-to-frame
    /// matrix. Videos of fewer than 4 frames are repeated first.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn self_similarity(&self, video: ArrayView3<'_, f32>) -> Result<f32, InputError> {
        self.of_pooled(self.pool(video)?)
    }

    /// The self-similarity of frame vectors `[T][D]`, as [`Selector::pool`] makes them.
    ///
    /// # Errors
    /// [`InputError`] for no frames or vectors of another length.
    pub fn of_pooled(&self, mut sums: Vec<f32>) -> Result<f32, InputError> {
        if sums.is_empty() {
            return Err(InputError::Empty { frames: 0, regions: 1 });
        }
        if !sums.len().is_multiple_of(self.config.dims) {
            return Err(InputError::Dims { expected: self.config.dims, found: sums.len() % self.config.dims });
        }
        while sums.len() < MIN_FRAMES * self.config.dims {
            sums.extend_from_within(..);
        }
        let gram = self.gram(&sums);
        let frames = sums.len() / self.config.dims;
        let (mut total, mut count) = (0f64, 0usize);
        self.comparator.forward_banded(
            frames,
            frames,
            self.config.comparator.edge.into(),
            |rows, out| gram.rows(rows, out),
            |_, row| {
                total += row.iter().map(|&v| f64::from(v)).sum::<f64>();
                count += row.len();
            },
            &mut Scratch::default(),
        );
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        Ok((total / count as f64) as f32)
    }

    fn gram<'a>(&self, sums: &'a [f32]) -> Gram<'a> {
        let dims = self.config.dims;
        Gram { packed: Packed::from_rows(self.isa, sums, sums.len() / dims, dims), sums, dims }
    }

    /// The frame-to-frame matrix of a video with itself: the average over all region pairs. Frames are taken as they
    /// are.
    ///
    /// # Errors
    /// [`InputError`] for a tensor of another shape.
    pub fn self_matrix(&self, video: ArrayView3<'_, f32>) -> Result<Array2<f32>, InputError> {
        let sums = self.pool(video)?;
        let frames = video.dim().0;
        let mut f2f = Array2::zeros((frames, frames));
        if let Some(out) = f2f.as_slice_mut() {
            self.gram(&sums).rows(0..frames, out);
        }
        Ok(f2f)
    }

    /// The comparator's raw output for a self-similarity matrix.
    ///
    /// # Errors
    /// [`InputError::Empty`] for a matrix of fewer than 4 (with [`Pool::Ceil`]: 1) rows or columns.
    pub fn compare(&self, f2f: &Array2<f32>, pool: Pool) -> Result<Array2<f32>, InputError> {
        crate::fine::compare_maps(&self.comparator, f2f.view().insert_axis(Axis(0)), pool)
    }
}

/// Rows of `(mean_o x_io) · (mean_p x_jp)`: the average over all region pairs.
struct Gram<'a> {
    packed: Packed,
    sums: &'a [f32],
    dims: usize,
}

impl Gram<'_> {
    fn rows(&self, rows: Range<usize>, out: &mut [f32]) {
        gemm::matmul(&self.sums[rows.start * self.dims..rows.end * self.dims], rows.len(), &self.packed, out);
    }
}
