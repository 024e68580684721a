//! Folders as they really are: bins, cards with the same names, copies that were damaged, drives that are away.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Scratch, clip, ids, json, refused, sane, stderr, verified, vidsieve};

fn counts(report: &Value) -> [u64; 5] {
    ["added", "replaced", "moved", "skipped", "failed"].map(|key| report[key].as_u64().unwrap())
}

fn index(index: &str, paths: &[&str]) -> Value {
    json(&[&["index", "--index", index, "--json"], paths].concat(), 0)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

#[test]
fn what_a_folder_gives() {
    let dir = Scratch::new("folders");
    let lib = dir.folder("lib");
    clip("testsrc2=s=96x72:r=10:d=3", &lib.join("film.mp4"));
    let film = lib.join("film.mp4");
    for name in ["$RECYCLE.BIN/S-1/a.mp4", "#recycle/a.mp4", "Films/@eaDir/a.mp4/b.mp4", ".Trash-1000/files/a.mp4"] {
        copy(&film, &lib.join(name));
    }
    for name in ["x.MOD", "x.insv", "x.nsv", "x.3gpp", "private/y.mp4", "z.part.mp4", "no extension", "song.mod"] {
        copy(&film, &lib.join(name));
    }
    std::fs::write(lib.join("song.mod"), b"M.K. is a tracker's song").unwrap();
    std::fs::write(lib.join(".vidsieveignore"), "*.part.mp4\n").unwrap();
    let (text, path) = (lib.display().to_string(), dir.text("index"));
    let report = index(&path, &[&text, "--exclude", "/private/"]);
    assert_eq!(ids(&path), ["film.mp4", "x.3gpp", "x.MOD", "x.insv", "x.nsv"], "{report}");
    let report = index(&path, &[&text, "--any"]);
    assert_eq!(counts(&report), [2, 0, 0, 5, 0], "{report}");
    assert!(ids(&path).contains(&"no extension".to_owned()) && ids(&path).contains(&"private/y.mp4".to_owned()));
    refused(&vidsieve(&["index", "--index", &path, &text, "--exclude", "a[b"]), &["--exclude", "a[b", ".gitignore"]);
}

#[test]
fn files_of_one_name_get_ids_that_differ() {
    let dir = Scratch::new("cards");
    for (k, card) in ["2019", "2020", "2021"].iter().enumerate() {
        clip(&format!("testsrc2=s=96x72:r=10:d={}", k + 2), &dir.folder(card).join("MOV001.mp4"));
    }
    let file = |card: &str| dir.text(&format!("{card}/MOV001.mp4"));
    // Named together, and one after the other.
    let together = dir.text("together");
    assert_eq!(counts(&index(&together, &[&file("2019"), &file("2020")])), [2, 0, 0, 0, 0]);
    assert_eq!(ids(&together), ["2019/MOV001.mp4", "2020/MOV001.mp4"]);
    let single = dir.text("single");
    for (card, expected) in [
        ("2019", &["MOV001.mp4"][..]),
        ("2020", &["2020/MOV001.mp4", "MOV001.mp4"]),
        ("2021", &["2020/MOV001.mp4", "2021/MOV001.mp4", "MOV001.mp4"]),
    ] {
        // Folders are no different.
        let path = if card == "2021" { dir.text(card) } else { file(card) };
        assert_eq!(counts(&index(&single, &[&path])), [1, 0, 0, 0, 0], "{card}");
        assert_eq!(ids(&single), expected);
    }
    // Each keeps its id whichever way it comes again.
    for paths in [vec![file("2020")], vec![dir.text("2021")], vec![file("2019"), file("2020")]] {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(counts(&index(&single, &paths)), [0, 0, 0, paths.len() as u64, 0], "{paths:?}");
    }
    // A copy elsewhere, of the same bytes and with the same path below its folder, is a file of its own.
    copy(Path::new(&file("2019")), &dir.path("backup/MOV001.mp4"));
    assert_eq!(counts(&index(&single, &[&dir.text("backup")])), [1, 0, 0, 0, 0]);
    assert!(ids(&single).contains(&"backup/MOV001.mp4".to_owned()), "{:?}", ids(&single));
    // What takes the name of another one does not take its place.
    let before = ids(&single).len();
    std::fs::remove_file(file("2019")).unwrap();
    clip("testsrc=s=96x72:r=10:d=6", &dir.folder("new").join("MOV001.mp4"));
    assert_eq!(counts(&index(&single, &[&dir.text("new")])), [1, 0, 0, 0, 0]);
    assert_eq!(ids(&single).len(), before + 1);
    verified(&single);
}

#[test]
#[cfg(unix)]
fn moves_links_and_second_mounts() {
    let dir = Scratch::new("moves");
    clip("testsrc2=s=96x72:r=10:d=3", &dir.folder("disk1/videos/x").join("a.mp4"));
    clip("testsrc=s=96x72:r=10:d=2", &dir.path("disk1/videos/b.mp4"));
    let path = dir.text("index");
    assert_eq!(counts(&index(&path, &[&dir.text("disk1/videos")])), [2, 0, 0, 0, 0]);
    std::fs::rename(dir.path("disk1"), dir.path("disk2")).unwrap();
    assert_eq!(counts(&index(&path, &[&dir.text("disk2/videos")])), [0, 0, 2, 0, 0]);
    // From the folder above, and a part of it again.
    assert_eq!(counts(&index(&path, &[&dir.text("disk2")])), [0, 0, 2, 0, 0]);
    assert_eq!(ids(&path), ["videos/b.mp4", "videos/x/a.mp4"]);
    assert_eq!(counts(&index(&path, &[&dir.text("disk2/videos/x")])), [0, 0, 0, 1, 0]);
    // Through a link to a folder the files are the same.
    std::os::unix::fs::symlink(dir.path("disk2/videos"), dir.path("link")).unwrap();
    assert_eq!(counts(&index(&path, &[&dir.text("link/")])), [0, 0, 0, 2, 0]);
    let mount = dir.folder("mount");
    let bind = |arguments: &[&str]| {
        let output = std::process::Command::new(arguments[0]).args(&arguments[1..]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let to = mount.display().to_string();
    if bind(&["mount", "--bind", &dir.text("disk2/videos"), &to]) {
        let report = index(&path, &[&to]);
        assert!(bind(&["umount", &to]));
        assert_eq!(counts(&report), [0, 0, 0, 2, 0], "{report}");
    } else {
        eprintln!("skipped: no bind mounts here");
    }
    assert_eq!(ids(&path), ["videos/b.mp4", "videos/x/a.mp4"]);
    // Links to files are names of their own, and take none away.
    std::os::unix::fs::symlink(dir.path("disk2/videos/b.mp4"), dir.path("disk2/c.mp4")).unwrap();
    for expected in [[1, 0, 0, 2, 0], [0, 0, 0, 3, 0]] {
        assert_eq!(counts(&index(&path, &[&dir.text("disk2")])), expected);
        assert_eq!(ids(&path), ["c.mp4", "videos/b.mp4", "videos/x/a.mp4"]);
    }
    verified(&path);
}

#[test]
fn a_damaged_copy_is_decoded_for_itself() {
    let dir = Scratch::new("rot");
    let lib = dir.folder("lib");
    clip("testsrc2=s=320x240:r=25:d=20", &lib.join("film.mp4"));
    let film = std::fs::read(lib.join("film.mp4")).unwrap();
    let mut bytes = film.clone();
    // A hole in the middle: size, beginning and end are the same.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 60_000].fill(0);
    let path = dir.text("index");
    index(&path, &[&dir.text("lib")]);
    std::fs::write(lib.join("copy.mp4"), &bytes).unwrap();
    let report = index(&path, &[&dir.text("lib")]);
    assert_eq!((counts(&report), report["warned"].as_u64()), ([1, 0, 0, 1, 0], Some(1)), "{report}");
    let list = json(&["list", "--index", &path, "--json"], 0);
    assert!(list["videos"][0]["damage"].as_str().unwrap().contains("damaged"), "{list}");
    assert!(list["videos"][1]["damage"].is_null(), "{list}");
    // The other way round: the sound film has a record of its own, and the damaged one lends its record to none.
    let other = dir.text("other");
    let damaged = dir.folder("damaged");
    std::fs::write(damaged.join("a.mp4"), &bytes).unwrap();
    assert_eq!(index(&other, &[&dir.text("damaged")])["warned"], 1);
    std::fs::write(damaged.join("b.mp4"), &bytes).unwrap();
    std::fs::write(damaged.join("film.mp4"), &film).unwrap();
    let report = index(&other, &[&dir.text("damaged")]);
    assert_eq!((counts(&report), report["warned"].as_u64()), ([2, 0, 0, 1, 0], Some(1)), "{report}");
    // It keeps its own when it is moved, and is tried again when that is asked for.
    std::fs::rename(damaged.join("a.mp4"), damaged.join("moved.mp4")).unwrap();
    assert_eq!(counts(&index(&other, &[&dir.text("damaged")])), [0, 0, 1, 2, 0]);
    let report = index(&other, &[&dir.text("damaged"), "--retry-failed"]);
    assert_eq!((counts(&report), report["warned"].as_u64()), ([0, 2, 0, 1, 0], Some(2)), "{report}");
    // The same bytes share a record.
    std::fs::write(damaged.join("whole.mp4"), &film).unwrap();
    let report = index(&other, &[&dir.text("damaged")]);
    assert_eq!((counts(&report), report["seconds_of_video"].as_f64()), ([1, 0, 0, 3, 0], Some(0.0)), "{report}");
}

#[test]
fn a_file_that_is_cut_off_is_as_long_as_what_was_read() {
    let dir = Scratch::new("cut-off");
    let lib = dir.folder("lib");
    clip("testsrc2=s=160x120:r=25:d=20", &lib.join("a.mkv"));
    let bytes = std::fs::read(lib.join("a.mkv")).unwrap();
    std::fs::write(lib.join("a.mkv"), &bytes[..bytes.len() / 2]).unwrap();
    let report = index(&dir.text("index"), &[&dir.text("lib")]);
    let list = json(&["list", "--index", &dir.text("index"), "--json"], 0);
    let length = list["videos"][0]["duration"].as_f64().unwrap();
    let reason = report["files"][0]["reason"].as_str().unwrap();
    assert!((5.0..15.0).contains(&length), "{list}");
    assert!(reason.contains(&format!("only the first {length:.1} of 20.0 s")), "{length}: {reason}");
}

#[test]
fn what_is_gone_and_what_is_away() {
    let dir = Scratch::new("gone");
    clip("testsrc2=s=96x72:r=10:d=3", &dir.folder("one").join("a.mp4"));
    clip("testsrc=s=96x72:r=10:d=2", &dir.folder("one/sub").join("b.mp4"));
    clip("rgbtestsrc=s=96x72:r=10:d=4", &dir.folder("two").join("c.mp4"));
    let path = dir.text("index");
    index(&path, &[&dir.text("one"), &dir.text("two")]);
    let states = || {
        let list = json(&["list", "--index", &path, "--json"], 0);
        let of = |v: &Value| (v["file"].as_str().unwrap().to_owned(), v["exists"].as_bool().unwrap());
        list["videos"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let state = |text: &str, exists| (text.to_owned(), exists);
    assert_eq!(states(), vec![state("present", true); 3]);
    std::fs::remove_file(dir.path("one/sub/b.mp4")).unwrap();
    std::fs::write(dir.path("one/a.mp4"), b"changed").unwrap();
    std::fs::rename(dir.path("two"), dir.path("away")).unwrap();
    assert_eq!(states(), [state("changed", true), state("unreachable", false), state("missing", false)]);
    let text = String::from_utf8(vidsieve(&["list", "--index", &path]).stdout).unwrap();
    for part in ["the file is gone", "the file has changed", "its folder is not there", "remove --missing"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = vidsieve(&["remove", "--index", &path, "--missing", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        (&report["removed"][0], report["removed"].as_array().unwrap().len()),
        (&"sub/b.mp4".into(), 1),
        "{report}"
    );
    assert_eq!(
        (&report["unreachable"][0]["videos"], &report["unreachable"][0]["folder"]),
        (&1.into(), &dir.text("two").into())
    );
    assert!(stderr(&output).contains("--gone") && stderr(&output).contains("does not exist"), "{}", stderr(&output));
    // The empty folder of a drive that is not mounted.
    dir.folder("two");
    assert_eq!(
        json(&["remove", "--index", &path, "--missing", "--json"], 1)["unreachable"][0]["reason"],
        "it is empty"
    );
    assert_eq!(ids(&path), ["a.mp4", "c.mp4"]);
    let report = json(&["remove", "--index", &path, "--missing", "--gone", &dir.text("two"), "--json"], 0);
    assert_eq!((&report["removed"][0], &report["videos"]), (&"c.mp4".into(), &1.into()), "{report}");
    assert_eq!(vidsieve(&["remove", "--index", &path]).status.code(), Some(2));
    assert_eq!(vidsieve(&["remove", "--index", &path, "--missing", "a.mp4"]).status.code(), Some(2));
}

#[test]
#[cfg(target_os = "linux")]
fn a_drive_that_is_not_mounted() {
    let dir = Scratch::new("drive");
    let (drive, lib) = (dir.folder("lib/drive"), dir.text("lib"));
    clip("testsrc=s=96x72:r=10:d=2", &dir.path("lib/a.mp4"));
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(arguments[0]).args(&arguments[1..]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let at = drive.display().to_string();
    if !run(&["mount", "-t", "tmpfs", "tmpfs", &at]) {
        eprintln!("skipped: nothing can be mounted here");
        return;
    }
    clip("testsrc2=s=96x72:r=10:d=3", &drive.join("b.mp4"));
    let path = dir.text("index");
    let added = vidsieve(&["index", "--index", &path, "--json", &lib]);
    assert!(run(&["umount", &at]));
    assert!(added.status.success(), "{}", stderr(&added));
    // Something else is there meanwhile: the folder is not even empty.
    std::fs::write(drive.join("note.txt"), b"x").unwrap();
    let report = json(&["remove", "--index", &path, "--missing", "--json"], 1);
    let away = &report["unreachable"][0];
    assert_eq!((&away["folder"], &away["reason"]), (&at.as_str().into(), &"it is not mounted".into()), "{report}");
    assert_eq!(ids(&path), ["a.mp4", "drive/b.mp4"]);
}

#[test]
fn one_damaged_page_is_damage_of_one_video() {
    let dir = Scratch::new("page");
    let lib = dir.folder("lib");
    for k in 0..6 {
        clip(&format!("testsrc2=s=96x72:r=10:d={}", 16 + k), &lib.join(format!("{k}.mp4")));
    }
    let path = dir.text("index");
    index(&path, &[&dir.text("lib")]);
    let file = dir.path("index/index.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    // In the middle of a record, which begins with its magic.
    let at = bytes.windows(8).position(|w| w == b"VIDSIEVE").unwrap() + 9000;
    bytes[at] ^= 4;
    std::fs::write(&file, &bytes).unwrap();
    let output = vidsieve(&["verify", "--index", &path, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["checked"], report["damaged"].as_array().unwrap().len()), (&6.into(), 1), "{report}");
    let id = report["damaged"][0]["id"].as_str().unwrap().to_owned();
    let message = stderr(&output);
    sane(&message);
    assert!(message.contains(&id) && message.contains("vidsieve remove"), "{message}");
    assert!(!message.contains("restore") && !message.contains("another folder"), "no more than is needed: {message}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "a check changes nothing");
    // What it says is enough.
    json(&["remove", "--index", &path, "--json", &id], 0);
    assert_eq!(index(&path, &[&dir.text("lib")])["added"], 1);
    verified(&path);
}

#[test]
#[cfg(unix)]
fn watching_a_folder() {
    use std::io::{BufRead, BufReader};
    let dir = Scratch::new("watch");
    let (lib, path) = (dir.folder("lib"), dir.text("index"));
    clip("testsrc2=s=96x72:r=10:d=3", &lib.join("a.mp4"));
    clip("testsrc=s=96x72:r=10:d=2", &dir.path("b.mp4"));
    let mut command = support::command();
    command.args(["index", "--index", &path, "--watch", "--every", "1", "--json", &dir.text("lib")]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(counts(&next()), [1, 0, 0, 0, 0]);
    copy(&dir.path("b.mp4"), &lib.join("sub/b.mp4"));
    assert_eq!(counts(&next()), [1, 0, 0, 0, 0]);
    // Others see it meanwhile.
    assert_eq!(ids(&path), ["a.mp4", "sub/b.mp4"]);
    std::fs::rename(lib.join("a.mp4"), lib.join("c.mp4")).unwrap();
    assert_eq!(counts(&next()), [0, 0, 1, 0, 0]);
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(ids(&path), ["c.mp4", "sub/b.mp4"]);
    verified(&path);
}

#[test]
fn copies_of_an_index() {
    let dir = Scratch::new("backup");
    clip("testsrc2=s=96x72:r=10:d=3", &dir.folder("lib").join("a.mp4"));
    let (path, copy, again) = (dir.text("index"), dir.text("copy"), dir.text("again"));
    index(&path, &[&dir.text("lib")]);
    assert_eq!(json(&["backup", "--index", &path, "--to", &copy, "--json"], 0)["videos"], 1);
    verified(&copy);
    let before = json(&["list", "--index", &path, "--json"], 0);
    assert_eq!(json(&["list", "--index", &copy, "--json"], 0), before);
    refused(&vidsieve(&["backup", "--index", &path, "--to", &copy]), &["copy", "does not exist"]);
    assert_eq!(json(&["restore", "--index", &again, "--from", &copy, "--json"], 0)["videos"], 1);
    assert_eq!(json(&["list", "--index", &again, "--json"], 0), before);
    // It goes on from there.
    assert_eq!(counts(&index(&again, &[&dir.text("lib")])), [0, 0, 0, 1, 0]);
}
