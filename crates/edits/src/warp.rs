//! Projective maps between pixel coordinates, and drawing one image through one onto another.
//!
//! Coordinates are continuous: the pixel of column x and row y covers [x, x + 1] x [y, y + 1].

use serde::{Deserialize, Serialize};

use crate::image::{Image, mix};

/// What a map finds outside the source image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// The drawn-upon image stays as it was.
    Keep,
    /// A colour.
    Constant([u8; 3]),
    /// The image continues mirrored.
    Mirror,
    /// The nearest edge pixel.
    Clamp,
}

/// A projective map of the plane: `(x, y) -> ((a x + b y + c) / w, (d x + e y + f) / w)`, `w = g x + h y + i`, the nine
/// numbers a to i in rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projective(pub [f64; 9]);

impl Projective {
    /// Every point stays where it is.
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);

    /// Moves by (`x`, `y`).
    pub fn translation(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0])
    }

    /// Stretches by `x` and `y` about the origin.
    pub fn scaling(x: f64, y: f64) -> Self {
        Self([x, 0.0, 0.0, 0.0, y, 0.0, 0.0, 0.0, 1.0])
    }

    /// Turns by `angle` radians about the origin, from the x axis towards the y axis.
    pub fn rotation(angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self([cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0])
    }

    /// The map that takes the rectangle `from` (`[x0, y0, x1, y1]`) to the rectangle `to`.
    pub fn rectangle(from: [f64; 4], to: [f64; 4]) -> Self {
        let x = (to[2] - to[0]) / (from[2] - from[0]);
        let y = (to[3] - to[1]) / (from[3] - from[1]);
        Self([x, 0.0, to[0] - from[0] * x, 0.0, y, to[1] - from[1] * y, 0.0, 0.0, 1.0])
    }

    /// The map that takes the corners of the unit square (0,0), (1,0), (1,1), (0,1) to `corners`, which must form a
    /// convex quadrangle in this order.
    pub fn unit_to_quad(corners: [[f64; 2]; 4]) -> Self {
        let [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = corners;
        let (sx, sy) = (x0 - x1 + x2 - x3, y0 - y1 + y2 - y3);
        let (dx1, dy1, dx2, dy2) = (x1 - x2, y1 - y2, x3 - x2, y3 - y2);
        let det = dx1 * dy2 - dx2 * dy1;
        let (g, h) =
            if det.abs() < 1e-12 { (0.0, 0.0) } else { ((sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det) };
        Self([x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1.0])
    }

    /// First this map, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        let (a, b) = (&next.0, &self.0);
        let mut out = [0.0; 9];
        for row in 0..3 {
            for column in 0..3 {
                out[row * 3 + column] = (0..3).map(|k| a[row * 3 + k] * b[k * 3 + column]).sum();
            }
        }
        Self(out)
    }

    /// The map back, or nothing where the map flattens the plane.
    pub fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let adjugate = [
            e * i - f * h,
            c * h - b * i,
            b * f - c * e,
            f * g - d * i,
            a * i - c * g,
            c * d - a * f,
            d * h - e * g,
            b * g - a * h,
            a * e - b * d,
        ];
        let det = a * adjugate[0] + b * adjugate[3] + c * adjugate[6];
        (det.abs() > 1e-12 && det.is_finite()).then(|| Self(adjugate.map(|value| value / det)))
    }

    /// Where the point goes.
    pub fn apply(&self, x: f64, y: f64) -> [f64; 2] {
        let m = &self.0;
        let w = m[6] * x + m[7] * y + m[8];
        let w = if w.abs() < 1e-9 { 1e-9 } else { w };
        [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w]
    }

    /// Whether rectangles with sides along the axes stay such without exchange of the axes.
    fn is_axis_aligned(&self) -> bool {
        let m = &self.0;
        [m[1], m[3], m[6], m[7]].iter().all(|value| value.abs() < 1e-12)
    }
}

/// How far the image is shrunk beyond one source pixel an output pixel before bilinear sampling: above 1 keeps more
/// detail, at a little aliasing.
const RESIDUAL: f64 = 1.2;

/// Draws `source` into the rectangle `area` (`[x0, y0, x1, y1]`, pixels, cut to the image) of `out`: the output point
/// (x, y) shows the source point `map(x, y)`. Where the map shrinks, the source is averaged over areas first.
pub fn draw_warped(out: &mut Image, area: [u32; 4], source: &Image, map: &Projective, border: Border) {
    let (x0, y0) = (area[0], area[1]);
    let (x1, y1) = (area[2].min(out.width), area[3].min(out.height));
    if x0 >= x1 || y0 >= y1 {
        return;
    }
    let (width, height) = (f64::from(source.width), f64::from(source.height));
    let [left, top, right, bottom] = [x0, y0, x1, y1].map(f64::from);
    let corners = [[left, top], [right, top], [right, bottom], [left, bottom]].map(|[x, y]| map.apply(x, y));
    let low = corners.iter().fold([f64::MAX; 2], |low, point| [low[0].min(point[0]), low[1].min(point[1])]);
    let high = corners.iter().fold([f64::MIN; 2], |high, point| [high[0].max(point[0]), high[1].max(point[1])]);
    let tiny = 1e-6;
    let inside = low[0] >= -tiny && low[1] >= -tiny && high[0] <= width + tiny && high[1] <= height + tiny;

    if map.is_axis_aligned() && (inside || border == Border::Clamp) {
        let region = [corners[0][0], corners[0][1], corners[2][0], corners[2][1]].map(|value| value as f32);
        let drawn = source.resize_region(region, x1 - x0, y1 - y0);
        out.paste(&drawn, i64::from(x0), i64::from(y0), 1.0);
        return;
    }

    // Source pixels an output pixel, along each source axis: the mean over the middle and four points around it.
    let mut scale = [0.0f64; 2];
    for [u, v] in [[0.5, 0.5], [0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]] {
        let (x, y) = (left + (right - left) * u, top + (bottom - top) * v);
        let (here, across, down) = (map.apply(x, y), map.apply(x + 1.0, y), map.apply(x, y + 1.0));
        for axis in 0..2 {
            let size = (across[axis] - here[axis]).hypot(down[axis] - here[axis]);
            scale[axis] += size.clamp(0.0, 1e4) / 5.0;
        }
    }

    // The part of the source that is seen, whole along an axis that the map leaves.
    let margin = [scale[0].max(1.0) * 2.0, scale[1].max(1.0) * 2.0];
    let seen = |axis: usize, size: f64| {
        let (a, b) = (low[axis] - margin[axis], high[axis] + margin[axis]);
        let whole = a < 0.0 || b > size || !(b - a).is_finite();
        if whole { [0.0, size] } else { [a.floor(), b.ceil().min(size)] }
    };
    let (across, down) = (seen(0, width), seen(1, height));
    let sizes = [
        (((across[1] - across[0]) / (scale[0] / RESIDUAL).max(1.0)).round()).max(1.0),
        (((down[1] - down[0]) / (scale[1] / RESIDUAL).max(1.0)).round()).max(1.0),
    ];
    let region = [across[0], down[0], across[1], down[1]];
    let texels = if sizes[0] < across[1] - across[0] || sizes[1] < down[1] - down[0] {
        let shrunk = source.resize_region(region.map(|value| value as f32), sizes[0] as u32, sizes[1] as u32);
        Texels::new(&shrunk, [0, 0, shrunk.width as usize, shrunk.height as usize])
    } else {
        Texels::new(source, region.map(|value| value as usize))
    };
    let map = map.then(&Projective::rectangle(region, [0.0, 0.0, texels.width as f64, texels.height as f64]));
    sample(out, [x0, y0, x1, y1], &texels, &map, border);
}

impl Image {
    /// A `width` x `height` image whose pixel at (x, y) is the source's at `map(x, y)`.
    ///
    /// See [`draw_warped`].
    pub fn warp(&self, map: &Projective, width: u32, height: u32, border: Border) -> Self {
        let mut out = Self::filled(width, height, [0; 3]);
        let area = [0, 0, out.width, out.height];
        draw_warped(&mut out, area, self, map, border);
        out
    }
}

/// A part of an image made ready for bilinear sampling: each pixel's channels in 16 bits each of one number, and the
/// last column and row twice.
struct Texels {
    width: usize,
    height: usize,
    pixels: Vec<u64>,
}

impl Texels {
    /// The part `[x0, y0, x1, y1]`, within the image and not empty.
    fn new(image: &Image, part: [usize; 4]) -> Self {
        let (width, height) = (part[2] - part[0], part[3] - part[1]);
        let mut pixels = Vec::with_capacity((width + 1) * (height + 1));
        for y in part[1]..part[3] {
            let row = &image.row(y as u32)[part[0] * 3..part[2] * 3];
            let pack = |pixel: &[u8]| u64::from(pixel[0]) | u64::from(pixel[1]) << 16 | u64::from(pixel[2]) << 32;
            pixels.extend(row.chunks_exact(3).map(pack));
            pixels.push(pack(&row[row.len() - 3..]));
        }
        pixels.extend_from_within(pixels.len() - width - 1..);
        Self { width, height, pixels }
    }
}

/// `a` moved towards `b` by `share` 256ths, in each of the channels.
fn lerp(a: u64, b: u64, share: u64) -> u64 {
    const HALF: u64 = 0x80_0080_0080;
    const MASK: u64 = 0xff_00ff_00ff;
    ((a * (256 - share) + b * share + HALF) >> 8) & MASK
}

/// Bilinear samples of `source` through `map` for each pixel of `area`.
fn sample(out: &mut Image, area: [u32; 4], source: &Texels, map: &Projective, border: Border) {
    let m = map.0.map(|value| value as f32);
    let (width, height) = (source.width as f32, source.height as f32);
    let stride = source.width + 1;
    let affine = m[6] == 0.0 && m[7] == 0.0 && m[8] == 1.0;
    for y in area[1]..area[3] {
        let centre = y as f32 + 0.5;
        let (row_u, row_v) = (m[1] * centre + m[2], m[4] * centre + m[5]);
        let row_w = m[7] * centre + m[8];
        let line = &mut out.pixels[(y as usize * out.width as usize + area[0] as usize) * 3..];
        for (pixel, x) in line.chunks_exact_mut(3).zip(area[0]..area[2]) {
            let centre = x as f32 + 0.5;
            let mut u = m[0] * centre + row_u;
            let mut v = m[3] * centre + row_v;
            let mut w = 1.0;
            if !affine {
                w = m[6] * centre + row_w;
                let scale = 1.0 / w;
                u *= scale;
                v *= scale;
            }
            // How much of the pixel the source covers, by the distance to its edges.
            let mut cover = 1.0f32;
            let inside = u >= 0.5 && v >= 0.5 && u <= width - 0.5 && v <= height - 0.5;
            if !inside {
                match border {
                    Border::Keep | Border::Constant(_) => {
                        let margin = u.min(v).min(width - u).min(height - v) + 0.5;
                        // Behind the horizon of a perspective there is nothing.
                        cover = if w > 0.0 && margin > 0.0 { margin.min(1.0) } else { 0.0 };
                        if let Border::Constant(colour) = border {
                            pixel.copy_from_slice(&colour);
                        }
                        if cover <= 0.0 {
                            continue;
                        }
                    }
                    Border::Mirror => {
                        u = fold(u, width);
                        v = fold(v, height);
                    }
                    Border::Clamp => {}
                }
                u = u.clamp(0.5, width - 0.5);
                v = v.clamp(0.5, height - 0.5);
            }
            // In 256ths of a pixel; not a number becomes 0.
            let (u, v) = (((u - 0.5) * 256.0 + 0.5) as u32 as usize, ((v - 0.5) * 256.0 + 0.5) as u32 as usize);
            let (column, row) = ((u >> 8).min(source.width - 1), (v >> 8).min(source.height - 1));
            let square = &source.pixels[row * stride + column..][..stride + 2];
            let across = (u & 255) as u64;
            let above = lerp(square[0], square[1], across);
            let below = lerp(square[stride], square[stride + 1], across);
            let value = lerp(above, below, (v & 255) as u64);
            let value = [value as u8, (value >> 16) as u8, (value >> 32) as u8];
            if cover >= 1.0 {
                pixel.copy_from_slice(&value);
            } else {
                mix(pixel, &value, cover);
            }
        }
    }
}

/// A coordinate folded into `0..size` by mirroring at both ends.
fn fold(value: f32, size: f32) -> f32 {
    if !value.is_finite() {
        return 0.0;
    }
    let period = value.rem_euclid(2.0 * size);
    if period > size { 2.0 * size - period } else { period }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: [f64; 2], b: [f64; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9
    }

    #[test]
    fn maps_compose_and_invert() {
        let map = Projective::rotation(0.4)
            .then(&Projective::translation(3.0, -2.0))
            .then(&Projective([1.1, 0.1, 3.0, -0.2, 0.9, 1.0, 0.001, 0.002, 1.0]));
        let back = map.inverse().unwrap();
        let there = map.apply(5.0, 7.0);
        assert!(near(back.apply(there[0], there[1]), [5.0, 7.0]));
        assert!(Projective::scaling(0.0, 1.0).inverse().is_none());
        let corners = [[1.0, 2.0], [9.0, 1.0], [11.0, 8.0], [0.0, 7.0]];
        let quad = Projective::unit_to_quad(corners);
        for (unit, corner) in [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]].into_iter().zip(corners) {
            assert!(near(quad.apply(unit[0], unit[1]), corner));
        }
    }

    fn gradient(width: u32, height: u32) -> Image {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [(x * 4) as u8, (y * 4) as u8, 50]));
        Image::new(width, height, pixels.collect()).unwrap()
    }

    #[test]
    fn identity_and_quarter_turn_keep_pixels() {
        let image = gradient(40, 30);
        assert_eq!(image.warp(&Projective::IDENTITY, 40, 30, Border::Mirror), image);
        // Output (x, y) of 30 x 40 shows source (y, 30 - x).
        let turn = Projective([0.0, 1.0, 0.0, -1.0, 0.0, 30.0, 0.0, 0.0, 1.0]);
        let turned = image.warp(&turn, 30, 40, Border::Mirror);
        for (x, y) in [(0, 0), (29, 39), (7, 21)] {
            assert_eq!(turned.pixel(x, y), image.pixel(y, 29 - x));
        }
    }

    #[test]
    fn strong_shrinking_does_not_alias() {
        // One-pixel stripes become grey, through a slightly turned map.
        let pixels = (0..200u32).flat_map(|_| (0..200u32).flat_map(|x| [if x % 2 == 0 { 0u8 } else { 255 }; 3]));
        let stripes = Image::new(200, 200, pixels.collect()).unwrap();
        let map = Projective::scaling(6.0, 6.0).then(&Projective::rotation(0.05));
        let small = stripes.warp(&map, 25, 25, Border::Mirror);
        assert!(small.pixels.iter().all(|&value| (100..=155).contains(&value)), "{:?}", &small.pixels[..30]);
    }

    #[test]
    fn borders_do_what_they_say() {
        let image = gradient(20, 20);
        let map = Projective::translation(-10.0, 0.0);
        let at = |border| {
            let mut out = Image::filled(20, 20, [9, 9, 9]);
            draw_warped(&mut out, [0, 0, 20, 20], &image, &map, border);
            [out.pixel(2, 5), out.pixel(15, 5)]
        };
        assert_eq!(at(Border::Keep), [[9, 9, 9], image.pixel(5, 5)]);
        assert_eq!(at(Border::Constant([1, 2, 3])), [[1, 2, 3], image.pixel(5, 5)]);
        assert_eq!(at(Border::Clamp), [image.pixel(0, 5), image.pixel(5, 5)]);
        assert_eq!(at(Border::Mirror), [image.pixel(7, 5), image.pixel(5, 5)]);
    }

    #[test]
    fn odd_maps_do_no_harm() {
        let image = gradient(20, 20);
        for map in [
            Projective([f64::NAN; 9]),
            Projective([0.0; 9]),
            Projective([1e30, 0.0, 0.0, 0.0, 1e30, 0.0, 0.0, 0.0, 1.0]),
            Projective([1.0, 0.1, 0.0, 0.0, 1.0, 0.0, -0.2, 0.0, 1.0]),
        ] {
            for border in [Border::Keep, Border::Constant([0; 3]), Border::Mirror, Border::Clamp] {
                assert_eq!(image.warp(&map, 12, 12, border).pixels.len(), 12 * 12 * 3);
            }
        }
    }
}
