//! Small grey pictures of a clip: whether it changes, whether it shows the same again, and whether
//! another clip does.

use vidsieve_edits::Image;

use super::sources::LOOKED;

const WIDTH: u32 = 32;
const HEIGHT: u32 = 18;
/// Standard deviation of a frame's cells, in 255ths, below which it shows nothing.
const BLANK: f32 = 4.0;
/// Greatest difference of a cell, in 255ths, from which a frame is another one.
const OTHER: u8 = 8;
/// The same between clips that were encoded apart.
const ALIKE: u8 = 14;
/// Seconds from which a frame that is shown again counts as a repetition.
const LAG: f64 = 1.5;

/// Frames as small grey pictures, [`LOOKED`] a second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Thumbnails(Vec<Vec<u8>>);

/// Greatest difference of a cell.
fn difference(a: &[u8], b: &[u8]) -> u8 {
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
impl Thumbnails {
    pub(super) fn push(&mut self, frame: &Image) {
        let small = frame.resize(WIDTH, HEIGHT);
        let grey = |p: &[u8]| ((u32::from(p[0]) * 77 + u32::from(p[1]) * 150 + u32::from(p[2]) * 29) >> 8) as u8;
        self.0.push(small.pixels.chunks_exact(3).map(grey).collect());
    }

    /// The stretch from the first frame to the last that shows something, in seconds.
    pub(super) fn usable(&self) -> Option<[f64; 2]> {
        let shows = |cells: &Vec<u8>| {
            let mean = cells.iter().map(|&v| f32::from(v)).sum::<f32>() / cells.len() as f32;
            let square = cells.iter().map(|&v| (f32::from(v) - mean).powi(2)).sum::<f32>() / cells.len() as f32;
            square.sqrt() >= BLANK
        };
        let first = self.0.iter().position(shows)?;
        let last = self.0.iter().rposition(shows)?;
        // A frame that is only coming up is left out as well.
        let from = if first > 0 { first + 1 } else { 0 };
        let to = if last + 1 < self.0.len() { last } else { last + 1 };
        (to > from).then(|| [from as f64 / LOOKED, to as f64 / LOOKED])
    }

    pub(super) fn between(&self, [from, to]: [f64; 2]) -> Self {
        let at = |time: f64| ((time * LOOKED).round() as usize).min(self.0.len());
        Self(self.0[at(from)..at(to).max(at(from))].to_vec())
    }

    /// Whether most frames differ from the one a second before.
    pub(super) fn moves(&self) -> bool {
        let step = LOOKED as usize;
        let count = self.0.len().saturating_sub(step);
        let others = (0..count).filter(|&i| difference(&self.0[i], &self.0[i + step]) >= OTHER).count();
        count > 0 && others * 3 >= count * 2
    }

    /// Whether many frames are shown again later or before.
    pub(super) fn repeats(&self) -> bool {
        let lag = (LAG * LOOKED) as usize;
        let again =
            |i: usize| (0..self.0.len()).any(|j| i.abs_diff(j) >= lag && difference(&self.0[i], &self.0[j]) < OTHER);
        let count = (0..self.0.len()).filter(|&i| again(i)).count();
        count * 4 > self.0.len()
    }

    /// How far the frames of one are from the nearest of the other: the median of the mean
    /// difference of cells, in 255ths.
    pub(super) fn distance(&self, other: &Self) -> f32 {
        let mean = |a: &[u8], b: &[u8]| {
            a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>() as f32 / a.len().max(1) as f32
        };
        let nearest = |frame: &Vec<u8>| other.0.iter().map(|there| mean(frame, there)).fold(f32::INFINITY, f32::min);
        let mut all: Vec<f32> = self.0.iter().map(nearest).collect();
        all.sort_by(f32::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f32::INFINITY)
    }

    /// Whether many frames of one are frames of the other too.
    pub(crate) fn alike(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        let there = |frame: &&Vec<u8>| many.0.iter().any(|other| difference(frame, other) < ALIKE);
        few.0.iter().filter(there).count() * 4 > few.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a white square at this column.
    fn frame(column: i64) -> Image {
        let mut image = Image::filled(64, 36, [60; 3]);
        image.paste(&Image::filled(8, 8, [240; 3]), column, 10, 1.0);
        image
    }

    fn of(columns: impl IntoIterator<Item = i64>) -> Thumbnails {
        let mut all = Thumbnails::default();
        columns.into_iter().for_each(|column| all.push(&frame(column)));
        all
    }

    #[test]
    fn clips_move_stand_still_or_repeat() {
        let (moving, still) = (of((0..16).map(|i| i * 3)), of([5; 16]));
        assert!(moving.moves() && !moving.repeats());
        assert!(!still.moves() && still.repeats());
        let looped = of((0..16).map(|i| i % 8 * 3));
        assert!(looped.moves() && looped.repeats());
    }

    #[test]
    fn blank_ends_are_left_out() {
        let mut clip = Thumbnails::default();
        let black = Image::filled(64, 36, [0; 3]);
        (0..4).for_each(|_| clip.push(&black));
        (0..8).for_each(|i| clip.push(&frame(i * 3)));
        clip.push(&black);
        assert_eq!(clip.usable(), Some([1.25, 2.75]));
        assert_eq!(clip.between([1.25, 2.75]).0.len(), 6);
        assert_eq!(of([1, 5]).usable(), Some([0.0, 0.5]));
        let mut nothing = Thumbnails::default();
        nothing.push(&black);
        assert_eq!((nothing.usable(), Thumbnails::default().usable()), (None, None));
    }

    #[test]
    fn clips_that_share_frames_are_alike() {
        let whole = of((0..16).map(|i| i * 3));
        assert!(whole.alike(&of((4..9).map(|i| i * 3))));
        let (one, other) = (of([0, 3, 6]), of([40, 44, 48]));
        assert!(!one.alike(&other));
        let far = one.distance(&other);
        assert!(one.distance(&whole) < 1.0 && far > 5.0 && far.is_finite(), "{far}");
        assert!(Thumbnails::default().distance(&one).is_infinite());
    }
}
