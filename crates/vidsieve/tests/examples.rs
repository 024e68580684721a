//! Every example, as a program on real clips. `ask_an_endpoint` is run by the tests of the command, which have a server.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs an example; returns what it prints.
fn example(name: &str, arguments: &[&Path]) -> String {
    // Cargo builds the examples of a package before it runs all of its tests.
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{}: run `cargo build -p vidsieve --examples` first", program.display());
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

fn ffmpeg(arguments: &[&str], out: &Path) {
    let program = std::env::var_os("VIDSIEVE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-v", "error", "-nostdin", "-y"]).args(arguments).arg(out);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder with three films, a smaller copy of the first one beside them, and an excerpt of its seconds 2 to 6.
fn clips(folder: &Path) -> PathBuf {
    let films = folder.join("films");
    std::fs::create_dir(&films).unwrap();
    for (name, source) in [
        ("bars.mp4", "testsrc2=s=192x144:r=10:d=8"),
        ("mandelbrot.mp4", "mandelbrot=s=192x144:r=5:end_scale=0.01:end_pts=50,trim=duration=7"),
        ("cells.mp4", "cellauto=s=192x144:r=10:rule=110:seed=2,trim=duration=6"),
    ] {
        let encode = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
        ffmpeg(&[&["-f", "lavfi", "-i", source], encode.as_slice()].concat(), &films.join(name));
    }
    let bars = films.join("bars.mp4").display().to_string();
    ffmpeg(&["-i", &bars, "-vf", "scale=128:96", "-crf", "30"], &films.join("small.mp4"));
    let excerpt = folder.join("excerpt.mp4");
    ffmpeg(&["-ss", "2", "-t", "4", "-i", &bars, "-vf", "scale=128:96", "-crf", "34"], &excerpt);
    excerpt
}

/// The score at the beginning of a line.
fn score(line: &str) -> f64 {
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
}

#[test]
fn the_examples_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let (index, films) = (folder.path().join("index"), folder.path().join("films"));
    let excerpt = clips(folder.path());

    let printed = example("index_and_search", &[&index, &films, &excerpt]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "4 added, 0 unchanged, 0 failed", "{printed}");
    let first = lines[1];
    assert!(first.contains(" bars.mp4: ") || first.contains(" small.mp4: "), "{printed}");
    assert!(score(first) > 0.9 && lines[2].contains(" s at "), "{printed}");
    // What is indexed is skipped.
    let again = example("index_and_search", &[&index, &films, &excerpt]);
    assert!(again.starts_with("0 added, 4 unchanged, 0 failed\n"), "{again}");

    let printed = example("compare", &[&excerpt, &films.join("bars.mp4")]);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(score(lines[0]) > 0.9 && lines[1].contains(" s at "), "{printed}");
    let printed = example("compare", &[&excerpt, &films.join("cells.mp4")]);
    assert!(score(&printed) < 0.9, "{printed}");

    let printed = example("dedupe", &[&index]);
    assert!(printed.contains("keep bars.mp4 (largest picture)\ncopy small.mp4 ("), "{printed}");
    assert!(printed.trim_end().ends_with("among 4 videos"), "{printed}");

    let printed = example("own_frames", &[&folder.path().join("own")]);
    let words: Vec<&str> = printed.split_whitespace().collect();
    assert!(score(&printed) > 0.9 && words[1] == "rings", "{printed}");
    assert!(printed.contains("Some([4.") || printed.contains("Some([5."), "{printed}");
}
