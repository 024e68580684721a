//! Which files of a folder are videos.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::LazyLock;

use crate::content::{FileContent, read_content};

/// The list of extensions, one a line: the page's file dialog and the documentation have the same.
const LIST: &str = include_str!("extensions.txt");

/// Extensions that other files have too: program text, music, still pictures, data. The content decides.
const AMBIGUOUS: [&str; 12] = ["avif", "avifs", "dat", "gif", "lrf", "mod", "ogg", "ogx", "png", "rec", "ts", "webp"];

/// Extensions of sound, which `any` leaves out: their containers hold videos as well.
const SOUND: [&str; 10] = ["aac", "flac", "m4a", "m4b", "m4p", "mka", "mp3", "oga", "opus", "wma"];

/// Returns the extensions of the files that are taken from a folder, in lower case and sorted. A file that is named
/// itself is taken whatever its extension.
#[must_use]
pub fn video_extensions() -> &'static [&'static str] {
    static EXTENSIONS: LazyLock<Vec<&str>> = LazyLock::new(|| LIST.lines().collect());
    &EXTENSIONS
}

/// The extension of a path in lower case.
pub(crate) fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase)
}

/// Returns whether a file of a folder is a video, by its extension. Where other files have the same extension (`ts`, `mod`,
/// `webp`, …), the first bytes must be those of a video, or of a picture that moves.
#[must_use]
pub fn is_video(path: &Path) -> bool {
    let Some(extension) = extension(path) else { return false };
    if video_extensions().binary_search(&extension.as_str()).is_err() {
        return false;
    }
    // A file that cannot be read is taken, so that the reason is reported.
    !AMBIGUOUS.contains(&extension.as_str()) || read_content(path).is_none_or(|content| content == FileContent::Video)
}

/// Returns whether a file is a video by its content, whatever its name, or by its extension.
#[must_use]
pub fn is_video_by_content(path: &Path) -> bool {
    let is_sound = extension(path).is_some_and(|extension| SOUND.contains(&extension.as_str()));
    is_video(path) || (!is_sound && read_content(path) == Some(FileContent::Video))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_sorted() {
        let list = video_extensions();
        assert!(list.is_sorted() && AMBIGUOUS.is_sorted() && SOUND.is_sorted());
        assert!(list.iter().all(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')));
        assert!(AMBIGUOUS.iter().all(|e| list.contains(e)) && SOUND.iter().all(|e| !list.contains(e)));
        assert!(is_video(Path::new("a/B.MP4")) && !is_video(Path::new("a/mp4")) && !is_video(Path::new("a.txt")));
    }

    #[test]
    fn the_documentation_has_the_same_list() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let (_, after) = text.split_once("**Extensions.**").unwrap_or_default();
        let (block, _) = after.split_once("\n\n").unwrap_or_default();
        let named: Vec<&str> = block.split('`').skip(1).step_by(2).flat_map(str::split_whitespace).collect();
        assert_eq!(named, video_extensions(), "docs/cli.md, **Extensions.**");
    }
}
