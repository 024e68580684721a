//! Where two videos show the same footage: straight stretches along which they look alike and change
//! alike.
//!
//! Every cell of the frame maps - a frame of the query, a frame of the target - has a gain, the logarithm of the odds that
//! its frames are the same moment, from the likeness A ([`crate::fine::Fine::frame_similarity`]) and the
//! change C (residual codes compared; `docs/mathematics.md`, §6) of its frames:
//!
//! ```text
//! gain = cell[0] + cell[1] (C - median) + cell[2] (C - row mean - column mean + mean) / (its root mean square + 0.02) + cell[3] A
//! ```
//!
//! limited to -0.7 to 2.5 and counted by informative time. A segment is the stretch of a line of constant speed, half to twice, with the
//! greatest sum; those that overlap it are dropped, and the next is looked for. A stretch is
//! the same footage with the probability
//!
//! ```text
//! sigmoid(segment . [1, ln(1 + sum), min(C - median, 0.5), A, gain, ln(seconds), ln(energy + 0.01), ln(moments),
//!                    min(step, 0.5), ln(1 + max(z, 0))])
//! ```
//!
//! of its means over the stretch; `energy` is how much the query changes at all, `moments` how many different pictures
//! the stretch shows in either video, whichever are fewer: a slide that stays is one. `step` tells whether the next half
//! second changes alike, `C[i,j] + C[i',j'] - C[i,j'] - C[i',j]` in the mean, and `z` is the same in units of what it is
//! elsewhere in the target: two recordings that fill the same window with other words change alike over minutes, not from
//! one moment to the next.

mod lines;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use self::lines::{Stretch, step, stretches};
use crate::footage::{FULL, Footage};
use crate::math::sigmoid;

/// Cells of a map above which squares of cells become one.
const MOST_CELLS: usize = 4_000_000;
/// Likeness of two frames below which no frame of a pair is worth a look at what changes: those of the same moment are above it after any
/// edit that is found at all, those of unrelated footage rarely.
const WORTH: f32 = 0.4;
/// Limits of a cell's gain: a few frames that do not match are passed over.
const LIMITS: [f32; 2] = [-0.7, 2.5];
/// What is added to the root mean square of the centred map: changes below it are rounding of codes.
const FLOOR: f32 = 0.02;
/// Seconds, of the query and of the target at least, of the steps by which a stretch is looked at from moment to moment.
const LAG: [f64; 2] = [0.499, 0.2];
/// Places of the target, at most, that a step is compared with.
const ELSEWHERE: usize = 24;
/// The least sum of gains, in seconds, of a stretch.
const LEAST: f32 = 0.3;
/// Most segments of a pair.
const MOST: usize = 16;
/// Of two stretches that overlap in one of the videos alone, the second is kept if its mean gain is at least this share of the
/// first's: a scene that comes twice is, one that merely resembles itself is not.
const REPEAT: f32 = 0.8;
/// Energy below which a video counts as still: nothing in it tells a take from a copy.
pub const STILL: f32 = 0.03;
/// Probability from which on a stretch counts as the same footage.
pub const SURE: f32 = 0.5;

/// Number of weights of a cell.
pub const CELL_WEIGHTS: usize = 4;
/// Number of weights of a stretch.
pub const SEGMENT_WEIGHTS: usize = 10;

/// How maps become segments: weights that were fitted on pairs with known alignment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignmentWeights {
    /// Of a cell: offset, change, centred change, likeness.
    pub cell: [f32; CELL_WEIGHTS],
    /// Of a stretch: offset, and its nine values.
    pub segment: [f32; SEGMENT_WEIGHTS],
}

impl Default for AlignmentWeights {
    fn default() -> Self {
        Self { cell: [-5.0, 0.0, 3.2, 4.0], segment: [-6.64, 0.04, 4.88, 1.85, 0.19, 0.09, -0.96, 1.15, 3.08, 0.61] }
    }
}

impl AlignmentWeights {
    /// Checks the weights; the text says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.cell.iter().chain(&self.segment).all(|w| w.is_finite()) {
            Ok(())
        } else {
            Err("alignment: weights must be finite".into())
        }
    }

    /// The probability that a stretch with these values is the same footage.
    #[must_use]
    pub fn probability(&self, values: &[f32; SEGMENT_WEIGHTS - 1]) -> f32 {
        let [offset, weights @ ..] = &self.segment;
        sigmoid(offset + weights.iter().zip(values).map(|(w, v)| w * v).sum::<f32>())
    }
}

/// A stretch of two videos that may show the same footage.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignedFrames {
    /// The aligned frames of both videos, in order: frame of the query, frame of the target.
    pub frames: Vec<(usize, usize)>,
    /// Start and end in the query and in the target, in seconds: half a sample of the video that is sampled more densely beyond the
    /// outermost frames. They may reach beyond the videos.
    pub seconds: [[f64; 2]; 2],
    /// Seconds of the target a second of the query.
    pub speed: f64,
    /// What its probability is made of: `ln(1 + sum), min(C - median, 0.5), A, gain, ln(seconds), ln(energy + 0.01),
    /// ln(moments), min(step, 0.5), ln(1 + max(z, 0))`.
    pub values: [f32; SEGMENT_WEIGHTS - 1],
    /// The probability that it is the same footage.
    pub probability: f32,
    /// Rows and columns among the informative frames.
    cells: Vec<(usize, usize)>,
}

impl AlignedFrames {
    /// The mean likeness A of its frames, in [-1, 1].
    #[must_use]
    pub const fn likeness(&self) -> f32 {
        self.values[2]
    }

    /// Whether it counts as the same footage.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        self.probability >= SURE
    }
}

/// Informative time of a pair that is the same footage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Matched {
    /// Seconds of the query, and of the target, within sure segments.
    pub seconds: [f64; 2],
    /// Informative seconds of the query and of the target.
    pub of: [f64; 2],
    /// The share of the query's time within segments, each counted by its probability, in [0, 1].
    pub expected: f64,
}

impl Matched {
    /// Shares of informative time within sure segments, in [0, 1].
    #[must_use]
    pub fn shares(&self) -> [f64; 2] {
        [0, 1].map(|side| if self.of[side] > 0.0 { (self.seconds[side] / self.of[side]).min(1.0) } else { 0.0 })
    }
}

/// What the frame maps of a pair tell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aligned {
    /// Stretches, best first, sure or not.
    pub segments: Vec<AlignedFrames>,
    /// Informative time that is the same.
    pub matched: Matched,
    /// The mean over the query's frames, by weight, of the greatest likeness, in [-1, 1].
    pub likeness: f32,
    /// How much the query and the target change; below [`STILL`] nothing tells a take from a copy. 0 where no frames are alike
    /// enough to look at it.
    pub energies: [f32; 2],
    /// First and last informative frame of the query and of the target; zeros where there is none.
    pub informative: [[usize; 2]; 2],
}

impl Aligned {
    /// Whether one of the videos changes too little to tell a take of the scene from a copy.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.energies.iter().any(|&e| e < STILL)
    }
}

/// The maps of a pair, filled band by band. Of more cells than 4,000,000 it keeps the cell of each square that changes most alike: memory does
/// not grow with the product of the lengths.
#[derive(Debug)]
pub(crate) struct Maps<'a> {
    query: &'a Footage,
    target: &'a Footage,
    stride: usize,
    change: Array2<f32>,
    likeness: Array2<f32>,
    rows: Vec<f64>,
    columns: Vec<f64>,
    squares: f64,
    greatest: Vec<f32>,
}

impl<'a> Maps<'a> {
    pub(crate) fn new(query: &'a Footage, target: &'a Footage) -> Self {
        let (h, w) = (query.len(), target.len());
        let mut stride = 1;
        while h.div_ceil(stride) * w.div_ceil(stride) > MOST_CELLS {
            stride += 1;
        }
        let shape = (h.div_ceil(stride), w.div_ceil(stride));
        Self {
            query,
            target,
            stride,
            change: Array2::from_elem(shape, f32::NEG_INFINITY),
            likeness: Array2::zeros(shape),
            rows: Vec::with_capacity(h),
            columns: vec![0.0; w],
            squares: 0.0,
            greatest: Vec::with_capacity(h),
        }
    }

    /// Whether every cell is kept: then likeness may be filled first, and change only where it pays ([`Maps::is_worth`]).
    pub(crate) const fn is_whole(&self) -> bool {
        self.stride == 1
    }

    /// The next row of likeness, of whole maps.
    pub(crate) fn add_likeness(&mut self, likeness: &[f32]) {
        let row = self.greatest.len();
        if row < self.query.len() {
            self.greatest.push(likeness.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            self.likeness.row_mut(row).iter_mut().zip(likeness).for_each(|(cell, &a)| *cell = a);
        }
    }

    /// Whether any two frames are alike enough to look for what changes.
    pub(crate) fn is_worth(&self) -> bool {
        self.greatest.iter().any(|&a| a >= WORTH)
    }

    /// The next row of change, of whole maps.
    pub(crate) fn add_change(&mut self, change: &[f32]) {
        let row = self.rows.len();
        if row < self.query.len() {
            self.count(change);
            self.change.row_mut(row).iter_mut().zip(change).for_each(|(cell, &c)| *cell = c);
        }
    }

    /// The next row of both maps.
    pub(crate) fn add(&mut self, likeness: &[f32], change: &[f32]) {
        let row = self.rows.len();
        if row >= self.query.len() {
            return;
        }
        self.count(change);
        self.greatest.push(likeness.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let cells = self.change.row_mut(row / self.stride).into_iter().zip(self.likeness.row_mut(row / self.stride));
        let (changes, alike) = (change.chunks(self.stride), likeness.chunks(self.stride));
        for (((cell, like), changes), alike) in cells.zip(changes).zip(alike) {
            for (&c, &a) in changes.iter().zip(alike) {
                if c > *cell {
                    (*cell, *like) = (c, a);
                }
            }
        }
    }

    /// Counts a row of change into the sums by rows and columns.
    fn count(&mut self, change: &[f32]) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for (column, &c) in self.columns.iter_mut().zip(change) {
            let c = f64::from(c);
            sum += c;
            squares += c * c;
            *column += c;
        }
        self.squares += squares;
        self.rows.push(sum);
    }

    /// The value that half of the cells are below; of many cells, of every so many.
    fn median(&self) -> f32 {
        const SAMPLE: usize = 1 << 16;
        let every = self.change.len().div_ceil(SAMPLE).max(1);
        let mut values: Vec<f32> = self.change.iter().copied().step_by(every).collect();
        if values.is_empty() {
            return 0.0;
        }
        let middle = (values.len() - 1) / 2;
        *values.select_nth_unstable_by(middle, f32::total_cmp).1
    }

    /// The segments of the pair; `energies` are those of the query's and the target's frames.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(crate) fn finish(
        self,
        energies: &[Vec<f32>; 2],
        novelties: &[Vec<f32>; 2],
        weights: &AlignmentWeights,
    ) -> Aligned {
        let (h, w) = (self.query.len(), self.target.len());
        let energies = [weighted(&energies[0], self.query), weighted(&energies[1], self.target)];
        let of = [self.query.seconds(), self.target.seconds()];
        let likeness = weighted(&self.greatest, self.query);
        let informative = [self.query, self.target].map(|video| match video.frames() {
            [] => [0; 2],
            frames @ [first, ..] => [*first, frames[frames.len() - 1]],
        });
        if h == 0 || w == 0 || self.rows.is_empty() {
            let matched = Matched { of, ..Matched::default() };
            let likeness = if h == 0 || w == 0 { 0.0 } else { likeness };
            return Aligned { segments: Vec::new(), matched, likeness, energies, informative };
        }
        let gains = Gains::new(&self, weights);
        let segments = gains.segments(weights, energies[0], novelties);
        let matched = matched(&segments, self.query, self.target, of);
        Aligned { segments, matched, likeness, energies, informative }
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn weighted(values: &[f32], footage: &Footage) -> f32 {
    let (sum, of) = values
        .iter()
        .zip(footage.weights())
        .fold((0f64, 0f64), |(sum, of), (v, w)| (sum + f64::from(*v) * f64::from(*w), of + f64::from(*w)));
    (sum / of.max(1e-9)) as f32
}

/// Gains of the cells, by bins of the target's time.
struct Gains<'a, 'b> {
    maps: &'b Maps<'a>,
    median: f32,
    weights: [f32; CELL_WEIGHTS],
    row_means: Vec<f32>,
    column_means: Vec<f32>,
    mean: f32,
    spread: f32,
    row_seconds: Vec<f32>,
    row_times: Vec<f64>,
    column_times: Vec<f64>,
    column_weights: Vec<f32>,
    /// The bin of each column, not decreasing.
    bins: Vec<usize>,
    bin: f64,
}

impl<'a, 'b> Gains<'a, 'b> {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn new(maps: &'b Maps<'a>, weights: &AlignmentWeights) -> Self {
        let (h, w, stride) = (maps.query.len(), maps.target.len(), maps.stride);
        let (height, width) = (h as f64, w as f64);
        let mean = maps.rows.iter().sum::<f64>() / (height * width);
        let squared = |sums: &[f64], n: f64| sums.iter().map(|s| (s / n).powi(2)).sum::<f64>() / sums.len() as f64;
        let variance =
            maps.squares / (height * width) - squared(&maps.rows, width) - squared(&maps.columns, height) + mean * mean;
        let means = |sums: &[f64], n: f64| -> Vec<f32> {
            sums.chunks(stride).map(|part| (part.iter().sum::<f64>() / (n * part.len() as f64)) as f32).collect()
        };
        let centre = |values: &[f64]| -> Vec<f64> {
            values.chunks(stride).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect()
        };
        let shares = |footage: &Footage| -> Vec<f32> {
            let share =
                |part: &[u8]| part.iter().map(|&w| f32::from(w)).sum::<f32>() / (f32::from(FULL) * part.len() as f32);
            footage.weights().chunks(stride).map(share).collect()
        };
        let row_times = centre(maps.query.times());
        let column_times = centre(maps.target.times());
        let bin = maps.query.period().max(maps.target.period()) * stride as f64;
        let first = column_times.first().copied().unwrap_or(0.0);
        let bins = column_times.iter().map(|t| ((t - first) / bin).round() as usize).collect();
        let unit = (maps.query.period() as f32).min(1.0) * stride as f32;
        Self {
            median: maps.median(),
            weights: weights.cell,
            row_means: means(&maps.rows, width),
            column_means: means(&maps.columns, height),
            mean: mean as f32,
            spread: variance.max(0.0).sqrt() as f32 + FLOOR,
            row_seconds: shares(maps.query).into_iter().map(|share| share * unit).collect(),
            row_times: row_times.iter().map(|t| t - row_times[0]).collect(),
            column_weights: shares(maps.target),
            column_times,
            bins,
            bin,
            maps,
        }
    }

    /// The gain of a cell before its limits.
    fn raw(&self, i: usize, j: usize) -> f32 {
        let (c, a) = (self.maps.change[[i, j]], self.maps.likeness[[i, j]]);
        let centred = (c - self.row_means[i] - self.column_means[j] + self.mean) / self.spread;
        let [offset, change, of_centred, likeness] = self.weights;
        offset + change * (c - self.median) + of_centred * centred + likeness * a
    }

    fn gain(&self, i: usize, j: usize) -> f32 {
        self.raw(i, j).clamp(LIMITS[0], LIMITS[1]) * self.row_seconds[i] * self.column_weights[j]
    }

    /// The column of a bin with the greatest gain.
    fn column(&self, i: usize, bin: usize) -> Option<usize> {
        let columns = self.bins.partition_point(|&b| b < bin)..self.bins.partition_point(|&b| b <= bin);
        columns.max_by(|&a, &b| self.gain(i, a).total_cmp(&self.gain(i, b)))
    }

    fn segments(&self, weights: &AlignmentWeights, energy: f32, novelties: &[Vec<f32>; 2]) -> Vec<AlignedFrames> {
        let bins = self.bins.last().map_or(0, |last| last + 1);
        let found = stretches(&self.row_times, bins, self.bin, LEAST, |i, row| {
            // Time of the target without an informative frame is passed over.
            row.fill(f32::NEG_INFINITY);
            for (j, &bin) in self.bins.iter().enumerate() {
                row[bin] = row[bin].max(self.gain(i, j));
            }
            row.iter_mut().filter(|gain| **gain == f32::NEG_INFINITY).for_each(|gain| *gain = 0.0);
        });
        let mut kept: Vec<AlignedFrames> = Vec::new();
        for stretch in &found {
            if kept.len() == MOST {
                break;
            }
            let Some(segment) = self.segment(stretch, weights, energy, novelties) else { continue };
            let shadowed = kept.iter().any(|other| {
                let [query, target] = overlaps(&segment.frames, &other.frames);
                (query > 0.5 && target > 0.5)
                    || (query.max(target) > 0.5
                        && (segment.values[3] < REPEAT * other.values[3]
                            || 2 * segment.frames.len() < other.frames.len()))
            });
            if !shadowed {
                kept.push(segment);
            }
        }
        kept
    }

    /// How far the step from one moment to a later one of a stretch is the same in both videos: the mean over its cells of
    /// `d = C[i,j] + C[i',j'] - C[i,j'] - C[i',j]`, with (i', j') the first cell of it that is [`LAG`] later; and that mean
    /// times the root of the number of cells, 16 at most, over the root mean square of d of the same rows elsewhere in
    /// the target. Both are 0 for a stretch that is shorter.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn local_change(&self, cells: &[(usize, usize)]) -> [f32; 2] {
        let (c, width) = (&self.maps.change, self.maps.change.ncols());
        let every = width.div_ceil(ELSEWHERE).max(1);
        let (mut sum, mut count) = (0f64, 0u32);
        let (mut squares, mut others) = (0f64, 0u32);
        for (k, &(i, j)) in cells.iter().enumerate() {
            let later = |&&(row, column): &&(usize, usize)| {
                self.row_times[row] - self.row_times[i] >= LAG[0]
                    && self.column_times[column] - self.column_times[j] >= LAG[1]
            };
            let Some(&(row, column)) = cells[k..].iter().find(later) else { continue };
            let step = |j: usize, column: usize| f64::from(c[[i, j]] + c[[row, column]] - c[[i, column]] - c[[row, j]]);
            sum += step(j, column);
            count += 1;
            let span = column - j;
            for start in (j % every..width.saturating_sub(span)).step_by(every).filter(|start| start.abs_diff(j) > span)
            {
                squares += step(start, start + span).powi(2);
                others += 1;
            }
        }
        if count == 0 {
            return [0.0; 2];
        }
        let mean = sum / f64::from(count);
        let elsewhere = (squares / f64::from(others.max(1))).sqrt() + f64::from(FLOOR);
        [mean as f32, (mean * f64::from(count.min(16)).sqrt() / elsewhere) as f32]
    }

    #[allow(clippy::cast_precision_loss)]
    fn segment(
        &self,
        stretch: &Stretch,
        weights: &AlignmentWeights,
        energy: f32,
        novelties: &[Vec<f32>; 2],
    ) -> Option<AlignedFrames> {
        // Rows that fall in one bin may like its columns in another order: a stretch never goes back.
        let mut furthest = 0;
        let cells: Vec<(usize, usize)> = (stretch.rows[0]..=stretch.rows[1])
            .filter_map(|i| {
                let bin = usize::try_from(step(stretch.speed, self.row_times[i], self.bin) + stretch.shift).ok()?;
                furthest = self.column(i, bin)?.max(furthest);
                Some((i, furthest))
            })
            .collect();
        let mut sums = [0f32; 4];
        for &(i, j) in &cells {
            let weight = self.row_seconds[i] * self.column_weights[j];
            let change = self.maps.change[[i, j]] - self.median;
            for (sum, value) in sums.iter_mut().zip([1.0, change, self.maps.likeness[[i, j]], self.raw(i, j)]) {
                *sum += weight * value;
            }
        }
        let [seconds, change, likeness, gain] = sums;
        if seconds <= 0.0 {
            return None;
        }
        let stride = self.maps.stride;
        let local = self.local_change(&cells);
        let cells: Vec<(usize, usize)> = cells.iter().map(|&(i, j)| (i * stride, j * stride)).collect();
        let [query, target] = bounds(&cells);
        let moments = |novelties: &[f32], from: usize, to: usize| -> f32 {
            1.0 + novelties.get(from + 1..=to).unwrap_or_default().iter().sum::<f32>()
        };
        let moments = moments(&novelties[0], query[0], query[1]).min(moments(&novelties[1], target[0], target[1]));
        let values = [
            stretch.sum.ln_1p(),
            (change / seconds).min(0.5),
            likeness / seconds,
            gain / seconds,
            seconds.max(0.1).ln(),
            (energy + 0.01).ln(),
            moments.ln(),
            local[0].min(0.5),
            local[1].max(0.0).ln_1p(),
        ];
        let whole = |footage: &Footage, place: usize| footage.frames()[place.min(footage.len() - 1)];
        let frames = cells.iter().map(|&(i, j)| (whole(self.maps.query, i), whole(self.maps.target, j))).collect();
        Some(AlignedFrames {
            frames,
            seconds: intervals(&cells, stretch.speed, self.maps.query, self.maps.target),
            speed: stretch.speed,
            values,
            probability: weights.probability(&values),
            cells,
        })
    }
}

/// First and last place of a stretch in the query and in the target.
fn bounds(cells: &[(usize, usize)]) -> [[usize; 2]; 2] {
    let of = |side: fn(&(usize, usize)) -> usize| [cells.first().map_or(0, side), cells.last().map_or(0, side)];
    [of(|c| c.0), of(|c| c.1)]
}

/// Of the shorter of two stretches the share of its frames that both cover, in the query and in the target.
#[allow(clippy::cast_precision_loss)]
fn overlaps(a: &[(usize, usize)], b: &[(usize, usize)]) -> [f64; 2] {
    let (a, b) = (bounds(a), bounds(b));
    [0, 1].map(|side| {
        let ([a0, a1], [b0, b1]) = (a[side], b[side]);
        let both = (a1.min(b1) + 1).saturating_sub(a0.max(b0));
        both as f64 / (a1 - a0 + 1).min(b1 - b0 + 1) as f64
    })
}

/// When a stretch begins and ends in both videos. The video that is sampled more densely tells; its times give those of the
/// other one, by the speed and the mean place of the cells.
#[allow(clippy::cast_precision_loss)]
fn intervals(cells: &[(usize, usize)], speed: f64, query: &Footage, target: &Footage) -> [[f64; 2]; 2] {
    let [of_query, of_target] = bounds(cells);
    let time = |video: &Footage, i: usize| video.times().get(i).copied().unwrap_or(0.0);
    let offset = cells.iter().map(|&(i, j)| time(target, j) - speed * time(query, i)).sum::<f64>() / cells.len() as f64;
    let wider =
        |video: &Footage, [first, last]: [usize; 2], half: f64| [time(video, first) - half, time(video, last) + half];
    if query.period() * speed <= target.period() {
        let seconds = wider(query, of_query, query.period() / 2.0);
        [seconds, seconds.map(|t| speed * t + offset)]
    } else {
        let seconds = wider(target, of_target, target.period() / 2.0);
        [seconds.map(|t| (t - offset) / speed), seconds]
    }
}

/// Informative time within the segments.
fn matched(segments: &[AlignedFrames], query: &Footage, target: &Footage, of: [f64; 2]) -> Matched {
    let mut expected = vec![0f64; query.len()];
    let mut covered = [vec![0f64; query.len()], vec![0f64; target.len()]];
    for segment in segments {
        let probability = f64::from(segment.probability);
        for (i, most) in expected.iter_mut().enumerate() {
            *most = most.max(probability * query.share_within(i, segment.seconds[0]));
        }
        if segment.is_sure() {
            for ((covered, footage), seconds) in covered.iter_mut().zip([query, target]).zip(segment.seconds) {
                for (i, share) in covered.iter_mut().enumerate() {
                    *share = (*share + footage.share_within(i, seconds)).min(1.0);
                }
            }
        }
    }
    let within =
        |shares: &[f64], footage: &Footage| shares.iter().zip(footage.spans()).map(|(p, s)| p * s).sum::<f64>();
    Matched {
        seconds: [within(&covered[0], query), within(&covered[1], target)],
        of,
        expected: if of[0] > 0.0 { (within(&expected, query) / of[0]).min(1.0) } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fine::VideoTensor;

    fn video(frames: usize, rate: f64) -> Footage {
        let tensor = VideoTensor::Float { data: vec![0.0; frames * 2], frames, regions: 1, dims: 2 };
        #[allow(clippy::cast_precision_loss)]
        let times: Vec<f64> = (0..frames).map(|i| i as f64 / rate).collect();
        #[allow(clippy::cast_precision_loss)]
        Footage::new(&tensor, &times, frames as f64 / rate, &[])
    }

    fn stretch(cells: Vec<(usize, usize)>, speed: f64, query: &Footage, target: &Footage) -> AlignedFrames {
        AlignedFrames {
            seconds: intervals(&cells, speed, query, target),
            frames: cells.clone(),
            speed,
            values: [0.0; SEGMENT_WEIGHTS - 1],
            probability: 0.9,
            cells,
        }
    }

    #[test]
    fn the_video_that_is_sampled_more_densely_tells_how_long_a_stretch_is() {
        // 2 s at 8 frames a second, in a video with one frame a second from 4 s on.
        let (query, target) = (video(16, 8.0), video(10, 1.0));
        let cells: Vec<(usize, usize)> = (0..16)
            .map(|i| {
                (
                    i,
                    if i < 4 {
                        4
                    } else if i < 12 {
                        5
                    } else {
                        6
                    },
                )
            })
            .collect();
        let found = stretch(cells.clone(), 1.0, &query, &target);
        let [[q0, q1], [t0, t1]] = found.seconds;
        assert!((q1 - q0 - 2.0).abs() < 1e-9 && (t1 - t0 - 2.0).abs() < 1e-9, "{:?}", found.seconds);
        assert!((t0 - 4.0).abs() < 0.2, "{t0}");
        let of = [query.seconds(), target.seconds()];
        let both = matched(std::slice::from_ref(&found), &query, &target, of);
        assert!((both.seconds[0] - 2.0).abs() < 1e-6 && (both.seconds[1] - 2.0).abs() < 0.1, "{both:?}");
        assert!((both.expected - 0.9).abs() < 1e-3, "{both:?}");
        // The other way round.
        let turned = stretch(cells.iter().map(|&(i, j)| (j, i)).collect(), 1.0, &target, &query);
        assert!(turned.seconds[0].iter().zip([t0, t1]).all(|(a, b)| (a - b).abs() < 1e-9), "{:?}", turned.seconds);
    }

    #[test]
    fn stretches_of_another_speed_and_of_all_of_both_videos() {
        let (query, target) = (video(20, 2.0), video(20, 4.0));
        // Twice as fast: ten seconds in five.
        let found = stretch((0..20).map(|i| (i, i)).collect(), 0.5, &query, &target);
        let both = matched(&[found.clone(), found], &query, &target, [10.0, 5.0]);
        assert!(both.seconds.iter().zip([10.0, 5.0]).all(|(a, b)| (a - b).abs() < 0.2), "{both:?}");
        assert!(both.shares().iter().all(|share| *share > 0.95), "{both:?}");
        assert_eq!(matched(&[], &query, &target, [10.0, 5.0]).seconds, [0.0; 2]);
    }
}
