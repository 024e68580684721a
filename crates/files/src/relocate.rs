//! Moving and linking files so that nothing is replaced and nothing is lost, whenever the process ends.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::identity::FileIdentity;
use crate::whole::whole_hash;

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Flushes the names of a path's folder to the disk.
///
/// # Errors
/// The system's error.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder_of(path))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// The temporary name, beside a path, of a file with these content and purpose. It is the same in every run, so that what an
/// interrupted one left behind is found.
fn temporary(path: &Path, purpose: &str, hash: &[u8; 32]) -> PathBuf {
    let hex: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    folder_of(path).join(format!(".vidsieve-{purpose}-{hex}"))
}

fn changed(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{} was changed meanwhile", path.display()))
}

/// Moves a file with content of this hash to a name that no file has. On another file system it is copied, flushed to the
/// disk and read back before the original is removed. Until then the file has its old name or both.
///
/// An interrupted call may leave an empty file at the new name, or a temporary file beside it: [`clear_leftovers`]
/// removes both.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if the new name is taken; [`ErrorKind::InvalidData`] if a file that must be copied has other
/// content; the system's error. The file then has its old name.
pub fn move_file(from: &Path, to: &Path, hash: &[u8; 32]) -> io::Result<()> {
    // The empty file takes the name, so that no other program's file can be replaced.
    OpenOptions::new().write(true).create_new(true).open(to)?;
    let moved = match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => copy_over(from, to, hash),
        outcome => outcome,
    };
    if let Err(error) = moved {
        if fs::metadata(to).is_ok_and(|meta| meta.len() == 0) && from.exists() {
            let _ = fs::remove_file(to);
        }
        return Err(error);
    }
    sync_folder_of(to)?;
    if from.symlink_metadata().is_ok() {
        // Both names have the content. The copy on the disk is read before the original goes.
        if whole_hash(to)? != *hash || whole_hash(from)? != *hash {
            return Err(changed(from));
        }
        fs::remove_file(from)?;
    }
    sync_folder_of(from)
}

/// Copies a file with content of this hash over another one, which is replaced whole or not at all.
fn copy_over(from: &Path, to: &Path, hash: &[u8; 32]) -> io::Result<()> {
    let part = temporary(to, "part", hash);
    let copied = copy_to(from, &part, hash, None).and_then(|()| fs::rename(&part, to));
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied
}

/// Copies content, time and permissions to a new file, which is flushed to the disk; `modified` takes the place of the time.
fn copy_to(from: &Path, to: &Path, hash: &[u8; 32], modified: Option<SystemTime>) -> io::Result<()> {
    let mut source = File::open(from)?;
    let meta = source.metadata()?;
    let _ = fs::remove_file(to);
    let mut copy = OpenOptions::new().write(true).create_new(true).open(to)?;
    let (mut hasher, mut piece) = (blake3::Hasher::new(), vec![0; PIECE]);
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&piece[..read]);
        copy.write_all(&piece[..read])?;
    }
    if hasher.finalize().as_bytes() != hash {
        return Err(changed(from));
    }
    if let Some(modified) = modified.or_else(|| meta.modified().ok()) {
        copy.set_times(FileTimes::new().set_modified(modified))?;
    }
    // The owner is kept where this is allowed.
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let _ = std::os::unix::fs::fchown(&copy, Some(meta.uid()), Some(meta.gid()));
    }
    copy.set_permissions(meta.permissions())?;
    copy.sync_all()
}

/// Removes what an interrupted [`move_file`] to a name left there: an empty file where the content is not empty, and a
/// temporary file.
///
/// # Errors
/// The system's error.
pub fn clear_leftovers(to: &Path, size: u64, hash: &[u8; 32]) -> io::Result<()> {
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    remove(&temporary(to, "part", hash))?;
    let is_reserved = size > 0 && to.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() == 0);
    if is_reserved { remove(to) } else { Ok(()) }
}

/// Replaces a file by a hard link to another one: whole or not at all. Both must have the same content; the caller has
/// checked that.
///
/// # Errors
/// [`ErrorKind::CrossesDevices`] for files of two file systems; the system's error. The file is then as it was.
pub fn replace_by_link(path: &Path, kept: &Path, hash: &[u8; 32]) -> io::Result<()> {
    let link = temporary(path, "link", hash);
    clear_link(path, kept, hash)?;
    fs::hard_link(kept, &link)?;
    if let Err(error) = fs::rename(&link, path) {
        let _ = fs::remove_file(&link);
        return Err(error);
    }
    sync_folder_of(path)
}

/// Removes the second name of `kept` that an interrupted [`replace_by_link`] left beside a path.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if another file has that name; the system's error.
pub fn clear_link(path: &Path, kept: &Path, hash: &[u8; 32]) -> io::Result<()> {
    let link = temporary(path, "link", hash);
    match FileIdentity::of(&link) {
        Ok(identity) if FileIdentity::of(kept).is_ok_and(|kept| kept == identity) => fs::remove_file(&link),
        Ok(_) => Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} is in the way", link.display()))),
        Err(_) => Ok(()),
    }
}

/// Gives a path a file of its own with the content of another one, which has this hash: it takes the place of what has the
/// name, whole or not at all.
///
/// # Errors
/// [`ErrorKind::InvalidData`] if the content is another one; the system's error. The path is then as it was.
pub fn replace_by_copy(path: &Path, content: &Path, hash: &[u8; 32], modified: Option<i64>) -> io::Result<()> {
    let part = temporary(path, "part", hash);
    let copied = copy_to(content, &part, hash, modified.and_then(time_of)).and_then(|()| fs::rename(&part, path));
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied?;
    sync_folder_of(path)
}

/// The time of nanoseconds from 1970.
fn time_of(nanoseconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::FileFacts;

    fn hash(bytes: &[u8]) -> [u8; 32] {
        *blake3::hash(bytes).as_bytes()
    }

    #[test]
    fn nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        assert_eq!(move_file(&a, &b, &hash(b"a")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&a).unwrap(), fs::read(&b).unwrap()), (b"a".to_vec(), b"b".to_vec()));
        let c = folder.path().join("c");
        assert!(move_file(&folder.path().join("none"), &c, &hash(b"")).is_err());
        // The name that was taken for a file that is not there stays empty, and is cleared.
        clear_leftovers(&c, 1, &hash(b"")).unwrap();
        assert!(!c.exists());
        move_file(&a, &c, &hash(b"a")).unwrap();
        assert!(!a.exists() && fs::read(&c).unwrap() == b"a");
        // A file of that size is no leftover.
        clear_leftovers(&c, 1, &hash(b"a")).unwrap();
        assert!(c.exists());
    }

    #[test]
    fn copies_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&a, "content").unwrap();
        fs::write(&b, "").unwrap();
        assert_eq!(copy_over(&a, &b, &hash(b"other")).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(fs::read(&b).unwrap(), b"");
        copy_over(&a, &b, &hash(b"content")).unwrap();
        assert_eq!(fs::read(&b).unwrap(), b"content");
        let modified = |path: &Path| FileFacts::of(path).unwrap().modified;
        assert_eq!(modified(&a), modified(&b));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&a, "same").unwrap();
        fs::write(&b, "same").unwrap();
        let before = FileFacts::of(&b).unwrap();
        let same = hash(b"same");
        replace_by_link(&b, &a, &same).unwrap();
        assert_eq!(FileIdentity::of(&a).unwrap(), FileIdentity::of(&b).unwrap());
        // What an interrupted call left behind does not disturb the next one.
        fs::hard_link(&a, temporary(&b, "link", &same)).unwrap();
        replace_by_copy(&b, &a, &same, before.modified).unwrap();
        assert_ne!(FileIdentity::of(&a).unwrap(), FileIdentity::of(&b).unwrap());
        assert_eq!(FileFacts::of(&b).unwrap().modified, before.modified);
        replace_by_link(&b, &a, &same).unwrap();
        fs::write(temporary(&b, "link", &same), "mine").unwrap();
        assert_eq!(replace_by_link(&b, &a, &same).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(replace_by_copy(&b, &a, &hash(b"x"), None).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(fs::read(&b).unwrap(), b"same");
        assert_eq!(time_of(-5).and_then(crate::identity::nanoseconds), Some(-5));
    }
}
