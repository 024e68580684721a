//! Real clips and edited copies of them: each copy finds its source, excerpts tell where they are.
//!
//! The media are not part of the repository: `VIDSIEVE_SHARED` names the folder that holds `media/`, else it is looked for
//! beside the project.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use support::{Scratch, json};

/// Clips of the media that show the same footage, as their description says: an answer that names any of a group is right.
const SAME: [&[&str]; 5] = [
    &["GoogleChrome-01.mp4", "webrtc-01.mp4", "webrtc-02.mp4"],
    &["googlevr-01.mp4", "googlevr-02.mp4"],
    &["intel-iot-devkit-22.mp4", "intel-iot-devkit-26.mp4"],
    &["mdn-02.mp4", "mdn-12.mp4"],
    &["mdn-05.mp4", "mdn-11.mp4"],
];

fn same(a: &str, b: &str) -> bool {
    a == b || SAME.iter().any(|group| group.contains(&a) && group.contains(&b))
}

fn media() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("VIDSIEVE_SHARED").map_or(beside, PathBuf::from);
    Some(shared.join("media")).filter(|m| m.join("copies/truth.json").exists())
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Of sorted values the one that `share` of them do not exceed.
fn quantile(values: &[f64], share: f64) -> f64 {
    values[((values.len() - 1) as f64 * share).ceil() as usize]
}

#[test]
fn copies_find_their_sources_and_excerpts_their_places() {
    let Some(media) = media() else {
        eprintln!("skipped: media/copies/truth.json is not here, neither in VIDSIEVE_SHARED nor in ../shared");
        return;
    };
    let dir = Scratch::new("copies");
    let index = dir.text("index");
    let report = json(&["index", "--index", &index, "--json", media.join("clips").to_str().unwrap()], 0);
    assert_eq!(report["failed"].as_u64(), Some(0), "{report}");
    let truth = read(&media.join("copies/truth.json"));
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    for (source, copies) in truth["queries"].as_object().unwrap() {
        for copy in copies.as_array().unwrap() {
            sources.insert(copy.as_str().unwrap().to_owned(), source.trim_start_matches("clips/").to_owned());
        }
    }
    let edits = read(&media.join("copies/edits.json"));

    // Every excerpt, and every other one of the rest.
    let segments = read(&media.join("copies/segments.json"));
    let excerpts: BTreeSet<&str> = segments.as_array().unwrap().iter().map(|s| s["target"].as_str().unwrap()).collect();
    let rest = sources.keys().filter(|copy| !excerpts.contains(copy.as_str())).step_by(2);
    let copies: Vec<&String> = sources.keys().filter(|copy| excerpts.contains(copy.as_str())).chain(rest).collect();
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(copy) = copies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let path = media.join(copy);
                    let answer = json(&["search", "--index", &index, path.to_str().unwrap(), "--json"], 0);
                    answers.lock().unwrap().insert((*copy).clone(), answer);
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    let mut by_kind: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let (mut right, mut scores) = (0, [Vec::new(), Vec::new()]);
    for (copy, answer) in &answers {
        let first = answer["hits"][0]["id"].as_str().unwrap();
        // An excerpt shows more of the clip that it was inserted into: that is as right an answer.
        let host = edits[copy]["host"].as_str().map(|h| h.trim_start_matches("clips/"));
        let hit = same(first, &sources[copy]) || host.is_some_and(|h| same(first, h));
        right += usize::from(hit);
        let kind = by_kind.entry(edits[copy]["edit"].as_str().unwrap_or("?")).or_default();
        *kind = [kind[0] + usize::from(hit), kind[1] + 1];
        if !hit {
            println!("{copy}: {first} before {}", sources[copy]);
        }
        for h in answer["hits"].as_array().unwrap() {
            let id = h["id"].as_str().unwrap();
            let related = same(id, &sources[copy]) || host.is_some_and(|h| same(id, h));
            scores[usize::from(!related)].push(h["score"].as_f64().unwrap());
        }
    }
    println!("first: {right} of {}; by kind {by_kind:?}", answers.len());
    for (what, scores) in ["sources", "others"].iter().zip(&mut scores) {
        scores.sort_by(f64::total_cmp);
        let at = |share| quantile(scores, share);
        println!("scores of {what}: {:.3} {:.3} {:.3} {:.3} {:.3}", at(0.0), at(0.1), at(0.5), at(0.9), at(1.0));
    }

    // How far the ends of the best segment are off, in seconds.
    let mut off: Vec<f64> = Vec::new();
    let (mut missing, mut placed) = (0, 0);
    for truth in segments.as_array().unwrap() {
        placed += 1;
        let source = truth["query"].as_str().unwrap().trim_start_matches("clips/");
        let copy = truth["target"].as_str().unwrap();
        let hits = answers[copy]["hits"].as_array().unwrap();
        let Some(segment) = hits.iter().find(|h| h["id"] == source).and_then(|h| h["segments"].get(0)) else {
            missing += 1;
            println!("{copy}: no segment in {source}");
            continue;
        };
        let ends: Vec<f64> = [("query", "target_segment"), ("target", "query_segment")]
            .iter()
            .flat_map(|(is, want)| {
                [0, 1].map(|e| (segment[is][e].as_f64().unwrap() - truth[want][e].as_f64().unwrap()).abs())
            })
            .collect();
        if ends.iter().any(|e| *e > 2.0) {
            println!("{copy}: {segment} should be {truth}");
        }
        off.extend(ends);
    }
    off.sort_by(f64::total_cmp);
    let [median, most] = [0.5, 0.9].map(|share| quantile(&off, share));
    println!(
        "{placed} excerpts, {missing} without a segment; ends off by {median:.2} s in the median, {most:.2} s for 90 %"
    );
    assert!(right * 100 >= 95 * answers.len(), "{right} of {} copies found their source first", answers.len());
    // Two whose edits are strongest change too little alike to be sure of.
    assert!(missing <= 2 && median <= 1.0 && most <= 2.0, "{missing} missing, {median:.2} s, {most:.2} s");
}
