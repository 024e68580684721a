//! The guides of `docs/guides` as a new user follows them: their shell commands, in order, in an empty folder.
#![cfg(all(unix, feature = "eval", feature = "remote"))]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::Scratch;

/// The shell commands of a guide. Blocks that are marked `no-run` need an account, a server or hours.
fn commands(guide: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides").join(guide);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut script = String::from("set -euo pipefail\n");
    let mut inside = false;
    for line in text.lines() {
        match (inside, line) {
            (false, "```sh") => inside = true,
            (true, "```") => inside = false,
            (true, line) => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    assert!(script.contains("vidsieve"), "{guide} has no commands");
    script
}

/// The folder of `vidsieve samples`, drawn anew by each run of the tests.
fn samples() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guides-samples");
        let _ = std::fs::remove_dir_all(&folder);
        support::json(&["samples", "--out", &folder.display().to_string(), "--json"], 0);
        folder
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Follows a guide; returns what its commands print.
fn follow(guide: &str) -> (Scratch, String) {
    let dir = Scratch::new(guide);
    let script = commands(guide);
    // The samples are drawn once: files that exist stay.
    if let Some(out) = script.lines().find_map(|line| line.strip_prefix("vidsieve samples --out ")) {
        copy(samples(), &dir.path(out));
    }
    let here = Path::new(env!("CARGO_BIN_EXE_vidsieve")).parent().unwrap().display().to_string();
    let path = format!("{here}:{}", std::env::var("PATH").unwrap_or_default());
    let output =
        Command::new("bash").args(["-c", &script]).env("PATH", path).current_dir(dir.path("")).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{guide}: {}\n{printed}\n{said}", output.status);
    (dir, printed)
}

#[test]
fn copies_in_a_folder() {
    let (dir, printed) = follow("copies-in-a-folder.md");
    for word in ["amber", "keep"] {
        assert!(printed.contains(word), "{word}: {printed}");
    }
    let rows = std::fs::read_to_string(dir.path("copies.csv")).unwrap();
    assert!(rows.lines().any(|row| row.contains("amber-crop.mp4") && row.contains("copy")), "{rows}");
    assert!(std::fs::read(dir.path("why.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_clip_in_films() {
    let (_dir, printed) = follow("clip-in-films.md");
    let hit = printed.lines().find(|line| line.contains("evening.mp4")).unwrap_or_else(|| panic!("{printed}"));
    assert!(hit.contains("an excerpt of it"), "{printed}");
    // Within a second of where it was cut.
    let at =
        |text: &str| text.split_whitespace().filter_map(|word| word.split_once('-')?.0.parse::<f64>().ok()).collect();
    let starts: Vec<f64> = at(&printed);
    assert!(starts.iter().any(|start| (start - 40.0).abs() <= 1.0), "{printed}");
}

#[test]
fn an_endpoint_before_it_is_deployed() {
    let (_dir, printed) = follow("endpoint-on-cloudflare.md");
    assert!(printed.contains("USD"), "{printed}");
}

#[test]
fn evaluating() {
    let (_dir, printed) = follow("evaluate.md");
    for word in ["fine_binary", "dns"] {
        assert!(printed.to_lowercase().contains(word), "{word}: {printed}");
    }
}
