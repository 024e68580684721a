//! Packages of npm, tests under Node, and whether what was built is still current.

use std::path::{Path, PathBuf};

use crate::run::{Line, root};

/// The packages of a folder's lock file.
pub(crate) fn packages(folder: &str) -> Result<(), String> {
    let changed = |path: PathBuf| path.metadata().and_then(|m| m.modified()).ok();
    let locked = changed(root().join(folder).join("package-lock.json"));
    let installed = changed(root().join(folder).join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= locked {
        return Ok(());
    }
    Line::new("npm").args("ci --no-audit --no-fund --prefix").arg(folder).run()
}

/// Runs the tests of a folder under Node; environment variables name the programs they use.
pub(crate) fn tests(folder: &str, programs: &[(&str, &str)]) -> Result<(), String> {
    let mut files: Vec<String> = std::fs::read_dir(root().join(folder))
        .map_err(|e| format!("{folder}: {e}"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    files.sort();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    tests_of(folder, &names, programs)
}

/// Runs some files of tests of a folder under Node, one after the other.
pub(crate) fn tests_of(folder: &str, names: &[&str], programs: &[(&str, &str)]) -> Result<(), String> {
    let line = Line::new("node").args("--test --test-concurrency=1 --test-reporter=spec");
    let line = programs.iter().fold(line, |line, (variable, program)| line.env(variable, program));
    names.iter().fold(line, |line, name| line.arg(&format!("{folder}/{name}"))).run()
}

/// When the newest file of a folder was changed.
pub(crate) fn newest(path: &Path) -> Option<std::time::SystemTime> {
    if path.is_dir() {
        return std::fs::read_dir(path).ok()?.filter_map(|entry| newest(&entry.ok()?.path())).max();
    }
    path.metadata().and_then(|m| m.modified()).ok()
}
