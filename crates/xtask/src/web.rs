//! The package for JavaScript hosts and the web application: the modules, the TypeScript, and their tests.

use std::path::{Path, PathBuf};

use crate::run::{Line, root};
use crate::steps::{command, debian_root, ffmpeg_is_there, install, node_is_there, target, target_is_there};

/// Of the command and of the crate, which must be the same.
const BINDGEN: &str = "0.2.130";
pub(crate) const WASM: &str = "wasm32-unknown-unknown";
const RELAXED: &str = "-C target-feature=+simd128,+relaxed-simd";

/// Shared memory that grows to 1 GiB, and what wasm-bindgen needs to give each thread its stack and its variables: atomics alone do not
/// imply them any more.
const THREADS: &str = "-C target-feature=+atomics,+bulk-memory,+mutable-globals,+simd128 -C link-arg=--shared-memory \
    -C link-arg=--max-memory=1073741824 -C link-arg=--import-memory -C link-arg=--export=__wasm_init_tls \
    -C link-arg=--export=__tls_size -C link-arg=--export=__tls_align -C link-arg=--export=__tls_base";

/// A module of the package.
struct Module {
    name: &'static str,
    /// Arguments of cargo.
    arguments: &'static str,
    /// Flags of the compiler, with a folder of builds of their own.
    flags: Option<(&'static str, &'static str)>,
    /// Whether the standard library is built as well, which nightly toolchains do.
    nightly: bool,
}

/// The optimisation of the last crate is that of the whole: at "s" loops do not become vectors, which takes the encoder twice as long.
/// What the slim module computes is in kernels that are written as vectors. The first two share a folder of builds.
const MODULES: [Module; 4] = [
    Module { name: "full", arguments: "", flags: None, nightly: false },
    Module { name: "slim", arguments: "--no-default-features -- -C opt-level=s", flags: None, nightly: false },
    Module { name: "full-relaxed", arguments: "", flags: Some(("relaxed", RELAXED)), nightly: false },
    Module {
        name: "full-threads",
        arguments: "--features threads -Z build-std=panic_abort,std",
        flags: Some(("threads", THREADS)),
        nightly: true,
    },
];

impl Module {
    fn build(&self, bindgen: &str) -> Result<(), String> {
        let line = if self.nightly { Line::cargo().arg("+nightly") } else { Line::cargo() };
        let mut line =
            line.args("rustc -p vidsieve-wasm --profile release-wasm --target").arg(WASM).args(self.arguments);
        let mut folder = target();
        if let Some((own, flags)) = self.flags {
            folder = folder.join(own);
            line = line
                .env("CARGO_TARGET_DIR", &folder.display().to_string())
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
        }
        line.run()?;
        let module = folder.join(WASM).join("release-wasm/vidsieve_wasm.wasm");
        Line::new(bindgen)
            .args("--target web --omit-default-module-path --remove-name-section --remove-producers-section")
            .args("--out-name vidsieve --out-dir")
            .arg(&self.output())
            .arg(&module.display().to_string())
            .run()
    }

    fn output(&self) -> String {
        format!("npm/build/{}", self.name)
    }

    /// Leaves it out of the package: what an earlier build made is not shipped.
    fn leave_out(&self) -> Result<(), String> {
        let output = root().join(self.output());
        if output.exists() {
            std::fs::remove_dir_all(&output).map_err(|e| format!("{}: {e}", output.display()))
        } else {
            Ok(())
        }
    }
}

/// The module of benchmarks.
const BENCH: Module =
    Module { name: "bench", arguments: "--features bench", flags: Some(("relaxed", RELAXED)), nightly: false };

/// What the encoder is compared with.
const ONNXRUNTIME: &str = "onnxruntime-web@1.30.0";

/// The backbone and the encoder against onnxruntime-web in Chromium.
pub(crate) fn bench(args: &[String]) -> Result<(), String> {
    built()?;
    BENCH.build(&bindgen()?)?;
    // No dependency of the package: it lies by itself.
    let folder = target().join("onnxruntime-web");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let folder = folder.display().to_string();
    Line::new("npm").args("install --no-audit --no-fund --prefix").arg(&folder).arg(ONNXRUNTIME).run()?;
    let line = Line::new("node").arg("npm/bench/onnx.mjs").env("VIDSIEVE_CHROMIUM", &chromium()?);
    let line = line.env("ONNXRUNTIME_WEB", &folder);
    args.iter().fold(line, |l, a| l.arg(a)).run()
}

/// Whether there is a nightly toolchain with the sources of the standard library; what lacks is installed, if rustup can.
fn nightly_is_there() -> bool {
    let rustup = |args: &str| Line::new("rustup").args(args).succeeds();
    if rustup("run nightly rustc --version") {
        rustup("component add rust-src --toolchain nightly")
    } else {
        rustup("toolchain install nightly --profile minimal --component rust-src")
    }
}

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
    Line::cargo().args("install wasm-bindgen-cli --root tools --version").arg(BINDGEN).run()?;
    Ok(own)
}

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

/// Builds the package in npm/dist and the application in www/dist.
pub(crate) fn build() -> Result<(), String> {
    node_is_there()?;
    if !Line::new("npm").arg("--version").succeeds() {
        return Err("npm is needed: install `npm`, it comes with most packages of Node.js".into());
    }
    target_is_there(WASM)?;
    let bindgen = bindgen()?;
    packages("npm")?;
    let nightly = nightly_is_there();
    if !nightly {
        eprintln!("note: no nightly toolchain with rust-src; the package is built without the module that has threads");
    }
    // Two at once: optimising a whole module is work for one core.
    let make = |modules: &[Module]| {
        modules
            .iter()
            .try_for_each(|module| if nightly || !module.nightly { module.build(&bindgen) } else { module.leave_out() })
    };
    let (first, second) = MODULES.split_at(2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| make(first));
        make(second).and(first.join().unwrap_or_else(|_| Err("the thread that builds modules ended".into())))
    })?;
    Line::new("node").arg("npm/build.mjs").run()?;
    // The application uses the package as others do.
    packages("www")?;
    Line::new("npm").args("run build --prefix www").run()
}

/// Builds what is not there or older than what it is made of.
pub(crate) fn built() -> Result<(), String> {
    let sources = [
        "crates/wasm",
        "crates/model",
        "crates/search",
        "crates/record",
        "crates/kernels",
        "npm/src",
        "www/src",
        "www/public",
    ];
    let files =
        ["npm/build.mjs", "npm/package.json", "models/default.safetensors", "www/index.html", "www/vite.config.js"];
    let newest = sources.iter().chain(&files).filter_map(|path| newest(&root().join(path))).max();
    let made = root().join("www/dist/index.html").metadata().and_then(|m| m.modified()).ok();
    if made.is_some() && made >= newest { Ok(()) } else { build() }
}

/// When the newest file of a folder was changed.
pub(crate) fn newest(path: &Path) -> Option<std::time::SystemTime> {
    if path.is_dir() {
        return std::fs::read_dir(path).ok()?.filter_map(|entry| newest(&entry.ok()?.path())).max();
    }
    path.metadata().and_then(|m| m.modified()).ok()
}

/// The package in Node: its surface, the same numbers as natively, sizes, what a tarball holds.
pub(crate) fn test_package() -> Result<(), String> {
    built()?;
    ffmpeg_is_there()?;
    tests("npm/test", &[("VIDSIEVE", &native()?)])
}

/// The native command, which the package is compared with and which serves the pages of its tests: the one that the variable
/// VIDSIEVE names, or that of the workspace's tests.
pub(crate) fn native() -> Result<String, String> {
    std::env::var("VIDSIEVE").or_else(|_| command())
}

/// The package and the application in Chromium.
pub(crate) fn test_browser() -> Result<(), String> {
    built()?;
    crate::edge::edge_built()?;
    ffmpeg_is_there()?;
    let programs = [("VIDSIEVE", &*native()?), ("VIDSIEVE_CHROMIUM", &*chromium()?)];
    tests("npm/test/browser", &programs)?;
    tests("www/test", &programs)
}

/// The tests of a folder under Node, which are told of programs.
pub(crate) fn tests(folder: &str, programs: &[(&str, &str)]) -> Result<(), String> {
    let mut files: Vec<String> = std::fs::read_dir(root().join(folder))
        .map_err(|e| format!("{folder}: {e}"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    files.sort();
    let line = Line::new("node").args("--test --test-concurrency=1 --test-reporter=spec");
    let line = programs.iter().fold(line, |line, (variable, program)| line.env(variable, program));
    files.iter().fold(line, |line, name| line.arg(&format!("{folder}/{name}"))).run()
}

/// Chromium; on Debian as root it is installed.
pub(crate) fn chromium() -> Result<String, String> {
    let named = std::env::var("VIDSIEVE_CHROMIUM").ok();
    let known = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    let found = |name: &String| Line::new(name).arg("--version").succeeds();
    let path = |name: String| Line::new("which").arg(&name).output();
    if let Some(name) = named.into_iter().chain(known).find(found) {
        return path(name);
    }
    if !debian_root() {
        return Err("Chromium is needed: install `chromium`, or name the program in VIDSIEVE_CHROMIUM".into());
    }
    install("chromium")?;
    path("chromium".into())
}
