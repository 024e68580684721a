//! A window of a program.

use rand::RngExt;

use super::{Scene, rectangle, shade, text, words};
use crate::Pcg64;
use crate::draw::{self, Shape, Sticker, word};
use crate::image::Image;

/// A program's window: tools, a table, a chart that grows, a pointer that moves.
#[derive(Debug)]
pub(super) struct Desktop {
    paper: [u8; 3],
    panel: [u8; 3],
    ink: [u8; 3],
    accent: [u8; 3],
    name: String,
    tools: Vec<Sticker>,
    labels: Vec<String>,
    /// Where the table ends and the chart begins, as a share of the width.
    split: f32,
    /// When each row of the table appears, and what it says.
    rows: Vec<(f64, String, u32)>,
    /// The chart's values, so many a second.
    values: Vec<f32>,
    rate: f64,
    /// Where the pointer is when.
    pointer: Vec<(f64, [f32; 2])>,
    /// A message: from, to, words.
    message: Option<(f64, f64, String)>,
}

impl Desktop {
    pub(super) fn sample(template: &mut Pcg64, content: &mut Pcg64, seconds: f64) -> Self {
        let light = template.random_bool(0.6);
        let paper = if light { shade(template, 225, 255) } else { shade(template, 20, 60) };
        let panel = paper.map(|value| if light { value - 30 } else { value + 25 });
        let tools = (0..template.random_range(4..10))
            .map(|i| {
                let shape = Shape::ALL[template.random_range(0..Shape::ALL.len())];
                let sticker = Sticker::sample(template, 0.05);
                Sticker { shape, centre: [0.03 + 0.04 * i as f32, 0.1], angle: 0.0, alpha: 1.0, ..sticker }
            })
            .collect();
        let labels = (0..template.random_range(5..11)).map(|_| word(template)).collect();
        let ink = if light { [40; 3] } else { [210; 3] };
        let accent = shade(template, 40, 220);
        let (name, split) = (words(template, 2), template.random_range(0.45..0.65));
        let mut rows = Vec::new();
        let mut time = -content.random_range(0.0..3.0);
        while time < seconds {
            let count = content.random_range(1..=3);
            rows.push((time, words(content, count), content.random_range(0..10_000)));
            time += content.random_range(0.2..1.5);
        }
        let rate = content.random_range(4.0..12.0);
        let mut level = content.random_range(0.2..0.8f32);
        let values = (0..((seconds * rate) as usize + 1))
            .map(|_| {
                level = (level + content.random_range(-0.12..0.12f32)).clamp(0.05, 0.95);
                level
            })
            .collect();
        let mut pointer = Vec::new();
        let mut time = 0.0;
        while time < seconds + 3.0 {
            let at = [content.random_range(0.05..0.95), content.random_range(0.1..0.95)];
            pointer.push((time, at));
            time += content.random_range(0.4..1.5);
        }
        let message = content.random_bool(0.5).then(|| {
            let from = content.random_range(0.0..seconds);
            (from, from + content.random_range(1.0..3.0), words(content, 4))
        });
        Self { paper, panel, ink, accent, name, tools, labels, split, rows, values, rate, pointer, message }
    }
}

impl Scene for Desktop {
    fn draw(&self, size: [u32; 2], time: f64) -> Image {
        let mut image = Image::filled(size[0], size[1], self.paper);
        rectangle(&mut image, [0.0, 0.0, 1.0, 0.15], self.panel);
        text(&mut image, &self.name, [0.02, 0.035], 0.028, self.ink);
        self.tools.iter().for_each(|tool| tool.draw(&mut image));
        rectangle(&mut image, [0.0, 0.15, 0.16, 1.0], self.panel);
        for (i, label) in self.labels.iter().enumerate() {
            text(&mut image, label, [0.015, 0.21 + 0.075 * i as f32], 0.028, self.ink);
        }
        let there = self.rows.iter().filter(|row| row.0 <= time).count();
        for (i, (_, words, number)) in self.rows[..there].iter().rev().take(11).enumerate() {
            let y = 0.2 + 0.07 * i as f32;
            if i % 2 == 0 {
                rectangle(&mut image, [0.17, y - 0.03, self.split, y + 0.035], self.panel);
            }
            text(&mut image, words, [0.18, y], 0.026, self.ink);
            text(&mut image, &number.to_string(), [self.split - 0.08, y], 0.026, self.accent);
        }
        self.chart(&mut image, time);
        if let Some((from, to, words)) = &self.message
            && (*from..*to).contains(&time)
        {
            rectangle(&mut image, [0.3, 0.38, 0.7, 0.62], self.accent);
            rectangle(&mut image, [0.31, 0.4, 0.69, 0.6], self.paper);
            text(&mut image, words, [0.33, 0.5], 0.03, self.ink);
        }
        self.point(&mut image, time);
        image
    }
}

impl Desktop {
    fn chart(&self, image: &mut Image, time: f64) {
        let area = [self.split + 0.04, 0.22, 0.97, 0.92];
        let (width, height) = (image.width as f32, image.height as f32);
        let count = ((time * self.rate) as usize).clamp(2, self.values.len().max(2));
        let last = self.values.len().max(2) as f32 - 1.0;
        let place = |i: usize, value: f32| {
            let x = area[0] + (area[2] - area[0]) * i as f32 / last;
            [x * width, (area[3] - (area[3] - area[1]) * value) * height]
        };
        let axis = [[place(0, 0.0), place(self.values.len() - 1, 0.0)], [place(0, 0.0), place(0, 1.0)]];
        draw::strokes(image, &axis, 0.8, self.ink, 1.0);
        let points: Vec<_> = self.values.iter().take(count).enumerate().map(|(i, v)| place(i, *v)).collect();
        let lines: Vec<_> = points.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        draw::strokes(image, &lines, (0.006 * height).max(0.8), self.accent, 1.0);
    }

    fn point(&self, image: &mut Image, time: f64) {
        let next = self.pointer.partition_point(|(when, _)| *when <= time);
        let (Some(from), Some(to)) = (next.checked_sub(1).and_then(|i| self.pointer.get(i)), self.pointer.get(next))
        else {
            return;
        };
        let share = ((time - from.0) / (to.0 - from.0)) as f32;
        let at: [f32; 2] = std::array::from_fn(|i| from.1[i] + (to.1[i] - from.1[i]) * share);
        let (x, y, size) = (at[0] * image.width as f32, at[1] * image.height as f32, image.height as f32 * 0.05);
        let outline = [[x, y], [x, y + size], [x + size * 0.3, y + size * 0.7], [x + size * 0.7, y + size * 0.7]];
        draw::fill(image, &outline, [20; 3], 1.0);
        let inner = outline.map(|[u, v]| [x + size * 0.06 + (u - x) * 0.75, y + size * 0.12 + (v - y) * 0.75]);
        draw::fill(image, &inner, [250; 3], 1.0);
    }
}
