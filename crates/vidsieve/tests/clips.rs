//! Copies and excerpts among real clips, against labels that people made by looking at them.
//!
//! The clips are not part of the repository: `VIDSIEVE_SHARED` names the folder that holds
//! `media/clips`, else it is looked for beside the project.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vidsieve::{AddOptions, Archive, Control, DedupeOptions, DedupeReport, Relation};

/// What is known of the clips; pairs that are not listed show different footage.
#[derive(Deserialize)]
struct Labels {
    clips: usize,
    pairs: Vec<Label>,
    scenes: Vec<Vec<String>>,
}

/// How a clip is related to another one.
#[derive(Deserialize)]
struct Label {
    a: String,
    b: String,
    relation: Relation,
    /// Relations that are right too, where shares are near a limit.
    #[serde(default)]
    or: Vec<Relation>,
}

impl Labels {
    fn read() -> Self {
        serde_json::from_str(include_str!("fixtures/clips-labels.json")).unwrap()
    }

    /// The relations of `a` to `b` that are right; none for different footage.
    fn of(&self, a: &str, b: &str) -> Vec<Relation> {
        let seen = |label: &Label, turned: bool| {
            let all = std::iter::once(label.relation).chain(label.or.iter().copied());
            all.map(|relation| if turned { relation.reversed() } else { relation }).collect()
        };
        let found = self.pairs.iter().find_map(|label| match (label.a.as_str(), label.b.as_str()) {
            pair if pair == (a, b) => Some(seen(label, false)),
            pair if pair == (b, a) => Some(seen(label, true)),
            _ => None,
        });
        found.unwrap_or_default()
    }
}

fn clips() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("VIDSIEVE_SHARED").map_or(beside, PathBuf::from);
    Some(shared.join("media/clips")).filter(|clips| clips.join("webrtc-02.mp4").exists())
}

/// The pairs of videos that a report has in one group, and those of an excerpt and its holder.
fn found(report: &DedupeReport) -> BTreeMap<(String, String), Relation> {
    let mut pairs = BTreeMap::new();
    for group in &report.clusters {
        for (k, a) in group.videos.iter().enumerate() {
            for b in &group.videos[k + 1..] {
                pairs.insert((a.id.clone(), b.id.clone()), Relation::Copy);
            }
        }
    }
    for excerpt in &report.excerpts {
        pairs.insert((excerpt.id.clone(), excerpt.of.clone()), Relation::Excerpt);
    }
    pairs
}

/// What was found of a pair, for messages.
fn evidence(report: &DedupeReport, a: &str, b: &str) -> String {
    let is = |x: &str, y: &str| (x == a && y == b) || (x == b && y == a);
    let copies = report.clusters.iter().flat_map(|group| &group.pairs);
    let copy = copies.filter(|p| is(&p.a, &p.b)).map(|p| format!("copy {:.3} {:?}", p.score, p.coverage));
    let excerpts = report.excerpts.iter().filter(|e| is(&e.id, &e.of));
    let excerpt = excerpts.map(|e| format!("excerpt {:.3}, {:.2} s, {:.2} of {}", e.score, e.seconds, e.share, e.of));
    let related = report.related.iter().flatten().filter(|p| is(&p.a, &p.b));
    let other = related.map(|p| format!("{} {:.3} {:?} {:?}", p.relation, p.score, p.coverage, p.untold));
    copy.chain(excerpt).chain(other).next().unwrap_or_else(|| "different".to_owned())
}

#[test]
fn labels_are_of_known_relations() {
    let labels = Labels::read();
    let mut seen = BTreeSet::new();
    for label in &labels.pairs {
        let (a, b) = (label.a.as_str(), label.b.as_str());
        assert!(a != b && seen.insert((a.min(b), a.max(b))), "{a} {b} is labelled twice");
        assert!(label.relation != Relation::Different && !label.or.contains(&label.relation), "{a} {b}");
    }
    for scene in &labels.scenes {
        assert!(scene.len() > 1 && scene.iter().collect::<BTreeSet<_>>().len() == scene.len(), "{scene:?}");
    }
}

#[test]
fn groups_of_clips_hold_copies_and_no_copy_is_lost() {
    let Some(clips) = clips() else {
        eprintln!("skipped: media/clips is not here, neither in VIDSIEVE_SHARED nor in ../shared");
        return;
    };
    let labels = Labels::read();
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::create(folder.path().join("index")).unwrap();
    let added = archive.add(&[&clips], &AddOptions::new(), &Control::new()).unwrap();
    assert_eq!((added.failed, added.videos), (0, labels.clips as u64), "{added:?}");
    let report = archive.dedupe(&DedupeOptions::new().related(true), &Control::new()).unwrap();
    assert_eq!(report.compared, labels.clips * (labels.clips - 1) / 2);
    if let Some(path) = std::env::var_os("VIDSIEVE_REPORT") {
        std::fs::write(path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }

    let found = found(&report);
    let mut faults = Vec::new();
    for ((a, b), relation) in &found {
        let right = labels.of(a, b);
        if !right.iter().any(|r| r == relation) {
            faults.push(format!("{a} {b}: {} but {right:?}", evidence(&report, a, b)));
        }
    }
    let is_found = |a: &str, b: &str| {
        let pair = |x: &str, y: &str| found.contains_key(&(x.to_owned(), y.to_owned()));
        pair(a, b) || pair(b, a)
    };
    for label in &labels.pairs {
        // An excerpt stands under one video: another one of the same group has it too.
        let (a, b) = (label.a.as_str(), label.b.as_str());
        let under = |x: &str, y: &str| report.excerpts.iter().any(|e| e.id == x && (is_found(&e.of, y)));
        let is_claim = label.relation.is_claim() && label.or.iter().all(|relation| relation.is_claim());
        if is_claim && !is_found(a, b) && !under(a, b) && !under(b, a) {
            faults.push(format!("{a} {b}: {:?} was missed: {}", label.relation, evidence(&report, a, b)));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
