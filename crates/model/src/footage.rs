//! The frames of a video that say something, as the fine networks compare them.

use crate::change::Kept;
use crate::fine::VideoTensor;

/// The largest weight of a frame: it says as much as any.
pub const FULL: u8 = 255;

/// A video without the frames that say nothing: its tensor, and when each frame is shown.
///
/// Frames of weight 0 (black, flat, plain fades) are left out: two of them match whatever the videos
/// show. What is left may be nothing; then there is nothing to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Footage {
    tensor: VideoTensor,
    weights: Vec<u8>,
    frames: Vec<usize>,
    times: Vec<f64>,
    spans: Vec<f64>,
    period: f64,
    duration: f64,
    changing: Kept,
}

impl Footage {
    /// The frames of a video tensor [T, R, ..] with weights above 0. `times` are seconds, not
    /// decreasing, and `duration` is the length of the video. Frames without a weight count in full, frames without a time are
    /// one second apart.
    #[must_use]
    pub fn new(tensor: &VideoTensor, times: &[f64], duration: f64, weights: &[u8]) -> Self {
        let count = tensor.frames();
        #[allow(clippy::cast_precision_loss)]
        let time = |i: usize| times.get(i).copied().unwrap_or(i as f64);
        let weight = |i: usize| weights.get(i).copied().unwrap_or(FULL);
        #[allow(clippy::cast_precision_loss)]
        let period = match count {
            0 | 1 => 1.0,
            _ => ((time(count - 1) - time(0)) / (count - 1) as f64).max(1e-3),
        };
        let frames: Vec<usize> = (0..count).filter(|&i| weight(i) > 0).collect();
        // A frame stands for the time until the next one, the last for as long as the video goes on.
        let span = |i: usize| {
            let until = if i + 1 < count { time(i + 1) } else { duration.min(time(i) + period) };
            (until - time(i)).max(0.0)
        };
        Self {
            tensor: if frames.len() == count { tensor.clone() } else { tensor.select(&frames) },
            weights: frames.iter().map(|&i| weight(i)).collect(),
            times: frames.iter().map(|&i| time(i)).collect(),
            spans: frames.iter().map(|&i| span(i) * f64::from(weight(i)) / f64::from(FULL)).collect(),
            frames,
            period,
            duration,
            changing: Kept::default(),
        }
    }

    /// All frames of a tensor, in full, one a second.
    #[must_use]
    pub fn of_tensor(tensor: &VideoTensor) -> Self {
        #[allow(clippy::cast_precision_loss)]
        Self::new(tensor, &[], tensor.frames() as f64, &[])
    }

    /// The tensor of the frames that say something.
    #[must_use]
    pub const fn tensor(&self) -> &VideoTensor {
        &self.tensor
    }

    /// Number of frames that say something.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no frame says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// What changes in it, kept for all pairs that it is the query of.
    pub(crate) const fn changing(&self) -> &Kept {
        &self.changing
    }

    /// Weights of the frames, 1 to [`FULL`].
    #[must_use]
    pub fn weights(&self) -> &[u8] {
        &self.weights
    }

    /// Which frames of the video these are.
    #[must_use]
    pub fn frames(&self) -> &[usize] {
        &self.frames
    }

    /// When the frames are shown, in seconds.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Seconds that each frame stands for, times its weight: informative time.
    #[must_use]
    pub fn spans(&self) -> &[f64] {
        &self.spans
    }

    /// Informative time in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.spans.iter().sum()
    }

    /// The time that is nearer to a frame than to the samples beside it, in seconds: half a sample before and after, within the
    /// video.
    fn around(&self, i: usize) -> [f64; 2] {
        let half = self.period / 2.0;
        [(self.times[i] - half).max(0.0), (self.times[i] + half).min(self.duration.max(self.times[i]))]
    }

    /// The share of a frame's time that lies in an interval, in [0, 1].
    #[must_use]
    pub fn share_within(&self, i: usize, [start, end]: [f64; 2]) -> f64 {
        let [from, to] = self.around(i);
        if to - from < 1e-6 {
            return f64::from(u8::from(start <= to && end >= from));
        }
        ((end.min(to) - start.max(from)) / (to - from)).clamp(0.0, 1.0)
    }

    /// Seconds from one sampled frame of the video to the next, in the mean; above 0.
    #[must_use]
    pub const fn period(&self) -> f64 {
        self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_say_nothing_are_left_out() {
        let data = (0..4u8).flat_map(|i| [f32::from(i); 2]).collect();
        let tensor = VideoTensor::Float { data, frames: 4, regions: 1, dims: 2 };
        let footage = Footage::new(&tensor, &[0.0, 0.5, 1.0, 1.5], 1.8, &[0, 255, 0, 51]);
        assert_eq!((footage.frames(), footage.times()), (&[1, 3][..], &[0.5, 1.5][..]));
        assert_eq!(footage.tensor().frames(), 2);
        assert!((footage.seconds() - (0.5 + 0.3 * 0.2)).abs() < 1e-9 && footage.period() == 0.5);
        let nothing = Footage::new(&tensor, &[0.0, 0.5, 1.0, 1.5], 1.8, &[0; 4]);
        assert!(nothing.is_empty() && nothing.seconds() == 0.0);
        let all = Footage::of_tensor(&tensor);
        assert_eq!([all.share_within(0, [0.0, 0.25]), all.share_within(1, [0.75, 9.0])], [0.5, 0.75]);
        assert_eq!([all.share_within(3, [0.0, 2.0]), all.share_within(3, [-1.0, 9.0])], [0.0, 1.0]);
        assert_eq!((all.len(), all.seconds(), all.tensor()), (4, 4.0, &tensor));
    }
}
