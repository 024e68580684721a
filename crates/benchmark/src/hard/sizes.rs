//! Plain Chamfer similarity of descriptors of several sizes.

use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use vidsieve_eval::baselines::AcrossScales;
use vidsieve_eval::retrieval::{EvaluateOptions, Matrix, quality_of};
use vidsieve_kernels::Isa;
use vidsieve_model::fine::Workspace;
use vidsieve_train::data::features::FeatureSet;
use vidsieve_train::networks::linear::itq;
use vidsieve_train::networks::sizes::{FIRST, Sizes};
use vidsieve_train::recipe::{ITQ_ITERATIONS, ITQ_SEED};

use super::{ACROSS_SCALES, DISTRACTOR, Search};
use crate::BenchmarkError;

/// Region vectors that a rotation is fitted on, and the step between those of a video.
const VECTORS: usize = 40_000;
const STEP: usize = 17;

/// Plain Chamfer similarity (across scales, where there are two) of descriptors of one size:
/// floats, or signs of an ITQ rotation, which is what the binary layer starts as.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeRow {
    /// Region vectors of a frame.
    pub regions: usize,
    /// Values of a region vector.
    pub dims: usize,
    /// Bits of a region; nothing for floats.
    pub bits: Option<usize>,
    /// Mean average precision.
    pub map: f64,
    /// Mean bytes of a video.
    pub bytes_per_video: f64,
    /// Milliseconds of a query on one thread.
    pub ms_per_query: f64,
}

/// A row, and the similarities that it was measured on.
pub(super) struct Measured {
    pub(super) row: SizeRow,
    pub(super) matrix: Matrix,
}

/// Descriptors as they are.
pub(super) fn floats(isa: Isa, sizes: &Sizes, search: &Search<'_>) -> Result<Measured, BenchmarkError> {
    measure(isa, sizes, search.set, None, search)
}

/// Sizes other than the bundle's: floats and signs, fewer dimensions, the first scale alone.
/// Rotations are fitted on the distractors alone.
pub(super) fn by_size(isa: Isa, sizes: &Sizes, search: &Search<'_>) -> Result<Vec<SizeRow>, BenchmarkError> {
    let set = search.set;
    let mut rows = Vec::new();
    for bits in [64, 128, 256, 512] {
        rows.extend(one_size(isa, sizes, set, Some(bits), search)?);
    }
    for dims in [32, 64, 96].into_iter().filter(|dims| *dims < set.dims) {
        rows.extend(one_size(isa, sizes, &set.keep(set.regions, dims), None, search)?);
    }
    if sizes.two_scales {
        let one_scale = Sizes { two_scales: false, ..sizes.clone() };
        let first = set.keep(FIRST, set.dims);
        for bits in [None, Some(sizes.bits)] {
            rows.extend(one_size(isa, &one_scale, &first, bits, search)?);
        }
    }
    Ok(rows)
}

/// Descriptors as a set has them, or the signs of a rotation of them; nothing where there are no
/// distractors to fit it on.
fn one_size(
    isa: Isa,
    sizes: &Sizes,
    set: &FeatureSet,
    bits: Option<usize>,
    search: &Search<'_>,
) -> Result<Option<SizeRow>, BenchmarkError> {
    let projection = match bits {
        None => None,
        Some(bits) => {
            let distractors = set.videos.iter().filter(|v| v.info.kind == DISTRACTOR);
            let rows = distractors.flat_map(|v| v.data.chunks_exact(set.dims).step_by(STEP)).take(VECTORS);
            let vectors: Vec<f32> = rows.flat_map(|row| row.iter().map(|v| v.to_f32())).collect();
            if vectors.is_empty() {
                return Ok(None);
            }
            Some((bits, itq(isa, &vectors, set.dims, bits, ITQ_ITERATIONS, ITQ_SEED)?))
        }
    };
    let projection = projection.as_ref().map(|(bits, p)| (*bits, p.as_slice()));
    Ok(Some(measure(isa, sizes, set, projection, search)?.row))
}

/// Similarity across scales of every query and database video of the search, by the tensors of
/// `set`.
fn measure(
    isa: Isa,
    sizes: &Sizes,
    set: &FeatureSet,
    projection: Option<(usize, &[f32])>,
    search: &Search<'_>,
) -> Result<Measured, BenchmarkError> {
    let (regions, dims, bits) = (set.regions, set.dims, projection.map(|p| p.0));
    let across = AcrossScales::new(isa, &Sizes { dims, ..sizes.clone() }.fine_attention(), projection)?;
    let index = |ids: &[String]| {
        let one = |id: &String| {
            let tensor = set.tensor(search.of[id.as_str()]);
            across.index(tensor.view()).map_err(|source| BenchmarkError::Video { video: id.clone(), source })
        };
        ids.par_iter().map(one).collect::<Result<Vec<_>, _>>()
    };
    let (queries, targets) = (index(search.task.queries())?, index(search.task.targets())?);
    let mut workspace = Workspace::default();
    let start = Instant::now();
    let mut rows = Vec::with_capacity(queries.len());
    for (query, id) in queries.iter().zip(search.task.queries()) {
        let row =
            targets.iter().map(|target| across.similarity(query, target, &mut workspace)).collect::<Result<_, _>>();
        rows.push(row.map_err(|source| BenchmarkError::Video { video: id.clone(), source })?);
    }
    #[allow(clippy::cast_precision_loss)]
    let (ms_per_query, bytes_per_video) = (
        start.elapsed().as_secs_f64() * 1e3 / queries.len().max(1) as f64,
        targets.iter().map(|t| t.bytes()).sum::<usize>() as f64 / targets.len().max(1) as f64,
    );
    let matrix = Matrix::new(ACROSS_SCALES, rows)?;
    let options = EvaluateOptions { resamples: 0, ..EvaluateOptions::default() };
    let map = quality_of(ACROSS_SCALES, &search.task, &matrix, &options)?.map;
    Ok(Measured { row: SizeRow { regions, dims, bits, map, bytes_per_video, ms_per_query }, matrix })
}
