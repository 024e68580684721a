//! The library as a Rust program sees it.
#![allow(clippy::unwrap_used)]

use std::error::Error as _;
use std::path::Path;
use std::sync::Mutex;

use vidsieve::{
    AddOptions, Archive, ArchiveOptions, Budget, CancelToken, Control, DedupeOptions, EncodedVideo, Error, FindOptions,
    Model, NoteStatus, Progress, RgbPicture, Sampling, SearchOptions, SearchQuery, Unit, compare, encode_file,
    encode_frames, find_videos,
};

/// Frames of coloured stripes that move with time, a second each; other seeds have other stripes.
fn film(seed: u32, seconds: std::ops::Range<u32>) -> Vec<RgbPicture> {
    let first = seconds.start;
    let picture = |second: u32| {
        let pixels = (0..96u32).flat_map(|y| (0..128u32).map(move |x| (x, y)));
        let rgb = pixels.flat_map(|(x, y)| {
            // Squares of colours that are those of this film and second alone.
            let place = [x / 16, y / 16, seed, second].iter().fold(7u32, |hash, &part| {
                let mixed = (hash ^ part).wrapping_mul(0x9e37_79b1);
                mixed ^ (mixed >> 15)
            });
            [place, place >> 8, place >> 16].map(|v| v as u8)
        });
        RgbPicture { time: f64::from(second - first), width: 128, height: 96, rgb: rgb.collect() }
    };
    seconds.map(picture).collect()
}

fn encoded(model: &Model, seed: u32, seconds: std::ops::Range<u32>) -> EncodedVideo {
    let length = f64::from(seconds.end - seconds.start);
    encode_frames(model, film(seed, seconds), Some(length), &Control::new()).unwrap()
}

/// Ten seconds of black.
fn black(model: &Model) -> EncodedVideo {
    let frame = |time| RgbPicture { time, width: 128, height: 96, rgb: vec![0; 128 * 96 * 3] };
    encode_frames(model, (0..10).map(|second| frame(f64::from(second))), Some(10.0), &Control::new()).unwrap()
}

/// An index with three films of the program's own.
fn filled(folder: &Path) -> Archive {
    let archive = Archive::create(folder).unwrap();
    let model = archive.model().unwrap();
    for seed in 0..3 {
        assert!(archive.insert(&format!("film {seed}"), &encoded(model, seed, 0..12)).unwrap());
    }
    archive
}

#[test]
fn frames_of_the_caller_are_indexed_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let archive = filled(folder.path());
    assert_eq!(archive.len().unwrap(), 3);
    let model = archive.model().unwrap();
    let excerpt = encoded(model, 1, 4..9);
    assert_eq!((excerpt.times(), excerpt.duration()), (&[0.0, 1.0, 2.0, 3.0, 4.0][..], 5.0));

    let pages = Mutex::new(Vec::new());
    let keep = |page: &vidsieve::SearchPage<_>| pages.lock().unwrap().push((page.page, page.last));
    let options = SearchOptions::new().top(2).budget(Budget::All).on_page(&keep);
    let seen = Mutex::new(Vec::new());
    let progress = |p: &Progress<'_>| seen.lock().unwrap().push((p.stage, p.done));
    let control = Control::new().with_progress(&progress);
    let answer = archive.search(SearchQuery::Video(&excerpt), &options, &control).unwrap();
    assert_eq!((answer.videos, answer.selected, answer.reranked, answer.interrupted), (3, 3, 3, false));
    assert_eq!((answer.hits.len(), answer.hits[0].id.as_str()), (2, "film 1"));
    assert_eq!(pages.into_inner().unwrap().iter().map(|(_, last)| *last).collect::<Vec<_>>(), [false, true]);
    assert_eq!(seen.into_inner().unwrap().last(), Some(&("comparing", 3.0)));
    // Without pairs to compare there is one page.
    let pages = Mutex::new(Vec::new());
    let keep = |page: &vidsieve::SearchPage<_>| pages.lock().unwrap().push((page.page, page.last));
    let options = SearchOptions::new().budget(Budget::None).on_page(&keep);
    archive.search(SearchQuery::Video(&excerpt), &options, &Control::new()).unwrap();
    assert_eq!(pages.into_inner().unwrap(), [(vidsieve::PageStage::Coarse, true)]);

    // A video of the index does not find itself; the table follows changes.
    let answer = archive.search(SearchQuery::Id("film 1"), &SearchOptions::new(), &Control::new()).unwrap();
    assert!(answer.hits.len() == 2 && answer.hits.iter().all(|hit| hit.id != "film 1"));
    let error = archive.search(SearchQuery::Id("film 7"), &SearchOptions::new(), &Control::new()).unwrap_err();
    assert!(matches!(&error, Error::UnknownVideo { id, .. } if id == "film 7"), "{error}");
    let removed = archive.remove(&["film 1", "film 9", "film 1"]).unwrap();
    assert_eq!((removed.removed, removed.missing, removed.videos), (vec!["film 1".into()], vec!["film 9".into()], 2));
    let answer = archive.search(SearchQuery::Video(&excerpt), &SearchOptions::new(), &Control::new()).unwrap();
    assert!(answer.hits.len() == 2 && answer.hits.iter().all(|hit| hit.id != "film 1"));

    // The record of an index is the video that was put into it.
    let film = archive.get("film 0").unwrap().unwrap();
    assert!(archive.get("film 1").unwrap().is_none());
    let same = compare(model, &encoded(model, 0, 2..8), &film).unwrap();
    let other = compare(model, &excerpt, &film).unwrap();
    assert!(same.score > 0.9 && same.score > other.score && !same.segments.is_empty(), "{same:?} {other:?}");
    let [from, to] = same.segments[0].target;
    assert!((from - 2.0).abs() <= 1.0 && (to - 8.0).abs() <= 1.0, "{same:?}");
}

#[test]
fn reports_have_the_names_that_the_command_prints() {
    let folder = tempfile::tempdir().unwrap();
    let archive = filled(folder.path());
    let listing = archive.list().unwrap();
    assert_eq!(listing.model, archive.model_id().to_string());
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let json = serde_json::to_value(&listing).unwrap();
    assert_eq!(
        keys(&json["videos"][0]),
        "added duration exists file file_bytes frames height id path record_bytes width"
    );
    let film = archive.get("film 1").unwrap().unwrap();
    archive.insert("film 1 again", &film).unwrap();
    archive.insert("scene of film 2", &encoded(archive.model().unwrap(), 2, 3..9)).unwrap();
    archive.insert("black", &black(archive.model().unwrap())).unwrap();
    let report = archive.dedupe(&DedupeOptions::new(), &Control::new()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        keys(&json),
        "budget clusters compared excerpts hidden interrupted linked min_score missing model seconds unfit videos"
    );
    let group = &json["clusters"][0];
    assert_eq!((json["clusters"].as_array().unwrap().len(), &group["keep"]), (1, &"film 1".into()), "{json}");
    assert_eq!((keys(group), &group["reason"]), ("keep pairs reason videos".into(), &"first by name".into()));
    let of_file = "bitrate bytes codec duration exists frame_rate height id in_bin is_link";
    let names = format!("{of_file} keep names path protected score state width");
    assert_eq!(keys(&group["videos"][1]), names);
    assert_eq!(keys(&group["pairs"][0]), "a b coverage score");
    let excerpt = &json["excerpts"][0];
    let names = format!("{of_file} names of path protected score seconds segments share start state width");
    assert_eq!((keys(excerpt), &excerpt["of"]), (names, &"film 2".into()), "{json}");
    let start = excerpt["start"].as_f64().unwrap();
    assert!((start - 3.0).abs() <= 1.0 && excerpt["id"] == "scene of film 2", "{excerpt}");
    let none = archive.dedupe(&DedupeOptions::new().budget(Budget::None), &Control::new()).unwrap();
    assert!(none.compared <= report.compared, "{none:?}");
    let report = archive.dedupe(&DedupeOptions::new().min_score(1.0).related(true), &Control::new()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let related = json["related"].as_array().unwrap();
    let both = |pair: &&serde_json::Value| {
        let ids = [&pair["a"], &pair["b"]];
        ids.contains(&&"film 2".into()) && ids.contains(&&"scene of film 2".into())
    };
    let pair = related.iter().find(both).unwrap();
    assert_eq!((keys(pair).as_str(), &pair["relation"]), ("a b coverage relation score", &"excerpt".into()));
    assert_eq!(json["untold"][0]["id"], "black");
    assert!(json["untold"][0]["reason"].as_str().unwrap().contains("black, flat or faded"), "{json}");
    archive.remove(&["film 1 again", "scene of film 2", "black"]).unwrap();
    drop(archive);
    let json = serde_json::to_value(Archive::verify(folder.path(), &Control::new()).unwrap()).unwrap();
    let sound =
        serde_json::json!({ "ok": true, "checked": 3, "videos": 3, "damaged": [], "nameless": 0, "pages": true });
    assert_eq!(json, sound);
    let cancel = CancelToken::new();
    cancel.cancel();
    let report = Archive::verify(folder.path(), &Control::new().with_cancel(&cancel)).unwrap();
    assert!(!report.ok && report.interrupted() && report.checked == 0, "{report:?}");
    let compacted = Archive::open(folder.path()).unwrap().compact().unwrap();
    assert!(compacted.bytes_after <= compacted.bytes_before);
    // Damage is a result, not an error.
    std::fs::write(folder.path().join("index.redb"), b"garbage").unwrap();
    let report = Archive::verify(folder.path(), &Control::new()).unwrap();
    assert!(!report.ok && report.error.is_some_and(|error| error.contains("damaged")));
}

#[test]
fn mistakes_are_typed() {
    let folder = tempfile::tempdir().unwrap();
    let control = Control::new();
    let model = Model::built_in().unwrap();
    let refused = |error: Error, text: &str| {
        let message = error.to_string();
        assert!(message.contains(text) && !message.contains('\n'), "{message}");
    };
    refused(Archive::open(folder.path()).unwrap_err(), "there is no index here");
    refused(Model::open(folder.path().join("none")).unwrap_err(), "none");
    refused(Model::from_bytes("noise", vec![1; 99]).unwrap_err(), "noise");
    let error = Model::open(folder.path().join("none")).unwrap_err();
    assert!(error.source().is_some_and(|source| source.is::<std::io::Error>()));
    refused(find_videos(&[folder.path()], &FindOptions::new()).unwrap_err(), "no videos in");
    refused(encode_frames(&model, [], None, &control).unwrap_err(), "at least one frame");
    let mut frames = film(0, 0..3);
    frames[2].time = 0.5;
    let error = encode_frames(&model, frames.clone(), None, &control).unwrap_err();
    assert!(matches!(error, Error::FrameTime { frame: 2, .. }), "{error}");
    frames[2].time = 3.0;
    frames[1].rgb.pop();
    assert!(matches!(encode_frames(&model, frames, None, &control).unwrap_err(), Error::Encode { .. }));

    let at_rate = |fps: f64| ArchiveOptions::new().sampling(Sampling::Fps(fps)).open_or_create(folder.path().join("i"));
    for fps in [0.0, -1.0, f64::NAN, 1001.0] {
        refused(at_rate(fps).unwrap_err(), "must be above 0 and at most 1000");
    }
    assert!(!folder.path().join("i").exists(), "a refused option makes no index");
    let all = ArchiveOptions::new().sampling(Sampling::All).open_or_create(folder.path().join("i"));
    refused(all.unwrap_err(), "sampled at a rate");
    drop(at_rate(2.0).unwrap());
    assert!(matches!(at_rate(3.0).unwrap_err(), Error::OtherSampling { .. }));
    let archive = at_rate(2.0).unwrap();
    assert_eq!(archive.sampling().unwrap(), Sampling::Fps(2.0));
    // The default is kept by name, so that it is no other one's in a later version.
    let dense = ArchiveOptions::new().open_or_create(folder.path().join("dense")).unwrap();
    assert_eq!(dense.sampling().unwrap(), Sampling::Adaptive);
    drop(dense);
    let other = ArchiveOptions::new().sampling(Sampling::Fps(1.0)).open_or_create(folder.path().join("dense"));
    refused(other.unwrap_err(), "the sampling of this index is `auto`, not `fps 1`");
    let error = archive.dedupe(&DedupeOptions::new().min_score(1.5), &control).unwrap_err();
    refused(error, "min_score 1.5: scores are from 0 to 1");
    let time = Budget::Time(std::time::Duration::from_millis(5));
    refused(archive.dedupe(&DedupeOptions::new().budget(time), &control).unwrap_err(), "a time is no budget");
    refused(archive.insert("a\nb", &encoded(&model, 0, 0..2)).unwrap_err(), "is no id");
}

#[test]
fn cancelling_keeps_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let archive = filled(folder.path());
    let cancel = CancelToken::new();
    cancel.cancel();
    let control = Control::new().with_cancel(&cancel);
    let video = archive.get("film 0").unwrap().unwrap();
    let answer = archive.search(SearchQuery::Video(&video), &SearchOptions::new(), &control).unwrap();
    assert!(answer.interrupted && answer.reranked == 0 && answer.hits.len() == 3, "{answer:?}");
    let report = archive.dedupe(&DedupeOptions::new(), &control).unwrap();
    assert!(report.interrupted && report.compared == 0);
    let frames = encode_frames(archive.model().unwrap(), film(0, 0..3), None, &control).unwrap_err();
    assert!(frames.is_cancelled());
    let broken = folder.path().join("broken.mp4");
    std::fs::write(&broken, "no video").unwrap();
    let error = encode_file(archive.model().unwrap(), &broken, &vidsieve::EncodeOptions::new(), &control).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    let report = archive.add(&[&broken], &AddOptions::new(), &control).unwrap();
    assert!(report.interrupted && report.failed == 0 && report.videos == 3, "{report:?}");

    // A file that fails is a note, and known the next time.
    let (notes, units) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let note = |note: &vidsieve::IndexNote| notes.lock().unwrap().push((note.status, note.known));
    let progress = |p: &Progress<'_>| units.lock().unwrap().push(p.unit);
    let options = AddOptions::new().jobs(1).on_note(&note);
    let control = Control::new().with_progress(&progress);
    for _ in 0..2 {
        let report = archive.add(&[&broken], &options, &control).unwrap();
        assert_eq!((report.failed, report.files.len(), report.interrupted), (1, 1, false));
    }
    assert_eq!(notes.into_inner().unwrap(), [(NoteStatus::Failed, false), (NoteStatus::Failed, true)]);
    let units = units.into_inner().unwrap();
    assert!([Unit::Bytes, Unit::Seconds, Unit::Videos].iter().all(|unit| units.contains(unit)), "{units:?}");
}
