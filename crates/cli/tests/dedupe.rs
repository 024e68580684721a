//! `vidsieve dedupe` on files as they are in archives: links, bins, damage, decisions, and acting on copies.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use support::{Scratch, clip, command, ffmpeg, json, refused, stderr, vidsieve};

const BARS: &str = "testsrc2=s=192x144:r=10:d=6";
const OTHER: &str = "mandelbrot=s=192x144:r=5:end_scale=0.01:end_pts=50,trim=duration=6";

/// A library with one film, and its index.
struct Library {
    dir: Scratch,
}

impl Library {
    fn new(name: &str) -> Self {
        let library = Self { dir: Scratch::new(name) };
        library.dir.folder("lib");
        library
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path(&format!("lib/{name}"))
    }

    /// A path below the library whose folder exists.
    fn place(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn film(&self, name: &str) -> PathBuf {
        let path = self.place(name);
        clip(BARS, &path);
        path
    }

    /// The same film with another picture.
    fn scaled(&self, from: &Path, name: &str, width: u32) -> PathBuf {
        let path = self.place(name);
        let scale = format!("scale={width}:-2");
        ffmpeg(&["-i", from.to_str().unwrap(), "-vf", &scale, "-c:v", "libx264", "-pix_fmt", "yuv420p"], &path);
        path
    }

    fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let path = self.place(name);
        std::fs::copy(from, &path).unwrap();
        path
    }

    fn index(&self, paths: &[&Path]) {
        let index = self.dir.text("index");
        let mut arguments = vec!["index", "--index", &index, "--json"];
        arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
        let output = vidsieve(&arguments);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    }

    fn index_all(&self) {
        self.index(&[&self.dir.path("lib")]);
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let index = self.dir.text("index");
        json(&[&["dedupe", "--index", &index, "--json"], arguments].concat(), 0)
    }

    fn plan(&self, arguments: &[&str]) -> (String, Value) {
        let plan = self.dir.text("plan.json");
        self.run(&[&["--plan", &plan], arguments].concat());
        let text = std::fs::read_to_string(&plan).unwrap();
        (plan, serde_json::from_str(&text).unwrap())
    }

    /// Runs `dedupe` with a trash of its own.
    fn act(&self, arguments: &[&str], answer: &str) -> Output {
        let mut child = command()
            .arg("dedupe")
            .args(arguments)
            .env("XDG_DATA_HOME", self.dir.path("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

/// Ids of the groups, the kept one first.
fn groups(report: &Value) -> Vec<Vec<String>> {
    let id = |video: &Value| video["id"].as_str().unwrap().to_owned();
    let group = |group: &Value| group["videos"].as_array().unwrap().iter().map(id).collect();
    report["clusters"].as_array().unwrap().iter().map(group).collect()
}

fn kept(report: &Value) -> (String, String) {
    let group = &report["clusters"][0];
    let text = |name: &str| group[name].as_str().unwrap_or_else(|| panic!("{report}")).to_owned();
    (text("keep"), text("reason"))
}

fn plan_paths(plan: &Value, group: usize, kind: &str) -> Vec<String> {
    let path = |file: &Value| file["path"].as_str().unwrap().to_owned();
    plan["groups"][group][kind].as_array().unwrap().iter().map(path).collect()
}

#[cfg(unix)]
#[test]
fn names_of_one_file_are_one_video() {
    let library = Library::new("names");
    let film = library.film("store/film.mp4");
    std::os::unix::fs::symlink("../store/film.mp4", library.place("actors/film.mp4")).unwrap();
    std::fs::hard_link(&film, library.place("seed/film.mp4")).unwrap();
    library.index_all();
    let report = library.run(&[]);
    assert_eq!(groups(&report), Vec::<Vec<String>>::new(), "{report}");
    let linked = &report["linked"][0];
    let names = serde_json::json!([["actors/film.mp4", "symbolic link"], ["store/film.mp4", "hard link"]]);
    let told: Vec<Value> =
        linked["names"].as_array().unwrap().iter().map(|name| serde_json::json!([name["id"], name["kind"]])).collect();
    assert_eq!((&linked["id"], Value::from(told)), (&"seed/film.mp4".into(), names), "{report}");
    let text = String::from_utf8(vidsieve(&["dedupe", "--index", &library.dir.text("index")]).stdout).unwrap();
    assert!(text.contains("one file: seed/film.mp4, also actors/film.mp4 (symbolic link)"), "{text}");

    // A copy beside them is one; the link is not, and neither goes while a link leads to the file.
    library.copy(&film, "true copy.mp4");
    library.index_all();
    let report = library.run(&["--keep", "path:true"]);
    assert_eq!(groups(&report), [["true copy.mp4", "seed/film.mp4"]], "{report}");
    assert_eq!(report["clusters"][0]["videos"][1]["names"].as_array().unwrap().len(), 2);
    let (_, plan) = library.plan(&["--keep", "path:true"]);
    assert_eq!(plan_paths(&plan, 0, "go"), Vec::<String>::new(), "{plan}");
    assert!(plan["groups"][0]["held"][0]["reason"].as_str().unwrap().contains("symbolic link leads to it"), "{plan}");
    // Without the link both hard links go, or nothing would be gained.
    std::fs::remove_file(library.path("actors/film.mp4")).unwrap();
    let (_, plan) = library.plan(&["--keep", "path:true"]);
    assert_eq!(plan_paths(&plan, 0, "go").len(), 2, "{plan}");

    // A link to a file that is not indexed is no file to keep, and nothing that may go.
    let outside = library.dir.path("outside.mp4");
    std::fs::copy(&film, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, library.place("a link.mp4")).unwrap();
    library.index_all();
    let report = library.run(&[]);
    assert_ne!(kept(&report).0, "a link.mp4", "{report}");
    let (_, plan) = library.plan(&["--keep", "path:a link"]);
    assert!(plan_paths(&plan, 0, "held").iter().any(|path| path.ends_with("a link.mp4")), "{plan}");
}

#[test]
fn what_is_gone_changed_damaged_or_thrown_away_is_not_kept() {
    let library = Library::new("fit");
    let small = library.film("small.mp4");
    let large = library.scaled(&small, "large.mp4", 384);
    library.index_all();
    assert_eq!(kept(&library.run(&[])), ("large.mp4".into(), "largest picture".into()));

    // In a bin, named by itself.
    let bin = library.place("$RECYCLE.BIN/S-1/$R.mp4");
    std::fs::rename(&large, &bin).unwrap();
    library.index(&[&bin]);
    let report = library.run(&["--keep", "largest"]);
    assert_eq!(kept(&report), ("small.mp4".into(), "not in a recycle bin".into()), "{report}");
    let (_, plan) = library.plan(&[]);
    assert_eq!(plan_paths(&plan, 0, "go"), Vec::<String>::new(), "{plan}");

    // Changed since, then unreadable, then gone.
    let back = library.path("large.mp4");
    std::fs::rename(&bin, &back).unwrap();
    library.index_all();
    assert_eq!(kept(&library.run(&[])).0, "large.mp4");
    let whole = std::fs::read(&back).unwrap();
    let mut changed = whole.clone();
    changed.extend([0; 9]);
    std::fs::write(&back, changed).unwrap();
    assert_eq!(kept(&library.run(&[])), ("small.mp4".into(), "unchanged since it was indexed".into()));
    std::fs::write(&back, &whole[..200]).unwrap();
    assert_eq!(kept(&library.run(&[])), ("small.mp4".into(), "readable".into()));
    std::fs::remove_file(&back).unwrap();
    assert_eq!(kept(&library.run(&[])), ("small.mp4".into(), "file exists".into()));
    // Where nothing is fit to be kept, nothing is said to be a copy that may go.
    std::fs::remove_file(&small).unwrap();
    let (_, plan) = library.plan(&[]);
    assert!(plan["groups"][0]["keep"].is_null() && plan_paths(&plan, 0, "go").is_empty(), "{plan}");
    let report = library.run(&[]);
    assert!(groups(&report).is_empty(), "{report}");
    assert!(report["unfit"][0]["videos"].as_array().unwrap().iter().all(|video| video["keep"] == true), "{report}");
}

#[test]
fn what_was_read_in_part_is_not_kept_while_another_is_whole() {
    let library = Library::new("partial");
    let small = library.film("small.mkv");
    let large = library.scaled(&small, "large.mkv", 384);
    let whole = std::fs::read(&large).unwrap();
    std::fs::write(&large, &whole[..whole.len() * 93 / 100]).unwrap();
    library.index_all();
    let report = library.run(&["--keep", "largest"]);
    let all = report.to_string();
    assert!(all.contains("damaged") || all.contains("only the first"), "{report}");
    for group in groups(&report) {
        assert_eq!(group[0], "small.mkv", "{report}");
    }
    assert!(report["excerpts"].as_array().unwrap().iter().all(|e| e["id"] == "large.mkv"), "{report}");
    // What is damaged keeps its mark when it is moved.
    std::fs::rename(&large, library.path("moved.mkv")).unwrap();
    library.index_all();
    let report = library.run(&["--keep", "largest"]);
    assert!(groups(&report).iter().all(|group| group[0] == "small.mkv"), "{report}");
    assert!(report.to_string().contains("only the first") || report.to_string().contains("damaged"), "{report}");
}

#[test]
fn the_order_folders_and_sets_are_chosen() {
    let library = Library::new("order");
    let small = library.film("a/small.mp4");
    library.scaled(&small, "b/large.mp4", 384);
    library.copy(&small, "c/small.mp4");
    library.index_all();
    let kept = |arguments: &[&str]| kept(&library.run(arguments));
    let is = |id: &str, reason: &str| (id.to_owned(), reason.to_owned());
    assert_eq!(kept(&[]), is("b/large.mp4", "largest picture"));
    assert_eq!(kept(&["--keep", "oldest"]), is("a/small.mp4", "oldest"));
    assert_eq!(kept(&["--keep", "path:c,oldest"]), is("c/small.mp4", "preferred path"));
    let folder = library.dir.text("lib/c");
    assert_eq!(kept(&["--reference", &folder, "--keep", "largest"]), is("c/small.mp4", "in a reference folder"));
    let member = &library.run(&[])["clusters"][0]["videos"][0];
    assert_eq!((&member["codec"], &member["state"]), (&"h264".into(), &"present".into()), "{member}");
    assert!((member["frame_rate"].as_f64().unwrap() - 10.0).abs() < 0.01, "{member}");
    assert!(member["bitrate"].as_u64().unwrap() > 1000, "{member}");

    // What is protected stays, even if it is no better.
    let (_, plan) = library.plan(&["--reference", "a", "--reference", "c"]);
    assert_eq!(plan_paths(&plan, 0, "go").len(), 1, "{plan}");
    assert!(plan_paths(&plan, 0, "go")[0].ends_with("b/large.mp4"));
    assert!(plan["groups"][0]["held"][0]["reason"].as_str().unwrap().contains("reference folder"));

    let between = library.run(&["--between", "a", "b"]);
    assert_eq!(
        (groups(&between), between["compared"].as_u64()),
        (vec![vec!["b/large.mp4".to_owned(), "a/small.mp4".to_owned()]], Some(1))
    );
    let index = library.dir.text("index");
    for option in ["--reference", "--between"] {
        let mut arguments = vec!["dedupe", "--index", &index, option, "nowhere"];
        arguments.extend(["a"].iter().filter(|_| option == "--between"));
        refused(&vidsieve(&arguments), &[option, "nowhere", "no video of the index lies there"]);
    }
    let bad = vidsieve(&["dedupe", "--index", &index, "--keep", "biggest"]);
    assert!(bad.status.code() == Some(2) && stderr(&bad).contains("path:PREFIX"), "{}", stderr(&bad));
}

#[test]
fn decisions_hold_after_a_move_and_in_another_index() {
    let library = Library::new("decisions");
    let film = library.film("a.mp4");
    library.scaled(&film, "b.mp4", 128);
    library.index_all();
    let index = library.dir.text("index");
    assert_eq!(groups(&library.run(&[])), [["a.mp4", "b.mp4"]]);
    let mark = |arguments: &[&str], status| {
        let output = vidsieve(&[&["dedupe", "mark", "--index", &index], arguments].concat());
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        stderr(&output)
    };
    mark(&["a.mp4", "b.mp4", "--reviewed"], 0);
    let report = library.run(&[]);
    assert_eq!((groups(&report).len(), report["hidden"].as_u64()), (0, Some(1)), "{report}");
    assert_eq!(groups(&library.run(&["--reviewed"])).len(), 1);
    // After a move too, and not with a new member.
    std::fs::rename(&film, library.place("moved/z.mp4")).unwrap();
    library.index_all();
    assert_eq!(groups(&library.run(&[])).len(), 0);
    let film = library.path("moved/z.mp4");
    library.copy(&film, "again.mp4");
    library.index_all();
    assert_eq!(groups(&library.run(&[]))[0].len(), 3);
    std::fs::remove_file(library.path("again.mp4")).unwrap();
    json(&["remove", "--index", &index, "again.mp4", "--json"], 0);

    mark(&["b.mp4", "moved/z.mp4", "--different"], 0);
    let report = library.run(&["--reviewed"]);
    assert_eq!((groups(&report).len(), report["compared"].as_u64()), (0, Some(0)), "{report}");
    // Exported, and imported into an index of the same files elsewhere.
    let file = library.dir.text("decisions.json");
    let output = vidsieve(&["dedupe", "decisions", "--index", &index, "--export", &file]);
    assert!(output.status.success(), "{}", stderr(&output));
    let other = library.dir.text("other");
    json(&["index", "--index", &other, "--json", &library.dir.text("lib")], 0);
    assert_eq!(groups(&json(&["dedupe", "--index", &other, "--json"], 0)).len(), 1);
    for new in ["2 new decisions", "0 new decisions"] {
        let output = vidsieve(&["dedupe", "decisions", "--index", &other, "--import", &file]);
        assert!(stderr(&output).contains(new), "{}", stderr(&output));
    }
    assert_eq!(json(&["dedupe", "--index", &other, "--json", "--reviewed"], 0)["compared"], 0);

    // Taken back.
    mark(&["moved/z.mp4", "b.mp4", "--different", "--undo"], 0);
    assert!(mark(&["moved/z.mp4", "b.mp4", "--different", "--undo"], 1).contains("no such decision"));
    assert_eq!(groups(&library.run(&["--reviewed"])).len(), 1);
    assert!(mark(&["a.mp4", "b.mp4", "--different"], 2).contains("\"a.mp4\""));
    assert!(mark(&["b.mp4", "b.mp4", "--different"], 2).contains("each once"));
    std::fs::write(&file, "[{}]").unwrap();
    refused(&vidsieve(&["dedupe", "decisions", "--index", &other, "--import", &file]), &["decisions.json"]);
    let list = vidsieve(&["dedupe", "decisions", "--index", &other]);
    assert!(String::from_utf8(list.stdout).unwrap().contains("different: b.mp4, moved/z.mp4"));
}

#[test]
fn a_plan_is_carried_out_and_taken_back() {
    let library = Library::new("apply");
    let film = library.film("film.mp4");
    let same = library.copy(&film, "x/same.mp4");
    let small = library.scaled(&film, "x/small.mp4", 128);
    clip(OTHER, &library.place("other.mp4"));
    library.index_all();
    let (path, plan) = library.plan(&["--keep", "oldest"]);
    assert!(plan["groups"][0]["keep"]["path"].as_str().unwrap().ends_with("lib/film.mp4"), "{plan}");
    assert_eq!(plan_paths(&plan, 0, "go").len(), 2, "{plan}");
    let contents = [&film, &same, &small].map(|path| std::fs::read(path).unwrap());
    let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let times = [&film, &same, &small].map(|path| modified(path));
    let is_as_before = || {
        [&film, &same, &small].iter().zip(&contents).zip(&times).all(|((path, content), time)| {
            std::fs::read(path).is_ok_and(|now| now == *content) && modified(path) == *time
        })
    };
    let log = format!("{path}.{}.log", plan["made"]);
    let moved = library.dir.text("away");

    // It asks, and without a yes nothing is done.
    for answer in ["", "n\n", "maybe\n"] {
        let output = library.act(&["apply", &path, "--to-trash"], answer);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("2 files") && stderr(&output).contains("nothing was done"),
            "{}",
            stderr(&output)
        );
        assert!(is_as_before() && !Path::new(&log).exists());
    }
    assert_eq!(library.act(&["apply", &path], "y\n").status.code(), Some(2));
    assert_eq!(library.act(&["apply", &path, "--to-trash", "--hard-link"], "y\n").status.code(), Some(2));

    let undo = || {
        let output = library.act(&["undo", &log], "y\n");
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(is_as_before());
    };
    // The trash of the desktop, with the old path.
    let output = library.act(&["apply", &path, "--to-trash"], "yes\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(film.exists() && !same.exists() && !small.exists());
    let info = std::fs::read_to_string(library.dir.path("data/Trash/info/same.mp4.trashinfo"));
    if let Ok(info) = info {
        assert!(info.starts_with("[Trash Info]\nPath=") && info.contains("lib/x/same.mp4\nDeletionDate="), "{info}");
    }
    undo();
    assert!(!library.dir.path("data/Trash/info/same.mp4.trashinfo").exists());

    // A folder, in which nothing is replaced.
    let below = film.canonicalize().unwrap();
    let below = Path::new(&moved).join(below.parent().unwrap().strip_prefix("/").unwrap()).join("x");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(below.join("same.mp4"), "mine").unwrap();
    let output = library.act(&["apply", &path, "--move", &moved, "--yes", "--json"], "");
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["done"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(std::fs::read(below.join("same.mp4")).unwrap(), b"mine");
    assert_eq!(std::fs::read(below.join("same (2).mp4")).unwrap(), contents[1]);
    // Again: nothing is left to do.
    let output = library.act(&["apply", &path, "--move", &moved, "--yes"], "");
    assert!(output.status.code() == Some(1) && stderr(&output).contains("it is gone"), "{}", stderr(&output));
    undo();
    assert_eq!(std::fs::read(below.join("same.mp4")).unwrap(), b"mine");

    // Hard links, for the same bytes alone.
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
        let output = library.act(&["apply", &path, "--hard-link", "--yes"], "");
        assert!(output.status.code() == Some(1) && stderr(&output).contains("other bytes"), "{}", stderr(&output));
        assert!(inode(&same) == inode(&film) && inode(&small) != inode(&film));
        undo();
        assert!(inode(&same) != inode(&film));
    }

    // The kept file is read before anything is done: a change that neither size nor time shows is seen.
    let mut damaged = contents[0].clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&film, &damaged).unwrap();
    std::fs::File::options().write(true).open(&film).unwrap().set_modified(times[0]).unwrap();
    let output = library.act(&["apply", &path, "--to-trash", "--yes"], "");
    assert!(
        stderr(&output).contains("the file to keep") && stderr(&output).contains("has changed"),
        "{}",
        stderr(&output)
    );
    assert!(same.exists() && small.exists());
    // No plan keeps such a file either.
    let (_, plan) = library.plan(&["--keep", "oldest"]);
    assert!(plan["groups"][0]["keep"].is_null() && plan_paths(&plan, 0, "go").is_empty(), "{plan}");
    std::fs::write(&path, "{}").unwrap();
    refused(&library.act(&["apply", &path, "--to-trash", "--yes"], ""), &["plan.json"]);
    refused(&library.act(&["undo", &path, "--yes"], ""), &["plan.json", "no log"]);
}
