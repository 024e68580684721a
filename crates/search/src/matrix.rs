//! Frame similarities as a picture of limited size.

use ndarray::Array2;
use vidsieve_record::Record;

use crate::engine::Engine;
use crate::error::SearchError;
use crate::query::Query;

/// Cells of the whole matrix that are worked on at once.
const BAND: usize = 1 << 20;

/// Viridis at tenths.
const COLOURS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// Frame similarities, of which each cell holds the greatest of a square of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    values: Array2<f32>,
    frames: [usize; 2],
    stride: usize,
}

impl Matrix {
    /// The matrix of a query (rows) and a record (columns) with at most `most` cells a side. Memory does not grow with the
    /// product of their lengths.
    ///
    /// # Errors
    /// As [`Engine::compare`].
    pub fn new<B: AsRef<[u8]>>(
        engine: &Engine,
        query: &Query,
        record: &Record<B>,
        most: usize,
    ) -> Result<Self, SearchError> {
        let frames = [query.codes.frames(), record.shape().frames];
        let [h, w] = frames;
        let stride = h.max(w).div_ceil(most.max(1)).max(1);
        let mut values = Array2::from_elem((h.div_ceil(stride), w.div_ceil(stride)), f32::NEG_INFINITY);
        let rows = (BAND / w.max(1)).max(1);
        for first in (0..h).step_by(rows) {
            let range = first..h.min(first + rows);
            let band = Query { codes: query.codes.slice(range.clone()), ..query.clone() };
            let similarity = engine.frame_similarity(&band, record)?;
            for (i, row) in range.zip(similarity.outer_iter()) {
                for (j, &v) in row.iter().take(w).enumerate() {
                    let cell = &mut values[[i / stride, j / stride]];
                    *cell = cell.max(v);
                }
            }
        }
        Ok(Self { values, frames, stride })
    }

    /// A matrix of cells that were computed elsewhere, each of a square of `stride` x `stride` frames.
    #[must_use]
    pub fn from_values(values: Array2<f32>, stride: usize) -> Self {
        let (h, w) = values.dim();
        Self { values, frames: [h * stride, w * stride], stride }
    }

    /// The cells: rows of the query, columns of the target, in [-1, 1].
    #[must_use]
    pub const fn values(&self) -> &Array2<f32> {
        &self.values
    }

    /// Frames of the query and of the target.
    #[must_use]
    pub const fn frames(&self) -> [usize; 2] {
        self.frames
    }

    /// Frames of a cell's side.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// The cells as opaque RGBA pixels, row by row.
    #[must_use]
    pub fn rgba(&self) -> Vec<u8> {
        self.values
            .iter()
            .flat_map(|&v| {
                let [r, g, b] = colour(v);
                [r, g, b, u8::MAX]
            })
            .collect()
    }
}

/// The colour of a similarity; all below 0 is as 0.
#[must_use]
pub fn colour(value: f32) -> [u8; 3] {
    #[allow(clippy::cast_precision_loss)]
    let place = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) } * (COLOURS.len() - 1) as f32;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let low = (place as usize).min(COLOURS.len() - 2);
    #[allow(clippy::cast_precision_loss)]
    let part = place - low as f32;
    std::array::from_fn(|c| {
        let (a, b) = (f32::from(COLOURS[low][c]), f32::from(COLOURS[low + 1][c]));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let v = (a + (b - a) * part).round() as u8;
        v
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_rise_in_lightness() {
        let light = |v: f32| {
            let [r, g, b] = colour(v).map(f32::from);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        assert!((0..20u8).all(|k| light(f32::from(k) / 20.0) < light(f32::from(k + 1) / 20.0)));
        assert_eq!((colour(f32::NAN), colour(-1.0), colour(2.0)), (COLOURS[0], COLOURS[0], COLOURS[10]));
        assert_eq!(Matrix::from_values(Array2::ones((1, 1)), 3).rgba(), [253, 231, 37, 255]);
    }
}
