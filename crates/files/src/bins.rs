//! Folders of systems that hold what was thrown away, or what a system made for itself.

use std::ffi::OsStr;
use std::path::{Component, Path};

/// Names of such folders, in lower case.
const BINS: [&str; 20] = [
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    ".@__thumb",
    ".trash",
    ".trashes",
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@tmp",
    "files_trashbin",
    "files_versions",
    "found.000",
    "lost+found",
    "network trash folder",
    "recycled",
    "recycler",
    "system volume information",
    "temporary items",
    "~snapshot",
];

/// Returns whether a folder of this name is one of them.
pub(crate) fn is_bin(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    BINS.contains(&name.as_str()) || name.starts_with(".trash-")
}

/// Returns whether a file lies in a recycle bin, in a folder of thumbnails or snapshots of a NAS, or in a folder of the file
/// system itself, at any depth.
#[must_use]
pub fn in_bin(path: &Path) -> bool {
    let names: Vec<String> = path
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().to_lowercase()),
            _ => None,
        })
        .collect();
    let is_bin = |name: &String| is_bin(OsStr::new(name));
    // The bin of a desktop is the folder `Trash/files`.
    names.iter().any(is_bin) || names.windows(2).any(|pair| pair == ["trash", "files"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins() {
        for path in [
            "/d/$RECYCLE.BIN/S-1-5-21/$R1.mp4",
            "/volume1/video/#recycle/a.mp4",
            "/v/@eaDir/a.mp4/SYNOPHOTO_FILM_M.mp4",
            "/media/usb/.Trash-1000/files/a.mp4",
            "/home/a/.local/share/Trash/files/a.mp4",
            "/Volumes/X/.Trashes/501/a.mp4",
            "lost+found/a.mp4",
            "d/System Volume Information/x/a.mp4",
        ] {
            assert!(in_bin(Path::new(path)), "{path}");
        }
        for path in ["/d/Trash/a.mp4", "/d/Trash talk/files/a.mp4", "/d/$RECYCLE.BIN", "/d/recycle/a.mp4", ".trash-1"] {
            assert!(!in_bin(Path::new(path)), "{path}");
        }
        assert!(BINS.is_sorted());
    }
}
