//! The videos that a command line names.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use ignore::overrides::{Override, OverrideBuilder};
use ignore::{DirEntry, WalkBuilder};
use walkdir::WalkDir;

use crate::bins::is_bin;
use crate::ids::{VideoFile, distinct};
use crate::kinds::{extension, is_video, is_video_by_content};

/// A file of a folder that says, as `.gitignore` does, what of the folder and below is left out.
const IGNORE_FILE: &str = ".vidsieveignore";

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
    /// A pattern of what is left out that cannot be read.
    #[error("--exclude {glob:?}: {detail}: write it as in .gitignore, such as '*.tmp.mp4' or '/private/'")]
    Glob {
        /// The pattern.
        glob: String,
        /// What is wrong.
        detail: String,
    },
}

/// Options of [`find_videos`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct FindOptions {
    exclude: Vec<String>,
    any: bool,
}

impl FindOptions {
    /// Returns the defaults: nothing is left out but bins and folders of systems, and extensions decide.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out files and folders that match a pattern, in the form of `.gitignore`: `*.tmp.mp4` at any depth,
    /// `/private/` the folder `private` of the folder given. May be called several times.
    pub fn exclude(mut self, glob: impl Into<String>) -> Self {
        self.exclude.push(glob.into());
        self
    }

    /// Sets whether files of folders are taken by their first bytes too, whatever their extension; by default they are
    /// not.
    pub const fn any(mut self, any: bool) -> Self {
        self.any = any;
        self
    }

    /// The patterns, relative to a folder.
    fn excluded(&self, folder: &Path) -> Result<Override, FindError> {
        let mut builder = OverrideBuilder::new(folder);
        for glob in &self.exclude {
            let refuse = |error: ignore::Error| FindError::Glob { glob: glob.clone(), detail: error.to_string() };
            // Without the mark a pattern would choose what is taken.
            builder.add(&format!("!{glob}")).map_err(refuse)?;
        }
        let glob = || self.exclude.join(" ");
        builder.build().map_err(|error| FindError::Glob { glob: glob(), detail: error.to_string() })
    }

    fn takes(&self, path: &Path) -> bool {
        if self.any { is_video_by_content(path) } else { is_video(path) }
    }
}

/// The result of [`find_videos`].
#[derive(Debug, Default)]
pub struct FoundVideos {
    /// Files in the order of their ids, which differ.
    pub files: Vec<VideoFile>,
    /// Folders and files that could not be read, with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// Finds the files of `paths`: of folders the videos in them and below, of files these themselves. Links to folders are not
/// followed. Names that begin with a dot, bins and other folders of systems, and what a `.vidsieveignore` names are passed
/// over, unless they are given themselves.
///
/// The id of a file of a folder is its path below it, of a file that is given its name. Where files would have the same id,
/// all of them get the folders above as well, as many as tell them apart.
///
/// # Errors
/// [`FindError::Io`] for a path that cannot be read, [`FindError::Glob`].
pub fn find_videos<P: AsRef<Path>>(paths: &[P], options: &FindOptions) -> Result<FoundVideos, FindError> {
    let mut found = FoundVideos::default();
    let mut files = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let refuse = |source: io::Error| FindError::Io { path: path.to_owned(), source };
        let absolute = std::path::absolute(path).map_err(refuse)?;
        if std::fs::metadata(path).map_err(refuse)?.is_dir() {
            walk(&absolute, options, &mut files, &mut found.unreadable)?;
        } else {
            let folder = absolute.parent().unwrap_or(&absolute);
            if !options.excluded(folder)?.matched(&absolute, false).is_ignore() {
                files.push(VideoFile::with_parts(absolute, 1));
            }
        }
    }
    found.files = distinct(files);
    Ok(found)
}

/// Whether an entry of a folder is passed over.
fn is_passed_over(entry: &DirEntry) -> bool {
    entry.depth() > 0
        && (entry.file_name().as_encoded_bytes().starts_with(b".")
            || (entry.file_type().is_some_and(|kind| kind.is_dir()) && is_bin(entry.file_name())))
}

fn walk(
    folder: &Path,
    options: &FindOptions,
    to: &mut Vec<VideoFile>,
    unreadable: &mut Vec<(PathBuf, String)>,
) -> Result<(), FindError> {
    let mut walk = WalkBuilder::new(folder);
    walk.standard_filters(false)
        .parents(true)
        .add_custom_ignore_filename(IGNORE_FILE)
        .overrides(options.excluded(folder)?)
        .filter_entry(|entry| !is_passed_over(entry))
        .sort_by_file_name(OsStr::cmp);
    for entry in walk.build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                unreadable.push(reason(&error, folder));
                continue;
            }
        };
        // A line of an ignore file that cannot be read; the others count.
        if let Some(error) = entry.error() {
            unreadable.push(reason(error, entry.path()));
        }
        let path = entry.path();
        // A link to a file is taken: what it leads to decides.
        let is_file = !entry.file_type().is_some_and(|kind| kind.is_dir())
            && std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
        if is_file && options.takes(path) {
            to.push(VideoFile::with_parts(path.to_owned(), entry.depth()));
        }
    }
    Ok(())
}

/// The path and the reason of an error of a walk.
fn reason(error: &ignore::Error, folder: &Path) -> (PathBuf, String) {
    match error {
        ignore::Error::WithPath { path, err } => (path.clone(), reason(err, path).1),
        ignore::Error::WithDepth { err, .. } => reason(err, folder),
        ignore::Error::WithLineNumber { line, err } => {
            let (path, text) = reason(err, folder);
            (path, format!("line {line}: {text}"))
        }
        ignore::Error::Partial(errors) => {
            let texts: Vec<String> = errors.iter().map(|error| reason(error, folder).1).collect();
            let path = errors.first().map_or_else(|| folder.to_owned(), |error| reason(error, folder).0);
            (path, texts.join("; "))
        }
        ignore::Error::Io(error) => (folder.to_owned(), error.to_string()),
        other => (folder.to_owned(), other.to_string()),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(folder: &Path, files: &[(&str, &[u8])]) {
        for (name, bytes) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    fn ids(folder: &Path, paths: &[&str], options: &FindOptions) -> Result<Vec<String>, String> {
        let paths: Vec<PathBuf> = paths.iter().map(|p| folder.join(p)).collect();
        let found = find_videos(&paths, options).map_err(|e| e.to_string())?;
        assert!(found.unreadable.is_empty(), "{found:?}");
        Ok(found.files.into_iter().map(|i| i.id).collect())
    }

    #[test]
    fn folders_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let stream = [&[0x47; 1][..], &[0; 187], &[0x47; 1], &[0; 187]].concat();
        write(
            dir,
            &[
                ("a/b/x.mp4", b"x"),
                ("a/x.mp4", b"x"),
                ("a/notes.txt", b"x"),
                ("a/.hidden.mp4", b"x"),
                ("a/program.ts", b"const a = 1;"),
                ("a/stream.ts", &stream),
                ("c/x.mp4", b"y"),
            ],
        );
        let options = FindOptions::new();
        let ids = |paths: &[&str]| ids(dir, paths, &options);
        assert_eq!(ids(&["a"]).unwrap(), ["b/x.mp4", "stream.ts", "x.mp4"]);
        assert_eq!(ids(&["."]).unwrap(), ["a/b/x.mp4", "a/stream.ts", "a/x.mp4", "c/x.mp4"]);
        assert_eq!(ids(&["a/notes.txt", "c/x.mp4"]).unwrap(), ["notes.txt", "x.mp4"]);
        // The same file twice is one; two files of one name are distinguished by their folders.
        assert_eq!(ids(&["c", "c/x.mp4"]).unwrap(), ["x.mp4"]);
        assert_eq!(ids(&["a", "c"]).unwrap(), ["a/x.mp4", "b/x.mp4", "c/x.mp4", "stream.ts"]);
        assert_eq!(ids(&["a/x.mp4", "c/x.mp4"]).unwrap(), ["a/x.mp4", "c/x.mp4"]);
        assert!(ids(&["none"]).unwrap_err().contains("none"));
        // Below a folder the paths are found that have an extension, in order.
        let texts = files_with_extensions(dir, &["txt", "ts"]).unwrap();
        assert_eq!(texts, ["a/notes.txt", "a/program.ts", "a/stream.ts"].map(|name| dir.join(name)));
    }

    #[test]
    fn what_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        write(
            dir,
            &[
                ("lib/$RECYCLE.BIN/S-1/a.mp4", b"x"),
                ("lib/#recycle/a.mp4", b"x"),
                ("lib/Films/@eaDir/a.mp4/SYNOPHOTO_FILM_M.mp4", b"x"),
                ("lib/.Trash-1000/files/a.mp4", b"x"),
                ("lib/Lost+Found/a.mp4", b"x"),
                ("lib/Films/a.mp4", b"x"),
                ("lib/Films/a.part.mp4", b"x"),
                ("lib/private/a.mp4", b"x"),
                ("lib/private/kept/b.mp4", b"x"),
                ("lib/deep/private/a.mp4", b"x"),
                ("lib/.vidsieveignore", b"*.part.mp4\n"),
                ("lib/deep/.vidsieveignore", b"# a comment\n/private/*\n!/private/a.mp4\n"),
            ],
        );
        let found = |paths: &[&str], globs: &[&str]| {
            let options = globs.iter().fold(FindOptions::new(), |options, glob| options.exclude(*glob));
            ids(dir, paths, &options)
        };
        let all = ["Films/a.mp4", "deep/private/a.mp4", "private/a.mp4", "private/kept/b.mp4"];
        assert_eq!(found(&["lib"], &[]).unwrap(), all);
        assert_eq!(found(&["lib"], &["private"]).unwrap(), all[..1]);
        assert_eq!(found(&["lib"], &["/private/"]).unwrap(), all[..2]);
        assert_eq!(found(&["lib"], &["a.*"]).unwrap(), ["private/kept/b.mp4"]);
        assert_eq!(found(&["lib"], &["Films", "kept/"]).unwrap(), all[1..3]);
        assert_eq!(found(&["lib/Films/a.mp4", "lib/private/kept/b.mp4"], &["b*"]).unwrap(), ["a.mp4"]);
        // A bin that is given itself is searched.
        assert_eq!(found(&["lib/#recycle"], &[]).unwrap(), ["a.mp4"]);
        let error = found(&["lib"], &["a[b"]).unwrap_err();
        assert!(error.contains("a[b") && error.contains(".gitignore"), "{error}");
    }

    #[test]
    fn any_file_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let mp4 = b"\0\0\0\x18ftypisom\0\0\x02\0isommp41";
        write(
            dir,
            &[("a.bin", mp4), ("noname", mp4), ("b.m4a", mp4), ("c.txt", b"text"), ("d.mod", mp4), ("e.mod", b"song")],
        );
        assert_eq!(ids(dir, &["."], &FindOptions::new()).unwrap(), ["d.mod"]);
        assert_eq!(ids(dir, &["."], &FindOptions::new().any(true)).unwrap(), ["a.bin", "d.mod", "noname"]);
    }
}
