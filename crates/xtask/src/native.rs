//! The native tests, and those of the kernels and networks as WebAssembly under Node and as NEON under emulation.

use std::path::Path;

use crate::run::{Line, root};
use crate::tools::{
    current_ffmpeg, debian_root, ffmpeg_is_there, install, moto_server, node_is_there, redis_is_there, target,
    target_is_there,
};

const WASI: &str = "wasm32-wasip1";
const RELAXED: &str = "-C target-feature=+simd128,+relaxed-simd";
const NEON: &str = "aarch64-unknown-linux-gnu";

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

/// Features of the command that only tests, training and comparisons need.
const ALL_FEATURES: &str = "--features vidsieve-cli/train,vidsieve-cli/tract";

/// The tests of the whole workspace, and with them the command.
fn native_tests() -> Line {
    Line::cargo().args("test --workspace").args(ALL_FEATURES)
}

/// Runs the tests of the whole workspace.
pub(crate) fn test() -> Result<(), String> {
    ffmpeg_is_there()?;
    redis_is_there()?;
    match moto_server() {
        Some(server) => native_tests().env("VIDSIEVE_MOTO_SERVER", &server).run(),
        None => native_tests().run(),
    }
}

/// Runs the tests of decoding with a current FFmpeg; the others run with the system's.
pub(crate) fn test_current_ffmpeg() -> Result<(), String> {
    match current_ffmpeg() {
        Some(program) => native_tests().args("--lib ::process::").env("VIDSIEVE_FFMPEG", &program).run(),
        None => Ok(()),
    }
}

/// Lints everything that is built natively.
pub(crate) fn lints() -> Result<(), String> {
    Line::cargo().args("clippy --workspace --all-targets").args(ALL_FEATURES).args("-- -D warnings").run()
}

/// Checks the command as users build it, and the one of `cargo xtask demo`.
pub(crate) fn check_default() -> Result<(), String> {
    Line::cargo().args("check -p vidsieve-cli").run()?;
    Line::cargo().args("check -p vidsieve-cli --no-default-features").run()
}

/// Builds the documentation of every crate without warnings.
pub(crate) fn docs() -> Result<(), String> {
    Line::cargo().args("doc --workspace --no-deps").args(ALL_FEATURES).env("RUSTDOCFLAGS", "-D warnings").run()
}

/// Checks that the TypeScript declarations of the wire types are those of the Rust types.
pub(crate) fn check_types() -> Result<(), String> {
    Line::cargo().args("test -p vidsieve-wasm --features typescript --lib typescript").run()
}

/// Runs the kernels' tests as WebAssembly with simd128.
pub(crate) fn test_wasm() -> Result<(), String> {
    node_is_there()?;
    target_is_there(WASI)?;
    Line::cargo().args("test -p vidsieve-kernels --target").arg(WASI).run()
}

/// Runs the kernels' tests as WebAssembly with relaxed-simd.
pub(crate) fn test_wasm_relaxed() -> Result<(), String> {
    node_is_there()?;
    target_is_there(WASI)?;
    relaxed(Line::cargo().args("test -p vidsieve-kernels --target").arg(WASI)).run()
}

/// The command that the tests of the workspace are of: built with them, so that nothing is built twice.
pub(crate) fn command() -> Result<String, String> {
    native_tests().args("--quiet --no-run").run()?;
    Ok(target().join("debug/vidsieve").display().to_string())
}

pub(crate) fn parity_native() -> Result<(), String> {
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
pub(crate) fn bench_native() -> Result<(), String> {
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
pub(crate) fn linked() -> Result<(), String> {
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

pub(crate) fn neon() -> Result<(), String> {
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
    let crates = "-p vidsieve-checkpoint -p vidsieve-model -p vidsieve-record";
    Line::cargo().args("test").args(crates).args("fuzz_seeds -- --ignored").run()?;
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

/// The native command, which the package is compared with and which serves the pages of its tests: the one that the variable
/// VIDSIEVE names, or that of the workspace's tests.
pub(crate) fn native() -> Result<String, String> {
    std::env::var("VIDSIEVE").or_else(|_| command())
}
