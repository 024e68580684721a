//! What is to be done with copies: a plan that people read, its execution, and taking it back.
//!
//! A plan is made from a [`DedupeReport`](crate::DedupeReport) and names, for each group, the file that is kept and the files
//! that may go, with the hashes of their content. [`DedupePlan::apply`] checks all of it again before it touches a file,
//! moves or links each file so that it is somewhere as a whole at any time, and writes a log before and after each step.
//! [`undo_plan`] reads the log. Both can be killed at any time and run again.

mod apply;
mod log;
mod make;
mod path;
mod undo;

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

pub use apply::{ActedFile, ApplyReport, PlanAction, SkippedFile};
pub use path::PlanPath;
pub use undo::{UndoReport, undo_plan};

/// The form of plans that this version writes and reads.
const FORMAT: &str = "vidsieve-plan-1";
/// Largest plan that is read, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// Which files are kept and which of their copies may go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DedupePlan {
    /// The form of the plan.
    pub format: String,
    /// When it was made, in seconds from 1970.
    pub made: u64,
    /// Folder of the index.
    pub index: PlanPath,
    /// Identity of the model that found the copies: 64 hexadecimal digits.
    pub model: String,
    /// Score from which two videos are copies.
    pub min_score: f32,
    /// The groups.
    pub groups: Vec<PlanGroup>,
}

/// A file that is kept, and its copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanGroup {
    /// The file that is kept; `None` if no file of the group is fit for that: nothing may go then.
    pub keep: Option<PlanFile>,
    /// Why that one.
    pub reason: String,
    /// The copies that may go.
    pub go: Vec<PlanFile>,
    /// The copies that stay, and why.
    #[serde(default)]
    pub held: Vec<HeldFile>,
}

/// A file of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanFile {
    /// The id of its video.
    pub id: String,
    /// Where it is.
    pub path: PlanPath,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds from 1970.
    pub modified: Option<i64>,
    /// BLAKE3 of its content: 64 hexadecimal digits.
    #[serde(with = "hex_hash")]
    pub blake3: [u8; 32],
    /// Its length in seconds.
    pub duration: f64,
    /// Width of its pictures in pixels.
    pub width: u32,
    /// Height of its pictures in pixels.
    pub height: u32,
    /// Its score with the file that is kept, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// The share of it that the file that is kept shows, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// A copy that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeldFile {
    /// The id of its video.
    pub id: String,
    /// Where it is.
    pub path: PlanPath,
    /// Why it stays.
    pub reason: String,
}

/// Hashes as hexadecimal digits.
mod hex_hash {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::path::hex(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = super::path::of_hex(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

impl DedupePlan {
    /// Reads a plan from a file and checks that it does not contradict itself.
    ///
    /// # Errors
    /// [`Error::File`] for a file that cannot be read, [`Error::Plan`] for one that is no plan, or in which a file is both kept
    /// and to go.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = |source| Error::File { path: path.to_owned(), source };
        let refuse = |detail: String| Error::Plan { path: path.to_owned(), detail };
        if std::fs::metadata(path).map_err(file)?.len() > MOST_BYTES {
            return Err(refuse("it is larger than 1 GiB".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(file)?;
        let plan: Self = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        plan.check().map_err(refuse)?;
        Ok(plan)
    }

    /// Writes the plan to a file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let file = |source| Error::File { path: path.to_owned(), source };
        vidsieve_files::write_atomically(path, self.to_text().as_bytes()).map_err(file)
    }

    /// Returns the plan as the text of a file, which [`DedupePlan::read`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Texts and numbers alone: nothing that cannot be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Returns the files that may go.
    pub fn going(&self) -> impl Iterator<Item = &PlanFile> {
        self.groups.iter().flat_map(|group| &group.go)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("a plan of the form {:?}; this Vidsieve reads {FORMAT:?}", self.format));
        }
        let kept: HashSet<&Path> =
            self.groups.iter().filter_map(|group| Some(group.keep.as_ref()?.path.as_path())).collect();
        let mut seen = HashSet::new();
        for file in self.groups.iter().flat_map(|group| group.keep.iter().chain(&group.go)) {
            if !file.path.as_path().is_absolute() {
                return Err(format!("{}: the path does not begin at the root", file.path));
            }
        }
        for file in self.going() {
            if kept.contains(file.path.as_path()) {
                return Err(format!("{}: it is to be kept and to go", file.path));
            }
            if !seen.insert(file.path.as_path()) {
                return Err(format!("{}: it is to go twice", file.path));
            }
        }
        match self.groups.iter().find(|group| group.keep.is_none() && !group.go.is_empty()) {
            Some(group) => Err(format!("{}: it is to go and nothing is kept in its place", group.go[0].path)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(path: &str) -> PlanFile {
        PlanFile {
            id: path.into(),
            path: Path::new(path).into(),
            size: 3,
            modified: Some(5),
            blake3: [0xab; 32],
            duration: 1.5,
            width: 4,
            height: 3,
            score: None,
            share: None,
        }
    }

    fn plan(groups: &[(Option<&str>, &[&str])]) -> DedupePlan {
        let group = |(keep, go): &(Option<&str>, &[&str])| PlanGroup {
            keep: keep.map(file),
            reason: "longest".into(),
            go: go.iter().map(|path| file(path)).collect(),
            held: Vec::new(),
        };
        DedupePlan {
            format: FORMAT.into(),
            made: 7,
            index: Path::new("/i").into(),
            model: "m".into(),
            min_score: 0.9,
            groups: groups.iter().map(group).collect(),
        }
    }

    #[test]
    fn plans_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let plan = plan(&[(Some("/a"), &["/b", "/c"]), (None, &[])]);
        plan.write(&path).unwrap();
        assert_eq!(DedupePlan::read(&path).unwrap(), plan);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&"ab".repeat(32)), "{text}");
        for (from, to, words) in [
            (FORMAT, "vidsieve-plan-9", "reads \"vidsieve-plan-1\""),
            (&"ab".repeat(32), "ab", "64 hexadecimal digits"),
            ("\"groups\"", "\"group\"", "groups"),
            ("/b", "b", "root"),
        ] {
            std::fs::write(&path, text.replace(from, to)).unwrap();
            let error = DedupePlan::read(&path).unwrap_err().to_string();
            assert!(error.contains("plan.json") && error.contains(words), "{error}");
        }
        assert!(DedupePlan::read(folder.path().join("none")).is_err());
    }

    #[test]
    fn plans_do_not_contradict_themselves() {
        assert_eq!(plan(&[(Some("/a"), &["/b"]), (Some("/c"), &["/d"])]).check(), Ok(()));
        for (groups, words) in [
            (plan(&[(Some("/a"), &["/a"])]), "/a: it is to be kept and to go"),
            (plan(&[(Some("/a"), &["/b"]), (Some("/b"), &["/c"])]), "/b: it is to be kept and to go"),
            (plan(&[(Some("/a"), &["/b"]), (Some("/c"), &["/b"])]), "/b: it is to go twice"),
            (plan(&[(None, &["/b"])]), "/b: it is to go and nothing is kept"),
        ] {
            assert!(groups.check().unwrap_err().contains(words), "{words}");
        }
    }
}
