//! Where the image goes: the part that is shown, how it is turned, and its place on a canvas.

use rand::RngExt;

use super::config::ViewConfig;
use super::plan::{Canvas, Plan};
use crate::Pcg64;
use crate::image::Image;
use crate::procedural::log_uniform;
use crate::warp::{Border, Projective};

/// The map from the unit square to the source's pixels, and what lies outside the image.
pub(super) fn content(config: &ViewConfig, rng: &mut Pcg64, plan: &Plan, image: &Image) -> (Projective, Border) {
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    let region = if plan.crop {
        let least = config.crop_area * if rng.random_bool(0.5) { 1.0 } else { 2.0 };
        crop(rng, image, [least.min(1.0), 1.0], 0.25).map(f64::from)
    } else {
        [0.0, 0.0, width, height]
    };
    let region = if plan.flip { [region[2], region[1], region[0], region[3]] } else { region };
    let mut map = Projective::rectangle([0.0, 0.0, 1.0, 1.0], region);
    if plan.perspective {
        let mut corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        for value in corners.iter_mut().flatten() {
            *value += rng.random_range(-0.18..0.18);
        }
        map = Projective::unit_to_quad(corners).then(&map);
    }
    if plan.rotate {
        let middle = [(region[0] + region[2]) / 2.0, (region[1] + region[3]) / 2.0];
        let angle = rng.random_range(-25.0f64..25.0).to_radians();
        let zoom = 1.0 / rng.random_range(1.0..1.3);
        map = map
            .then(&Projective::translation(-middle[0], -middle[1]))
            .then(&Projective::rotation(angle))
            .then(&Projective::scaling(zoom, zoom))
            .then(&Projective::translation(middle[0], middle[1]));
    }
    let border = match rng.random_range(0..4) {
        0 => Border::Constant(rng.random()),
        1 => Border::Constant([0; 3]),
        _ => Border::Mirror,
    };
    (map, border)
}

/// The pixels `[x0, y0, x1, y1]` that the image takes on a canvas.
pub(super) fn area(config: &ViewConfig, rng: &mut Pcg64, canvas: Canvas, side: u32) -> [u32; 4] {
    let full = side as f32;
    let [x0, y0, x1, y1] = match canvas {
        Canvas::Border => match rng.random_range(0..4) {
            0 => {
                let bars = [rng.random_range(0.06..0.25), rng.random_range(0.06..0.25)];
                let even = rng.random_bool(0.7);
                [0.0, bars[0], 1.0, 1.0 - if even { bars[0] } else { bars[1] }]
            }
            1 => {
                let bar = rng.random_range(0.06..0.3);
                [bar, 0.0, 1.0 - bar, 1.0]
            }
            2 => {
                let bar = rng.random_range(0.03..0.18);
                [bar, bar, 1.0 - bar, 1.0 - bar]
            }
            _ => {
                let [a, b, c, d]: [f32; 4] = std::array::from_fn(|_| rng.random_range(0.0..0.2));
                [a, b, 1.0 - c, 1.0 - d]
            }
        },
        Canvas::BlurredFill => {
            let share = rng.random_range(0.3..0.7);
            let from = (1.0 - share) * if rng.random_bool(0.7) { 0.5 } else { rng.random_range(0.2..0.8) };
            if rng.random_bool(0.75) { [0.0, from, 1.0, from + share] } else { [from, 0.0, from + share, 1.0] }
        }
        _ => {
            let [low, high] = if canvas == Canvas::Inset { config.inset_side } else { [0.45, 0.85] };
            let size = rng.random_range(low..=high);
            let stretch = log_uniform(rng, 0.8, 1.25);
            let (width, height) = ((size * stretch).min(1.0), (size / stretch).min(1.0));
            let x = rng.random_range(0.0..=1.0 - width);
            let y = rng.random_range(0.0..=1.0 - height);
            [x, y, x + width, y + height]
        }
    };
    let place = |low: f32, high: f32| {
        let low = ((low * full).round() as u32).min(side - 4);
        (low, ((high * full).round() as u32).clamp(low + 4, side))
    };
    let ((x0, x1), (y0, y1)) = (place(x0, x1), place(y0, y1));
    [x0, y0, x1, y1]
}

/// A region of the image: its share of the area within `area`, the aspect changed by up to exp(`stretch`).
pub(super) fn crop(rng: &mut Pcg64, image: &Image, area: [f32; 2], stretch: f32) -> [f32; 4] {
    let side = rng.random_range(area[0]..=area[1]).sqrt();
    let stretch = rng.random_range(-stretch..=stretch).exp().sqrt();
    let width = (side * stretch).min(1.0) * image.width as f32;
    let height = (side / stretch).min(1.0) * image.height as f32;
    let x = rng.random_range(0.0..=(image.width as f32 - width).max(0.0));
    let y = rng.random_range(0.0..=(image.height as f32 - height).max(0.0));
    [x, y, (x + width).min(image.width as f32), (y + height).min(image.height as f32)]
}

/// The image through a map from the unit square, at a size.
pub(super) fn show(image: &Image, content: &Projective, border: Border, width: u32, height: u32) -> Image {
    let unit = Projective::scaling(1.0 / f64::from(width), 1.0 / f64::from(height));
    image.warp(&unit.then(content), width, height, border)
}
