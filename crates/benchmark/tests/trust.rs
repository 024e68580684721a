//! The trust benchmark in small, on clips that are drawn here, with the built-in bundle.
#![allow(clippy::unwrap_used)]

mod drawn;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use drawn::{Scratch, clips};
use vidsieve::{CancelToken, Control, EncodeOptions, Model, Progress};
use vidsieve_benchmark::trust::recipe::seconds_of;
use vidsieve_benchmark::trust::{
    Groups, PairClass, SET_FILE, TrustError, TrustKind, TrustOptions, TrustPair, TrustReport, TrustSet, load_sources,
    make, run,
};

fn options(pairs: usize, kinds: &[&str]) -> TrustOptions {
    TrustOptions { pairs, seed: 3, kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect() }
}

/// Checks the truth of a set's pairs against how its videos are made.
fn check(set: &TrustSet, folder: &Path) {
    let kinds: BTreeMap<&str, TrustKind> = TrustKind::all().map(|kind| (kind.name, kind)).collect();
    for pair in &set.pairs {
        let TrustPair { kind, class, query, target, seconds, .. } = pair;
        let (a, b) = (&set.videos[query], &set.videos[target]);
        assert!(folder.join(query).exists() && folder.join(target).exists() && query != target, "{kind}");
        assert_eq!((&pair.accept[..], pair.relation), (kinds[kind.as_str()].accept, pair.accept[0]), "{kind}");
        let share = |shared: &[[f64; 2]], of: &[[f64; 2]]| seconds_of(shared) / seconds_of(of).max(1e-9);
        let [of_query, of_target] = [share(&seconds.query, &a.informative), share(&seconds.target, &b.informative)];
        let within = |share: f64, low: f64, high: f64| (low - 1e-3..=high + 1e-3).contains(&share);
        let right = match class {
            PairClass::Unrelated | PairClass::LookAlike => of_query == 0.0 && of_target == 0.0,
            PairClass::SharesPart => within(of_query, 0.03, 0.4) && within(of_target, 0.03, 0.4),
            PairClass::Same => match pair.relation.name() {
                "copy" => within(of_query, 0.85, 1.0) && within(of_target, 0.85, 1.0),
                "excerpt" => within(of_query, 1.0, 1.0) && within(of_target, 0.1, 0.6),
                "contains" => within(of_query, 0.1, 0.6) && within(of_target, 1.0, 1.0),
                other => panic!("{kind}: {other}"),
            },
        };
        assert!(right, "{kind}: {of_query} of {a:?} and {of_target} of {b:?}");
        let sources = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        let common = sources(&a.sources).intersection(&sources(&b.sources)).count();
        match class {
            PairClass::Unrelated | PairClass::LookAlike => assert!(common == 0 || kind == "takes", "{kind}: {pair:?}"),
            PairClass::SharesPart => assert!(common == usize::from(kind != "title-card"), "{kind}: {pair:?}"),
            PairClass::Same => assert_eq!(common, 1, "{kind}: {pair:?}"),
        }
    }
}

#[test]
fn a_small_set_is_made_compared_and_reported() {
    let scratch = Scratch::new("small");
    let (given, out) = (scratch.0.join("clips"), scratch.0.join("set"));
    std::fs::create_dir_all(&given).unwrap();
    let sources = clips(&given);
    let kinds = [
        "unrelated",
        "lead-black",
        "pillars",
        "slides",
        "studio",
        "groups",
        "stills",
        "opening",
        "title-card",
        "scene",
        "copy-cropped",
        "copy-faster",
        "copy-lead",
        "copy-loop",
        "excerpt",
        "contains-edited",
        "compilation",
    ];
    let options = options(2, &kinds);

    // A run that is stopped continues where it was.
    let cancel = CancelToken::new();
    let stop = |progress: &Progress<'_>| {
        if progress.done >= 5.0 {
            cancel.cancel();
        }
    };
    let control = Control::new().with_progress(&stop).with_cancel(&cancel);
    assert!(matches!(make(&out, &sources, &options, &control), Err(TrustError::Cancelled)));
    assert!(!out.join(SET_FILE).exists() && TrustSet::load(&out).is_err());
    let made = make(&out, &sources, &options, &Control::new()).unwrap();
    assert!(made.kept >= 5 && made.kept < made.videos, "{} of {}", made.kept, made.videos);
    let read = TrustSet::load(&out).unwrap();
    assert!(made.set.pairs == read.pairs && made.set.videos.keys().eq(read.videos.keys()));
    // Ten times as many that are unrelated.
    assert_eq!(made.pairs, kinds.len() * 2 + 18, "{:?}", made.few);
    check(&made.set, &out);
    let again = make(&out, &sources, &options, &Control::new()).unwrap();
    assert!(again.kept == again.videos && again.set == made.set);

    let model = Model::built_in().unwrap();
    let encode = EncodeOptions::new();
    let (results, failed) = run(&out, &made.set, &model, &encode, &Control::new()).unwrap();
    assert!(failed.is_empty(), "{failed:?}");
    let report = TrustReport::new(model.id().to_string(), results, failed);
    assert_eq!((report.pairs, report.kinds.len()), (made.pairs, kinds.len()));
    let of = |name: &str| report.kinds.iter().find(|row| row.name == name).unwrap();
    assert_eq!(of("unrelated").claimed, 0.0);
    for kind in ["copy-faster", "copy-lead"] {
        assert_eq!((of(kind).claimed, of(kind).right), (1.0, 1.0), "{kind}");
    }
    // Strong crops are found in seven of ten cases.
    assert!(of("copy-cropped").claimed >= 0.5 && of("copy-cropped").right >= 0.5);
    // Two pairs of drawn clips each: one that is off counts half. Openings that are drawn change little where they end.
    for (kind, most) in [("excerpt", 1.5), ("opening", 3.0), ("scene", 1.5)] {
        assert!(of(kind).seconds.unwrap() < most, "{kind}: {:?}", of(kind).seconds);
    }
    let names: Vec<&str> = report.plots().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["claims.svg", "relations.svg", "reliability.svg", "recall.svg"]);
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["bars"].as_array().unwrap().len() >= 5 && json["results"][0]["seconds"][0]["found"].is_number());

    // A video that cannot be read is named, and its pairs are left out.
    let mut few = made.set;
    few.pairs.truncate(3);
    few.videos.retain(|file, _| few.pairs.iter().any(|pair| [&pair.query, &pair.target].contains(&file)));
    let broken = few.pairs[0].query.clone();
    std::fs::write(out.join(&broken), "no video").unwrap();
    let (rest, failed) = run(&out, &few, &model, &encode, &Control::new()).unwrap();
    assert!(rest.len() < 3 && failed.len() == 1 && failed[0].contains(&broken), "{failed:?}");
}

#[test]
fn every_kind_is_planned_or_named_as_lacking() {
    let scratch = Scratch::new("kinds");
    // Without clips only what is drawn can be made.
    let drawn = ["slides", "terminals", "editors", "desktops", "drawn-takes"];
    let made = make(&scratch.0, &[], &options(1, &[]), &Control::new()).unwrap();
    let there: BTreeSet<&str> = made.set.pairs.iter().map(|pair| pair.kind.as_str()).collect();
    assert_eq!(there, drawn.into());
    let few: BTreeSet<&str> = made.few.keys().map(String::as_str).collect();
    let all: BTreeSet<&str> = TrustKind::all().map(|kind| kind.name).collect();
    assert_eq!(few.union(&there).copied().collect::<BTreeSet<_>>(), all);
    assert!(all.len() == TrustKind::all().count() && all.len() >= 40, "{}", all.len());
    let error = make(&scratch.0, &[], &options(1, &["nonsense"]), &Control::new()).unwrap_err().to_string();
    assert!(error.contains("nonsense") && error.contains("lead-black"), "{error}");
    let error = make(&scratch.0, &[], &options(1, &["opening"]), &Control::new()).unwrap_err().to_string();
    assert!(error.contains("give more clips"), "{error}");
}

/// Real clips of different footage, of which each kind below has pairs.
const REAL: [&str; 14] = [
    "Zulko-01.mp4",
    "facebookresearch-01.mp4",
    "facebookresearch-04.mp4",
    "facebookresearch-05.mp4",
    "google-ai-edge-01.mp4",
    "intel-iot-devkit-23.mp4",
    "intel-iot-devkit-30.mp4",
    "intel-iot-devkit-37.mp4",
    "mdn-02.mp4",
    "mdn-06.mp4",
    "mdn-13.mp4",
    "openvinotoolkit-17.mp4",
    "tensorflow-06.mp4",
    "webrtc-01.mp4",
];

/// With real clips, where they are: every kind has pairs, and their truth is consistent.
#[test]
fn a_set_of_real_clips_is_consistent() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let media = std::env::var_os("VIDSIEVE_SHARED").map_or(beside, PathBuf::from).join("media/clips");
    if !REAL.iter().all(|name| media.join(name).exists()) {
        eprintln!("skipped: media/clips is not here, neither in VIDSIEVE_SHARED nor in ../shared");
        return;
    }
    let scratch = Scratch::new("real");
    let clips = scratch.0.join("clips");
    std::fs::create_dir_all(&clips).unwrap();
    for name in REAL {
        std::fs::copy(media.join(name), clips.join(name)).unwrap();
    }
    let (sources, left_out) = load_sources(&[&clips], &Groups::default(), 96, &Control::new()).unwrap();
    assert!(sources.len() == REAL.len() && left_out.is_empty(), "{left_out:?}");
    let kinds = ["takes", "end-colour", "fade-white", "loops", "closing", "copy-144", "copy-trimmed", "compilation-of"];
    let made = make(&scratch.0, &sources, &options(1, &kinds), &Control::new()).unwrap();
    assert!(made.few.is_empty(), "{:?}", made.few);
    check(&made.set, &scratch.0);
}
