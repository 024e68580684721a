//! Videos whose files are gone, and files that cannot be seen at present: their drive is away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Serialize, Serializer};
use vidsieve_files::{FoundVideos, escape_name, mount_points, nanoseconds};
use vidsieve_index::store::{Source, Summary};

use super::{Archive, path_of};
use crate::Error;

/// The setting under which an index keeps the mount points that its files lie below, one a line.
const MOUNTS: &str = "mounts";

/// What became of the file of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum SourceState {
    /// It is there, with the size and time that it had.
    Present,
    /// It is there and has another size or time: adding it again encodes it.
    Changed,
    /// It is gone, and the folder that was indexed is there.
    Missing,
    /// The folder that was indexed, or the drive that it is on, is not there.
    Unreachable,
    /// The video did not come from a file.
    None,
}

impl Serialize for SourceState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

/// The result of [`Archive::remove_missing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemoveMissingReport {
    /// Ids of videos whose files are gone; they were removed.
    pub removed: Vec<String>,
    /// Folders that are not there, of which nothing was removed.
    pub unreachable: Vec<UnreachableFolder>,
    /// Videos of the index afterwards.
    pub videos: u64,
}

/// A folder that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnreachableFolder {
    /// The folder, with replacement characters where its name is not UTF-8.
    pub folder: String,
    /// Videos of the index whose files are below it.
    pub videos: usize,
    /// Why it counts as away.
    pub reason: &'static str,
}

/// The folders that an index is of.
pub(super) struct Roots {
    /// Mount points when files were added.
    mounts: Vec<PathBuf>,
    /// Those of them that are mounted now.
    mounted: BTreeSet<PathBuf>,
    /// Folders that are gone by the word of the caller.
    gone: Vec<PathBuf>,
    /// What is known of folders that were looked at.
    seen: Mutex<HashMap<PathBuf, Option<&'static str>>>,
}

impl Roots {
    pub(super) fn of(archive: &Archive) -> Result<Self, Error> {
        let mounts: Vec<PathBuf> =
            archive.index.setting(MOUNTS)?.unwrap_or_default().lines().map(PathBuf::from).collect();
        let mounted = if mounts.is_empty() { Vec::new() } else { mount_points() };
        Ok(Self { mounts, mounted: mounted.into_iter().collect(), gone: Vec::new(), seen: Mutex::default() })
    }

    /// Returns what became of a video's file.
    pub(super) fn state(&self, summary: &Summary) -> SourceState {
        let (source, path) = (&summary.source, path_of(&summary.source.path));
        match path.metadata() {
            _ if source.path.is_empty() => SourceState::None,
            Ok(meta) if meta.is_file() => {
                let modified = meta.modified().ok().and_then(nanoseconds);
                let same = (meta.len(), modified) == (source.size, source.modified);
                // A video that was added with frames of the caller has neither.
                if same
                    || *source == (Source { path: source.path.clone(), picture: source.picture, ..Source::default() })
                {
                    SourceState::Present
                } else {
                    SourceState::Changed
                }
            }
            _ => self.away(&summary.id, &path).map_or(SourceState::Missing, |_| SourceState::Unreachable),
        }
    }

    /// Returns the folder that is not there, if a file is missing for that reason.
    fn away(&self, id: &str, path: &Path) -> Option<(PathBuf, &'static str)> {
        if self.gone.iter().any(|folder| path.starts_with(folder)) {
            return None;
        }
        let mount =
            self.mounts.iter().filter(|mount| path.starts_with(mount)).max_by_key(|mount| mount.components().count());
        if let Some(mount) = mount.filter(|mount| !self.mounted.contains(*mount)) {
            return Some((mount.clone(), "it is not mounted"));
        }
        let root = root_of(id, path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = seen.entry(root.clone()).or_insert_with_key(|root| match std::fs::read_dir(root) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    None
                } else {
                    Some("it is empty")
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("it does not exist"),
            Err(_) => Some("it cannot be read"),
        });
        reason.map(|reason| (root, reason))
    }
}

/// The folder that was indexed: the path without the id.
fn root_of(id: &str, path: &Path) -> PathBuf {
    let mut root = path.to_owned();
    for part in id.rsplit('/') {
        if root.file_name().is_none_or(|name| escape_name(name) != part) {
            break;
        }
        root.pop();
    }
    // A file under an id of its own.
    if root == path {
        root.pop();
    }
    root
}

impl Archive {
    /// Removes the videos whose files are gone, all in one change. A file counts as gone if the folder that was indexed is
    /// there and not empty, and the file systems are mounted that were when it was added. Of other folders nothing is
    /// removed; they are reported. `gone`: folders below which files are gone although the folder is not there.
    ///
    /// # Errors
    /// [`Error::Index`] for an index that is open to read; nothing is removed then.
    pub fn remove_missing<P: AsRef<Path>>(&self, gone: &[P]) -> Result<RemoveMissingReport, Error> {
        let absolute = |path: &P| std::path::absolute(path).unwrap_or_else(|_| path.as_ref().to_owned());
        let roots = Roots { gone: gone.iter().map(absolute).collect(), ..Roots::of(self)? };
        let (mut missing, mut away) = (Vec::new(), BTreeMap::<_, usize>::new());
        for summary in self.index.list()? {
            match roots.state(&summary) {
                SourceState::Missing => missing.push(summary.id),
                SourceState::Unreachable => {
                    if let Some(folder) = roots.away(&summary.id, &path_of(&summary.source.path)) {
                        *away.entry(folder).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        let report = self.remove(&missing)?;
        let unreachable = away.into_iter().map(|((folder, reason), videos)| UnreachableFolder {
            folder: folder.display().to_string(),
            videos,
            reason,
        });
        Ok(RemoveMissingReport { removed: report.removed, unreachable: unreachable.collect(), videos: report.videos })
    }

    /// Keeps the mount points that files lie below, so that a drive that is away is distinguished from files that are gone.
    pub(super) fn remember_mounts(&self, found: &FoundVideos) -> Result<(), Error> {
        let points = mount_points();
        let known = self.index.setting(MOUNTS)?.unwrap_or_default();
        let mut all: BTreeSet<String> = known.lines().map(str::to_owned).collect();
        let folders: BTreeSet<&Path> = found.files.iter().filter_map(|file| file.path.parent()).collect();
        for folder in folders {
            let below = points.iter().filter(|point| folder.starts_with(point));
            let deepest = below.max_by_key(|point| point.components().count()).and_then(|point| point.to_str());
            all.extend(deepest.filter(|point| !point.contains('\n')).map(str::to_owned));
        }
        let all = all.into_iter().collect::<Vec<_>>().join("\n");
        if all != known {
            self.index.set_setting(MOUNTS, &all)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_that_was_indexed() {
        let of = |id: &str, path: &str| root_of(id, Path::new(path)).display().to_string();
        assert_eq!(of("2019/a.mp4", "/disk/videos/2019/a.mp4"), "/disk/videos");
        assert_eq!(of("a.mp4", "/disk/videos/2019/a.mp4"), "/disk/videos/2019");
        assert_eq!(of("an id of its own", "/disk/videos/a.mp4"), "/disk/videos");
        assert_eq!(of("x%0Ay.mp4", "/disk/x\ny.mp4"), "/disk");
        assert_eq!(of("b/a.mp4", "/disk/videos/a.mp4"), "/disk/videos");
    }
}
