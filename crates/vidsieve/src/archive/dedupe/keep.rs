//! Which of several videos is the best to keep.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::files::{CopyFile, FileState};
use super::sets::VideoSet;

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
    /// Its file can be opened as a video.
    #[strum(serialize = "readable")]
    Readable,
    /// Its file has not changed since it was indexed.
    #[strum(serialize = "unchanged since it was indexed")]
    Unchanged,
    /// Its file could be read to its end.
    #[strum(serialize = "whole")]
    Whole,
    /// Its file could be read without errors.
    #[strum(serialize = "not damaged")]
    Undamaged,
    /// It is a file, not a symbolic link to one.
    #[strum(serialize = "not a link")]
    NotALink,
    /// It does not lie in a recycle bin or another folder of a system.
    #[strum(serialize = "not in a recycle bin")]
    NotInABin,
    /// It lies in a folder that is protected.
    #[strum(serialize = "in a reference folder")]
    Reference,
    /// Its path or id begins as asked for.
    #[strum(serialize = "preferred path")]
    PreferredPath,
    /// It has the most pixels a frame.
    #[strum(serialize = "largest picture")]
    LargestPicture,
    /// It lasts longest, in whole seconds.
    #[strum(serialize = "longest")]
    Longest,
    /// Its file has the most bytes.
    #[strum(serialize = "largest file")]
    LargestFile,
    /// It has the most bits a second, in thousands.
    #[strum(serialize = "highest bitrate")]
    HighestBitrate,
    /// Its file was changed first.
    #[strum(serialize = "oldest")]
    Oldest,
    /// Its file was changed last.
    #[strum(serialize = "newest")]
    Newest,
    /// Its id is the first one.
    #[strum(serialize = "first by name")]
    FirstByName,
    /// A person chose it: see [`Archive::plan_choices`](crate::Archive::plan_choices).
    #[strum(serialize = "chosen")]
    Chosen,
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

/// A criterion by which the video to keep is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeepBy {
    /// The largest picture: the most pixels a frame.
    Largest,
    /// The longest, in whole seconds.
    Longest,
    /// The file that was changed first.
    Oldest,
    /// The file that was changed last.
    Newest,
    /// The most bits a second.
    Bitrate,
    /// A file in this folder, or whose path or id begins with this text.
    Path(String),
}

impl FromStr for KeepBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "largest" => Self::Largest,
            "longest" => Self::Longest,
            "oldest" => Self::Oldest,
            "newest" => Self::Newest,
            "bitrate" => Self::Bitrate,
            _ => match text.strip_prefix("path:") {
                Some(prefix) if !prefix.is_empty() => Self::Path(prefix.to_owned()),
                _ => return Err("must be largest, longest, oldest, newest, bitrate or path:PREFIX".to_owned()),
            },
        })
    }
}

impl fmt::Display for KeepBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Largest => f.write_str("largest"),
            Self::Longest => f.write_str("longest"),
            Self::Oldest => f.write_str("oldest"),
            Self::Newest => f.write_str("newest"),
            Self::Bitrate => f.write_str("bitrate"),
            Self::Path(prefix) => write!(f, "path:{prefix}"),
        }
    }
}

/// A criterion of one video: smaller is better.
type Criterion = (Reverse<u64>, KeepReason);

/// A video and what it is ranked by.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    pub(super) id: String,
    pub(super) file: CopyFile,
    criteria: Vec<Criterion>,
}

impl Ranked {
    /// Ranks a video: by what makes its file fit to be kept, then by the criteria of `order`, then by picture, length, size
    /// and age.
    pub(super) fn new(id: String, file: CopyFile, order: &[KeepBy]) -> Self {
        let is_partial = file.damage.as_ref().is_some_and(|damage| damage.is_partial);
        let mut criteria: Vec<Criterion> = [
            (file.exists, KeepReason::FileExists),
            (file.state != FileState::Unreadable, KeepReason::Readable),
            (file.state == FileState::Present, KeepReason::Unchanged),
            (!is_partial, KeepReason::Whole),
            (file.damage.is_none(), KeepReason::Undamaged),
            (!file.is_link, KeepReason::NotALink),
            (!file.in_bin, KeepReason::NotInABin),
            (file.protected, KeepReason::Reference),
        ]
        .map(|(is_so, reason)| (Reverse(u64::from(is_so)), reason))
        .into();
        criteria.extend(order.iter().map(|by| criterion(&id, &file, by)));
        criteria.extend([
            criterion(&id, &file, &KeepBy::Largest),
            criterion(&id, &file, &KeepBy::Longest),
            (Reverse(file.bytes), KeepReason::LargestFile),
            criterion(&id, &file, &KeepBy::Oldest),
        ]);
        Self { id, file, criteria }
    }

    /// Compares two videos: the one to keep is less.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let keys = |video: &Self| video.criteria.iter().map(|(key, _)| *key).collect::<Vec<_>>();
        keys(self).cmp(&keys(other)).then_with(|| self.id.cmp(&other.id))
    }

    /// Returns why this video is kept and not the best of the others.
    pub(super) fn reason(&self, other: &Self) -> KeepReason {
        if self.order(other).is_gt() {
            return KeepReason::NotAnExcerpt;
        }
        let differ = self.criteria.iter().zip(&other.criteria).find(|((a, _), (b, _))| a != b);
        differ.map_or(KeepReason::FirstByName, |((_, reason), _)| *reason)
    }
}

fn criterion(id: &str, file: &CopyFile, by: &KeepBy) -> Criterion {
    // Flipping the sign orders times before 1970 first; of a file without a time nothing is known.
    #[allow(clippy::cast_sign_loss)]
    let age = |unknown: u64| file.modified.map_or(unknown, |modified| (modified as u64) ^ (1 << 63));
    let (key, reason) = match by {
        KeepBy::Largest => (u64::from(file.width) * u64::from(file.height), KeepReason::LargestPicture),
        // Lengths are compared in whole seconds: containers round them.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        KeepBy::Longest => (file.duration.round() as u64, KeepReason::Longest),
        // The greatest distance to the end of time.
        KeepBy::Oldest => (u64::MAX - age(u64::MAX), KeepReason::Oldest),
        KeepBy::Newest => (age(0), KeepReason::Newest),
        KeepBy::Bitrate => (file.bitrate.unwrap_or(0) / 1000, KeepReason::HighestBitrate),
        KeepBy::Path(prefix) => {
            let begins = file.path.starts_with(prefix.as_str()) || id.starts_with(prefix.as_str());
            let is_so = begins || VideoSet::new(prefix).has(id, &file.place);
            (u64::from(is_so), KeepReason::PreferredPath)
        }
    };
    (Reverse(key), reason)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::archive::FileDamage;

    fn file(side: u32, duration: f64, bytes: u64, modified: Option<i64>) -> CopyFile {
        let bitrate = Some((bytes as f64 * 8.0 / duration) as u64);
        CopyFile { exists: true, width: side, height: side, duration, bytes, modified, bitrate, ..CopyFile::default() }
    }

    fn ranked(id: &str, file: CopyFile, order: &[KeepBy]) -> Ranked {
        Ranked::new(id.to_owned(), file, order)
    }

    #[test]
    fn the_first_criterion_that_differs_decides() {
        let of = |id: &str, side, duration, bytes, modified| ranked(id, file(side, duration, bytes, modified), &[]);
        let best = of("b", 100, 9.6, 50, Some(-3));
        for (other, reason) in [
            (of("a", 99, 99.0, 99, Some(-9)), KeepReason::LargestPicture),
            (of("a", 100, 9.4, 99, Some(-9)), KeepReason::Longest),
            (of("a", 100, 10.4, 49, Some(-9)), KeepReason::LargestFile),
            (of("a", 100, 9.6, 50, Some(2)), KeepReason::Oldest),
            (of("a", 100, 9.6, 50, None), KeepReason::Oldest),
            (of("c", 100, 9.6, 50, Some(-3)), KeepReason::FirstByName),
        ] {
            assert!(best.order(&other).is_lt() && other.order(&best).is_gt(), "{reason}");
            assert_eq!(best.reason(&other), reason);
            assert_eq!(other.reason(&best), KeepReason::NotAnExcerpt);
        }
        assert_eq!(serde_json::to_string(&KeepReason::FirstByName).unwrap(), "\"first by name\"");
    }

    #[test]
    fn the_order_can_be_chosen() {
        let large = file(200, 5.0, 1000, Some(7));
        let small = file(100, 9.0, 900_000, Some(3));
        let small = CopyFile { path: "/films/a.mp4".into(), place: "/films/a.mp4".into(), ..small };
        for (order, keeps_large, reason) in [
            ("largest", true, KeepReason::LargestPicture),
            ("longest", false, KeepReason::Longest),
            ("oldest", false, KeepReason::Oldest),
            ("newest", true, KeepReason::Newest),
            ("bitrate", false, KeepReason::HighestBitrate),
            ("path:/films", false, KeepReason::PreferredPath),
            ("path:/fil", false, KeepReason::PreferredPath),
            ("path:lar", true, KeepReason::PreferredPath),
            ("path:/none", true, KeepReason::LargestPicture),
        ] {
            let order: Vec<KeepBy> = vec![order.parse().unwrap()];
            assert_eq!(order[0].to_string().parse(), Ok(order[0].clone()));
            let (large, small) = (ranked("large", large.clone(), &order), ranked("small", small.clone(), &order));
            assert_eq!(large.order(&small).is_lt(), keeps_large, "{order:?}");
            let told = if keeps_large { large.reason(&small) } else { small.reason(&large) };
            assert_eq!(told, reason, "{order:?}");
        }
        for bad in ["", "path:", "biggest", "LONGEST"] {
            assert!(bad.parse::<KeepBy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_fit_to_be_kept_is_never_the_best() {
        let damage = |is_partial| Some(FileDamage { is_partial, expected: None, detail: "damaged".into() });
        let sound = file(10, 1.0, 1, Some(9));
        let large = file(9999, 9999.0, 9999, Some(0));
        let orders: [&[KeepBy]; 3] = [&[], &[KeepBy::Largest, KeepBy::Oldest], &[KeepBy::Path("worse".into())]];
        for (worse, reason) in [
            (CopyFile { exists: false, state: FileState::Gone, ..large.clone() }, KeepReason::FileExists),
            (CopyFile { state: FileState::Unreadable, ..large.clone() }, KeepReason::Readable),
            (CopyFile { state: FileState::Changed, ..large.clone() }, KeepReason::Unchanged),
            (CopyFile { damage: damage(true), ..large.clone() }, KeepReason::Whole),
            (CopyFile { damage: damage(false), ..large.clone() }, KeepReason::Undamaged),
            (CopyFile { is_link: true, ..large.clone() }, KeepReason::NotALink),
            (CopyFile { in_bin: true, ..large.clone() }, KeepReason::NotInABin),
        ] {
            // Not even if it lies in a folder that is protected.
            for worse in [worse.clone(), CopyFile { protected: true, ..worse }] {
                for order in orders {
                    let (sound, worse) = (ranked("z", sound.clone(), order), ranked("worse", worse.clone(), order));
                    assert!(sound.order(&worse).is_lt(), "{reason}");
                    assert_eq!(sound.reason(&worse), reason);
                }
            }
        }
        let protected = ranked("z", CopyFile { protected: true, ..sound }, &[]);
        assert_eq!(protected.reason(&ranked("a", large, &[])), KeepReason::Reference);
    }
}
