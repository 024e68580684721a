//! The files that a command line names, and the ids they get.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::output::Failure;

/// Extensions of the files that are taken from a folder. Still images are left out; whatever is named itself is taken.
const VIDEOS: [&str; 52] = [
    "264", "265", "3g2", "3gp", "amv", "apng", "asf", "av1", "avi", "divx", "dv", "f4v", "flv", "gif", "gxf", "h264",
    "h265", "hevc", "ivf", "m1v", "m2t", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpe", "mpeg",
    "mpg", "mpv", "mts", "mxf", "nut", "obu", "ogg", "ogm", "ogv", "qt", "rm", "rmvb", "swf", "ts", "vob", "vro",
    "webm", "wmv", "wtv", "xvid", "y4m",
];

/// Most folders below one another.
const MAX_DEPTH: usize = 64;

/// A file and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Its name in the index: the path below the folder that was given, or the name of the file.
    pub(crate) id: String,
    /// Where it is, absolute.
    pub(crate) path: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files, by id.
    pub(crate) inputs: Vec<Input>,
    /// Folders and files that could not be looked at, with the reason.
    pub(crate) unreadable: Vec<(PathBuf, String)>,
}

/// The files of `paths`: of folders the videos in them and below, in the order of their names; of files these themselves.
///
/// # Errors
/// A path that is not there, a file and a folder that would give two files one id.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut inputs = Vec::new();
    for path in paths {
        let refuse = |e: std::io::Error| Failure::new(format_args!("{}: {e}", path.display()));
        let absolute = std::path::absolute(path).map_err(refuse)?;
        if std::fs::metadata(path).map_err(refuse)?.is_dir() {
            walk(&absolute, "", 0, &mut inputs, &mut found.unreadable);
        } else {
            let name = absolute.file_name().unwrap_or(absolute.as_os_str());
            inputs.push(Input { id: escape(name), path: absolute });
        }
    }
    let mut by_id: BTreeMap<String, PathBuf> = BTreeMap::new();
    for Input { id, path } in inputs {
        match by_id.get(&id) {
            Some(other) if same_file(other, &path) => {}
            Some(other) => {
                return Err(Failure::new(format_args!(
                    "{} and {} would both have the id {id:?}: give the folder that holds both, or index them into \
                     different indexes",
                    other.display(),
                    path.display()
                )));
            }
            None => {
                by_id.insert(id, path);
            }
        }
    }
    found.inputs = by_id.into_iter().map(|(id, path)| Input { id, path }).collect();
    Ok(found)
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Links to folders are not followed: they may lead back. Names that begin with a dot are passed over.
fn walk(folder: &Path, prefix: &str, depth: usize, to: &mut Vec<Input>, unreadable: &mut Vec<(PathBuf, String)>) {
    if depth > MAX_DEPTH {
        unreadable.push((folder.to_owned(), format!("more than {MAX_DEPTH} folders deep")));
        return;
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            unreadable.push((folder.to_owned(), e.to_string()));
            return;
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry.and_then(|e| Ok((e.file_name(), e.file_type()?))) {
            Ok(entry) => names.push(entry),
            Err(e) => unreadable.push((folder.to_owned(), e.to_string())),
        }
    }
    names.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in names {
        let path = folder.join(&name);
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let id = format!("{prefix}{}", escape(&name));
        if kind.is_dir() {
            walk(&path, &format!("{id}/"), depth + 1, to, unreadable);
        } else if std::fs::metadata(&path).is_ok_and(|m| m.is_file()) && is_video(&path) {
            to.push(Input { id, path });
        }
    }
}

/// Whether a file of a folder is taken, by its extension.
fn is_video(path: &Path) -> bool {
    let Some(extension) = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase) else { return false };
    if VIDEOS.binary_search(&extension.as_str()).is_err() {
        return false;
    }
    // A transport stream has its sync byte at the start or after a time code; other `.ts` files are program text.
    extension != "ts" || {
        use std::io::Read;
        let mut head = [0u8; 5];
        let read = std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut head));
        read.is_err() || head[0] == 0x47 || head[4] == 0x47
    }
}

/// A name as part of an id: bytes that are not UTF-8 and control characters as `%XX`, and `%` where it could be taken for
/// such a byte. Different names stay different.
pub(crate) fn escape(name: &OsStr) -> String {
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
    fn extensions_are_sorted() {
        assert!(VIDEOS.is_sorted());
        assert!(is_video(Path::new("a/B.MP4")) && !is_video(Path::new("a/mp4")) && !is_video(Path::new("a.txt")));
    }

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
            assert_eq!(escape(OsStr::new(name)), id);
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            assert_eq!(escape(OsStr::from_bytes(b"a\xffb%ff.mp4")), "a%FFb%25ff.mp4");
            // A sequence that is cut off.
            assert_eq!(escape(OsStr::from_bytes(b"\xc3")), "%C3");
        }
    }

    #[test]
    fn folders_and_files() {
        let dir = std::env::temp_dir().join(format!("vidsieve-inputs-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
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
            find(&paths).map(|f| f.inputs.into_iter().map(|i| i.id).collect()).map_err(|e| e.to_string())
        };
        assert_eq!(ids(&["a"]).unwrap(), ["b/x.mp4", "stream.ts", "x.mp4"]);
        assert_eq!(ids(&["."]).unwrap(), ["a/b/x.mp4", "a/stream.ts", "a/x.mp4", "c/x.mp4"]);
        assert_eq!(ids(&["a/notes.txt", "c/x.mp4"]).unwrap(), ["notes.txt", "x.mp4"]);
        // The same file twice is one; two files of one id are refused.
        assert_eq!(ids(&["c", "c/x.mp4"]).unwrap(), ["x.mp4"]);
        let error = ids(&["a", "c"]).unwrap_err();
        assert!(error.contains("a/x.mp4") && error.contains("c/x.mp4"), "{error}");
        assert!(ids(&["none"]).unwrap_err().contains("none"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
