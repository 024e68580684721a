//! Edits of time: speed, parts, excerpts in other clips, backwards, dropped frames.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation};
use super::overlay::{host_size, letterbox};
use super::sample::{SourceFacts, part, short, sign, vary};
use super::segments::Segment;
use crate::image::Image;
use crate::procedural::log_uniform;
use crate::{EditError, Pcg64};

/// Faster or slower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// 0.1 to 10, above 1 is faster.
    pub factor: f64,
}

impl Speed {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let reach = f64::from(vary(rng, strength, 0.15, std::f32::consts::LN_2));
        Self { factor: short((f64::from(sign(rng)) * reach).exp()) }
    }
}

impl Operation for Speed {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require((0.1..=10.0).contains(&self.factor), "the factor must be 0.1 to 10")
    }

    fn duration(&self, duration: f64) -> f64 {
        duration / self.factor
    }

    fn segments(&self, duration: f64) -> Vec<Segment> {
        vec![Segment { source: [0.0, duration], edited: [0.0, duration / self.factor], reversed: false }]
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        inputs.sized_source(time * self.factor)
    }
}

/// Only a part of the clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trim {
    /// The start.
    pub from: f64,
    /// The end.
    pub to: f64,
}

impl Trim {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, facts: &SourceFacts) -> Self {
        let length = facts.duration * f64::from(vary(rng, strength, 0.85, 0.35));
        let [from, to] = part(rng, facts.duration, length);
        Self { from, to }
    }
}

impl Operation for Trim {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.part(self.from, self.to)
    }

    fn duration(&self, duration: f64) -> f64 {
        (self.to.min(duration) - self.from).max(0.0)
    }

    fn segments(&self, duration: f64) -> Vec<Segment> {
        let to = self.to.min(duration).max(self.from);
        vec![Segment { source: [self.from, to], edited: [0.0, to - self.from], reversed: false }]
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        inputs.sized_source(self.from + time)
    }
}

/// A part of the clip within another clip (needs a host).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excerpt {
    /// The part's start.
    pub from: f64,
    /// The part's end.
    pub to: f64,
    /// The host's time at the start of the result.
    pub host_from: f64,
    /// Seconds of the host before the part, 0 to 3600.
    pub before: f64,
    /// Seconds of the host behind the part, 0 to 3600.
    ///
    /// The host goes on where the part interrupted it, and starts again at its end.
    pub after: f64,
}

impl Excerpt {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, facts: &SourceFacts) -> Self {
        let length = facts.duration * f64::from(vary(rng, strength, 0.7, 0.3));
        let [from, to] = part(rng, facts.duration, length);
        // The host takes as much time again, up to four times as much.
        let around = length * f64::from(vary(rng, strength, 0.8, 4.0));
        let before = around * rng.random_range(0.1..0.9);
        Self {
            from,
            to,
            host_from: short(rng.random_range(0.0..5.0)),
            before: short(before.min(3600.0)),
            after: short((around - before).min(3600.0)),
        }
    }
}

impl Operation for Excerpt {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.part(self.from, self.to)?;
        let host = (0.0..=3600.0).contains(&self.before) && (0.0..=3600.0).contains(&self.after);
        let start = self.host_from >= 0.0 && self.host_from.is_finite();
        check.require(host && start, "the host's times must be 0 to 3600 s")
    }

    fn duration(&self, duration: f64) -> f64 {
        self.before + (self.to.min(duration) - self.from).max(0.0) + self.after
    }

    fn segments(&self, duration: f64) -> Vec<Segment> {
        let to = self.to.min(duration).max(self.from);
        let edited = [self.before, self.before + to - self.from];
        vec![Segment { source: [self.from, to], edited, reversed: false }]
    }

    fn size(&self, size: (u32, u32), host: Option<(u32, u32)>) -> Option<(u32, u32)> {
        host_size(size, host)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let length = self.to.min(inputs.source.duration()) - self.from;
        if time < self.before {
            Ok(inputs.host(self.host_from + time)?.into_size(inputs.size))
        } else if time < self.before + length {
            let frame = inputs.source(self.from + time - self.before)?;
            Ok(letterbox(&frame, inputs.size.0, inputs.size.1))
        } else {
            Ok(inputs.host(self.host_from + time - length)?.into_size(inputs.size))
        }
    }
}

/// Backwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reverse {}

impl Reverse {
    pub(super) fn sample(_: &mut Pcg64, _: f32, _: &SourceFacts) -> Self {
        Self {}
    }
}

impl Operation for Reverse {
    fn check(&self, _: &Check) -> Result<(), EditError> {
        Ok(())
    }

    fn segments(&self, duration: f64) -> Vec<Segment> {
        vec![Segment { reversed: true, ..Segment::whole(duration) }]
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        // Just before the mirrored time: the frame that is held up to it.
        let time = (inputs.source.duration() - time - 1e-4).max(0.0);
        inputs.sized_source(time)
    }
}

/// Frames are dropped: each is held longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameDrop {
    /// Frames a second that remain, 0.1 to 60.
    pub fps: f64,
}

impl FrameDrop {
    pub(super) fn sample(rng: &mut Pcg64, _: f32, _: &SourceFacts) -> Self {
        Self { fps: short(f64::from(log_uniform(rng, 1.0, 8.0))) }
    }
}

impl Operation for FrameDrop {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require((0.1..=60.0).contains(&self.fps), "fps must be 0.1 to 60")
    }

    fn fps(&self) -> Option<f64> {
        Some(self.fps)
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        inputs.sized_source((time * self.fps + 1e-6).floor() / self.fps)
    }
}
