//! The package for JavaScript hosts and the web application: the modules, the TypeScript, and their tests.

use crate::native::native;
use crate::node::{newest, packages, tests, tests_of};
use crate::run::{Line, root};
use crate::tools::{
    WASM, bindgen, chromium, ffmpeg_is_there, firefox, nightly_is_there, node_is_there, target, target_is_there, webkit,
};

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
    Module { name: "slim", arguments: "--no-default-features -- -C opt-level=z", flags: None, nightly: false },
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

/// The package in Node: its surface, the same numbers as natively, sizes, what a tarball holds.
pub(crate) fn test_package() -> Result<(), String> {
    built()?;
    ffmpeg_is_there()?;
    tests("npm/test", &[("VIDSIEVE", &native()?)])
}

/// The package and the application in Chromium.
pub(crate) fn test_browser() -> Result<(), String> {
    built()?;
    // A page that was built before may be current while what its tests need is not there yet.
    packages("www")?;
    crate::edge::edge_built()?;
    ffmpeg_is_there()?;
    let programs = [("VIDSIEVE", &*native()?), ("VIDSIEVE_CHROMIUM", &*chromium()?)];
    tests("npm/test/browser", &programs)?;
    tests("www/test", &programs)
}

/// The tests of the package that run in every browser.
const PORTABLE: &[&str] = &["browser.test.mjs", "files.test.mjs", "stream.test.mjs"];

/// The package in Firefox.
pub(crate) fn test_firefox() -> Result<(), String> {
    test_portable("firefox", ("VIDSIEVE_FIREFOX", &firefox()?))
}

/// The package in WebKitGTK.
pub(crate) fn test_webkit() -> Result<(), String> {
    test_portable("webkit", ("VIDSIEVE_WEBKIT", &webkit()?))
}

/// The tests of the package that run in every browser, in one of them.
fn test_portable(name: &str, program: (&str, &str)) -> Result<(), String> {
    built()?;
    ffmpeg_is_there()?;
    // Node 20 has WebSocket behind an option only.
    let node = ("NODE_OPTIONS", "--experimental-websocket");
    let programs = [("VIDSIEVE", &*native()?), ("VIDSIEVE_BROWSER", name), program, node];
    tests_of("npm/test/browser", PORTABLE, &programs)
}
