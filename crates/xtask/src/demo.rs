//! `cargo xtask demo`: from nothing to an answer.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Line, root};
use crate::tools::{ffmpeg_is_there, target};
use crate::{edge, web};

/// What the demo is made of.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one search and exit.
    #[arg(long)]
    headless: bool,
    /// Serve the application by `vidsieve serve` instead of the edge tier.
    #[arg(long)]
    native: bool,
    /// Your own videos instead of the sample clips.
    #[arg(long)]
    videos: Option<PathBuf>,
    /// Folder of samples and index; the demo continues there.
    #[arg(long, default_value = "target/demo")]
    work: PathBuf,
}

/// The command, as [`build`] leaves it.
fn vidsieve() -> Line {
    Line::new(&target().join("quick/vidsieve").display().to_string())
}

/// Builds the command by a profile that is ready soon. What the first answer needs is a third of it: servers and stores come
/// after that, where they are asked for.
fn build(features: &str) -> Result<(), String> {
    Line::cargo().args("build --profile quick -p vidsieve-cli").args(features).run()
}

pub(crate) fn run(args: &Args) -> Result<(), String> {
    ffmpeg_is_there()?;
    build("--no-default-features")?;
    let path = |p: &Path| p.display().to_string();
    let index = args.work.join(if args.videos.is_some() { "index-own" } else { "index" });
    let videos = match &args.videos {
        Some(videos) => videos.canonicalize().map_err(|e| format!("{}: {e}", path(videos)))?,
        None => {
            let samples = args.work.join("samples");
            vidsieve().args("samples --out").arg(&path(&samples)).run()?;
            samples
        }
    };
    let indexing = vidsieve().args("index --index").arg(&path(&index)).arg(&path(&videos)).run();
    let ids = listed(&index)?;
    // Files that cannot be read are named; the others are searched.
    if ids.is_empty() {
        return indexing.and(Err(format!("{}: there is no video in it", path(&videos))));
    }
    // Of the samples a video of which there are copies, else the first one.
    let query = ids.iter().find(|id| *id == QUERY).unwrap_or(&ids[0]);
    let search = || vidsieve().args("search --top 8 --index").arg(&path(&index)).arg(&format!("id:{query}"));
    search().run()?;
    if args.videos.is_none() {
        let answer = search().arg("--json").output()?;
        let answer: Value = serde_json::from_str(&answer).map_err(|e| format!("the search's answer: {e}"))?;
        for copy in COPIES {
            found(&answer, copy)?;
        }
    }
    if args.headless {
        return Ok(());
    }
    build("")?;
    web::built()?;
    let www = root().join("www/dist");
    if args.native {
        eprintln!("open http://127.0.0.1:8787 in a browser; Ctrl-C ends it");
        return vidsieve()
            .args("serve --index")
            .arg(&path(&index))
            .arg("--www")
            .arg(&path(&www))
            .arg("--media")
            .arg(&path(&videos))
            .run();
    }
    edge::edge_built()?;
    let model = root().join(&index).join("model.safetensors");
    let mut tier = Line::new("node")
        .args("workers/local.mjs --port 8788 --site")
        .arg(&path(&www))
        .arg("--media")
        .arg(&path(&videos))
        .arg("--model")
        .arg(&path(&model))
        .start()?;
    let published = tier
        .until("answers at")
        .and_then(|()| vidsieve().args("push --to http://127.0.0.1:8788 --index").arg(&path(&index)).run());
    if let Err(message) = published {
        tier.end();
        return Err(message);
    }
    eprintln!("open http://127.0.0.1:8788 in a browser; Ctrl-C ends it");
    tier.wait()
}

/// The sample that is searched for, and its copies.
const QUERY: &str = "originals/fjord.mp4";
const COPIES: [&str; 2] = ["copies/fjord-border.mp4", "copies/fjord-speed.mp4"];

/// The ids of an index.
fn listed(index: &Path) -> Result<Vec<String>, String> {
    let list = vidsieve().args("list --json --index").arg(&index.display().to_string()).output()?;
    let list: Value = serde_json::from_str(&list).map_err(|e| format!("the list of videos: {e}"))?;
    let videos = list["videos"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(videos.iter().filter_map(|v| v["id"].as_str().map(str::to_owned)).collect())
}

/// A copy is found when it is likely by the frames and told where it matches.
fn found(answer: &Value, copy: &str) -> Result<(), String> {
    let hits = answer["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let hit = hits.iter().find(|h| h["id"] == copy).ok_or_else(|| format!("the search did not find {copy}"))?;
    let likely = hit["score"].as_f64().is_some_and(|s| s >= 0.5);
    let placed = hit["segments"].as_array().is_some_and(|s| !s.is_empty());
    if likely && placed { Ok(()) } else { Err(format!("the search is not sure of {copy}: {hit}")) }
}
