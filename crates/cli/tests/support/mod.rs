//! The real program on real files.
#![allow(dead_code)]

#[cfg(feature = "serve")]
pub(crate) mod proxy;
pub(crate) mod records;
#[cfg(all(unix, feature = "serve"))]
pub(crate) mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder of its own, removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vidsieve"));
    command.stdin(Stdio::null());
    command
}

pub(crate) fn vidsieve(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command prints as JSON; its exit status must be the one given.
pub(crate) fn json(arguments: &[&str], status: i32) -> Value {
    let output = vidsieve(arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// A refusal: status 2, nothing on standard output, one line that contains all of `names`.
pub(crate) fn refused(output: &Output, names: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty());
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    for name in names {
        assert!(message.contains(name), "{name}: {message}");
    }
    sane(&message);
}

/// No message is a panic.
pub(crate) fn sane(message: &str) {
    for word in ["panicked", "RUST_BACKTRACE", "unwrap"] {
        assert!(!message.contains(word), "{message}");
    }
}

pub(crate) fn ffmpeg(arguments: &[&str], out: &Path) {
    let program = std::env::var_os("VIDSIEVE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-v", "error", "-nostdin", "-y"]).args(arguments).arg(out);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
}

/// A clip by one of FFmpeg's sources.
pub(crate) fn clip(source: &str, out: &Path) {
    ffmpeg(&["-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"], out);
}

/// Clips that have nothing in common.
pub(crate) const SOURCES: [(&str, &str); 5] = [
    ("bars.mp4", "testsrc2=s=192x144:r=10:d=8"),
    (
        "life.mkv",
        "life=s=96x72:mold=10:r=10:ratio=0.1:death_color=#C83232:life_color=#00ff00:seed=5,scale=192x144,trim=duration=6",
    ),
    ("mandelbrot.mp4", "mandelbrot=s=192x144:r=5:end_scale=0.01:end_pts=50,trim=duration=7"),
    (
        "sub/gradients.webm",
        "gradients=s=192x144:r=10:n=4:c0=0xd03020:c1=0x20a040:c2=0x3050c0:c3=0xe0d060:x0=20:y0=10:x1=170:y1=130:speed=0.05,trim=duration=5,format=yuv420p",
    ),
    ("sub/cells.mp4", "cellauto=s=192x144:r=10:rule=110:seed=2,trim=duration=6"),
];

pub(crate) fn clips(folder: &Path) {
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::thread::scope(|scope| {
        for (name, source) in SOURCES {
            let path = folder.join(name);
            scope.spawn(move || match name.ends_with(".webm") {
                true => ffmpeg(&["-f", "lavfi", "-i", source, "-c:v", "libvpx", "-b:v", "300k"], &path),
                false => clip(source, &path),
            });
        }
    });
}

/// Ids of an index.
pub(crate) fn ids(index: &str) -> Vec<String> {
    let list = json(&["list", "--index", index, "--json"], 0);
    list["videos"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap().to_owned()).collect()
}

/// Sound records: `verify` finds nothing.
pub(crate) fn verified(index: &str) {
    let report = json(&["verify", "--index", index, "--json"], 0);
    assert_eq!((report["ok"].as_bool(), &report["checked"]), (Some(true), &report["videos"]), "{report}");
}
