//! The files of an index as they are now: which names lead to one file, and what is fit to be kept.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use vidsieve_files::{FileFacts, FileIdentity, in_bin, is_same_entry};
use vidsieve_index::store::{Source, Summary};
use vidsieve_search::Table;

use super::damage::FileDamage;
use super::sets::VideoSet;
use crate::archive::path_of;

/// What became of a video's file since it was indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::Display, strum::IntoStaticStr)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(rename_all = "kebab-case"))]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum FileState {
    /// It is there, with the size and time that it had.
    #[default]
    Present,
    /// Its size or time is another one: the index does not know what it shows now.
    Changed,
    /// It cannot be opened as a video any more.
    Unreadable,
    /// It is not there.
    Gone,
    /// The video came without a file.
    None,
}

impl Serialize for FileState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

/// How another name leads to the file of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[non_exhaustive]
pub enum NameKind {
    /// A symbolic link.
    #[strum(serialize = "symbolic link")]
    SymbolicLink,
    /// A hard link: another name of the same rank.
    #[strum(serialize = "hard link")]
    HardLink,
    /// The same entry of the same folder, through another mount or a link to a folder.
    #[strum(serialize = "second path")]
    SecondPath,
}

impl Serialize for NameKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

/// Another name of a video's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct OtherName {
    /// The id under which it is indexed.
    pub id: String,
    /// Its path, with replacement characters where the name is not UTF-8.
    pub path: String,
    /// How it leads to the file.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub kind: NameKind,
    /// Its path.
    #[serde(skip)]
    pub(crate) place: PathBuf,
}

/// A video that is indexed under several names, of which removing one gains nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct LinkedVideo {
    /// The id that stands for it.
    pub id: String,
    /// The other names.
    pub names: Vec<OtherName>,
}

/// The file of a video, as it is now.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[non_exhaustive]
pub struct CopyFile {
    /// Its path, with replacement characters where the name is not UTF-8.
    pub path: String,
    /// Whether it is still where it was when it was indexed.
    pub exists: bool,
    /// What became of it.
    pub state: FileState,
    /// What could not be read of it when it was indexed, or why it cannot be opened now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<String>"))]
    pub damage: Option<FileDamage>,
    /// Whether the path is a symbolic link to a file that has no other name in the index.
    pub is_link: bool,
    /// Whether it lies in a recycle bin or another folder of a system.
    pub in_bin: bool,
    /// Whether it lies in a folder that is protected.
    pub protected: bool,
    /// Its length in seconds.
    pub duration: f64,
    /// Width of its pictures in pixels, 0 if unknown.
    pub width: u32,
    /// Height of its pictures in pixels, 0 if unknown.
    pub height: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// FFmpeg's name of its codec.
    pub codec: Option<String>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// Bits a second of the whole file.
    pub bitrate: Option<u64>,
    /// Other names of the file in the index.
    pub names: Vec<OtherName>,
    /// When it was changed, in nanoseconds from 1970.
    #[serde(skip)]
    pub(crate) modified: Option<i64>,
    /// Its path.
    #[serde(skip)]
    pub(crate) place: PathBuf,
    /// How the index describes it.
    #[serde(skip)]
    pub(crate) source: Source,
}

/// The files of all videos of a table.
pub(super) struct FileBook<'a> {
    summaries: &'a HashMap<String, Summary>,
    table: &'a Table,
    reference: Vec<VideoSet>,
    files: Vec<KnownFile>,
    /// The other names of videos, by the places of those that stand for them.
    names: HashMap<usize, Vec<OtherName>>,
}

struct KnownFile {
    path: PathBuf,
    /// As it is now; `None` if it is gone.
    facts: Option<FileFacts>,
    /// Whether its size and time are those of the index.
    unchanged: bool,
    /// The place of the video that stands for all names of the file: its own, if it is that one.
    stands: usize,
}

impl CopyFile {
    /// Returns whether it is fit to be kept while its copies go: there and unchanged, whole and not damaged, no link and in
    /// no bin; or a video without a file.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        match self.state {
            FileState::None => true,
            state => state == FileState::Present && self.damage.is_none() && !self.is_link && !self.in_bin,
        }
    }
}

impl<'a> FileBook<'a> {
    /// Looks all files up.
    pub(super) fn new(table: &'a Table, summaries: &'a HashMap<String, Summary>, reference: Vec<VideoSet>) -> Self {
        let known = |(video, id): (usize, &String)| {
            let source = summaries.get(id).map(|summary| &summary.source);
            let path = source.map_or_else(PathBuf::new, |source| path_of(&source.path));
            let facts = FileFacts::of(&path).ok().filter(|facts| facts.is_file);
            let is_same = |source: &Source, facts: &FileFacts| {
                source.modified.is_none() || (source.size, source.modified) == (facts.size, facts.modified)
            };
            let unchanged = source.zip(facts.as_ref()).is_some_and(|(source, facts)| is_same(source, facts));
            KnownFile { path, facts, unchanged, stands: video }
        };
        let files = table.ids().iter().enumerate().map(known).collect();
        let mut book = Self { summaries, table, reference, files, names: HashMap::new() };
        book.join_names();
        book
    }

    /// Chooses for each file with several names the one that stands for it: as indexed, no link, in no bin, reached through
    /// no link; then the first.
    fn join_names(&mut self) {
        let mut by_identity: HashMap<&FileIdentity, Vec<usize>> = HashMap::new();
        for (video, file) in self.files.iter().enumerate() {
            if let Some(facts) = &file.facts {
                by_identity.entry(&facts.identity).or_default().push(video);
            }
        }
        let several: Vec<Vec<usize>> = by_identity.into_values().filter(|videos| videos.len() > 1).collect();
        for videos in several {
            let rank = |video: &usize| {
                let KnownFile { path, facts, unchanged, .. } = &self.files[*video];
                let is_link = facts.as_ref().is_some_and(|facts| facts.is_link);
                let is_direct = path.canonicalize().is_ok_and(|real| real == *path);
                (!unchanged, is_link, in_bin(path), !is_direct, self.table.id(*video))
            };
            let Some(first) = videos.iter().copied().min_by_key(rank) else { continue };
            let others = videos.into_iter().filter(|&video| video != first);
            let mut names: Vec<(usize, OtherName)> =
                others.map(|video| (video, self.other_name(first, video))).collect();
            names.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
            for (video, _) in &names {
                self.files[*video].stands = first;
            }
            self.names.insert(first, names.into_iter().map(|(_, name)| name).collect());
        }
    }

    fn other_name(&self, first: usize, video: usize) -> OtherName {
        let KnownFile { path, facts, .. } = &self.files[video];
        let kind = match facts {
            Some(facts) if facts.is_link => NameKind::SymbolicLink,
            Some(facts) if facts.hard_links == 1 || is_same_entry(&self.files[first].path, path) => {
                NameKind::SecondPath
            }
            _ => NameKind::HardLink,
        };
        let id = self.table.id(video).to_owned();
        OtherName { id, path: path.to_string_lossy().into_owned(), kind, place: path.clone() }
    }

    /// Returns the video that stands for the file of a video.
    pub(super) fn stands_for(&self, video: usize) -> usize {
        self.files[video].stands
    }

    /// Returns whether any name of a video's file is in a set.
    pub(super) fn is_in(&self, video: usize, set: &VideoSet) -> bool {
        let names = self.names.get(&video);
        set.has(self.table.id(video), &self.files[video].path)
            || names.into_iter().flatten().any(|name| set.has(&name.id, &name.place))
    }

    /// Returns the videos with several names, in the order of their ids.
    pub(super) fn linked(&self) -> Vec<LinkedVideo> {
        let of = |(video, names): (&usize, &Vec<OtherName>)| LinkedVideo {
            id: self.table.id(*video).to_owned(),
            names: names.clone(),
        };
        let mut linked: Vec<LinkedVideo> = self.names.iter().map(of).collect();
        linked.sort_by(|a, b| a.id.cmp(&b.id));
        linked
    }

    /// Describes the file of a video, which is opened; `None` for one that was removed from the index meanwhile.
    pub(super) fn describe(&self, video: usize) -> Option<CopyFile> {
        let summary = self.summaries.get(self.table.id(video))?;
        let KnownFile { path, facts, unchanged, .. } = &self.files[video];
        let Source { size, modified, ref damage, picture, .. } = summary.source;
        let (mut picture, mut damage) = (picture, FileDamage::of_text(damage));
        let mut state = match facts {
            None if path.as_os_str().is_empty() => FileState::None,
            None => FileState::Gone,
            Some(_) if *unchanged => FileState::Present,
            Some(_) => FileState::Changed,
        };
        let mut info = None;
        if facts.is_some() {
            match vidsieve_video::probe(path) {
                Ok(found) => info = Some(found),
                // Without the program nothing is known of the file.
                Err(vidsieve_video::Error::FfmpegMissing { .. }) => {}
                Err(error) => {
                    state = FileState::Unreadable;
                    damage = Some(FileDamage { is_partial: true, expected: None, detail: error.to_string() });
                }
            }
        }
        if let Some(info) = info.as_ref().filter(|_| picture == [0, 0]) {
            picture = [info.display_width, info.display_height];
        }
        Some(CopyFile {
            path: summary.source.display(),
            exists: facts.is_some(),
            state,
            damage,
            is_link: facts.as_ref().is_some_and(|facts| facts.is_link),
            in_bin: in_bin(path),
            protected: self.reference.iter().any(|set| self.is_in(video, set)),
            duration: summary.duration,
            width: picture[0],
            height: picture[1],
            bytes: size,
            codec: info.as_ref().map(|info| info.codec.clone()),
            frame_rate: info.as_ref().and_then(|info| info.average_rate).map(|rate| rate.value()),
            bitrate: bitrate(size, summary.duration),
            names: self.names.get(&video).cloned().unwrap_or_default(),
            modified,
            place: path.clone(),
            source: summary.source.clone(),
        })
    }
}

/// Bits a second; `None` of a file or length that is not known.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn bitrate(bytes: u64, seconds: f64) -> Option<u64> {
    (bytes > 0 && seconds > 0.0).then(|| (bytes as f64 * 8.0 / seconds) as u64)
}
