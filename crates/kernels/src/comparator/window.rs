//! A few consecutive rows of a padded map.

use super::Padding;

/// Rows `base..base + capacity` of a map of `height` x `width` pixels of `channels` values. A buffer row starts with the
/// border pixel left of the map. Row -1 and row `height` are the borders above and below.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// Of the first row in the buffer that all windows of a layer share.
    pub(crate) offset: usize,
    /// Values from one row to the next.
    pub(crate) stride: usize,
    /// Rows that fit.
    pub(crate) capacity: usize,
    /// Row number of the first row, from -1 on.
    pub(crate) base: isize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl Window {
    /// Values of the window.
    pub(crate) fn len(&self) -> usize {
        self.stride * self.capacity
    }

    /// Offset of the left border pixel of row `y`.
    pub(crate) fn row(&self, y: isize) -> usize {
        debug_assert!(y >= self.base && y < self.base + self.capacity as isize);
        self.offset + (y - self.base) as usize * self.stride
    }

    /// Lets the window begin at row `base`; rows from there to `end` are kept.
    pub(crate) fn advance(&mut self, buffer: &mut [f32], base: isize, end: usize) {
        if base > self.base {
            let end = self.row(end as isize - 1) + self.stride;
            let start = self.row(base);
            buffer.copy_within(start..end, self.offset);
            self.base = base;
        }
    }

    /// Fills the borders of rows `from..to`, which have been written, and those above and below the map where these
    /// rows touch them. What lies beyond the borders becomes 0.
    pub(crate) fn finish(&self, buffer: &mut [f32], from: usize, to: usize, padding: Padding) {
        let (c, inside) = (self.channels, self.width * self.channels);
        for y in from..to {
            let row = &mut buffer[self.row(y as isize)..][..self.stride];
            row[c + inside..].fill(0.0);
            match padding {
                Padding::Zero => row[..c].fill(0.0),
                Padding::Replicate => {
                    row.copy_within(c..2 * c, 0);
                    row.copy_within(inside..inside + c, c + inside);
                }
            }
        }
        if self.base == -1 && from == 0 && to > 0 {
            self.copy_row(buffer, 0, -1, padding);
        }
        if to == self.height {
            let end = self.base + self.capacity as isize;
            for y in self.height as isize..end {
                if y == self.height as isize {
                    self.copy_row(buffer, y - 1, y, padding);
                } else {
                    buffer[self.row(y)..][..self.stride].fill(0.0);
                }
            }
        }
    }

    /// Border row `to`: a copy of row `from`, or zeros.
    fn copy_row(&self, buffer: &mut [f32], from: isize, to: isize, padding: Padding) {
        let (from, to) = (self.row(from), self.row(to));
        match padding {
            Padding::Zero => buffer[to..to + self.stride].fill(0.0),
            Padding::Replicate => buffer.copy_within(from..from + self.stride, to),
        }
    }
}
