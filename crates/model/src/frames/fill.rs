//! Blurred sides: a frame in a wider or higher canvas that is filled with its own blurred, enlarged picture.

use super::image::RgbFrame;
use super::lines::Lines;

/// Pixels of a line that are looked at, at most.
const LOOKED: u32 = 128;
/// The least side of a frame that is looked at, in pixels.
const LEAST: u32 = 64;
/// Blurred sides take at least one part in this many of a side each.
const THIN: u32 = 16;
/// What is left of a side is at least one part in this many.
const LEFT: u32 = 4;
/// Fine detail of blurred sides, in the mean of pixels, at most.
const SMOOTH: u64 = 6;
/// Fine detail of the picture is at least `SHARPER.0 / SHARPER.1` times that of its sides.
const SHARPER: (u64, u64) = (5, 2);
/// The least fine detail of sides that `SHARPER` counts with: what rounding leaves of none.
const ROUNDING: u64 = 2;
/// The least difference of pixels of blurred sides that are some lines apart, of brightness times four.
const GRADUAL: u32 = 4 * 2;
/// One pixel in this many of blurred sides differs so much from another, at least: a plain ground does not.
const CHANGING: u32 = 5;
/// The least difference across an edge, of brightness times four.
const STEP: u32 = 4 * 12;
/// One pixel in this many of a line differs across an edge, at least.
const EDGE: u32 = 3;

impl Lines<'_, '_> {
    /// Pixels of a line that are looked at.
    fn looked(&self) -> impl Iterator<Item = u32> + Clone + use<> {
        let pixels = self.size().1;
        let every = pixels.div_ceil(LOOKED);
        (every / 2..pixels).step_by(every as usize)
    }

    /// The fine detail of a line that has neighbours: what its pixels differ by from the mean of their neighbours' across the lines,
    /// times eight, summed over the pixels that are looked at.
    fn detail(&self, line: u32) -> u64 {
        let one =
            |i| (self.brightness(line - 1, i) + self.brightness(line + 1, i)).abs_diff(2 * self.brightness(line, i));
        self.looked().map(|i| u64::from(one(i))).sum()
    }

    /// Pixels that are looked at and differ across the edge before a line.
    fn step(&self, line: u32) -> u32 {
        let differs = |&i: &u32| self.brightness(line + 1, i).abs_diff(self.brightness(line - 2, i)) >= STEP;
        self.looked().filter(differs).count() as u32
    }

    /// What the pixels of a line differ by from those of the one before, summed.
    fn jump(&self, line: u32) -> u32 {
        self.looked().map(|i| self.brightness(line, i).abs_diff(self.brightness(line - 1, i))).sum()
    }

    /// Whether brightness changes within the lines `1..side` at both ends.
    fn changes(&self, side: u32) -> bool {
        let lines = self.size().0;
        let apart = (lines / 40).max(4);
        if side <= apart + 1 {
            return false;
        }
        let differs = |a: u32, b: u32, i: u32| self.brightness(a, i).abs_diff(self.brightness(b, i)) >= GRADUAL;
        let (mut all, mut some) = (0, 0);
        for line in (1..side - apart).step_by(2) {
            for i in self.looked() {
                all += 2;
                some += u32::from(differs(line, line + apart, i));
                some += u32::from(differs(lines - 1 - line, lines - 1 - line - apart, i));
            }
        }
        some * CHANGING >= all
    }

    /// The lines of each of two blurred sides, which are equally wide; 0 where there are none.
    fn blurred(&self) -> u32 {
        let (lines, pixels) = self.size();
        if lines.min(pixels) < LEAST {
            return 0;
        }
        let count = self.looked().count() as u32;
        let smooth = |detail: u64, lines: u32| detail <= SMOOTH * u64::from(lines) * u64::from(count);
        let (least, most) = (lines / THIN, (lines - lines / LEFT) / 2);
        // An encoder's ringing beside an edge.
        let margin = 2 + lines / 80;
        let outer = |range: std::ops::Range<u32>| -> u64 {
            range.map(|line| self.detail(line) + self.detail(lines - 1 - line)).sum()
        };
        // Most frames end here.
        let first = least - margin.min(least - 2);
        if !smooth(outer(1..first), 2 * (first - 1)) {
            return 0;
        }
        // The outermost straight edge that is at both ends: blurred sides have none.
        let straight = |line: u32| self.step(line) * EDGE >= count;
        let Some(edge) =
            (least.max(3)..most).find(|&line| straight(line) && (lines - line - 1..=lines - line + 1).any(straight))
        else {
            return 0;
        };
        let edge = (edge - 1..=edge + 1).max_by_key(|&line| self.jump(line) + self.jump(lines - line)).unwrap_or(edge);
        let side = edge - margin.min(edge - 2);
        let sides = outer(1..side);
        if !smooth(sides, 2 * (side - 1)) {
            return 0;
        }
        let within = edge + margin..lines - edge - margin;
        let inner = within.len() as u64 * u64::from(count);
        let detail: u64 = within.map(|line| self.detail(line)).sum();
        let sides = sides.max(ROUNDING * u64::from(2 * (side - 1)) * u64::from(count));
        // detail / inner >= SHARPER * sides / their pixels.
        let is_sharp = u128::from(detail) * u128::from(2 * (side - 1) * count) * u128::from(SHARPER.1)
            >= u128::from(sides) * u128::from(inner) * u128::from(SHARPER.0);
        if is_sharp && self.changes(side) { edge } else { 0 }
    }
}

/// The sharp picture of a frame between two blurred sides.
pub(super) fn within<'a>(frame: &RgbFrame<'a>) -> RgbFrame<'a> {
    let rows = Lines::rows(frame);
    match rows.blurred() {
        0 => {
            let columns = Lines::columns(frame);
            columns.without(columns.blurred())
        }
        sides => rows.without(sides),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture of noise.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        let mut state = 7u32;
        let random = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (80 + (state >> 24) % 170) as u8
        };
        (0..width * height * 3).map(random).collect()
    }

    /// A picture in the middle of a canvas whose other pixels change slowly.
    fn framed([width, height]: [usize; 2], [x, y]: [usize; 2]) -> (Vec<u8>, [usize; 2]) {
        let canvas = [width + 2 * x, height + 2 * y];
        let inner = picture(width, height);
        let wave = |at: usize, length: f64| (70.0 + 60.0 * (at as f64 / length).sin()) as usize;
        let mut out: Vec<u8> = (0..canvas[0] * canvas[1] * 3)
            .map(|i| ((wave(i / 3 % canvas[0], 20.0) + wave(i / 3 / canvas[0], 23.0)) / 2) as u8)
            .collect();
        for row in 0..height {
            let at = ((y + row) * canvas[0] + x) * 3;
            out[at..at + 3 * width].copy_from_slice(&inner[row * width * 3..][..width * 3]);
        }
        (out, canvas)
    }

    fn shown(data: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
        let frame = RgbFrame::new(width as u32, height as u32, data).unwrap();
        let inner = within(&frame);
        (0..inner.height as usize).flat_map(|y| inner.row(y).to_vec()).collect()
    }

    proptest! {
        #[test]
        fn the_sharp_picture_is_all_that_is_left(
            (w, h) in (70usize..140, 70usize..140),
            sides in prop_oneof![(Just(0usize), 16usize..80), (16usize..80, Just(0usize))],
        ) {
            let (data, canvas) = framed([w, h], [sides.0, sides.1]);
            prop_assert!(shown(&data, canvas) == picture(w, h));
        }

        #[test]
        fn a_frame_without_blurred_sides_stays(w in 1usize..150, h in 1usize..150) {
            prop_assert!(shown(&picture(w, h), [w, h]) == picture(w, h));
        }
    }

    #[test]
    fn only_blurred_sides_are_cut() {
        // Nothing but what changes slowly.
        let (soft, canvas) = framed([0, 0], [80, 60]);
        assert!(shown(&soft, canvas) == soft);
        // At one side only.
        let (mut one, canvas) = framed([80, 90], [40, 0]);
        let noise = picture(canvas[0], canvas[1]);
        for row in 0..canvas[1] {
            let at = (row * canvas[0] + 120) * 3;
            one[at..at + 120].copy_from_slice(&noise[at..at + 120]);
        }
        assert!(shown(&one, canvas) == one);
        // Less than a quarter is left.
        let (slit, canvas) = framed([30, 90], [60, 0]);
        assert!(shown(&slit, canvas) == slit);
    }
}
