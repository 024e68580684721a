//! Files and circumstances that go wrong: each is named with what to do, nothing is lost, nothing panics.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use redb::ReadableTable;
use serde_json::Value;
use support::{Scratch, clip, clips, command, ffmpeg, ids, json, refused, sane, stderr, verified, vidsieve};

fn note<'a>(report: &'a Value, id: &str) -> &'a Value {
    let files = report["files"].as_array().unwrap();
    files.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("{id}: {report}"))
}

#[test]
fn broken_and_odd_files_are_named_and_the_others_are_indexed() {
    let dir = Scratch::new("odd");
    let (videos, index) = (dir.folder("videos"), dir.text("index"));
    let at = |name: &str| videos.join(name);
    clip("testsrc2=s=192x144:r=10:d=10", &at("sound.mp4"));
    let whole = std::fs::read(at("sound.mp4")).unwrap();
    std::fs::write(at("empty.mp4"), b"").unwrap();
    std::fs::write(at("text.mp4"), "no video at all").unwrap();
    // An MP4 whose index comes last is nothing when it is cut; a Matroska file is what is there.
    std::fs::write(at("cut.mp4"), &whole[..whole.len() / 2]).unwrap();
    clip("testsrc2=s=192x144:r=10:d=12", &at("cut.mkv"));
    let bytes = std::fs::read(at("cut.mkv")).unwrap();
    std::fs::write(at("cut.mkv"), &bytes[..bytes.len() / 2]).unwrap();
    // Named MP4, but a Matroska file.
    std::fs::write(at("disguised.mp4"), &bytes).unwrap();
    ffmpeg(&["-f", "lavfi", "-i", "testsrc=s=96x72:r=1:d=1", "-frames:v", "1", "-c:v", "libx264"], &at("frame.mp4"));
    ffmpeg(&["-f", "lavfi", "-i", "testsrc=s=96x72:r=10:d=3"], &at("moving.gif"));
    ffmpeg(&["-f", "lavfi", "-i", "sine=d=3"], &at("audio.mp4"));
    ffmpeg(
        &["-f", "lavfi", "-i", "testsrc2=s=7680x4320:r=1:d=2", "-c:v", "libx264", "-preset", "ultrafast"],
        &at("8k.mp4"),
    );
    // Valid for a file system, a trap for shells, terminals and UTF-8.
    std::fs::write(at("new\nline \u{1b}[31m.mp4"), &whole).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"latin-\xe9.mp4");
        ffmpeg(&["-f", "lavfi", "-i", "testsrc=s=96x72:r=5:d=2"], &dir.path("latin.mp4"));
        std::fs::rename(dir.path("latin.mp4"), videos.join(name)).unwrap();
    }
    std::fs::create_dir(at("folder.mp4")).unwrap();
    // A link that leads nowhere, one that leads back, and a thing that would block whoever reads it.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at("nowhere"), at("dangling.mp4")).unwrap();
        std::os::unix::fs::symlink(&videos, at("loop")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe.mp4")).status().unwrap().success());
    }

    let folder = videos.display().to_string();
    let output = vidsieve(&["index", "--index", &index, "--json", &folder]);
    let messages = stderr(&output);
    sane(&messages);
    assert_eq!(output.status.code(), Some(1), "{messages}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (id, reason) in [
        ("empty.mp4", "copy or download it again"),
        ("text.mp4", "not a video that FFmpeg can read"),
        ("cut.mp4", "not a video that FFmpeg can read"),
        ("audio.mp4", "has sound but no video stream"),
    ] {
        let note = note(&report, id);
        assert_eq!(note["status"], "failed");
        assert!(note["reason"].as_str().unwrap().contains(reason), "{note}");
        assert!(messages.lines().any(|l| l.contains(id) && l.contains(reason)), "{id}: {messages}");
    }
    assert_eq!((report["failed"].as_u64(), report["warned"].as_u64()), (Some(4), Some(1)), "{report}");
    assert!(note(&report, "cut.mkv")["reason"].as_str().unwrap().contains("only the first"), "{report}");
    // One line each, whatever a file is called.
    assert_eq!(messages.lines().count(), 5, "{messages}");
    let mut expected =
        vec!["8k.mp4", "cut.mkv", "disguised.mp4", "frame.mp4", "moving.gif", "new%0Aline %1B[31m.mp4", "sound.mp4"];
    if cfg!(unix) {
        expected.push("latin-%E9.mp4");
    }
    expected.sort_unstable();
    assert_eq!(ids(&index), expected);
    verified(&index);

    // Failures are remembered, and tried again when asked for or when the file changes.
    let again = json(&["index", "--index", &index, "--json", &folder], 1);
    assert_eq!(
        (again["failed"].as_u64(), again["skipped"].as_u64(), again["added"].as_u64()),
        (Some(4), Some(8), Some(0))
    );
    assert_eq!(note(&again, "text.mp4")["known"], true);
    let again = json(&["index", "--index", &index, "--json", "--retry-failed", &folder], 1);
    assert_eq!(note(&again, "text.mp4")["known"], false);
    std::fs::write(at("text.mp4"), &whole).unwrap();
    let again = json(&["index", "--index", &index, "--json", &folder], 1);
    assert_eq!((again["failed"].as_u64(), again["added"].as_u64()), (Some(3), Some(1)));
    // A file that was sound and is broken now is told; its video stays until it is removed.
    std::fs::write(at("sound.mp4"), "broken").unwrap();
    let again = json(&["index", "--index", &index, "--json", &folder], 1);
    assert_eq!(again["failed"].as_u64(), Some(4));
    assert!(ids(&index).contains(&"sound.mp4".to_owned()));

    // What is searched for may be as odd.
    let found = json(&["search", "--index", &index, &at("disguised.mp4").display().to_string(), "--json"], 0);
    assert_eq!(found["hits"].as_array().unwrap().len(), 9);
    let found = json(&["search", "--index", &index, &at("frame.mp4").display().to_string(), "--json"], 0);
    assert_eq!(found["hits"][0]["id"], "frame.mp4", "{found}");
    let text = vidsieve(&["search", "--index", &index, &at("new\nline \u{1b}[31m.mp4").display().to_string()]);
    assert!(!String::from_utf8(text.stdout).unwrap().contains('\x1b'));
    for (name, reason) in [
        ("empty.mp4", "is empty"),
        ("cut.mp4", "not a video"),
        ("audio.mp4", "no video stream"),
        ("none.mp4", "No such file"),
    ] {
        let path = at(name).display().to_string();
        refused(&vidsieve(&["search", "--index", &index, &path]), &[name, reason]);
        refused(&vidsieve(&["compare", &path, &path]), &[name, reason]);
    }
    refused(&vidsieve(&["search", "--index", &index, &folder]), &["is not a file"]);
}

#[test]
fn paths_without_videos_and_names_that_are_too_long() {
    let dir = Scratch::new("clash");
    clip("testsrc=s=96x72:r=5:d=2", &dir.folder("a").join("x.mp4"));
    let a = dir.text("a");
    // Nothing to index.
    refused(
        &vidsieve(&["index", "--index", &dir.text("new"), &dir.folder("none").display().to_string()]),
        &["no videos in"],
    );
    refused(&vidsieve(&["index", "--index", &dir.text("new"), &dir.text("nowhere")]), &["nowhere"]);
    assert!(!dir.path("new").exists());
    // A name that makes too long an id: the others go on.
    let deep = (0..3).fold(dir.path("deep"), |path, _| path.join("d".repeat(200)));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::copy(dir.path("a/x.mp4"), deep.join("x.mp4")).unwrap();
    let report = json(&["index", "--index", &dir.text("new"), "--json", &dir.text("deep"), &a], 1);
    assert_eq!((report["added"].as_u64(), report["failed"].as_u64()), (Some(1), Some(1)));
    assert!(report["files"][0]["reason"].as_str().unwrap().contains("further down"), "{report}");
}

#[test]
fn indexes_that_cannot_be_used() {
    let dir = Scratch::new("indexes");
    let (videos, index) = (dir.text("videos"), dir.text("index"));
    clip("testsrc=s=96x72:r=5:d=3", &dir.folder("videos").join("x.mp4"));
    json(&["index", "--index", &index, "--json", &videos], 0);
    let query = dir.text("videos/x.mp4");
    let copy = |name: &str| -> String {
        let to = dir.folder(name);
        for file in ["index.redb", "model.safetensors"] {
            std::fs::copy(dir.path("index").join(file), to.join(file)).unwrap();
        }
        to.display().to_string()
    };

    // Written by a later program.
    let future = copy("future");
    {
        let database = redb::Database::open(Path::new(&future).join("index.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
        transaction.open_table(meta).unwrap().insert("version", 99u32.to_le_bytes().as_slice()).unwrap();
        transaction.commit().unwrap();
    }
    for arguments in [
        vec!["search", "--index", &future, &query],
        vec!["index", "--index", &future, &videos],
        vec!["list", "--index", &future],
        vec!["remove", "--index", &future, "x.mp4"],
        vec!["verify", "--index", &future],
        vec!["dedupe", "--index", &future],
        vec!["compact", "--index", &future],
    ] {
        refused(&vidsieve(&arguments), &["future", "version 99", "newer Vidsieve"]);
    }

    // Overwritten, cut, without its bundle, with another one.
    let garbage = copy("garbage");
    std::fs::write(Path::new(&garbage).join("index.redb"), vec![7u8; 40_000]).unwrap();
    let cut = copy("cut");
    let file = Path::new(&cut).join("index.redb");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 3]).unwrap();
    for folder in [&garbage, &cut] {
        refused(&vidsieve(&["search", "--index", folder, &query]), &["damaged"]);
        refused(&vidsieve(&["index", "--index", folder, &videos]), &["damaged"]);
        // That is what `verify` is asked about.
        let output = vidsieve(&["verify", "--index", folder]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        sane(&stderr(&output));
    }
    let bare = copy("bare");
    std::fs::remove_file(Path::new(&bare).join("model.safetensors")).unwrap();
    refused(&vidsieve(&["search", "--index", &bare, &query]), &["bare", "model.safetensors"]);
    std::fs::write(Path::new(&bare).join("model.safetensors"), b"not a bundle").unwrap();
    refused(&vidsieve(&["search", "--index", &bare, &query]), &["model.safetensors"]);

    // A damaged record: told by name, the others are searched.
    clip("testsrc2=s=96x72:r=5:d=4", &dir.path("videos/y.mp4"));
    json(&["index", "--index", &index, "--json", &videos], 0);
    {
        let database = redb::Database::open(dir.path("index/index.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let records: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("records");
        {
            let mut records = transaction.open_table(records).unwrap();
            let mut bytes = records.get("x.mp4").unwrap().unwrap().value().to_vec();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            records.insert("x.mp4", bytes.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    }
    let output = vidsieve(&["verify", "--index", &index, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["checked"].as_u64(), report["damaged"][0]["id"].as_str()), (Some(2), Some("x.mp4")), "{report}");
    assert!(stderr(&output).contains("vidsieve remove"), "{}", stderr(&output));
    let output = vidsieve(&["search", "--index", &index, &query, "--json"]);
    assert!(output.status.success() && stderr(&output).contains("vidsieve verify"), "{}", stderr(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["reranked"].as_u64(), Some(1));
    let hit = answer["hits"].as_array().unwrap().iter().find(|h| h["id"] == "x.mp4").unwrap();
    assert!(hit["unavailable"].as_str().is_some() && hit["fine"].is_null(), "{hit}");
    json(&["remove", "--index", &index, "--json", "x.mp4"], 0);
    json(&["index", "--index", &index, "--json", &videos], 0);
    verified(&index);
}

/// Highest resident memory of a process so far, in MB.
#[cfg(target_os = "linux")]
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb / 1024)
}

#[test]
#[cfg(target_os = "linux")]
fn hours_in_a_few_kilobytes_take_bounded_time_and_memory() {
    let dir = Scratch::new("hours");
    let videos = dir.folder("videos");
    // An hour of one picture, and ten hours in which it changes every minute.
    let still =
        ["-f", "lavfi", "-i", "color=c=gray:s=320x180:r=1/20:d=3600", "-c:v", "libx264", "-preset", "ultrafast"];
    ffmpeg(&still, &videos.join("still.mp4"));
    clip("testsrc2=s=64x48:r=1/60:d=36000", &dir.path("long.mkv"));
    assert!(std::fs::metadata(videos.join("still.mp4")).unwrap().len() < 100_000);
    let index = dir.text("index");
    watched(&["index", "--index", &index, "--json", videos.to_str().unwrap()]);
    let list = json(&["list", "--index", &index, "--json"], 0);
    let frames = list["videos"][0]["frames"].as_u64().unwrap();
    assert!((3580..=3601).contains(&frames), "{frames}");
    verified(&index);
    // A frame in twenty seconds: the time that the networks take for a whole video grows with the square of its frames.
    let (index, long) = (dir.text("sparse"), dir.text("long.mkv"));
    watched(&["index", "--index", &index, "--fps", "0.05", "--json", &long]);
    let list = json(&["list", "--index", &index, "--json"], 0);
    let frames = list["videos"][0]["frames"].as_u64().unwrap();
    assert!((1794..=1801).contains(&frames), "{frames}");
    // Twenty minutes out of the ten hours.
    let cut = dir.path("cut.mkv");
    ffmpeg(&["-ss", "7200", "-t", "1200", "-i", &long, "-c:v", "libx264"], &cut);
    let answer = json(&["search", "--index", &index, cut.to_str().unwrap(), "--json"], 0);
    assert_eq!(
        (answer["hits"][0]["id"].as_str(), answer["reranked"].as_u64()),
        (Some("long.mkv"), Some(1)),
        "{answer}"
    );
}

/// Runs a command that must succeed, in two minutes and 500 MB.
#[cfg(target_os = "linux")]
fn watched(arguments: &[&str]) {
    let start = Instant::now();
    let mut child = command().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        most = most.max(peak(&child).unwrap_or(0));
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{arguments:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{arguments:?}: {status}");
    assert!(most > 0 && most < 500, "{arguments:?}: {most} MB");
}

/// Starts to index, in a process of its own.
fn start(index: &str, videos: &Path) -> Child {
    command()
        .args(["index", "--index", index, "--jobs", "1", videos.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn killed_in_the_middle_it_goes_on_from_there() {
    let dir = Scratch::new("killed");
    let (videos, index) = (dir.folder("videos"), dir.text("index"));
    clips(&videos);
    let sources: Vec<_> =
        std::fs::read_dir(&videos).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
    // Several of the same length, each of its own bytes.
    for k in 0..24u8 {
        let source = &sources[usize::from(k) % sources.len()];
        let to = videos.join(format!("{k:02}.mkv"));
        let title = format!("title={k}");
        ffmpeg(&["-i", source.to_str().unwrap(), "-c", "copy", "-metadata", &title], &to);
    }
    let mut before = 0;
    for pause in [150, 700, 1500, 2500] {
        let mut child = start(&index, &videos);
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        if !dir.path("index/index.redb").exists() {
            continue;
        }
        // It opens, nothing of it is damaged, and what was there still is.
        verified(&index);
        let now = ids(&index).len();
        assert!(now >= before, "{now} after {before}");
        before = now;
    }
    let report = json(&["index", "--index", &index, "--json", videos.to_str().unwrap()], 0);
    assert_eq!(report["skipped"].as_u64(), Some(before as u64), "{report}");
    assert_eq!((report["videos"].as_u64(), report["failed"].as_u64()), (Some(29), Some(0)));
    verified(&index);
    let left: Vec<_> = std::fs::read_dir(dir.path("index")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.iter().filter(|n| n.to_string_lossy().ends_with(".tmp")).count(), 0, "{left:?}");
}

#[test]
#[cfg(unix)]
fn interrupted_it_keeps_what_is_done() {
    let dir = Scratch::new("interrupted");
    let (videos, index) = (dir.folder("videos"), dir.text("index"));
    for k in 0..30 {
        clip(&format!("testsrc2=s=320x240:r=25:d={}", 20 + k), &videos.join(format!("{k:02}.mp4")));
    }
    let child = start(&index, &videos);
    std::thread::sleep(Duration::from_millis(1500));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("interrupted") && began.elapsed() < Duration::from_secs(10), "{message}");
    verified(&index);
    let before = ids(&index).len() as u64;
    assert!(before < 30, "it was interrupted too late to tell anything");
    // Nothing counts as a failure because of it.
    let report = json(&["index", "--index", &index, "--json", videos.to_str().unwrap()], 0);
    let count = |key: &str| report[key].as_u64().unwrap();
    assert_eq!((count("failed"), count("skipped"), count("videos")), (0, before, 30), "{report}");
}

#[test]
#[cfg(unix)]
fn interrupted_while_it_reads_the_query() {
    let dir = Scratch::new("interrupted-search");
    let (video, index) = (dir.path("a.mp4"), dir.text("index"));
    clip("testsrc2=s=64x48:r=10:d=4000", &video);
    let small = dir.path("b.mp4");
    clip("testsrc2=s=64x48:r=10:d=4", &small);
    json(&["index", "--index", &index, "--json", small.to_str().unwrap()], 0);
    let mut child = command();
    child.args(["search", "--index", &index]).arg(&video).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).trim()), (Some(1), "vidsieve: interrupted"));
}

#[test]
fn two_at_once() {
    let dir = Scratch::new("two");
    let (videos, index) = (dir.folder("videos"), dir.text("index"));
    for k in 0..8 {
        clip(&format!("testsrc2=s=320x240:r=25:d={}", 10 + k), &videos.join(format!("{k}.mp4")));
    }
    // Each has files of its own: what one says is done must not be lost to the other.
    let other = dir.folder("other");
    clip("testsrc2=s=320x240:r=25:d=9", &other.join("other.mp4"));
    let mut children = [start(&index, &videos), start(&index, &other)].map(Some);
    let outputs = children.each_mut().map(|c| c.take().unwrap().wait_with_output().unwrap());
    for output in &outputs {
        let message = stderr(output);
        sane(&message);
        match output.status.code() {
            Some(0) => {}
            Some(2) => assert!(message.contains("another process"), "{message}"),
            code => panic!("{code:?}: {message}"),
        }
    }
    assert!(outputs.iter().any(|o| o.status.success()));
    let found = ids(&index);
    if outputs[0].status.success() {
        assert_eq!(found.iter().filter(|id| *id != "other.mp4").count(), 8, "{found:?}");
    }
    assert!(!outputs[1].status.success() || found.contains(&"other.mp4".to_owned()), "{found:?}");
    verified(&index);
}

/// Any byte of the database may change on a bad disk.
#[test]
fn a_damaged_database_is_told() {
    let dir = Scratch::new("flipped");
    let (videos, index) = (dir.folder("videos"), dir.text("index"));
    clips(&videos);
    json(&["index", "--index", &index, "--json", videos.to_str().unwrap()], 0);
    let file = dir.path("index/index.redb");
    let good = std::fs::read(&file).unwrap();
    let mut told = 0;
    for k in 0..24usize {
        let mut bytes = good.clone();
        // Spread over the file, most of them where something is.
        let at = (0..good.len()).map(|i| (i + k * good.len() / 24) % good.len()).find(|i| bytes[*i] != 0).unwrap();
        bytes[at] ^= 0x41;
        std::fs::write(&file, bytes).unwrap();
        for arguments in [&["verify"][..], &["list"], &["search", "id:bars.mp4"]] {
            let output = vidsieve(&[&arguments[..1], &["--index", &index], &arguments[1..]].concat());
            let message = stderr(&output);
            assert!(matches!(output.status.code(), Some(0..=2)), "byte {at}: {arguments:?}: {message}");
            assert!(!message.contains("RUST_BACKTRACE"), "{message}");
            told += usize::from(arguments[0] == "verify" && output.status.code() != Some(0));
        }
    }
    assert!(told > 8, "{told} of 24 damages were found");
    std::fs::write(&file, good).unwrap();
    verified(&index);
}

/// A pipe that is called like a video is passed over, not waited for.
#[test]
#[cfg(unix)]
fn a_pipe_among_the_files() {
    let dir = Scratch::new("pipe");
    let (videos, index) = (dir.folder("videos"), dir.text("index"));
    clip("testsrc2=s=64x48:r=10:d=4", &videos.join("a.mp4"));
    assert!(std::process::Command::new("mkfifo").arg(videos.join("x.ts")).status().unwrap().success());
    json(&["index", "--index", &index, "--json", videos.to_str().unwrap()], 0);
    assert_eq!(ids(&index), ["a.mp4"]);
    // A query whose name is not UTF-8 is taken.
    use std::os::unix::ffi::OsStrExt;
    let odd = videos.join(std::ffi::OsStr::from_bytes(b"odd \xff.mp4"));
    std::fs::copy(videos.join("a.mp4"), &odd).unwrap();
    let output = command().args(["search", "--index", &index, "--json"]).arg(&odd).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_folder_that_cannot_be_written() {
    let dir = Scratch::new("unwritable");
    let videos = dir.folder("videos");
    clip("testsrc=s=96x72:r=5:d=2", &videos.join("x.mp4"));
    let videos = videos.display().to_string();
    // A file where the folder should be stops whoever runs the test, an administrator too.
    std::fs::write(dir.path("file"), "x").unwrap();
    refused(&vidsieve(&["index", "--index", &dir.text("file/index"), &videos]), &["file/index"]);
    refused(&vidsieve(&["index", "--index", &dir.text("file"), &videos]), &["file"]);
    if cfg!(target_os = "linux") {
        refused(&vidsieve(&["index", "--index", "/proc/vidsieve", &videos]), &["/proc/vidsieve"]);
    }
}

/// Mounts a small file system; needs an administrator.
#[cfg(target_os = "linux")]
struct Mount(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Mount {
    fn new(at: &Path, options: &str) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).stderr(Stdio::null());
        mount.status().is_ok_and(|s| s.success()).then(|| Self(at.to_owned()))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_and_one_that_is_read_only() {
    let dir = Scratch::new("full");
    let (videos, small) = (dir.folder("videos"), dir.folder("small"));
    let Some(mount) = Mount::new(&small, "size=6m") else {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    };
    for k in 0..3 {
        clip(&format!("testsrc2=s=64x48:r=1/4:d={}", 1600 + 4 * k), &videos.join(format!("{k}.mp4")));
    }
    let videos = videos.display().to_string();
    let index = small.join("index").display().to_string();
    // Room for the bundle and little else.
    std::fs::write(small.join("ballast"), vec![0u8; 1 << 20]).unwrap();
    let output = vidsieve(&["index", "--index", &index, "--jobs", "1", &videos]);
    let message = stderr(&output);
    sane(&message);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{message}");
    assert!(message.to_lowercase().contains("no space left on"), "{message}");
    // With room it goes on.
    std::fs::remove_file(small.join("ballast")).unwrap();
    let resize = std::process::Command::new("mount").args(["-o", "remount,size=200m"]).arg(&small).status();
    assert!(resize.unwrap().success());
    json(&["index", "--index", &index, "--json", &videos], 0);
    assert_eq!(ids(&index).len(), 3);
    verified(&index);

    let read_only = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&small).status();
    assert!(read_only.unwrap().success());
    // It can be searched, not changed.
    let query = format!("{videos}/0.mp4");
    assert_eq!(json(&["search", "--index", &index, &query, "--json"], 0)["hits"][0]["id"], "0.mp4");
    verified(&index);
    let new = small.join("new").display().to_string();
    refused(&vidsieve(&["index", "--index", &new, &videos]), &["Read-only file system"]);
    refused(&vidsieve(&["index", "--index", &index, &videos]), &["Read-only file system"]);
    drop(mount);
}

#[test]
fn without_ffmpeg() {
    let dir = Scratch::new("tools");
    let videos = dir.folder("videos");
    clip("testsrc=s=96x72:r=5:d=2", &videos.join("x.mp4"));
    let output = command()
        .args(["index", "--index", &dir.text("index"), videos.to_str().unwrap()])
        .env("VIDSIEVE_FFPROBE", "no-such-program")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("install FFmpeg"), "{}", stderr(&output));
    // It was not the file's fault.
    assert_eq!(json(&["index", "--index", &dir.text("index"), "--json", videos.to_str().unwrap()], 0)["added"], 1);
}
