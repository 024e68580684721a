//! Why an index cannot be used.

use std::path::{Path, PathBuf};

use vidsieve_record::id::MAX_ID;
use vidsieve_record::{BundleId, RecordError};

use super::holder::IndexHolder;
use super::{FILE, VERSION};

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The folder holds no index.
    #[error("{}: there is no index here; `vidsieve index --index {} VIDEOS` makes one", .0.display(), .0.display())]
    NotAnIndex(PathBuf),
    /// Written by a later version of this program.
    #[error("{}: an index of version {found}, this Vidsieve knows {VERSION}: use a newer Vidsieve", path.display())]
    FutureVersion {
        /// The folder.
        path: PathBuf,
        /// The index's version.
        found: u32,
    },
    /// Written by an earlier version of this program, whose records lack what this one needs.
    #[error(
        "{}: an index of version {found}, this Vidsieve reads {VERSION}: remove the folder, or choose another one, and index \
         the videos again (`vidsieve index --index {} VIDEOS`)",
        path.display(),
        path.display()
    )]
    PastVersion {
        /// The folder.
        path: PathBuf,
        /// The index's version.
        found: u32,
    },
    /// Made by another bundle.
    #[error(
        "{}: made by bundle {}, not {}: use that bundle, or another folder for a new index",
        path.display(),
        found.short(),
        expected.short()
    )]
    Bundle {
        /// The folder.
        path: PathBuf,
        /// The bundle asked for.
        expected: BundleId,
        /// The index's.
        found: BundleId,
    },
    /// Another process writes it, or reads it on a file system without shared locks.
    #[error("{}: {}", path.display(), locked(holder.as_ref()))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that writes it; `None` if it is not known.
        holder: Option<IndexHolder>,
    },
    /// Other processes read it.
    #[error("{}: another process reads this index: end it (a server with `--read-only`, say) and try again", .0.display())]
    InUse(PathBuf),
    /// The folder of a copy is taken.
    #[error("{}: there is something already: name a folder that does not exist", .0.display())]
    Exists(PathBuf),
    /// What is kept of one video is damaged.
    #[error(
        "{}: {id:?}: {detail}: `vidsieve remove --index {} ID` takes it out, `vidsieve index` adds it again from its file",
        path.display(),
        path.display()
    )]
    Video {
        /// The folder.
        path: PathBuf,
        /// The video.
        id: String,
        /// What is wrong.
        detail: String,
    },
    /// It was opened for reading.
    #[error("{}: this index was opened for reading", .0.display())]
    ReadOnly(PathBuf),
    /// The database is damaged.
    #[error(
        "{}: the index is damaged: {detail}: `vidsieve verify --index {}` says which videos, `vidsieve backup` saves the others",
        path.display(),
        path.display()
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The disk or the file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system failed while the index was open, so that it must be opened again: the next access does. What was
    /// written before is there.
    #[error("{}: the system failed while the index was open; it is opened again, try again in a moment", .0.display())]
    Interrupted(PathBuf),
    /// An id that cannot be used.
    #[error("{0:?} is no id: 1 to {MAX_ID} bytes without control characters")]
    Id(String),
    /// A video whose record is missing.
    #[error("{0}: its record is missing in the index: index the video again")]
    Lost(String),
    /// A record that does not belong here.
    #[error("{id}: {source}")]
    Record {
        /// The video.
        id: String,
        /// Why.
        source: RecordError,
    },
}

impl IndexError {
    /// Whether the disk, or the share of it that may be used, is full: a later write may succeed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

/// Says who holds an index and what to do.
fn locked(holder: Option<&IndexHolder>) -> String {
    match holder {
        None => {
            "another process has this index open to write, or reads it where files cannot be shared: wait until it is \
                 done; `list`, `search`, `dedupe`, `verify`, `push` and `serve --read-only` work meanwhile"
                .to_owned()
        }
        Some(holder) => format!(
            "another process writes this index: {holder}: wait until it is done or end it{}; `list`, `search`, `dedupe`, \
             `verify`, `push` and `serve --read-only` work meanwhile",
            if holder.is_server() { ", or add and remove videos over its HTTP API" } else { "" }
        ),
    }
}

pub(super) fn database_error(folder: &Path, error: redb::DatabaseError) -> IndexError {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => {
            IndexError::Locked { path: folder.to_owned(), holder: IndexHolder::of(folder) }
        }
        error => storage_error(folder, error.into()),
    }
}

pub(super) fn storage_error(folder: &Path, error: redb::Error) -> IndexError {
    match error {
        // redb reports foreign and truncated files by these kinds.
        redb::Error::Io(source)
            if matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
        {
            IndexError::Damaged { path: folder.to_owned(), detail: source.to_string() }
        }
        redb::Error::Io(source) => IndexError::Io { path: folder.join(FILE), source },
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => IndexError::Interrupted(folder.to_owned()),
        error => IndexError::Damaged { path: folder.to_owned(), detail: error.to_string() },
    }
}
