//! Sets of the videos of an index: those of a folder.

use std::path::{Path, PathBuf};

/// The videos of a folder, which is named by its path or as a part of ids.
#[derive(Debug, Clone)]
pub(super) struct VideoSet {
    text: String,
    folders: Vec<PathBuf>,
}

impl VideoSet {
    pub(super) fn new(place: impl AsRef<Path>) -> Self {
        let place = place.as_ref();
        let folders = [std::path::absolute(place).ok(), place.canonicalize().ok()].into_iter().flatten().collect();
        Self { text: place.to_string_lossy().trim_end_matches('/').to_owned(), folders }
    }

    /// Returns whether a video with this id and path is one of the set.
    pub(super) fn has(&self, id: &str, path: &Path) -> bool {
        let below = id.strip_prefix(self.text.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (below && !self.text.is_empty()) || self.folders.iter().any(|folder| path.starts_with(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_by_path_and_by_id() {
        let has = |place: &str, id: &str, path: &str| VideoSet::new(place).has(id, Path::new(path));
        assert!(has("/a/b", "x", "/a/b/x") && has("/a/b/", "x", "/a/b/c/x") && !has("/a/b", "x", "/a/bc/x"));
        assert!(has("2019", "2019/x", "/v/2019/x") && has("2019/", "2019/x", "") && !has("2019", "20190/x", "/y"));
        assert!(!has("", "x", "/nowhere/x") && has("x.mp4", "x.mp4", "/v/x.mp4"));
    }
}
