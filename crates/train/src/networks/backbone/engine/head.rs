//! Region vectors and the training head, forwards and backwards.

use rayon::prelude::*;
use vidsieve_kernels::gemm;

use super::super::conv::{add, matmul, transpose};
use super::super::pool::{REGIONS, normalise, normalise_backward};
use super::Engine;
use super::level::{LANE, Level, resize};
use crate::TrainError;
use crate::networks::parameters::{NamedGradients, Parameters};

impl Engine {
    /// Region vectors from means, and the head.
    pub(super) fn head(&mut self, parameters: &Parameters) -> Result<(), TrainError> {
        let (width, dims) = (self.width, self.dims);
        let taps: Vec<usize> = self.levels[1..].iter().map(Level::channels).collect();
        self.regions.copy_from_slice(&self.means);
        let rows = self.views * REGIONS;
        resize(&mut self.norms, rows * taps.len());
        let regions = self.regions.par_chunks_exact_mut(width).with_min_len(REGIONS * LANE);
        regions.zip(self.norms.par_chunks_exact_mut(taps.len())).for_each(|(region, norms)| {
            let mut rest = region;
            for (&channels, norm) in taps.iter().zip(norms) {
                let (tap, more) = rest.split_at_mut(channels);
                *norm = normalise(tap);
                rest = more;
            }
        });
        let missing = || TrainError::Network("the head's parameters `head.weight` and `head.bias` are missing".into());
        let weight = parameters.values("head.weight").filter(|v| v.len() == dims * width).ok_or_else(missing)?;
        let bias = parameters.values("head.bias").filter(|v| v.len() == dims).ok_or_else(missing)?;
        self.vectors = matmul(&self.regions, rows, &gemm::Packed::from_rows(self.isa, weight, dims, width));
        resize(&mut self.vector_norms, rows);
        let vectors = self.vectors.par_chunks_exact_mut(dims).with_min_len(REGIONS * LANE);
        vectors.zip(&mut self.vector_norms[..]).for_each(|(vector, norm)| {
            add(vector, bias);
            *norm = normalise(vector);
        });
        Ok(())
    }

    /// Gradients of the head, and of the regions' means.
    pub(super) fn head_backward(
        &self,
        parameters: &Parameters,
        gradient: &[f32],
        named: &mut NamedGradients,
    ) -> Result<Vec<f32>, TrainError> {
        let (width, dims, rows) = (self.width, self.dims, self.views * REGIONS);
        let missing = || TrainError::Network("the head's parameter `head.weight` is missing".into());
        let weight = parameters.values("head.weight").filter(|v| v.len() == dims * width).ok_or_else(missing)?;
        let mut delta = gradient.to_vec();
        let units = self.vectors.par_chunks_exact(dims).zip(&self.vector_norms[..]);
        let pairs = delta.par_chunks_exact_mut(dims).with_min_len(REGIONS * LANE).zip(units);
        pairs.for_each(|(d, (unit, &norm))| normalise_backward(unit, norm, d));
        let of_weights = || {
            let mut bias = vec![0f64; dims];
            for d in delta.chunks_exact(dims) {
                for (b, d) in bias.iter_mut().zip(d) {
                    *b += f64::from(*d);
                }
            }
            let mut transposed = vec![];
            transpose(&delta, rows, dims, &mut transposed);
            let packed = gemm::Packed::from_columns(self.isa, &self.regions, rows, width);
            (bias, matmul(&transposed, dims, &packed))
        };
        let of_regions = || matmul(&delta, rows, &gemm::Packed::from_columns(self.isa, weight, dims, width));
        let ((bias, d_weight), mut regions) = rayon::join(of_weights, of_regions);
        #[allow(clippy::cast_possible_truncation)]
        named.insert("head.bias".into(), bias.iter().map(|&b| b as f32).collect());
        named.insert("head.weight".into(), d_weight);
        let taps: Vec<usize> = self.levels[1..].iter().map(Level::channels).collect();
        let units = self.regions.par_chunks_exact(width).zip(self.norms.par_chunks_exact(taps.len()));
        let pairs = regions.par_chunks_exact_mut(width).with_min_len(REGIONS * LANE).zip(units);
        pairs.for_each(|(mut d, (mut unit, norms))| {
            for (&channels, &norm) in taps.iter().zip(norms) {
                let ((d_tap, d_more), (tap, more)) = (d.split_at_mut(channels), unit.split_at(channels));
                normalise_backward(tap, norm, d_tap);
                (d, unit) = (d_more, more);
            }
        });
        Ok(regions)
    }
}
