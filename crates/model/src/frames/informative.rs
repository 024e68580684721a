//! How much a frame shows, from its pixels.
//!
//! Frames that show nothing (black, one colour, what is left after a fade) match each other
//! whatever the videos are. The weight tells them from frames that a person could recognise.

use super::area::area;
use super::image::RgbFrame;
use super::plan::{Axis, Plan};

/// Largest side of the grid in cells.
const GRID: u32 = 64;
/// Side of a block in cells.
const BLOCK: usize = 8;
/// Cells of a block.
const CELLS: f64 = (BLOCK * BLOCK) as f64;
/// Greatest mean square of a flat strip's deviations, in levels squared.
const FLAT_MEAN: f64 = 9.0;
/// Greatest square of one deviation in a flat strip.
const FLAT_ONE: f64 = 100.0;
/// Cells from which a strip's two end cells are not looked at.
const LONG: usize = 24;
/// The part of the noise's energy that neighbouring cells may share by chance.
const NOISE_SHARE: f64 = 1.25;
/// The greatest energy that counts as noise where cells agree with their neighbours.
const NOISE_MOST: f64 = 36.0;
/// The median correlation from which a frame's energy is texture, not noise, and how much less
/// makes it all noise.
const TEXTURE: (f64, f64) = (0.65, 0.2);
/// The correlation of neighbouring cells up to which a block counts as noise, and by how much more
/// it counts fully.
const CORRELATION: (f64, f64) = (0.35, 0.2);
/// Times the median energy that a block must have to stand out whatever its correlation.
const OUTSTANDING: f64 = 10.0;
/// The least median energy for [`OUTSTANDING`].
const OUTSTANDING_LEAST: f64 = 1.5;
/// The contrast in levels up to which a block shows nothing, and by how much more it shows
/// everything.
const CONTRAST: (f64, f64) = (2.0, 4.0);
/// The sum of the blocks that counts as none.
const NONE: f64 = 0.1;
/// The share of all blocks that makes a frame fully informative.
const FULL: f64 = 4.0 / 64.0;

/// Offsets of a block's cells from its middle.
const LINE: [f64; BLOCK] = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5];
/// Their squares, less the mean.
const CURVE: [f64; BLOCK] = [7.0, 1.0, -3.0, -5.0, -5.0, -3.0, 1.0, 7.0];
/// Sums of squares of [`LINE`] and [`CURVE`].
const SQUARES: [f64; 2] = [42.0, 168.0];

/// Returns how much a frame shows: 0 for black, white and other flat colours, with noise or
/// without, for smooth gradients and for fades in which nothing can be recognised; 255 for ordinary
/// footage, text and drawings; low values for a small thing on a plain ground.
///
/// 1. The frame is reduced by area to a grid of at most 64 x 64 cells (at least 8 a side), and each
///    cell becomes `Y = (R + 2 G + B) / 4`, `Co = (R - B) / 2`, `Cg = (2 G - R - B) / 4`.
/// 2. Flat rows and columns of at least 8 cells are cut off its four sides, top, bottom, left and
///    right in turn: bars, and plain ground around what is shown. A strip is flat if the mean of
///    its squared deviations from its mean, summed over the three planes, is at most 9, and none is
///    above 100. Of strips of 24 cells and more the two end cells are not looked at: there a bar
///    meets another one. A frame of which nothing is left weighs 0.
/// 3. What is left is covered with blocks of 8 x 8 cells (the last of a row or column overlaps the
///    one before it; less than 8 cells are widened to 8). A quadratic surface (1, x, y, xy, x², y²)
///    is taken off each plane of a block by least squares: gradients and vignettes are gone. Of the
///    residual r, summed over planes: the energy `E = sum r² / 64`, and the shared energy `S`, the
///    larger of the sums of the products of horizontal and of vertical neighbours, divided by
///    64. Noise has energy that neighbours do not share.
/// 4. The noise `N` is the median (of two the larger) of E over all blocks of the grid, those that
///    were cut off counting as 0. It hides nothing where neighbours agree: `H = min(N, 36)
///    clamp((0.65 - median S / E) / 0.2, 0, 1)`, the median over the blocks of step 3.
/// 5. A contrast c counts `clamp((c - 2) / 4, 0, 1)`. A block counts the larger of what `sqrt(S -
///    1.25 H)` counts, times `clamp((S / E - 0.35) / 0.2, 0, 1)`, and what `sqrt(E - 10 max(N,
///    1.5))` counts, for things that stand out.
/// 6. The weight is `255 clamp((sum of counts - 0.1) / full, 0, 1)`, rounded, where `full` is 4 of
///    64 of the grid's blocks, at least 1.
///
/// All operations are of fixed order and precision: the weight is the same on every machine.
#[must_use]
pub fn weight(frame: &RgbFrame<'_>) -> u8 {
    let grid = Grid::new(frame);
    let Some(content) = grid.content() else { return 0 };
    let mut blocks = Vec::with_capacity(BLOCK * BLOCK);
    for y in starts(content.rows, grid.height) {
        for x in starts(content.columns, grid.width) {
            blocks.push(grid.block(x, y));
        }
    }
    let all = grid.width.div_ceil(BLOCK) * grid.height.div_ceil(BLOCK);
    let noise = median(blocks.iter().map(|block| block.energy), all);
    let texture = median(blocks.iter().map(Block::correlation), 0);
    let hidden = noise.min(NOISE_MOST) * ((TEXTURE.0 - texture) / TEXTURE.1).clamp(0.0, 1.0);
    let shown: f64 = blocks.iter().map(|block| block.count(noise, hidden)).sum();
    let full = (FULL * all as f64).max(1.0);
    (255.0 * ((shown - NONE) / full).clamp(0.0, 1.0)).round() as u8
}

/// A reduced frame: three planes of `height` rows of `width` cells.
struct Grid {
    width: usize,
    height: usize,
    planes: [Vec<f64>; 3],
}

/// Rows and columns that are not cut off: the first one and the one after the last.
struct Content {
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Grid {
    fn new(frame: &RgbFrame<'_>) -> Self {
        let axis = |source: u32| {
            let resized = source.clamp(BLOCK as u32, GRID);
            Axis { source, resized, scale: f64::from(source) / f64::from(resized), start: 0, len: resized }
        };
        let plan = Plan { x: axis(frame.width()), y: axis(frame.height()) };
        let (width, height) = (plan.x.len as usize, plan.y.len as usize);
        let rgb = area(frame, &plan);
        let plane = |of: fn(f64, f64, f64) -> f64| {
            rgb.as_chunks::<3>().0.iter().map(|[r, g, b]| of((*r).into(), (*g).into(), (*b).into())).collect()
        };
        let planes = [
            plane(|r, g, b| (r + 2.0 * g + b) / 4.0),
            plane(|r, _, b| (r - b) / 2.0),
            plane(|r, g, b| (2.0 * g - r - b) / 4.0),
        ];
        Self { width, height, planes }
    }

    /// Returns whether cells from `first` on, `step` apart, are of one colour.
    fn is_flat(&self, first: usize, step: usize, cells: usize) -> bool {
        let (first, cells) = if cells < LONG { (first, cells) } else { (first + step, cells - 2) };
        let strip = |plane: usize| (0..cells).map(move |i| self.planes[plane][first + i * step]);
        let means = [0, 1, 2].map(|plane| strip(plane).sum::<f64>() / cells as f64);
        let mut sum = 0.0;
        for ((y, co), cg) in strip(0).zip(strip(1)).zip(strip(2)) {
            let square = (y - means[0]).powi(2) + (co - means[1]).powi(2) + (cg - means[2]).powi(2);
            if square > FLAT_ONE {
                return false;
            }
            sum += square;
        }
        sum <= FLAT_MEAN * cells as f64
    }

    /// Cuts flat rows and columns off the sides; `None` if nothing is left.
    fn content(&self) -> Option<Content> {
        let ([mut top, mut bottom], [mut left, mut right]) = ([0, self.height], [0, self.width]);
        loop {
            let before = (top, bottom, left, right);
            let row = |y: usize, left: usize, right: usize| {
                right - left >= BLOCK && self.is_flat(y * self.width + left, 1, right - left)
            };
            let column = |x: usize, top: usize, bottom: usize| {
                bottom - top >= BLOCK && self.is_flat(top * self.width + x, self.width, bottom - top)
            };
            top += usize::from(row(top, left, right));
            if top < bottom {
                bottom -= usize::from(row(bottom - 1, left, right));
            }
            left += usize::from(column(left, top, bottom));
            if left < right {
                right -= usize::from(column(right - 1, top, bottom));
            }
            if top >= bottom || left >= right {
                return None;
            }
            if before == (top, bottom, left, right) {
                return Some(Content { rows: [top, bottom], columns: [left, right] });
            }
        }
    }

    /// Measures the block whose first cell is at (x, y).
    fn block(&self, x: usize, y: usize) -> Block {
        let (mut energy, mut along, mut across) = (0.0, 0.0, 0.0);
        for plane in &self.planes {
            let mut rows = [[0.0; BLOCK]; BLOCK];
            for (row, at) in rows.iter_mut().zip((y..).map(|y| y * self.width + x)) {
                row.copy_from_slice(&plane[at..at + BLOCK]);
            }
            take_surface_off(&mut rows);
            for (i, row) in rows.iter().enumerate() {
                energy += row.iter().map(|v| v * v).sum::<f64>();
                along += row.windows(2).map(|w| w[0] * w[1]).sum::<f64>();
                if let Some(next) = rows.get(i + 1) {
                    across += row.iter().zip(next).map(|(a, b)| a * b).sum::<f64>();
                }
            }
        }
        Block { energy: energy / CELLS, shared: along.max(across) / CELLS }
    }
}

/// Takes 1, x, y, xy, x² and y² off a block by least squares.
fn take_surface_off(rows: &mut [[f64; BLOCK]; BLOCK]) {
    let dot = |row: &[f64; BLOCK], by: &[f64; BLOCK]| row.iter().zip(by).map(|(a, b)| a * b).sum::<f64>();
    let mut sums = [0.0; 6];
    for (row, (line, curve)) in rows.iter().zip(LINE.iter().zip(&CURVE)) {
        let (mean, slope, bend) = (row.iter().sum::<f64>(), dot(row, &LINE), dot(row, &CURVE));
        let terms = [mean, slope, bend, mean * line, slope * line, mean * curve];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    let (n, [line, curve]) = (BLOCK as f64, SQUARES);
    let [one, x, xx, y, xy, yy] = sums;
    let (one, x, xx, y, xy, yy) =
        (one / CELLS, x / (n * line), xx / (n * curve), y / (n * line), xy / (line * line), yy / (n * curve));
    for (row, (dy, cy)) in rows.iter_mut().zip(LINE.iter().zip(&CURVE)) {
        for (cell, (dx, cx)) in row.iter_mut().zip(LINE.iter().zip(&CURVE)) {
            *cell -= one + x * dx + xx * cx + y * dy + xy * dx * dy + yy * cy;
        }
    }
}

/// What is left of a block without its quadratic surface, in levels squared.
struct Block {
    energy: f64,
    shared: f64,
}

impl Block {
    /// Returns the part of the energy that neighbouring cells share.
    fn correlation(&self) -> f64 {
        self.shared / self.energy.max(1e-9)
    }

    /// Returns how much the block shows, 0 to 1, where `noise` is the median energy of the frame's
    /// blocks, and `hidden` what of it counts as noise.
    fn count(&self, noise: f64, hidden: f64) -> f64 {
        let of = |square: f64| ((square.max(0.0).sqrt() - CONTRAST.0) / CONTRAST.1).clamp(0.0, 1.0);
        let agreeing = ((self.correlation() - CORRELATION.0) / CORRELATION.1).clamp(0.0, 1.0);
        let shared = of(self.shared - NOISE_SHARE * hidden) * agreeing;
        shared.max(of(self.energy - OUTSTANDING * noise.max(OUTSTANDING_LEAST)))
    }
}

/// Returns the median of values, to which zeros are added until there are `all`.
fn median(values: impl Iterator<Item = f64>, all: usize) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.resize(values.len().max(all), 0.0);
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Returns where the blocks of a stretch of cells begin, in a grid of `cells`, at least [`BLOCK`].
fn starts([first, end]: [usize; 2], cells: usize) -> impl Iterator<Item = usize> {
    let (first, end) = if end - first < BLOCK {
        let first = usize::midpoint(first, end).saturating_sub(BLOCK / 2).min(cells - BLOCK);
        (first, first + BLOCK)
    } else {
        (first, end)
    };
    (0..(end - first).div_ceil(BLOCK)).map(move |i| (first + i * BLOCK).min(end - BLOCK))
}
