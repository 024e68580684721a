//! Training views: differently edited square pictures of one still image, for self-supervised training.
//!
//! A view is what a frame of an edited copy looks like once it is squashed to the network's square input. All geometry
//! of the shown image is composed into one map, so that it is sampled once, at the size at which it is shown.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::colour::Grade;
use crate::draw::{self, Sticker, Text};
use crate::image::Image;
use crate::procedural::log_uniform;
use crate::warp::{Border, Projective, draw_warped};
use crate::{EditError, Pcg64, ops};

/// How often each edit is made (probabilities, 0 to 1) and how far the main ones go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewConfig {
    /// Left and right exchanged.
    pub flip: f64,
    /// A part of the image.
    pub crop: f64,
    /// The least area that a crop keeps, in the strong half of the crops; the other half keeps twice that.
    pub crop_area: f32,
    /// Turned by up to 25 degrees.
    pub rotate: f64,
    /// Corners moved by up to 18 % of the sides.
    pub perspective: f64,
    /// Contrast, brightness, saturation, gains, gamma, hue, sepia.
    pub colour: f64,
    /// No colours at all.
    pub grey: f64,
    /// 1 to 3 lines of text.
    pub text: f64,
    /// 1 or 2 figures or cut-outs of other images.
    pub sticker: f64,
    /// A border of up to 20 % a side, or bars above and below or at both sides.
    pub border: f64,
    /// The image inset in another image.
    pub inset: f64,
    /// The least and greatest side of such an inset, over the view's side.
    pub inset_side: [f32; 2],
    /// The image as a large part (45 to 85 % of the side) of another one.
    pub framed: f64,
    /// The image on an enlarged, blurred copy of itself, as on upright telephone screens.
    pub blurred_fill: f64,
    /// The image on a screen that is filmed.
    pub screen: f64,
    /// Another image inset over this one at 20 to 40 % of the side.
    pub overlay: f64,
    /// Another image shining through, by 15 to 40 %.
    pub blend: f64,
    /// Shrunk to 25 to 80 % and enlarged again, or pixelated.
    pub rescale: f64,
    /// Blurred by 0.5 to 2 pixels of a 64-pixel view.
    pub blur: f64,
    /// Noise of 3 to 20 255ths.
    pub noise: f64,
    /// JPEG losses of quality 8 to 60.
    pub jpeg: f64,
    /// 3 to 5 edits more at once.
    pub chain: f64,
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            flip: 0.5,
            crop: 0.75,
            crop_area: 0.3,
            rotate: 0.2,
            perspective: 0.15,
            colour: 0.7,
            grey: 0.08,
            text: 0.35,
            sticker: 0.2,
            border: 0.13,
            inset: 0.25,
            inset_side: [0.2, 0.6],
            framed: 0.07,
            blurred_fill: 0.09,
            screen: 0.1,
            overlay: 0.12,
            blend: 0.06,
            rescale: 0.3,
            blur: 0.2,
            noise: 0.15,
            jpeg: 0.5,
            chain: 0.3,
        }
    }
}

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

/// Which edits a view gets.
#[derive(Clone, Copy, Default)]
struct Plan {
    flip: bool,
    crop: bool,
    rotate: bool,
    perspective: bool,
    colour: bool,
    grey: bool,
    text: bool,
    sticker: bool,
    overlay: bool,
    blend: bool,
    rescale: bool,
    blur: bool,
    noise: bool,
    jpeg: bool,
    canvas: Canvas,
}

/// What surrounds the image in the view.
#[derive(Clone, Copy, Default, PartialEq)]
enum Canvas {
    #[default]
    Whole,
    Border,
    Inset,
    Framed,
    BlurredFill,
    Screen,
}

impl ViewMaker {
    /// A maker of views.
    ///
    /// # Errors
    /// [`EditError::Parameter`] for a probability outside 0 to 1, probabilities of what surrounds the image (border,
    /// inset, framed, blurred_fill, screen) that sum to more than 1, or sizes outside their range.
    pub fn new(config: ViewConfig) -> Result<Self, EditError> {
        let refuse = |reason: String| Err(EditError::Parameter { edit: "views", reason });
        let c = &config;
        let surrounds = [c.border, c.inset, c.framed, c.blurred_fill, c.screen];
        let others = [
            c.flip,
            c.crop,
            c.rotate,
            c.perspective,
            c.colour,
            c.grey,
            c.text,
            c.sticker,
            c.overlay,
            c.blend,
            c.rescale,
            c.blur,
            c.noise,
            c.jpeg,
            c.chain,
        ];
        if let Some(value) = surrounds.iter().chain(&others).find(|value| !(0.0..=1.0).contains(*value)) {
            return refuse(format!("a probability is {value}, give 0 to 1"));
        }
        if surrounds.iter().sum::<f64>() > 1.0 + 1e-9 {
            return refuse("border, inset, framed, blurred_fill and screen sum to more than 1, lower them".into());
        }
        if !(0.02..=1.0).contains(&c.crop_area) {
            return refuse(format!("crop_area is {}, give 0.02 to 1", c.crop_area));
        }
        let [low, high] = c.inset_side;
        if !(low >= 0.05 && low <= high && high <= 1.0) {
            return refuse(format!("inset_side is [{low}, {high}], give rising values of 0.05 to 1"));
        }
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

    fn plan(&self, rng: &mut Pcg64) -> Plan {
        let c = &self.config;
        let mut plan = Plan {
            flip: rng.random_bool(c.flip),
            crop: rng.random_bool(c.crop),
            rotate: rng.random_bool(c.rotate),
            perspective: rng.random_bool(c.perspective),
            colour: rng.random_bool(c.colour),
            grey: rng.random_bool(c.grey),
            text: rng.random_bool(c.text),
            sticker: rng.random_bool(c.sticker),
            overlay: rng.random_bool(c.overlay),
            blend: rng.random_bool(c.blend),
            rescale: rng.random_bool(c.rescale),
            blur: rng.random_bool(c.blur),
            noise: rng.random_bool(c.noise),
            jpeg: rng.random_bool(c.jpeg),
            canvas: Canvas::Whole,
        };
        let mut left = rng.random_range(0.0..1.0);
        for (canvas, share) in [
            (Canvas::Border, c.border),
            (Canvas::Inset, c.inset),
            (Canvas::Framed, c.framed),
            (Canvas::BlurredFill, c.blurred_fill),
            (Canvas::Screen, c.screen),
        ] {
            if left < share {
                plan.canvas = canvas;
                break;
            }
            left -= share;
        }
        if rng.random_bool(c.chain) {
            for _ in 0..rng.random_range(3..=5) {
                match rng.random_range(0..9) {
                    0 => plan.crop = true,
                    1 => plan.colour = true,
                    2 => plan.text = true,
                    3 => plan.sticker = true,
                    4 => plan.rescale = true,
                    5 => plan.jpeg = true,
                    6 => plan.rotate = true,
                    7 => plan.noise = true,
                    _ if plan.canvas == Canvas::Whole => plan.canvas = Canvas::Border,
                    _ => plan.blur = true,
                }
            }
        }
        plan
    }

    fn edited(&self, rng: &mut Pcg64, image: &Image, others: &[&Image], side: u32) -> View {
        let plan = self.plan(rng);
        let full = side as f32;
        let (content, border) = self.content(rng, &plan, image);
        let mut placed = [0.0, 0.0, 1.0, 1.0];
        let mut view = if plan.canvas == Canvas::Whole {
            show(image, &content, border, side, side)
        } else if plan.canvas == Canvas::Screen {
            let shown = show(image, &content, border, side, side);
            let (view, area) = screen(rng, shown, others, side);
            placed = area;
            view
        } else {
            let area = self.area(rng, plan.canvas, side);
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
        self.finish(rng, &plan, &mut view, others, shown);
        View { image: view, placed }
    }

    /// The map from the unit square to the source's pixels, and what lies outside the image.
    fn content(&self, rng: &mut Pcg64, plan: &Plan, image: &Image) -> (Projective, Border) {
        let (width, height) = (f64::from(image.width), f64::from(image.height));
        let region = if plan.crop {
            let least = self.config.crop_area * if rng.random_bool(0.5) { 1.0 } else { 2.0 };
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
    fn area(&self, rng: &mut Pcg64, canvas: Canvas, side: u32) -> [u32; 4] {
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
                let [low, high] = if canvas == Canvas::Inset { self.config.inset_side } else { [0.45, 0.85] };
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

    /// The edits of the whole view. Where the image is `shown` small (a share of the side below a half), it loses less
    /// detail than elsewhere: there would be nothing left to know it by.
    fn finish(&self, rng: &mut Pcg64, plan: &Plan, view: &mut Image, others: &[&Image], shown: f32) {
        let small = shown < 0.5;
        let full = view.width as f32;
        // Overlays come before or after the colours.
        let late = rng.random_bool(0.5);
        if !late {
            self.cover(rng, plan, view, others);
        }
        if plan.colour {
            grade(rng, 1.0).apply(view);
        }
        if plan.grey {
            Grade::grey().apply(view);
        }
        if late {
            self.cover(rng, plan, view, others);
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
    fn cover(&self, rng: &mut Pcg64, plan: &Plan, view: &mut Image, others: &[&Image]) {
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
                    let (x, y) =
                        (rng.random_range(0..=view.width - length), rng.random_range(0..=view.height - height));
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
}

/// A region of the image: its share of the area within `area`, the aspect changed by up to exp(`stretch`).
fn crop(rng: &mut Pcg64, image: &Image, area: [f32; 2], stretch: f32) -> [f32; 4] {
    let side = rng.random_range(area[0]..=area[1]).sqrt();
    let stretch = rng.random_range(-stretch..=stretch).exp().sqrt();
    let width = (side * stretch).min(1.0) * image.width as f32;
    let height = (side / stretch).min(1.0) * image.height as f32;
    let x = rng.random_range(0.0..=(image.width as f32 - width).max(0.0));
    let y = rng.random_range(0.0..=(image.height as f32 - height).max(0.0));
    [x, y, (x + width).min(image.width as f32), (y + height).min(image.height as f32)]
}

/// The image through a map from the unit square, at a size.
fn show(image: &Image, content: &Projective, border: Border, width: u32, height: u32) -> Image {
    let unit = Projective::scaling(1.0 / f64::from(width), 1.0 / f64::from(height));
    image.warp(&unit.then(content), width, height, border)
}

/// A random grade; `strength` scales the way from doing nothing.
fn grade(rng: &mut Pcg64, strength: f32) -> Grade {
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
fn line_of_text(rng: &mut Pcg64) -> Text {
    let size = log_uniform(rng, 0.05, 0.2);
    let mut text = Text::sample(rng, size);
    if rng.random_bool(0.4) {
        text.centre = [0.5, if rng.random_bool(0.8) { 0.9 } else { 0.1 }];
        text.angle = 0.0;
        text.fit(1.0, 0.95);
    }
    text
}

fn frame_colour(rng: &mut Pcg64) -> [u8; 3] {
    match rng.random_range(0..4) {
        0 => [0; 3],
        1 => [255; 3],
        2 => [rng.random(); 3],
        _ => rng.random(),
    }
}

/// The four corners of an area widened by `by` pixels.
fn rectangle(area: [u32; 4], by: f32) -> [[f32; 2]; 4] {
    let [x0, y0, x1, y1] = area.map(|value| value as f32);
    [[x0 - by, y0 - by], [x1 + by, y0 - by], [x1 + by, y1 + by], [x0 - by, y1 + by]]
}

/// A canvas of one colour, or of two that run into each other.
fn border_of(rng: &mut Pcg64, side: u32) -> Image {
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
fn surroundings(rng: &mut Pcg64, others: &[&Image], width: u32, height: u32) -> Image {
    if others.is_empty() {
        return border_of(rng, width.max(height)).resize(width, height);
    }
    let other = others[rng.random_range(0..others.len())];
    let [x0, y0, x1, y1] = crop(rng, other, [0.5, 1.0], 0.3);
    let region = if rng.random_bool(0.5) { [x1, y0, x0, y1] } else { [x0, y0, x1, y1] };
    other.resize_region(region, width, height)
}

/// `shown` on a screen in a room that is filmed: the picture and where the screen is.
fn screen(rng: &mut Pcg64, mut shown: Image, others: &[&Image], side: u32) -> (Image, [f32; 4]) {
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
