//! The merge rule, and the data sets' average precisions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use vidsieve_model::merge::{budget_of_share, merge as merged_scores, selection_order};
use vidsieve_model::tensors::TensorFile;

use super::{Checker, ParityError, layout, tolerance};
use crate::dataset::{AnnotationFile, Dataset, DatasetName, Judge, Similarities, SimilarityFile};
use crate::metrics::trapezoidal_ap;

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

/// What a case of `map_cases.json` holds beside the data set's annotation and the similarities.
#[derive(Deserialize)]
struct Expected {
    #[serde(default)]
    per_query_ap: BTreeMap<String, BTreeMap<String, f64>>,
    result: BTreeMap<String, f64>,
    #[serde(default)]
    ap_from_ranks: Vec<RanksCase>,
}

#[derive(Deserialize)]
struct RanksCase {
    ranks: Vec<usize>,
    n: usize,
    ap: f64,
}

pub(super) fn map_cases(checker: &mut Checker) -> Result<(), ParityError> {
    const FILE: &str = "map_cases.json";
    let Some(bytes) = checker.read(FILE)? else { return Ok(()) };
    let cases: BTreeMap<String, Value> = serde_json::from_slice(&bytes).map_err(|e| layout(FILE, e))?;
    for (name, value) in &cases {
        let set = match name.as_str() {
            "fivr" => DatasetName::Fivr200k,
            "cc_web_video" => DatasetName::CcWebVideo,
            "evve" => DatasetName::Evve,
            "svd" => DatasetName::Svd,
            _ => continue,
        };
        let of_case = |e: &dyn std::fmt::Display| layout(FILE, format!("case `{name}`: {e}"));
        let expected = Expected::deserialize(value).map_err(|e| of_case(&e))?;
        // A case is an annotation and a file of similarities in one.
        let bytes = serde_json::to_vec(value).map_err(|e| of_case(&e))?;
        let annotation = AnnotationFile { name: FILE.to_owned(), bytes: bytes.clone() };
        let dataset = Dataset::read(set, &[annotation]).map_err(|e| of_case(&e))?;
        let file = SimilarityFile { name: "golden".to_owned(), file: FILE.to_owned(), bytes };
        let Similarities { scored, available } = Similarities::read(&dataset, &[file]).map_err(|e| of_case(&e))?;
        let judge = Judge::new(&dataset, &scored.queries, &scored.targets, &|id| available.contains(id));
        let scores = &scored.scores["golden"];
        let mut check = |group: String, expected: f64, got: f64| {
            checker.close(FILE, &group, tolerance::MAP, [expected], [got]);
        };
        for (task, row) in judge.rows(scores, false) {
            if let Some(&expected) = expected.result.get(&task) {
                check(format!("{name} {task}"), expected, row.map);
            }
        }
        for (query, values) in judge.per_query(scores) {
            for (task, value) in dataset.tasks().zip(values) {
                let expected = expected.per_query_ap.get(query).and_then(|tasks| tasks.get(task));
                if let (Some(&expected), Some(value)) = (expected, value) {
                    check(format!("{name} {query} {task}"), expected, value);
                }
            }
        }
        for case in &expected.ap_from_ranks {
            check(format!("{name} ap_from_ranks"), case.ap, trapezoidal_ap(&case.ranks, case.n));
        }
    }
    Ok(())
}
