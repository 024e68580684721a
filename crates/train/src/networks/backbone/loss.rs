//! The contrastive loss of two views an image, on unit region vectors, with its gradient.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vidsieve_kernels::{Isa, gemm};

use super::conv::{matmul, transpose};
use super::pool::{REGIONS, normalise, normalise_backward};

/// Overlapping windows; the last region is the whole frame.
const WINDOWS: usize = REGIONS - 1;
/// Smallest squared distance that KoLeo tells apart.
const MIN_DISTANCE: f32 = 1e-4;

/// Weights of the loss. A weight of 0 switches a term off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Temperature of every InfoNCE term, positive.
    pub temperature: f32,
    /// InfoNCE of the symmetric Chamfer similarity of nine windows.
    pub region: f32,
    /// InfoNCE of the normalised means of nine windows.
    pub global: f32,
    /// KoLeo of the same means, over all views: minus half the mean logarithm of the smallest squared distance.
    pub koleo: f32,
    /// InfoNCE of the best match of a whole frame with any region of the other view, in both directions.
    pub cross: f32,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { temperature: 0.07, region: 1.0, global: 0.5, koleo: 0.1, cross: 0.5 }
    }
}

/// Terms of the loss before their weights; 0 for a term that is switched off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LossParts {
    /// Their weighted sum.
    pub total: f64,
    /// InfoNCE of region Chamfer.
    pub region: f64,
    /// InfoNCE of means.
    pub global: f64,
    /// KoLeo.
    pub koleo: f64,
    /// InfoNCE across scales.
    pub cross: f64,
    /// Part of the views whose best match by region Chamfer (by means, if that is off) is their image's other view, both
    /// directions.
    pub accuracy: f64,
}

/// Where the maxima of a pair of views are.
#[derive(Debug, Clone, Copy)]
struct Best {
    rows: [u8; WINDOWS],
    columns: [u8; WINDOWS],
    cross: (u8, u8),
}

/// The loss of unit vectors `[view][region][dims]`, first the first view of every image, then the second ones; images with
/// the same source are not told apart. Gives the gradient of the vectors too.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(super) fn loss(
    isa: Isa,
    config: &LossConfig,
    vectors: &[f32],
    dims: usize,
    sources: &[u32],
) -> (LossParts, Vec<f32>) {
    let images = sources.len();
    let half = images * REGIONS * dims;
    let mut parts = LossParts::default();
    let mut gradient = vec![0f32; vectors.len()];
    if config.region > 0.0 || config.cross > 0.0 {
        regions(isa, config, vectors.split_at(half), dims, sources, &mut parts, &mut gradient);
    }
    if config.global > 0.0 || config.koleo > 0.0 {
        means(isa, config, vectors, dims, sources, &mut parts, &mut gradient);
    }
    parts.total = [
        (config.region, parts.region),
        (config.global, parts.global),
        (config.koleo, parts.koleo),
        (config.cross, parts.cross),
    ]
    .iter()
    .map(|&(w, l)| f64::from(w) * l)
    .sum();
    (parts, gradient)
}

/// The terms on single regions.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn regions(
    isa: Isa,
    config: &LossConfig,
    (a, b): (&[f32], &[f32]),
    dims: usize,
    sources: &[u32],
    parts: &mut LossParts,
    gradient: &mut [f32],
) {
    let images = sources.len();
    let all = images * REGIONS;
    let s = matmul(a, all, &gemm::Packed::from_rows(isa, b, all, dims));
    let mut chamfer = vec![0f32; images * images];
    let mut cross = vec![0f32; images * images];
    let mut best = vec![Best { rows: [0; WINDOWS], columns: [0; WINDOWS], cross: (0, 0) }; images * images];
    let rows = s.par_chunks(REGIONS * all).zip(chamfer.par_chunks_mut(images)).zip(cross.par_chunks_mut(images));
    rows.zip(best.par_chunks_mut(images)).for_each(|(((s, chamfer), cross), best)| {
        for j in 0..images {
            let at = |r: usize, c: usize| s[r * all + j * REGIONS + c];
            let mut sum = 0.0;
            for r in 0..WINDOWS {
                let mut place = 0;
                for c in 1..WINDOWS {
                    if at(r, c) > at(r, place) {
                        place = c;
                    }
                }
                sum += at(r, place);
                best[j].rows[r] = place as u8;
                let mut place = 0;
                for c in 1..WINDOWS {
                    if at(c, r) > at(place, r) {
                        place = c;
                    }
                }
                sum += at(place, r);
                best[j].columns[r] = place as u8;
            }
            chamfer[j] = sum / (2 * WINDOWS) as f32;
            let whole = (0..REGIONS).map(|c| (WINDOWS, c)).chain((0..WINDOWS).map(|r| (r, WINDOWS)));
            let mut place = (WINDOWS, 0);
            for (r, c) in whole {
                if at(r, c) > at(place.0, place.1) {
                    place = (r, c);
                }
            }
            cross[j] = at(place.0, place.1);
            best[j].cross = (place.0 as u8, place.1 as u8);
        }
    });
    let mut d_chamfer = vec![0f32; images * images];
    let mut d_cross = vec![0f32; images * images];
    if config.region > 0.0 {
        (parts.region, parts.accuracy) = info_nce(&chamfer, sources, config.temperature, config.region, &mut d_chamfer);
    }
    if config.cross > 0.0 {
        (parts.cross, _) = info_nce(&cross, sources, config.temperature, config.cross, &mut d_cross);
    }
    let mut ds = vec![0f32; s.len()];
    let rows = ds.par_chunks_mut(REGIONS * all).zip(d_chamfer.par_chunks(images)).zip(d_cross.par_chunks(images));
    rows.zip(best.par_chunks(images)).for_each(|(((ds, d_chamfer), d_cross), best)| {
        for (j, best) in best.iter().enumerate() {
            let share = d_chamfer[j] / (2 * WINDOWS) as f32;
            for r in 0..WINDOWS {
                ds[r * all + j * REGIONS + usize::from(best.rows[r])] += share;
                ds[usize::from(best.columns[r]) * all + j * REGIONS + r] += share;
            }
            ds[usize::from(best.cross.0) * all + j * REGIONS + usize::from(best.cross.1)] += d_cross[j];
        }
    });
    let (da, db) = products(isa, &ds, (a, b), dims);
    for (g, d) in gradient.iter_mut().zip(da.iter().chain(&db)) {
        *g += d;
    }
}

/// Gradients of the rows of `a` and `b` for the gradient `ds` of all their products.
fn products(isa: Isa, ds: &[f32], (a, b): (&[f32], &[f32]), dims: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = a.len() / dims;
    let of_b = || {
        let mut transposed = vec![];
        transpose(ds, rows, rows, &mut transposed);
        matmul(&transposed, rows, &gemm::Packed::from_columns(isa, a, rows, dims))
    };
    rayon::join(|| matmul(ds, rows, &gemm::Packed::from_columns(isa, b, rows, dims)), of_b)
}

/// The terms on normalised means of windows.
#[allow(clippy::cast_precision_loss)]
fn means(
    isa: Isa,
    config: &LossConfig,
    vectors: &[f32],
    dims: usize,
    sources: &[u32],
    parts: &mut LossParts,
    gradient: &mut [f32],
) {
    let images = sources.len();
    let views = 2 * images;
    let mut means = vec![0f32; views * dims];
    let mut norms = Vec::with_capacity(views);
    for (mean, view) in means.chunks_exact_mut(dims).zip(vectors.chunks_exact(REGIONS * dims)) {
        for region in view.chunks_exact(dims).take(WINDOWS) {
            for (m, v) in mean.iter_mut().zip(region) {
                *m += v / WINDOWS as f32;
            }
        }
        norms.push(normalise(mean));
    }
    let mut d_means = vec![0f32; means.len()];
    let (a, b) = means.split_at(images * dims);
    if config.global > 0.0 {
        let s = matmul(a, images, &gemm::Packed::from_rows(isa, b, images, dims));
        let mut ds = vec![0f32; s.len()];
        let (loss, accuracy) = info_nce(&s, sources, config.temperature, config.global, &mut ds);
        parts.global = loss;
        if config.region == 0.0 {
            parts.accuracy = accuracy;
        }
        let (da, db) = products(isa, &ds, (a, b), dims);
        for (d, g) in d_means.iter_mut().zip(da.iter().chain(&db)) {
            *d += g;
        }
    }
    if config.koleo > 0.0 && views > 1 {
        let s = matmul(&means, views, &gemm::Packed::from_rows(isa, &means, views, dims));
        let mut sum = 0.0;
        for (i, row) in s.chunks_exact(views).enumerate() {
            // Of unit vectors, the nearest is the one with the largest product.
            let mut nearest = usize::from(i == 0);
            for (j, &product) in row.iter().enumerate() {
                if j != i && product > row[nearest] {
                    nearest = j;
                }
            }
            let (x, y) = (&means[i * dims..][..dims], &means[nearest * dims..][..dims]);
            let distance: f32 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
            sum += f64::from(distance.max(MIN_DISTANCE)).ln();
            if distance > MIN_DISTANCE {
                let factor = -config.koleo / (views as f32 * distance);
                for c in 0..dims {
                    let d = factor * (x[c] - y[c]);
                    d_means[i * dims + c] += d;
                    d_means[nearest * dims + c] -= d;
                }
            }
        }
        parts.koleo = -0.5 * sum / views as f64;
    }
    let each = d_means.chunks_exact_mut(dims).zip(means.chunks_exact(dims)).zip(&norms);
    for (((d, mean), &norm), g) in each.zip(gradient.chunks_exact_mut(REGIONS * dims)) {
        normalise_backward(mean, norm, d);
        for region in g.chunks_exact_mut(dims).take(WINDOWS) {
            for (g, d) in region.iter_mut().zip(&*d) {
                *g += d / WINDOWS as f32;
            }
        }
    }
}

/// Symmetric InfoNCE of similarities `[first view][second view]`: the mean over rows and columns of the cross entropy of
/// `similarity / temperature` with the diagonal as the answer; other pairs of the same source are left out. Adds
/// `weight` times the gradient. Gives the loss and the part of rows and columns whose largest value is the diagonal's.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn info_nce(s: &[f32], sources: &[u32], temperature: f32, weight: f32, gradient: &mut [f32]) -> (f64, f64) {
    let n = sources.len();
    let (mut loss, mut right) = (0.0, 0usize);
    let factor = f64::from(weight) / (2.0 * n as f64 * f64::from(temperature));
    let mut logits = vec![0f64; n];
    for by_column in [false, true] {
        for i in 0..n {
            let index = |j: usize| if by_column { j * n + i } else { i * n + j };
            let mut largest = f64::NEG_INFINITY;
            let mut best = true;
            for (j, logit) in logits.iter_mut().enumerate() {
                *logit = if j != i && sources[j] == sources[i] {
                    f64::NEG_INFINITY
                } else {
                    f64::from(s[index(j)]) / f64::from(temperature)
                };
                largest = largest.max(*logit);
            }
            best &= logits[i] >= largest;
            right += usize::from(best);
            let answer = logits[i];
            let mut sum = 0.0;
            for logit in &mut logits {
                *logit = (*logit - largest).exp();
                sum += *logit;
            }
            loss += sum.ln() + largest - answer;
            for (j, p) in logits.iter().enumerate() {
                let wanted = if j == i { 1.0 } else { 0.0 };
                gradient[index(j)] += (factor * (p / sum - wanted)) as f32;
            }
        }
    }
    (loss / (2 * n) as f64, right as f64 / (2 * n) as f64)
}
