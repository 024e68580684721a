//! The embedded store on a disk without room: what was acknowledged stays, reading goes on, and writing as soon as there is room.
//! Needs to mount a small file system, which root alone may.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use vidsieve_index::store::{Index, IndexError, Source};
use vidsieve_progress::Control;
use vidsieve_record::{BundleId, Parts, Record};

const BUNDLE: BundleId = BundleId([7; 32]);

/// A file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn new(name: &str, megabytes: u32) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("vidsieve-full-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped: a small file system can be mounted by root alone");
        let _ = std::fs::remove_dir(&path);
        None
    }

    /// Takes all room, to the last page.
    fn fill(&self) {
        // Writing fails at the end, as it is to.
        let _ = std::fs::write(self.0.join("ballast"), vec![1; 256 << 20]);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn record(n: u32) -> Record<Vec<u8>> {
    let codes: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(n + 1) >> 3).to_le_bytes()[0]).collect();
    let parts = Parts {
        bundle: BUNDLE,
        duration: 9.5,
        self_similarity: 0.5,
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

fn open(folder: &Path) -> Index {
    Index::create_or_open(folder, BUNDLE, b"weights").unwrap()
}

/// What the index holds is what was acknowledged.
fn holds(index: &Index, known: &BTreeMap<String, u32>) {
    let listed: Vec<String> = index.list().unwrap().into_iter().map(|summary| summary.id).collect();
    assert_eq!(listed, known.keys().cloned().collect::<Vec<_>>());
    for (id, n) in known {
        assert_eq!(index.get(id).unwrap().unwrap().record, record(*n), "{id}");
    }
}

#[test]
fn writes_are_refused_and_go_on() {
    let Some(disk) = Disk::new("refused", 12) else { return };
    let index = open(&disk.0.join("index"));
    let mut known = BTreeMap::new();
    let error = (0..).find_map(|n| match index.put(&format!("{n:04}"), &record(n), &Source::default()) {
        Ok(_) => {
            known.insert(format!("{n:04}"), n);
            None
        }
        Err(error) => Some(error),
    });
    let error: IndexError = error.unwrap();
    assert!(error.is_full() && !error.to_string().contains("damaged"), "{error}");
    assert!(known.len() > 50, "{}", known.len());
    holds(&index, &known);
    // Room is made by removing, too.
    for n in 0..10u32 {
        assert!(index.remove(&format!("{n:04}")).unwrap());
        known.remove(&format!("{n:04}"));
    }
    index.put("again", &record(500), &Source::default()).unwrap();
    known.insert("again".to_owned(), 500);
    holds(&index, &known);
    drop(index);
    let index = Index::open(&disk.0.join("index")).unwrap();
    holds(&index, &known);
    assert!(index.verify(&Control::new()).unwrap().damaged.is_empty());
}

/// The system fails in the middle of a write: the room that there was is gone.
#[test]
fn a_write_that_fails_in_the_middle() {
    let Some(disk) = Disk::new("middle", 16) else { return };
    let index = open(&disk.0.join("index"));
    let mut known = BTreeMap::new();
    for n in 0..60u32 {
        index.put(&format!("{n:04}"), &record(n), &Source::default()).unwrap();
        known.insert(format!("{n:04}"), n);
    }
    let mut refused = 0;
    for round in 0..4u32 {
        // Removing tells the index of room inside its file, so that it tries to write though the disk has none.
        for n in 10 * round..10 * round + 10 {
            if index.remove(&format!("{n:04}")).is_ok() {
                known.remove(&format!("{n:04}"));
            }
        }
        disk.fill();
        for n in 0..12u32 {
            let (id, made) = (format!("new {round} {n}"), 1000 * (round + 1) + n);
            match index.put(&id, &record(made), &Source::default()) {
                Ok(_) => drop(known.insert(id, made)),
                Err(error) => {
                    refused += 1;
                    assert!(error.is_full() || matches!(error, IndexError::Interrupted(_)), "{error}");
                }
            }
            // Reading goes on, at once or after a moment.
            let read = (0..30).any(|_| {
                let read = index.list();
                if read.is_err() {
                    std::thread::sleep(Duration::from_millis(100));
                }
                read.is_ok()
            });
            assert!(read, "the index cannot be read on a full disk");
        }
        disk.free();
        std::thread::sleep(Duration::from_millis(1100));
        index.put(&format!("freed {round}"), &record(round), &Source::default()).unwrap();
        known.insert(format!("freed {round}"), round);
        holds(&index, &known);
    }
    assert!(refused > 0, "no write was refused");
    drop(index);
    let index = Index::open(&disk.0.join("index")).unwrap();
    holds(&index, &known);
    assert!(index.verify(&Control::new()).unwrap().damaged.is_empty());
}
