//! Training views: differently edited square pictures of one still image, for self-supervised training.
//!
//! A view is what a frame of an edited copy looks like once it is squashed to the network's square input. All geometry
//! of the shown image is composed into one map, so that it is sampled once, at the size at which it is shown.

mod config;
mod effects;
mod geometry;
mod plan;
mod surroundings;

use rand::RngExt;
use serde::{Deserialize, Serialize};

pub use self::config::ViewConfig;
use self::effects::{finish, grade, line_of_text};
use self::geometry::{area, content, crop, show};
use self::plan::{Canvas, Plan};
use self::surroundings::{border_of, frame_colour, rectangle, screen, surroundings};
use crate::colour::Grade;
use crate::draw;
use crate::image::Image;
use crate::{EditError, Pcg64, ops};

/// How strongly a view is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// A crop of 70 to 100 % of the area and nothing else.
    Plain,
    /// The edits of the configuration.
    Edited,
}

/// A view.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The square image.
    pub image: Image,
    /// Where in the view the source image is shown, `[x0, y0, x1, y1]` over the view's side: the whole view, but for
    /// insets, borders and filmed screens.
    pub placed: [f32; 4],
}

/// Makes views.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewMaker {
    config: ViewConfig,
}

impl ViewMaker {
    /// A maker of views.
    ///
    /// # Errors
    /// [`EditError::Parameter`] for a probability outside 0 to 1, probabilities of what surrounds the image (border,
    /// inset, framed, blurred_fill, screen) that sum to more than 1, or sizes outside their range.
    pub fn new(config: ViewConfig) -> Result<Self, EditError> {
        config.check()?;
        Ok(Self { config })
    }

    /// The configuration.
    pub fn config(&self) -> &ViewConfig {
        &self.config
    }

    /// Two views of one image: the first is plain half the time, the second always edited. See [`ViewMaker::make`].
    pub fn pair(&self, rng: &mut Pcg64, image: &Image, others: &[&Image], side: u32) -> [View; 2] {
        let first = if rng.random_bool(0.5) { Strength::Plain } else { Strength::Edited };
        [first, Strength::Edited].map(|strength| self.make(rng, image, others, side, strength))
    }

    /// A view of `image` of `side` x `side` pixels (8 to 1024). `others` are images that may surround or cover it, at
    /// random; without any, plain colours take their place. The image itself should not be much smaller than `side`.
    pub fn make(&self, rng: &mut Pcg64, image: &Image, others: &[&Image], side: u32, strength: Strength) -> View {
        let side = side.clamp(8, 1024);
        match strength {
            Strength::Plain => {
                let region = crop(rng, image, [0.7, 1.0], 0.15);
                View { image: image.resize_region(region, side, side), placed: [0.0, 0.0, 1.0, 1.0] }
            }
            Strength::Edited => self.edited(rng, image, others, side),
        }
    }

    fn edited(&self, rng: &mut Pcg64, image: &Image, others: &[&Image], side: u32) -> View {
        let plan = Plan::draw(&self.config, rng);
        let full = side as f32;
        let (content, border) = content(&self.config, rng, &plan, image);
        let mut placed = [0.0, 0.0, 1.0, 1.0];
        let mut view = if plan.canvas == Canvas::Whole {
            show(image, &content, border, side, side)
        } else if plan.canvas == Canvas::Screen {
            let shown = show(image, &content, border, side, side);
            let (view, area) = screen(rng, shown, others, side);
            placed = area;
            view
        } else {
            let area = area(&self.config, rng, plan.canvas, side);
            placed = area.map(|value| value as f32 / full);
            let (width, height) = (area[2] - area[0], area[3] - area[1]);
            let mut shown = show(image, &content, border, width, height);
            // What was done to the image before it was placed.
            if rng.random_bool(0.35) {
                grade(rng, 0.6).apply(&mut shown);
            }
            if rng.random_bool(0.2) {
                line_of_text(rng).draw(&mut shown);
            }
            let mut view = match plan.canvas {
                Canvas::Border => border_of(rng, side),
                Canvas::BlurredFill => {
                    let few = rng.random_range(4..=12u32).min(side);
                    let region = [
                        image.width as f32 * 0.2,
                        image.height as f32 * 0.2,
                        image.width as f32 * 0.8,
                        image.height as f32 * 0.8,
                    ];
                    let mut back = image.resize_region(region, few, few);
                    let brightness = rng.random_range(-60.0..10.0);
                    Grade { brightness, ..Grade::default() }.apply(&mut back);
                    let mut back = back.resize(side, side);
                    ops::blur(&mut back, full / few as f32 * 0.5);
                    back
                }
                _ => {
                    let mut host = surroundings(rng, others, side, side);
                    if rng.random_bool(0.3) {
                        let width = rng.random_range(0.01..0.05) * full;
                        let outer = rectangle(area, width);
                        let colour = frame_colour(rng);
                        draw::fill(&mut host, &outer, colour, 1.0);
                    }
                    host
                }
            };
            if plan.canvas == Canvas::Inset && rng.random_bool(0.08) {
                draw::paste_ellipse(&mut view, &shown, area);
            } else {
                let alpha = if rng.random_bool(0.08) { rng.random_range(0.7..1.0) } else { 1.0 };
                view.paste(&shown, i64::from(area[0]), i64::from(area[1]), alpha);
            }
            view
        };
        let shown = (placed[2] - placed[0]).min(placed[3] - placed[1]);
        finish(rng, &plan, &mut view, others, shown);
        View { image: view, placed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{generator, procedural};

    #[test]
    fn views_are_square_and_follow_the_seed() {
        let image = procedural::still(&mut generator(&[1]), 100, 80);
        let other = procedural::still(&mut generator(&[2]), 60, 90);
        let maker = ViewMaker::new(ViewConfig::default()).unwrap();
        let make = |seed: u64, side: u32| maker.pair(&mut generator(&[seed]), &image, &[&other], side);
        for seed in 0..60 {
            let side = [64, 33, 8][seed as usize % 3];
            let pair = make(seed, side);
            assert_eq!(pair, make(seed, side));
            for view in &pair {
                assert_eq!((view.image.width, view.image.height), (side, side));
                assert_eq!(view.image.pixels.len(), (side * side * 3) as usize);
                let [x0, y0, x1, y1] = view.placed;
                assert!(x0 >= 0.0 && y0 >= 0.0 && x0 < x1 && y0 < y1 && x1 <= 1.0 && y1 <= 1.0, "{:?}", view.placed);
            }
        }
        assert_ne!(make(1, 64), make(2, 64));
    }

    #[test]
    fn insets_show_the_image_where_they_say() {
        let red = Image::filled(90, 90, [250, 0, 0]);
        let blue = Image::filled(90, 90, [0, 0, 250]);
        let zero = ViewConfig {
            flip: 0.5,
            crop: 1.0,
            crop_area: 0.3,
            rotate: 0.0,
            perspective: 0.0,
            colour: 0.0,
            grey: 0.0,
            text: 0.0,
            sticker: 0.0,
            border: 0.0,
            inset: 1.0,
            inset_side: [0.2, 0.6],
            framed: 0.0,
            blurred_fill: 0.0,
            screen: 0.0,
            overlay: 0.0,
            blend: 0.0,
            rescale: 0.0,
            blur: 0.0,
            noise: 0.0,
            jpeg: 0.0,
            chain: 0.0,
        };
        let maker = ViewMaker::new(zero).unwrap();
        let mut seen = 0;
        for seed in 0..40 {
            let view = maker.make(&mut generator(&[seed]), &red, &[&blue], 96, Strength::Edited);
            let [x0, y0, x1, y1] = view.placed;
            assert!((0.1..0.85).contains(&(x1 - x0)) && (0.1..0.85).contains(&(y1 - y0)));
            let middle = view.image.pixel(((x0 + x1) * 48.0) as u32, ((y0 + y1) * 48.0) as u32);
            seen += usize::from(middle[0] > middle[2]);
            if x0 > 0.2 {
                assert!(view.image.pixel(0, 0)[2] > 200);
            }
        }
        assert!(seen >= 35, "{seen} of 40");
    }

    #[test]
    fn odd_configurations_are_refused() {
        let refused = |config: ViewConfig| matches!(ViewMaker::new(config), Err(EditError::Parameter { .. }));
        assert!(refused(ViewConfig { jpeg: 1.5, ..ViewConfig::default() }));
        assert!(refused(ViewConfig { text: f64::NAN, ..ViewConfig::default() }));
        assert!(refused(ViewConfig { screen: 0.9, ..ViewConfig::default() }));
        assert!(refused(ViewConfig { inset_side: [0.5, 0.2], ..ViewConfig::default() }));
        assert!(refused(ViewConfig { crop_area: 0.0, ..ViewConfig::default() }));
    }

    #[test]
    fn views_need_no_other_images_and_no_size() {
        let maker = ViewMaker::new(ViewConfig::default()).unwrap();
        let tiny = Image::filled(1, 1, [9, 8, 7]);
        for seed in 0..80 {
            maker.make(&mut generator(&[seed]), &tiny, &[], 16, Strength::Edited);
            maker.make(&mut generator(&[seed]), &tiny, &[&tiny], 16, Strength::Edited);
            maker.make(&mut generator(&[seed]), &tiny, &[&tiny], 16, Strength::Plain);
        }
    }
}
