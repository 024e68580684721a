//! The videos that a command line names, and the ids they get.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::kinds::{extension, is_video};

/// Why files could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// A path that does not exist or cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Two different files whose ids would be the same.
    #[error(
        "{} and {} would both have the id {id:?}: give the folder that holds both, or index them into different indexes",
        first.display(),
        second.display()
    )]
    SameId {
        /// The id.
        id: String,
        /// A file.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
}

/// A video file and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFile {
    /// Its name in an index: the path below the folder that was given, or the name of the file.
    pub id: String,
    /// Its absolute path.
    pub path: PathBuf,
}

/// The result of [`find_videos`].
#[derive(Debug, Default)]
pub struct FoundVideos {
    /// Files in the order of their ids.
    pub files: Vec<VideoFile>,
    /// Folders and files that could not be read, with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// Finds the files of `paths`: of folders the videos in them and below, of files these themselves. Links to folders are not
/// followed, and names that begin with a dot are skipped.
///
/// # Errors
/// [`FindError::Io`] for a path that cannot be read, [`FindError::SameId`] for a file and a folder that would give two files
/// one id.
pub fn find_videos<P: AsRef<Path>>(paths: &[P]) -> Result<FoundVideos, FindError> {
    let mut found = FoundVideos::default();
    let mut files = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let refuse = |source: io::Error| FindError::Io { path: path.to_owned(), source };
        let absolute = std::path::absolute(path).map_err(refuse)?;
        if std::fs::metadata(path).map_err(refuse)?.is_dir() {
            walk(&absolute, &mut files, &mut found.unreadable);
        } else {
            let name = absolute.file_name().unwrap_or(absolute.as_os_str());
            files.push(VideoFile { id: escape_name(name), path: absolute });
        }
    }
    let mut by_id: BTreeMap<String, PathBuf> = BTreeMap::new();
    for VideoFile { id, path } in files {
        match by_id.get(&id) {
            Some(other) if same_file(other, &path) => {}
            Some(other) => return Err(FindError::SameId { id, first: other.clone(), second: path }),
            None => {
                by_id.insert(id, path);
            }
        }
    }
    found.files = by_id.into_iter().map(|(id, path)| VideoFile { id, path }).collect();
    Ok(found)
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn walk(folder: &Path, to: &mut Vec<VideoFile>, unreadable: &mut Vec<(PathBuf, String)>) {
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| !is_hidden(entry)) {
        match entry {
            Ok(entry) => {
                let path = entry.path();
                // A link to a file is taken: what it leads to decides.
                let is_file = !entry.file_type().is_dir() && std::fs::metadata(path).is_ok_and(|m| m.is_file());
                if is_file && is_video(path) {
                    let below = path.strip_prefix(folder).unwrap_or(path);
                    let names: Vec<String> = below.components().map(|part| escape_name(part.as_os_str())).collect();
                    to.push(VideoFile { id: names.join("/"), path: path.to_owned() });
                }
            }
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                unreadable.push((path, reason));
            }
        }
    }
}

/// Finds the files below a folder that have one of the extensions (lower case), sorted by their path.
///
/// # Errors
/// [`FindError::Io`] for a folder that cannot be read.
pub fn files_with_extensions(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, FindError> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder) {
        let entry = entry
            .map_err(|error| FindError::Io { path: error.path().unwrap_or(folder).to_owned(), source: error.into() })?;
        let taken = extension(entry.path()).is_some_and(|e| extensions.contains(&e.as_str()));
        if taken && !entry.file_type().is_dir() {
            found.push(entry.into_path());
        }
    }
    found.sort();
    Ok(found)
}

/// Returns a file's name as part of an id: bytes that are not UTF-8 and control characters as `%XX`, and `%` where it could
/// be taken for such a byte. Different names stay different.
#[must_use]
pub fn escape_name(name: &OsStr) -> String {
    let bytes = name.as_encoded_bytes();
    let mut id = String::with_capacity(bytes.len());
    let hex = |id: &mut String, byte: u8| {
        use std::fmt::Write;
        // Writing to a string does not fail.
        let _ = write!(id, "%{byte:02X}");
    };
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        for (at, c) in valid.char_indices() {
            let rest = &valid.as_bytes()[at + 1..];
            let code = c == '%' && rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit);
            if c.is_control() || code {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| hex(&mut id, b));
            } else {
                id.push(c);
            }
        }
        chunk.invalid().iter().for_each(|&b| hex(&mut id, b));
    }
    id
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn escapes() {
        for (name, id) in [
            ("plain name.mp4", "plain name.mp4"),
            ("100%.mp4", "100%.mp4"),
            ("a%0Ab", "a%250Ab"),
            ("new\nline", "new%0Aline"),
            ("Füße \u{202e}", "Füße \u{202e}"),
            ("c1 \u{85}", "c1 %C2%85"),
        ] {
            assert_eq!(escape_name(OsStr::new(name)), id);
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            assert_eq!(escape_name(OsStr::from_bytes(b"a\xffb%ff.mp4")), "a%FFb%25ff.mp4");
            // A sequence that is cut off.
            assert_eq!(escape_name(OsStr::from_bytes(b"\xc3")), "%C3");
        }
    }

    #[test]
    fn folders_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        for (name, bytes) in [
            ("a/b/x.mp4", &b"x"[..]),
            ("a/x.mp4", b"x"),
            ("a/notes.txt", b"x"),
            ("a/.hidden.mp4", b"x"),
            ("a/program.ts", b"const a = 1;"),
            ("a/stream.ts", b"\x47\x40\x00\x10\x00\x00"),
            ("c/x.mp4", b"y"),
        ] {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let ids = |paths: &[&str]| -> Result<Vec<String>, String> {
            let paths: Vec<PathBuf> = paths.iter().map(|p| dir.join(p)).collect();
            find_videos(&paths).map(|f| f.files.into_iter().map(|i| i.id).collect()).map_err(|e| e.to_string())
        };
        assert_eq!(ids(&["a"]).unwrap(), ["b/x.mp4", "stream.ts", "x.mp4"]);
        assert_eq!(ids(&["."]).unwrap(), ["a/b/x.mp4", "a/stream.ts", "a/x.mp4", "c/x.mp4"]);
        assert_eq!(ids(&["a/notes.txt", "c/x.mp4"]).unwrap(), ["notes.txt", "x.mp4"]);
        // The same file twice is one; two files of one id are refused.
        assert_eq!(ids(&["c", "c/x.mp4"]).unwrap(), ["x.mp4"]);
        let error = ids(&["a", "c"]).unwrap_err();
        assert!(error.contains("a/x.mp4") && error.contains("c/x.mp4"), "{error}");
        assert!(ids(&["none"]).unwrap_err().contains("none"));
        // Below a folder the paths are found that have an extension, in order.
        let texts = files_with_extensions(dir, &["txt", "ts"]).unwrap();
        assert_eq!(texts, ["a/notes.txt", "a/program.ts", "a/stream.ts"].map(|name| dir.join(name)));
    }
}
