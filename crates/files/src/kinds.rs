//! Which files of a folder are videos.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Extensions of the files that are taken from a folder, in lower case and sorted. Still images are left out; a file that is
/// named itself is taken whatever its extension.
pub const VIDEO_EXTENSIONS: [&str; 52] = [
    "264", "265", "3g2", "3gp", "amv", "apng", "asf", "av1", "avi", "divx", "dv", "f4v", "flv", "gif", "gxf", "h264",
    "h265", "hevc", "ivf", "m1v", "m2t", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpe", "mpeg",
    "mpg", "mpv", "mts", "mxf", "nut", "obu", "ogg", "ogm", "ogv", "qt", "rm", "rmvb", "swf", "ts", "vob", "vro",
    "webm", "wmv", "wtv", "xvid", "y4m",
];

/// The extension of a path in lower case.
pub(crate) fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase)
}

/// Returns whether a file of a folder is a video, by its extension. A `.ts` file must also begin as a transport stream:
/// program text has the same extension.
#[must_use]
pub fn is_video(path: &Path) -> bool {
    let Some(extension) = extension(path) else { return false };
    if VIDEO_EXTENSIONS.binary_search(&extension.as_str()).is_err() {
        return false;
    }
    extension != "ts" || {
        // The sync byte comes first, or after a time code of four bytes.
        let mut head = [0u8; 5];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
        read.is_err() || head[0] == 0x47 || head[4] == 0x47
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_sorted() {
        assert!(VIDEO_EXTENSIONS.is_sorted());
        assert!(is_video(Path::new("a/B.MP4")) && !is_video(Path::new("a/mp4")) && !is_video(Path::new("a.txt")));
    }
}
