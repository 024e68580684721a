//! Drawing: filled polygons, thick lines, text in a stroke font, and small figures.

use std::f32::consts::TAU;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::Pcg64;
use crate::font;
use crate::image::Image;

/// A point in pixels: x to the right, y down.
pub type Point = [f32; 2];

fn put(pixel: &mut [u8], colour: [u8; 3], alpha: f32) {
    let weight = (alpha.clamp(0.0, 1.0) * 256.0) as i32;
    for (to, from) in pixel.iter_mut().zip(colour) {
        *to = (i32::from(*to) + (((i32::from(from) - i32::from(*to)) * weight + 128) >> 8)) as u8;
    }
}

/// Calls `paint(x, y, pixel, cover)` for each pixel that the polygon covers in part (`cover` above 0, up to 1).
/// Crossing outlines leave holes (even-odd rule). Points far outside the image are allowed.
pub fn fill_with(image: &mut Image, outline: &[Point], mut paint: impl FnMut(u32, u32, &mut [u8], f32)) {
    const LINES: usize = 4;
    if outline.len() < 3 || outline.iter().flatten().any(|value| !value.is_finite()) {
        return;
    }
    let bound = |axis: usize, last: u32| {
        let low = outline.iter().fold(f32::MAX, |low, point| low.min(point[axis]));
        let high = outline.iter().fold(f32::MIN, |high, point| high.max(point[axis]));
        (low.floor().clamp(0.0, last as f32) as usize, high.ceil().clamp(0.0, last as f32) as usize)
    };
    let (x0, x1) = bound(0, image.width);
    let (y0, y1) = bound(1, image.height);
    if x0 >= x1 || y0 >= y1 {
        return;
    }
    let mut cover = vec![0f32; x1 - x0];
    let mut crossings: Vec<f32> = Vec::with_capacity(outline.len());
    for y in y0..y1 {
        cover.fill(0.0);
        for line in 0..LINES {
            let level = y as f32 + (line as f32 + 0.5) / LINES as f32;
            crossings.clear();
            let mut from = outline[outline.len() - 1];
            for &to in outline {
                if (from[1] <= level) != (to[1] <= level) {
                    crossings.push(from[0] + (level - from[1]) / (to[1] - from[1]) * (to[0] - from[0]));
                }
                from = to;
            }
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let (a, b) = (pair[0].clamp(x0 as f32, x1 as f32), pair[1].clamp(x0 as f32, x1 as f32));
                if b <= a {
                    continue;
                }
                let (first, last) = (a as usize, (b.ceil() as usize).min(x1));
                for x in first..last {
                    let share = b.min(x as f32 + 1.0) - a.max(x as f32);
                    cover[x - x0] += share / LINES as f32;
                }
            }
        }
        let start = (y * image.width as usize + x0) * 3;
        let row = &mut image.pixels[start..start + (x1 - x0) * 3];
        for ((pixel, &cover), x) in row.chunks_exact_mut(3).zip(&cover).zip(x0..) {
            if cover > 0.0 {
                paint(x as u32, y as u32, pixel, cover.min(1.0));
            }
        }
    }
}

/// Fills the polygon with one colour; `alpha` 0 to 1.
pub fn fill(image: &mut Image, outline: &[Point], colour: [u8; 3], alpha: f32) {
    fill_with(image, outline, |_, _, pixel, cover| put(pixel, colour, alpha * cover));
}

/// The outline of an ellipse about `centre` with half axes `radii`, turned by `angle` radians.
pub fn ellipse(centre: Point, radii: [f32; 2], angle: f32) -> Vec<Point> {
    let count = ((radii[0].max(radii[1]) * 2.0) as usize).clamp(12, 64);
    let (sin, cos) = angle.sin_cos();
    (0..count)
        .map(|i| {
            let (y, x) = (TAU * i as f32 / count as f32).sin_cos();
            let (x, y) = (x * radii[0], y * radii[1]);
            [centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos]
        })
        .collect()
}

/// The corners of a rectangle about `centre` with half sides `half`, turned by `angle` radians.
pub fn rectangle(centre: Point, half: [f32; 2], angle: f32) -> Vec<Point> {
    let (sin, cos) = angle.sin_cos();
    [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
        .map(|[x, y]: Point| {
            let (x, y) = (x * half[0], y * half[1]);
            [centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos]
        })
        .to_vec()
}

/// Pastes `inset`, which is as large as `area` (`[x0, y0, x1, y1]` in pixels), within the ellipse that fills the area.
pub(crate) fn paste_ellipse(image: &mut Image, inset: &Image, area: [u32; 4]) {
    let [x0, y0, x1, y1] = area.map(|value| value as f32);
    let outline = ellipse([(x0 + x1) / 2.0, (y0 + y1) / 2.0], [(x1 - x0) / 2.0, (y1 - y0) / 2.0], 0.0);
    fill_with(image, &outline, |x, y, pixel, cover| {
        let from = inset.pixel(x.saturating_sub(area[0]), y.saturating_sub(area[1]));
        put(pixel, from, cover);
    });
}

/// Draws line segments of half thickness `radius` with round ends; where they overlap, `alpha` counts once.
pub fn strokes(image: &mut Image, segments: &[[Point; 2]], radius: f32, colour: [u8; 3], alpha: f32) {
    let radius = radius.clamp(0.05, 1e4);
    let reach = radius + 0.5;
    let low = |axis: usize| segments.iter().flatten().fold(f32::MAX, |low, point| low.min(point[axis])) - reach;
    let high = |axis: usize| segments.iter().flatten().fold(f32::MIN, |high, point| high.max(point[axis])) + reach;
    if segments.is_empty() || segments.iter().flatten().flatten().any(|value| !value.is_finite()) {
        return;
    }
    let (x0, x1) = (low(0).clamp(0.0, image.width as f32) as usize, high(0).clamp(0.0, image.width as f32) as usize);
    let (y0, y1) = (low(1).clamp(0.0, image.height as f32) as usize, high(1).clamp(0.0, image.height as f32) as usize);
    let (x1, y1) = ((x1 + 1).min(image.width as usize), (y1 + 1).min(image.height as usize));
    if x0 >= x1 || y0 >= y1 {
        return;
    }
    let (width, height) = (x1 - x0, y1 - y0);
    let mut mask = vec![0f32; width * height];
    // Lines thinner than a pixel are drawn fainter, not narrower.
    let strength = (radius * 2.0).min(1.0);
    let reach = radius.max(0.5) + 0.5;
    for [from, to] in segments {
        let from = [from[0] - x0 as f32, from[1] - y0 as f32];
        let to = [to[0] - x0 as f32, to[1] - y0 as f32];
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let inverse = 1.0 / (dx * dx + dy * dy).max(1e-9);
        let left = (from[0].min(to[0]) - reach).clamp(0.0, width as f32) as usize;
        let right = ((from[0].max(to[0]) + reach).clamp(0.0, width as f32) as usize + 1).min(width);
        let top = (from[1].min(to[1]) - reach).clamp(0.0, height as f32) as usize;
        let bottom = ((from[1].max(to[1]) + reach).clamp(0.0, height as f32) as usize + 1).min(height);
        for y in top..bottom {
            let py = y as f32 + 0.5 - from[1];
            for (cell, x) in mask[y * width..][left..right.max(left)].iter_mut().zip(left..) {
                let px = x as f32 + 0.5 - from[0];
                let along = ((px * dx + py * dy) * inverse).clamp(0.0, 1.0);
                let (ex, ey) = (px - along * dx, py - along * dy);
                let squared = ex * ex + ey * ey;
                if squared < reach * reach {
                    *cell = cell.max((reach - squared.sqrt()).min(1.0));
                }
            }
        }
    }
    for (y, line) in mask.chunks_exact(width).enumerate() {
        let start = ((y + y0) * image.width as usize + x0) * 3;
        for (pixel, &cover) in image.pixels[start..start + width * 3].chunks_exact_mut(3).zip(line) {
            if cover > 0.0 {
                put(pixel, colour, alpha * strength * cover);
            }
        }
    }
}

/// A line of text and how it is drawn. Sizes and places are shares of the image's height or sides, so that the same
/// text fits images of any size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The characters; what is not printable ASCII is drawn as `?`.
    pub text: String,
    /// The middle of the text, 0 to 1 of the width and height.
    pub centre: [f32; 2],
    /// The height of a capital letter over the image's height.
    pub size: f32,
    /// Width of the letters, 1 is usual.
    pub stretch: f32,
    /// Slope of the letters, 0 is upright, 0.3 is italic.
    pub slant: f32,
    /// Thickness of the strokes over the capital height, about 0.08 to 0.25.
    pub weight: f32,
    /// Rotation in radians.
    pub angle: f32,
    /// The colour of the letters.
    pub colour: [u8; 3],
    /// A colour around the letters.
    pub outline: Option<[u8; 3]>,
    /// A box behind the text.
    pub background: Option<[u8; 3]>,
    /// 0 to 1.
    pub alpha: f32,
}

impl Text {
    /// Random words in a random face, at a random place; `size` is the capital height over the image's height.
    pub fn sample(rng: &mut Pcg64, size: f32) -> Self {
        let light = rng.random_bool(0.65);
        let shade = |rng: &mut Pcg64, light: bool| {
            if rng.random_bool(0.3) {
                [rng.random(), rng.random(), rng.random()]
            } else if light {
                [rng.random_range(225..=255u8); 3]
            } else {
                [rng.random_range(0..=40u8); 3]
            }
        };
        let words = rng.random_range(1..=3);
        let text = (0..words).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
        Self {
            text: if rng.random_bool(0.3) { text.to_uppercase() } else { text },
            centre: [rng.random_range(0.1..0.9), rng.random_range(0.06..0.94)],
            size,
            stretch: rng.random_range(0.75..1.25),
            slant: if rng.random_bool(0.25) { rng.random_range(0.0..0.4) } else { 0.0 },
            weight: rng.random_range(0.09..0.24),
            angle: if rng.random_bool(0.15) { rng.random_range(-0.5..0.5) } else { 0.0 },
            colour: shade(rng, light),
            outline: rng.random_bool(0.45).then(|| shade(rng, !light)),
            background: rng.random_bool(0.15).then(|| shade(rng, !light)),
            alpha: if rng.random_bool(0.2) { rng.random_range(0.4..1.0) } else { 1.0 },
        }
    }

    /// Width over capital height of the text without rotation.
    pub fn length(&self) -> f32 {
        let columns =
            self.text.chars().take(MAX_CHARACTERS).map(|character| font::extent(character)[1] + font::SPACING);
        columns.sum::<f32>() / font::CAPITAL * self.stretch
    }

    /// Makes the text small enough to fit `share` (0 to 1) of the width of an image of this aspect (width over height).
    pub fn fit(&mut self, aspect: f32, share: f32) {
        let longest = aspect * share / self.length().max(1e-3);
        self.size = self.size.min(longest);
    }

    /// Draws the text.
    pub fn draw(&self, image: &mut Image) {
        let height = image.height as f32;
        let unit = self.size.clamp(0.0, 2.0) * height / font::CAPITAL;
        if unit.is_nan() || unit <= 0.0 {
            return;
        }
        let (sin, cos) = self.angle.sin_cos();
        let middle = [self.centre[0] * image.width as f32, self.centre[1] * height];
        let start = -(self.length() * font::CAPITAL - font::SPACING * self.stretch) * 0.5;
        let place = |x: f32, y: f32| {
            let (x, y) = ((x - self.slant * (y - font::CAPITAL * 0.5)) * unit, (y - font::CAPITAL * 0.5) * unit);
            [middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos]
        };
        let mut segments = Vec::new();
        let mut left = start;
        for character in self.text.chars().take(MAX_CHARACTERS) {
            let [first, width] = font::extent(character);
            for segment in font::strokes(character) {
                segments.push(segment.map(|[x, y]| place(left + (x - first) * self.stretch, y)));
            }
            left += (width + font::SPACING) * self.stretch;
        }
        let radius = self.weight.clamp(0.02, 0.5) * font::CAPITAL * 0.5 * unit;
        if let Some(colour) = self.background {
            let pad = font::CAPITAL * 0.35;
            let (low, high) = (start - pad, -start + pad);
            let bottom = font::CAPITAL + pad;
            let corners = [place(low, -pad), place(high, -pad), place(high, bottom), place(low, bottom)];
            fill(image, &corners, colour, self.alpha * 0.85);
        }
        if let Some(colour) = self.outline {
            strokes(image, &segments, radius + (0.07 * font::CAPITAL * unit).max(0.6), colour, self.alpha);
        }
        strokes(image, &segments, radius, self.colour, self.alpha);
    }
}

/// The most characters of a line of text that are drawn.
const MAX_CHARACTERS: usize = 200;

/// A made-up word, number or sign.
pub fn word(rng: &mut Pcg64) -> String {
    const STARTS: [&str; 24] = [
        "b", "br", "c", "ch", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl", "r", "s", "st", "t", "tr",
        "v", "w", "z",
    ];
    const VOWELS: [&str; 9] = ["a", "e", "i", "o", "u", "ai", "ea", "ou", "y"];
    const ENDS: [&str; 10] = ["", "n", "r", "s", "t", "l", "ck", "nd", "m", "x"];
    let pick = |rng: &mut Pcg64, list: &[&'static str]| list[rng.random_range(0..list.len())];
    match rng.random_range(0..20u32) {
        0 => format!("{}:{:02}", rng.random_range(0..24), rng.random_range(0..60)),
        1 => format!("#{}", rng.random_range(1..1000)),
        2 => format!("{}%", rng.random_range(1..100)),
        3 => format!("{}", rng.random_range(1950..2040)),
        4 => format!("@{}{}", pick(rng, &STARTS), pick(rng, &VOWELS)),
        kind => {
            let mut word = String::new();
            for _ in 0..rng.random_range(1..=3) {
                for list in [&STARTS[..], &VOWELS, &ENDS] {
                    word.push_str(pick(rng, list));
                }
            }
            if kind < 11
                && let Some(first) = word.get_mut(..1)
            {
                first.make_ascii_uppercase();
            }
            if kind == 19 {
                word.push(['!', '?', '.', ','][rng.random_range(0..4)]);
            }
            word
        }
    }
}

/// A small figure, as logos and stickers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A round face with eyes and a mouth.
    Face,
    /// A star of five points.
    Star,
    /// A heart.
    Heart,
    /// A rectangle with a letter's bars.
    Badge,
    /// A triangle in a disc, as a play button.
    Play,
    /// A ring.
    Ring,
    /// A thick arrow.
    Arrow,
    /// A speech bubble with dots.
    Bubble,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 8] =
        [Self::Face, Self::Star, Self::Heart, Self::Badge, Self::Play, Self::Ring, Self::Arrow, Self::Bubble];
}

/// A figure and where it is put. Places and sizes are shares of the image's sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sticker {
    /// The figure.
    pub shape: Shape,
    /// Its middle, 0 to 1 of the width and height.
    pub centre: [f32; 2],
    /// Its height over the image's height.
    pub size: f32,
    /// Rotation in radians.
    pub angle: f32,
    /// The main colour.
    pub colour: [u8; 3],
    /// The colour of the details.
    pub detail: [u8; 3],
    /// 0 to 1.
    pub alpha: f32,
}

impl Sticker {
    /// A random figure of `size` (share of the height) at a random place.
    pub fn sample(rng: &mut Pcg64, size: f32) -> Self {
        let shape = Shape::ALL[rng.random_range(0..Shape::ALL.len())];
        let bright = |rng: &mut Pcg64| {
            let mut colour = [rng.random_range(0..90u8), rng.random_range(90..200u8), rng.random_range(200..=255u8)];
            let turn = rng.random_range(0..3);
            colour.rotate_left(turn);
            colour
        };
        let colour = match shape {
            Shape::Face if rng.random_bool(0.8) => [255, rng.random_range(190..225), rng.random_range(20..90)],
            Shape::Heart if rng.random_bool(0.7) => [rng.random_range(200..=255), 30, rng.random_range(30..90)],
            _ => bright(rng),
        };
        let detail = match rng.random_range(0..3) {
            0 => [255; 3],
            1 => [30, 25, 20],
            _ => bright(rng),
        };
        Self {
            shape,
            centre: [rng.random_range(0.05..0.95), rng.random_range(0.05..0.95)],
            size,
            angle: if rng.random_bool(0.3) { rng.random_range(-0.6..0.6) } else { 0.0 },
            colour,
            detail,
            alpha: if rng.random_bool(0.25) { rng.random_range(0.5..1.0) } else { 1.0 },
        }
    }

    /// Draws the figure.
    pub fn draw(&self, image: &mut Image) {
        let radius = self.size.clamp(0.0, 4.0) * image.height as f32 * 0.5;
        if radius.is_nan() || radius <= 0.5 {
            return;
        }
        let middle = [self.centre[0] * image.width as f32, self.centre[1] * image.height as f32];
        let (sin, cos) = self.angle.sin_cos();
        // From figures within [-1, 1] to pixels.
        let place = |x: f32, y: f32| {
            let (x, y) = (x * radius, y * radius);
            [middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos]
        };
        let disc =
            |x: f32, y: f32, size: [f32; 2]| ellipse(place(x, y), [size[0] * radius, size[1] * radius], self.angle);
        let boxed = |x: f32, y: f32, half: [f32; 2]| {
            [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
                .map(|[u, v]: Point| place(x + u * half[0], y + v * half[1]))
        };
        let (colour, detail, alpha) = (self.colour, self.detail, self.alpha);
        match self.shape {
            Shape::Face => {
                fill(image, &disc(0.0, 0.0, [1.0, 1.0]), colour, alpha);
                for x in [-0.35, 0.35] {
                    fill(image, &disc(x, -0.28, [0.13, 0.2]), detail, alpha);
                }
                let mouth: Vec<_> = (0..7)
                    .map(|i| {
                        let turn = 0.15 + 0.2 * i as f32 / 6.0;
                        place((TAU * turn).cos() * 0.62, (TAU * turn).sin() * 0.62)
                    })
                    .collect();
                let lines: Vec<_> = mouth.windows(2).map(|pair| [pair[0], pair[1]]).collect();
                strokes(image, &lines, radius * 0.08, detail, alpha);
            }
            Shape::Star => {
                let points: Vec<_> = (0..10)
                    .map(|i| {
                        let (sin, cos) = (TAU * i as f32 / 10.0).sin_cos();
                        let reach = if i % 2 == 0 { 1.0 } else { 0.42 };
                        place(sin * reach, -cos * reach)
                    })
                    .collect();
                fill(image, &points, colour, alpha);
            }
            Shape::Heart => {
                let points: Vec<_> = (0..28)
                    .map(|i| {
                        let turn = TAU * i as f32 / 28.0;
                        let x = turn.sin().powi(3);
                        let y = 0.81 * turn.cos() - 0.31 * (2.0 * turn).cos() - 0.125 * (3.0 * turn).cos();
                        place(x, -y + 0.1 * (4.0 * turn).cos())
                    })
                    .collect();
                fill(image, &points, colour, alpha);
            }
            Shape::Badge => {
                fill(image, &boxed(0.0, 0.0, [1.3, 1.0]), colour, alpha);
                for (i, y) in [-0.45f32, 0.0, 0.45].into_iter().enumerate() {
                    let half = [0.9, 0.6, 0.8][i];
                    fill(image, &boxed(half - 1.0, y, [half, 0.14]), detail, alpha);
                }
            }
            Shape::Play => {
                fill(image, &disc(0.0, 0.0, [1.0, 1.0]), colour, alpha);
                fill(image, &[place(-0.3, -0.5), place(0.6, 0.0), place(-0.3, 0.5)], detail, alpha);
            }
            Shape::Ring => {
                let outer = disc(0.0, 0.0, [0.9, 0.9]);
                let lines: Vec<_> = outer.iter().zip(outer.iter().cycle().skip(1)).map(|(&a, &b)| [a, b]).collect();
                strokes(image, &lines, radius * 0.13, colour, alpha);
                strokes(image, &[[place(-0.35, 0.35), place(0.35, -0.35)]], radius * 0.12, detail, alpha);
            }
            Shape::Arrow => {
                let points = [[-1.0, -0.3], [0.2, -0.3], [0.2, -0.8], [1.0, 0.0], [0.2, 0.8], [0.2, 0.3], [-1.0, 0.3]];
                fill(image, &points.map(|[x, y]| place(x, y)), colour, alpha);
            }
            Shape::Bubble => {
                fill(image, &disc(0.0, -0.15, [1.2, 0.8]), colour, alpha);
                fill(image, &[place(-0.5, 0.4), place(-0.8, 1.0), place(0.0, 0.55)], colour, alpha);
                for x in [-0.5, 0.0, 0.5] {
                    fill(image, &disc(x, -0.15, [0.15, 0.15]), detail, alpha);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator;

    #[test]
    fn polygons_cover_their_area() {
        let mut image = Image::filled(40, 40, [0; 3]);
        fill(&mut image, &[[10.0, 10.0], [30.0, 10.0], [30.0, 20.0], [10.0, 20.0]], [255; 3], 1.0);
        let area = image.mean()[0] / 255.0 * 1600.0;
        assert!((area - 200.0).abs() < 1.0, "{area}");
        let mut image = Image::filled(80, 80, [0; 3]);
        fill(&mut image, &ellipse([40.0, 40.0], [30.0, 20.0], 0.5), [255; 3], 1.0);
        let area = image.mean()[0] / 255.0 * 6400.0;
        assert!((area - 600.0 * std::f32::consts::PI).abs() < 40.0, "{area}");
        // Far outside, and no numbers.
        fill(&mut image, &[[-1e9, -1e9], [1e9, -1e9], [0.0, 1e9]], [1, 2, 3], 1.0);
        fill(&mut image, &[[f32::NAN, 0.0], [1.0, 1.0], [2.0, 5.0]], [0; 3], 1.0);
        assert_eq!(image.pixel(40, 10), [1, 2, 3]);
    }

    #[test]
    fn lines_have_their_thickness() {
        let mut image = Image::filled(60, 60, [0; 3]);
        strokes(&mut image, &[[[10.0, 30.0], [50.0, 30.0]]], 3.0, [255; 3], 1.0);
        let column: f32 = (0..60).map(|y| f32::from(image.pixel(30, y)[0]) / 255.0).sum();
        assert!((column - 6.0).abs() < 0.3, "{column}");
    }

    #[test]
    fn text_is_seen_at_its_place() {
        let mut text = Text::sample(&mut generator(&[3]), 0.2);
        text = Text { centre: [0.5, 0.75], angle: 0.0, colour: [255; 3], alpha: 1.0, ..text };
        text.outline = None;
        text.background = None;
        text.text = "Ag".into();
        let mut image = Image::filled(100, 100, [0; 3]);
        text.draw(&mut image);
        let bright = |image: &Image, rows: std::ops::Range<u32>| {
            rows.flat_map(|y| image.row(y).to_vec()).filter(|&value| value > 128).count()
        };
        assert!(bright(&image, 60..95) > 100);
        assert_eq!(bright(&image, 0..55), 0);
        text.fit(1.0, 0.1);
        assert!(text.length() * text.size <= 0.1001);
        text.text = "\u{1F600}\u{7f}".into();
        text.draw(&mut image);
    }

    #[test]
    fn every_shape_draws_within_its_bounds() {
        for shape in Shape::ALL {
            let mut sticker = Sticker::sample(&mut generator(&[4]), 0.4);
            sticker = Sticker { shape, centre: [0.5, 0.5], angle: 0.0, alpha: 1.0, ..sticker };
            let mut image = Image::filled(100, 100, [0; 3]);
            sticker.draw(&mut image);
            let touched = image.pixels.chunks_exact(3).filter(|pixel| pixel.iter().any(|&value| value > 0)).count();
            assert!((150..2500).contains(&touched), "{shape:?}: {touched}");
            assert_eq!(image.pixel(50, 20), [0; 3], "{shape:?}");
            assert_eq!(image.pixel(10, 50), [0; 3], "{shape:?}");
        }
    }
}
