//! The programs that the steps need: what is missing is installed on Debian as root, and named elsewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::run::{Line, root};

/// The target of pages, Node and Workers.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

pub(crate) fn debian_root() -> bool {
    Path::new("/etc/debian_version").exists() && Line::new("id").arg("-u").output().is_ok_and(|id| id == "0")
}

/// Installs packages of Debian. Another `apt` that is running is waited for, ten minutes at most.
pub(crate) fn install(packages: &str) -> Result<(), String> {
    /// Seconds between two tries of `apt-get update`.
    const PAUSE: u64 = 5;
    /// Seconds to wait for another `apt`.
    const PATIENCE: u64 = 600;
    // The lock of the package lists is not waited for by `update` itself.
    let mut waited = 0;
    while let Err(reason) = Line::new("apt-get").args("-q update").env("LC_ALL", "C").run_with_reason() {
        if !reason.contains("Could not get lock") || waited >= PATIENCE {
            return Err(reason);
        }
        eprintln!("another apt is running: trying again in {PAUSE} s");
        std::thread::sleep(Duration::from_secs(PAUSE));
        waited += PAUSE;
    }
    let timeout = format!("DPkg::Lock::Timeout={PATIENCE}");
    let install = Line::new("apt-get").arg("-o").arg(&timeout).args("-q install -y --no-install-recommends");
    install.args(packages).run()
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
pub(crate) fn redis_is_there() -> Result<(), String> {
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
pub(crate) fn moto_server() -> Option<String> {
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

/// A current FFmpeg, in an environment of its own below the build folder: PyPI's imageio-ffmpeg carries a build of it. Where it
/// cannot be had, decoding is tested with the system's FFmpeg alone.
pub(crate) fn current_ffmpeg() -> Option<String> {
    // FFmpeg 9.0.2.
    const PACKAGE: &str = "imageio-ffmpeg==0.8.1";
    let folder = target().join("current-ffmpeg");
    let program = |name: &str| folder.join("bin").join(name).display().to_string();
    let find = || {
        let code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())";
        Line::new(&program("python3")).arg("-c").arg(code).output().ok().filter(|path| Path::new(path).is_file())
    };
    let install = || {
        Line::new("python3").args("-m venv").arg(&folder.display().to_string()).succeeds()
            && Line::new(&program("pip")).args("install --quiet --disable-pip-version-check").arg(PACKAGE).succeeds()
    };
    let found = find().or_else(|| if install() { find() } else { None });
    if found.is_none() {
        eprintln!(
            "note: {PACKAGE} is not here and pip cannot install it; decoding is tested with the system's FFmpeg alone"
        );
    }
    found
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

/// Of the command and of the crate, which must be the same.
const BINDGEN: &str = "0.2.130";

/// wasm-bindgen's command: the workspace's own, or one that is installed and of the same version.
pub(crate) fn bindgen() -> Result<String, String> {
    let own = root().join("tools/bin/wasm-bindgen").display().to_string();
    let fits = |program: &str| {
        let version = Line::new(program).arg("--version").output().unwrap_or_default();
        version.split_whitespace().last() == Some(BINDGEN)
    };
    if Path::new(&own).exists() && fits(&own) {
        return Ok(own);
    }
    if Line::new("wasm-bindgen").arg("--version").succeeds() && fits("wasm-bindgen") {
        return Ok("wasm-bindgen".into());
    }
    // Without --locked: its lock file names a version that is not published any more.
    // Little optimised: it takes longer to build than to run.
    let install = Line::cargo().args("install wasm-bindgen-cli --root tools --version").arg(BINDGEN);
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").run()?;
    Ok(own)
}

/// Whether there is a nightly toolchain with the sources of the standard library; what lacks is installed, if rustup can.
pub(crate) fn nightly_is_there() -> bool {
    let rustup = |args: &str| Line::new("rustup").args(args).succeeds();
    if rustup("run nightly rustc --version") {
        rustup("component add rust-src --toolchain nightly")
    } else {
        rustup("toolchain install nightly --profile minimal --component rust-src")
    }
}

/// Chromium; on Debian as root it is installed.
pub(crate) fn chromium() -> Result<String, String> {
    browser("VIDSIEVE_CHROMIUM", "Chromium", &["chromium", "chromium-browser", "google-chrome"], "chromium")
}

/// Firefox; on Debian as root its release with long support is installed.
pub(crate) fn firefox() -> Result<String, String> {
    browser("VIDSIEVE_FIREFOX", "Firefox", &["firefox-esr", "firefox"], "firefox-esr")
}

/// The driver of WebKitGTK, which needs a display and GStreamer's decoders; on Debian as root they are installed.
pub(crate) fn webkit() -> Result<String, String> {
    /// The decoders of H.264 and other codecs, the containers, and VP8, VP9 and AV1.
    const CODECS: &str =
        "gstreamer1.0-libav gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad";
    if Path::new("/etc/debian_version").exists() {
        let missing = CODECS.split(' ').any(|package| !Line::new("dpkg").args("--status").arg(package).succeeds());
        if missing && debian_root() {
            install(CODECS)?;
        } else if missing {
            return Err(format!("GStreamer's decoders are needed: install `{CODECS}`"));
        }
    }
    let display = || Line::new("which").arg("Xvfb").succeeds();
    if !display() && debian_root() {
        install("xvfb")?;
    }
    if !display() {
        return Err("a display without a screen is needed: install `xvfb`".into());
    }
    browser("VIDSIEVE_WEBKIT", "WebKitGTK's WebDriver", &["WebKitWebDriver"], "webkit2gtk-driver")
}

/// The path of a browser: the program that a variable names, or the first of these programs; on Debian as root the package is installed.
fn browser(variable: &str, what: &str, names: &[&str], package: &str) -> Result<String, String> {
    let named = std::env::var(variable).ok();
    // Some systems have a program of this name that installs the browser.
    let path = |name: &str| {
        let runs = Line::new(name).arg("--version").succeeds();
        if runs { Line::new("which").arg(name).output().ok() } else { None }
    };
    let find = || named.as_deref().into_iter().chain(names.iter().copied()).find_map(path);
    if let Some(path) = find() {
        return Ok(path);
    }
    if debian_root() {
        install(package)?;
    }
    find().ok_or_else(|| format!("{what} is needed: install `{package}`, or name the program in {variable}"))
}
