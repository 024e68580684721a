//! Still images made of noise and overlapping shapes, for training without photographs.

use std::f32::consts::{PI, TAU};

use rand::RngExt;

use crate::Pcg64;
use crate::draw::{self, Point, Sticker, Text};
use crate::image::Image;
use crate::ops;

/// A value between `low` and `high`, evenly spread in its logarithm.
pub(crate) fn log_uniform(rng: &mut Pcg64, low: f32, high: f32) -> f32 {
    (rng.random_range(low.ln()..=high.ln())).exp()
}

/// Coloured noise whose amplitude falls with frequency as 1/f^`beta` (1 to 2.2 look natural): random colours, a random
/// mean and contrast.
pub fn texture(rng: &mut Pcg64, width: u32, height: u32, beta: f32) -> Image {
    let (width, height) = (width.clamp(1, 4096), height.clamp(1, 4096));
    let (columns, rows) = (width as usize, height as usize);
    let mut field = vec![0f32; columns * rows * 3];
    let longest = width.max(height) as f32;
    let mut cells = rng.random_range(1.0..2.0f32);
    let stretch = log_uniform(rng, 0.6, 1.6);
    let mut amplitude = 1.0f32;
    let mut power = 0.0;
    let mut line = vec![0f32; columns * 3];
    while cells < longest {
        let across = ((cells * stretch * width as f32 / longest).max(1.0)).min(width as f32);
        let down = ((cells / stretch * height as f32 / longest).max(1.0)).min(height as f32);
        let (grid_width, grid_height) = (across.ceil() as usize + 2, down.ceil() as usize + 2);
        let mut grid = vec![0f32; grid_width * grid_height * 3];
        for chunk in grid.chunks_mut(4) {
            let bits: u64 = rng.random();
            for (i, value) in chunk.iter_mut().enumerate() {
                *value = ((bits >> (16 * i)) & 0xffff) as f32 / 32_768.0 - 1.0;
            }
        }
        let smooth = |value: f32| value * value * (3.0 - 2.0 * value);
        let taps: Vec<(usize, f32)> = (0..columns)
            .map(|x| {
                let at = (x as f32 + 0.5) / columns as f32 * across;
                (at as usize * 3, smooth(at.fract()))
            })
            .collect();
        let mut between = vec![0f32; grid_width * 3];
        for y in 0..rows {
            let at = (y as f32 + 0.5) / rows as f32 * down;
            let (row, weight) = (at as usize, smooth(at.fract()));
            let above = &grid[row * grid_width * 3..][..grid_width * 3];
            let below = &grid[(row + 1) * grid_width * 3..][..grid_width * 3];
            for ((out, a), b) in between.iter_mut().zip(above).zip(below) {
                *out = (a + (b - a) * weight) * amplitude;
            }
            for (out, &(at, weight)) in line.chunks_exact_mut(3).zip(&taps) {
                for channel in 0..3 {
                    let (a, b) = (between[at + channel], between[at + 3 + channel]);
                    out[channel] = a + (b - a) * weight;
                }
            }
            for (sum, value) in field[y * columns * 3..][..columns * 3].iter_mut().zip(&line) {
                *sum += value;
            }
        }
        power += amplitude * amplitude * 0.2;
        amplitude *= 2f32.powf(1.0 - beta);
        cells *= 2.0;
    }
    // Mostly a common brightness, and some colour.
    let colourful = rng.random_range(0.05..0.8f32);
    let mix: [[f32; 3]; 3] = std::array::from_fn(|_| {
        std::array::from_fn(|column| if column == 0 { 1.0 } else { rng.random_range(-1.0..1.0f32) * colourful })
    });
    let contrast = rng.random_range(20.0..65.0f32) / power.max(1e-6).sqrt();
    let mean: [f32; 3] = {
        let grey = rng.random_range(60.0..195.0f32);
        std::array::from_fn(|_| grey + rng.random_range(-55.0..55.0f32) * colourful)
    };
    let mut pixels = Vec::with_capacity(field.len());
    for value in field.chunks_exact(3) {
        for (row, mean) in mix.iter().zip(mean) {
            pixels.push((mean + contrast * (row[0] * value[0] + row[1] * value[1] + row[2] * value[2])) as u8);
        }
    }
    Image { width, height, pixels }
}

/// A random colour, often a pale or dark one.
fn colour(rng: &mut Pcg64) -> [u8; 3] {
    let base: [u8; 3] = rng.random();
    match rng.random_range(0..4) {
        0 => base.map(|value| 160 + value / 3),
        1 => base.map(|value| value / 3),
        _ => base,
    }
}

/// The outline of a random shape about `centre` with a radius of about `radius`.
pub(crate) fn leaf(rng: &mut Pcg64, centre: Point, radius: f32) -> Vec<Point> {
    let angle = rng.random_range(0.0..TAU);
    match rng.random_range(0..6) {
        0 => draw::ellipse(centre, [radius, radius], 0.0),
        1 => draw::ellipse(centre, [radius, radius * rng.random_range(0.3..0.9)], angle),
        2 => {
            let count = rng.random_range(3..9);
            let turns: Vec<f32> = (0..count).map(|i| (i as f32 + rng.random_range(-0.3..0.3)) / count as f32).collect();
            turns
                .into_iter()
                .map(|turn| {
                    let (sin, cos) = (turn * TAU + angle).sin_cos();
                    let reach = radius * rng.random_range(0.6..1.2);
                    [centre[0] + cos * reach, centre[1] + sin * reach]
                })
                .collect()
        }
        3 => draw::rectangle(centre, [radius * 1.6, radius * rng.random_range(0.04..0.2)], angle),
        4 => draw::rectangle(centre, [radius, radius * rng.random_range(0.3..1.0)], 0.0),
        _ => draw::rectangle(centre, [radius, radius * rng.random_range(0.3..1.0)], angle),
    }
}

/// How a shape is filled.
#[derive(Debug)]
pub(crate) enum Fill {
    Flat([u8; 3]),
    Grating { colours: [[u8; 3]; 2], wave: [f32; 2] },
    Texture { image: Image, offset: [u32; 2] },
    Slope { from: [u8; 3], to: [u8; 3], origin: Point, step: Point },
}

impl Fill {
    pub(crate) fn sample(rng: &mut Pcg64, centre: Point, radius: f32) -> Self {
        match rng.random_range(0..10) {
            0..4 => Self::Flat(colour(rng)),
            4..6 => {
                let turns = 1.0 / log_uniform(rng, 3.0, (radius * 0.8).max(4.0));
                let (sin, cos) = rng.random_range(0.0..PI).sin_cos();
                Self::Grating { colours: [colour(rng), colour(rng)], wave: [cos * turns, sin * turns] }
            }
            6..8 => {
                let side = ((radius * 2.0) as u32).clamp(8, 96);
                let beta = rng.random_range(0.9..2.2);
                let image = texture(rng, side, side, beta);
                Self::Texture { image, offset: rng.random::<[u16; 2]>().map(u32::from) }
            }
            _ => {
                let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
                let step = [cos / (2.0 * radius), sin / (2.0 * radius)];
                Self::Slope { from: colour(rng), to: colour(rng), origin: centre, step }
            }
        }
    }

    /// The colour at a pixel, which may lie outside the image.
    pub(crate) fn at(&self, x: i32, y: i32) -> [u8; 3] {
        match self {
            Self::Flat(colour) => *colour,
            Self::Grating { colours, wave } => {
                let turns = x as f32 * wave[0] + y as f32 * wave[1];
                let share = (0.5 + 1.6 * (turns * TAU).sin()).clamp(0.0, 1.0);
                std::array::from_fn(|i| between(colours[0][i], colours[1][i], share))
            }
            Self::Texture { image, offset } => {
                let wrap = |value: i32, offset: u32, side: u32| {
                    value.wrapping_add(offset as i32).rem_euclid(side as i32) as u32
                };
                image.pixel(wrap(x, offset[0], image.width), wrap(y, offset[1], image.height))
            }
            Self::Slope { from, to, origin, step } => {
                let share = 0.5 + (x as f32 - origin[0]) * step[0] + (y as f32 - origin[1]) * step[1];
                std::array::from_fn(|i| between(from[i], to[i], share.clamp(0.0, 1.0)))
            }
        }
    }
}

fn between(from: u8, to: u8, share: f32) -> u8 {
    (f32::from(from) + (f32::from(to) - f32::from(from)) * share) as u8
}

/// Covers the image with `count` overlapping random shapes ("dead leaves"), many small and few large.
pub fn leaves(image: &mut Image, rng: &mut Pcg64, count: usize) {
    let side = image.width.min(image.height) as f32;
    for _ in 0..count.min(1000) {
        let radius = log_uniform(rng, 0.03, 0.45) * side;
        let centre =
            [rng.random_range(-0.05..1.05) * image.width as f32, rng.random_range(-0.05..1.05) * image.height as f32];
        let outline = leaf(rng, centre, radius);
        let filling = Fill::sample(rng, centre, radius);
        let alpha = if rng.random_bool(0.15) { rng.random_range(0.3..0.9) } else { 1.0 };
        draw::fill_with(image, &outline, |x, y, pixel, cover| {
            let weight = (cover * alpha * 256.0) as i32;
            for (to, from) in pixel.iter_mut().zip(filling.at(x as i32, y as i32)) {
                *to = (i32::from(*to) + (((i32::from(from) - i32::from(*to)) * weight + 128) >> 8)) as u8;
            }
        });
    }
}

/// A random still image: noise of 1/f^1 to 1/f^2.2, four times in five covered by 4 to 40 shapes, sometimes a page of
/// text and figures, with optional text, blur and a smooth light field. Sides 1 to 4096.
pub fn still(rng: &mut Pcg64, width: u32, height: u32) -> Image {
    let beta = rng.random_range(1.0..2.2);
    let page = rng.random_bool(0.1);
    let mut image = if page {
        Image::filled(width.min(4096), height.min(4096), colour(rng))
    } else {
        texture(rng, width, height, beta)
    };
    if page {
        let count = rng.random_range(0..5);
        leaves(&mut image, rng, count);
        for _ in 0..rng.random_range(2..10) {
            let size = log_uniform(rng, 0.03, 0.12);
            Text::sample(rng, size).draw(&mut image);
        }
        for _ in 0..rng.random_range(0..4) {
            let size = rng.random_range(0.08..0.4);
            Sticker::sample(rng, size).draw(&mut image);
        }
    } else {
        if rng.random_bool(0.8) {
            let count = rng.random_range(4..=40);
            leaves(&mut image, rng, count);
        }
        if rng.random_bool(0.15) {
            let size = rng.random_range(0.04..0.15);
            Text::sample(rng, size).draw(&mut image);
        }
    }
    if rng.random_bool(0.3) {
        ops::blur(&mut image, rng.random_range(0.4..1.6));
    }
    if rng.random_bool(0.5) {
        light(&mut image, rng);
    }
    image
}

/// Brightens and darkens the image smoothly from side to side.
fn light(image: &mut Image, rng: &mut Pcg64) {
    let corners: [f32; 4] = std::array::from_fn(|_| rng.random_range(0.55..1.35));
    let (width, height) = (image.width as f32, image.height as f32);
    let stride = image.width as usize * 3;
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let v = (y as f32 + 0.5) / height;
        let left = (corners[0] + (corners[2] - corners[0]) * v) * 256.0;
        let right = (corners[1] + (corners[3] - corners[1]) * v) * 256.0;
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let factor = (left + (right - left) * (x as f32 + 0.5) / width) as u32;
            pixel.iter_mut().for_each(|value| *value = ((u32::from(*value) * factor) >> 8).min(255) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let make = |seed| still(&mut generator(&[seed]), 96, 72);
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert_eq!((make(3).width, make(3).height), (96, 72));
    }

    #[test]
    fn textures_are_neither_flat_nor_harsh() {
        let mut generator = generator(&[9]);
        for beta in [1.0, 1.5, 2.2] {
            let image = texture(&mut generator, 128, 128, beta);
            let mean = image.mean()[1];
            let deviation =
                (image.pixels.chunks_exact(3).map(|pixel| (f32::from(pixel[1]) - mean).powi(2)).sum::<f32>()
                    / (128.0 * 128.0))
                    .sqrt();
            assert!((6.0..90.0).contains(&deviation), "beta {beta}: {deviation}");
        }
        assert_eq!(texture(&mut generator, 1, 1, 1.0).pixels.len(), 3);
        still(&mut generator, 1, 1);
    }
}
