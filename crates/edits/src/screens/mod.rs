//! Drawn screens: slides, terminals, code editors, windows of programs and title cards. The
//! template, which is what recordings of one program or one speaker have in common, and the content
//! follow from separate seeds.

mod card;
mod desktop;
mod editor;
mod slides;
mod terminal;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::clip::Clip;
use crate::draw::{self, Sticker, Text};
use crate::image::Image;
use crate::{EditError, Pcg64, generator, procedural};

/// What a screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScreenKind {
    /// Slides of one template: a title, points that appear one after the other, a chart.
    Slides,
    /// A terminal in which commands are typed and their output scrolls.
    Terminal,
    /// A code editor with a list of files, in which lines are typed.
    Editor,
    /// A window of a program: tools, a table, a chart that grows, a pointer that moves.
    Desktop,
    /// A title card: a few large words over a background.
    Card,
}

impl ScreenKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Slides, Self::Terminal, Self::Editor, Self::Desktop, Self::Card];
}

/// Which screen is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screen {
    /// What it shows.
    pub kind: ScreenKind,
    /// Seed of layout, colours and fixed words.
    pub template: u64,
    /// Seed of everything else.
    pub content: u64,
    /// Width and height in pixels, 64 to 4096.
    pub size: [u32; 2],
    /// Length in seconds, above 0, at most 3600.
    pub duration: f64,
}

/// A drawn screen.
#[derive(Debug)]
pub struct ScreenClip {
    screen: Screen,
    scene: Box<dyn Scene>,
}

/// A screen's content over time.
trait Scene: std::fmt::Debug + Send {
    /// The picture at `time` seconds, of this size.
    fn draw(&self, size: [u32; 2], time: f64) -> Image;
}

impl ScreenClip {
    /// The clip of this screen.
    ///
    /// # Errors
    /// [`EditError::Clip`] for a size or duration out of range.
    pub fn new(screen: Screen) -> Result<Self, EditError> {
        let refuse = |reason: String| Err(EditError::Clip { reason });
        let [width, height] = screen.size;
        if !(64..=4096).contains(&width) || !(64..=4096).contains(&height) {
            return refuse(format!("a screen of {width}x{height} is out of range, give 64 to 4096"));
        }
        if !(screen.duration > 0.0 && screen.duration <= 3600.0) {
            return refuse(format!("a screen of {} s is out of range, give 0 to 3600 s", screen.duration));
        }
        let number = screen.kind as u64;
        let mut template = generator(&[0x7e47, number, screen.template]);
        let mut content = generator(&[0xc047, number, screen.content]);
        let seconds = screen.duration;
        let scene: Box<dyn Scene> = match screen.kind {
            ScreenKind::Slides => Box::new(slides::Slides::sample(&mut template, &mut content, seconds)),
            ScreenKind::Terminal => Box::new(terminal::Terminal::sample(&mut template, &mut content, seconds)),
            ScreenKind::Editor => Box::new(editor::Editor::sample(&mut template, &mut content, seconds)),
            ScreenKind::Desktop => Box::new(desktop::Desktop::sample(&mut template, &mut content, seconds)),
            ScreenKind::Card => Box::new(card::Card::sample(&mut template, &mut content)),
        };
        Ok(Self { screen, scene })
    }
}

impl Clip for ScreenClip {
    fn duration(&self) -> f64 {
        self.screen.duration
    }

    fn size(&self) -> (u32, u32) {
        (self.screen.size[0], self.screen.size[1])
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        let time = if time.is_finite() { time.clamp(0.0, self.screen.duration) } else { 0.0 };
        Ok(self.scene.draw(self.screen.size, time))
    }
}

/// A still picture that a window can be set in, as a studio's or a channel's frame: a background, a
/// banner with words, and a logo.
#[must_use]
pub fn backdrop(seed: u64, size: (u32, u32)) -> Image {
    let mut rng = generator(&[0xbac2, seed]);
    let mut image = if rng.random_bool(0.5) {
        procedural::still(&mut rng, size.0, size.1)
    } else {
        let [from, to] = [shade(&mut rng, 20, 120), shade(&mut rng, 60, 220)];
        gradient(size, from, to)
    };
    let (banner, ink) = (shade(&mut rng, 10, 110), shade(&mut rng, 200, 255));
    let top = rng.random_range(0.8..0.9);
    rectangle(&mut image, [0.0, top, 1.0, 1.0], banner);
    let title = words(&mut rng, 3);
    text(&mut image, &title, [0.04, (top + 1.0) / 2.0], 0.055, ink);
    let mut logo = Sticker::sample(&mut rng, 0.14);
    logo.centre = [if rng.random_bool(0.5) { 0.08 } else { 0.92 }, 0.1];
    logo.draw(&mut image);
    image
}

/// A colour whose channels are `low` to `high`.
fn shade(rng: &mut Pcg64, low: u8, high: u8) -> [u8; 3] {
    std::array::from_fn(|_| rng.random_range(low..=high))
}

/// Words of a made-up language.
fn words(rng: &mut Pcg64, count: usize) -> String {
    (0..count).map(|_| draw::word(rng)).collect::<Vec<_>>().join(" ")
}

/// A picture that goes from one colour at the top to another one at the bottom.
fn gradient(size: (u32, u32), from: [u8; 3], to: [u8; 3]) -> Image {
    let mut image = Image::filled(size.0, size.1, from);
    let stride = image.width as usize * 3;
    let last = image.height.saturating_sub(1).max(1) as f32;
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let share = y as f32 / last;
        let colour: [u8; 3] = std::array::from_fn(|c| {
            (f32::from(from[c]) + (f32::from(to[c]) - f32::from(from[c])) * share).round() as u8
        });
        row.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&colour));
    }
    image
}

/// Fills a rectangle `[x0, y0, x1, y1]` in shares of the sides.
fn rectangle(image: &mut Image, area: [f32; 4], colour: [u8; 3]) {
    let (width, height) = (image.width as f32, image.height as f32);
    let [x0, y0, x1, y1] = [area[0] * width, area[1] * height, area[2] * width, area[3] * height];
    draw::fill(image, &[[x0, y0], [x1, y0], [x1, y1], [x0, y1]], colour, 1.0);
}

/// Draws a line of text that begins at `at` (left, middle of the line), with capitals of `size`
/// (share of the height); returns where it ends, as a share of the width.
fn text(image: &mut Image, line: &str, at: [f32; 2], size: f32, colour: [u8; 3]) -> f32 {
    let mut text = Text {
        text: line.into(),
        centre: at,
        size,
        stretch: 0.85,
        slant: 0.0,
        weight: 0.15,
        angle: 0.0,
        colour,
        outline: None,
        background: None,
        alpha: 1.0,
    };
    let length = text.length() * size / image.aspect();
    text.centre[0] = at[0] + length / 2.0;
    text.draw(image);
    at[0] + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(kind: ScreenKind, template: u64, content: u64) -> ScreenClip {
        ScreenClip::new(Screen { kind, template, content, size: [320, 180], duration: 8.0 }).unwrap()
    }

    fn difference(a: &Image, b: &Image) -> f32 {
        let sum: u64 = a.pixels.iter().zip(&b.pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f32 / a.pixels.len() as f32
    }

    #[test]
    fn screens_follow_their_seeds_and_change() {
        for kind in ScreenKind::ALL {
            let at = |template, content, time| screen(kind, template, content).frame(time).unwrap();
            assert!(at(1, 2, 4.0) == at(1, 2, 4.0), "{kind:?}");
            assert!(at(1, 2, 4.0) != at(1, 3, 4.0), "{kind:?}: other content");
            assert!(at(1, 2, 4.0) != at(4, 2, 4.0), "{kind:?}: another template");
            if kind != ScreenKind::Card {
                assert!(at(1, 2, 0.5) != at(1, 2, 7.5), "{kind:?}: it changes");
            }
        }
    }

    #[test]
    fn screens_of_one_template_look_alike() {
        for kind in [ScreenKind::Slides, ScreenKind::Terminal, ScreenKind::Editor, ScreenKind::Desktop] {
            let (mut same, mut other) = (0.0, 0.0);
            for template in 0..6 {
                let frame = |template, content| screen(kind, template, content).frame(5.0).unwrap();
                let one = frame(template, 1);
                same += difference(&one, &frame(template, 2));
                other += difference(&one, &frame(template + 100, 2));
            }
            assert!(same * 2.0 < other, "{kind:?}: {same} within a template, {other} between");
        }
    }

    #[test]
    fn screens_out_of_range_are_refused() {
        let make = |size, duration| {
            ScreenClip::new(Screen { kind: ScreenKind::Slides, template: 1, content: 1, size, duration })
        };
        assert!(make([320, 180], 0.0).is_err() && make([320, 180], f64::NAN).is_err());
        assert!(make([63, 180], 1.0).is_err() && make([320, 5000], 1.0).is_err());
        assert!(make([64, 64], 1.0).unwrap().frame(f64::INFINITY).is_ok());
    }

    #[test]
    fn backdrops_follow_their_seed() {
        assert!(backdrop(1, (160, 90)) == backdrop(1, (160, 90)));
        assert!(backdrop(1, (160, 90)) != backdrop(2, (160, 90)));
    }
}
