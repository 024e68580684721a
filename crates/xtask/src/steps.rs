//! The steps of `cargo xtask test`, fast ones first, and the tasks that share them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::run::{Line, root};
use crate::{edge, web};

const WASI: &str = "wasm32-wasip1";
const RELAXED: &str = "-C target-feature=+simd128,+relaxed-simd";
const NEON: &str = "aarch64-unknown-linux-gnu";

struct Step {
    name: &'static str,
    run: fn() -> Result<(), String>,
}

const STEPS: &[Step] = &[
    Step { name: "format", run: || Line::cargo().args("fmt --all -- --check").run() },
    Step {
        name: "lints",
        run: || {
            Line::cargo()
                .args("clippy --workspace --all-targets --features vidsieve-cli/train -- -D warnings")
                .run()?;
            edge::lints()
        },
    },
    // The tests are of the command with training; users build it without.
    Step { name: "check-default", run: || Line::cargo().args("check -p vidsieve-cli").run() },
    Step {
        name: "test-native",
        run: || {
            ffmpeg_is_there()?;
            redis_is_there()?;
            match moto_server() {
                Some(server) => native_tests().env("VIDSIEVE_MOTO_SERVER", &server).run(),
                None => native_tests().run(),
            }
        },
    },
    // The declarations of npm/src/data/wire.generated.ts.
    Step {
        name: "check-types",
        run: || Line::cargo().args("test -p vidsieve-wasm --features typescript --lib typescript").run(),
    },
    Step { name: "test-linked", run: linked },
    Step { name: "parity-native", run: parity_native },
    Step { name: "bench-native", run: bench_native },
    Step {
        name: "test-wasm",
        run: || {
            node_is_there()?;
            target_is_there(WASI)?;
            Line::cargo().args("test -p vidsieve-kernels --target").arg(WASI).run()
        },
    },
    Step {
        name: "test-wasm-relaxed",
        run: || {
            node_is_there()?;
            target_is_there(WASI)?;
            relaxed(Line::cargo().args("test -p vidsieve-kernels --target").arg(WASI)).run()
        },
    },
    Step { name: "build-web", run: web::build },
    Step { name: "test-package", run: web::test_package },
    Step { name: "test-browser", run: web::test_browser },
    Step { name: "test-edge", run: edge::test },
    Step { name: "parity-wasm", run: || parity_wasm(None) },
    Step { name: "test-neon", run: neon },
];

pub(crate) fn test(only: &[String], list: bool) -> Result<(), String> {
    let steps: Vec<&Step> =
        STEPS.iter().filter(|s| only.is_empty() || only.iter().any(|o| s.name.contains(o.as_str()))).collect();
    if list {
        steps.iter().for_each(|s| println!("{}", s.name));
        return Ok(());
    }
    if steps.is_empty() {
        return Err("no step of that name; see `cargo xtask test --list`".into());
    }
    let start = Instant::now();
    let mut times = Vec::new();
    for step in &steps {
        eprintln!("\n== {} ==", step.name);
        let begin = Instant::now();
        (step.run)().map_err(|e| format!("step `{}`: {e}", step.name))?;
        times.push((step.name, begin.elapsed().as_secs()));
    }
    eprintln!("\nall {} steps passed in {} s:", steps.len(), start.elapsed().as_secs());
    times.iter().for_each(|(name, seconds)| eprintln!("  {name:<20} {seconds:>5} s"));
    Ok(())
}

pub(crate) fn debian_root() -> bool {
    Path::new("/etc/debian_version").exists() && Line::new("id").arg("-u").output().is_ok_and(|id| id == "0")
}

/// FFmpeg decodes and writes the videos of the tests; on Debian as root it is installed.
pub(crate) fn ffmpeg_is_there() -> Result<(), String> {
    if Line::new("ffmpeg").arg("-version").succeeds() && Line::new("ffprobe").arg("-version").succeeds() {
        return Ok(());
    }
    if !debian_root() {
        return Err("FFmpeg is needed: install `ffmpeg` (https://ffmpeg.org, or your system's package)".into());
    }
    install("ffmpeg")
}

/// The conformance tests of remote stores run against a Redis of their own; on Debian as root it is installed, elsewhere those tests
/// say that they are left out.
fn redis_is_there() -> Result<(), String> {
    if Line::new("redis-server").arg("--version").succeeds() {
        return Ok(());
    }
    if debian_root() {
        return install("redis-server");
    }
    eprintln!("note: redis-server is not here; the conformance tests of remote stores leave Redis out");
    Ok(())
}

/// moto's server, for the conformance tests of S3, in an environment of its own below the build folder: another version that is
/// installed may lack what the tests need. Where it cannot be had those tests say that they are left out.
fn moto_server() -> Option<String> {
    const PACKAGE: &str = "moto[s3,server]==5.2.5";
    let folder = target().join("moto");
    let program = |name: &str| folder.join("bin").join(name).display().to_string();
    let server = program("moto_server");
    let made = Line::new(&server).arg("--help").succeeds()
        || Line::new("python3").args("-m venv").arg(&folder.display().to_string()).succeeds()
            && Line::new(&program("pip")).args("install --quiet --disable-pip-version-check").arg(PACKAGE).succeeds();
    if !made {
        eprintln!(
            "note: {PACKAGE} is not here and pip cannot install it; the conformance tests of remote stores leave S3 out"
        );
    }
    made.then_some(server)
}

/// Installs packages of Debian.
pub(crate) fn install(packages: &str) -> Result<(), String> {
    Line::new("apt-get").args("-q update").run()?;
    Line::new("apt-get").args("-q install -y --no-install-recommends").args(packages).run()
}

/// Trains the default bundle from material to files, or goes on where an earlier run stopped; then measures it.
pub(crate) fn train_default(media: &Path, work: &Path, out: &Path) -> Result<(), String> {
    ffmpeg_is_there()?;
    let under = |part: &str| media.join(part).display().to_string();
    let mut line = Line::cargo().args("run -q --release -p vidsieve-cli --features train -- train bundle --work");
    line = line.arg(&work.display().to_string());
    let has_media = media.join("stills").is_dir();
    if has_media {
        line = line.arg("--stills").arg(&under("stills")).arg(&under("stills2"));
        line = line.arg("--clips").arg(&under("clips")).arg("--exclude").arg(&under("copies/truth.json"));
    } else {
        eprintln!("note: {} is not here; training on drawn images alone", media.display());
    }
    let file = |name: &str| out.join(name).display().to_string();
    line.arg("--out").arg(&file("default.safetensors")).arg("--full").arg(&file("default-full.safetensors")).run()?;
    if !has_media {
        return Ok(());
    }
    vidsieve()
        .args("eval retrieval --videos")
        .arg(&media.display().to_string())
        .arg("--truth")
        .arg(&under("copies/truth.json"))
        .arg("--model")
        .arg(&file("default-full.safetensors"))
        .run()?;
    hard_benchmark(media, work, &out.join("default-full.safetensors"), &work.join("plots"))
}

/// The command with training.
fn vidsieve() -> Line {
    Line::cargo().args("run -q --release -p vidsieve-cli --features train --")
}

/// The hard benchmark of a bundle, with selectors of other thresholds; each command continues where it stopped.
pub(crate) fn hard_benchmark(media: &Path, work: &Path, model: &Path, plots: &Path) -> Result<(), String> {
    ffmpeg_is_there()?;
    let under = |part: &str| media.join(part).display().to_string();
    let (work, model) = (work.display().to_string(), model.display().to_string());
    if !media.join("copies/truth.json").exists() {
        return Err(format!(
            "{} is not here: held-out clips are those that its copies/truth.json names",
            media.display()
        ));
    }
    let line = vidsieve().args("train features --work").arg(&work).arg("--from").arg(&model);
    let line = line.arg("--stills").arg(&under("stills")).arg(&under("stills2")).arg("--clips").arg(&under("clips"));
    line.arg("--exclude").arg(&under("copies/truth.json")).run()?;
    vidsieve().args("eval ablation threshold --work").arg(&work).arg("--model").arg(&model).run()?;
    let line = vidsieve().args("eval hard --work").arg(&work).arg("--model").arg(&model);
    let line = line.arg("--clips").arg(&under("clips")).arg("--named-in").arg(&under("copies/truth.json"));
    let line = line.arg("--stills").arg(&under("stills")).arg(&under("stills2")).arg("--selectors").arg(&work);
    line.arg("--plots").arg(&plots.display().to_string()).run()
}

pub(crate) fn node_is_there() -> Result<(), String> {
    let missing = "Node.js 20 or newer is needed for the WebAssembly tests: install `nodejs`";
    let version = Line::new("node").arg("--version").output().map_err(|_| missing.to_owned())?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|m| m.parse::<u32>().ok());
    if major.is_some_and(|m| m >= 20) { Ok(()) } else { Err(format!("{missing} (found {version})")) }
}

/// A target of the toolchain: those of `rust-toolchain.toml` come with it, unless it was there before.
pub(crate) fn target_is_there(target: &str) -> Result<(), String> {
    let installed = Line::new("rustup").args("target list --installed").output().unwrap_or_default();
    if installed.split_whitespace().any(|t| t == target) {
        return Ok(());
    }
    Line::new("rustup").args("target add").arg(target).run()
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root().join("target"), PathBuf::from)
}

/// A build for relaxed-simd, in a target folder of its own.
fn relaxed(line: Line) -> Line {
    line.env("CARGO_TARGET_DIR", &target().join("relaxed").display().to_string())
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", RELAXED)
}

/// The golden folders: the repository's own selection, and the full one where a checkout has it beside it.
fn golden_folders() -> Vec<String> {
    let mut folders = vec!["tests/golden".to_owned()];
    if root().join("../shared/golden").is_dir() {
        folders.push("../shared/golden".into());
    } else {
        eprintln!("note: ../shared/golden is not here; parity is checked with tests/golden alone");
    }
    folders
}

/// The tests of the whole workspace, and with them the command.
fn native_tests() -> Line {
    Line::cargo().args("test --workspace --features vidsieve-cli/train")
}

/// The command that the tests of the workspace are of: built with them, so that nothing is built twice.
pub(crate) fn command() -> Result<String, String> {
    native_tests().args("--quiet --no-run").run()?;
    Ok(target().join("debug/vidsieve").display().to_string())
}

fn parity_native() -> Result<(), String> {
    let command = command()?;
    for folder in golden_folders() {
        for isa in Line::new(&command).args("bench isas").output()?.split_whitespace() {
            Line::new(&command).args("eval parity").arg(&folder).args("--isa").arg(isa).run()?;
        }
    }
    Ok(())
}

pub(crate) fn parity_wasm(dir: Option<&Path>) -> Result<(), String> {
    node_is_there()?;
    target_is_there(WASI)?;
    let folders = dir.map_or_else(golden_folders, |d| vec![d.display().to_string()]);
    for folder in folders {
        Line::cargo().args("run -q -p vidsieve-wasi-tests --target").arg(WASI).args("-- parity").arg(&folder).run()?;
    }
    Ok(())
}

/// Every benchmark once, as a test: the results are checked and the ratios must not have collapsed.
fn bench_native() -> Result<(), String> {
    Line::new(&command()?).args("bench kernels --quick --check").run()
}

pub(crate) fn bench_wasm(args: &[String]) -> Result<(), String> {
    node_is_there()?;
    target_is_there(WASI)?;
    let line = |line: Line| {
        let line = line.args("run -q --release -p vidsieve-wasi-tests --target").arg(WASI).args("-- bench");
        args.iter().fold(line, |l, a| l.arg(a))
    };
    line(Line::cargo()).run()?;
    line(relaxed(Line::cargo())).run()
}

/// What the feature `linked` needs beside FFmpeg itself, as Debian calls it.
const LINKED_PACKAGES: &str = "libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libavfilter-dev \
    libavdevice-dev libswresample-dev libclang-dev clang pkg-config";

/// The tests of decoding in-process.
fn linked() -> Result<(), String> {
    if !debian_root() {
        eprintln!(
            "skipped: not Debian as root; install {LINKED_PACKAGES} and run `cargo test -p vidsieve-video --features linked`"
        );
        return Ok(());
    }
    ffmpeg_is_there()?;
    let libraries = "--exists libavcodec libavformat libavutil libswscale libavfilter libavdevice libswresample";
    if !Line::new("pkg-config").args(libraries).succeeds() || !Line::new("clang").arg("--version").succeeds() {
        install(LINKED_PACKAGES)?;
    }
    Line::cargo().args("test -p vidsieve-video --features linked").run()
}

fn neon() -> Result<(), String> {
    if cfg!(target_arch = "aarch64") {
        eprintln!("native already: tested by test-native");
        return Ok(());
    }
    if !Line::new("qemu-aarch64").arg("--version").succeeds()
        || !Line::new("aarch64-linux-gnu-gcc").arg("--version").succeeds()
    {
        if !debian_root() {
            eprintln!(
                "skipped: qemu-aarch64 and aarch64-linux-gnu-gcc are not here; on Debian: apt-get install qemu-user gcc-aarch64-linux-gnu"
            );
            return Ok(());
        }
        install("qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross")?;
    }
    target_is_there(NEON)?;
    // Emulation is slow: fewer cases of each property.
    Line::cargo().args("test -p vidsieve-kernels --lib --target").arg(NEON).env("PROPTEST_CASES", "16").run()
}

pub(crate) fn fuzz(seconds: u32) -> Result<(), String> {
    if !Line::cargo().args("+nightly fuzz --version").succeeds() {
        return Err("cargo-fuzz is needed: `rustup toolchain install nightly && cargo install cargo-fuzz`".into());
    }
    // Small sound files to start from; they come to fuzz/corpus.
    Line::cargo().args("test -p vidsieve-model -p vidsieve-record fuzz_seeds -- --ignored").run()?;
    let targets = Line::cargo().args("+nightly fuzz list").output()?;
    for target in targets.split_whitespace() {
        let limit = format!("-max_total_time={seconds}");
        Line::cargo()
            .args("+nightly fuzz run")
            .arg(target)
            .args("-- -rss_limit_mb=2048 -malloc_limit_mb=256 -max_len=8192")
            .arg(&limit)
            .run()?;
    }
    Ok(())
}
