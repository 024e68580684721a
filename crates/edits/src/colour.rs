//! Colour grades.

use serde::{Deserialize, Serialize};

use crate::image::Image;

/// A change of colours: gamma, then saturation, hue and sepia, then gains, contrast and brightness.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grade {
    /// Exponent on values of 0 to 1: above 1 darkens, below lightens. 1 does nothing.
    pub gamma: f32,
    /// 0 is grey, 1 does nothing, above 1 exaggerates.
    pub saturation: f32,
    /// Rotation of the hues in radians.
    pub hue: f32,
    /// 0 to 1: how much of the image becomes sepia.
    pub sepia: f32,
    /// Factors on red, green and blue.
    pub gains: [f32; 3],
    /// Factor on the distance to mid grey (128).
    pub contrast: f32,
    /// Added to every channel, in 255ths.
    pub brightness: f32,
}

impl Default for Grade {
    fn default() -> Self {
        Self { gamma: 1.0, saturation: 1.0, hue: 0.0, sepia: 0.0, gains: [1.0; 3], contrast: 1.0, brightness: 0.0 }
    }
}

const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

impl Grade {
    /// Grey only.
    pub fn grey() -> Self {
        Self { saturation: 0.0, ..Self::default() }
    }

    /// Whether every number is finite and within a sane range.
    pub(crate) fn is_valid(&self) -> bool {
        (0.05..=20.0).contains(&self.gamma)
            && (0.0..=10.0).contains(&self.saturation)
            && self.hue.abs() <= 100.0
            && (0.0..=1.0).contains(&self.sepia)
            && self.gains.iter().all(|gain| (0.0..=10.0).contains(gain))
            && (0.0..=10.0).contains(&self.contrast)
            && self.brightness.abs() <= 255.0
    }

    /// The matrix (rows: output channels) and offsets that follow gamma, on values of 0 to 255.
    fn matrix(&self) -> ([[f32; 3]; 3], [f32; 3]) {
        let mut matrix = [[0.0; 3]; 3];
        for (row, line) in matrix.iter_mut().enumerate() {
            for (column, value) in line.iter_mut().enumerate() {
                let same = if row == column { 1.0 } else { 0.0 };
                *value = LUMA[column] + (same - LUMA[column]) * self.saturation;
            }
        }
        if self.hue != 0.0 {
            // A turn about the grey axis.
            let (sin, cos) = self.hue.sin_cos();
            let third = (1.0 - cos) / 3.0;
            let root = sin / 3f32.sqrt();
            let turn = [
                [cos + third, third - root, third + root],
                [third + root, cos + third, third - root],
                [third - root, third + root, cos + third],
            ];
            matrix = product(&turn, &matrix);
        }
        if self.sepia > 0.0 {
            let tone = [1.07, 0.95, 0.74];
            let mut blend = [[0.0; 3]; 3];
            for row in 0..3 {
                for column in 0..3 {
                    let same = if row == column { 1.0 } else { 0.0 };
                    blend[row][column] = same * (1.0 - self.sepia) + self.sepia * tone[row] * LUMA[column];
                }
            }
            matrix = product(&blend, &matrix);
        }
        let mut offsets = [128.0 * (1.0 - self.contrast) + self.brightness; 3];
        for (row, line) in matrix.iter_mut().enumerate() {
            line.iter_mut().for_each(|value| *value *= self.gains[row] * self.contrast);
            offsets[row] += 0.5;
        }
        (matrix, offsets)
    }

    /// Applies the grade.
    pub fn apply(&self, image: &mut Image) {
        self.apply_area(image, [0, 0, u32::MAX, u32::MAX]);
    }

    /// Applies the grade within `[x0, y0, x1, y1]` (pixels, cut to the image).
    pub fn apply_area(&self, image: &mut Image, area: [u32; 4]) {
        if *self == Self::default() {
            return;
        }
        let (x1, y1) = (area[2].min(image.width) as usize, area[3].min(image.height) as usize);
        let (x0, y0) = (area[0] as usize, area[1] as usize);
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        let curve: Vec<f32> = (0..256u32)
            .map(|value| {
                let value = value as f32;
                if self.gamma == 1.0 { value } else { (value / 255.0).powf(self.gamma) * 255.0 }
            })
            .collect();
        let (matrix, offsets) = self.matrix();
        let width = image.width as usize;
        for y in y0..y1 {
            for pixel in image.pixels[(y * width + x0) * 3..(y * width + x1) * 3].chunks_exact_mut(3) {
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(|value| curve[usize::from(value)]);
                for (channel, value) in pixel.iter_mut().enumerate() {
                    let row = &matrix[channel];
                    *value = (row[0] * r + row[1] * g + row[2] * b + offsets[channel]) as u8;
                }
            }
        }
    }
}

fn product(a: &[[f32; 3]; 3], b: &[[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let mut out = [[0.0; 3]; 3];
    for (row, line) in out.iter_mut().enumerate() {
        for (column, value) in line.iter_mut().enumerate() {
            *value = (0..3).map(|k| a[row][k] * b[k][column]).sum();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(grade: Grade, colour: [u8; 3]) -> [u8; 3] {
        let mut image = Image::filled(2, 2, colour);
        grade.apply(&mut image);
        image.pixel(1, 1)
    }

    #[test]
    fn grades_do_what_they_say() {
        let colour = [200, 100, 40];
        assert_eq!(one(Grade::default(), colour), colour);
        let grey = one(Grade::grey(), colour);
        assert!(grey[0] == grey[1] && grey[1] == grey[2] && (122..=124).contains(&grey[0]), "{grey:?}");
        assert_eq!(one(Grade { brightness: 20.0, ..Grade::default() }, colour), [220, 120, 60]);
        assert_eq!(one(Grade { contrast: 2.0, ..Grade::default() }, colour), [255, 72, 0]);
        assert_eq!(one(Grade { gains: [0.5, 1.0, 2.0], ..Grade::default() }, colour), [100, 100, 80]);
        let dark = one(Grade { gamma: 2.0, ..Grade::default() }, colour);
        assert!((155..=158).contains(&dark[0]) && dark[2] < 10, "{dark:?}");
        let sepia = one(Grade { sepia: 1.0, ..Grade::default() }, [120; 3]);
        assert!(sepia[0] > sepia[1] && sepia[1] > sepia[2], "{sepia:?}");
        // A third of a turn exchanges the channels; grey stays.
        let third = Grade { hue: std::f32::consts::TAU / 3.0, ..Grade::default() };
        let turned = one(third, colour);
        assert!(turned.iter().zip([40, 200, 100]).all(|(&a, b): (&u8, u8)| a.abs_diff(b) <= 1), "{turned:?}");
        assert_eq!(one(third, [90; 3]), [90; 3]);
    }
}
