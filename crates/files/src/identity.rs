//! Which file a path leads to.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Identity of a file: two paths with the same identity are names of one file. On Unix it is the device and the inode,
/// elsewhere the path without links.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileIdentity(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] std::path::PathBuf);

impl FileIdentity {
    /// Returns the identity of the file that a path leads to; symbolic links are followed.
    ///
    /// # Errors
    /// The system's error for a path that leads to nothing.
    pub fn of(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let meta = std::fs::metadata(path)?;
            Ok(Self((meta.dev(), meta.ino())))
        }
        #[cfg(not(unix))]
        {
            Ok(Self(path.canonicalize()?))
        }
    }

    /// Returns whether both files are on one device; always true where devices are not known.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        #[cfg(unix)]
        {
            self.0.0 == other.0.0
        }
        #[cfg(not(unix))]
        {
            self.0.components().next() == other.0.components().next()
        }
    }
}

/// A file as the file system describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Which file it is.
    pub identity: FileIdentity,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds from 1970.
    pub modified: Option<i64>,
    /// Its hard links; 1 where they are not known.
    pub hard_links: u64,
    /// Whether the path itself is a symbolic link.
    pub is_link: bool,
    /// Whether it is a plain file.
    pub is_file: bool,
}

impl FileFacts {
    /// Describes the file that a path leads to; symbolic links are followed.
    ///
    /// # Errors
    /// The system's error for a path that leads to nothing.
    pub fn of(path: &Path) -> io::Result<Self> {
        let is_link = std::fs::symlink_metadata(path)?.is_symlink();
        let meta = std::fs::metadata(path)?;
        Ok(Self {
            identity: FileIdentity::of(path)?,
            size: meta.len(),
            modified: meta.modified().ok().and_then(nanoseconds),
            hard_links: hard_links(&meta),
            is_link,
            is_file: meta.is_file(),
        })
    }

    /// Returns whether this is still the same file with the same size and time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.identity, self.size, self.modified, self.is_link, self.is_file)
            == (&other.identity, other.size, other.modified, other.is_link, other.is_file)
    }
}

fn hard_links(meta: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::nlink(meta)
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        1
    }
}

/// Returns a time in nanoseconds from 1970; `None` outside the range of three centuries around it.
#[must_use]
pub fn nanoseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|n| -n),
    }
}

/// Returns whether two paths are one entry of one folder: seen through another mount or a link to a folder above it.
#[must_use]
pub fn is_same_entry(a: &Path, b: &Path) -> bool {
    let folder = |path: &Path| path.parent().and_then(|folder| FileIdentity::of(folder).ok());
    a == b || (a.file_name() == b.file_name() && folder(a).is_some_and(|of_a| folder(b) == Some(of_a)))
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        std::fs::create_dir(of("d")).unwrap();
        std::fs::write(of("d/a"), "a").unwrap();
        std::fs::copy(of("d/a"), of("copy")).unwrap();
        std::fs::hard_link(of("d/a"), of("hard")).unwrap();
        std::os::unix::fs::symlink("d/a", of("soft")).unwrap();
        std::os::unix::fs::symlink("d", of("e")).unwrap();
        std::os::unix::fs::symlink("none", of("dead")).unwrap();
        let facts = |name: &str| FileFacts::of(&of(name)).unwrap();
        let a = facts("d/a");
        assert_eq!((a.hard_links, a.is_link, a.is_file, a.size), (2, false, true, 1));
        assert!(facts("hard").is_same(&a) && !facts("soft").is_same(&a) && facts("soft").is_link);
        assert_eq!(facts("soft").identity, a.identity);
        assert_eq!(facts("e/a").identity, a.identity);
        assert!(!facts("e/a").is_link && facts("copy").identity != a.identity);
        assert!(facts("copy").identity.is_beside(&a.identity) && !facts("d").is_file);
        assert!(FileFacts::of(&of("dead")).is_err());
        assert!(is_same_entry(&of("d/a"), &of("e/a")) && !is_same_entry(&of("d/a"), &of("hard")));
    }
}
