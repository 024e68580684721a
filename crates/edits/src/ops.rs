//! Filters: blur, noise, the losses of JPEG, coarser pixels, and what screens and lenses do.

use rand::Rng;

use crate::Pcg64;
use crate::image::{Image, mix};

/// Blurs by a Gaussian of `sigma` pixels (0 to 50); the edge pixels are repeated outside.
pub fn blur(image: &mut Image, sigma: f32) {
    if sigma.is_nan() || sigma <= 0.05 {
        return;
    }
    let sigma = sigma.min(50.0);
    if sigma > 4.0 {
        // Wide kernels: a smaller image blurred by less.
        let factor = (sigma / 2.0).floor();
        let small = |side: u32| ((side as f32 / factor).ceil() as u32).max(1);
        let mut shrunk = image.resize(small(image.width), small(image.height));
        blur(&mut shrunk, sigma / factor);
        *image = shrunk.resize(image.width, image.height);
        return;
    }
    let radius = (sigma * 2.6).ceil() as usize;
    let mut kernel: Vec<f32> =
        (0..=2 * radius).map(|i| (-0.5 * ((i as f32 - radius as f32) / sigma).powi(2)).exp()).collect();
    let total: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|value| *value /= total);

    let (width, height) = (image.width as usize, image.height as usize);
    let stride = width * 3;
    let mut padded = vec![0f32; (width + 2 * radius) * 3];
    let mut between = vec![0f32; stride * height];
    for y in 0..height {
        let row = &image.pixels[y * stride..][..stride];
        for (to, &from) in padded[radius * 3..].iter_mut().zip(row) {
            *to = f32::from(from);
        }
        for i in 0..radius {
            for channel in 0..3 {
                padded[i * 3 + channel] = f32::from(row[channel]);
                padded[(radius + width + i) * 3 + channel] = f32::from(row[stride - 3 + channel]);
            }
        }
        let out = &mut between[y * stride..][..stride];
        for (tap, &weight) in kernel.iter().enumerate() {
            for (out, &value) in out.iter_mut().zip(&padded[tap * 3..][..stride]) {
                *out += weight * value;
            }
        }
    }
    let mut sums = vec![0f32; stride];
    for y in 0..height {
        sums.fill(0.5);
        for (tap, &weight) in kernel.iter().enumerate() {
            let from = (y + tap).saturating_sub(radius).min(height - 1);
            for (sum, &value) in sums.iter_mut().zip(&between[from * stride..][..stride]) {
                *sum += weight * value;
            }
        }
        for (to, &sum) in image.pixels[y * stride..][..stride].iter_mut().zip(&sums) {
            *to = sum as u8;
        }
    }
}

/// Makes edges harder: adds `amount` (0 to 4) times the difference to the image blurred by 1.2 pixels.
pub fn sharpen(image: &mut Image, amount: f32) {
    if amount.is_nan() || amount <= 0.0 {
        return;
    }
    let amount = amount.min(4.0);
    let mut soft = image.clone();
    blur(&mut soft, 1.2);
    for (value, soft) in image.pixels.iter_mut().zip(&soft.pixels) {
        let (sharp, soft) = (f32::from(*value), f32::from(*soft));
        *value = (sharp + amount * (sharp - soft)).round().clamp(0.0, 255.0) as u8;
    }
}

/// Adds noise of standard deviation `sigma` (in 255ths); the same in all channels where `grey`.
pub fn noise(image: &mut Image, sigma: f32, grey: bool, rng: &mut Pcg64) {
    if sigma.is_nan() || sigma <= 0.0 {
        return;
    }
    // The sum of four bytes is near enough to a Gaussian: mean 510, standard deviation 147.8.
    let factor = (sigma.min(255.0) / 147.8 * 65_536.0) as i32;
    let mut spare = [0i32; 2];
    let mut left = 0;
    let mut next = || {
        if left == 0 {
            let bytes = rng.next_u64().to_le_bytes().map(i32::from);
            spare = [bytes[..4].iter().sum(), bytes[4..].iter().sum()];
            left = 2;
        }
        left -= 1;
        ((spare[left] - 510) * factor + 32_768) >> 16
    };
    if grey {
        for pixel in image.pixels.chunks_exact_mut(3) {
            let shift = next();
            pixel.iter_mut().for_each(|value| *value = (i32::from(*value) + shift).clamp(0, 255) as u8);
        }
    } else {
        for value in &mut image.pixels {
            *value = (i32::from(*value) + next()).clamp(0, 255) as u8;
        }
    }
}

/// Shrinks to `factor` (0 to 1) of each side and back again; `blocks` repeats pixels on the way back (pixelation).
pub fn rescale(image: &mut Image, factor: f32, blocks: bool) {
    if !(factor > 0.0 && factor < 1.0) {
        return;
    }
    let small = |side: u32| ((side as f32 * factor).round() as u32).clamp(1, side);
    let shrunk = image.resize(small(image.width), small(image.height));
    if blocks {
        let columns: Vec<u32> = (0..image.width)
            .map(|x| (u64::from(x) * u64::from(shrunk.width) / u64::from(image.width)) as u32)
            .collect();
        let mut pixels = Vec::with_capacity(image.pixels.len());
        for y in 0..image.height {
            let row = (u64::from(y) * u64::from(shrunk.height) / u64::from(image.height)) as u32;
            for &x in &columns {
                pixels.extend_from_slice(&shrunk.pixel(x, row));
            }
        }
        image.pixels = pixels;
    } else {
        *image = shrunk.resize(image.width, image.height);
    }
}

/// Moves the image towards `other` (brought to the same size) by `alpha` (0 to 1).
pub fn blend(image: &mut Image, other: &Image, alpha: f32) {
    let other = other.resize(image.width, image.height);
    mix(&mut image.pixels, &other.pixels, alpha);
}

/// Darkens towards the corners, by `strength` (0 to 1) in the corners themselves.
pub fn vignette(image: &mut Image, strength: f32) {
    let (width, height) = (image.width as f32, image.height as f32);
    let across: Vec<f32> = (0..image.width).map(|x| ((x as f32 + 0.5) / width * 2.0 - 1.0).powi(2) * 0.5).collect();
    let strength = strength.clamp(0.0, 1.0) * 256.0;
    let stride = image.width as usize * 3;
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let down = ((y as f32 + 0.5) / height * 2.0 - 1.0).powi(2) * 0.5;
        for (pixel, across) in row.chunks_exact_mut(3).zip(&across) {
            let distance = across + down;
            let factor = (256.0 - strength * distance * distance.sqrt()) as u32;
            pixel.iter_mut().for_each(|value| *value = ((u32::from(*value) * factor) >> 8) as u8);
        }
    }
}

/// Darkens every `period`-th run of rows by `strength` (0 to 1), as old screens do; `phase` in rows.
pub fn scan_lines(image: &mut Image, period: f32, strength: f32, phase: f32) {
    let stride = image.width as usize * 3;
    let period = period.max(1.0);
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let wave = 0.5 - 0.5 * (std::f32::consts::TAU * (y as f32 + phase) / period).cos();
        let factor = (256.0 * (1.0 - strength.clamp(0.0, 1.0) * wave)) as u32;
        row.iter_mut().for_each(|value| *value = ((u32::from(*value) * factor) >> 8) as u8);
    }
}

/// The coloured waves of a filmed screen, within `[x0, y0, x1, y1]` (pixels): `strength` (0 to 1), the wave numbers
/// across and down in turns a pixel, `phase` in turns.
pub fn moire(image: &mut Image, area: [u32; 4], strength: f32, wave: [f32; 2], phase: f32) {
    let (x1, y1) = (area[2].min(image.width) as usize, area[3].min(image.height) as usize);
    let (x0, y0) = (area[0] as usize, area[1] as usize);
    if x0 >= x1 || y0 >= y1 {
        return;
    }
    let table: Vec<i32> = (0..256)
        .map(|i| (strength.clamp(0.0, 1.0) * 256.0 * (std::f32::consts::TAU * i as f32 / 256.0).sin()) as i32)
        .collect();
    let width = image.width as usize;
    for y in y0..y1 {
        let bend = (y as f32 * 0.02).sin() * 3.0;
        for (x, pixel) in image.pixels[(y * width + x0) * 3..(y * width + x1) * 3].chunks_exact_mut(3).enumerate() {
            let turns = (x as f32 + bend) * wave[0] + y as f32 * wave[1] + phase;
            let at = (turns * 256.0) as i32;
            for (channel, value) in pixel.iter_mut().enumerate() {
                let factor = 256 + table[((at + channel as i32 * 60) & 255) as usize];
                *value = ((i32::from(*value) * factor) >> 8).clamp(0, 255) as u8;
            }
        }
    }
}

/// The luminance quantisation of the JPEG standard's annex K, rows of rising vertical frequency.
const LUMA_STEPS: [[f32; 8]; 8] = [
    [16.0, 11.0, 10.0, 16.0, 24.0, 40.0, 51.0, 61.0],
    [12.0, 12.0, 14.0, 19.0, 26.0, 58.0, 60.0, 55.0],
    [14.0, 13.0, 16.0, 24.0, 40.0, 57.0, 69.0, 56.0],
    [14.0, 17.0, 22.0, 29.0, 51.0, 87.0, 80.0, 62.0],
    [18.0, 22.0, 37.0, 56.0, 68.0, 109.0, 103.0, 77.0],
    [24.0, 35.0, 55.0, 64.0, 81.0, 104.0, 113.0, 92.0],
    [49.0, 64.0, 78.0, 87.0, 103.0, 121.0, 120.0, 101.0],
    [72.0, 92.0, 95.0, 98.0, 112.0, 100.0, 103.0, 99.0],
];

/// The same for chrominance.
const CHROMA_STEPS: [[f32; 8]; 8] = [
    [17.0, 18.0, 24.0, 47.0, 99.0, 99.0, 99.0, 99.0],
    [18.0, 21.0, 26.0, 66.0, 99.0, 99.0, 99.0, 99.0],
    [24.0, 26.0, 56.0, 99.0, 99.0, 99.0, 99.0, 99.0],
    [47.0, 66.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0],
    [99.0; 8],
    [99.0; 8],
    [99.0; 8],
    [99.0; 8],
];

type Block = [[f32; 8]; 8];

fn transform() -> (Block, Block) {
    let mut forward = [[0.0; 8]; 8];
    for (k, row) in forward.iter_mut().enumerate() {
        let scale = if k == 0 { (1.0f32 / 8.0).sqrt() } else { 0.5 };
        for (n, value) in row.iter_mut().enumerate() {
            *value = scale * (std::f32::consts::PI * (2 * n + 1) as f32 * k as f32 / 16.0).cos();
        }
    }
    let mut back = [[0.0; 8]; 8];
    for k in 0..8 {
        for n in 0..8 {
            back[n][k] = forward[k][n];
        }
    }
    (forward, back)
}

fn multiply(a: &Block, b: &Block) -> Block {
    let mut out = [[0.0; 8]; 8];
    for (out, a) in out.iter_mut().zip(a) {
        for (factor, line) in a.iter().zip(b) {
            for (out, value) in out.iter_mut().zip(line) {
                *out += factor * value;
            }
        }
    }
    out
}

/// The steps of `quality` (1 to 100) by the usual rule of JPEG writers, and their inverses.
fn steps(table: &Block, quality: u8) -> (Block, Block) {
    let quality = f32::from(quality.clamp(1, 100));
    let scale = if quality < 50.0 { (5000.0 / quality).floor() } else { 200.0 - 2.0 * quality };
    let steps = table.map(|row| row.map(|step| ((step * scale + 50.0) / 100.0).floor().clamp(1.0, 255.0)));
    (steps, steps.map(|row| row.map(|step| 1.0 / step)))
}

/// Rounds a plane (values about 0, rows of `width`, sides multiples of 8) as JPEG of this quality does.
fn quantise(plane: &mut [f32], width: usize, table: &Block, quality: u8) {
    let (forward, back) = transform();
    let (steps, inverses) = steps(table, quality);
    // Adding and subtracting this rounds to the nearest whole number.
    let round = 12_582_912.0f32;
    for band in plane.chunks_exact_mut(width * 8) {
        for column in (0..width).step_by(8) {
            let mut block = [[0.0; 8]; 8];
            for (row, line) in block.iter_mut().enumerate() {
                line.copy_from_slice(&band[row * width + column..][..8]);
            }
            let mut frequencies = multiply(&multiply(&forward, &block), &back);
            for ((line, steps), inverses) in frequencies.iter_mut().zip(&steps).zip(&inverses) {
                for ((value, step), inverse) in line.iter_mut().zip(steps).zip(inverses) {
                    *value = ((*value * inverse + round) - round) * step;
                }
            }
            let block = multiply(&multiply(&back, &frequencies), &forward);
            for (row, line) in block.iter().enumerate() {
                band[row * width + column..][..8].copy_from_slice(line);
            }
        }
    }
}

/// What writing a JPEG file of this `quality` (1 to 100) and reading it again does to the image: colour at half
/// resolution where `halved` (4:2:0), blocks of 8x8 quantised. No file is made, which is much faster.
pub fn jpeg(image: &mut Image, quality: u8, halved: bool) {
    let (width, height) = (image.width as usize, image.height as usize);
    let unit = if halved { 16 } else { 8 };
    let (across, down) = (width.div_ceil(unit) * unit, height.div_ceil(unit) * unit);
    let mut luma = vec![0f32; across * down];
    let mut chroma = [vec![0f32; across * down], vec![0f32; across * down]];
    for y in 0..down {
        let row = &image.pixels[y.min(height - 1) * width * 3..][..width * 3];
        let line = y * across..y * across + across;
        let [first, second] = &mut chroma;
        let planes = luma[line.clone()].iter_mut().zip(&mut first[line.clone()]).zip(&mut second[line]);
        for (x, ((luma, first), second)) in planes.enumerate() {
            let at = x.min(width - 1) * 3;
            let [r, g, b] = [row[at], row[at + 1], row[at + 2]].map(f32::from);
            *luma = 0.299 * r + 0.587 * g + 0.114 * b - 128.0;
            *first = -0.168_736 * r - 0.331_264 * g + 0.5 * b;
            *second = 0.5 * r - 0.418_688 * g - 0.081_312 * b;
        }
    }
    quantise(&mut luma, across, &LUMA_STEPS, quality);
    for plane in &mut chroma {
        if halved {
            let half = across / 2;
            let mut small = Vec::with_capacity(half * down / 2);
            for pair in plane.chunks_exact(across * 2) {
                let (above, below) = pair.split_at(across);
                let sums = above.chunks_exact(2).zip(below.chunks_exact(2));
                small.extend(sums.map(|(a, b)| (a[0] + a[1] + b[0] + b[1]) * 0.25));
            }
            quantise(&mut small, half, &CHROMA_STEPS, quality);
            for (row, line) in plane.chunks_exact_mut(across).enumerate() {
                let small = &small[row / 2 * half..][..half];
                for (pair, &value) in line.chunks_exact_mut(2).zip(small) {
                    pair.fill(value);
                }
            }
        } else {
            quantise(plane, across, &CHROMA_STEPS, quality);
        }
    }
    for (y, row) in image.pixels.chunks_exact_mut(width * 3).enumerate() {
        let line = y * across..y * across + width;
        let planes = luma[line.clone()].iter().zip(&chroma[0][line.clone()]).zip(&chroma[1][line]);
        for (pixel, ((luma, first), second)) in row.chunks_exact_mut(3).zip(planes) {
            let luma = luma + 128.5;
            pixel[0] = (luma + 1.402 * second) as u8;
            pixel[1] = (luma - 0.344_136 * first - 0.714_136 * second) as u8;
            pixel[2] = (luma + 1.772 * first) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{generator, procedural};

    fn sample() -> Image {
        procedural::still(&mut generator(&[5]), 90, 70)
    }

    fn distance(a: &Image, b: &Image) -> f32 {
        let sum: f32 = a.pixels.iter().zip(&b.pixels).map(|(&a, &b)| (f32::from(a) - f32::from(b)).powi(2)).sum();
        (sum / a.pixels.len() as f32).sqrt()
    }

    #[test]
    fn blur_keeps_the_mean_and_flattens() {
        for sigma in [0.6, 2.0, 9.0] {
            let mut image = Image::filled(61, 45, [0; 3]);
            image.paste(&Image::filled(1, 1, [255; 3]), 30, 22, 1.0);
            blur(&mut image, sigma);
            let peak = f32::from(image.pixel(30, 22)[0]);
            assert!(peak < 255.0 * 0.5, "{sigma}: {peak}");
            let mut flat = Image::filled(20, 10, [90, 3, 255]);
            blur(&mut flat, sigma);
            assert_eq!(flat, Image::filled(20, 10, [90, 3, 255]));
        }
        // Two pixels of sigma 1: the known value 1 / (2 pi).
        let mut image = Image::filled(31, 31, [0; 3]);
        image.paste(&Image::filled(1, 1, [255; 3]), 15, 15, 1.0);
        blur(&mut image, 1.0);
        assert!(image.pixel(15, 15)[0].abs_diff(41) <= 1, "{:?}", image.pixel(15, 15));
    }

    #[test]
    fn noise_has_its_deviation() {
        for grey in [false, true] {
            let mut image = Image::filled(80, 80, [128; 3]);
            noise(&mut image, 12.0, grey, &mut generator(&[1]));
            let deviation = distance(&image, &Image::filled(80, 80, [128; 3]));
            assert!((deviation - 12.0).abs() < 0.8, "{deviation}");
            let mean = image.mean()[0];
            assert!((mean - 128.0).abs() < 1.0, "{mean}");
        }
    }

    #[test]
    fn jpeg_losses_are_those_of_a_file() {
        let image = sample();
        for quality in [8, 30, 60, 90] {
            let file = Image::decode(&image.encode_jpeg(quality).unwrap()).unwrap();
            let mut ours = image.clone();
            // The encoder keeps the colour's resolution.
            jpeg(&mut ours, quality, false);
            let (loss, apart) = (distance(&image, &file), distance(&ours, &file));
            assert!(apart < 0.25 * loss + 1.0, "quality {quality}: loss {loss}, apart {apart}");
        }
        let (mut coarse, mut fine) = (image.clone(), image.clone());
        jpeg(&mut coarse, 10, true);
        jpeg(&mut fine, 95, true);
        assert!(distance(&coarse, &image) > 1.5 * distance(&fine, &image));
    }

    #[test]
    fn pixelation_makes_blocks() {
        let mut image = sample();
        rescale(&mut image, 0.1, true);
        assert_eq!(image.pixel(0, 0), image.pixel(8, 8));
        let mut soft = sample();
        rescale(&mut soft, 0.3, false);
        assert_eq!((soft.width, soft.height), (90, 70));
    }

    #[test]
    fn lens_and_screen_effects_stay_in_range() {
        let mut image = Image::filled(40, 40, [200; 3]);
        vignette(&mut image, 0.8);
        assert!(image.pixel(20, 20)[0] > 195 && image.pixel(0, 0)[0] < 90, "{:?}", image.pixel(0, 0));
        let mut lines = Image::filled(40, 40, [200; 3]);
        scan_lines(&mut lines, 2.0, 0.5, 0.0);
        assert_eq!((lines.pixel(0, 0)[0], lines.pixel(0, 1)[0]), (200, 100));
        let mut waves = Image::filled(40, 40, [200; 3]);
        moire(&mut waves, [0, 0, 40, 20], 0.2, [0.3, 0.1], 0.0);
        assert_eq!(waves.pixel(3, 30), [200; 3]);
        assert!(waves.row(3).iter().any(|&value| value > 230) && waves.row(3).iter().any(|&value| value < 170));
    }
}
