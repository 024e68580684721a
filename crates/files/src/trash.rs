//! The trash of the desktop, by the specification of freedesktop.org.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Characters of a path that are encoded in the description of a file.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A place in a trash for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashPlace {
    /// Where the file goes.
    pub file: PathBuf,
    /// The description that goes beside it, with its old path; none on systems without one.
    pub info: Option<PathBuf>,
    /// The path that the description names.
    path: PathBuf,
}

/// Chooses a place for a file in the trash of its disk; only the folders of the trash are made.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] where the disk has no trash and none can be made; the system's error.
pub fn choose_trash_place(file: &Path) -> io::Result<TrashPlace> {
    let Trash { folder, top } = find_trash(file)?;
    let (files, infos) =
        if cfg!(target_os = "macos") { (folder, None) } else { (folder.join("files"), Some(folder.join("info"))) };
    for made in [Some(&files), infos.as_ref()].into_iter().flatten() {
        make_private(made)?;
    }
    let path = top.and_then(|top| file.strip_prefix(top).ok()).unwrap_or(file).to_owned();
    let stem = file.file_stem().unwrap_or_default();
    for copy in 1..10_000u32 {
        let mut name = stem.to_owned();
        if copy > 1 {
            name.push(format!(".{copy}"));
        }
        if let Some(extension) = file.extension() {
            name.push(".");
            name.push(extension);
        }
        let info = infos.as_ref().map(|infos| {
            let mut description = name.clone();
            description.push(".trashinfo");
            infos.join(description)
        });
        let place = TrashPlace { file: files.join(&name), info, path: path.clone() };
        let is_taken = |path: &Path| path.symlink_metadata().is_ok();
        if !is_taken(&place.file) && !place.info.as_deref().is_some_and(is_taken) {
            return Ok(place);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "the trash is full of files of this name"))
}

impl TrashPlace {
    /// Writes the description, which takes the name in the trash.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name was taken meanwhile; the system's error.
    pub fn describe(&self) -> io::Result<()> {
        let Some(info) = &self.info else { return Ok(()) };
        let path = percent_encode(self.path.as_os_str().as_encoded_bytes(), PATH);
        let text = format!("[Trash Info]\nPath={path}\nDeletionDate={}\n", date(SystemTime::now()));
        let mut file = OpenOptions::new().write(true).create_new(true).open(info)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

struct Trash {
    folder: PathBuf,
    /// The folder that paths are relative to.
    top: Option<PathBuf>,
}

#[cfg(unix)]
fn find_trash(file: &Path) -> io::Result<Trash> {
    use std::os::unix::fs::MetadataExt;

    let folder = file.parent().unwrap_or(Path::new("/")).canonicalize()?;
    let device = fs::metadata(&folder)?.dev();
    let is_here = |path: &Path| {
        let existing = path.ancestors().find_map(|folder| fs::metadata(folder).ok());
        existing.is_some_and(|meta| meta.dev() == device)
    };
    if let Some(home) = home_trash().filter(|home| is_here(home)) {
        return Ok(Trash { folder: home, top: None });
    }
    let top = folder.ancestors().take_while(|folder| fs::metadata(folder).is_ok_and(|m| m.dev() == device)).last();
    let top = top.unwrap_or(&folder).to_owned();
    let user = user()?;
    let unsupported = |source: io::Error| {
        let text = format!("the disk of {} has no trash and none can be made there ({source})", file.display());
        io::Error::new(io::ErrorKind::Unsupported, text)
    };
    if cfg!(target_os = "macos") {
        let folder = top.join(".Trashes").join(user.to_string());
        make_private(&folder).map_err(unsupported)?;
        return Ok(Trash { folder, top: None });
    }
    // A folder for all users must be one that only the owner of a file can take it out of, and no link.
    let shared = top.join(".Trash");
    let is_safe = fs::symlink_metadata(&shared).is_ok_and(|meta| meta.is_dir() && meta.mode() & 0o1000 != 0);
    if is_safe {
        let folder = shared.join(user.to_string());
        if make_private(&folder).is_ok() {
            return Ok(Trash { folder, top: Some(top) });
        }
    }
    let folder = top.join(format!(".Trash-{user}"));
    make_private(&folder).map_err(unsupported)?;
    Ok(Trash { folder, top: Some(top) })
}

#[cfg(not(unix))]
fn find_trash(_: &Path) -> io::Result<Trash> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the trash of this system cannot be used: move files to a folder"))
}

#[cfg(unix)]
fn home_trash() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(target_os = "macos") {
        return Some(of("HOME")?.join(".Trash"));
    }
    let data = of("XDG_DATA_HOME").or_else(|| Some(of("HOME")?.join(".local/share")))?;
    Some(data.join("Trash"))
}

/// The number of the user that this process runs as.
#[cfg(unix)]
fn user() -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt;
    let of = |path: &Path| fs::metadata(path).map(|meta| meta.uid());
    let home = || std::env::var_os("HOME").ok_or_else(|| io::Error::other("HOME is not set"));
    of(Path::new("/proc/self")).or_else(|_| of(Path::new(&home()?)))
}

/// Makes a folder for its owner alone, with those above it; one that exists is left as it is, a link is refused.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    if fs::symlink_metadata(folder)?.is_dir() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} is a link", folder.display())))
}

/// A time as `2026-11-30T21:05:09`, in UTC.
fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that a leap day is the last one; eras have 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        let at = |seconds: u64| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00");
        assert_eq!(at(1_796_072_709), "2026-11-30T21:05:09");
    }

    #[cfg(unix)]
    #[test]
    fn folders_are_private_and_no_links() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("a/b");
        make_private(&made).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        std::os::unix::fs::symlink(&made, folder.path().join("link")).unwrap();
        assert!(make_private(&folder.path().join("link")).is_err());
    }
}
