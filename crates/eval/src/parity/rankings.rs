//! The merge rule, and the data sets' average precisions.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;
use vidsieve_model::merge::{budget_of_share, merge as merged_scores, selection_order};
use vidsieve_model::tensors::TensorFile;

use super::{Checker, ParityError, layout, tolerance};
use crate::metrics::{CcWebVideo, EvveEvent, FIVR_TASKS, Fivr, Results, Svd, evve_mean, trapezoidal_ap};

pub(super) fn merge(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "dns_merge.out.safetensors";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let out = TensorFile::parse(FILE, &bytes)?;
    let (shape, coarse) = out.f64("coarse")?;
    let fine = out.f64("fine01")?.1;
    let available = out.i64("available")?.1;
    let [queries, targets] = shape[..] else { return Err(layout(FILE, "`coarse` is no matrix")) };
    let probability = out.f32("selector_prob")?.1;
    let here: Vec<usize> = (0..targets).filter(|&i| available.get(i).is_some_and(|&a| a != 0)).collect();
    if fine.len() != coarse.len() || probability.len() != queries * here.len() || here.is_empty() {
        return Err(layout(FILE, "fine01, coarse, available and selector_prob do not belong together"));
    }
    let orders: Vec<Vec<usize>> = probability.chunks(here.len()).map(selection_order).collect();
    if out.contains("selector_order") {
        let got: Vec<i64> = orders.iter().flatten().map(|&i| i64::try_from(i).unwrap_or(-1)).collect();
        checker.equal(FILE, "selector_order", &out.i64("selector_order")?.1, &got);
    }
    for name in out.names() {
        let Some(share) = name.strip_prefix("merged_") else { continue };
        let share: f64 = share.parse().map_err(|_| layout(FILE, format!("tensor name `{name}`")))?;
        let mut got = vec![0f64; coarse.len()];
        for (q, order) in orders.iter().enumerate() {
            let row: Vec<f64> = here.iter().map(|&t| coarse[q * targets + t]).collect();
            let budget = budget_of_share(share, here.len());
            let merged = merged_scores(&row, order, budget, |i| fine[q * targets + here[i]]);
            for (&t, value) in here.iter().zip(merged) {
                got[q * targets + t] = value;
            }
        }
        checker.close(FILE, "merged", tolerance::SIMILARITY, out.f64(name)?.1, got);
    }
    Ok(())
}

type Labels = HashMap<String, Vec<String>>;

#[derive(Deserialize)]
struct FivrCase {
    queries: Vec<String>,
    database: Vec<String>,
    annotation: HashMap<String, Labels>,
    all_db: Vec<String>,
    similarities: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    per_query_ap: BTreeMap<String, BTreeMap<String, f64>>,
    result: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct CcWebCase {
    queries: Vec<String>,
    index: BTreeMap<String, u64>,
    ground_truth: Vec<HashMap<u64, String>>,
    excluded: Vec<HashSet<u64>>,
    similarities: BTreeMap<String, Vec<f64>>,
    result: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct EvveCase {
    database: Vec<String>,
    events: BTreeMap<String, Event>,
    all_db: Vec<String>,
    similarities: BTreeMap<String, Vec<f64>>,
    result: BTreeMap<String, f64>,
    #[serde(default)]
    ap_from_ranks: Vec<RanksCase>,
}

#[derive(Deserialize)]
struct Event {
    queries: Vec<String>,
    pos: Vec<String>,
}

#[derive(Deserialize)]
struct RanksCase {
    ranks: Vec<usize>,
    n: usize,
    ap: f64,
}

#[derive(Deserialize)]
struct SvdCase {
    ground_truth: BTreeMap<String, HashMap<String, u8>>,
    unlabeled: HashSet<String>,
    database: Vec<String>,
    all_db: Vec<String>,
    similarities: BTreeMap<String, Vec<f64>>,
    result: BTreeMap<String, f64>,
}

fn zip(similarities: BTreeMap<String, Vec<f64>>, names: &[String]) -> BTreeMap<String, Results> {
    similarities.into_iter().map(|(q, s)| (q, names.iter().cloned().zip(s).collect())).collect()
}

pub(super) fn map_cases(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "map_cases.json";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let cases: Value = serde_json::from_slice(&bytes).map_err(|e| layout(FILE, e))?;
    let Some(cases) = cases.as_object() else { return Err(layout(FILE, "is no JSON object")) };
    fn read<T: for<'a> Deserialize<'a>>(name: &str, value: &Value) -> Result<T, ParityError> {
        T::deserialize(value).map_err(|e| layout(FILE, format!("case `{name}`: {e}")))
    }
    let mut check = |group: &str, result: &BTreeMap<String, f64>, got: &[(&str, f64)]| {
        for (name, value) in got {
            if let Some(expected) = result.get(*name) {
                checker.close(FILE, &format!("{group} {name}"), tolerance::MAP, [*expected], [*value]);
            }
        }
    };
    for (name, value) in cases {
        match name.as_str() {
            "fivr" => {
                let case: FivrCase = read(name, value)?;
                let results = zip(case.similarities, &case.database);
                let available: HashSet<String> = case.all_db.into_iter().collect();
                let fivr = Fivr { queries: case.queries, annotation: case.annotation };
                for (task, labels) in FIVR_TASKS {
                    check(name, &case.result, &[(task, fivr.mean(&results, &available, labels).map)]);
                    for (query, expected) in &case.per_query_ap {
                        let Some(r) = results.get(query) else { continue };
                        if let Some(ap) = fivr.average_precision(query, r, &available, labels) {
                            check(&format!("{name} {query}"), expected, &[(task, ap)]);
                        }
                    }
                }
            }
            "cc_web_video" => {
                let case: CcWebCase = read(name, value)?;
                let names: Vec<String> = case.index.keys().cloned().collect();
                let results = zip(case.similarities, &names);
                let set = CcWebVideo {
                    queries: case.queries,
                    index: case.index.into_iter().collect(),
                    ground_truth: case.ground_truth,
                    excluded: case.excluded,
                };
                let got = [
                    ("mAP", false, false),
                    ("mAP_star", true, false),
                    ("mAP_c", false, true),
                    ("mAP_c_star", true, true),
                ]
                .map(|(name, all, clean)| (name, set.mean(&results, all, clean).map));
                check(name, &case.result, &got);
            }
            "evve" => {
                let case: EvveCase = read(name, value)?;
                let results = zip(case.similarities, &case.database);
                let available: HashSet<String> = case.all_db.into_iter().collect();
                let events: Vec<EvveEvent> =
                    case.events.into_values().map(|e| EvveEvent { queries: e.queries, positives: e.pos }).collect();
                check(name, &case.result, &[("mAP", evve_mean(&events, &results, &available).map)]);
                for c in &case.ap_from_ranks {
                    let expected = BTreeMap::from([("ap_from_ranks".to_owned(), c.ap)]);
                    check(name, &expected, &[("ap_from_ranks", trapezoidal_ap(&c.ranks, c.n))]);
                }
            }
            "svd" => {
                let case: SvdCase = read(name, value)?;
                let results = zip(case.similarities, &case.database);
                let available: HashSet<String> = case.all_db.into_iter().collect();
                let labels = |l: HashMap<String, u8>| l.into_iter().map(|(v, y)| (v, y != 0)).collect();
                let ground_truth = case.ground_truth.into_iter().map(|(q, l)| (q, labels(l))).collect();
                let svd = Svd { ground_truth, unlabeled: case.unlabeled };
                check(name, &case.result, &[("mAP", svd.mean(&results, &available).map)]);
            }
            _ => {}
        }
    }
    Ok(())
}
