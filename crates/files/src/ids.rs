//! Ids of files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// A video file and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFile {
    /// Its name in an index: the path below the folder that was given, or the name of the file; longer where several
    /// files would have the same.
    pub id: String,
    /// Its absolute path.
    pub path: PathBuf,
    /// Components of the id before it was made longer.
    parts: usize,
}

impl VideoFile {
    /// A file that has the last `parts` components of its path, 1 or more, as id.
    pub(crate) fn with_parts(path: PathBuf, parts: usize) -> Self {
        let names = names(&path);
        let parts = parts.clamp(1, names.len().max(1));
        let id = names[names.len().saturating_sub(parts)..].join("/");
        Self { id, path, parts }
    }

    /// Returns the ids that it can have: the one that it would have alone, then those of [`VideoFile::longer_ids`].
    pub fn all_ids(&self) -> impl Iterator<Item = String> + use<> {
        let (names, parts) = (names(&self.path), self.parts);
        (parts..=names.len()).map(move |parts| names[names.len() - parts..].join("/"))
    }

    /// Returns ids that begin with more and more of the folders that the file is in, up to the whole path: which
    /// differ from those of every other file at some length.
    pub fn longer_ids(&self) -> impl Iterator<Item = String> + use<> {
        let (names, parts) = (names(&self.path), self.id.split('/').count());
        (parts + 1..=names.len()).map(move |parts| names[names.len() - parts..].join("/"))
    }
}

/// The components of a path as they are in ids.
fn names(path: &Path) -> Vec<String> {
    let plain = path.components().filter(|part| !matches!(part, Component::RootDir | Component::CurDir));
    plain.map(|part| escape_name(part.as_os_str())).collect()
}

/// Gives files whose ids are the same longer ones, until all differ. A file that is there twice is left once.
pub(crate) fn distinct(files: Vec<VideoFile>) -> Vec<VideoFile> {
    let mut by_id: HashMap<String, Vec<VideoFile>> = HashMap::new();
    let mut todo = files;
    while !todo.is_empty() {
        for file in todo.drain(..) {
            let same = by_id.entry(file.id.clone()).or_default();
            if !same.iter().any(|other| is_same_path(&other.path, &file.path)) {
                same.push(file);
            }
        }
        for same in by_id.values_mut().filter(|same| same.len() > 1) {
            // One that is as long as its path keeps its id: the paths differ.
            for file in std::mem::take(same) {
                match file.longer_ids().next() {
                    Some(id) => todo.push(VideoFile { id, ..file }),
                    None => same.push(file),
                }
            }
        }
    }
    let mut files: Vec<VideoFile> = by_id.into_values().flatten().collect();
    files.sort_by(|a, b| (&a.id, &a.path).cmp(&(&b.id, &b.path)));
    files
}

fn is_same_path(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
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
    fn ids_grow_until_they_differ() {
        let file = |path: &str, parts| VideoFile::with_parts(PathBuf::from(path), parts);
        assert_eq!(file("/card/2019/MOV001.MOD", 1).id, "MOV001.MOD");
        let longer: Vec<String> = file("/card/2019/MOV001.MOD", 1).longer_ids().collect();
        assert_eq!(longer, ["2019/MOV001.MOD", "card/2019/MOV001.MOD"]);
        assert_eq!(file("/card/2019/MOV001.MOD", 3).longer_ids().count(), 0);
        let ids = |files: &[(&str, usize)]| {
            let files = files.iter().map(|(path, parts)| file(path, *parts)).collect();
            distinct(files).into_iter().map(|file| file.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&[("/c/1/x.mp4", 1), ("/c/2/x.mp4", 1), ("/c/y.mp4", 1)]), ["1/x.mp4", "2/x.mp4", "y.mp4"]);
        // The same folders further up, and an id that is taken by another file.
        assert_eq!(ids(&[("/a/1/x.mp4", 1), ("/b/1/x.mp4", 1)]), ["a/1/x.mp4", "b/1/x.mp4"]);
        assert_eq!(
            ids(&[("/c/1/x.mp4", 1), ("/c/2/x.mp4", 1), ("/d/1/x.mp4", 2)]),
            ["2/x.mp4", "c/1/x.mp4", "d/1/x.mp4"]
        );
        // As long as the path, and the same file twice.
        assert_eq!(ids(&[("/x.mp4", 1), ("/c/x.mp4", 1)]), ["c/x.mp4", "x.mp4"]);
        assert_eq!(ids(&[("/c/x.mp4", 1), ("/c/x.mp4", 1)]), ["x.mp4"]);
    }
}
