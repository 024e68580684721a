//! RGB images, their files and their sizes.

use crate::EditError;

/// The longest side of an image, in pixels.
pub const MAX_SIDE: u32 = 16_384;

/// The most pixels of an image.
pub const MAX_PIXELS: u64 = 1 << 25;

/// An RGB image: rows from the top, three bytes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

fn check_size(width: u64, height: u64) -> Result<(), EditError> {
    let side = u64::from(MAX_SIDE);
    if width == 0 || height == 0 || width > side || height > side || width * height > MAX_PIXELS {
        return Err(EditError::Size { width, height });
    }
    Ok(())
}

impl Image {
    /// An image of `width` x `height` made of `pixels`.
    ///
    /// # Errors
    /// [`EditError::Size`] for a size outside the limits, [`EditError::Pixels`] for a buffer of another length.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, EditError> {
        check_size(u64::from(width), u64::from(height))?;
        let expected = width as usize * height as usize * 3;
        if pixels.len() != expected {
            return Err(EditError::Pixels { width, height, expected, found: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// An image of one colour. A side of 0 is taken as 1, a side above [`MAX_SIDE`] as that.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let (width, height) = (width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
        let mut pixels = vec![colour[0]; width as usize * height as usize * 3];
        if colour[1] != colour[0] || colour[2] != colour[0] {
            for pixel in pixels.chunks_exact_mut(3) {
                pixel.copy_from_slice(&colour);
            }
        }
        Self { width, height, pixels }
    }

    /// Decodes a JPEG or PNG file. Needs the feature `decode`.
    ///
    /// # Errors
    /// [`EditError::Decode`] for anything else, [`EditError::Size`] for an image outside the limits.
    #[cfg(feature = "decode")]
    pub fn decode(bytes: &[u8]) -> Result<Self, EditError> {
        let decode = |error: image::ImageError| EditError::Decode { reason: error.to_string() };
        let reader = || {
            image::ImageReader::new(std::io::Cursor::new(bytes))
                .with_guessed_format()
                .map_err(|error| EditError::Decode { reason: error.to_string() })
        };
        let (width, height) = reader()?.into_dimensions().map_err(decode)?;
        check_size(u64::from(width), u64::from(height))?;
        let mut reader = reader()?;
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_PIXELS * 16);
        reader.limits(limits);
        let decoded = reader.decode().map_err(decode)?.into_rgb8();
        Self::new(decoded.width(), decoded.height(), decoded.into_raw())
    }

    /// A PNG file of the image.
    ///
    /// # Errors
    /// [`EditError::Encode`] where the encoder fails.
    pub fn encode_png(&self) -> Result<Vec<u8>, EditError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Adaptive);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(&self.pixels)?;
                writer.finish()
            })
            .map_err(|error| EditError::Encode { reason: error.to_string() })?;
        Ok(bytes)
    }

    /// A JPEG file of the image, `quality` 1 to 100. Needs the feature `decode`.
    ///
    /// # Errors
    /// [`EditError::Encode`] where the encoder fails.
    #[cfg(feature = "decode")]
    pub fn encode_jpeg(&self, quality: u8) -> Result<Vec<u8>, EditError> {
        use image::ImageEncoder;
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
            .write_image(&self.pixels, self.width, self.height, image::ExtendedColorType::Rgb8)
            .map_err(|error| EditError::Encode { reason: error.to_string() })?;
        Ok(bytes)
    }

    /// The colour at column `x` of row `y`; outside the image the nearest pixel's.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let (x, y) = (x.min(self.width - 1) as usize, y.min(self.height - 1) as usize);
        let at = (y * self.width as usize + x) * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// The bytes of row `y`, which must be below the height.
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.width as usize * 3;
        &self.pixels[y as usize * stride..][..stride]
    }

    /// Width over height.
    pub fn aspect(&self) -> f32 {
        self.width as f32 / self.height as f32
    }

    /// The mean colour.
    pub fn mean(&self) -> [f32; 3] {
        let mut sum = [0u64; 3];
        for pixel in self.pixels.chunks_exact(3) {
            for (sum, &value) in sum.iter_mut().zip(pixel) {
                *sum += u64::from(value);
            }
        }
        let count = (self.pixels.len() / 3) as f32;
        sum.map(|sum| sum as f32 / count)
    }

    /// The whole image at another size: area means where it shrinks, bilinear where it grows (each axis by itself).
    /// Sides are taken into 1 to [`MAX_SIDE`].
    pub fn resize(&self, width: u32, height: u32) -> Self {
        if width == self.width && height == self.height {
            return self.clone();
        }
        self.resize_region([0.0, 0.0, self.width as f32, self.height as f32], width, height)
    }

    /// The image at this size, as [`Image::resize`] makes it.
    pub(crate) fn into_size(self, size: (u32, u32)) -> Self {
        if (self.width, self.height) == size { self } else { self.resize(size.0, size.1) }
    }

    /// The region `[x0, y0, x1, y1]` (in pixels, edges not centres) at another size, filtered as [`Image::resize`];
    /// `x0 > x1` mirrors left and right, `y0 > y1` top and bottom. Parts outside the image repeat its edge.
    pub fn resize_region(&self, region: [f32; 4], width: u32, height: u32) -> Self {
        let (width, height) = (width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
        let across = Taps::new(region[0], region[2], self.width, width);
        let down = Taps::new(region[1], region[3], self.height, height);
        let first = across.first();
        let columns = across.last() - first + 1;
        let stride = self.width as usize * 3;
        let mut sums = vec![0f32; columns * 3];
        let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
        for &(start, from, count) in &down.spans {
            let weights = &down.weights[from..from + count];
            sums.fill(0.0);
            for (row, &weight) in weights.iter().enumerate() {
                let line = &self.pixels[(start + row) * stride + first * 3..][..columns * 3];
                for (sum, &value) in sums.iter_mut().zip(line) {
                    *sum += weight * f32::from(value);
                }
            }
            for &(start, from, count) in &across.spans {
                let mut sum = [0.5f32; 3];
                let window = &sums[(start - first) * 3..][..count * 3];
                for (&weight, value) in across.weights[from..from + count].iter().zip(window.chunks_exact(3)) {
                    sum[0] += weight * value[0];
                    sum[1] += weight * value[1];
                    sum[2] += weight * value[2];
                }
                pixels.extend(sum.map(|sum| sum as u8));
            }
        }
        Self { width, height, pixels }
    }

    /// The rectangle of `width` x `height` at (`x`, `y`), cut to the image (at least one pixel remains).
    pub fn crop(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
        let (width, height) = (width.clamp(1, self.width - x), height.clamp(1, self.height - y));
        let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
        for row in y..y + height {
            pixels.extend_from_slice(&self.row(row)[x as usize * 3..][..width as usize * 3]);
        }
        Self { width, height, pixels }
    }

    /// Left and right exchanged.
    pub fn mirrored(&self) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..self.height {
            for pixel in self.row(y).chunks_exact(3).rev() {
                pixels.extend_from_slice(pixel);
            }
        }
        Self { width: self.width, height: self.height, pixels }
    }

    /// Copies `other` over this image with its top left corner at (`x`, `y`), which may lie outside; what does not fit
    /// is left out. `alpha` is 0 (nothing) to 1 (covers).
    pub fn paste(&mut self, other: &Self, x: i64, y: i64, alpha: f32) {
        let (left, right) = (x.max(0), (x + i64::from(other.width)).min(i64::from(self.width)));
        let (top, bottom) = (y.max(0), (y + i64::from(other.height)).min(i64::from(self.height)));
        if left >= right || top >= bottom {
            return;
        }
        let bytes = (right - left) as usize * 3;
        let stride = self.width as usize * 3;
        for row in top..bottom {
            let from = &other.row((row - y) as u32)[(left - x) as usize * 3..][..bytes];
            let to = &mut self.pixels[row as usize * stride + left as usize * 3..][..bytes];
            if alpha >= 1.0 {
                to.copy_from_slice(from);
            } else {
                mix(to, from, alpha);
            }
        }
    }
}

/// `to` moved towards `from` by `alpha` (0 to 1), byte by byte.
pub(crate) fn mix(to: &mut [u8], from: &[u8], alpha: f32) {
    let weight = (alpha.clamp(0.0, 1.0) * 256.0) as i32;
    for (to, &from) in to.iter_mut().zip(from) {
        *to = (i32::from(*to) + (((i32::from(from) - i32::from(*to)) * weight + 128) >> 8)) as u8;
    }
}

/// For each output position the source positions it is made of and their weights (which sum to 1).
struct Taps {
    /// First source position, first weight, number of weights.
    spans: Vec<(usize, usize, usize)>,
    weights: Vec<f32>,
}

impl Taps {
    fn new(low: f32, high: f32, source: u32, output: u32) -> Self {
        let step = (high - low) / output as f32;
        let mut taps = Self { spans: Vec::with_capacity(output as usize), weights: Vec::new() };
        let last = source as usize - 1;
        for i in 0..output {
            let (a, b) = (low + step * i as f32, low + step * (i + 1) as f32);
            let (a, b) = if a <= b { (a, b) } else { (b, a) };
            let from = taps.weights.len();
            let start;
            if b - a > 1.0 {
                // Area: the interval's share of each pixel.
                let a = a.clamp(0.0, source as f32);
                let b = b.clamp(0.0, source as f32);
                start = (a as usize).min(last);
                let end = (b.ceil() as usize).clamp(start + 1, source as usize);
                let mut total = 0.0;
                for position in start..end {
                    let share = (b.min(position as f32 + 1.0) - a.max(position as f32)).max(0.0);
                    total += share;
                    taps.weights.push(share);
                }
                if total > 1e-6 {
                    taps.weights[from..].iter_mut().for_each(|weight| *weight /= total);
                } else {
                    taps.weights.truncate(from);
                    taps.weights.push(1.0);
                }
            } else {
                // Bilinear: the two pixel centres around the interval's centre.
                let centre = ((a + b) * 0.5 - 0.5).clamp(0.0, last as f32);
                start = (centre as usize).min(last);
                let fraction = centre - start as f32;
                if start < last && fraction > 0.0 {
                    taps.weights.extend([1.0 - fraction, fraction]);
                } else {
                    taps.weights.push(1.0);
                }
            }
            let count = taps.weights.len() - from;
            taps.spans.push((start, from, count));
        }
        taps
    }

    fn first(&self) -> usize {
        self.spans.iter().map(|span| span.0).min().unwrap_or(0)
    }

    fn last(&self) -> usize {
        self.spans.iter().map(|span| span.0 + span.2 - 1).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> Image {
        let pixels = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [(x * 255 / width) as u8, (y * 255 / height) as u8, 77]))
            .collect();
        Image::new(width, height, pixels).unwrap()
    }

    #[test]
    fn sizes_outside_the_limits_are_refused() {
        assert!(matches!(Image::new(0, 4, vec![]), Err(EditError::Size { .. })));
        assert!(matches!(Image::new(MAX_SIDE + 1, 1, vec![]), Err(EditError::Size { .. })));
        assert!(matches!(Image::new(2, 2, vec![0; 11]), Err(EditError::Pixels { expected: 12, found: 11, .. })));
    }

    #[test]
    fn files_make_the_round_trip() {
        let image = gradient(37, 23);
        assert_eq!(Image::decode(&image.encode_png().unwrap()).unwrap(), image);
        let lossy = Image::decode(&image.encode_jpeg(90).unwrap()).unwrap();
        assert_eq!((lossy.width, lossy.height), (37, 23));
        assert!(matches!(Image::decode(b"no image"), Err(EditError::Decode { .. })));
        let png = image.encode_png().unwrap();
        assert!(Image::decode(&png[..png.len() / 2]).is_err());
    }

    #[test]
    fn shrinking_takes_area_means() {
        let image = Image::new(4, 2, [0u8, 100, 50, 150, 200, 220, 10, 30].iter().flat_map(|&v| [v; 3]).collect());
        let small = image.unwrap().resize(2, 1);
        // (0 + 100 + 200 + 220) / 4, (50 + 150 + 10 + 30) / 4
        assert_eq!(small.pixels, [130, 130, 130, 60, 60, 60]);
    }

    #[test]
    fn resizing_keeps_the_mean_and_mirrors() {
        let image = gradient(61, 47);
        for (width, height) in [(10, 10), (64, 64), (200, 31), (1, 1)] {
            let other = image.resize(width, height);
            assert!((other.mean()[0] - image.mean()[0]).abs() < 4.0, "{width} {height}");
            assert_eq!(other.pixels.len(), (width * height * 3) as usize);
        }
        let mirrored = image.resize_region([61.0, 0.0, 0.0, 47.0], 20, 20);
        assert_eq!(mirrored, image.resize(20, 20).mirrored());
    }

    #[test]
    fn regions_outside_repeat_the_edge() {
        let image = gradient(16, 16);
        let out = image.resize_region([20.0, -9.0, 40.0, -2.0], 3, 3);
        assert_eq!(out.pixels, image.pixel(15, 0).repeat(9));
    }

    #[test]
    fn pasting_clips_to_the_image() {
        let mut image = Image::filled(4, 4, [10; 3]);
        image.paste(&Image::filled(3, 3, [200; 3]), -2, 3, 1.0);
        assert_eq!(image.pixel(0, 3), [200; 3]);
        assert_eq!(image.pixel(1, 3), [10; 3]);
        image.paste(&Image::filled(9, 9, [110; 3]), -2, -2, 0.5);
        assert_eq!(image.pixel(3, 0), [60; 3]);
        image.paste(&Image::filled(2, 2, [0; 3]), 50, 50, 1.0);
    }
}
