//! Which of several videos is the best to keep.

use std::cmp::{Ordering, Reverse};

use serde::{Serialize, Serializer};
use vidsieve_index::store::Summary;

use crate::archive::path_of;

/// Why a video of a group is kept: the first of these criteria in which it is ahead of the best of the
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[non_exhaustive]
pub enum KeepReason {
    /// The best of the others is an excerpt of a longer video.
    #[strum(serialize = "not an excerpt")]
    NotAnExcerpt,
    /// Its file is still where it was when it was indexed.
    #[strum(serialize = "file exists")]
    FileExists,
    /// It has the most pixels a frame.
    #[strum(serialize = "largest picture")]
    LargestPicture,
    /// It lasts longest, in whole seconds.
    #[strum(serialize = "longest")]
    Longest,
    /// Its file has the most bytes.
    #[strum(serialize = "largest file")]
    LargestFile,
    /// Its file was changed first.
    #[strum(serialize = "oldest")]
    Oldest,
    /// Its id is the first one.
    #[strum(serialize = "first by name")]
    FirstByName,
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

/// A video and what it is ranked by.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    pub(super) id: String,
    /// Its file, for people.
    pub(super) path: String,
    pub(super) exists: bool,
    /// Its length in seconds.
    pub(super) duration: f64,
    /// Width and height in pixels, 0 if unknown.
    pub(super) picture: [u32; 2],
    /// Bytes of its file.
    pub(super) bytes: u64,
    /// When its file was changed, ordered as unsigned numbers.
    age: u64,
}

impl Ranked {
    /// Looks the file up; a picture's size that the index lacks is read from it.
    pub(super) fn new(summary: &Summary) -> Self {
        let path = path_of(&summary.source.path);
        let exists = std::fs::metadata(&path).is_ok();
        let mut picture = summary.source.picture;
        if picture == [0, 0]
            && exists
            && let Ok(info) = vidsieve_video::probe(&path)
        {
            picture = [info.display_width, info.display_height];
        }
        let modified = summary.source.modified.unwrap_or(i64::MAX);
        // Flipping the sign orders times before 1970 first.
        #[allow(clippy::cast_sign_loss)]
        let age = (modified as u64) ^ (1 << 63);
        Self {
            id: summary.id.clone(),
            path: summary.source.display(),
            exists,
            duration: summary.duration,
            picture,
            bytes: summary.source.size,
            age,
        }
    }

    /// Returns the criteria of keeping a video, each with its name, from the first to the last; smaller is better.
    fn criteria(&self) -> [(Reverse<u64>, KeepReason); 5] {
        // Lengths are compared in whole seconds: containers round them.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let seconds = self.duration.round() as u64;
        [
            (Reverse(u64::from(self.exists)), KeepReason::FileExists),
            (Reverse(u64::from(self.picture[0]) * u64::from(self.picture[1])), KeepReason::LargestPicture),
            (Reverse(seconds), KeepReason::Longest),
            (Reverse(self.bytes), KeepReason::LargestFile),
            // The oldest is best: the greatest distance to the end of time.
            (Reverse(u64::MAX - self.age), KeepReason::Oldest),
        ]
    }

    /// Compares two videos: the one to keep is less.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let rank = |video: &Self| video.criteria().map(|(key, _)| key);
        rank(self).cmp(&rank(other)).then_with(|| self.id.cmp(&other.id))
    }

    /// Returns why this video is kept and not the best of the others.
    pub(super) fn reason(&self, other: &Self) -> KeepReason {
        if self.order(other).is_gt() {
            return KeepReason::NotAnExcerpt;
        }
        let differ = self.criteria().into_iter().zip(other.criteria()).find(|((a, _), (b, _))| a != b);
        differ.map_or(KeepReason::FirstByName, |((_, reason), _)| reason)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vidsieve_index::store::Source;

    use super::*;

    fn ranked(id: &str, side: u32, duration: f64, size: u64, modified: Option<i64>) -> Ranked {
        let source = Source { size, modified, picture: [side, side], ..Source::default() };
        let (added, frames, bytes, checksum) = (0, 1, 0, 0);
        Ranked::new(&Summary { id: id.into(), source, added, duration, frames, informative: true, bytes, checksum })
    }

    #[test]
    fn the_first_criterion_that_differs_decides() {
        let best = ranked("b", 100, 9.6, 50, Some(-3));
        for (other, reason) in [
            (ranked("a", 99, 99.0, 99, Some(-9)), KeepReason::LargestPicture),
            (ranked("a", 100, 9.4, 99, Some(-9)), KeepReason::Longest),
            (ranked("a", 100, 10.4, 49, Some(-9)), KeepReason::LargestFile),
            (ranked("a", 100, 9.6, 50, Some(2)), KeepReason::Oldest),
            (ranked("a", 100, 9.6, 50, None), KeepReason::Oldest),
            (ranked("c", 100, 9.6, 50, Some(-3)), KeepReason::FirstByName),
        ] {
            assert!(best.order(&other).is_lt() && other.order(&best).is_gt(), "{reason}");
            assert_eq!(best.reason(&other), reason);
            assert_eq!(other.reason(&best), KeepReason::NotAnExcerpt);
        }
        assert_eq!(serde_json::to_string(&KeepReason::FirstByName).unwrap(), "\"first by name\"");
    }

    #[test]
    fn a_file_that_is_gone_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("small.mp4");
        std::fs::write(&file, "-").unwrap();
        let path = file.into_os_string().into_encoded_bytes();
        let summary = |id: &str, path, picture| Summary {
            id: id.into(),
            source: Source { path, picture, ..Source::default() },
            added: 0,
            duration: 4.0,
            frames: 16,
            informative: true,
            bytes: 0,
            checksum: 0,
        };
        let small = Ranked::new(&summary("small", path, [160, 90]));
        let gone = Ranked::new(&summary("a", b"gone.mp4".to_vec(), [1920, 1080]));
        assert!(small.order(&gone).is_lt());
        assert_eq!(small.reason(&gone), KeepReason::FileExists);
    }
}
