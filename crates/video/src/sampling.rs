//! Which frames are taken. The rule for [`Sampling::Fps`] is this, and a browser applies the very same one:
//!
//! Times are relative to the first frame. Sample k (0, 1, …) is taken at `t_k = k / fps`: it is the last frame whose
//! time is at most `t_k + TOLERANCE`, that is the one on the screen at `t_k`. Samples end with the last frame: k is
//! taken while `t_k <= t_last + TOLERANCE`. A frame that is on the screen for several samples is taken for each of
//! them.

/// Seconds by which a frame may be late for its sample: containers round time stamps to milliseconds. Half a
/// millisecond more than a whole number of them, so that no rounded stamp lies on the edge.
pub const TOLERANCE: f64 = 0.0025;

/// Which frames of a video are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
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
    /// Nobody takes samples any more.
    Closed,
}

/// Applies the rule to frames as they arrive. Frames may have been left out, but none within `window` microseconds
/// before the time of a sample, nor the first one after it.
#[derive(Debug)]
pub(crate) struct Sampler<T> {
    fps: f64,
    next: u64,
    window: Option<i64>,
    last: Option<Received<T>>,
}

impl<T> Sampler<T> {
    /// Samples before `next` are known already.
    pub(crate) fn new(fps: f64, next: u64, window: Option<i64>) -> Self {
        Self { fps, next, window, last: None }
    }

    pub(crate) fn next_sample(&self) -> u64 {
        self.next
    }

    /// Time of sample k.
    fn time(&self) -> f64 {
        self.next as f64 / self.fps
    }

    /// Takes the next frame; `emit(k, t_k, frame)` gets the samples that it decides and returns whether to go on.
    pub(crate) fn push(
        &mut self,
        frame: Received<T>,
        emit: &mut impl FnMut(u64, f64, &Received<T>) -> bool,
    ) -> Result<(), Stop> {
        while self.last.is_some() && self.time() + TOLERANCE < seconds(frame.micros) {
            self.emit(emit)?;
        }
        self.last = Some(frame);
        Ok(())
    }

    /// No more frames.
    pub(crate) fn finish(&mut self, emit: &mut impl FnMut(u64, f64, &Received<T>) -> bool) -> Result<(), Stop> {
        while self.last.as_ref().is_some_and(|last| self.time() <= seconds(last.micros) + TOLERANCE) {
            self.emit(emit)?;
        }
        Ok(())
    }

    fn emit(&mut self, emit: &mut impl FnMut(u64, f64, &Received<T>) -> bool) -> Result<(), Stop> {
        let time = self.time();
        let Some(last) = &self.last else { return Ok(()) };
        if self.window.is_some_and(|window| seconds(last.micros) <= time - seconds(window)) {
            return Err(Stop::Doubt);
        }
        if !emit(self.next, time, last) {
            return Err(Stop::Closed);
        }
        self.next += 1;
        Ok(())
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
                let mut sampler = Sampler::new(fps, 0, None);
                let mut got = Vec::new();
                let mut emit = |k: u64, _: f64, f: &Received<usize>| {
                    assert_eq!(k, got.len() as u64);
                    got.push(f.data);
                    true
                };
                for (data, &micros) in times.iter().enumerate() {
                    sampler.push(Received { micros, data }, &mut emit).unwrap();
                }
                sampler.finish(&mut emit).unwrap();
                assert_eq!(got, covering(&list, fps));
            }
        }
    }

    #[test]
    fn missing_frames_raise_doubt_or_change_nothing() {
        let mut sampler = Sampler::new(1.0, 0, Some(100_000));
        let mut emit = |_: u64, _: f64, _: &Received<()>| true;
        let at = |micros| Received { micros, data: () };
        sampler.push(at(0), &mut emit).unwrap();
        sampler.push(at(950_000), &mut emit).unwrap();
        sampler.push(at(1_010_000), &mut emit).unwrap();
        assert_eq!(sampler.next_sample(), 2);
        // Nothing within 0.1 s before 2 s was received.
        assert_eq!(sampler.push(at(2_010_000), &mut emit), Err(Stop::Doubt));
        assert_eq!(sampler.next_sample(), 2);
    }

    #[test]
    fn official_steps() {
        let steps = [Some(29.97), Some(23.976), Some(12.5), Some(0.3), Some(300.0), None].map(upstream_step);
        assert_eq!(steps, [30, 24, 12, 1, 25, 25]);
    }
}
