//! What changes in a video, compared: likeness is not yet evidence.
//!
//! Of each region the mean over the video's frames is taken off; what is left says what changes. For a
//! query frame i with regions r and a target frame j with regions p, of the first channel:
//!
//! ```text
//! x[i,r] = A[i,r] - mean over frames of A[.,r]          (codes as +-1, or region vectors as they are)
//! C[i,j] = sum over r of |x[i,r]|^2 max over p of cos(x[i,r], y[j,p]) / sum over r of |x[i,r]|^2
//! ```
//!
//! with `cos(x, y) = <x, y> / sqrt((|x|^2 + s) (|y|^2 + s))`, s a fiftieth of a code's squared length: what
//! changes less than that is noise. Two takes of one scene, or two slides of one template, look alike
//! and have a C near 0 everywhere; a copy has a high C where the moments are the same.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use vidsieve_kernels::Isa;
use vidsieve_kernels::hamming::residual::{Changes, Residuals};
use vidsieve_kernels::hamming::{self, Shape};

use crate::config::Channel;
use crate::fine::{InputError, VideoTensor};
use crate::footage::Footage;
use crate::math::dot;

/// The share of a code's squared length that is added to residuals' before they are normalised.
const NOISE: f32 = 0.02;

/// What changes in some regions of a video's codes, before it is compared with any other.
#[derive(Debug)]
struct OfCodes {
    isa: Isa,
    regions: Range<usize>,
    changes: Changes,
    energies: Vec<f32>,
    novelties: Vec<f32>,
}

impl OfCodes {
    fn new(isa: Isa, shape: Shape, codes: &[u8], regions: Range<usize>) -> Result<Self, InputError> {
        let part = hamming::Part::new(shape, codes, regions.clone())?;
        let changes = Changes::of_part(isa, &part)?;
        #[allow(clippy::cast_precision_loss)]
        let (whole, steps) = (shape.bits() as f32, part.steps().into_iter().map(|d| 4.0 * d as f32).collect());
        Ok(Self {
            isa,
            energies: per_frame(changes.energies(), regions.len(), whole),
            novelties: novelty(steps, changes.energies()),
            regions,
            changes,
        })
    }
}

/// What changes in a video that is compared with many: kept from its first comparison on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(OnceLock<Arc<OfCodes>>);

/// It follows from the video that it is kept with.
impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Kept {
    fn of(&self, isa: Isa, shape: Shape, codes: &[u8], regions: Range<usize>) -> Result<Arc<OfCodes>, InputError> {
        if let Some(kept) = self.0.get().filter(|kept| kept.isa == isa && kept.regions == regions) {
            return Ok(Arc::clone(kept));
        }
        let made = Arc::new(OfCodes::new(isa, shape, codes, regions)?);
        // Of two that are made at once, or of other regions, the first is kept.
        let _ = self.0.set(Arc::clone(&made));
        Ok(made)
    }
}

/// A pair of videos of which changes are compared.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    query: &'a VideoTensor,
    regions: Range<usize>,
    /// A weight for each region of each query frame; they have the sums of C.
    weights: Vec<f32>,
    energies: [Vec<f32>; 2],
    novelties: [Vec<f32>; 2],
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Codes(Box<Residuals>),
    /// Residuals of both videos, `[frames][regions][dims]`, the target's normalised.
    Floats {
        query: Vec<f32>,
        target: Vec<f32>,
        regions: usize,
        dims: usize,
    },
}

impl<'a> Change<'a> {
    /// A pair of videos of one layout, compared in `channel`.
    ///
    /// # Errors
    /// [`InputError::Mismatch`] for videos of different layouts, [`InputError::Codes`] for codes that
    /// the kernels do not take.
    pub(crate) fn new(
        isa: Isa,
        channel: &Channel,
        query: &'a Footage,
        target: &'a Footage,
    ) -> Result<Self, InputError> {
        let [asked, given] = [channel.query, channel.target].map(|[start, end]| start..end);
        match (query.tensor(), target.tensor()) {
            (VideoTensor::Codes { data, shape, .. }, VideoTensor::Codes { data: other, shape: same, .. })
                if shape == same =>
            {
                let of_query = query.changing().of(isa, *shape, data, asked.clone())?;
                let of_target = OfCodes::new(isa, *shape, other, given)?;
                #[allow(clippy::cast_precision_loss)]
                let whole = shape.bits() as f32;
                let scales: Vec<f32> =
                    of_target.changes.energies().iter().map(|e| 1.0 / (e + NOISE * whole).sqrt()).collect();
                let weights = weights(of_query.changes.energies(), asked.len(), whole);
                Ok(Self {
                    query: query.tensor(),
                    regions: asked,
                    weights,
                    energies: [of_query.energies.clone(), of_target.energies],
                    novelties: [of_query.novelties.clone(), of_target.novelties],
                    kind: Kind::Codes(Box::new(Residuals::new(&of_query.changes, of_target.changes, &scales))),
                })
            }
            (
                VideoTensor::Float { data, regions, dims, .. },
                VideoTensor::Float { data: other, regions: r, dims: d, .. },
            ) if regions == r && dims == d => {
                let residuals = |data: &[f32], range: &Range<usize>| residuals_of(data, [*regions, *dims], range);
                let of_query = residuals(data, &asked);
                let mut of_target = residuals(other, &given);
                let energy = |x: &[f32]| -> Vec<f32> { x.chunks_exact(*dims).map(|v| dot(v, v)).collect() };
                let (query_energy, target_energy) = (energy(&of_query), energy(&of_target));
                let novelties = [
                    novelty(steps(&of_query, asked.len() * dims), &query_energy),
                    novelty(steps(&of_target, given.len() * dims), &target_energy),
                ];
                for (values, energy) in of_target.chunks_exact_mut(*dims).zip(&target_energy) {
                    values.iter_mut().for_each(|v| *v /= (energy + NOISE).sqrt());
                }
                Ok(Self {
                    query: query.tensor(),
                    weights: weights(&query_energy, asked.len(), 1.0),
                    energies: [per_frame(&query_energy, asked.len(), 1.0), per_frame(&target_energy, given.len(), 1.0)],
                    novelties,
                    kind: Kind::Floats { query: of_query, target: of_target, regions: given.len(), dims: *dims },
                    regions: asked,
                })
            }
            (query, target) => Err(InputError::Mismatch { query: query.layout(), target: target.layout() }),
        }
    }

    /// Of each frame of the query and of the target how much of it changes: the mean over its regions of
    /// the squared length of what is left, over that of a code; 0 for a still scene.
    pub(crate) const fn energies(&self) -> &[Vec<f32>; 2] {
        &self.energies
    }

    /// Of each frame of the query and of the target how much it differs from the one before, in [0, 1]: 1 for
    /// as much as any two frames of the video differ, 0 for the same picture; of the first 1.
    pub(crate) const fn novelties(&self) -> &[Vec<f32>; 2] {
        &self.novelties
    }

    /// The rows `rows` of C, `[rows][Tt]`.
    pub(crate) fn fill(&self, rows: &Range<usize>, out: &mut [f32]) -> Result<(), InputError> {
        let n = self.regions.len();
        let weights = &self.weights[rows.start * n..rows.end * n];
        match (&self.kind, self.query) {
            (Kind::Codes(residuals), VideoTensor::Codes { data, shape, .. }) => {
                let bytes = shape.frame_bytes();
                let data = &data[rows.start * bytes..rows.end * bytes];
                let part = hamming::Part::new(*shape, data, self.regions.clone())?;
                residuals.rows(rows.start, &part, weights, out);
            }
            (Kind::Floats { query, target, regions, dims }, _) => {
                let query = &query[rows.start * n * dims..rows.end * n * dims];
                let (frame, of_target) = (n * dims, regions * dims);
                let width = target.len() / of_target;
                for ((x, weights), out) in
                    query.chunks_exact(frame).zip(weights.chunks_exact(n)).zip(out.chunks_exact_mut(width.max(1)))
                {
                    for (y, out) in target.chunks_exact(of_target).zip(out) {
                        let best = |x: &[f32]| y.chunks_exact(*dims).map(|y| dot(x, y)).fold(f32::MIN, f32::max);
                        *out = x.chunks_exact(*dims).zip(weights).map(|(x, w)| w * best(x)).sum();
                    }
                }
            }
            (Kind::Codes(_), VideoTensor::Float { .. }) => out.fill(0.0),
        }
        Ok(())
    }
}

/// What each product with a region of the query counts: `|x|^2 / sqrt(|x|^2 + s)` over the frame's sum of `|x|^2`.
fn weights(energies: &[f32], regions: usize, whole: f32) -> Vec<f32> {
    let of_frame = |frame: &[f32]| -> Vec<f32> {
        let sum = frame.iter().sum::<f32>().max(1e-6 * whole);
        frame.iter().map(|e| e / (e + NOISE * whole).sqrt() / sum).collect()
    };
    energies.chunks_exact(regions.max(1)).flat_map(of_frame).collect()
}

/// Squared distances of frames from those before them over twice the mean energy of a frame.
#[allow(clippy::cast_precision_loss)]
fn novelty(steps: Vec<f32>, energies: &[f32]) -> Vec<f32> {
    let frames = (steps.len() + 1) as f32;
    let twice = (2.0 * energies.iter().sum::<f32>() / frames).max(1e-6);
    std::iter::once(1.0).chain(steps.into_iter().map(|step| (step / twice).min(1.0))).collect()
}

/// Squared distances of rows of `width` values from those before them.
fn steps(values: &[f32], width: usize) -> Vec<f32> {
    let rows = values.chunks_exact(width.max(1));
    rows.clone().zip(rows.skip(1)).map(|(a, b)| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()).collect()
}

#[allow(clippy::cast_precision_loss)]
fn per_frame(energies: &[f32], regions: usize, whole: f32) -> Vec<f32> {
    let scale = 1.0 / (whole * regions.max(1) as f32);
    energies.chunks_exact(regions.max(1)).map(|frame| frame.iter().sum::<f32>() * scale).collect()
}

/// The regions `range` of `[T][R][D]`, less the mean of each over the frames.
#[allow(clippy::cast_precision_loss)]
fn residuals_of(data: &[f32], [regions, dims]: [usize; 2], range: &Range<usize>) -> Vec<f32> {
    let (frame, start, n) = (regions * dims, range.start * dims, range.len() * dims);
    let frames = || data.chunks_exact(frame.max(1)).map(|values| &values[start..start + n]);
    let mut mean = vec![0f32; n];
    frames().for_each(|values| mean.iter_mut().zip(values).for_each(|(m, v)| *m += v));
    let total = frames().len().max(1) as f32;
    mean.iter_mut().for_each(|m| *m /= total);
    frames().flat_map(|values| values.iter().zip(&mean).map(|(v, m)| v - m)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CHANNEL: Channel = Channel { query: [0, 2], target: [0, 2], transposed: false };

    /// Codes of `frames` frames: a scene, of which a part of the bits changes from frame to frame.
    fn video(scene: u64, moves: u64, frames: usize) -> Footage {
        let mut state = moves | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        let bytes = |i: usize| (scene.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7 * i as u32) >> 5) as u8;
        let data = (0..frames * 64).map(|i| if i % 4 == 0 { next() } else { bytes(i % 64) }).collect();
        let shape = hamming::Shape::new(2, 256).unwrap();
        Footage::of_tensor(&VideoTensor::Codes { data, frames, shape })
    }

    fn map(query: &Footage, target: &Footage) -> Vec<Vec<f32>> {
        let change = Change::new(Isa::best(), &CHANNEL, query, target).unwrap();
        let mut out = vec![0f32; query.len() * target.len()];
        change.fill(&(0..query.len()), &mut out).unwrap();
        // A row alone is the same.
        let mut last = vec![0f32; target.len()];
        change.fill(&(query.len() - 1..query.len()), &mut last).unwrap();
        assert_eq!(last, out[(query.len() - 1) * target.len()..]);
        out.chunks_exact(target.len()).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn the_same_moments_are_told_from_the_same_scene() {
        let (copy, take) = (map(&video(5, 77, 12), &video(5, 77, 12)), map(&video(5, 77, 12), &video(5, 1234, 12)));
        for i in 0..12 {
            assert!(copy[i][i] > 0.7, "{}", copy[i][i]);
            for j in 0..12 {
                assert!(take[i][j] < 0.4 && (i == j || copy[i][j] < 0.4), "{} {}", take[i][j], copy[i][j]);
            }
        }
    }

    #[test]
    fn a_still_scene_changes_nothing() {
        let one = video(5, 77, 1);
        let still = Footage::of_tensor(&one.tensor().select(&[0; 8]));
        let change = Change::new(Isa::best(), &CHANNEL, &still, &still).unwrap();
        assert!(change.energies().iter().flatten().all(|&e| e < 0.02), "{:?}", change.energies());
    }

    #[test]
    fn floats_are_compared_as_codes_are() {
        let (a, b) = (video(5, 77, 10), video(5, 99, 7));
        let floats = |footage: &Footage| {
            let VideoTensor::Codes { data, frames, .. } = footage.tensor() else { panic!("codes") };
            let sign = |byte: &u8| {
                (0..8).map(|k| if byte >> k & 1 == 1 { 1.0 / 16.0 } else { -1.0 / 16.0 }).collect::<Vec<f32>>()
            };
            let data = data.iter().flat_map(sign).collect();
            Footage::of_tensor(&VideoTensor::Float { data, frames: *frames, regions: 2, dims: 256 })
        };
        for (a, b) in [(&a, &b), (&b, &a), (&a, &a)] {
            for (x, y) in map(a, b).concat().iter().zip(map(&floats(a), &floats(b)).concat()) {
                assert!((x - y).abs() < 0.02, "{x} {y}: the mean of codes is rounded");
            }
        }
    }

    #[test]
    fn unlike_layouts_are_refused() {
        let floats = Footage::of_tensor(&VideoTensor::Float { data: vec![0.0; 8], frames: 2, regions: 2, dims: 2 });
        assert!(matches!(
            Change::new(Isa::best(), &CHANNEL, &video(1, 2, 3), &floats),
            Err(InputError::Mismatch { .. })
        ));
    }
}
