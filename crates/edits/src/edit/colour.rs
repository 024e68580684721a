//! Edits of the colours.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation};
use super::sample::{SourceFacts, sign, vary};
use crate::colour::Grade;
use crate::image::Image;
use crate::{EditError, Pcg64};

/// Other colours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colour {
    /// The change.
    pub grade: Grade,
}

impl Colour {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let mut grade = Grade { contrast: 1.0 + sign(rng) * vary(rng, strength, 0.05, 0.45), ..Grade::default() };
        grade.brightness = sign(rng) * vary(rng, strength, 3.0, 45.0);
        match rng.random_range(0..3) {
            0 => grade.saturation = 1.0 + vary(rng, strength, 0.1, 0.9),
            1 => grade.saturation = 1.0 - vary(rng, strength, 0.1, 0.9),
            _ => {}
        }
        if rng.random_bool(0.6) {
            grade.gains = std::array::from_fn(|_| 1.0 + sign(rng) * vary(rng, strength, 0.02, 0.25));
        }
        if rng.random_bool(0.6) {
            grade.gamma = (sign(rng) * vary(rng, strength, 0.05, 0.6)).exp();
        }
        if rng.random_bool(0.25) {
            grade.hue = sign(rng) * vary(rng, strength, 0.05, 0.5);
        }
        Self { grade }
    }

    pub(super) fn sample_grey(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let contrast = 1.0 + sign(rng) * vary(rng, strength, 0.0, 0.3);
        Self { grade: Grade { contrast, ..Grade::grey() } }
    }

    pub(super) fn sample_sepia(rng: &mut Pcg64, strength: f32, _: &SourceFacts) -> Self {
        let sepia = vary(rng, strength, 0.6, 1.0);
        Self { grade: Grade { sepia, contrast: rng.random_range(0.8..1.2), ..Grade::default() } }
    }
}

impl Operation for Colour {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require(self.grade.is_valid(), "a number of the grade is out of range")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        self.grade.apply(&mut frame);
        Ok(frame)
    }
}
