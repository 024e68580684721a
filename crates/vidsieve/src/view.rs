//! Turned and mirrored views of a video, by which copies are found that were turned or mirrored.

use serde::{Serialize, Serializer};
use strum::{Display, IntoStaticStr};

use crate::RgbPicture;

/// How the frames of a video are seen: as they are, mirrored, or turned clockwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Display, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum View {
    /// As they are.
    #[default]
    Upright,
    /// Left and right exchanged.
    Mirrored,
    /// A quarter turn clockwise.
    #[strum(serialize = "turned-90")]
    Turned90,
    /// Upside down.
    #[strum(serialize = "turned-180")]
    Turned180,
    /// A quarter turn anticlockwise.
    #[strum(serialize = "turned-270")]
    Turned270,
    /// Mirrored, then a quarter turn clockwise.
    #[strum(serialize = "mirrored-turned-90")]
    MirroredTurned90,
    /// Mirrored, then upside down: top and bottom exchanged.
    #[strum(serialize = "mirrored-turned-180")]
    MirroredTurned180,
    /// Mirrored, then a quarter turn anticlockwise.
    #[strum(serialize = "mirrored-turned-270")]
    MirroredTurned270,
}

impl View {
    /// Every view, the upright one first.
    pub const ALL: [Self; 8] = [
        Self::Upright,
        Self::Mirrored,
        Self::Turned90,
        Self::Turned180,
        Self::Turned270,
        Self::MirroredTurned90,
        Self::MirroredTurned180,
        Self::MirroredTurned270,
    ];

    /// Returns whether it is mirrored, and its quarter turns clockwise.
    const fn parts(self) -> (bool, u8) {
        match self {
            Self::Upright => (false, 0),
            Self::Mirrored => (true, 0),
            Self::Turned90 => (false, 1),
            Self::Turned180 => (false, 2),
            Self::Turned270 => (false, 3),
            Self::MirroredTurned90 => (true, 1),
            Self::MirroredTurned180 => (true, 2),
            Self::MirroredTurned270 => (true, 3),
        }
    }

    /// Returns a frame in this view: RGB, 8 bits a channel, rows from the top without padding.
    #[must_use]
    pub fn apply(self, time: f64, width: u32, height: u32, rgb: &[u8]) -> RgbPicture {
        let (mirrored, turns) = self.parts();
        let [w, h] = [width, height].map(|side| side as usize);
        let (new_width, new_height) = if turns % 2 == 1 { (height, width) } else { (width, height) };
        let [nw, nh] = [new_width, new_height].map(|side| side as usize);
        let mut turned = vec![0u8; rgb.len()];
        for (place, pixel) in turned.as_chunks_mut::<3>().0.iter_mut().enumerate().take(nw * nh) {
            let (x, y) = (place % nw, place / nw);
            // Where the pixel was before the turn.
            let (x, y) = match turns {
                0 => (x, y),
                1 => (y, h - 1 - x),
                2 => (w - 1 - x, h - 1 - y),
                _ => (w - 1 - y, x),
            };
            let x = if mirrored { w - 1 - x } else { x };
            if let Some(from) = rgb.as_chunks::<3>().0.get(y * w + x) {
                *pixel = *from;
            }
        }
        RgbPicture { time, width: new_width, height: new_height, rgb: turned }
    }
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of grey levels, row by row.
    fn of(view: View, width: u32, height: u32, levels: &[u8]) -> (u32, u32, Vec<u8>) {
        let rgb: Vec<u8> = levels.iter().flat_map(|level| [*level; 3]).collect();
        let turned = view.apply(0.0, width, height, &rgb);
        (turned.width, turned.height, turned.rgb.chunks(3).map(|pixel| pixel[0]).collect())
    }

    #[test]
    fn pixels_are_where_the_name_says() {
        let picture = [1, 2, 3, 4, 5, 6];
        for (view, expected) in [
            (View::Upright, (3, 2, vec![1, 2, 3, 4, 5, 6])),
            (View::Mirrored, (3, 2, vec![3, 2, 1, 6, 5, 4])),
            (View::Turned90, (2, 3, vec![4, 1, 5, 2, 6, 3])),
            (View::Turned180, (3, 2, vec![6, 5, 4, 3, 2, 1])),
            (View::Turned270, (2, 3, vec![3, 6, 2, 5, 1, 4])),
            (View::MirroredTurned90, (2, 3, vec![6, 3, 5, 2, 4, 1])),
            (View::MirroredTurned180, (3, 2, vec![4, 5, 6, 1, 2, 3])),
            (View::MirroredTurned270, (2, 3, vec![1, 4, 2, 5, 3, 6])),
        ] {
            assert_eq!(of(view, 3, 2, &picture), expected, "{view}");
        }
    }

    #[test]
    fn every_view_is_another_one() {
        let mut seen: Vec<_> = View::ALL.map(|view| of(view, 3, 2, &[1, 2, 3, 4, 5, 6])).into();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), View::ALL.len());
    }
}
