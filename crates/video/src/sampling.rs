//! Which frames are taken. The rule for [`Sampling::Fps`] is this, and a browser applies the very same one:
//!
//! Times are relative to the first frame. Sample k (0, 1, …) is taken at `t_k = k / fps`: it is the last frame whose
//! time is at most `t_k + TOLERANCE`, that is the one on the screen at `t_k`. Samples end with the last frame: k is
//! taken while `t_k <= t_last + TOLERANCE`. A frame that is on the screen for several samples is taken for each of
//! them.
//!
//! [`Sampling::Adaptive`] is the same rule at 1, 2, 4 or 8 samples a second: the lowest of these
//! rates that gives [`LEAST_SAMPLES`] samples, and 8 where none does. So the samples of a rate are
//! every second one of the next higher rate, and the time of the last frame alone decides:
//!
//! | last frame, seconds after the first | samples a second | samples |
//! |---|---|---|
//! | 30 and more | 1 | 31 and more |
//! | 15 to 30 | 2 | 31 to 60 |
//! | 7.5 to 15 | 4 | 31 to 60 |
//! | 3.75 to 7.5 | 8 | 31 to 60 |
//! | below 3.75 | 8 | 1 to 30 |

/// Seconds by which a frame may be late for its sample: containers round time stamps to milliseconds. Half a
/// millisecond more than a whole number of them, so that no rounded stamp lies on the edge.
pub const TOLERANCE: f64 = 0.0025;

/// Samples that [`Sampling::Adaptive`] takes at least, of a video that is long enough for them.
pub const LEAST_SAMPLES: u32 = 31;

/// The highest rate of [`Sampling::Adaptive`], in samples a second.
const HIGHEST_RATE: f64 = 8.0;

/// Which frames of a video are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Sampling {
    /// One sample a second, and 2, 4 or 8 of a video below 30 seconds: the rule of [`adaptive`].
    #[default]
    Adaptive,
    /// So many samples a second by time stamps: the rule of [`covering`].
    Fps(f64),
    /// As the official code samples "1 fps": decoded frame n when `n mod round(rate) == 0`, by the container's rate.
    Upstream,
    /// Every frame.
    All,
}

/// The rule of [`Sampling::Fps`] on a whole list: `times` in seconds, ascending; the result has the index of the frame
/// of each sample.
#[must_use]
pub fn covering(times: &[f64], fps: f64) -> Vec<usize> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let mut samples = Vec::new();
    let mut at = 0;
    for k in 0u64.. {
        let time = k as f64 / fps;
        if time.is_nan() || last - first + TOLERANCE < time {
            break;
        }
        while times.get(at + 1).is_some_and(|t| t - first <= time + TOLERANCE) {
            at += 1;
        }
        samples.push(at);
    }
    samples
}

/// The rule of [`Sampling::Adaptive`] on a whole list: `times` in seconds, ascending; the result
/// has the samples a second, 1, 2, 4 or 8, and the index of the frame of each sample.
#[must_use]
pub fn adaptive(times: &[f64]) -> (f64, Vec<usize>) {
    let last = times.first().zip(times.last()).map_or(0.0, |(first, last)| last - first);
    let rate = adaptive_rate(last);
    (rate, covering(times, rate))
}

/// The samples a second of [`Sampling::Adaptive`], 1, 2, 4 or 8, for a video whose last frame is
/// shown `last` seconds after its first.
#[must_use]
pub fn adaptive_rate(last: f64) -> f64 {
    let mut rate = HIGHEST_RATE;
    while can_halve(rate, last) {
        rate /= 2.0;
    }
    rate
}

/// Whether half of a rate gives enough samples too, with a frame `last` seconds after the first.
fn can_halve(rate: f64, last: f64) -> bool {
    rate > 1.0 && halving(rate) <= last + TOLERANCE
}

/// Seconds after which half of a rate gives enough samples: the time of its last one of
/// [`LEAST_SAMPLES`].
fn halving(rate: f64) -> f64 {
    f64::from(LEAST_SAMPLES - 1) / (rate / 2.0)
}

/// The rates of [`Sampling::Adaptive`] above 1, each with the seconds after which the next lower
/// one is enough.
pub(crate) fn short_rates() -> impl Iterator<Item = (f64, f64)> {
    [8.0, 4.0, 2.0].into_iter().map(|rate| (rate, halving(rate)))
}

/// Every how many frames the official code takes one. `rate`: frames a second of the container.
#[must_use]
pub fn upstream_step(rate: Option<f64>) -> u64 {
    let rate = rate.filter(|r| r.is_finite() && *r > 0.0 && *r <= 144.0).unwrap_or(25.0);
    // Below 0.5 the official code divides by zero; every frame is the one sensible reading.
    (rate.round_ties_even() as u64).max(1)
}

/// A frame that was received from the decoder.
#[derive(Debug, Clone)]
pub(crate) struct Received<T> {
    /// Microseconds after the first frame.
    pub(crate) micros: i64,
    pub(crate) data: T,
}

pub(crate) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// Why a [`Sampler`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The decoder left out frames, and one of them may be the answer.
    Doubt,
    /// The receiver of samples has gone.
    Closed,
}

/// Which frames the decoder may have left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gaps {
    /// Microseconds before the time of a sample in which no frame was left out.
    pub(crate) window: i64,
    /// Seconds after the first frame up to which no frame was left out at all.
    pub(crate) from: f64,
}

/// A sample that is taken.
#[derive(Debug)]
pub(crate) struct Sample<'a, T> {
    /// Seconds after the first frame.
    pub(crate) time: f64,
    /// The samples a second at present, where a lower rate may follow: then every second sample is
    /// left out.
    pub(crate) undecided: Option<f64>,
    pub(crate) frame: &'a Received<T>,
}

/// Applies the rule to frames as they arrive. Frames may have been left out, but neither those that
/// [`Gaps`] names nor the first one after a sample.
///
/// [`Sampling::Adaptive`] begins with the highest rate. It goes on with half of it as soon as a
/// frame shows that this gives enough samples; [`Held`] has those before.
#[derive(Debug)]
pub(crate) struct Sampler<T> {
    rate: f64,
    adaptive: bool,
    /// The first sample that is not known yet.
    next: u64,
    gaps: Option<Gaps>,
    last: Option<Received<T>>,
}

impl<T> Sampler<T> {
    /// `None` for a sampling that goes by the number of a frame.
    pub(crate) fn new(sampling: Sampling) -> Option<Self> {
        let (rate, adaptive) = match sampling {
            Sampling::Adaptive => (HIGHEST_RATE, true),
            Sampling::Fps(fps) => (fps, false),
            Sampling::Upstream | Sampling::All => return None,
        };
        Some(Self { rate, adaptive, next: 0, gaps: None, last: None })
    }

    /// The frames come once more from the first one on. The samples that are known stay known.
    pub(crate) fn restart(&mut self, gaps: Option<Gaps>) {
        (self.gaps, self.last) = (gaps, None);
    }

    /// Time of the next sample.
    fn time(&self) -> f64 {
        self.next as f64 / self.rate
    }

    /// Takes the next frame; `emit` gets the samples that it decides and returns whether to go on.
    pub(crate) fn push(
        &mut self,
        frame: Received<T>,
        emit: &mut impl FnMut(Sample<'_, T>) -> bool,
    ) -> Result<(), Stop> {
        while self.adaptive && can_halve(self.rate, seconds(frame.micros)) {
            self.rate /= 2.0;
            self.next = self.next.div_ceil(2);
        }
        while self.last.is_some() && self.time() + TOLERANCE < seconds(frame.micros) {
            self.emit(emit)?;
        }
        self.last = Some(frame);
        Ok(())
    }

    /// No more frames.
    pub(crate) fn finish(&mut self, emit: &mut impl FnMut(Sample<'_, T>) -> bool) -> Result<(), Stop> {
        while self.last.as_ref().is_some_and(|last| self.time() <= seconds(last.micros) + TOLERANCE) {
            self.emit(emit)?;
        }
        Ok(())
    }

    fn emit(&mut self, emit: &mut impl FnMut(Sample<'_, T>) -> bool) -> Result<(), Stop> {
        let time = self.time();
        let Some(frame) = &self.last else { return Ok(()) };
        let in_doubt = |g: Gaps| time > g.from && seconds(frame.micros) <= time - seconds(g.window);
        if self.gaps.is_some_and(in_doubt) {
            return Err(Stop::Doubt);
        }
        let undecided = (self.adaptive && self.rate > 1.0).then_some(self.rate);
        if !emit(Sample { time, undecided, frame }) {
            return Err(Stop::Closed);
        }
        self.next += 1;
        Ok(())
    }
}

/// Samples of [`Sampling::Adaptive`] until their rate is known: 30 at most.
#[derive(Debug)]
pub(crate) struct Held<F>(Vec<(f64, F)>);

impl<F> Held<F> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the sample at `time`, in seconds after the first frame.
    pub(crate) fn push(&mut self, time: f64, sample: F) {
        self.0.push((time, sample));
    }

    /// Leaves out the samples that a lower rate does not take.
    pub(crate) fn thin(&mut self, rate: f64) {
        // Times are multiples of an eighth, which floating point holds exactly.
        self.0.retain(|(time, _)| (time * rate).fract() == 0.0);
    }

    /// All of them, in order.
    pub(crate) fn take(&mut self) -> Vec<(f64, F)> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_rate(rate: f64, n: usize) -> Vec<f64> {
        (0..n).map(|i| 7.0 + i as f64 / rate).collect()
    }

    #[test]
    fn the_frame_on_the_screen() {
        assert_eq!(covering(&at_rate(30.0, 61), 1.0), [0, 30, 60]);
        assert_eq!(covering(&at_rate(25.0, 50), 1.0), [0, 25]);
        // 24000/1001: frame 24 comes at 1.001 s and frame 48 at 2.002 s, within the tolerance; frame 72 at 3.003 s.
        let ntsc: Vec<f64> = (0..100).map(|i| f64::from(i) * 1001.0 / 24000.0).collect();
        assert_eq!(covering(&ntsc, 1.0), [0, 24, 48, 71, 95]);
        assert_eq!(covering(&at_rate(0.5, 3), 1.0), [0, 0, 1, 1, 2]);
        assert_eq!(covering(&[3.0], 1.0), [0]);
        assert_eq!(covering(&[], 1.0), [0; 0]);
        assert_eq!(covering(&[0.0, 0.4, 2.7], 1.0), [0, 1, 1]);
        assert_eq!(covering(&at_rate(10.0, 11), 2.0), [0, 5, 10]);
        assert_eq!(covering(&[0.0, 1.0], f64::NAN), [0; 0]);
    }

    #[test]
    fn a_stream_gives_what_the_list_gives() {
        let mut state = 3u32;
        for _ in 0..200 {
            let mut micros = 0i64;
            let mut times = vec![0i64];
            for _ in 0..60 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                micros += i64::from(state >> 12) % 400_000;
                times.push(micros);
            }
            for fps in [1.0, 2.0, 0.7] {
                let list: Vec<f64> = times.iter().map(|&t| seconds(t)).collect();
                let got = streamed(&times, Sampling::Fps(fps));
                assert!(got.iter().enumerate().all(|(k, (time, _))| *time == k as f64 / fps));
                assert_eq!(got.iter().map(|(_, frame)| *frame).collect::<Vec<_>>(), covering(&list, fps));
            }
        }
    }

    /// Times and frames of the samples, the frames as they arrive: the way of [`crate::delivery`].
    fn streamed(times: &[i64], sampling: Sampling) -> Vec<(f64, usize)> {
        let (mut sampler, mut held, mut got) = (Sampler::new(sampling).unwrap(), Held::new(), Vec::new());
        let mut emit = |sample: Sample<'_, usize>| {
            held.thin(sample.undecided.unwrap_or(1.0));
            held.push(sample.time, sample.frame.data);
            assert!(held.0.len() <= 60, "{} samples are held", held.0.len());
            if sample.undecided.is_none() {
                got.extend(held.take());
            }
            true
        };
        for (data, &micros) in times.iter().enumerate() {
            sampler.push(Received { micros, data }, &mut emit).unwrap();
        }
        sampler.finish(&mut emit).unwrap();
        got.extend(held.take());
        got
    }

    #[test]
    fn short_videos_are_sampled_more_densely() {
        // Frames at 25 a second: the last one is at (n - 1) / 25 s.
        for (frames, rate, samples) in [
            (1, 8.0, 1),
            (26, 8.0, 9),
            (94, 8.0, 30),
            (95, 8.0, 31),
            (188, 8.0, 60),
            (189, 4.0, 31),
            (375, 4.0, 60),
            (376, 2.0, 31),
            (750, 2.0, 60),
            (751, 1.0, 31),
            (1500, 1.0, 60),
        ] {
            let (found, taken) = adaptive(&at_rate(25.0, frames));
            assert_eq!((found, taken.len()), (rate, samples), "{frames} frames");
        }
        assert_eq!(adaptive(&[]), (8.0, vec![]));
        // A late last frame counts as in time.
        assert_eq!([29.997, 29.998, 14.997, 14.998].map(adaptive_rate), [2.0, 1.0, 4.0, 2.0]);
        // A picture that stays is taken again.
        assert_eq!(adaptive(&[0.0, 2.0]).1, [[0; 16].as_slice(), &[1]].concat());
        let rates: Vec<_> = short_rates().collect();
        assert_eq!(rates, [(8.0, 7.5), (4.0, 15.0), (2.0, 30.0)]);
    }

    #[test]
    fn a_stream_finds_the_rate_that_the_list_has() {
        let mut state = 5u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let mut seen = [0; 4];
        for round in 0..2000 {
            // From some milliseconds to a minute, with pictures that stay for up to the whole
            // of it.
            let (frames, longest) = (1 + random(120), 1 + random(1_000_000));
            let mut micros = 0i64;
            let mut times = vec![0i64];
            for _ in 1..frames {
                let pause = if random(40) == 0 { 20 } else { 1 };
                // Whole and half milliseconds meet the edges of the rule more often.
                let step = if round % 2 == 0 { 500 } else { 1 };
                micros += (i64::from(random(longest)) * pause / step + 1) * step;
                times.push(micros);
            }
            // The last frame lies on an edge, or a little beside it.
            if round % 3 == 0 {
                let edge = [3_750_000, 7_500_000, 15_000_000, 30_000_000, 31_000_000][random(5) as usize];
                let edge = edge + i64::from(random(9)) * 625 - 2500;
                times.retain(|t| *t < edge);
                times.push(edge);
            }
            let list: Vec<f64> = times.iter().map(|&t| seconds(t)).collect();
            let (rate, frames) = adaptive(&list);
            let got = streamed(&times, Sampling::Adaptive);
            assert_eq!(got.iter().map(|(_, frame)| *frame).collect::<Vec<_>>(), frames, "{times:?}");
            assert!(got.iter().enumerate().all(|(k, (time, _))| *time == k as f64 / rate), "{times:?}");
            // It is the lowest rate that gives enough, by counting samples.
            let counts = [1.0, 2.0, 4.0, 8.0].map(|rate| (rate, covering(&list, rate).len()));
            let expected = counts.into_iter().find(|(_, n)| *n >= LEAST_SAMPLES as usize).map_or(8.0, |(rate, _)| rate);
            assert_eq!(rate, expected, "{times:?}");
            seen[rate.log2() as usize] += 1;
        }
        assert!(seen.iter().all(|n| *n >= 100), "{seen:?}");
    }

    #[test]
    fn missing_frames_raise_doubt_or_change_nothing() {
        let at = |micros| Received { micros, data: () };
        let mut emit = |_: Sample<'_, ()>| true;
        let mut sampler = Sampler::new(Sampling::Fps(1.0)).unwrap();
        sampler.restart(Some(Gaps { window: 100_000, from: 0.0 }));
        for micros in [0, 950_000, 1_010_000] {
            sampler.push(at(micros), &mut emit).unwrap();
        }
        assert_eq!(sampler.next, 2);
        // Nothing within 0.1 s before 2 s was received.
        assert_eq!(sampler.push(at(2_010_000), &mut emit), Err(Stop::Doubt));
        assert_eq!(sampler.next, 2);
        // With all frames it is taken, and the samples before are not taken again.
        sampler.restart(None);
        for micros in [0, 400_000, 950_000, 1_010_000, 1_700_000, 2_010_000] {
            sampler.push(at(micros), &mut emit).unwrap();
        }
        assert_eq!(sampler.next, 3);
        // Where no frame was left out there is no doubt.
        let mut sampler = Sampler::new(Sampling::Fps(1.0)).unwrap();
        sampler.restart(Some(Gaps { window: 100_000, from: 2.0 }));
        for micros in [0, 1_200_000, 2_010_000] {
            sampler.push(at(micros), &mut emit).unwrap();
        }
        assert_eq!((sampler.next, sampler.push(at(3_010_000), &mut emit)), (3, Err(Stop::Doubt)));
    }

    #[test]
    fn official_steps() {
        let steps = [Some(29.97), Some(23.976), Some(12.5), Some(0.3), Some(300.0), None].map(upstream_step);
        assert_eq!(steps, [30, 24, 12, 1, 25, 25]);
    }
}
