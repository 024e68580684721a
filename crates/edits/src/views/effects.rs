//! What a whole view goes through: overlays, colours, loss of detail.

use rand::RngExt;

use super::plan::Plan;
use super::surroundings::surroundings;
use crate::colour::Grade;
use crate::draw::{self, Sticker, Text};
use crate::image::Image;
use crate::procedural::log_uniform;
use crate::{Pcg64, ops};

/// The edits of the whole view. Where the image is `shown` small (a share of the side below a half), it loses less
/// detail than elsewhere: there would be nothing left to know it by.
pub(super) fn finish(rng: &mut Pcg64, plan: &Plan, view: &mut Image, others: &[&Image], shown: f32) {
    let small = shown < 0.5;
    let full = view.width as f32;
    // Overlays come before or after the colours.
    let late = rng.random_bool(0.5);
    if !late {
        cover(rng, plan, view, others);
    }
    if plan.colour {
        grade(rng, 1.0).apply(view);
    }
    if plan.grey {
        Grade::grey().apply(view);
    }
    if late {
        cover(rng, plan, view, others);
    }
    if plan.rescale {
        let factor = rng.random_range(if small { 0.5..0.9 } else { 0.25..0.8 });
        let blocks = rng.random_bool(0.12);
        ops::rescale(view, factor, blocks);
    }
    if plan.blur {
        ops::blur(view, rng.random_range(if small { 0.3..0.9 } else { 0.5..2.0 }) * full / 64.0);
    }
    if rng.random_bool(0.04) {
        ops::vignette(view, rng.random_range(0.3..0.9));
    }
    if plan.noise {
        let sigma = rng.random_range(if small { 2.0..10.0 } else { 3.0..20.0 });
        let grey = rng.random_bool(0.4);
        ops::noise(view, sigma, grey, rng);
    }
    if plan.jpeg {
        let quality = rng.random_range(8..=60);
        let halved = rng.random_bool(0.8);
        ops::jpeg(view, quality, halved);
    }
}

/// What is laid over the view: another image, figures, text.
fn cover(rng: &mut Pcg64, plan: &Plan, view: &mut Image, others: &[&Image]) {
    let full = view.width as f32;
    if plan.blend {
        let other = surroundings(rng, others, view.width, view.height);
        ops::blend(view, &other, rng.random_range(0.15..0.4));
    }
    if plan.overlay {
        let size = rng.random_range(0.2..0.4);
        let stretch = log_uniform(rng, 0.8, 1.25);
        let (width, height) = ((size * stretch * full) as u32, (size / stretch * full) as u32);
        let inset = surroundings(rng, others, width.max(2), height.max(2));
        let margin = rng.random_range(0.0..0.08) * full;
        let end = |length: u32| full - length as f32 - margin;
        let (x, y) = if rng.random_bool(0.7) {
            let (right, bottom) = (rng.random_bool(0.5), rng.random_bool(0.5));
            (if right { end(width) } else { margin }, if bottom { end(height) } else { margin })
        } else {
            (rng.random_range(0.0..1.0) * end(width), rng.random_range(0.0..1.0) * end(height))
        };
        view.paste(&inset, x as i64, y as i64, 1.0);
    }
    if plan.sticker {
        for _ in 0..rng.random_range(1..=2) {
            let size = rng.random_range(0.12..0.4);
            if rng.random_bool(0.6) {
                Sticker::sample(rng, size).draw(view);
            } else {
                let length = ((size * full) as u32).clamp(2, view.width);
                let height = ((length as f32 * rng.random_range(0.6..1.4)) as u32).clamp(2, view.height);
                let inset = surroundings(rng, others, length, height);
                let (x, y) = (rng.random_range(0..=view.width - length), rng.random_range(0..=view.height - height));
                if rng.random_bool(0.5) {
                    draw::paste_ellipse(view, &inset, [x, y, x + length, y + height]);
                } else {
                    view.paste(&inset, i64::from(x), i64::from(y), 1.0);
                }
            }
        }
    }
    if plan.text {
        for _ in 0..rng.random_range(1..=3) {
            line_of_text(rng).draw(view);
        }
    }
}

/// A random grade; `strength` scales the way from doing nothing.
pub(super) fn grade(rng: &mut Pcg64, strength: f32) -> Grade {
    let mut grade = Grade {
        contrast: 1.0 + rng.random_range(-0.5..0.5) * strength,
        brightness: rng.random_range(-50.0..50.0) * strength,
        ..Grade::default()
    };
    if rng.random_bool(0.5) {
        grade.saturation = 1.0 + rng.random_range(-1.0..0.8) * strength;
    }
    if rng.random_bool(0.3) {
        grade.gains = std::array::from_fn(|_| 1.0 + rng.random_range(-0.25..0.25) * strength);
    }
    if rng.random_bool(0.4) {
        grade.gamma = (rng.random_range(-0.6..0.6) * strength).exp();
    }
    if rng.random_bool(0.12) {
        grade.hue = rng.random_range(-0.6..0.6) * strength;
    }
    if rng.random_bool(0.05) {
        grade.sepia = rng.random_range(0.5..1.0);
    }
    grade
}

/// A random line of text, often where subtitles are.
pub(super) fn line_of_text(rng: &mut Pcg64) -> Text {
    let size = log_uniform(rng, 0.05, 0.2);
    let mut text = Text::sample(rng, size);
    if rng.random_bool(0.4) {
        text.centre = [0.5, if rng.random_bool(0.8) { 0.9 } else { 0.1 }];
        text.angle = 0.0;
        text.fit(1.0, 0.95);
    }
    text
}
