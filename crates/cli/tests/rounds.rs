//! Rounds of `dedupe apply` and `undo` over generated libraries, killed at any step: the last whole copy is never lost, and
//! in the end everything is as it was.
//!
//! `cargo test --test rounds` runs a few; `VIDSIEVE_ROUNDS=500 VIDSIEVE_SEED=1` runs more of them. Each library has
//! several rounds, in which its files change further.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Scratch, clip, command, ffmpeg, json, stderr};

/// Numbers that depend on the seed alone.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

/// Films, of each the original and a smaller one, and an index of all.
struct Store {
    films: Vec<[PathBuf; 2]>,
    index: PathBuf,
}

impl Store {
    fn new(dir: &Scratch) -> Self {
        let base = dir.folder("base");
        let sources = [
            "testsrc2=s=96x72:r=8:d=4",
            "mandelbrot=s=96x72:r=8:end_scale=0.01:end_pts=40,trim=duration=4",
            "cellauto=s=96x72:r=8:rule=110:seed=2,trim=duration=4",
        ];
        for (k, source) in sources.iter().enumerate() {
            let original = base.join(format!("{k}.mp4"));
            clip(source, &original);
            let input = original.to_str().unwrap();
            ffmpeg(&["-i", input, "-vf", "scale=64:48", "-c:v", "libx264"], &base.join(format!("{k} small.mp4")));
        }
        let index = dir.path("base.idx");
        json(&["index", "--index", index.to_str().unwrap(), "--json", base.to_str().unwrap()], 0);
        // The index knows the films; their files lie elsewhere, so that copies take the records over.
        let store = dir.path("store");
        fs::rename(&base, &store).unwrap();
        let film = |k: usize| [store.join(format!("{k}.mp4")), store.join(format!("{k} small.mp4"))];
        Self { films: (0..sources.len()).map(film).collect(), index }
    }
}

/// A mount that is taken away at the end.
struct Mount(PathBuf);

impl Mount {
    fn bind(from: &Path, to: &Path) -> Option<Self> {
        let done = Command::new("mount").arg("--bind").args([from, to]).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(to.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// What a name of a library is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File { content: Vec<u8>, inode: u64, modified: i64 },
    Link(PathBuf),
}

/// All names below a folder; those of mounts are left out.
fn entries(folder: &Path, mount: Option<&Path>) -> BTreeMap<PathBuf, Entry> {
    let mut all = BTreeMap::new();
    let Ok(read) = fs::read_dir(folder) else { return all };
    for path in read.map(|entry| entry.unwrap().path()) {
        let meta = fs::symlink_metadata(&path).unwrap();
        if mount == Some(&path) {
            continue;
        }
        if meta.is_dir() {
            all.extend(entries(&path, mount));
        } else if meta.is_symlink() {
            all.insert(path.clone(), Entry::Link(fs::read_link(&path).unwrap()));
        } else {
            let modified = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            all.insert(path.clone(), Entry::File { content: fs::read(&path).unwrap(), inode: meta.ino(), modified });
        }
    }
    all
}

fn contents<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeSet<&'a [u8]> {
    let content = |entry: &'a Entry| match entry {
        Entry::File { content, .. } => Some(content.as_slice()),
        Entry::Link(_) => None,
    };
    entries.into_iter().filter_map(content).collect()
}

/// A generated library.
struct Library<'a> {
    dir: &'a Path,
    chance: Chance,
    films: &'a [[Vec<u8>; 2]],
    mount: Option<Mount>,
    /// On another disk, if there is one.
    away: PathBuf,
    kills: usize,
}

const BIN: &str = "$RECYCLE.BIN";
/// Rounds of a library.
const ROUNDS: usize = 10;

impl Library<'_> {
    fn lib(&self) -> PathBuf {
        self.dir.join("lib")
    }

    fn entries(&self) -> BTreeMap<PathBuf, Entry> {
        entries(&self.lib(), self.mount.as_ref().map(|mount| mount.0.as_path()))
    }

    /// Copies, links and bins.
    fn fill(&mut self, store: &Store) {
        let folders = ["a", "b/deep", "c", BIN];
        folders.iter().for_each(|folder| fs::create_dir_all(self.lib().join(folder)).unwrap());
        let mut names = 0..;
        let mut name = |library: &mut Self, extension: &str| {
            let folder = library.chance.of(&folders);
            library.lib().join(folder).join(format!("v{}{extension}", names.next().unwrap()))
        };
        for film in &store.films {
            for _ in 0..=self.chance.below(3) {
                let path = name(self, ".mp4");
                fs::copy(self.chance.of(film), &path).unwrap();
                if self.chance.one_in(3) {
                    fs::hard_link(&path, name(self, " hard.mp4")).unwrap();
                }
                if self.chance.one_in(4) {
                    std::os::unix::fs::symlink(&path, name(self, " soft.mp4")).unwrap();
                }
            }
        }
        let mounted = self.lib().join("mounted");
        fs::create_dir_all(&mounted).unwrap();
        if self.chance.one_in(3) {
            self.mount = Mount::bind(&self.lib().join("a"), &mounted);
        }
    }

    /// Removes files, changes them in ways that are seen and not seen, and puts links in their place.
    fn disturb(&mut self, rarely: u64) {
        for (path, entry) in self.entries() {
            let Entry::File { content, modified, .. } = entry else { continue };
            match self.chance.below(rarely) {
                0 => fs::remove_file(&path).unwrap(),
                1 => fs::write(&path, &content[..content.len() / 2]).unwrap(),
                2 => {
                    // Neither size nor time tell.
                    let mut content = content;
                    let at = self.chance.below(content.len() as u64) as usize;
                    content[at] ^= 1;
                    fs::write(&path, content).unwrap();
                    let time = std::time::UNIX_EPOCH + Duration::from_nanos(u64::try_from(modified).unwrap());
                    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
                }
                3 => {
                    let others: Vec<PathBuf> = self.entries().into_keys().filter(|other| *other != path).collect();
                    if !others.is_empty() {
                        let other = self.chance.of(&others);
                        fs::remove_file(&path).unwrap();
                        std::os::unix::fs::symlink(other, &path).unwrap();
                    }
                }
                _ => {}
            }
        }
    }

    /// Runs `dedupe`, killed at some system call or after some time; returns whether it came to its end.
    fn act(&mut self, arguments: &[&str], kill: bool) -> bool {
        let program = env!("CARGO_BIN_EXE_vidsieve");
        let mut command = if kill && has_strace() {
            let call =
                self.chance.of(&["rename", "linkat", "unlink", "fsync", "fdatasync", "write", "openat", "close"]);
            let last = if matches!(call, "write" | "openat" | "close") { 120 } else { 12 };
            let when = 1 + self.chance.below(last);
            let mut command = Command::new("strace");
            let inject = format!("inject={call}:signal=SIGKILL:when={when}");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject, program]);
            command
        } else {
            Command::new(program)
        };
        command.arg("dedupe").args(arguments).arg("--yes").env("XDG_DATA_HOME", self.dir.join("data"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if kill && !has_strace() {
            std::thread::sleep(Duration::from_micros(self.chance.below(60_000)));
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        let ended = matches!(output.status.code(), Some(0 | 1));
        let is_killed = matches!(output.status.code(), None | Some(137));
        assert!(ended || (kill && is_killed), "{:?} {arguments:?}: {}", output.status, stderr(&output));
        self.kills += usize::from(!ended);
        ended
    }

    /// At any time: what was not to go is as it was, no content is lost, and each film that had a whole copy outside of the bin
    /// has one.
    fn check(&self, before: &BTreeMap<PathBuf, Entry>, going: &BTreeSet<PathBuf>, what: &str) {
        let now = self.entries();
        for (path, entry) in before.iter().filter(|(path, _)| !going.contains(*path)) {
            assert_eq!(now.get(path), Some(entry), "{what}: {} was touched", path.display());
        }
        let (trash, away) = (entries(&self.dir.join("data"), None), entries(&self.away, None));
        let everywhere = contents(now.values().chain(trash.values()).chain(away.values()));
        for (path, entry) in before {
            let Entry::File { content, .. } = entry else { continue };
            assert!(everywhere.contains(content.as_slice()), "{what}: the content of {} is lost", path.display());
        }
        let outside = |entries: &BTreeMap<PathBuf, Entry>| -> Vec<bool> {
            let living = entries.iter().filter(|(path, _)| !path.starts_with(self.lib().join(BIN)));
            let living = contents(living.map(|(_, entry)| entry));
            self.films.iter().map(|film| film.iter().any(|whole| living.contains(whole.as_slice()))).collect()
        };
        for (film, (had, has)) in outside(before).into_iter().zip(outside(&now)).enumerate() {
            assert!(has || !had, "{what}: the last whole copy of film {film} is gone");
        }
    }

    /// In the end: everything is as it was, and nothing is left behind.
    fn check_undone(&self, before: &BTreeMap<PathBuf, Entry>) {
        let plain = |entries: BTreeMap<PathBuf, Entry>| -> BTreeMap<PathBuf, Entry> {
            let of = |(path, entry)| match entry {
                // A hard link that was broken has a file of its own.
                Entry::File { content, modified, .. } => (path, Entry::File { content, modified, inode: 0 }),
                link @ Entry::Link(_) => (path, link),
            };
            entries.into_iter().map(of).collect()
        };
        let (now, before) = (plain(self.entries()), plain(before.clone()));
        for (path, entry) in &before {
            assert_eq!(now.get(path), Some(entry), "{} is not as it was", path.display());
        }
        let more: Vec<&PathBuf> = now.keys().filter(|path| !before.contains_key(*path)).collect();
        assert!(more.is_empty(), "left behind: {more:?}");
        for folder in [self.dir.join("data"), self.away.clone()] {
            let left: Vec<PathBuf> = entries(&folder, None).into_keys().collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }

    /// Generates a library and its plan; returns the plan and the files that may go.
    fn plan(&mut self, store: &Store) -> (String, BTreeSet<PathBuf>) {
        self.fill(store);
        let index = self.dir.join("index");
        fs::create_dir_all(&index).unwrap();
        for file in fs::read_dir(&store.index).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&file, index.join(file.file_name().unwrap())).unwrap();
        }
        let (index, lib) = (index.to_str().unwrap(), self.lib());
        let bin: Vec<PathBuf> = entries(&lib.join(BIN), None).into_keys().collect();
        let mut arguments = vec!["index", "--index", index, "--json", lib.to_str().unwrap()];
        arguments.extend(bin.iter().map(|path| path.to_str().unwrap()));
        let output = command().args(&arguments).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
        if self.chance.one_in(2) {
            self.disturb(14);
        }
        let plan = self.dir.join("plan.json");
        let plan = plan.to_str().unwrap();
        let order = self.chance.of(&["largest", "oldest", "newest", "bitrate", "path:c", "path:b,longest"]);
        json(&["dedupe", "--index", index, "--json", "--keep", order, "--plan", plan], 0);
        let text: Value = serde_json::from_slice(&fs::read(plan).unwrap()).unwrap();
        let go = text["groups"].as_array().unwrap().iter().flat_map(|group| group["go"].as_array().unwrap());
        // Names through the mount are names of the folder that is mounted.
        let behind = |path: &Path| match path.strip_prefix(lib.join("mounted")) {
            Ok(below) => lib.join("a").join(below),
            Err(_) => path.to_owned(),
        };
        (plan.to_owned(), go.map(|file| behind(Path::new(file["path"].as_str().unwrap()))).collect())
    }

    /// Applies a plan and takes it back, killed on both ways; returns whether anything was done to the library.
    fn round(&mut self, plan: &str, going: &BTreeSet<PathBuf>) -> bool {
        if self.chance.one_in(2) {
            self.disturb(40);
        }
        let before = self.entries();
        let log = format!("{plan}.log");
        let away = self.away.to_str().unwrap().to_owned();
        let near = self.dir.join("data/near").to_str().unwrap().to_owned();
        let actions: [&[&str]; 4] = [&["--to-trash"], &["--hard-link"], &["--move", &away], &["--move", &near]];
        for kill in [true, true, false] {
            let action = self.chance.of(&actions);
            self.act(&[&["apply", plan, "--log", &log], action].concat(), kill);
            self.check(&before, going, "apply");
        }
        let changed = self.entries() != before;
        for kill in [true, true, false] {
            if Path::new(&log).exists() {
                self.act(&["undo", &log], kill);
                self.check(&before, going, "undo");
            }
        }
        self.check_undone(&before);
        changed
    }
}

fn has_strace() -> bool {
    static HAS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *HAS.get_or_init(|| {
        let run = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    })
}

#[test]
fn nothing_is_lost_whenever_it_is_killed() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed) = (number("VIDSIEVE_ROUNDS", 10), number("VIDSIEVE_SEED", 7));
    let dir = Scratch::new("rounds");
    let store = Store::new(&dir);
    let read = |film: &[PathBuf; 2]| [fs::read(&film[0]).unwrap(), fs::read(&film[1]).unwrap()];
    let films: Vec<[Vec<u8>; 2]> = store.films.iter().map(read).collect();
    // Another file system, where there is one.
    let shm = Path::new("/dev/shm");
    let (mut kills, mut changed) = (0, 0);
    for first in (0..rounds).step_by(ROUNDS) {
        let folder = dir.folder(&format!("library {first}"));
        let elsewhere = shm.join(format!("vidsieve-rounds-{}", std::process::id()));
        let away = if shm.is_dir() { elsewhere.clone() } else { folder.join("away") };
        let chance = Chance((seed + first).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut library = Library { dir: &folder, chance, films: &films, mount: None, away, kills: 0 };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let (plan, going) = library.plan(&store);
            (first..rounds.min(first + ROUNDS as u64)).filter(|_| library.round(&plan, &going)).count()
        }));
        kills += library.kills;
        library.mount = None;
        let _ = fs::remove_dir_all(&elsewhere);
        match outcome {
            Ok(acted) => changed += acted,
            Err(panic) => {
                println!("the library of round {first} with seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
        fs::remove_dir_all(&folder).unwrap();
        println!("from round {first}: {kills} killed, {changed} changed a library");
    }
    assert!(kills > 0 && changed > 0, "{kills} kills, {changed} libraries changed");
}
