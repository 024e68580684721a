//! A code editor.

use rand::RngExt;

use super::terminal::TypedLine;
use super::{Scene, rectangle, shade, text};
use crate::Pcg64;
use crate::draw::word;
use crate::image::Image;

/// A code editor with a list of files, in which lines are typed.
#[derive(Debug)]
pub(super) struct Editor {
    paper: [u8; 3],
    panel: [u8; 3],
    ink: [u8; 3],
    side: f32,
    files: Vec<String>,
    status: String,
    rows: u32,
    lines: Vec<TypedLine>,
    /// From when on which line is the first one shown; the last lines otherwise.
    looks: Vec<(f64, Option<usize>)>,
}

/// A line of code at this depth.
fn code(rng: &mut Pcg64, depth: usize) -> String {
    let name = |rng: &mut Pcg64| word(rng).to_lowercase();
    let (a, b, c) = (name(rng), name(rng), name(rng));
    let line = match rng.random_range(0..8) {
        0 => format!("fn {a}({b}: {c}) {{"),
        1 => format!("let {a} = {b}.{c}();"),
        2 => format!("if {a} > {} {{", rng.random_range(0..100)),
        3 => "}".into(),
        4 => format!("// {a} {b} {c}"),
        5 => format!("return {a}({b}, {c});"),
        6 => format!("for {a} in {b}..{c} {{"),
        _ => format!("{a}[{b}] += {c} * {};", rng.random_range(2..50)),
    };
    format!("{}{line}", "   ".repeat(depth))
}

impl Editor {
    pub(super) fn sample(template: &mut Pcg64, content: &mut Pcg64, seconds: f64) -> Self {
        let light = template.random_bool(0.3);
        let paper = if light { shade(template, 235, 255) } else { shade(template, 15, 50) };
        let panel = paper.map(|value| if light { value - 25 } else { value + 18 });
        let inks: [[u8; 3]; 4] =
            std::array::from_fn(|_| if light { shade(template, 0, 150) } else { shade(template, 120, 255) });
        let files =
            (0..template.random_range(6..14)).map(|_| format!("{}.rs", word(template).to_lowercase())).collect();
        let rows = template.random_range(14..=22);
        let mut lines = Vec::new();
        let before = content.random_range(5..60);
        let (mut depth, mut time) = (0usize, 0.0);
        let mut push = |lines: &mut Vec<TypedLine>, content: &mut Pcg64, start: f64, speed: f64| {
            let text = code(content, depth);
            depth = match text.trim_start() {
                "}" => depth.saturating_sub(1),
                line if line.ends_with('{') => (depth + 1).min(4),
                _ => depth,
            };
            let colour = inks[content.random_range(0..inks.len())];
            let length = text.trim_start().len() as f64;
            lines.push(TypedLine { start, speed, text, colour });
            length / speed
        };
        for _ in 0..before {
            push(&mut lines, content, -1.0, 1e6);
        }
        let mut looks = vec![(0.0, None)];
        while time < seconds {
            if content.random_bool(0.15) {
                // A look at another part of the file.
                looks.push((time, Some(content.random_range(0..before))));
                time += content.random_range(0.8..2.0);
                looks.push((time, None));
            }
            let speed = content.random_range(15.0..40.0);
            time += push(&mut lines, content, time, speed) + content.random_range(0.05..0.5);
        }
        let status = format!("{} {}", word(template), word(template));
        let side = if template.random_bool(0.8) { template.random_range(0.15..0.25) } else { 0.0 };
        let ink = if light { [70; 3] } else { [170; 3] };
        Self { paper, panel, ink, side, files, status, rows, lines, looks }
    }
}

impl Scene for Editor {
    fn draw(&self, size: [u32; 2], time: f64) -> Image {
        let mut image = Image::filled(size[0], size[1], self.paper);
        let side = self.side;
        if side > 0.0 {
            rectangle(&mut image, [0.0, 0.0, side, 1.0], self.panel);
            for (i, file) in self.files.iter().enumerate() {
                text(&mut image, file, [0.015, 0.1 + 0.06 * i as f32], 0.024, self.ink);
            }
            rectangle(&mut image, [side - 0.005, 0.0, 1.0, 0.06], self.panel);
        }
        rectangle(&mut image, [0.0, 0.955, 1.0, 1.0], [40, 100, 180]);
        text(&mut image, &self.status, [0.02, 0.978], 0.02, [255; 3]);
        let there = self.lines.iter().take_while(|line| line.start <= time).count();
        let rows = self.rows as usize;
        let look = self.looks.iter().rev().find(|(from, _)| *from <= time).and_then(|(_, line)| *line);
        let first = look.unwrap_or(there.saturating_sub(rows * 3 / 4)).min(there);
        let (top, bottom) = (0.07, 0.95);
        let step = (bottom - top) / self.rows as f32;
        for (i, line) in self.lines[first..there].iter().take(rows).enumerate() {
            let y = top + step * (i as f32 + 0.5);
            text(&mut image, &format!("{:>3}", first + i + 1), [side + 0.005, y], step * 0.4, self.ink);
            let left = side + 0.06;
            // The font has no fixed width: the depth is moved apart.
            let typed = line.typed(time);
            let depth = typed.len() - typed.trim_start().len();
            text(&mut image, typed.trim_start(), [left + 0.012 * depth as f32, y], step * 0.46, line.colour);
        }
        image
    }
}
