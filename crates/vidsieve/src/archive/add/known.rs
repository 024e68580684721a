//! The index when videos are added: which file has which id.

use std::collections::{BTreeSet, HashMap};
use std::fs::Metadata;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use vidsieve_files::VideoFile;
use vidsieve_index::store::{Failure, Index, IndexError, Source};
use vidsieve_record::id::is_id;

use crate::archive::path_of;

/// The index and earlier failures when the operation begins.
pub(super) struct Known {
    sources: HashMap<String, Source>,
    by_hash: HashMap<[u8; 32], Vec<String>>,
    by_size: HashMap<u64, Vec<String>>,
    pub(super) failures: HashMap<Vec<u8>, Failure>,
    /// Ids that files of this operation have, with their paths.
    taken: Mutex<HashMap<String, Vec<u8>>>,
    /// Ids that a moved file has taken over.
    claimed: Mutex<BTreeSet<String>>,
}

/// What the index has under the id of a file.
pub(super) enum Settled<'a> {
    /// Nothing.
    New,
    /// The same bytes, from this file or one that is gone.
    Same(&'a Source),
    /// Other bytes of this very file.
    Changed,
    /// Other videos under every id that the file could have.
    Taken,
}

impl Known {
    pub(super) fn new(index: &Index, files: &[VideoFile]) -> Result<Self, IndexError> {
        let (mut by_hash, mut by_size) = (HashMap::<_, Vec<String>>::new(), HashMap::<_, Vec<String>>::new());
        let mut sources = HashMap::new();
        for summary in index.list()? {
            by_size.entry(summary.source.size).or_default().push(summary.id.clone());
            if let Some(hash) = summary.source.hash {
                by_hash.entry(hash).or_default().push(summary.id.clone());
            }
            sources.insert(summary.id, summary.source);
        }
        let path = |file: &VideoFile| file.path.as_os_str().as_encoded_bytes().to_vec();
        let taken = files.iter().map(|file| (file.id.clone(), path(file))).collect();
        Ok(Self {
            sources,
            by_hash,
            by_size,
            failures: index.failures()?,
            taken: Mutex::new(taken),
            claimed: Mutex::default(),
        })
    }

    /// Returns the source of a video.
    pub(super) fn source(&self, id: &str) -> Option<&Source> {
        self.sources.get(id)
    }

    /// Whether the file is that of an indexed video by another path, through a link to a folder or a second mount.
    pub(super) fn is_other_path(&self, file: &VideoFile, source: &Source) -> bool {
        let same = |ids: &[String]| {
            ids.iter().any(|id| {
                let old = self.source(id);
                old.is_some_and(|old| old.modified == source.modified && is_same_by_mount(old, file))
            })
        };
        self.by_size.get(&source.size).is_some_and(|ids| same(ids))
    }

    /// Returns the ids of videos of the same bytes.
    pub(super) fn same_bytes(&self, source: &Source) -> &[String] {
        source.hash.and_then(|hash| self.by_hash.get(&hash)).map_or(&[], Vec::as_slice)
    }

    /// Takes an id over; returns `false` if another file has done so.
    pub(super) fn claim(&self, id: &str) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }

    /// Returns the id under which the very path is indexed, if it is one that the file can have. A file keeps it, so that a
    /// part of a folder can be indexed again, and files of one name together as well as alone.
    pub(super) fn id_by_path(&self, file: &VideoFile) -> Option<String> {
        let path = file.path.as_os_str().as_encoded_bytes();
        let is_own = |id: &String| self.sources.get(id).is_some_and(|old| old.path == path);
        if is_own(&file.id) {
            return None;
        }
        file.all_ids().find(is_own)
    }

    /// Looks a file up under its id. While that is another video's, it gets a longer one, with more of the folders that
    /// it is in.
    pub(super) fn settle(&self, file: &mut VideoFile, source: &Source) -> Settled<'_> {
        let mut longer = file.longer_ids();
        loop {
            match self.sources.get(&file.id) {
                None if self.take(file) => return Settled::New,
                None => {}
                Some(old) if old.path == source.path && same_bytes(old, source) => return Settled::Same(old),
                Some(old) if old.path == source.path => return Settled::Changed,
                Some(old) if same_bytes(old, source) && !is_present(old, file) && self.take(file) => {
                    return Settled::Same(old);
                }
                Some(_) => {}
            }
            match longer.next() {
                Some(id) if is_id(&id) => file.id = id,
                _ => return Settled::Taken,
            }
        }
    }

    /// Takes an id for a file; returns `false` if another file of this operation has it.
    fn take(&self, file: &VideoFile) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let path = file.path.as_os_str().as_encoded_bytes();
        taken.entry(file.id.clone()).or_insert_with(|| path.to_vec()) == path
    }
}

fn same_bytes(a: &Source, b: &Source) -> bool {
    a.hash.is_some() && (a.size, a.hash) == (b.size, b.hash)
}

/// Whether the path of a source still leads to a file, and is another path than that of `file`.
pub(super) fn is_present(old: &Source, file: &VideoFile) -> bool {
    let path = path_of(&old.path);
    path != file.path && path.exists() && !is_renamed_in_case(&path, &file.path)
}

/// Whether two paths lead to one file of a file system that does not tell upper from lower case.
fn is_renamed_in_case(a: &Path, b: &Path) -> bool {
    let lower = |path: &Path| path.to_string_lossy().to_lowercase();
    lower(a) == lower(b) && is_same_path(a, b)
}

fn is_same_path(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether a path leads to the file of a source through a link to a folder or a second mount: then it is no other file and no
/// name of its own, as a link to the file is.
pub(super) fn is_same_by_mount(old: &Source, file: &VideoFile) -> bool {
    let (old, new) = (path_of(&old.path), &file.path);
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
    if old == *new || is_link(&old) || is_link(new) || is_renamed_in_case(&old, new) {
        return false;
    }
    is_same_path(&old, new) || matches!((old.metadata(), new.metadata()), (Ok(a), Ok(b)) if is_one_file(&a, &b))
}

/// By its number on its device, where it has no other links. A share that is mounted twice may be two devices: then times and
/// size decide as well.
#[cfg(unix)]
fn is_one_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let written = |meta: &Metadata| (meta.size(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
    a.ino() == b.ino() && a.nlink() == 1 && (a.dev() == b.dev() || written(a) == written(b))
}

#[cfg(not(unix))]
fn is_one_file(_: &Metadata, _: &Metadata) -> bool {
    false
}
