//! `cargo xtask demo`: from nothing to an answer.

use std::path::{Path, PathBuf};

use crate::run::{Line, root};
use crate::steps::ffmpeg_is_there;
use crate::web;

/// What the demo is made of.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one search and exit.
    #[arg(long)]
    headless: bool,
    /// Your own videos instead of the sample clips.
    #[arg(long)]
    videos: Option<PathBuf>,
    /// Folder of samples and index; the demo continues there.
    #[arg(long, default_value = "target/demo")]
    work: PathBuf,
}

/// The command, built for speed.
fn vidsieve() -> Line {
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root().join("target"), PathBuf::from);
    Line::new(&target.join("release/vidsieve").display().to_string())
}

/// The first video below a folder, by name.
fn first_video(folder: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
    entries.sort();
    let known = ["mp4", "mkv", "webm", "mov", "avi", "gif", "m4v", "mpg", "ts"];
    let is_video = |p: &&PathBuf| p.extension().is_some_and(|e| known.iter().any(|k| e.eq_ignore_ascii_case(k)));
    entries
        .iter()
        .find(is_video)
        .cloned()
        .or_else(|| entries.iter().filter(|p| p.is_dir()).find_map(|p| first_video(p)))
}

pub(crate) fn run(args: &Args) -> Result<(), String> {
    ffmpeg_is_there()?;
    Line::cargo().args("build --release -p vidsieve-cli").run()?;
    let path = |p: &Path| p.display().to_string();
    let (videos, query) = match &args.videos {
        Some(videos) => {
            let videos = videos.canonicalize().map_err(|e| format!("{}: {e}", path(videos)))?;
            let query = first_video(&videos).ok_or_else(|| format!("{}: there is no video in it", path(&videos)))?;
            (videos, query)
        }
        None => {
            let samples = args.work.join("samples");
            vidsieve().args("samples --out").arg(&path(&samples)).run()?;
            let query = samples.join("originals/amber.mp4");
            (samples, query)
        }
    };
    let index = args.work.join(if args.videos.is_some() { "index-own" } else { "index" });
    vidsieve().args("index --index").arg(&path(&index)).arg(&path(&videos)).run()?;
    let search = |json: bool| {
        let line = vidsieve().args("search --top 8 --index").arg(&path(&index)).arg(&path(&query));
        if json { line.arg("--json") } else { line }
    };
    search(false).run()?;
    if args.videos.is_none() {
        let answer = search(true).output()?;
        for copy in ["copies/amber-crop.mp4", "copies/amber-excerpt.mp4"] {
            if !answer.contains(copy) {
                return Err(format!("the search did not find {copy}"));
            }
        }
    }
    if args.headless {
        return Ok(());
    }
    web::built()?;
    eprintln!("open http://127.0.0.1:8787 in a browser; Ctrl-C ends it");
    let www = root().join("www/dist");
    vidsieve()
        .args("serve --index")
        .arg(&path(&index))
        .arg("--www")
        .arg(&path(&www))
        .arg("--media")
        .arg(&path(&videos))
        .run()
}
