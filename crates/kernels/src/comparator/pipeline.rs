//! The layers, fused over bands of rows.
//!
//! A band is a number of tile rows of the third convolution (4 output rows, 16 input rows each). Each layer keeps the
//! rows that its successor still needs in a [`Window`] and produces only new ones, so a map of any height needs the
//! memory of one band, and nothing is computed twice. Borders exist only where the map ends. Several maps can go
//! through together: their tiles share the matrix products.

use alloc::vec::Vec;
use core::ops::Range;

use super::first::{self, Rows};
use super::pack::Packed;
use super::window::Window;
use super::{Padding, Pool};
use crate::aligned::Aligned;
use crate::isa::Isa;
use crate::winograd::{self, Space, Tile};

/// Tiles that are transformed and multiplied together: the products of a block stay in the second-level cache.
const SECOND_BLOCK: usize = 32;
const THIRD_BLOCK: usize = 32;

/// Work space of a comparator. One per thread; it grows to the largest need and can serve any comparator.
#[derive(Default)]
pub struct Scratch {
    planes: Vec<Plane>,
    tiles: Vec<Tile>,
    rows: Aligned,
    input: Aligned,
    pool1: Aligned,
    pool2: Aligned,
    output: Aligned,
    space: Space,
}

impl Scratch {
    /// Bytes held now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let buffers = [&self.rows, &self.input, &self.pool1, &self.pool2, &self.output];
        let values = buffers.map(|buffer| buffer.len()).iter().sum::<usize>() + self.space.len();
        values * size_of::<f32>()
            + self.planes.capacity() * size_of::<Plane>()
            + self.tiles.capacity() * size_of::<Tile>()
    }
}

/// One map on its way.
#[derive(Clone, Copy, Debug, Default)]
struct Plane {
    h: usize,
    w: usize,
    h1: usize,
    w1: usize,
    h2: usize,
    w2: usize,
    /// Channel 0; the other input channels follow, one window each.
    input: Window,
    pool1: Window,
    pool2: Window,
    /// Rows of `pool1` and tile rows of the second convolution that are done.
    done1: usize,
    done2: usize,
    /// Of the band's output rows.
    output: usize,
}

impl Plane {
    fn new(packed: &Packed, pool: Pool, [h, w]: [usize; 2], band: usize) -> Self {
        let [(h1, w1), (h2, w2)] = pool.shapes(h, w);
        let window = |capacity: usize, columns: usize, height: usize, width: usize, channels: usize| Window {
            stride: columns * channels,
            capacity,
            base: -1,
            height,
            width,
            channels,
            ..Window::default()
        };
        // Tile rows of the second and third convolution in the first, largest band.
        let third = band.min(h2.div_ceil(4));
        let second = (2 * third + 1).min(h2.div_ceil(2));
        let rows1 = (4 * second + 1).min(h1);
        Self {
            h,
            w,
            h1,
            w1,
            h2,
            w2,
            input: window(2 * rows1 + 2, (2 * w1 + 2).max(w + 2), h, w, 1),
            pool1: window(4 * second + 2, (4 * w2.div_ceil(2) + 2).max(w1 + 2), h1, w1, packed.first.outputs),
            pool2: window(4 * third + 3, 4 * w2.div_ceil(4) + 2, h2, w2, packed.second.outputs),
            done1: 0,
            done2: 0,
            output: 0,
        }
    }

    /// Tile rows of the third convolution.
    fn tile_rows(&self) -> usize {
        self.h2.div_ceil(4)
    }
}

/// Tile rows of a band, for maps of `w` columns: enough tiles to fill a block of the third convolution.
pub(crate) fn band_of(w: usize) -> usize {
    THIRD_BLOCK.div_ceil(w.div_ceil(16).max(1))
}

/// Tiles of the third convolution of an output of `h2` x `w2`.
pub(crate) fn tiles_of(h2: usize, w2: usize) -> usize {
    h2.div_ceil(4) * w2.div_ceil(4)
}

/// Maps with fewer tiles than this are worked on together.
pub(crate) const GROUP_TILES: usize = THIRD_BLOCK;

/// The network, ready for one instruction set.
pub(crate) struct Network {
    pub(crate) isa: Isa,
    pub(crate) packed: Packed,
    pub(crate) padding: Padding,
}

impl Network {
    /// Runs maps of the given `[h, w]` in bands of `band` tile rows. `fill(map, rows, out)` writes the input rows
    /// `[C0][rows][w]`, each row of a map exactly once and in order; `emit(map, row, values)` receives the output rows
    /// of each map in order. Every map must be large enough for an output.
    pub(crate) fn run(
        &self,
        shapes: impl Iterator<Item = [usize; 2]>,
        pool: Pool,
        band: usize,
        mut fill: impl FnMut(usize, Range<usize>, &mut [f32]),
        mut emit: impl FnMut(usize, usize, &[f32]),
        scratch: &mut Scratch,
    ) {
        let Packed { first, second, third, last, last_bias } = &self.packed;
        let Scratch { planes, tiles, rows, input, pool1, pool2, output, space } = scratch;
        planes.clear();
        planes.extend(shapes.map(|shape| Plane::new(&self.packed, pool, shape, band)));
        let (mut in_len, mut len1, mut len2, mut out_len) = (0, 0, 0, 0);
        for plane in planes.iter_mut() {
            plane.input.offset = in_len;
            plane.pool1.offset = len1;
            plane.pool2.offset = len2;
            plane.output = out_len;
            in_len += first.inputs * plane.input.len();
            len1 += plane.pool1.len();
            len2 += plane.pool2.len();
            out_len += (4 * band).min(plane.h2) * plane.w2;
        }
        input.reserve(in_len);
        pool1.reserve(len1);
        pool2.reserve(len2);
        output.reserve(out_len);

        let bands = planes.iter().map(|plane| plane.tile_rows().div_ceil(band)).max().unwrap_or(0);
        for start in (0..bands).map(|i| i * band) {
            tiles.clear();
            for (index, plane) in planes.iter_mut().enumerate().filter(|(_, plane)| start < plane.tile_rows()) {
                let end = (start + band).min(plane.tile_rows());
                let end2 = (2 * end + 1).min(plane.h2.div_ceil(2));
                let from2 = plane.done2;
                plane.pool2.advance(pool2, 4 * start as isize - 1, (2 * from2).min(plane.h2));
                if end2 > from2 {
                    self.first_layer(index, plane, end2, rows, input, pool1, &mut fill);
                    push_second(plane, from2..end2, second.outputs, tiles);
                }
            }
            for tiles in tiles.chunks(SECOND_BLOCK) {
                winograd::convolve_pool(self.isa, second, tiles, pool1, pool2, space);
            }
            tiles.clear();
            for plane in planes.iter_mut().filter(|plane| start < plane.tile_rows()) {
                let end = (start + band).min(plane.tile_rows());
                let end2 = (2 * end + 1).min(plane.h2.div_ceil(2));
                plane.pool2.finish(pool2, 2 * plane.done2.min(end2), (2 * end2).min(plane.h2), self.padding);
                plane.done2 = end2;
                push_third(plane, start..end, tiles);
            }
            for tiles in tiles.chunks(THIRD_BLOCK) {
                winograd::convolve_dot(self.isa, third, last, *last_bias, tiles, pool2, output, space);
            }
            for (index, plane) in planes.iter().enumerate().filter(|(_, plane)| start < plane.tile_rows()) {
                let done = 4 * start..(4 * (start + band)).min(plane.h2);
                for (i, row) in done.enumerate() {
                    emit(index, row, &output[plane.output + i * plane.w2..][..plane.w2]);
                }
            }
        }
    }

    /// Brings `pool1` to where the second convolution can produce its tile rows up to `end2`.
    #[allow(clippy::too_many_arguments)]
    fn first_layer(
        &self,
        index: usize,
        plane: &mut Plane,
        end2: usize,
        rows: &mut Aligned,
        input: &mut [f32],
        pool1: &mut [f32],
        fill: &mut impl FnMut(usize, Range<usize>, &mut [f32]),
    ) {
        let first = &self.packed.first;
        let (from, to) = (plane.done1, (4 * end2 + 1).min(plane.h1));
        plane.pool1.advance(pool1, 4 * plane.done2 as isize - 1, from);
        if to > from {
            // Input rows: one more than the convolution rows on both sides.
            let have = if from == 0 { 0 } else { (2 * from + 1).min(plane.h) };
            let want = (2 * to + 1).min(plane.h);
            let new = (want - have) * plane.w;
            rows.reserve(first.inputs * new);
            if want > have {
                fill(index, have..want, &mut rows[..first.inputs * new]);
            }
            let channel_stride = plane.input.len();
            let mut window = plane.input;
            for channel in 0..first.inputs {
                window = plane.input;
                window.offset += channel * channel_stride;
                window.advance(input, 2 * from as isize - 1, have);
                for (i, row) in rows[channel * new..][..new].chunks_exact(plane.w).enumerate() {
                    let at = window.row((have + i) as isize) + 1;
                    input[at..at + plane.w].copy_from_slice(row);
                }
                window.finish(input, have, want, self.padding);
            }
            plane.input.base = window.base;
            let at = Rows {
                input: plane.input.row(2 * from as isize - 1),
                input_stride: plane.input.stride,
                channel_stride,
                output: plane.pool1.row(from as isize) + first.outputs,
                output_stride: plane.pool1.stride,
                rows: to - from,
                columns: plane.w1,
                half_row: to == plane.h1 && 2 * plane.h1 > plane.h,
                half_column: 2 * plane.w1 > plane.w,
            };
            first::convolve(self.isa, first, input, pool1, at);
        }
        plane.pool1.finish(pool1, from, to, self.padding);
        plane.done1 = to;
    }
}

/// Tiles of the second convolution in tile rows `range`.
fn push_second(plane: &Plane, range: Range<usize>, channels: usize, tiles: &mut Vec<Tile>) {
    for ty in range {
        for tx in 0..plane.w2.div_ceil(2) {
            tiles.push(Tile {
                input: plane.pool1.row(4 * ty as isize - 1) + 4 * tx * plane.pool1.channels,
                input_stride: plane.pool1.stride,
                output: plane.pool2.row(2 * ty as isize) + (2 * tx + 1) * channels,
                output_stride: plane.pool2.stride,
                rows: (plane.h1 - 4 * ty).min(4) as u8,
                columns: (plane.w1 - 4 * tx).min(4) as u8,
                kept_rows: (plane.h2 - 2 * ty).min(2) as u8,
                kept_columns: (plane.w2 - 2 * tx).min(2) as u8,
            });
        }
    }
}

/// Tiles of the third convolution in tile rows `range`; the output begins at the first of them.
fn push_third(plane: &Plane, range: Range<usize>, tiles: &mut Vec<Tile>) {
    for ty in range.clone() {
        for tx in 0..plane.w2.div_ceil(4) {
            let (rows, columns) = ((plane.h2 - 4 * ty).min(4) as u8, (plane.w2 - 4 * tx).min(4) as u8);
            tiles.push(Tile {
                input: plane.pool2.row(4 * ty as isize - 1) + 4 * tx * plane.pool2.channels,
                input_stride: plane.pool2.stride,
                output: plane.output + 4 * (ty - range.start) * plane.w2 + 4 * tx,
                output_stride: plane.w2,
                rows,
                columns,
                kept_rows: rows,
                kept_columns: columns,
            });
        }
    }
}
