//! Lines of a frame: its rows, or its columns.

use super::image::RgbFrame;

/// Lines of a frame, rows or columns, numbered from the top or the left.
pub(super) struct Lines<'f, 'a> {
    frame: &'f RgbFrame<'a>,
    columns: bool,
}

impl<'f, 'a> Lines<'f, 'a> {
    pub(super) fn rows(frame: &'f RgbFrame<'a>) -> Self {
        Self { frame, columns: false }
    }

    pub(super) fn columns(frame: &'f RgbFrame<'a>) -> Self {
        Self { frame, columns: true }
    }

    /// Number of lines, and pixels of each.
    pub(super) fn size(&self) -> (u32, u32) {
        let (width, height) = (self.frame.width, self.frame.height);
        if self.columns { (width, height) } else { (height, width) }
    }

    /// The pixel `i` of a line: red, green, blue.
    fn pixel(&self, line: u32, i: u32) -> [u8; 3] {
        let (x, y) = if self.columns { (line, i) } else { (i, line) };
        let at = x as usize * self.frame.channels;
        let row = self.frame.row(y as usize);
        [row[at], row[at + 1], row[at + 2]]
    }

    /// The pixels of a line.
    pub(super) fn pixels(&self, line: u32) -> impl Iterator<Item = [u8; 3]> {
        (0..self.size().1).map(move |i| self.pixel(line, i))
    }

    /// Four times the brightness of a pixel, 0 to 1020: `red + 2 green + blue`.
    pub(super) fn brightness(&self, line: u32, i: u32) -> u32 {
        let [red, green, blue] = self.pixel(line, i).map(u32::from);
        red + 2 * green + blue
    }

    /// The frame without as many lines at either end, of which some are left.
    pub(super) fn without(&self, lines: u32) -> RgbFrame<'a> {
        let frame = self.frame;
        if self.columns {
            frame.part(lines, 0, frame.width - 2 * lines, frame.height)
        } else {
            frame.part(0, lines, frame.width, frame.height - 2 * lines)
        }
    }
}
