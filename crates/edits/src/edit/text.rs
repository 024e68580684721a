//! Edits that draw on the picture: lines of text, subtitles and logos.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation};
use super::sample::{SourceFacts, short, vary};
use crate::draw::{Sticker, Text};
use crate::image::Image;
use crate::{EditError, Pcg64};

/// A subtitle: a text that is shown for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subtitle {
    /// When it appears, in seconds of the clip that is edited.
    pub from: f64,
    /// When it goes.
    pub to: f64,
    /// What it says.
    pub text: Text,
}

/// Lines of text, subtitles and logos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextLogo {
    /// Texts that stay.
    pub texts: Vec<Text>,
    /// Texts that come and go.
    pub subtitles: Vec<Subtitle>,
    /// Figures that stay.
    pub logos: Vec<Sticker>,
}

impl TextLogo {
    pub(super) fn sample(rng: &mut Pcg64, strength: f32, facts: &SourceFacts) -> Self {
        let aspect = facts.width as f32 / facts.height.max(1) as f32;
        let count = 1 + (vary(rng, strength, 0.0, 2.0).round() as usize);
        let texts = (0..count)
            .map(|_| {
                let size = vary(rng, strength, 0.05, 0.16);
                let mut text = Text::sample(rng, size);
                text.fit(aspect, 0.9);
                text
            })
            .collect();
        let mut subtitles = Vec::new();
        if rng.random_bool(0.5) {
            let size = vary(rng, strength, 0.045, 0.08);
            let mut face = Text::sample(rng, size);
            face = Text { centre: [0.5, 0.9], angle: 0.0, alpha: 1.0, outline: Some([0; 3]), ..face };
            face.colour = if rng.random_bool(0.7) { [255; 3] } else { [250, 235, 60] };
            let mut from = short(rng.random_range(0.0..1.0));
            while from < facts.duration && subtitles.len() < 500 {
                let to = short(from + rng.random_range(1.0..3.5));
                let words = rng.random_range(2..=6);
                let mut text = face.clone();
                text.text = (0..words).map(|_| crate::draw::word(rng)).collect::<Vec<_>>().join(" ");
                text.fit(aspect, 0.94);
                subtitles.push(Subtitle { from, to, text });
                from = short(to + rng.random_range(0.1..1.5));
            }
        }
        let logos = (0..rng.random_range(1..=2))
            .map(|_| {
                let size = vary(rng, strength, 0.08, 0.3);
                let mut sticker = Sticker::sample(rng, size);
                if rng.random_bool(0.6) {
                    sticker.centre = [0, 1].map(|_| if rng.random_bool(0.5) { 0.12 } else { 0.88 });
                }
                sticker
            })
            .collect();
        Self { texts, subtitles, logos }
    }
}

impl Operation for TextLogo {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        let few = self.texts.len() <= 100 && self.logos.len() <= 100 && self.subtitles.len() <= 10_000;
        check.require(few, "at most 100 texts, 100 logos and 10,000 subtitles")
    }

    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        let mut frame = inputs.sized_source(time)?;
        self.logos.iter().for_each(|logo| logo.draw(&mut frame));
        self.texts.iter().for_each(|text| text.draw(&mut frame));
        let shown = self.subtitles.iter().filter(|subtitle| subtitle.from <= time && time < subtitle.to);
        shown.for_each(|subtitle| subtitle.text.draw(&mut frame));
        Ok(frame)
    }
}
