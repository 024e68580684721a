//! What is around the image in a view: other images, plain colours, the room of a filmed screen.

use rand::RngExt;

use super::geometry::crop;
use crate::colour::Grade;
use crate::draw;
use crate::image::Image;
use crate::warp::{Border, Projective, draw_warped};
use crate::{Pcg64, ops};

pub(super) fn frame_colour(rng: &mut Pcg64) -> [u8; 3] {
    match rng.random_range(0..4) {
        0 => [0; 3],
        1 => [255; 3],
        2 => [rng.random(); 3],
        _ => rng.random(),
    }
}

/// The four corners of an area widened by `by` pixels.
pub(super) fn rectangle(area: [u32; 4], by: f32) -> [[f32; 2]; 4] {
    let [x0, y0, x1, y1] = area.map(|value| value as f32);
    [[x0 - by, y0 - by], [x1 + by, y0 - by], [x1 + by, y1 + by], [x0 - by, y1 + by]]
}

/// A canvas of one colour, or of two that run into each other.
pub(super) fn border_of(rng: &mut Pcg64, side: u32) -> Image {
    let colour = if rng.random_bool(0.45) { [0; 3] } else { frame_colour(rng) };
    if rng.random_bool(0.85) {
        return Image::filled(side, side, colour);
    }
    let other = frame_colour(rng);
    let mut pixels = Vec::with_capacity(12);
    for corner in [colour, other, colour, other] {
        pixels.extend(corner);
    }
    Image { width: 2, height: 2, pixels }.resize(side, side)
}

/// A part of another image, or a plain colour where there is none.
pub(super) fn surroundings(rng: &mut Pcg64, others: &[&Image], width: u32, height: u32) -> Image {
    if others.is_empty() {
        return border_of(rng, width.max(height)).resize(width, height);
    }
    let other = others[rng.random_range(0..others.len())];
    let [x0, y0, x1, y1] = crop(rng, other, [0.5, 1.0], 0.3);
    let region = if rng.random_bool(0.5) { [x1, y0, x0, y1] } else { [x0, y0, x1, y1] };
    other.resize_region(region, width, height)
}

/// `shown` on a screen in a room that is filmed: the picture and where the screen is.
pub(super) fn screen(rng: &mut Pcg64, mut shown: Image, others: &[&Image], side: u32) -> (Image, [f32; 4]) {
    let full = side as f32;
    let wave = [rng.random_range(-0.35..0.35), rng.random_range(-0.35..0.35)];
    let area = [0, 0, side, side];
    if rng.random_bool(0.5) {
        let (strength, phase) = (rng.random_range(0.03..0.15), rng.random_range(0.0..1.0));
        ops::moire(&mut shown, area, strength, wave, phase);
    }
    if rng.random_bool(0.3) {
        let (period, strength) = (rng.random_range(2.0..6.0), rng.random_range(0.1..0.4));
        ops::scan_lines(&mut shown, period, strength, 0.0);
    }
    let mut view = match rng.random_range(0..3) {
        0 => surroundings(rng, others, side, side),
        1 => {
            let mut room = surroundings(rng, others, side, side);
            ops::blur(&mut room, full / 20.0);
            Grade { brightness: rng.random_range(-80.0..0.0), ..Grade::default() }.apply(&mut room);
            room
        }
        _ => {
            let dark = rng.random_range(0..90u8);
            Image::filled(side, side, [dark, dark, dark.saturating_add(rng.random_range(0..15))])
        }
    };
    // The corners of the screen, some perhaps out of sight.
    let size = [rng.random_range(0.6..1.02f64), rng.random_range(0.6..1.02)];
    let shift =
        [rng.random_range(-1.0..1.0) * (1.0 - size[0]) / 2.0, rng.random_range(-1.0..1.0) * (1.0 - size[1]) / 2.0];
    let turn = Projective::rotation(rng.random_range(-0.12..0.12));
    let corners = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]].map(|[x, y]: [f64; 2]| {
        let jitter = [rng.random_range(-0.07..0.07), rng.random_range(-0.07..0.07)];
        let [x, y] = turn.apply(x * size[0] + jitter[0], y * size[1] + jitter[1]);
        [(x + 0.5 + shift[0]) * f64::from(side), (y + 0.5 + shift[1]) * f64::from(side)]
    });
    if rng.random_bool(0.7) {
        let widen = rng.random_range(1.03..1.12f64);
        let middle = [0, 1].map(|axis| corners.iter().map(|corner| corner[axis]).sum::<f64>() / 4.0);
        let outer: Vec<[f32; 2]> = corners
            .iter()
            .map(|corner| [0, 1].map(|axis| (middle[axis] + (corner[axis] - middle[axis]) * widen) as f32))
            .collect();
        let dark = if rng.random_bool(0.8) { rng.random_range(0..50u8) } else { rng.random_range(150..230u8) };
        draw::fill(&mut view, &outer, [dark; 3], 1.0);
    }
    let back =
        Projective::unit_to_quad(corners).inverse().map(|map| map.then(&Projective::scaling(full.into(), full.into())));
    if let Some(map) = back {
        draw_warped(&mut view, area, &shown, &map, Border::Keep);
    }
    let bound = |axis: usize, high: bool| {
        let values = corners.iter().map(|corner| corner[axis] as f32 / full);
        let bound = if high { values.fold(f32::MIN, f32::max) } else { values.fold(f32::MAX, f32::min) };
        bound.clamp(0.0, 1.0)
    };
    let placed = [bound(0, false), bound(1, false), bound(0, true), bound(1, true)];
    let light = Grade {
        contrast: rng.random_range(0.65..1.15),
        brightness: rng.random_range(-25.0..35.0),
        gains: std::array::from_fn(|_| rng.random_range(0.88..1.12)),
        ..Grade::default()
    };
    light.apply(&mut view);
    if rng.random_bool(0.5) {
        ops::vignette(&mut view, rng.random_range(0.2..0.8));
    }
    if rng.random_bool(0.6) {
        let sigma = rng.random_range(2.0..9.0);
        ops::noise(&mut view, sigma, false, rng);
    }
    (view, placed)
}
