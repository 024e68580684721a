//! The edge tier: its modules, its tests on workerd, the size of what would be deployed.

use std::fs;
use std::path::PathBuf;

use crate::native::native;
use crate::node::{newest, packages, tests};
use crate::run::{Line, root};
use crate::tools::{WASM, bindgen, ffmpeg_is_there, node_is_there, target, target_is_there};

/// The Workers, by their folder in `workers/`.
const WORKERS: [&str; 2] = ["search", "rerank"];
/// Bytes that a Worker may have, compressed.
const MOST: u64 = 1 << 20;
/// What a Worker is made of, beside its own folder.
const SHARED: [&str; 7] = [
    "crates/api",
    "crates/record",
    "crates/kernels",
    "crates/model",
    "crates/search",
    "workers/common",
    "workers/guard.mjs",
];

fn folder(worker: &str) -> PathBuf {
    root().join("workers").join(worker)
}

/// Builds the Workers, each to `workers/NAME/build`.
pub(crate) fn build() -> Result<(), String> {
    node_is_there()?;
    target_is_there(WASM)?;
    let bindgen = bindgen()?;
    packages("workers")?;
    let crates = WORKERS.map(|worker| format!("-p vidsieve-{worker}-worker")).join(" ");
    Line::cargo().args("build --profile release-wasm --target").arg(WASM).args(&crates).run()?;
    for worker in WORKERS {
        let module = target().join(WASM).join(format!("release-wasm/vidsieve_{worker}_worker.wasm"));
        let out = folder(worker).join("build");
        Line::new(&bindgen)
            .args("--target web --omit-default-module-path --no-typescript --experimental-reset-state-function")
            .args("--remove-name-section --remove-producers-section --out-name worker --out-dir")
            .arg(&out.display().to_string())
            .arg(&module.display().to_string())
            .run()?;
        for file in [folder(worker).join("index.mjs"), root().join("workers/guard.mjs")] {
            let name = file.file_name().unwrap_or_default();
            fs::copy(&file, out.join(name)).map_err(|e| format!("{}: {e}", file.display()))?;
        }
    }
    Ok(())
}

/// The lints of the Workers, which are empty on any other target.
pub(crate) fn lints() -> Result<(), String> {
    target_is_there(WASM)?;
    let crates = WORKERS.map(|worker| format!("-p vidsieve-{worker}-worker")).join(" ");
    Line::cargo().args("clippy -p vidsieve-edge").args(&crates).args("--target").arg(WASM).args("-- -D warnings").run()
}

/// Builds what is not there or older than what it is made of.
pub(crate) fn edge_built() -> Result<(), String> {
    packages("workers")?;
    let sources = SHARED.map(str::to_owned).into_iter().chain(WORKERS.map(|w| format!("workers/{w}/src")));
    let sources = sources.chain(WORKERS.map(|w| format!("workers/{w}/index.mjs")));
    let newest = sources.filter_map(|path| newest(&root().join(path))).max();
    let made =
        WORKERS.iter().map(|w| folder(w).join("build/guard.mjs").metadata().and_then(|m| m.modified()).ok()).min();
    if made.flatten().is_some() && made.flatten() >= newest { Ok(()) } else { build() }
}

/// The tests of the edge tier on workerd, beside the native server that answers the same.
pub(crate) fn test() -> Result<(), String> {
    edge_built()?;
    ffmpeg_is_there()?;
    tests("tests/edge", &[("VIDSIEVE", &native()?)])?;
    dry_run()
}

/// What would be deployed, and whether it is small enough. Nothing is sent.
fn dry_run() -> Result<(), String> {
    // Where the assets of the search Worker would be, built or not.
    fs::create_dir_all(root().join("www/dist")).map_err(|e| format!("www/dist: {e}"))?;
    for (worker, config) in [("rerank", "workers/rerank/wrangler.toml"), ("search", "wrangler.toml")] {
        let said = Line::new("workers/node_modules/.bin/wrangler")
            .args("deploy --dry-run --outdir")
            .arg(&target().join("edge-dry-run").join(worker).display().to_string())
            .arg("-c")
            .arg(config)
            .env("WRANGLER_SEND_METRICS", "false")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("CI", "1")
            .output()?;
        let size = said.lines().find_map(|line| line.trim().strip_prefix("Total Upload:")).unwrap_or_default();
        let gzip = size.split("gzip:").nth(1).and_then(|s| s.split_whitespace().next()?.parse::<f64>().ok());
        let gzip = gzip.ok_or_else(|| format!("{worker}: wrangler told no size: {said}"))?;
        eprintln!("{worker}:{size}");
        // In KiB, as wrangler tells it.
        #[allow(clippy::cast_precision_loss)]
        if gzip * 1024.0 > MOST as f64 {
            return Err(format!("{worker}: {gzip} KiB compressed, at most {} KiB are to be", MOST >> 10));
        }
    }
    Ok(())
}
