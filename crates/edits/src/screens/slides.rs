//! Slides of one template.

use rand::RngExt;

use super::{Scene, gradient, rectangle, shade, text, words};
use crate::draw::{self, Sticker};
use crate::image::Image;
use crate::{Pcg64, draw::Shape};

/// A talk: slides that follow each other in one template.
#[derive(Debug)]
pub(super) struct Slides {
    template: Template,
    slides: Vec<Slide>,
}

#[derive(Debug)]
struct Template {
    paper: [[u8; 3]; 2],
    ink: [u8; 3],
    accent: [u8; 3],
    /// The band behind the title: at the top, or at the left.
    band: Option<[f32; 4]>,
    title: [f32; 2],
    points: f32,
    size: f32,
    logo: Sticker,
    footer: String,
}

#[derive(Debug)]
struct Slide {
    start: f64,
    title: String,
    /// When each point appears, and what it says.
    points: Vec<(f64, String)>,
    /// Heights of a chart's bars, 0 to 1; none without a chart.
    chart: Vec<f32>,
}

impl Template {
    fn sample(rng: &mut Pcg64) -> Self {
        let dark = rng.random_bool(0.4);
        let paper = if dark { shade(rng, 10, 60) } else { shade(rng, 215, 255) };
        let paper = [paper, if rng.random_bool(0.3) { shade(rng, 90, 160) } else { paper }];
        let accent = shade(rng, 20, 200);
        let left = rng.random_bool(0.25);
        let band = match rng.random_range(0..3) {
            0 => None,
            _ if left => Some([0.0, 0.0, 0.06, 1.0]),
            _ => Some([0.0, 0.0, 1.0, 0.2]),
        };
        let size = 0.034;
        let shape = Shape::ALL[rng.random_range(0..Shape::ALL.len())];
        let mut logo = Sticker { shape, angle: 0.0, ..Sticker::sample(rng, 0.1) };
        logo.centre = [0.93, if rng.random_bool(0.5) { 0.1 } else { 0.92 }];
        Self {
            paper,
            ink: if dark { shade(rng, 220, 255) } else { shade(rng, 0, 50) },
            accent,
            band,
            title: [if left { 0.1 } else { 0.05 }, 0.1],
            points: rng.random_range(0.3..0.36),
            size,
            logo,
            footer: words(rng, 3),
        }
    }
}

impl Slides {
    pub(super) fn sample(template: &mut Pcg64, content: &mut Pcg64, seconds: f64) -> Self {
        let mut slides = Vec::new();
        let mut start = 0.0;
        while start < seconds {
            let length = content.random_range(2.0..6.0);
            let pace = if content.random_bool(0.5) { content.random_range(0.3..1.0) } else { 0.0 };
            let count = content.random_range(2..=6);
            let points = (0..count)
                .map(|i| {
                    let count = content.random_range(2..=6);
                    (start + f64::from(i) * pace, words(content, count))
                })
                .collect();
            let bars = if content.random_bool(0.4) { content.random_range(3..=7) } else { 0 };
            let chart = (0..bars).map(|_| content.random_range(0.1..1.0)).collect();
            let count = content.random_range(2..=4);
            slides.push(Slide { start, title: words(content, count), points, chart });
            start += length;
        }
        Self { template: Template::sample(template), slides }
    }
}

impl Scene for Slides {
    fn draw(&self, size: [u32; 2], time: f64) -> Image {
        let look = &self.template;
        let mut image = gradient((size[0], size[1]), look.paper[0], look.paper[1]);
        let title = match look.band {
            Some(band) => {
                rectangle(&mut image, band, look.accent);
                if band[2] > 0.5 { [255; 3] } else { look.ink }
            }
            None => look.accent,
        };
        look.logo.draw(&mut image);
        text(&mut image, &look.footer, [0.05, 0.95], 0.022, look.ink);
        let Some(slide) = self.slides.iter().rev().find(|slide| slide.start <= time) else { return image };
        text(&mut image, &slide.title, look.title, 0.06, title);
        for (i, (_, point)) in slide.points.iter().enumerate().filter(|(_, (from, _))| *from <= time) {
            let (x, y) = (look.title[0] + 0.02, look.points + 0.1 * i as f32);
            rectangle(&mut image, [x, y - 0.01, x + 0.012, y + 0.012], look.accent);
            text(&mut image, point, [x + 0.03, y], look.size, look.ink);
        }
        let (width, height) = (image.width as f32, image.height as f32);
        for (i, bar) in slide.chart.iter().enumerate() {
            let (x, base) = ((0.66 + 0.04 * i as f32) * width, 0.85 * height);
            let half = [0.014 * width, 0.25 * bar * height];
            draw::fill(&mut image, &draw::rectangle([x, base - half[1]], half, 0.0), look.accent, 1.0);
        }
        image
    }
}
