//! Data sets in the published layouts (`tests/datasets`), against figures of an independent program
//! (`tests/datasets/reference.py`).
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ndarray::Array3;
use serde::Deserialize;
use vidsieve_eval::dataset::{
    AbsentVideo, AnnotationFile, Dataset, DatasetError, DatasetName, DatasetReport, FeatureFiles, Similarities,
    SimilarityFile, VideoSource, compute, evaluate,
};
use vidsieve_eval::retrieval::RetrievalNetworks;
use vidsieve_eval::segments::{SegmentFile, vcsl, vsc};
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;

/// How far a figure may be off.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
    merge: Vec<f64>,
    vcsl: BTreeMap<String, serde_json::Value>,
    vsc: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Case {
    set: String,
    annotation: Vec<String>,
    similarities: Vec<String>,
    expected: BTreeMap<String, Figures>,
    missing: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Figures {
    map: f64,
    uap: Option<f64>,
    queries: usize,
    without_relevant: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/datasets")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn expected() -> Expected {
    serde_json::from_slice(&bytes("expected.json")).unwrap()
}

fn annotation(name: &str) -> AnnotationFile {
    AnnotationFile { name: name.to_owned(), bytes: bytes(name) }
}

fn similarities(name: &str, file: &str) -> SimilarityFile {
    SimilarityFile { name: name.to_owned(), file: file.to_owned(), bytes: bytes(file) }
}

fn report(set: &str, annotations: &[String], files: &[SimilarityFile]) -> (Dataset, DatasetReport) {
    let files_of_set: Vec<AnnotationFile> = annotations.iter().map(|name| annotation(name)).collect();
    let dataset = Dataset::read(DatasetName::find(set).unwrap(), &files_of_set).unwrap();
    let Similarities { scored, available } = Similarities::read(&dataset, files).unwrap();
    let report = evaluate(&dataset, &scored, &|id| available.contains(id));
    (dataset, report)
}

fn close(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= TOLERANCE, "{what}: {got}, expected {expected}");
}

#[test]
fn every_task_has_the_figures_of_the_published_formulas() {
    let cases = expected().cases;
    assert!(cases.len() >= 10);
    for case in cases {
        let name = format!("{} {:?}", case.set, case.annotation);
        let (dataset, report) =
            report(&case.set, &case.annotation, &[similarities("similarities", &case.similarities[0])]);
        assert_eq!(report.queries.missing.len(), case.missing["queries"], "{name}");
        assert_eq!(report.database.missing.len(), case.missing["database"], "{name}");
        assert_eq!(report.queries.listed, report.queries.available + case.missing["queries"]);
        let rows = &report.results["similarities"];
        assert_eq!(rows.len(), case.expected.len(), "{name}");
        assert_eq!(dataset.tasks().count(), rows.len());
        for (task, expected) in &case.expected {
            let row = &rows[task];
            close(&format!("{name} {task} map"), row.map, expected.map);
            assert_eq!(row.queries, expected.queries, "{name} {task}");
            assert_eq!(row.without_relevant, expected.without_relevant, "{name} {task}");
            if let Some(uap) = expected.uap {
                close(&format!("{name} {task} uap"), row.uap.unwrap(), uap);
            }
        }
    }
}

#[test]
fn an_unavailable_video_is_ranked_nowhere_in_cc_web_video() {
    // The table has a score of 0 for each unavailable video, which would rank in the middle.
    let set = ["cc_web_video.pickle".to_owned()];
    let (_, report) = report("cc-web-video", &set, &[similarities("similarities", "cc_web_video.part.json")]);
    let dataset = Dataset::read(DatasetName::CcWebVideo, &[annotation("cc_web_video.pickle")]).unwrap();
    let file = similarities("similarities", "cc_web_video.part.json");
    let Similarities { scored, .. } = Similarities::read(&dataset, &[file]).unwrap();
    let all = evaluate(&dataset, &scored, &|_| true);
    for task in ["mAP", "mAP_star"] {
        let (here, there) = (report.results["similarities"][task], all.results["similarities"][task]);
        assert!((here.map - there.map).abs() > 1e-4, "{task}: {here:?} {there:?}");
        // The denominator counts them in either case.
        assert_eq!(here.relevant, there.relevant);
    }
}

#[test]
fn coarse_and_fine_scores_are_merged_by_the_selector() {
    let files = ["coarse", "fine_binary", "selector"].map(|name| similarities(name, &format!("merge.{name}.json")));
    let (_, report) = report("evve", &["evve.pickle".to_owned()], &files);
    let curve = report.dns.unwrap();
    assert_eq!((curve.fine.as_str(), curve.shares.len()), ("fine_binary", 21));
    for (share, (got, expected)) in curve.shares.iter().zip(curve.map["mAP"].iter().zip(expected().merge)) {
        close(&format!("{share} %"), *got, expected);
    }
    close("nothing again", curve.map["mAP"][0], report.results["coarse"]["mAP"].map);
    close("everything again", curve.map["mAP"][20], report.results["fine_binary"]["mAP"].map);
    assert!(!report.results.contains_key("selector"));
}

#[test]
fn annotations_and_scores_of_another_form_are_refused_by_name() {
    let refused = |set: DatasetName, name: &str, bytes: &[u8]| {
        let file = AnnotationFile { name: name.to_owned(), bytes: bytes.to_vec() };
        let message = Dataset::read(set, &[file]).unwrap_err().to_string();
        assert!(message.starts_with(name), "{message}");
        message
    };
    for (set, bytes, part) in [
        (DatasetName::Fivr5k, &b"{\"annotation\": {}}"[..], "no `5k`"),
        (DatasetName::Fivr200k, b"{\"q\": {\"ND\": [\"a\"]}}", "names no database"),
        (DatasetName::Fivr200k, b"{\"annotation\": []}", "a list of 0, not a dictionary"),
        (DatasetName::Fivr5k, b"some text", "it is a text file"),
        (DatasetName::CcWebVideo, b"{}", "there is no `index`"),
        (DatasetName::CcWebVideo, b"{\"index\": {\"a\": \"x\"}}", "has text for a number"),
        (
            DatasetName::CcWebVideo,
            b"{\"index\": {\"a\": 1}, \"queries\": [\"a\"], \"ground_truth\": [], \"excluded\": []}",
            "1 queries, 0 ground truths",
        ),
        (DatasetName::Svd, b"q.mp4 t.mp4 2\n", "line 1: `q.mp4 t.mp4 2`"),
        (DatasetName::Evve, b"v 1\n", "line 1: `v 1`"),
        (DatasetName::Evve, b"{\"annotation\": {}, \"queries\": [\"q\"], \"database\": [\"v\"]}", "`q` is of no event"),
        (DatasetName::Vcdb, b"a,b,c\n", "line 1: `a,b,c`"),
        (DatasetName::Vcdb, b"{\"queries\": [\"a\", \"a\"], \"positives\": {}}x", "not sound JSON"),
        (DatasetName::Fivr5k, b"\x80\x04cos\nsystem\n.", "refused to load `os.system`, nothing was run"),
        (DatasetName::Fivr5k, b"\x80\x04}", "announced, 0 are left"),
    ] {
        let message = refused(set, "notes.pickle", bytes);
        assert!(message.contains(part), "{part}: {message}");
    }
    // Every cut of a pickle is an error, never a panic.
    let whole = bytes("evve.pickle");
    for cut in (0..whole.len()).step_by(7) {
        assert!(
            Dataset::read(DatasetName::Evve, &[AnnotationFile { name: "cut".into(), bytes: whole[..cut].to_vec() }])
                .is_err()
        );
    }
    let dataset = Dataset::read(DatasetName::Evve, &[annotation("evve.pickle")]).unwrap();
    for (text, part) in [
        ("{\"q00\": [1, 2]}", "`q00` has 2 scores, the database has 50 videos"),
        ("{\"q00\": {\"d00\": \"high\"}}", "the score of `q00` and `d00` is text"),
        ("[1]", "it holds a list of 1"),
        ("{\"x\": {\"y\": 1}}", "0 of 12 queries"),
        ("", "the file is empty"),
    ] {
        let file = SimilarityFile { name: "s".into(), file: "s.json".into(), bytes: text.into() };
        let message = Similarities::read(&dataset, &[file]).unwrap_err().to_string();
        assert!(message.contains(part), "{part}: {message}");
    }
    let twice = ["evve.json", "evve.json"].map(|file| similarities("similarities", file));
    assert!(Similarities::read(&dataset, &twice).unwrap_err().to_string().contains("a second file named"));
    let alone = similarities("selector", "merge.selector.json");
    assert!(Similarities::read(&dataset, &[alone]).unwrap_err().to_string().contains("`coarse`"));
}

#[test]
fn features_are_read_from_hdf5() {
    let file = FeatureFiles::open(&[folder().join("features.hdf5"), folder().join("features.latest.hdf5")]).unwrap();
    #[allow(clippy::cast_precision_loss)]
    let value = |t: usize, r: usize, d: usize| ((31 * t + 7 * r + d) % 64) as f32 / 64.0;
    for (id, shape) in [
        ("plain", (5, 9, 16)),
        ("1/1_1_Y", (2, 9, 16)),
        ("1/1_2_Y", (7, 9, 16)),
        ("double", (3, 9, 16)),
        ("packed", (9, 9, 16)),
        ("flat", (6, 1, 16)),
        ("many/video39", (2, 1, 4)),
    ] {
        let tensor = file.tensor(id).unwrap_or_else(|e| panic!("{id}: {e:?}"));
        assert_eq!(tensor.dim(), shape, "{id}");
        assert!(tensor.indexed_iter().all(|((t, r, d), v)| *v == value(t, r, d)), "{id}");
    }
    for missing in ["nothing", "1", "1/1_3_Y", "plain/x", "many"] {
        assert_eq!(file.tensor(missing), Err(AbsentVideo::Missing), "{missing}");
    }
    for (id, part) in [("empty", "it is empty"), ("whole_numbers", "not floats"), ("not_a_number", "not finite")] {
        let Err(AbsentVideo::Unreadable(reason)) = file.tensor(id) else { panic!("{id}") };
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn damaged_feature_files_are_refused_or_lack_videos() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("features-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let path = scratch.join("cut.hdf5");
    let whole = bytes("features.hdf5");
    for cut in (0..whole.len()).step_by(whole.len() / 60) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        if let Ok(file) = FeatureFiles::open(std::slice::from_ref(&path)) {
            // What lies beyond the cut is missing or unreadable.
            let _ = (file.tensor("plain"), file.tensor("packed"), file.tensor("1/1_1_Y"));
        }
    }
    std::fs::write(&path, b"not features").unwrap();
    let message = FeatureFiles::open(&[path]).unwrap_err().to_string();
    assert!(message.contains("cut.hdf5") && message.contains("neither HDF5 nor safetensors"), "{message}");
    std::fs::remove_dir_all(scratch).unwrap();
}

fn segment_file(name: &str) -> (String, Vec<u8>) {
    (name.to_owned(), bytes(name))
}

#[test]
fn segments_by_the_rules_of_vcsl() {
    let of = |file: &(String, Vec<u8>)| SegmentFile { name: &file.0, bytes: &file.1 }.vcsl().unwrap();
    let labels = of(&segment_file("vcsl.labels.json"));
    let predictions = of(&segment_file("vcsl.predictions.json"));
    let pairs: Vec<(String, String)> = labels.keys().cloned().collect();
    let (name, bytes) = segment_file("vcsl.groups.json");
    let groups = |split| SegmentFile { name: &name, bytes: &bytes }.vcsl_groups(split).unwrap();
    for (case, groups) in [("all", Some(groups(None))), ("test", Some(groups(Some("test")))), ("by_query", None)] {
        let report = vcsl(&labels, &predictions, &pairs, groups.as_ref()).unwrap();
        let report = serde_json::to_value(report).unwrap();
        let expected = &expected().vcsl[case];
        for average in ["macro_average", "micro_average"] {
            for figure in ["precision", "recall", "f1"] {
                let of = |value: &serde_json::Value| value[average][figure].as_f64().unwrap();
                close(&format!("{case} {average} {figure}"), of(&report), of(expected));
            }
        }
        for figure in ["false_rejection_rate", "false_alarm_rate"] {
            close(figure, report[figure].as_f64().unwrap(), expected[figure].as_f64().unwrap());
        }
    }
    assert!(SegmentFile { name: &name, bytes: &bytes }.vcsl_groups(Some("train")).is_err());
    let unknown = BTreeMap::from([("set".to_owned(), vec![("a".to_owned(), "b".to_owned())])]);
    assert!(vcsl(&labels, &predictions, &pairs, Some(&unknown)).unwrap_err().to_string().contains("`a-b`"));
}

#[test]
fn segments_by_the_rules_of_the_video_similarity_challenge() {
    let (labels, predictions) = (bytes("vsc.labels.csv"), bytes("vsc.predictions.csv"));
    let truth = SegmentFile { name: "vsc.labels.csv", bytes: &labels }.vsc_labels().unwrap();
    let found = SegmentFile { name: "vsc.predictions.csv", bytes: &predictions }.vsc_predictions().unwrap();
    let report = vsc(&truth, &found).unwrap();
    close("segments", report.segment_uap, expected().vsc["segment_uap"]);
    close("pairs", report.pair_uap, expected().vsc["pair_uap"]);
    // Ids with and without their letter are the same video.
    let text = String::from_utf8(predictions).unwrap().replace(['Q', 'R'], "");
    let bare = SegmentFile { name: "bare.csv", bytes: text.as_bytes() }.vsc_predictions().unwrap();
    assert_eq!(vsc(&truth, &bare).unwrap(), report);
    assert!(vsc(&BTreeMap::new(), &found).is_err());
    for (text, part) in [
        ("query_id,ref_id\na,b\n", "no column `query_start`"),
        ("query_id,ref_id,query_start,query_end,ref_start,ref_end\na,b,1,2,x,4\n", "the number `x`"),
        ("query_id,ref_id,query_start,query_end,ref_start,ref_end\na,b,3,2,1,4\n", "are no segment"),
        ("query_id,ref_id,query_start,query_end,ref_start,ref_end\na,b\n", "line 2 has 2 cells"),
    ] {
        let message = SegmentFile { name: "x.csv", bytes: text.as_bytes() }.vsc_labels().unwrap_err().to_string();
        assert!(message.contains(part) && message.starts_with("x.csv"), "{message}");
    }
}

/// Unit vectors `[T, R, D]` that change slowly, with a part of their own.
fn drawn(name: &str, frames: usize, regions: usize, dims: usize) -> Array3<f32> {
    let mut data = vidsieve_eval::rule::values(name, frames * regions * dims, 1.0, 0.0);
    let scene = vidsieve_eval::rule::values(&format!("{name}.scene"), regions * dims, 2.0, 0.0);
    data.iter_mut().zip(scene.iter().cycle()).for_each(|(v, s)| *v += s);
    vidsieve_model::math::normalise_rows(&mut data, dims);
    Array3::from_shape_vec((frames, regions, dims), data).unwrap()
}

/// The bundle of the repository, a data set with two missing videos, and its tensors.
fn drawn_set() -> (Bundle, Dataset, HashMap<String, Array3<f32>>) {
    let model = folder().join("../../models/default.safetensors");
    let bundle = Bundle::from_bytes("default", std::fs::read(model).unwrap()).unwrap();
    let config = bundle.config().fine_binary.clone().unwrap();
    let (regions, dims) = (config.regions_needed(), config.dims);
    let mut tensors = HashMap::new();
    for i in 0..4 {
        let clip = drawn(&format!("clip{i}"), 6 + i, regions, dims);
        tensors.insert(format!("copy{i}"), clip.slice(ndarray::s![1.., .., ..]).to_owned());
        tensors.insert(format!("clip{i}"), clip);
    }
    // Fewer than four frames are repeated.
    tensors.insert("short".into(), drawn("short", 1, regions, dims));
    tensors.remove("copy3");
    let annotation = serde_json::json!({
        "annotation": { "clip0": { "ND": ["copy0"] }, "clip1": { "DS": ["copy1"] }, "clip2": { "ND": ["copy2"] },
            "clip3": { "ND": ["copy3"] }, "gone": { "ND": ["copy0"] } },
        "queries": ["clip0", "clip1", "clip2", "clip3", "gone"],
        "database": ["clip0", "clip1", "copy0", "copy1", "copy2", "copy3", "short"],
    });
    let file = AnnotationFile { name: "drawn.json".into(), bytes: annotation.to_string().into_bytes() };
    (bundle, Dataset::read(DatasetName::Fivr200k, &[file]).unwrap(), tensors)
}

#[test]
fn networks_score_what_there_is_of_a_data_set() {
    let (bundle, dataset, tensors) = drawn_set();
    let networks = RetrievalNetworks::new(Isa::best(), &bundle).unwrap();
    let scored = compute(&dataset, &tensors, &networks, &|_, _| {}).unwrap();
    let here = |id: &str| tensors.contains_key(id);
    let report = evaluate(&dataset, &scored, &here);
    assert_eq!(report.queries.missing, ["gone"]);
    assert_eq!(report.database.missing, ["copy3"]);
    for network in ["coarse", "fine_binary"] {
        let row = report.results[network]["DSVR"];
        // The copy of the fourth query is missing: it has nothing to find.
        assert_eq!((row.queries, row.without_relevant, row.relevant), (3, 1, 3), "{network}");
        assert!((row.map - 1.0).abs() < 1e-12, "{network}: {row:?}");
        assert!(report.bytes_per_video[network] > 0.0 && report.ms_per_query[network] > 0.0);
    }
    let curve = report.dns.as_ref().unwrap();
    assert_eq!((curve.fine.as_str(), curve.map["CSVR"].len(), curve.ms_per_query.len()), ("fine_binary", 21, 21));
    assert!((curve.map["CSVR"][20] - 1.0).abs() < 1e-12 && curve.bytes_per_video.unwrap() > 1000.0);

    // The same from a file.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("features-file-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let path = scratch.join("features.safetensors");
    let raw: Vec<(String, Vec<u8>, Vec<usize>)> = tensors
        .iter()
        .map(|(id, t)| (id.clone(), t.iter().flat_map(|v| v.to_le_bytes()).collect(), t.shape().to_vec()))
        .collect();
    let views = raw.iter().map(|(id, bytes, shape)| {
        (id, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let stored = compute(&dataset, &FeatureFiles::open(&[path]).unwrap(), &networks, &|_, _| {}).unwrap();
    assert_eq!((&stored.scores, &stored.doubt, &stored.targets), (&scored.scores, &scored.doubt, &scored.targets));
    std::fs::remove_dir_all(scratch).unwrap();

    // Features of another extractor, and none at all.
    let other = FeatureFiles::open(&[folder().join("features.hdf5")]).unwrap();
    let nothing = compute(&dataset, &other, &networks, &|_, _| {}).unwrap_err();
    assert!(nothing.to_string().contains("0 of 5 queries and 0 of 7"), "{nothing}");
    let narrow = HashMap::from([("clip0".to_owned(), other.tensor("plain").unwrap())]);
    let error = compute(&dataset, &narrow, &networks, &|_, _| {}).unwrap_err();
    assert!(matches!(error, DatasetError::Network { .. }), "{error}");
    assert!(error.to_string().starts_with("clip0: "), "{error}");
}
