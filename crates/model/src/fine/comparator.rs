//! The comparator built of weights, and the score of its output.

use ndarray::{Array2, ArrayView2, ArrayView3};
use vidsieve_kernels::Isa;
use vidsieve_kernels::comparator::{self, Comparator, Pool, Scratch};

use super::tensor::InputError;
use crate::config::{ComparatorConfig, PaddingMode, comparator_prefix};
use crate::weights::{StateDict, WeightsError};

/// The score of one frame-to-frame pass, gathered row by row.
pub(super) struct VideoChamfer {
    rows: usize,
    row_maxima: f64,
    column_maxima: Option<Vec<f32>>,
}

impl VideoChamfer {
    pub(super) fn new(columns: usize, symmetric: bool) -> Self {
        let column_maxima = symmetric.then(|| vec![f32::NEG_INFINITY; columns]);
        Self { rows: 0, row_maxima: 0.0, column_maxima }
    }

    pub(super) fn add(&mut self, row: &[f32]) {
        let clipped = |v: &f32| v.clamp(-1.0, 1.0);
        self.rows += 1;
        self.row_maxima += f64::from(row.iter().map(clipped).fold(f32::NEG_INFINITY, f32::max));
        if let Some(columns) = &mut self.column_maxima {
            columns.iter_mut().zip(row).for_each(|(m, v)| *m = m.max(clipped(v)));
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(super) fn finish(self) -> f32 {
        let rows = self.row_maxima / self.rows as f64;
        let both = self.column_maxima.map_or(rows, |columns| {
            (rows + columns.iter().map(|&v| f64::from(v)).sum::<f64>() / columns.len() as f64) / 2.0
        });
        both as f32
    }
}

/// Hardtanh and Chamfer similarity of a raw comparator output (rows are the query): mean over rows of the maximum over
/// columns; the mean of both directions if `symmetric`.
#[must_use]
pub fn video_chamfer(raw: ArrayView2<'_, f32>, symmetric: bool) -> f32 {
    let mut sum = VideoChamfer::new(raw.ncols(), symmetric);
    raw.rows().into_iter().for_each(|row| sum.add(&row.to_vec()));
    sum.finish()
}

/// Builds a comparator of the weights under its prefix.
pub(crate) fn build_comparator(
    isa: Isa,
    config: &ComparatorConfig,
    state: &StateDict,
) -> Result<Comparator, WeightsError> {
    let p = comparator_prefix(state);
    let [c0, c1, c2, c3] = config.channels;
    let weights = comparator::Weights {
        channels: config.channels,
        conv1: state.get(&format!("{p}conv1.weight"), &[c1, c0, 3, 3])?,
        bias1: state.get(&format!("{p}conv1.bias"), &[c1])?,
        conv2: state.get(&format!("{p}conv2.weight"), &[c2, c1, 3, 3])?,
        bias2: state.get(&format!("{p}conv2.bias"), &[c2])?,
        conv3: state.get(&format!("{p}conv3.weight"), &[c3, c2, 3, 3])?,
        bias3: state.get(&format!("{p}conv3.bias"), &[c3])?,
        fconv: state.get(&format!("{p}fconv.weight"), &[1, c3, 1, 1])?,
        fbias: state.get(&format!("{p}fconv.bias"), &[1])?[0],
    };
    let padding = match config.padding {
        PaddingMode::Zero => comparator::Padding::Zero,
        PaddingMode::Replicate => comparator::Padding::Replicate,
    };
    Comparator::new(isa, &weights, padding)
        .map_err(|e| WeightsError::Config { network: format!("{}{p}", state.label), reason: e.to_string() })
}

/// Maps [C, h, w] through a comparator, any size that the pooling allows.
pub(crate) fn compare_maps(
    comparator: &Comparator,
    f2f: ArrayView3<'_, f32>,
    pool: Pool,
) -> Result<Array2<f32>, InputError> {
    let (found, h, w) = f2f.dim();
    let expected = comparator.input_channels();
    if found != expected {
        return Err(InputError::Channels { expected, found });
    }
    let shape = Comparator::output_shape(h, w, pool).ok_or(InputError::Empty { frames: h.min(w), regions: 1 })?;
    let map = f2f.as_standard_layout();
    let mut out = Array2::zeros(shape);
    if let (Some(map), Some(out)) = (map.as_slice(), out.as_slice_mut()) {
        comparator.forward(map, h, w, pool, out, &mut Scratch::default());
    }
    Ok(out)
}
