//! Where two videos show the same footage: intervals in seconds.
//!
//! Segments come from the frames that [`vidsieve_model::alignment`] aligns.

use serde::{Deserialize, Serialize};
use vidsieve_model::alignment::Aligned;

use crate::relation::is_same_picture;

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
    /// beyond the last one, or half a second: files are cut off, headers lie.
    #[must_use]
    pub fn of_file(times: Vec<f64>, promised: Option<f64>) -> Self {
        let last = times.last().copied().unwrap_or(0.0);
        #[allow(clippy::cast_precision_loss)]
        let period = if times.len() > 1 { last / (times.len() - 1) as f64 } else { 1.0 };
        let promised = promised.filter(|p| p.is_finite());
        let duration = promised.map_or(last, |p| p.min(last + period.max(0.5)).max(last));
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

/// Position of an interval in a video, among its informative frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum SegmentPlace {
    /// It begins with the video, and ends before it.
    Beginning,
    /// The video goes on before and after it.
    Middle,
    /// It ends with the video, and begins after it.
    End,
    /// It is all of the video.
    Whole,
}

impl SegmentPlace {
    /// The place of an interval in a video whose informative frames are shown from `first` to `last`, all in seconds.
    fn new([start, end]: [f64; 2], [first, last]: [f64; 2]) -> Self {
        let length = (last - first).max(0.0);
        let reach = MARGIN.0.max(MARGIN.1 * length).min(length / 4.0);
        match (start <= first + reach, end >= last - reach) {
            (true, true) => Self::Whole,
            (true, false) => Self::Beginning,
            (false, true) => Self::End,
            (false, false) => Self::Middle,
        }
    }
}

/// Seconds, and share of a video, within which an interval counts as beginning or ending with it: the larger
/// one, at most a quarter of the video.
const MARGIN: (f64, f64) = (1.0, 0.05);

/// Matching intervals of two videos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Segment {
    /// Start and end in the query, in seconds.
    pub query: [f64; 2],
    /// Start and end in the target, in seconds.
    pub target: [f64; 2],
    /// Position in the query and in the target.
    pub at: [SegmentPlace; 2],
    /// Mean similarity of the aligned frames, in [0, 1].
    pub score: f32,
}

/// Minimum score of a likely pair.
pub const LIKELY: f32 = 0.5;

/// The aligned frames of a segment, for pictures: frame of the query, frame of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// The segment.
    pub segment: Segment,
    /// Its frames, in order.
    pub frames: Vec<(usize, usize)>,
}

/// The segments of a pair that count as the same footage, best first. Of the same picture in both videos, in
/// which nothing says when, it is one segment: all informative frames of each.
#[must_use]
pub fn alignments(aligned: &Aligned, query: &Timeline, target: &Timeline) -> Vec<Alignment> {
    let alignment = |likeness: f32, seconds, frames: Vec<(usize, usize)>| Alignment {
        segment: segment(likeness, [query, target], aligned.informative, &frames, seconds),
        frames,
    };
    let sure = aligned.segments.iter().filter(|found| found.is_sure() && !found.frames.is_empty());
    let found: Vec<_> = sure.map(|found| alignment(found.likeness(), found.seconds, found.frames.clone())).collect();
    if found.is_empty() && is_same_picture(aligned) {
        let [[first, last], [start, end]] = aligned.informative;
        let half = query.period().min(target.period()) / 2.0;
        let seconds = [(query, first, last), (target, start, end)]
            .map(|(video, first, last)| [video.at(first) - half, video.at(last) + half]);
        return vec![alignment(aligned.likeness, seconds, vec![(first, start), (last, end)])];
    }
    found
}

/// The interval of a path that shows `seconds` of both videos: within both, and to the end of a video whose last frame is
/// among its frames, by the same time in both.
fn segment(
    mean: f32,
    [query, target]: [&Timeline; 2],
    informative: [[usize; 2]; 2],
    path: &[(usize, usize)],
    [[q0, q1], [t0, t1]]: [[f64; 2]; 2],
) -> Segment {
    let last = path[path.len() - 1];
    let half = query.period().min(target.period()) / 2.0;
    let before = (-q0).max(-t0).max(0.0);
    let ends = last.0 + 1 >= query.times.len() || last.1 + 1 >= target.times.len();
    let reach = if ends { half } else { 0.0 };
    let after = reach.min(query.duration - q1).min(target.duration - t1);
    let within = |[start, end]: [f64; 2]| [start + before, (end + after).max(start + before)];
    let intervals = [within([q0, q1]), within([t0, t1])];
    let place = |side: usize| {
        let timeline = [query, target][side];
        SegmentPlace::new(intervals[side], informative[side].map(|frame| timeline.at(frame)))
    };
    let at = [place(0), place(1)];
    let [query, target] = intervals;
    Segment { query, target, at, score: mean.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_containers_promise() {
        let of = |times: &[f64], promised| Timeline::of_file(times.to_vec(), promised).duration();
        assert_eq!(of(&[0.0, 1.0, 2.0], Some(2.6)), 2.6);
        assert_eq!(of(&[0.0, 1.0, 2.0], Some(900.0)), 3.0);
        assert_eq!(of(&[0.0, 1.0, 2.0], Some(0.5)), 2.0);
        assert_eq!(of(&[0.0, 1.0, 2.0], None), 2.0);
        // Half a second at least: the last frame of a trimmed file may stay longer than a sample.
        assert_eq!(of(&[0.0, 0.125], Some(0.4)), 0.4);
        assert_eq!(of(&[0.0, 0.125], Some(900.0)), 0.625);
        assert_eq!(of(&[0.0], Some(0.4)), 0.4);
        assert_eq!(of(&[0.0], Some(f64::NAN)), 0.0);
    }

    #[test]
    fn intervals_stay_within_both_videos() {
        let seconds = |n: u32| Timeline::new((0..n).map(f64::from).collect(), f64::from(n));
        let of = |from: usize, to: usize, n: usize| {
            let path: Vec<_> = (0..n).map(|i| (from + i, to + i)).collect();
            let around = [from, to].map(|first| [first as f64 - 0.5, (first + n) as f64 - 0.5]);
            let found = segment(0.9, [&seconds(30), &seconds(40)], [[0, 29], [4, 39]], &path, around);
            (found.query, found.target, found.at)
        };
        use SegmentPlace::{Beginning, End, Middle, Whole};
        assert_eq!(of(0, 10, 6), ([0.0, 5.5], [10.0, 15.5], [Beginning, Middle]));
        assert_eq!(of(5, 10, 6), ([4.5, 10.5], [9.5, 15.5], [Middle, Middle]));
        assert_eq!(of(20, 5, 10), ([19.5, 30.0], [4.5, 15.0], [End, Beginning]), "the target begins with black");
        assert_eq!(of(0, 10, 29), ([0.0, 28.5], [10.0, 38.5], [Whole, End]));
    }

    #[test]
    fn the_same_picture_is_one_segment() {
        use vidsieve_model::alignment::Matched;
        let seconds = |n: u32| Timeline::new((0..n).map(f64::from).collect(), f64::from(n));
        let still = |likeness, energies| Aligned {
            matched: Matched { of: [4.0, 9.0], ..Matched::default() },
            likeness,
            energies,
            informative: [[1, 4], [0, 8]],
            ..Aligned::default()
        };
        let of = |aligned: &Aligned| alignments(aligned, &seconds(5), &seconds(9));
        let found = of(&still(0.99, [0.0, 0.01]));
        let [Alignment { segment, frames }] = &found[..] else { panic!("{found:?}") };
        assert_eq!((segment.query, segment.target, segment.at), ([1.0, 5.0], [0.0, 9.0], [SegmentPlace::Whole; 2]));
        assert_eq!(frames, &[(1, 0), (4, 8)]);
        assert!(of(&still(0.9, [0.0, 0.01])).is_empty(), "another picture");
        assert!(of(&still(0.99, [0.2, 0.2])).is_empty(), "it changes");
    }

    #[test]
    fn places_in_short_and_long_videos() {
        use SegmentPlace::{Beginning, End, Middle, Whole};
        let of = |interval, length| SegmentPlace::new(interval, [0.0, length]);
        assert_eq!(of([0.0, 0.5], 2.0), Beginning);
        assert_eq!(of([0.6, 1.4], 2.0), Middle);
        assert_eq!(of([1.0, 2.1], 2.0), End);
        assert_eq!(of([100.0, 400.0], 3600.0), Beginning);
        assert_eq!(of([190.0, 400.0], 3600.0), Middle);
        assert_eq!(of([0.0, 3599.0], 3600.0), Whole);
        assert_eq!(of([0.0, 0.0], 0.0), Whole);
    }
}
