//! The embedded store on a real disk.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use vidsieve_index::store::{Failure, Index, IndexError, Put, Source};
use vidsieve_progress::Control;
use vidsieve_record::{BundleId, Parts, Record, WindowVector};

const BUNDLE: BundleId = BundleId([7; 32]);

/// A folder of its own that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vidsieve-index-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record_of(bundle: BundleId, n: u32) -> Record<Vec<u8>> {
    let angle = f64::from(n);
    #[allow(clippy::cast_possible_truncation)]
    let global = [angle.cos() as f32, angle.sin() as f32];
    let times: Vec<f64> = (0..=n % 5).map(f64::from).collect();
    let windows = [WindowVector::quantise(0, n % 5, &[0.6, -0.8])];
    let codes: Vec<u8> = (0..times.len() * 6).map(|i| (i as u32 + n).to_le_bytes()[0]).collect();
    let parts = Parts {
        bundle,
        duration: 9.5,
        self_similarity: 0.25,
        global: &global,
        times: &times,
        // Every fifth video shows nothing, every other one has a window.
        weights: &vec![if n.is_multiple_of(5) { 0 } else { 200 }; times.len()],
        windows: &windows[..usize::from(!n.is_multiple_of(2))],
        regions: 3,
        bits: 16,
        codes: &codes,
    };
    Record::new(&parts).unwrap()
}

fn record(n: u32) -> Record<Vec<u8>> {
    record_of(BUNDLE, n)
}

fn source(path: &str) -> Source {
    Source {
        path: path.as_bytes().to_vec(),
        size: 17,
        modified: Some(-5),
        hash: Some([3; 32]),
        picture: [640, 360],
        damage: String::new(),
    }
}

#[test]
fn damage_travels_with_the_source() {
    let folder = Folder::new("damage-of-source");
    let index = Index::create_or_open(&folder.0, BUNDLE, b"weights").unwrap();
    for damage in ["", "damaged in places", "cut off"].map(str::to_owned) {
        let source = Source { damage, hash: None, ..source("/a") };
        index.put("a", &record(1), &source).unwrap();
        assert_eq!(index.summary("a").unwrap().unwrap().source, source);
        assert!(index.relabel("a", "b", &source).unwrap());
        assert_eq!(index.list().unwrap()[0].source, source);
        assert_eq!(index.columns().unwrap().vectors, record(1).global().collect::<Vec<_>>());
        index.remove("b").unwrap();
    }
    // A long text is cut between characters.
    let long = Source { damage: "é".repeat(999), ..source("/a") };
    index.put("a", &record(1), &long).unwrap();
    assert_eq!(index.summary("a").unwrap().unwrap().source.damage, "é".repeat(500));
}

#[test]
fn decisions_are_kept() {
    let folder = Folder::new("decisions");
    let index = Index::create_or_open(&folder.0, BUNDLE, b"weights").unwrap();
    let of = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    index.put_decisions(&[of("b", "1"), of("a", "2")]).unwrap();
    index.put_decisions(&[of("b", "3")]).unwrap();
    drop(index);
    let index = Index::open_read_only(&folder.0).unwrap();
    assert_eq!(index.decisions().unwrap(), [of("a", "2"), of("b", "3")]);
    assert!(matches!(index.put_decisions(&[of("c", "")]), Err(IndexError::ReadOnly(_))));
    drop(index);
    let index = Index::open(&folder.0).unwrap();
    assert_eq!(index.remove_decisions(&[b"a".to_vec(), b"x".to_vec()]).unwrap(), 1);
    assert_eq!(index.decisions().unwrap(), [of("b", "3")]);
}

#[test]
fn videos_come_and_go() {
    let folder = Folder::new("videos");
    let index = Index::create_or_open(&folder.0, BUNDLE, b"weights").unwrap();
    assert_eq!(index.put("b", &record(1), &source("/b")).unwrap(), Put::Added);
    assert_eq!(index.put("a", &record(2), &source("/a")).unwrap(), Put::Added);
    assert_eq!(index.put("a", &record(2), &source("/a")).unwrap(), Put::Unchanged);
    assert_eq!(index.put("a", &record(3), &source("/a2")).unwrap(), Put::Replaced);
    assert_eq!(index.len().unwrap(), 2);

    let entry = index.get("a").unwrap().unwrap();
    assert_eq!(entry.record, record(3));
    assert_eq!(entry.summary.source, source("/a2"));
    assert_eq!((entry.summary.frames, entry.summary.duration), (4, 9.5));
    assert_eq!(index.summary("a").unwrap().unwrap(), entry.summary);
    assert!(index.get("c").unwrap().is_none());

    let columns = index.columns().unwrap();
    assert_eq!(columns.ids, ["a", "b"]);
    assert_eq!(columns.dims(), 2);
    assert_eq!(
        columns.vectors,
        [record(3), record(1)].iter().flat_map(|r| r.global().collect::<Vec<_>>()).collect::<Vec<_>>()
    );
    assert_eq!((columns.frames, columns.durations), (vec![4, 2], vec![9.5, 9.5]));
    assert_eq!(columns.informative, [true, true]);
    let windows = |index: &Index| {
        let mut all = Vec::new();
        let each = |id: &str, windows| -> Result<(), &str> {
            all.push((id.to_owned(), windows));
            Ok(())
        };
        index.windows(each).unwrap().unwrap();
        all
    };
    let of = |n| record(n).placed_windows().collect::<Vec<_>>();
    assert_eq!(windows(&index), [("a".to_owned(), of(3)), ("b".to_owned(), of(1))]);
    // A video that shows nothing, and has no window.
    index.put("b", &record(10), &source("/b")).unwrap();
    assert_eq!((windows(&index), index.columns().unwrap().informative), (vec![("a".into(), of(3))], vec![true, false]));
    assert!(!index.summary("b").unwrap().unwrap().informative);
    index.put("b", &record(1), &source("/b")).unwrap();

    let records = index.records(&["b", "c", "a"]).unwrap();
    assert_eq!(records, [Some(Ok(record(1))), None, Some(Ok(record(3)))]);

    assert!(index.relabel("b", "z/moved", &source("/moved")).unwrap());
    assert!(!index.relabel("b", "y", &source("/moved")).unwrap());
    assert_eq!(windows(&index), [("a".to_owned(), of(3)), ("z/moved".to_owned(), of(1))]);
    index.put_sources(&[("a", &source("/touched")), ("nothing", &source("/nothing"))]).unwrap();
    let ids = |after, limit| index.page(after, limit).unwrap().into_iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(ids(None, 9), ["a", "z/moved"]);
    assert_eq!(ids(Some("a"), 9), ["z/moved"]);
    assert_eq!(ids(None, 1), ["a"]);
    assert_eq!(index.list().unwrap()[0].source, source("/touched"));

    assert_eq!(index.setting("fps").unwrap(), None);
    index.set_setting("fps", "1").unwrap();
    assert_eq!(index.setting("fps").unwrap().as_deref(), Some("1"));
    let failure = Failure { source: source("/broken"), reason: "it holds no video".into() };
    index.put_failure(&failure).unwrap();
    assert_eq!(index.failures().unwrap().get(b"/broken".as_slice()), Some(&failure));
    index.put("broken", &record(4), &source("/broken")).unwrap();
    assert!(index.failures().unwrap().is_empty(), "what is indexed has not failed");

    assert!(index.remove("a").unwrap());
    assert!(!index.remove("a").unwrap());
    assert_eq!(windows(&index).len(), 1);
    assert!(index.verify(&Control::new()).unwrap().damaged.is_empty());
    drop(index);
    let index = Index::open_read_only(&folder.0).unwrap();
    assert_eq!(index.len().unwrap(), 2);
    assert_eq!(index.bundle_bytes().unwrap(), b"weights");
    assert!(matches!(index.remove("z/moved"), Err(IndexError::ReadOnly(_))));
}

#[test]
fn what_does_not_belong_is_refused() {
    let folder = Folder::new("refused");
    let index = Index::create_or_open(&folder.0, BUNDLE, b"").unwrap();
    for id in ["", "a\nb", "\u{0}", &"x".repeat(513)] {
        assert!(matches!(index.put(id, &record(1), &source("/a")), Err(IndexError::Id(_))), "{id:?}");
    }
    let other = record_of(BundleId([8; 32]), 1);
    let error = index.put("a", &other, &source("/a")).unwrap_err().to_string();
    assert!(error.contains("080808080808") && error.contains("070707070707"), "{error}");
    // All of a batch or nothing.
    let (good, source) = (record(1), source("/a"));
    assert!(index.put_many(&[("a", good.view(), &source), ("b", other.view(), &source)]).is_err());
    assert_eq!(index.len().unwrap(), 0);

    let error = Index::open(&folder.0).unwrap_err();
    assert!(matches!(error, IndexError::Locked { .. }), "{error}");
    let own = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&own) && error.to_string().contains("another process"), "{error}");
    drop(index);
    assert!(!folder.0.join("writer").exists());
    let error = Index::create_or_open(&folder.0, BundleId([8; 32]), b"").unwrap_err();
    assert!(matches!(error, IndexError::Bundle { .. }), "{error}");
    let nothing = folder.0.join("nothing");
    let error = Index::open(&nothing).unwrap_err();
    assert!(matches!(error, IndexError::NotAnIndex(_)) && error.to_string().contains("vidsieve index"), "{error}");
}

#[test]
fn damage_is_told_and_nothing_panics() {
    let folder = Folder::new("damage");
    drop(Index::create_or_open(&folder.0, BUNDLE, b"").unwrap());
    let file = folder.0.join("index.redb");
    let good = std::fs::read(&file).unwrap();
    for bad in [Vec::new(), b"garbage".to_vec(), vec![0; 70_000], good[..good.len() / 3].to_vec()] {
        std::fs::write(&file, &bad).unwrap();
        for opened in [Index::open(&folder.0), Index::open_read_only(&folder.0)] {
            let error = opened.err().unwrap_or_else(|| panic!("{} bytes were taken for an index", bad.len()));
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
    std::fs::write(&file, &good).unwrap();
    assert!(Index::open(&folder.0).is_ok());
}

/// Changes an index outside of the program.
fn tamper(folder: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = redb::Database::open(folder.join("index.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[test]
fn indices_of_other_versions_are_refused() {
    let folder = Folder::new("versions");
    drop(Index::create_or_open(&folder.0, BUNDLE, b"").unwrap());
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let open_as = |version: u32| {
        tamper(&folder.0, |transaction| {
            let mut meta = transaction.open_table(meta).unwrap();
            meta.insert("version", version.to_le_bytes().as_slice()).unwrap();
        });
        let read = Index::open_read_only(&folder.0).unwrap_err().to_string();
        let error = Index::create_or_open(&folder.0, BUNDLE, b"").unwrap_err();
        assert_eq!(error.to_string(), read);
        error
    };
    let error = open_as(99);
    assert!(matches!(error, IndexError::FutureVersion { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer Vidsieve"), "{error}");
    let (error, path) = (open_as(1), folder.0.display().to_string());
    assert!(matches!(error, IndexError::PastVersion { found: 1, .. }), "{error}");
    for part in [path.as_str(), "version 1", "index the videos again", "vidsieve index"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn vectors_that_are_not_the_records_are_found() {
    let folder = Folder::new("vectors");
    let index = Index::create_or_open(&folder.0, BUNDLE, b"").unwrap();
    for n in 1..4 {
        index.put(&n.to_string(), &record(n), &source("/x")).unwrap();
    }
    drop(index);
    let windows: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("windows");
    tamper(&folder.0, |transaction| {
        let mut windows = transaction.open_table(windows).unwrap();
        windows.insert("2", [0u8; 14].as_slice()).unwrap();
        windows.insert("3", [0u8; 13].as_slice()).unwrap();
    });
    let index = Index::open(&folder.0).unwrap();
    let damaged = index.verify(&Control::new()).unwrap().damaged;
    assert_eq!(damaged.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["2", "3"]);
    let error = index.windows(|_, _| Ok::<(), ()>(())).unwrap_err();
    assert!(error.to_string().contains("\"3\""), "{error}");
}

#[test]
fn others_read_while_one_writes() {
    let folder = Folder::new("beside");
    let writer = Index::create_or_open(&folder.0, BUNDLE, b"weights").unwrap();
    writer.put("a", &record(1), &source("/a")).unwrap();
    let reader = Index::open_read_only(&folder.0).unwrap();
    assert_eq!(reader.len().unwrap(), 1);
    assert!(reader.verify(&Control::new()).unwrap().damaged.is_empty());
    assert_eq!(Index::check_pages(&folder.0).unwrap(), None, "while another one writes");
    writer.put("b", &record(2), &source("/b")).unwrap();
    assert_eq!(reader.get("b").unwrap().unwrap().record, record(2));
    let copy = folder.0.join("copy");
    let report = reader.copy_to(&copy, &Control::new()).unwrap().unwrap();
    assert_eq!((report.videos, report.damaged.len()), (2, 0));
    drop(writer);
    assert_eq!(Index::check_pages(&folder.0).unwrap(), Some(true));
    // Readers do not keep a writer away.
    let writer = Index::open(&folder.0).unwrap();
    writer.remove("a").unwrap();
    assert_eq!((reader.len().unwrap(), Index::open(&copy).unwrap().len().unwrap()), (1, 2));
    drop((writer, reader));
    // Another copy is not written over it.
    let index = Index::open(&folder.0).unwrap();
    assert!(matches!(index.copy_to(&copy, &Control::new()), Err(IndexError::Exists(_))));
    let cancelled = Control::new();
    cancelled.cancel().cancel();
    assert_eq!(index.copy_to(&folder.0.join("none"), &cancelled).unwrap(), None);
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

/// A record whose codes are unlike those of other records, so that its page can be found in the file.
fn large(n: u8) -> Record<Vec<u8>> {
    let codes: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0] ^ n).collect();
    let parts = Parts {
        bundle: BUNDLE,
        duration: 10.0,
        self_similarity: 0.0,
        global: &[1.0],
        times: &(0..10).map(f64::from).collect::<Vec<_>>(),
        weights: &[255; 10],
        windows: &[],
        regions: 20,
        bits: 800,
        codes: &codes,
    };
    Record::new(&parts).unwrap()
}

/// Where bytes are in the file of an index.
fn places(file: &[u8], part: &[u8]) -> Vec<usize> {
    file.windows(part.len()).enumerate().filter(|(_, window)| *window == part).map(|(at, _)| at).collect()
}

#[test]
fn one_flipped_bit_is_damage_of_one_video() {
    let folder = Folder::new("flipped");
    let index = Index::create_or_open(&folder.0, BUNDLE, b"weights").unwrap();
    for n in 0..20 {
        index.put(&format!("video {n}"), &large(n), &source("/x")).unwrap();
    }
    drop(index);
    let file = folder.0.join("index.redb");
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let record = large(7);
    let found = places(&damaged, &record.as_bytes()[5000..5064]);
    assert!(!found.is_empty());
    found.iter().for_each(|at| damaged[at + 3] ^= 0x10);
    std::fs::write(&file, &damaged).unwrap();
    assert_eq!(Index::check_pages(&folder.0).unwrap(), Some(false));
    assert_eq!(std::fs::read(&file).unwrap(), damaged, "a check changes nothing");
    let index = Index::open_read_only(&folder.0).unwrap();
    let report = index.verify(&Control::new()).unwrap();
    assert_eq!((report.videos, report.checked, report.nameless, report.unreadable), (20, 20, 0, false));
    assert_eq!(report.damaged.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["video 7"]);
    // The sound ones can be copied, and the damaged one be taken out and added again.
    let copy = folder.0.join("copy");
    let copied = index.copy_to(&copy, &Control::new()).unwrap().unwrap();
    assert_eq!((copied.videos, copied.damaged.len()), (19, 1));
    drop(index);
    let mut sound = Index::open(&copy).unwrap();
    assert_eq!((sound.len().unwrap(), sound.bundle_bytes().unwrap()), (19, b"weights".to_vec()));
    assert!(sound.verify(&Control::new()).unwrap().damaged.is_empty());
    sound.compact().unwrap();
    let index = Index::open(&folder.0).unwrap();
    assert!(index.remove("video 7").unwrap());
    index.put("video 7", &record, &source("/x")).unwrap();
    assert!(index.verify(&Control::new()).unwrap().damaged.is_empty());
    drop(index);
    assert_eq!(Index::check_pages(&folder.0).unwrap(), Some(true));
}

#[test]
fn bits_flipped_anywhere_are_found_and_the_others_saved() {
    let folder = Folder::new("anywhere");
    let index = Index::create_or_open(&folder.0, BUNDLE, b"weights").unwrap();
    let videos = 200;
    for n in 0..videos {
        index.put(&format!("{n:04}/a video of a folder"), &record(n), &source("/x")).unwrap();
    }
    drop(index);
    let file = folder.0.join("index.redb");
    let whole = std::fs::read(&file).unwrap();
    let (mut state, mut told, mut saved, mut rounds) = (11u32, 0, 0, 0);
    for round in 0..60 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The pages behind the header.
        let at = 4096 + state as usize % (whole.len() - 4096);
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (round % 8);
        std::fs::write(&file, &damaged).unwrap();
        let _ = std::fs::remove_dir_all(folder.0.join("copy"));
        let sound = Index::check_pages(&folder.0).unwrap() == Some(true);
        if sound {
            // A page that is free, or not covered by a checksum.
            continue;
        }
        (rounds, told) = (rounds + 1, told + 1);
        let copied =
            Index::open_read_only(&folder.0).and_then(|index| index.copy_to(&folder.0.join("copy"), &Control::new()));
        if let Ok(Some(copied)) = copied {
            let copy = Index::open(&folder.0.join("copy")).unwrap();
            assert_eq!(copy.len().unwrap(), copied.videos as u64);
            assert!(copy.verify(&Control::new()).unwrap().damaged.is_empty());
            saved += copied.videos;
        }
    }
    println!("{told} of 60 flipped bits hit a page that is used; {saved} of {} videos were saved", rounds * videos);
    assert!(told > 10 && saved >= rounds as usize * videos as usize * 8 / 10, "{told} {saved}");
}

#[test]
fn space_comes_back() {
    let folder = Folder::new("compact");
    let mut index = Index::create_or_open(&folder.0, BUNDLE, b"").unwrap();
    let codes = vec![1u8; 64 * 1024];
    let parts = Parts {
        bundle: BUNDLE,
        duration: 1.0,
        self_similarity: 0.0,
        global: &[1.0],
        times: &[0.0, 1.0],
        weights: &[255; 2],
        windows: &[],
        regions: 64,
        bits: 4096,
        codes: &codes,
    };
    let big = Record::new(&parts).unwrap();
    for i in 0..64 {
        index.put(&i.to_string(), &big, &source("/x")).unwrap();
    }
    for i in 0..63 {
        index.remove(&i.to_string()).unwrap();
    }
    let (before, after) = index.compact().unwrap();
    assert!(after < before / 2, "{before} {after}");
    assert_eq!(index.get("63").unwrap().unwrap().record, big);
}

#[test]
fn what_was_left_unfinished_goes() {
    let folder = Folder::new("unfinished");
    std::fs::create_dir_all(&folder.0).unwrap();
    let left = ["index.redb.4711.tmp", "index.redb.4711-x8Yz.tmp", "model.safetensors.4711-aB3.tmp"];
    let others = ["index.redb.mine.tmp", "index.redb.my-4711.tmp", "notes.tmp", "model.safetensors.4711"];
    let write = || left.iter().chain(&others).for_each(|name| std::fs::write(folder.0.join(name), b"x").unwrap());
    let there = |names: &[&str]| names.iter().filter(|name| folder.0.join(name).exists()).count();
    for round in ["made", "opened"] {
        write();
        drop(Index::create_or_open(&folder.0, BUNDLE, b"weights").unwrap());
        assert_eq!((there(&left), there(&others)), (0, 4), "{round}");
    }
    // An index that is opened to read changes nothing.
    write();
    drop(Index::open_read_only(&folder.0).unwrap());
    assert_eq!(there(&left), 3);
}

/// Not a test by itself: what [`several_make_one_at_once`] runs.
#[test]
#[ignore = "run by another test"]
fn make_one() {
    let Ok(folder) = std::env::var("VIDSIEVE_TEST_FOLDER") else { return };
    match Index::create_or_open(Path::new(&folder), BUNDLE, b"weights") {
        Ok(index) => drop(index.put(&std::process::id().to_string(), &record(1), &source("/x")).unwrap()),
        Err(IndexError::Locked { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Processes that make the same index get it, or are told that another has it; none takes away what another has written.
#[test]
fn several_make_one_at_once() {
    for round in 0..8 {
        let folder = Folder::new("at-once");
        let run = || {
            Command::new(std::env::current_exe().unwrap())
                .args(["make_one", "--exact", "--ignored"])
                .env("VIDSIEVE_TEST_FOLDER", &folder.0)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let children: Vec<_> = (0..4).map(|_| run()).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "round {round}: {output:?}");
        }
        let index = Index::open(&folder.0).unwrap();
        assert!(index.len().unwrap() >= 1, "round {round}");
        assert!(index.verify(&Control::new()).unwrap().damaged.is_empty(), "round {round}");
        assert_eq!(index.bundle_bytes().unwrap(), b"weights", "round {round}");
    }
}

/// Not a test by itself: what [`killed_at_any_moment`] runs and kills.
#[test]
#[ignore = "run by another test"]
fn write_until_killed() {
    let Ok(folder) = std::env::var("VIDSIEVE_TEST_FOLDER") else { return };
    let index = Index::create_or_open(Path::new(&folder), BUNDLE, b"weights").unwrap();
    for n in 0.. {
        index.put(&format!("{:03}", n % 300), &record(n), &source("/x")).unwrap();
        println!("{n}");
    }
}

/// A process that is killed loses at most what it had not told to be done; the index opens and is whole.
#[test]
fn killed_at_any_moment() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new("killed");
    let mut written = 0;
    for round in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["write_until_killed", "--exact", "--ignored", "--nocapture"])
            .env("VIDSIEVE_TEST_FOLDER", &folder.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + 37 * round % 200));
        child.kill().unwrap();
        let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
        child.wait().unwrap();
        // The harness prints the test's name in front of the first number.
        let done = lines.iter().filter_map(|l| l.rsplit(' ').next()?.parse::<u32>().ok()).max();
        let index = match Index::open(&folder.0) {
            Ok(index) => index,
            // Killed before there was anything.
            Err(IndexError::NotAnIndex(_)) if done.is_none() => continue,
            Err(error) => panic!("round {round}: {error}"),
        };
        let report = index.verify(&Control::new()).unwrap();
        assert!(report.damaged.is_empty(), "round {round}: {report:?}");
        if let Some(done) = done {
            written += 1;
            // The last record that was told, or one that came after it.
            let kept = index.get(&format!("{:03}", done % 300)).unwrap().unwrap().record;
            assert!(kept == record(done) || kept == record(done + 300), "round {round}");
        }
    }
    assert!(written >= 4, "only {written} of the processes lived long enough to write");
}
