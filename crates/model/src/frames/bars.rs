//! Bars beside what a frame shows: letterboxes and pillars of one colour.

use super::image::RgbFrame;
use super::lines::Lines;

/// The most that a channel of a bar's pixel differs from the bar's colour.
const TOLERANCE: u32 = 20;
/// The least difference of a pixel that is certainly no bar.
const OTHER: u32 = 28;
/// A line of a bar has one pixel in this many that differs, at most: noise at its ends, where it meets another bar.
const STRAY: u32 = 64;
/// Bars take at least one part in this many of a side each.
const THIN: u32 = 50;
/// What is left of a side is at least one part in this many.
const LEFT: u32 = 4;
/// Where a bar ends, one pixel in this many of a line differs, at least.
const EDGE: u32 = 4;
/// The least side of a frame that is looked at, in pixels.
const LEAST: u32 = 16;

impl Lines<'_, '_> {
    /// The mean colour of the first line.
    fn colour(&self) -> [u32; 3] {
        let mut sums = [0u32; 3];
        for pixel in self.pixels(0) {
            sums.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += u32::from(v));
        }
        let count = self.size().1;
        sums.map(|sum| (sum + count / 2) / count)
    }

    /// Whether more than `most` pixels of a line differ from a colour by more than `by`.
    fn differs(&self, line: u32, colour: [u32; 3], by: u32, most: u32) -> bool {
        let other = |pixel: &[u8; 3]| pixel.iter().zip(colour).any(|(&v, c)| u32::from(v).abs_diff(c) > by);
        self.pixels(line).filter(other).nth(most as usize).is_some()
    }

    /// The lines of the two bars at either end, which are of one colour and equally wide; 0 where there are none.
    fn bars(&self) -> u32 {
        let (lines, pixels) = self.size();
        if lines.min(pixels) < LEAST {
            return 0;
        }
        let colour = self.colour();
        let is_bar = |line: u32| !self.differs(line, colour, TOLERANCE, pixels / STRAY);
        let count = |at: fn(u32, u32) -> u32| (0..lines / 2).take_while(|&i| is_bar(at(i, lines))).count() as u32;
        let first = count(|i, _| i);
        if first * THIN < lines {
            return 0;
        }
        let last = count(|i, lines| lines - 1 - i);
        let bars = first.min(last);
        if bars * THIN < lines || (lines - 2 * bars) * LEFT < lines {
            return 0;
        }
        // A straight edge, where the narrower bar ends: things on a plain ground and scenes that fade into the dark have none.
        let edge = (bars..bars + lines / THIN + 1).any(|i| {
            let line = if first <= last { i } else { lines - 1 - i };
            self.differs(line, colour, OTHER, pixels / EDGE)
        });
        if edge { bars } else { 0 }
    }
}

/// What a frame shows within its bars.
///
/// Bars are lines of one colour (the mean of the first line; each channel within 20 of it, all but one pixel in 64) at two
/// opposite sides of a frame of at least 16 x 16 pixels: rows first, columns of what is left after. They count as equally
/// wide, as wide as the narrower one is.
/// They are cut off if each takes at least a fiftieth of its side, a quarter of the side is left, and a quarter of a
/// line's pixels differ from the bars (by more than 28) within a fiftieth of where the narrower one ends.
pub(super) fn within<'a>(frame: &RgbFrame<'a>) -> RgbFrame<'a> {
    let rows = Lines::rows(frame);
    let frame = rows.without(rows.bars());
    let columns = Lines::columns(&frame);
    columns.without(columns.bars())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture of noise.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        let mut state = 1u32;
        let random = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (60 + (state >> 24) % 190) as u8
        };
        (0..width * height * 3).map(random).collect()
    }

    /// A picture in a canvas of one colour with noise, at (x, y).
    fn framed(size: [usize; 2], canvas: [usize; 2], [x, y]: [usize; 2], colour: u8) -> Vec<u8> {
        let inner = picture(size[0], size[1]);
        let mut out: Vec<u8> = (0..canvas[0] * canvas[1] * 3).map(|i| colour.saturating_add((i % 9) as u8)).collect();
        for row in 0..size[1] {
            let at = ((y + row) * canvas[0] + x) * 3;
            out[at..at + 3 * size[0]].copy_from_slice(&inner[row * size[0] * 3..][..size[0] * 3]);
        }
        out
    }

    fn shown(data: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
        let frame = RgbFrame::new(width as u32, height as u32, data).unwrap();
        let inner = within(&frame);
        (0..inner.height as usize).flat_map(|y| inner.row(y).to_vec()).collect()
    }

    proptest! {
        #[test]
        fn what_is_within_bars_is_all_that_is_left(
            (w, h) in (40usize..90, 40usize..90),
            pads in prop_oneof![(Just(0usize), 3usize..40), (3usize..40, Just(0usize)), (3usize..20, 3usize..20)],
            colour in 0u8..20,
        ) {
            let canvas = [w + 2 * pads.0, h + 2 * pads.1];
            prop_assume!(canvas[0] <= 50 * pads.0 || pads.0 == 0);
            prop_assume!(canvas[1] <= 50 * pads.1 || pads.1 == 0);
            let data = framed([w, h], canvas, [pads.0, pads.1], colour);
            prop_assert_eq!(shown(&data, canvas), picture(w, h));
        }

        #[test]
        fn a_frame_without_bars_stays(w in 1usize..90, h in 1usize..90) {
            prop_assert_eq!(shown(&picture(w, h), [w, h]), picture(w, h));
        }
    }

    #[test]
    fn only_bars_are_cut() {
        let size = [100, 100];
        // One side alone: a caption, a sky.
        let one = framed([100, 70], size, [0, 30], 0);
        assert_eq!(shown(&one, size), one);
        // A small thing on a plain ground has no straight edge.
        let small = framed([20, 20], size, [40, 40], 0);
        assert_eq!(shown(&small, size), small);
        // Bars that leave less than a quarter.
        let slit = framed([100, 20], size, [0, 40], 0);
        assert_eq!(shown(&slit, size), slit);
        // Nothing but one colour.
        let plain = vec![7; 30_000];
        assert_eq!(shown(&plain, size), plain);
        // As wide as the narrower one.
        let uneven = framed([100, 70], size, [0, 10], 0);
        assert_eq!(shown(&uneven, size).len(), 100 * 80 * 3);
    }
}
