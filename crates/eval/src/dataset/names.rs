//! Which file of a folder is which video of a data set.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::compute::AbsentVideo;

/// Files by the names under which a data set may list them: the path below the folder and the name
/// of the file, each with and without its extension. The first of these that fits decides.
#[derive(Debug, Clone, Default)]
pub struct VideoNames {
    /// A level each, from the strictest; several files of one name are kept to be named.
    levels: [HashMap<String, Vec<PathBuf>>; 4],
}

fn without_extension(name: &str) -> &str {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[base..].rfind('.') {
        Some(dot) if dot > 0 => &name[..base + dot],
        _ => name,
    }
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn forms(name: &str) -> [&str; 4] {
    [name, without_extension(name), base(name), without_extension(base(name))]
}

impl VideoNames {
    /// Files with their paths below the folder, with `/` between folders.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Self {
        let mut names = Self::default();
        for (name, path) in files {
            for (level, form) in names.levels.iter_mut().zip(forms(name)) {
                level.entry(form.to_owned()).or_default().push(path.to_owned());
            }
        }
        names
    }

    /// The file of a video.
    ///
    /// # Errors
    /// [`AbsentVideo::Missing`] without a file, [`AbsentVideo::Unreadable`] where several files have
    /// the name.
    pub fn find(&self, id: &str) -> Result<&Path, AbsentVideo> {
        // An id may have an extension that the file has not.
        for form in [id, without_extension(id)] {
            for level in &self.levels {
                match level.get(form).map(Vec::as_slice) {
                    None | Some([]) => {}
                    Some([path]) => return Ok(path),
                    Some([first, second, ..]) => {
                        let both = format!("{} and {}", first.display(), second.display());
                        return Err(AbsentVideo::Unreadable(format!("several files have its name: {both}")));
                    }
                }
            }
        }
        Err(AbsentVideo::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_find_their_files() {
        let paths = ["1/1_1_Y.flv", "1/1_2_Y.flv", "2/1_2_Y.flv", "deep/er/abc.mp4", "q.mp4", "q.webm", "x.y.mkv"];
        let names = VideoNames::new(paths.iter().map(|p| (*p, Path::new(*p))));
        for (id, path) in [
            ("1/1_1_Y", "1/1_1_Y.flv"),
            ("1_1_Y", "1/1_1_Y.flv"),
            ("2/1_2_Y", "2/1_2_Y.flv"),
            ("abc", "deep/er/abc.mp4"),
            ("abc.flv", "deep/er/abc.mp4"),
            ("q.webm", "q.webm"),
            ("x.y", "x.y.mkv"),
        ] {
            assert_eq!(names.find(id), Ok(Path::new(path)), "{id}");
        }
        assert_eq!(names.find("nothing"), Err(AbsentVideo::Missing));
        for id in ["1_2_Y", "q"] {
            let Err(AbsentVideo::Unreadable(reason)) = names.find(id) else { panic!("{id}") };
            assert!(reason.contains(" and "), "{reason}");
        }
    }
}
