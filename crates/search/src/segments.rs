//! Where two videos match: aligned intervals from their frame similarities.
//!
//! A segment is a path through the matrix of frame similarities along which both videos move on, at the same speed or up to
//! twice as fast as one another. Paths are found by local alignment (Smith and Waterman 1981): each step adds the similarity of
//! its frames above a floor, so that a path starts and ends where the videos stop matching, and may pass over a few frames
//! that do not. The best path is taken, its frames of both videos are closed to others in this pairing, and the next best is
//! looked for.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

/// When the frames of a video are shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    times: Vec<f64>,
    duration: f64,
}

impl Timeline {
    /// Times of the sampled frames in seconds, not decreasing, and the length of the video.
    #[must_use]
    pub fn new(times: Vec<f64>, duration: f64) -> Self {
        let last = times.last().copied().unwrap_or(0.0);
        Self { times, duration: if duration.is_finite() { duration.max(last) } else { last } }
    }

    /// The timeline of a file. What its container says of the length counts as far as the frames bear it out, up to a sample
    /// beyond the last one: files are cut off, headers lie.
    #[must_use]
    pub fn of_file(times: Vec<f64>, promised: Option<f64>) -> Self {
        let last = times.last().copied().unwrap_or(0.0);
        #[allow(clippy::cast_precision_loss)]
        let period = if times.len() > 1 { last / (times.len() - 1) as f64 } else { 1.0 };
        let promised = promised.filter(|p| p.is_finite());
        let duration = promised.map_or(last, |p| p.min(last + period.max(0.0)).max(last));
        Self::new(times, duration)
    }

    /// Times of the frames in seconds.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Length in seconds, not before the last frame.
    #[must_use]
    pub const fn duration(&self) -> f64 {
        self.duration
    }

    /// The time of frame `i`; of frames that are not there, which the networks repeat from the start, the last.
    fn at(&self, i: usize) -> f64 {
        self.times.get(i).or(self.times.last()).copied().unwrap_or(0.0)
    }

    /// Seconds from frame to frame, in the mean.
    fn period(&self) -> f64 {
        match self.times.as_slice() {
            #[allow(clippy::cast_precision_loss)]
            [first, .., last] if last > first => (last - first) / (self.times.len() - 1) as f64,
            _ => 1.0,
        }
    }
}

/// Intervals of two videos that show the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Segment {
    /// Start and end in the query, in seconds.
    pub query: [f64; 2],
    /// Start and end in the target, in seconds.
    pub target: [f64; 2],
    /// The mean similarity of the aligned frames, in [0, 1].
    pub score: f32,
}

/// Minimum score at which segments are computed for hits that were not re-ranked.
pub const LIKELY: f32 = 0.5;

/// What counts as a match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlignmentOptions {
    /// Frame similarity that unrelated frames seldom reach, in [-1, 1]; the floor is at least this.
    pub floor: f32,
    /// How far above the background of its own pair a similarity must be, as a share of the way from the background (a tenth
    /// of the matrix is below) to 1.
    pub contrast: f32,
    /// The floor is at most this: of a still scene the background matches as well.
    pub ceiling: f32,
    /// Of two segments that share the greater part of their time in one of the videos, the second is kept if its similarity is
    /// at least this share of the first's, and it is at least half as long: a scene that comes twice is, one that merely
    /// resembles itself is not.
    pub repeat: f32,
    /// Most segments of a pair.
    pub most: usize,
    /// A segment's least sum of similarities above the floor.
    pub least: f32,
    /// Cells above which frames are skipped: a matrix of more is looked at in a coarser raster.
    pub cells: usize,
}

impl Default for AlignmentOptions {
    fn default() -> Self {
        Self { floor: 0.35, contrast: 0.25, ceiling: 0.55, repeat: 0.95, most: 16, least: 0.2, cells: 4_000_000 }
    }
}

/// What a step that is not one frame of each costs: speeds differ where the videos say so, not from noise.
const BEND: f32 = 0.05;

/// A cell of a path: frame of the query, frame of the target.
type Cell = (usize, usize);

/// How a path came to a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It starts here.
    Start,
    /// From the frames before.
    Both,
    /// Two frames of the query for one of the target.
    Query,
    /// Two frames of the target for one of the query.
    Target,
}

/// The path with the greatest sum of `gain`, from its start, and the sum.
fn best_path(gain: &Array2<f32>) -> (Vec<Cell>, f32) {
    let (h, w) = gain.dim();
    let mut steps = Array2::from_elem((h, w), Step::Start);
    // Sums of this row and the two before.
    let mut rows = [vec![0f32; w], vec![0f32; w], vec![0f32; w]];
    let (mut best, mut at) = (0f32, None);
    for i in 0..h {
        rows.rotate_right(1);
        let [now, before, two_before] = &mut rows;
        for j in 0..w {
            let g = gain[[i, j]];
            let (mut sum, mut step) = (0f32, Step::Start);
            if i >= 1 && j >= 1 && before[j - 1] > sum {
                (sum, step) = (before[j - 1], Step::Both);
            }
            if i >= 2 && j >= 1 {
                let bent = two_before[j - 1] + gain[[i - 1, j]].min(0.0) - BEND;
                if bent > sum {
                    (sum, step) = (bent, Step::Query);
                }
            }
            if i >= 1 && j >= 2 {
                let bent = before[j - 2] + gain[[i, j - 1]].min(0.0) - BEND;
                if bent > sum {
                    (sum, step) = (bent, Step::Target);
                }
            }
            let total = sum + g;
            now[j] = total.max(0.0);
            steps[[i, j]] = if total > 0.0 { step } else { Step::Start };
            if total > best {
                (best, at) = (total, Some((i, j)));
            }
        }
    }
    let Some((mut i, mut j)) = at else { return (Vec::new(), 0.0) };
    let mut path = vec![(i, j)];
    loop {
        match steps[[i, j]] {
            Step::Start => break,
            Step::Both => (i, j) = (i - 1, j - 1),
            Step::Query => (i, j) = (i - 2, j - 1),
            Step::Target => (i, j) = (i - 1, j - 2),
        }
        path.push((i, j));
    }
    path.reverse();
    (path, best)
}

/// The value that a tenth of `values` is below.
fn lower_tenth(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.filter(|v| v.is_finite()).collect();
    if values.is_empty() {
        return 0.0;
    }
    let at = (values.len() - 1) / 10;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

/// The share of the shorter interval that both cover.
fn overlap(a: [f64; 2], b: [f64; 2]) -> f64 {
    let both = (a[1].min(b[1]) - a[0].max(b[0])).max(0.0);
    both / (a[1] - a[0]).min(b[1] - b[0]).max(1e-9)
}

/// The aligned frames of a segment, for pictures: frame of the query, frame of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// The segment.
    pub segment: Segment,
    /// Its frames, in order.
    pub frames: Vec<(usize, usize)>,
}

/// The segments of a pair, best first: the greatest sum of similarities above the floor. `similarity` is `[Tq][Tt]` in [-1, 1];
/// rows and columns beyond the timelines (repeated frames) are not looked at.
#[must_use]
pub fn find(
    similarity: ArrayView2<'_, f32>,
    query: &Timeline,
    target: &Timeline,
    options: &AlignmentOptions,
) -> Vec<Segment> {
    align(similarity, query, target, options).into_iter().map(|alignment| alignment.segment).collect()
}

/// [`find`] with the frames that are aligned.
#[must_use]
pub fn align(
    similarity: ArrayView2<'_, f32>,
    query: &Timeline,
    target: &Timeline,
    options: &AlignmentOptions,
) -> Vec<Alignment> {
    let size = [similarity.nrows().min(query.times.len()), similarity.ncols().min(target.times.len())];
    let mut raster = Raster::new(size, options);
    raster.fill(0, similarity);
    raster.align(query, target, options)
}

/// The matrix of frame similarities that paths are looked for in, filled band by band. Of more cells than
/// [`AlignmentOptions::cells`] it keeps the most similar cell of each square, so that hours against hours need no more memory.
#[derive(Debug)]
pub struct Raster {
    size: [usize; 2],
    stride: usize,
    values: Array2<f32>,
    /// Where in its square a value was found; empty for squares of one cell.
    places: Array2<[u8; 2]>,
}

impl Raster {
    /// An empty raster for [Tq, Tt] frames.
    #[must_use]
    pub fn new(size: [usize; 2], options: &AlignmentOptions) -> Self {
        let [h, w] = size;
        let mut stride = 1usize;
        while stride < 255 && h.div_ceil(stride) * w.div_ceil(stride) > options.cells.max(1) {
            stride += 1;
        }
        let shape = (h.div_ceil(stride), w.div_ceil(stride));
        let places = if stride == 1 { Array2::default((0, 0)) } else { Array2::default(shape) };
        Self { size, stride, values: Array2::from_elem(shape, f32::NEG_INFINITY), places }
    }

    /// Side of a square in frames.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Takes the rows from query frame `first` on, `[rows][Tt]`; those beyond the raster are passed over, and values that are
    /// no number.
    pub fn fill(&mut self, first: usize, rows: ArrayView2<'_, f32>) {
        let [h, w] = self.size;
        for (i, row) in (first..h).zip(rows.outer_iter()) {
            for (j, &v) in row.iter().take(w).enumerate() {
                let cell = [i / self.stride, j / self.stride];
                if v > self.values[cell] {
                    self.values[cell] = v;
                    if self.stride > 1 {
                        // The stride is below 256.
                        #[allow(clippy::cast_possible_truncation)]
                        let place = [(i % self.stride) as u8, (j % self.stride) as u8];
                        self.places[cell] = place;
                    }
                }
            }
        }
    }

    /// The frames of a cell.
    fn frames(&self, (i, j): Cell) -> (usize, usize) {
        match self.places.get([i, j]) {
            Some([a, b]) => (i * self.stride + usize::from(*a), j * self.stride + usize::from(*b)),
            None => (i, j),
        }
    }

    /// The aligned segments, best first.
    #[must_use]
    pub fn align(&self, query: &Timeline, target: &Timeline, options: &AlignmentOptions) -> Vec<Alignment> {
        if self.values.is_empty() {
            return Vec::new();
        }
        let background = lower_tenth(self.values.iter().copied());
        let floor = options.floor.max(background + options.contrast * (1.0 - background)).min(options.ceiling);
        let mut gain = self.values.mapv(|v| (v - floor).max(-1.0));
        let mut found: Vec<Alignment> = Vec::new();
        // Every path closes its block; those that are not kept do not count, but there is an end to them.
        for _ in 0..4 * options.most {
            if found.len() == options.most {
                break;
            }
            let (path, sum) = best_path(&gain);
            let (Some(&(i0, j0)), Some(&(i1, j1))) = (path.first(), path.last()) else { break };
            if sum < options.least {
                break;
            }
            let frames: Vec<Cell> = path.iter().map(|&cell| self.frames(cell)).collect();
            #[allow(clippy::cast_precision_loss)]
            let mean = path.iter().map(|&(i, j)| self.values[[i, j]]).sum::<f32>() / path.len() as f32;
            let segment = segment(mean, query, target, &frames);
            let shadow = |other: &Alignment| {
                let Segment { query, target, score } = other.segment;
                overlap(query, segment.query).max(overlap(target, segment.target)) > 0.5
                    && (segment.score < options.repeat * score || 2 * frames.len() < other.frames.len())
            };
            if !found.iter().any(shadow) {
                found.push(Alignment { segment, frames });
            }
            // The frames are spoken for: within them there is no second alignment.
            gain.slice_mut(ndarray::s![i0..=i1, j0..=j1]).fill(-1.0);
        }
        found
    }
}

/// The interval of a path. A frame that was sampled stands for the time around it: ends reach half a sample beyond the
/// outermost frames, and to the end of a video whose last frame is among them, the same in both videos.
fn segment(mean: f32, query: &Timeline, target: &Timeline, path: &[Cell]) -> Segment {
    let (first, last) = (path[0], path[path.len() - 1]);
    let [q0, q1] = [query.at(first.0), query.at(last.0)];
    let [t0, t1] = [target.at(first.1), target.at(last.1)];
    let half = query.period().min(target.period()) / 2.0;
    let start = half.min(q0).min(t0);
    let ends = last.0 + 1 >= query.times.len() || last.1 + 1 >= target.times.len();
    let reach = if ends { 2.0 * half } else { half };
    let end = reach.min(query.duration - q1).min(target.duration - t1).max(0.0);
    Segment { query: [q0 - start, q1 + end], target: [t0 - start, t1 + end], score: mean.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unrelated frames at 0.1 with a little noise.
    fn unrelated(h: usize, w: usize) -> Array2<f32> {
        Array2::from_shape_fn((h, w), |(i, j)| {
            0.1 + f32::from(u8::try_from((i * 7 + j * 13) % 11).unwrap_or(0)) / 100.0
        })
    }

    fn seconds(n: u32) -> Timeline {
        Timeline::new((0..n).map(f64::from).collect(), f64::from(n))
    }

    #[test]
    fn lengths_that_containers_promise() {
        let of = |times: &[f64], promised| Timeline::of_file(times.to_vec(), promised).duration();
        assert_eq!(of(&[0.0, 1.0, 2.0], Some(2.6)), 2.6);
        assert_eq!(of(&[0.0, 1.0, 2.0], Some(900.0)), 3.0);
        assert_eq!(of(&[0.0, 1.0, 2.0], Some(0.5)), 2.0);
        assert_eq!(of(&[0.0, 1.0, 2.0], None), 2.0);
        assert_eq!(of(&[0.0], Some(0.4)), 0.4);
        assert_eq!(of(&[0.0], Some(f64::NAN)), 0.0);
    }

    #[test]
    fn an_excerpt() {
        let mut s = unrelated(6, 30);
        for i in 0..6 {
            s[[i, i + 10]] = 0.9;
        }
        let found = find(s.view(), &seconds(6), &seconds(30), &AlignmentOptions::default());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].query, found[0].target), ([0.0, 6.0], [10.0, 16.0]));
        assert!((found[0].score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn several_and_fast_ones() {
        let mut s = unrelated(40, 40);
        for i in 0..10 {
            // Seconds 20 to 30 of the query are 5 to 15 of the target; 30 to 40 pass twice as fast from 25 on.
            s[[20 + i, 5 + i]] = 0.8;
            s[[30 + i, 25 + i / 2]] = 0.85;
        }
        let found = find(s.view(), &seconds(40), &seconds(40), &AlignmentOptions::default());
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].query, found[0].target), ([19.5, 29.5], [4.5, 14.5]));
        let [a, b] = found[1].query;
        let [c, d] = found[1].target;
        assert!((a - 30.0).abs() < 1.6 && (b - 40.0).abs() < 1.6, "{found:?}");
        assert!((c - 25.0).abs() < 1.1 && (d - 30.0).abs() < 1.1, "{found:?}");
    }

    #[test]
    fn nothing_in_common() {
        assert_eq!(find(unrelated(50, 60).view(), &seconds(50), &seconds(60), &AlignmentOptions::default()), []);
        assert_eq!(find(Array2::zeros((0, 4)).view(), &seconds(0), &seconds(4), &AlignmentOptions::default()), []);
        let nan = Array2::from_elem((5, 5), f32::NAN);
        assert_eq!(find(nan.view(), &seconds(5), &seconds(5), &AlignmentOptions::default()), []);
    }

    #[test]
    fn a_few_frames_that_do_not_match_are_passed_over() {
        let mut s = unrelated(20, 20);
        for i in 0..20 {
            s[[i, i]] = if i == 9 || i == 10 { 0.2 } else { 0.9 };
        }
        let found = find(s.view(), &seconds(20), &seconds(20), &AlignmentOptions::default());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].query, [0.0, 20.0]);
    }

    #[test]
    fn large_matrices_are_looked_at_coarsely() {
        let mut s = unrelated(400, 400);
        for i in 0..200 {
            s[[i + 100, i + 150]] = 0.9;
        }
        let options = AlignmentOptions { cells: 100 * 100, ..AlignmentOptions::default() };
        let found = align(s.view(), &seconds(400), &seconds(400), &options);
        let Segment { query: [a, b], target: [c, d], .. } = found[0].segment;
        for (is, want) in [(a, 100.0), (b, 300.0), (c, 150.0), (d, 350.0)] {
            assert!((is - want).abs() <= 4.0, "{found:?}");
        }
        assert!(found[0].frames.iter().all(|&(i, j)| j == i + 50), "{found:?}");
    }
}
