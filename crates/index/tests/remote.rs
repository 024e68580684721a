//! Every kind of store that can run here, by the same rules: memory, a folder, a real Redis, a server of the protocol of S3, and a
//! stand-in for Cloudflare KV.
#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use vidsieve_index::remote::{PushOptions, PushReport, Remote, RemoteError, key};
use vidsieve_index::store::{Index, Source};
use vidsieve_progress::{CancelToken, Control, Progress};
use vidsieve_record::{BundleId, Parts, Record};

use support::{Server, free_port, kv};

const BUNDLE: BundleId = BundleId([7; 32]);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vidsieve-remote-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record(bundle: BundleId, n: u8) -> Record<Vec<u8>> {
    let codes: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(u32::from(n) + 1) >> 3).to_le_bytes()[0]).collect();
    let parts = Parts {
        bundle,
        duration: 9.5,
        self_similarity: f32::from(n),
        global: &[1.0],
        times: &[0.0; 20],
        weights: &[255; 20],
        windows: &[],
        regions: 10,
        bits: 1600,
        codes: &codes,
    };
    Record::new(&parts).unwrap()
}

fn index(folder: &Path, bundle: BundleId) -> Index {
    Index::create_or_open(folder, bundle, b"weights").unwrap()
}

const IDS: [&str; 6] = ["a.mp4", "folder/b c.mp4", "ünïcode ☃", "..", "a?b#c%2F", "x"];

/// What every store must do.
async fn conforms(remote: &Remote, name: &str) {
    let folder = Folder::new(&format!("index-{name}"));
    let source = Source::default();
    // Single records, with ids of every kind.
    assert!(remote.get("nothing").await.unwrap().is_none());
    remote.remove("nothing").await.unwrap();
    for (n, id) in (0..).zip(IDS) {
        remote.put(id, &record(BUNDLE, n)).await.unwrap();
    }
    remote.put(IDS[0], &record(BUNDLE, 100)).await.unwrap();
    assert_eq!(remote.get(IDS[0]).await.unwrap().unwrap().unwrap(), record(BUNDLE, 100), "{name}: the last one counts");
    let ids: Vec<&str> = IDS.into_iter().chain(["nothing"]).collect();
    let mut many: Vec<_> = remote.get_many(&ids).collect().await;
    many.sort_by_key(|(i, _)| *i);
    assert_eq!(many.len(), 7);
    for (i, found) in many {
        let found = found.unwrap();
        assert_eq!(found.is_some(), i < 6, "{name}: {}", ids[i]);
        assert!(found.is_none_or(|r| r.is_ok()));
    }
    for id in IDS {
        remote.remove(id).await.unwrap();
        assert!(remote.get(id).await.unwrap().is_none(), "{name}: {id}");
    }

    // An index is published, once.
    assert_eq!(remote.bundle().await.unwrap(), None);
    let index = index(&folder.at("one"), BUNDLE);
    for (n, id) in (0..).zip(IDS) {
        index.put(id, &record(BUNDLE, n), &source).unwrap();
    }
    let size = record(BUNDLE, 0).as_bytes().len() as u64;
    let all = PushOptions::default();
    let dry = remote.push(&index, PushOptions { dry_run: true, ..all }, &Control::new()).await.unwrap();
    assert!(remote.published().await.unwrap().is_empty(), "{name}: a dry run writes nothing");
    assert_eq!(remote.bundle().await.unwrap(), None);
    let pushed = remote.push(&index, all, &Control::new()).await.unwrap();
    assert_eq!(pushed, dry, "{name}: a dry run tells what will be done");
    assert_eq!((pushed.written, pushed.bytes, pushed.unchanged), (6, 6 * size, 0));
    assert_eq!(remote.bundle().await.unwrap(), Some(BUNDLE));
    assert_eq!(remote.bundle_bytes().await.unwrap().unwrap(), b"weights");
    assert_eq!(remote.published().await.unwrap().len(), 6);
    let again = remote.push(&index, all, &Control::new()).await.unwrap();
    assert_eq!(again, PushReport { unchanged: 6, ..PushReport::default() });

    // What changes is written, what goes is removed when asked.
    index.put("x", &record(BUNDLE, 77), &source).unwrap();
    index.remove("a.mp4").unwrap();
    let changed = remote.push(&index, all, &Control::new()).await.unwrap();
    assert_eq!((changed.written, changed.removed, changed.unchanged), (1, 0, 4));
    assert_eq!(remote.get("x").await.unwrap().unwrap().unwrap(), record(BUNDLE, 77));
    assert!(remote.get("a.mp4").await.unwrap().is_some());
    let pruned = remote.push(&index, PushOptions { prune: true, ..all }, &Control::new()).await.unwrap();
    assert_eq!((pruned.written, pruned.removed), (0, 1));
    assert!(remote.get("a.mp4").await.unwrap().is_none());
    assert!(!remote.published().await.unwrap().contains_key("a.mp4"));

    // Stopped at any moment and continued, nothing is written twice.
    for n in 0..20 {
        index.put(&format!("later {n}"), &record(BUNDLE, n), &source).unwrap();
    }
    let mut written = 0;
    for stop in [3, 40, 90, 10_000] {
        let before = remote.published().await.unwrap().len();
        let (calls, cancel) = (AtomicUsize::new(0), CancelToken::new());
        let count = |_: &Progress<'_>| {
            if calls.fetch_add(1, Ordering::Relaxed) + 1 >= stop {
                cancel.cancel();
            }
        };
        let outcome = remote.push(&index, all, &Control::new().with_progress(&count).with_cancel(&cancel)).await;
        assert_eq!(outcome.is_err(), stop < 10_000, "{name}: {outcome:?}");
        let after = remote.published().await.unwrap().len();
        written += after - before;
        if let Ok(report) = outcome {
            assert_eq!(report.written as usize, after - before);
        }
    }
    assert_eq!(written, 20);

    let other = self::index(&folder.at("other"), BundleId([9; 32]));
    let error = remote.push(&other, all, &Control::new()).await.unwrap_err();
    assert!(matches!(error, RemoteError::Bundle { .. }), "{error}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn memory() {
    runtime().block_on(async { conforms(&Remote::open("memory:").unwrap(), "memory").await });
}

#[test]
fn a_folder() {
    let folder = Folder::new("fs");
    runtime().block_on(async {
        let remote = Remote::open(&format!("fs:{}", folder.at("store").display())).unwrap();
        conforms(&remote, "fs").await;
        let before = index(&folder.at("before"), BUNDLE);
        before.put("x", &record(BUNDLE, 77), &Source::default()).unwrap();
        drop(before);
        // What is damaged on the disk is told as such, and the others are not.
        let path = folder.at("store").join(key("x"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(remote.get("x").await.unwrap().unwrap().is_err());
        assert!(remote.get("..").await.unwrap().unwrap().is_ok());
        // Only who looks at the records finds it.
        let before = Index::open(&folder.at("before")).unwrap();
        let pushed = remote.push(&before, PushOptions::default(), &Control::new()).await.unwrap();
        assert_eq!((pushed.written, pushed.unchanged), (0, 1));
        let checked = PushOptions { check: true, ..PushOptions::default() };
        let pushed = remote.push(&before, checked, &Control::new()).await.unwrap();
        assert_eq!((pushed.written, pushed.unchanged), (1, 0));
        assert_eq!(remote.get("x").await.unwrap().unwrap().unwrap(), record(BUNDLE, 77));
        std::fs::write(folder.at("store/manifest").join("00.json"), b"{").unwrap();
        assert!(matches!(remote.published().await, Err(RemoteError::Damaged { .. })));
        // Publishing again puts it in order.
        let index = index(&folder.at("again"), BUNDLE);
        index.put("x", &record(BUNDLE, 1), &Source::default()).unwrap();
        remote.push(&index, PushOptions::default(), &Control::new()).await.unwrap();
        assert!(remote.published().await.unwrap().contains_key("x"));
        assert_eq!(remote.get("x").await.unwrap().unwrap().unwrap(), record(BUNDLE, 1));
    });
}

/// Changes a record's bytes in a closed index; none removes it.
fn damage(folder: &Path, id: &str, change: Option<&[u8]>) {
    let table: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("records");
    let database = redb::Database::open(folder.join("index.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut records = transaction.open_table(table).unwrap();
        match change {
            Some(bytes) => drop(records.insert(id, bytes).unwrap()),
            None => drop(records.remove(id).unwrap()),
        }
    }
    transaction.commit().unwrap();
}

/// Whatever is lost or damaged in a store is mended and named, and one video does not stand in the way of the others.
#[test]
fn a_check_mends_what_it_can() {
    let folder = Folder::new("check");
    let location = folder.at("store");
    runtime().block_on(async {
        let remote = Remote::open(&format!("fs:{}", location.display())).unwrap();
        let ids: Vec<String> = (0..12).map(|n| format!("video {n}")).collect();
        let made = index(&folder.at("index"), BUNDLE);
        for (n, id) in (0..).zip(&ids) {
            made.put(id, &record(BUNDLE, n), &Source::default()).unwrap();
        }
        remote.push(&made, PushOptions::default(), &Control::new()).await.unwrap();
        drop(made);

        let file = |n: usize| location.join(key(&ids[n]));
        std::fs::remove_file(file(0)).unwrap();
        std::fs::write(file(1), b"").unwrap();
        let mut flipped = std::fs::read(file(2)).unwrap();
        flipped[3000] ^= 1;
        std::fs::write(file(2), flipped).unwrap();
        std::fs::write(file(3), record(BUNDLE, 99).into_bytes()).unwrap();
        // One that can be neither read nor written: a folder stands in its place.
        std::fs::remove_file(file(4)).unwrap();
        std::fs::create_dir_all(file(4).join("x")).unwrap();
        std::fs::write(location.join("bundle.safetensors"), b"other").unwrap();
        std::fs::write(location.join("meta.json"), b"{").unwrap();
        // And in the index: one that is lost in the store as well, and one that is not.
        damage(&folder.at("index"), &ids[5], Some(b"nonsense"));
        std::fs::remove_file(file(5)).unwrap();
        damage(&folder.at("index"), &ids[6], None);

        let index = Index::open_read_only(&folder.at("index")).unwrap();
        let check = PushOptions { check: true, ..PushOptions::default() };
        let dry = remote.push(&index, PushOptions { dry_run: true, ..check }, &Control::new()).await.unwrap();
        let of = |notes: &[vidsieve_index::remote::PushNote]| -> Vec<String> {
            notes.iter().map(|note| note.id.clone()).collect()
        };
        assert!(of(&dry.mended).contains(&ids[0]) && !file(0).exists(), "{dry:?}");
        let report = remote.push(&index, check, &Control::new()).await.unwrap();
        let mut mended = vec!["bundle.safetensors".to_owned(), "meta.json".to_owned()];
        mended.extend((0..4).map(|n| ids[n].clone()));
        assert_eq!(of(&report.mended), mended, "{report:?}");
        assert_eq!(of(&report.failed), [&*ids[4], &*ids[5]], "{report:?}");
        assert!(report.mended.iter().chain(&report.failed).all(|note| note.reason.len() > 5), "{report:?}");
        assert!(report.mended[2].reason.contains("lost"), "{report:?}");
        assert_eq!((report.written, report.unchanged), (4, 6), "{report:?}");
        for n in [0, 1, 2, 3, 6, 7] {
            let there = remote.get(&ids[n]).await.unwrap().unwrap().unwrap();
            assert_eq!(there, record(BUNDLE, u8::try_from(n).unwrap()), "{n}");
        }
        assert_eq!(remote.bundle_bytes().await.unwrap().unwrap(), b"weights");
        // What the index has lost is not pruned, and a second check has nothing to mend.
        let again = PushOptions { prune: true, ..check };
        let report = remote.push(&index, again, &Control::new()).await.unwrap();
        assert_eq!((report.mended.len(), report.removed, report.written), (0, 0, 0), "{report:?}");
        assert!(remote.get(&ids[6]).await.unwrap().unwrap().is_ok());
    });
}

/// What every store must do, at the location that the environment names: the credentials of a store come from the environment, and a
/// process of its own can have its own.
#[test]
#[ignore = "run by the tests of stores with credentials"]
fn conforms_elsewhere() {
    let location = std::env::var(LOCATION).unwrap();
    runtime().block_on(async { conforms(&Remote::open(&location).unwrap(), "elsewhere").await });
}

const LOCATION: &str = "VIDSIEVE_TEST_LOCATION";

/// Runs [`conforms_elsewhere`] with these credentials.
fn conforms_at(location: &str, credentials: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "conforms_elsewhere", "--ignored", "--nocapture"]).env(LOCATION, location);
    let output = command.envs(credentials.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// A server of the protocol of S3: moto's (`pip install 'moto[s3,server]==5.2.5'`), where `VIDSIEVE_MOTO_SERVER` names it, as `cargo
/// xtask test` does.
#[test]
fn s3() {
    let port = free_port();
    let Some(program) = std::env::var_os("VIDSIEVE_MOTO_SERVER") else {
        eprintln!("skipped: VIDSIEVE_MOTO_SERVER does not name moto's server; `cargo xtask test` installs one");
        return;
    };
    let mut command = Command::new(&program);
    let Some(_server) = Server::start(command.args(["-H", "127.0.0.1", "-p", &port.to_string()]), port) else {
        panic!("{program:?} does not start");
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"PUT /bucket HTTP/1.0\r\ncontent-length: 0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
    let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let location = format!("s3://bucket/some/prefix?endpoint=http://127.0.0.1:{port}&region=us-east-1");
    conforms_at(&location, &keys);
}

/// A stand-in for Cloudflare KV that follows its documentation; it refuses some requests for their rate.
#[test]
fn cloudflare_kv() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (namespace, endpoint) = runtime.block_on(kv::start());
    let location = format!("cloudflare-kv://account/namespace?prefix=one&endpoint={endpoint}");
    conforms_at(&location, &[("CLOUDFLARE_API_TOKEN", kv::TOKEN)]);
    assert!(namespace.refused.load(std::sync::atomic::Ordering::SeqCst) > 3);
}

#[test]
fn redis() {
    let port = free_port();
    let folder = Folder::new("redis");
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&folder.0);
    let Some(_server) = Server::start(&mut command, port) else {
        eprintln!("skipped: redis-server is not here; on Debian: apt-get install redis-server");
        return;
    };
    runtime().block_on(async {
        let remote = Remote::open(&format!("redis://127.0.0.1:{port}/0?prefix=one")).unwrap();
        conforms(&remote, "redis").await;
        // Another prefix is another store.
        let other = Remote::open(&format!("redis://127.0.0.1:{port}/0?prefix=two")).unwrap();
        assert_eq!(other.bundle().await.unwrap(), None);
        assert!(other.get("x").await.unwrap().is_none());
    });
}

#[test]
fn locations() {
    for location in [
        "",
        "nothing",
        "ftp://x",
        "fs:",
        "redis://user:secret@host/0",
        "redis://host/zero",
        "s3://",
        "s3://b?key=1",
        "cloudflare-kv://account",
        "cloudflare-kv://account/namespace?endpoint=http://example.org",
        "cloudflare-kv://account/namespace?endpoint=http://localhost.example.org",
    ] {
        let error = Remote::open(location).unwrap_err().to_string();
        assert!(error.contains("is no location") && !error.contains("secret"), "{location}: {error}");
    }
    let remote = Remote::open("s3://bucket/prefix?endpoint=https://example.org&region=auto").unwrap();
    assert_eq!(remote.location(), "s3://bucket/prefix");
    assert!(!format!("{remote:?}").contains("endpoint"));
    assert_eq!(key("a.mp4").len(), "records/".len() + 32);
}

/// A store that is not there fails soon, with its name.
#[test]
fn nobody_answers() {
    let port = free_port();
    let remote = Remote::open(&format!("redis://127.0.0.1:{port}/0")).unwrap();
    let start = Instant::now();
    let error = runtime().block_on(remote.get("x")).unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
    assert!(start.elapsed() < Duration::from_secs(60));
}
