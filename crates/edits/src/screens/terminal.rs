//! A terminal.

use rand::RngExt;

use super::{Scene, rectangle, shade, text, words};
use crate::Pcg64;
use crate::draw::word;
use crate::image::Image;

/// A terminal in which commands are typed and their output scrolls.
#[derive(Debug)]
pub(super) struct Terminal {
    paper: [u8; 3],
    bar: Option<[u8; 3]>,
    name: String,
    rows: u32,
    lines: Vec<TypedLine>,
}

/// A line that appears from a time on, at so many characters a second.
#[derive(Debug)]
pub(super) struct TypedLine {
    pub(super) start: f64,
    pub(super) speed: f64,
    pub(super) text: String,
    pub(super) colour: [u8; 3],
}

impl TypedLine {
    /// What is there of the line at `time`.
    pub(super) fn typed(&self, time: f64) -> &str {
        let count = ((time - self.start) * self.speed).clamp(0.0, 1e6) as usize;
        self.text.char_indices().nth(count).map_or(self.text.as_str(), |(end, _)| &self.text[..end])
    }
}

impl Terminal {
    pub(super) fn sample(template: &mut Pcg64, content: &mut Pcg64, seconds: f64) -> Self {
        let light = template.random_bool(0.2);
        let paper = if light { shade(template, 225, 255) } else { shade(template, 0, 45) };
        let ink = if light { shade(template, 0, 60) } else { shade(template, 180, 255) };
        let mark = if light { shade(template, 0, 140) } else { shade(template, 120, 255) };
        let prompt = format!("{}@{} $ ", word(template), word(template));
        let rows = template.random_range(14..=22);
        let mut lines = Vec::new();
        // Some of it is there when the recording begins.
        let mut time = -content.random_range(0.0..12.0);
        while time < seconds {
            let count = content.random_range(1..=4);
            let command = format!("{prompt}{}", words(content, count).to_lowercase());
            let typing = content.random_range(12.0..30.0);
            let end = time + command.len() as f64 / typing;
            lines.push(TypedLine { start: time, speed: typing, text: command, colour: mark });
            time = end + content.random_range(0.1..0.5);
            let (count, pace) = (content.random_range(0..=14), content.random_range(0.02..0.25));
            for _ in 0..count {
                let count = content.random_range(1..=8);
                let text = words(content, count);
                lines.push(TypedLine { start: time, speed: 1e6, text, colour: ink });
                time += pace;
            }
            time += content.random_range(0.2..1.2);
        }
        let bar = template.random_bool(0.6).then(|| shade(template, 60, 200));
        Self { paper, bar, name: words(template, 2), rows, lines }
    }
}

impl Scene for Terminal {
    fn draw(&self, size: [u32; 2], time: f64) -> Image {
        let mut image = Image::filled(size[0], size[1], self.paper);
        let top = if let Some(bar) = self.bar {
            rectangle(&mut image, [0.0, 0.0, 1.0, 0.07], bar);
            for (i, colour) in [[230, 80, 70], [240, 190, 60], [80, 190, 80]].into_iter().enumerate() {
                let x = 0.02 + 0.03 * i as f32;
                rectangle(&mut image, [x, 0.025, x + 0.016, 0.05], colour);
            }
            text(&mut image, &self.name, [0.4, 0.037], 0.026, [30; 3]);
            0.08
        } else {
            0.01
        };
        let there: Vec<&TypedLine> = self.lines.iter().filter(|line| line.start <= time).collect();
        let step = (1.0 - top) / self.rows as f32;
        let mut end = [0.01, top + step / 2.0];
        for (i, line) in there.iter().rev().take(self.rows as usize).rev().enumerate() {
            let y = top + step * (i as f32 + 0.5);
            end = [text(&mut image, line.typed(time), [0.01, y], step * 0.48, line.colour), y];
        }
        if time.rem_euclid(1.0) < 0.5 {
            let [x, y] = end;
            let colour = there.last().map_or([128; 3], |line| line.colour);
            rectangle(&mut image, [x + 0.005, y - step * 0.3, x + 0.018, y + step * 0.3], colour);
        }
        image
    }
}
