//! Edits and views give the same bytes for the same seed in every version: parameters, refusals,
//! alignment and pixels are compared with stored hashes.
//!
//! Sines and powers come from the system's mathematical library, whose last digit may differ between
//! systems: the hashes are those of Linux with glibc on x86-64, and other systems compile nothing here.
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vidsieve_edits::clip::{ProceduralClip, ShotConfig};
use vidsieve_edits::views::{ViewConfig, ViewMaker};
use vidsieve_edits::{Clip, Edit, Edited, Image, Kind, SourceFacts, generator, procedural};

/// The first eight bytes of the SHA-256 of everything that [`of_edit`] collects, by kind.
const EDITS: [(&str, &str); 24] = [
    ("crop", "dc8fbd6263481c3c"),
    ("flip", "83bc24f8aedf7d6b"),
    ("rotation", "39fdb902668c9c8c"),
    ("perspective", "33765c13788779de"),
    ("picture_in_picture", "48ef93677a452775"),
    ("overlay_inset", "ff3e7261651b7c59"),
    ("blurred_fill", "17b4a0824e28bce9"),
    ("colour", "b01547c4e8c57ed8"),
    ("grey", "cfa94d0972daadbe"),
    ("sepia", "76e6c1d48188ba3f"),
    ("text_logo", "2ba419c7d8a03c60"),
    ("border", "3558da39c32ce816"),
    ("filmed_screen", "5b64aefa202ba5b7"),
    ("recompress", "d65e7ecf2ebdda36"),
    ("pixelation", "908fadb82e3ac1ba"),
    ("blur", "3f78294a5b78883b"),
    ("noise", "9f38ebb72d0f4d51"),
    ("scan_lines", "76b13cbd5240e7d1"),
    ("blend", "9e052f3731e0880c"),
    ("speed", "e1990a87f532d7e2"),
    ("trim", "660bbd1c0f7fae62"),
    ("excerpt", "ff5b75b3bc4c6896"),
    ("reverse", "da5293fe325047b3"),
    ("frame_drop", "d1ea0b5fd8bb84c3"),
];

/// The same of chains.
const CHAINS: &str = "b325787b687c9493";

/// The same of views.
const VIEWS: &str = "825677082e9f6c9e";

fn clip(seed: u64, width: u32, height: u32, duration: f64) -> Box<dyn Clip> {
    let config = ShotConfig { width, height, duration, ..ShotConfig::default() };
    Box::new(ProceduralClip::new(seed, config).unwrap())
}

fn source() -> Box<dyn Clip> {
    clip(1, 64, 48, 2.0)
}

fn hosts(edit: &Edit) -> Vec<Box<dyn Clip>> {
    (0..edit.hosts() as u64).map(|i| clip(100 + i, 80, 60, 1.5)).collect()
}

fn add_image(hash: &mut Sha256, image: &Image) {
    hash.update(format!("{}x{} ", image.width, image.height));
    hash.update(&image.pixels);
}

fn short(hash: Sha256) -> String {
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each number of a JSON value replaced by each of `numbers`, one at a time.
fn with_other_numbers(value: &Value, numbers: &[f64]) -> Vec<Value> {
    match value {
        Value::Number(_) => numbers.iter().map(|&number| json!(number)).collect(),
        Value::Array(items) => (0..items.len())
            .flat_map(|i| {
                with_other_numbers(&items[i], numbers).into_iter().map(move |item| {
                    let mut items = items.clone();
                    items[i] = item;
                    Value::Array(items)
                })
            })
            .collect(),
        Value::Object(fields) => BTreeMap::from_iter(fields)
            .into_iter()
            .flat_map(|(name, field)| {
                with_other_numbers(field, numbers).into_iter().map(move |field| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), field);
                    Value::Object(fields)
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Collects what an edit is and does: its parameters, facts, alignment, refusals and frames.
fn of_edit(hash: &mut Sha256, edit: &Edit) {
    let value = serde_json::to_value(edit).unwrap();
    hash.update(serde_json::to_string(edit).unwrap());
    for value in with_other_numbers(&value, &[-1e6, 1e6, 0.0, 0.5, 3.0]) {
        // An integer that cannot hold the number is refused before it is checked.
        if let Ok(other) = serde_json::from_value::<Edit>(value) {
            hash.update(other.check(2.0).map_or_else(|error| error.to_string(), |()| "fine".into()));
        }
    }
    hash.update(format!(
        "{} {} {:?} {:?} {:?} {:?}",
        edit.name(),
        edit.hosts(),
        edit.crf(),
        edit.fps(),
        edit.size((64, 48), None),
        edit.size((64, 48), Some((80, 60))),
    ));
    let mut edited = Edited::new(source(), hosts(edit), edit.clone()).unwrap();
    assert_eq!(edit.duration(2.0), edited.duration());
    hash.update(format!("{:?} {:?}", edited.duration(), edited.size()));
    for segment in edited.segments() {
        hash.update(serde_json::to_string(segment).unwrap());
    }
    for share in [0.0, 0.21, 0.5, 0.77, 1.0] {
        let frame = edited.frame(edited.duration() * share).unwrap();
        add_image(hash, &frame);
    }
}

#[test]
fn edits_of_a_seed_keep_their_bytes() {
    let facts = SourceFacts { width: 64, height: 48, duration: 2.0 };
    let found: Vec<(&str, String)> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let mut hash = Sha256::new();
            for (seed, strength) in [(1, 0.0), (2, 0.5), (3, 1.0), (4, 1.0), (5, 0.2), (6, 0.7)] {
                of_edit(&mut hash, &Edit::sample(&mut generator(&[seed]), kind, strength, &facts));
            }
            hash.update(format!("{}", kind.needs_host()));
            (kind.name(), short(hash))
        })
        .collect();
    let expected: Vec<(&str, String)> = EDITS.iter().map(|&(name, hash)| (name, hash.to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn chains_of_a_seed_keep_their_bytes() {
    let facts = SourceFacts { width: 64, height: 48, duration: 2.0 };
    let mut hash = Sha256::new();
    for seed in 0..40 {
        let count = 1 + seed as usize % 6;
        of_edit(&mut hash, &Edit::sample_chain(&mut generator(&[5, seed]), count, 0.6, &facts));
    }
    assert_eq!(short(hash), CHAINS);
}

#[test]
fn views_of_a_seed_keep_their_bytes() {
    let image = procedural::still(&mut generator(&[1]), 100, 80);
    let others = [procedural::still(&mut generator(&[2]), 60, 90), procedural::still(&mut generator(&[3]), 90, 60)];
    let others: Vec<&Image> = others.iter().collect();
    let maker = ViewMaker::new(ViewConfig::default()).unwrap();
    let mut hash = Sha256::new();
    for seed in 0..400 {
        let side = [64, 33, 8, 96][seed as usize % 4];
        let others = if seed % 10 == 0 { &[][..] } else { &others };
        for view in maker.pair(&mut generator(&[9, seed]), &image, others, side) {
            hash.update(format!("{:?}", view.placed));
            add_image(&mut hash, &view.image);
        }
    }
    assert_eq!(short(hash), VIEWS);
}
