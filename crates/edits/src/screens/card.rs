//! A title card.

use rand::RngExt;

use super::{Scene, gradient, shade, words};
use crate::draw::{Sticker, Text};
use crate::image::Image;
use crate::{Pcg64, generator, procedural};

/// A few large words over a background that stands still.
#[derive(Debug)]
pub(super) struct Card {
    colours: [[u8; 3]; 2],
    /// Seed of a drawn background; a plain one without.
    drawn: Option<u64>,
    lines: Vec<Text>,
    logo: Option<Sticker>,
}

impl Card {
    pub(super) fn sample(template: &mut Pcg64, content: &mut Pcg64) -> Self {
        let dark = template.random_bool(0.6);
        let (low, high) = if dark { (0, 110) } else { (150, 255) };
        let colours = [shade(template, low, high), shade(template, low, high)];
        let drawn = template.random_bool(0.4).then(|| template.random());
        let ink = if dark { shade(template, 210, 255) } else { shade(template, 0, 70) };
        let count = template.random_range(1..=3);
        let lines = (0..count)
            .map(|i| {
                let words = { words(content, 1 + i % 3) };
                let mut line = Text::sample(template, if i == 0 { 0.16 } else { 0.07 });
                let at = 0.4 + 0.2 * i as f32;
                line = Text { text: words, centre: [0.5, at], angle: 0.0, colour: ink, alpha: 1.0, ..line };
                line.outline = drawn.map(|_| if dark { [0; 3] } else { [255; 3] });
                line.background = None;
                line.fit(1.7, 0.85);
                line
            })
            .collect();
        let logo = template.random_bool(0.5).then(|| {
            let mut logo = Sticker::sample(template, 0.2);
            logo.centre = [0.5, 0.16];
            logo
        });
        Self { colours, drawn, lines, logo }
    }
}

impl Scene for Card {
    fn draw(&self, size: [u32; 2], _: f64) -> Image {
        let mut image = match self.drawn {
            Some(seed) => procedural::still(&mut generator(&[0xca4d, seed]), size[0], size[1]),
            None => gradient((size[0], size[1]), self.colours[0], self.colours[1]),
        };
        if let Some(logo) = &self.logo {
            logo.draw(&mut image);
        }
        self.lines.iter().for_each(|line| line.draw(&mut image));
        image
    }
}
