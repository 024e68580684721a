#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};

use vidsieve_model::bundle::Network;

use super::quality::quality;
use super::selection::Merger;
use super::*;

const TRUTH: &str = r#"{"queries": {"b": ["c", "b", "e"], "a": ["d"], "z": []},
    "database": ["c", "b", "d", "x", "e"], "note": 1}"#;

fn truth() -> Truth {
    Truth::parse("truth.json", TRUTH.as_bytes()).unwrap()
}

fn task() -> Task {
    Task::new(&truth(), |_| true).unwrap()
}

fn matrix(rows: &[&[f64]]) -> Matrix {
    Matrix::new("test", rows.iter().map(|r| r.to_vec()).collect()).unwrap()
}

/// Rows a, b, z; columns c, b, d, x, e.
fn coarse() -> Matrix {
    matrix(&[&[0.9, 0.1, 0.5, 0.5, 0.2], &[0.3, 1.0, 0.8, 0.1, 0.9], &[0.0, 0.0, 0.0, 0.0, 0.95]])
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} {b}");
}

#[test]
fn by_hand() {
    let scores = Scores { networks: BTreeMap::from([(Network::Coarse, coarse())]), selectors: vec![] };
    let report = evaluate(&task(), &scores, &EvaluateOptions::default()).unwrap();
    let quality = report.coarse.unwrap();
    // a: c d x e b, so d is second. b without itself: e d c x, so hits at 1 and 3.
    near(quality.map, (1.0 / 2.0 + (1.0 + 2.0 / 3.0) / 2.0) / 2.0);
    near(quality.recall1, 0.5);
    // All pairs: ze .95, ac .9, be+ .9, bd .8, ad+ .5, ax .5, bc+ .3, ...: .9 and .5 are shared.
    near(quality.uap, (1.0 / 3.0 + 2.0 / 6.0 + 3.0 / 7.0) / 3.0);
    assert_eq!((report.queries, report.database, report.relevant_pairs), (3, 5, 3));
    assert_eq!(report.queries_without_relevant, 1);
    assert!(report.dns.is_none() && report.teacher.is_none() && report.selection.is_empty());
    for ([low, high], value) in
        [(quality.map_interval, quality.map), (quality.recall1_interval, 0.5), (quality.uap_interval, quality.uap)]
            .map(|(i, v)| (i.unwrap(), v))
    {
        assert!(low <= value && value <= high && (0.0..=1.0).contains(&low) && high <= 1.0, "{low} {value} {high}");
    }
    assert_eq!(quality.recall1_interval, Some([0.0, 1.0]));
}

#[test]
fn what_cannot_be_read_is_left_out() {
    let task = Task::new(&truth(), |v| v != "e" && v != "z").unwrap();
    assert_eq!(
        (task.queries(), task.targets()),
        (&["a", "b"].map(String::from)[..], &["c", "b", "d", "x"].map(String::from)[..])
    );
    let matrix = matrix(&[&[0.9, 0.1, 0.5, 0.5], &[0.3, 1.0, 0.8, 0.1]]);
    let scores = Scores { networks: BTreeMap::from([(Network::Teacher, matrix)]), selectors: vec![] };
    let report = evaluate(&task, &scores, &EvaluateOptions { resamples: 0, ..Default::default() }).unwrap();
    let quality = report.teacher.unwrap();
    near(quality.map, 0.5);
    assert_eq!(quality.map_interval, None);
    assert_eq!(report.unreadable, ["e", "z"]);
    assert!(matches!(Task::new(&truth(), |_| false), Err(RetrievalError::Nothing { .. })));
}

#[test]
fn measures_agree_with_those_of_the_data_sets() {
    use crate::dataset::{AnnotationFile, Dataset, DatasetName, Judge};
    use crate::metrics::tied_average_precision;
    let task = task();
    let matrix = coarse();
    let labels: BTreeMap<String, serde_json::Value> = truth()
        .queries
        .into_iter()
        .map(|(q, relevant)| {
            let labels: Vec<String> = relevant.into_iter().filter(|v| *v != q).collect();
            (q, serde_json::json!({ "ND": labels }))
        })
        .collect();
    let annotation = serde_json::json!({ "annotation": labels, "queries": task.queries(), "database": task.targets() });
    let file = AnnotationFile { name: "task".into(), bytes: annotation.to_string().into_bytes() };
    let fivr = Dataset::read(DatasetName::Fivr200k, &[file]).unwrap();
    let queries: Vec<usize> = (0..task.queries().len()).collect();
    let rows: Vec<Vec<f64>> = queries.iter().map(|&q| matrix.row(q).to_vec()).collect();
    let available = |id: &str| task.targets().iter().any(|t| t == id);
    let expected = Judge::new(&fivr, &queries, task.targets(), &available).rows(&rows, false)["DSVR"];
    let quality = quality(&task, &EvaluateOptions::default(), |q, columns| matrix.pick(q, columns));
    near(quality.map, expected.map);
    let pairs: Vec<(f64, bool)> = (0..3)
        .flat_map(|q| task.candidates(q).into_iter().map(move |c| (q, c)))
        .map(|(q, c)| (matrix.row(q)[c], task.is_relevant(q, c)))
        .collect();
    near(quality.uap, tied_average_precision(&pairs).unwrap());
}

fn with_selector() -> Scores {
    // Fine similarities in [-1, 1]: right about everything.
    let fine = matrix(&[&[-1.0, -1.0, 1.0, -1.0, -1.0], &[0.8, 1.0, -1.0, -1.0, 1.0], &[-1.0; 5]]);
    let doubt = matrix(&[&[0.1, 0.2, 0.9, 0.3, 0.8], &[0.9, 1.0, 0.8, 0.0, 0.0], &[0.0; 5]]);
    let networks = BTreeMap::from([(Network::Coarse, coarse()), (Network::FineBinary, fine)]);
    let selectors = vec![Doubt { name: "selector".into(), fine: Network::FineBinary, doubt }];
    Scores { networks, selectors }
}

#[test]
fn the_floor_is_the_highest_unrelated_cosine_of_a_few() {
    let (task, coarse) = (task(), coarse());
    let unrelated = |q: usize| {
        let columns = task.candidates(q);
        columns.into_iter().filter(|&c| !task.is_relevant(q, c)).map(|c| coarse.row(q)[c]).collect::<Vec<_>>()
    };
    let highest = (0..task.queries().len()).flat_map(unrelated).fold(f64::NEG_INFINITY, f64::max);
    near(Merger { task: &task, coarse: &coarse, fine: &coarse }.floor(), highest);
}

#[test]
fn shares_replace_the_doubted() {
    let options = EvaluateOptions { curve: vec![0, 30, 100], ..EvaluateOptions::default() };
    let report = evaluate(&task(), &with_selector(), &options).unwrap();
    let dns = report.dns.unwrap();
    let coarse = report.coarse.unwrap();
    assert_eq!(dns.get(0), Some(&coarse));
    // 5 % and 10 % of 5 or 4 videos are none.
    assert_eq!(dns.get(10), Some(&coarse));
    // 30 % is one of each: a looks again at d (now 1.0, first), b at c (now 0.9, which ties with e
    // and comes before).
    near(dns.get(30).unwrap().map, 1.0);
    near(dns.get(100).unwrap().map, 1.0);
    assert_eq!(dns.get(100).unwrap().recall1, 1.0);
    let curve = |name: &str| report.selection.iter().find(|c| c.order == name).unwrap();
    for name in ["selector", "similarity", "threshold", "oracle", "random"] {
        near(curve(name).map[0], coarse.map);
        near(curve(name).map[2], 1.0);
    }
    near(curve("selector").map[1], 1.0);
    // The oracle takes c for a (0.9 becomes 0: d is first among equals of 0.5), and d for b (0.8
    // becomes 0).
    near(curve("oracle").map[1], 1.0);
    // By similarity c for a as well, but e for b (0.9 becomes 1.0).
    near(curve("similarity").map[1], (1.0 + 5.0 / 6.0) / 2.0);
    // Closest to 0.5: d for a; c for b (0.3), which becomes 0.9.
    near(curve("threshold").map[1], 1.0);
    let random = curve("random");
    assert!(random.map[1] > coarse.map && random.map[1] < 1.0);
    let deviation = random.deviation.as_ref().unwrap();
    assert!(deviation[0] < 1e-12 && deviation[1] > 0.0);
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let run = |seed| {
        let options = EvaluateOptions { seed, ..EvaluateOptions::default() };
        serde_json::to_string(&evaluate(&task(), &with_selector(), &options).unwrap()).unwrap()
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
}

#[test]
fn json_has_the_promised_fields() {
    let mut report = evaluate(&task(), &with_selector(), &EvaluateOptions::default()).unwrap();
    report.bytes_per_video.insert("coarse".into(), 2048.0);
    let json = serde_json::to_value(&report).unwrap();
    for share in ["0", "5", "10", "30", "100"] {
        assert!(json["dns"][share]["map"].is_number(), "{json}");
    }
    for field in ["map", "recall1", "uap"] {
        assert!(json["coarse"][field].is_number() && json["fine_binary"][field].is_number());
    }
    assert_eq!(json["bytes_per_video"]["coarse"], 2048.0);
    assert_eq!((&json["queries"], &json["database"]), (&3.into(), &5.into()));
    assert!(json.get("teacher").is_none() && json.get("fine_attention").is_none());
    assert_eq!(json["dns_fine"], "fine_binary");
}

#[test]
fn unfit_input_is_refused() {
    for (text, reason) in [
        ("[]", "invalid"),
        (r#"{"queries": {}, "database": ["a"]}"#, "no queries"),
        (r#"{"queries": {"a": []}, "database": []}"#, "empty"),
        (r#"{"queries": {"a": []}, "database": ["b", "b"]}"#, "twice"),
        (r#"{"queries": {"a": ["c"]}, "database": ["b"]}"#, "not in the database"),
        (r#"{"queries": {"a": ["c"]}}"#, "database"),
    ] {
        let error = Truth::parse("t.json", text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("t.json: ") && error.contains(reason), "{error}");
    }
    assert!(Matrix::new("x", vec![vec![0.0], vec![0.0, 1.0]]).is_err());
    assert!(Matrix::new("x", vec![vec![f64::NAN]]).unwrap_err().to_string().contains("query 0, video 0"));
    let options = EvaluateOptions::default();
    let small = Scores { networks: BTreeMap::from([(Network::Coarse, matrix(&[&[0.0]]))]), selectors: vec![] };
    assert!(matches!(evaluate(&task(), &small, &options), Err(RetrievalError::Scores { .. })));
    let mut without = with_selector();
    without.networks.remove(&Network::FineBinary);
    assert!(evaluate(&task(), &without, &options).unwrap_err().to_string().contains("fine_binary"));
}

#[test]
fn coarse_vectors_are_compared() {
    let task = Task::new(&truth(), |v| v != "z").unwrap();
    let output = |x: f32| VideoOutputs { coarse: Some(vec![x, 1.0]), ..VideoOutputs::default() };
    let mut outputs: HashMap<String, VideoOutputs> =
        ["a", "b", "c", "d", "e", "x"].into_iter().zip(0u8..).map(|(v, x)| (v.into(), output(f32::from(x)))).collect();
    let (scores, times) = score(&task, &outputs, &Comparers::default()).unwrap();
    assert_eq!(scores.networks[&Network::Coarse].row(1), [3.0, 2.0, 4.0, 6.0, 5.0]);
    assert!(times["coarse"] >= 0.0 && scores.selectors.is_empty());
    outputs.remove("d");
    let error = score(&task, &outputs, &Comparers::default()).unwrap_err().to_string();
    assert!(error.contains("`d`"), "{error}");
}
