//! The picture of why two videos match: their frame similarities with the aligned frames drawn on them.

use vidsieve_edits::draw::{Text, strokes};
use vidsieve_edits::{EditError, Image};
use vidsieve_search::Matrix;
use vidsieve_search::matrix::colour;
use vidsieve_search::segments::Alignment;

/// Longest side of the matrix in the picture, in pixels; of more frames the most similar ones of each pixel count.
pub(crate) const MOST: usize = 1200;
/// Shortest side that a matrix is enlarged to.
const LEAST: usize = 600;
/// Largest side of a cell in pixels.
const CELL: usize = 64;
const PAPER: [u8; 3] = [255; 3];
const INK: [u8; 3] = [40; 3];

/// What the picture says beside the matrix.
#[derive(Debug)]
pub(crate) struct Labels<'a> {
    /// Name and times of the video whose frames are rows.
    pub(crate) rows: (&'a str, &'a [f64]),
    /// Name and times of the video whose frames are columns.
    pub(crate) columns: (&'a str, &'a [f64]),
    /// The score of the pair.
    pub(crate) score: f32,
}

/// The picture as PNG.
pub(crate) fn png(matrix: &Matrix, labels: &Labels<'_>, paths: &[Alignment]) -> Result<Vec<u8>, EditError> {
    let [h, w] = matrix.frames();
    let (rows, columns) = matrix.values().dim();
    let side = if rows.max(columns) >= LEAST { 1 } else { (LEAST / rows.max(columns).max(1)).clamp(1, CELL) };
    let (width, height) = ((columns * side) as u32, (rows * side) as u32);
    // Room for names and times, and for a bar of colours.
    let [left, top, right, bottom] = [92u32, 54, 96, 62];
    let mut image = Image::filled((left + width + right).max(460), (top + height + bottom).max(260), PAPER);
    for (y, row) in matrix.values().outer_iter().enumerate() {
        for (x, &v) in row.iter().enumerate() {
            square(&mut image, left as usize + x * side, top as usize + y * side, side, colour(v));
        }
    }
    let scale = side as f32 / matrix.stride() as f32;
    let at = |(i, j): (usize, usize)| [left as f32 + (j as f32 + 0.5) * scale, top as f32 + (i as f32 + 0.5) * scale];
    for (radius, shade) in [(2.6, [0u8; 3]), (1.4, PAPER)] {
        for path in paths {
            let mut lines: Vec<_> = path.frames.windows(2).map(|p| [at(p[0]), at(p[1])]).collect();
            if let [only] = path.frames[..] {
                lines.push([at(only), at(only)]);
            }
            strokes(&mut image, &lines, radius, shade, 1.0);
        }
    }
    let (x0, y0, x1, y1) = (left as f32, top as f32, (left + width) as f32, (top + height) as f32);
    let frame = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    let edges: Vec<_> = (0..4).map(|k| [frame[k], frame[(k + 1) % 4]]).collect();
    strokes(&mut image, &edges, 0.5, INK, 1.0);

    for (place, label) in ticks(labels.columns.1, w, columns * side) {
        let x = x0 + place * scale;
        strokes(&mut image, &[[[x, y1], [x, y1 + 5.0]]], 0.5, INK, 1.0);
        text(&mut image, &label, [x, y1 + 16.0], 10.0, 0.0);
    }
    for (place, label) in ticks(labels.rows.1, h, rows * side) {
        let y = y0 + place * scale;
        strokes(&mut image, &[[[x0 - 5.0, y], [x0, y]]], 0.5, INK, 1.0);
        let length = measure(&label, 10.0);
        text(&mut image, &label, [x0 - 9.0 - length / 2.0, y], 10.0, 0.0);
    }
    text(&mut image, &shorten(labels.columns.0, width as f32 + 80.0), [(x0 + x1) / 2.0, y1 + 42.0], 12.0, 0.0);
    let upright = -std::f32::consts::FRAC_PI_2;
    text(&mut image, &shorten(labels.rows.0, height as f32 + 60.0), [18.0, (y0 + y1) / 2.0], 12.0, upright);
    let title = format!("score {:.3}    {} matching segment{}", labels.score, paths.len(), plural(paths.len()));
    let length = measure(&title, 14.0);
    text(&mut image, &title, [x0.max(18.0) + length / 2.0, 26.0], 14.0, 0.0);

    let bar = [x1 as usize + 24, top as usize];
    let long = (height as usize).max(100);
    for y in 0..long {
        let value = 1.0 - (y as f32 + 0.5) / long as f32;
        for x in 0..14 {
            square(&mut image, bar[0] + x, bar[1] + y, 1, colour(value));
        }
    }
    for (value, label) in [(1.0f32, "1"), (0.5, "0.5"), (0.0, "0")] {
        let y = bar[1] as f32 + (1.0 - value) * long as f32;
        let length = measure(label, 10.0);
        text(&mut image, label, [bar[0] as f32 + 22.0 + length / 2.0, y], 10.0, 0.0);
    }
    image.encode_png()
}

/// `s` or nothing.
pub(crate) fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

fn square(image: &mut Image, x: usize, y: usize, side: usize, colour: [u8; 3]) {
    let (width, height) = (image.width as usize, image.height as usize);
    for y in y..(y + side).min(height) {
        for x in x..(x + side).min(width) {
            let at = (y * width + x) * 3;
            image.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }
}

fn face(words: &str) -> Text {
    Text {
        text: words.to_owned(),
        centre: [0.5; 2],
        size: 0.1,
        stretch: 1.0,
        slant: 0.0,
        weight: 0.13,
        angle: 0.0,
        colour: INK,
        outline: None,
        background: None,
        alpha: 1.0,
    }
}

/// Width in pixels of a text whose capitals are `capital` pixels high.
fn measure(words: &str, capital: f32) -> f32 {
    face(words).length() * capital
}

fn text(image: &mut Image, words: &str, centre: [f32; 2], capital: f32, angle: f32) {
    let (width, height) = (image.width as f32, image.height as f32);
    Text { centre: [centre[0] / width, centre[1] / height], size: capital / height, angle, ..face(words) }.draw(image);
}

/// The end of a name, as long as fits.
fn shorten(name: &str, room: f32) -> String {
    let characters: Vec<char> = name.chars().collect();
    for skip in 0..characters.len() {
        let rest: String = characters[skip..].iter().collect();
        let rest = if skip == 0 { rest } else { format!("...{rest}") };
        if measure(&rest, 12.0) <= room {
            return rest;
        }
    }
    String::new()
}

/// Where along the frames an axis is marked, and with which time: about one mark for 80 pixels.
fn ticks(times: &[f64], frames: usize, pixels: usize) -> Vec<(f32, String)> {
    const STEPS: [f64; 18] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
        14400.0,
    ];
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let most = (pixels / 80).max(1) as f64;
    let step = STEPS.into_iter().find(|step| (last - first) / step <= most).unwrap_or(36_000.0);
    let mut marks = Vec::new();
    let mut k = 0u32;
    loop {
        let time = f64::from(k) * step;
        if time > *last || marks.len() > 200 {
            return marks;
        }
        if time >= *first {
            // Between the frames that enclose the time.
            let after = times.partition_point(|t| *t <= time).min(frames.max(1));
            let before = after.saturating_sub(1);
            let part = match (times.get(before), times.get(after)) {
                (Some(a), Some(b)) if b > a => (time - a) / (b - a),
                _ => 0.0,
            };
            #[allow(clippy::cast_possible_truncation)]
            marks.push(((before as f64 + part) as f32 + 0.5, mark(time, step)));
        }
        k += 1;
    }
}

fn mark(time: f64, step: f64) -> String {
    let text = super::terminal::clock(time);
    match text.strip_suffix(".0") {
        Some(whole) if step >= 1.0 => {
            if time < 60.0 {
                format!("{whole} s")
            } else {
                whole.to_owned()
            }
        }
        _ => {
            if time < 60.0 {
                format!("{text} s")
            } else {
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::Array2;

    use super::*;

    #[test]
    fn marks() {
        let seconds = |n: u32| -> Vec<f64> { (0..n).map(f64::from).collect() };
        let marks = ticks(&seconds(11), 11, 600);
        assert_eq!(marks.iter().map(|m| m.1.as_str()).collect::<Vec<_>>(), ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]);
        assert_eq!(marks[1].0, 2.5);
        let marks = ticks(&seconds(7200), 7200, 1200);
        assert_eq!((marks[1].1.as_str(), marks.len()), ("10:00", 12));
        assert_eq!(ticks(&seconds(1), 1, 64).len(), 1);
        assert!(ticks(&seconds(0), 0, 64).is_empty());
    }

    #[test]
    fn a_picture_of_any_shape() {
        for (h, w, stride) in [(1, 1, 1), (3, 200, 1), (1200, 900, 7)] {
            let values = Array2::from_shape_fn((h, w), |(i, j)| if i == j { 1.0 } else { 0.1 });
            let matrix = Matrix::from_values(values, stride);
            let (a, b) = (h * stride, w * stride);
            let [rows, columns] = [a, b].map(|n| (0..n).map(|t| t as f64).collect::<Vec<f64>>());
            let labels =
                Labels { rows: ("a \u{1f600}.mp4", &rows), columns: (&"long name ".repeat(30), &columns), score: 0.5 };
            let bytes = png(&matrix, &labels, &[]).unwrap();
            let image = Image::decode(&bytes).unwrap();
            assert!(image.width >= 460 && image.width <= 1500 && image.height <= 1500);
        }
    }
}
