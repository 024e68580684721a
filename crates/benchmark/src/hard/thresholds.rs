//! The merge of coarse and fine answers with selectors that were trained at other thresholds.

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use vidsieve_eval::retrieval::{ByShare, Doubt, EvaluateOptions, Matrix, Scores, evaluate};
use vidsieve_model::bundle::Network;
use vidsieve_model::selector::Selector;
use vidsieve_train::recipe::Workshop;
use vidsieve_train::stage::StageRecord;
use vidsieve_train::{TrainError, checkpoint};

use super::Search;
use crate::BenchmarkError;
use crate::ablation::threshold_name;

/// The bundle's students with a selector trained at another threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThresholdRow {
    /// The threshold.
    pub t: f64,
    /// Quality by share re-ranked.
    pub dns: ByShare,
}

/// The fine network that the selectors belong to.
const FINE: Network = Network::FineBinary;

/// The merge with each selector that a threshold study left in `folder`.
pub(super) fn by_threshold(
    shop: &Workshop,
    folder: &Path,
    search: &Search<'_>,
    scores: &Scores,
) -> Result<Vec<ThresholdRow>, BenchmarkError> {
    let both = scores.networks.get(&Network::Coarse).zip(scores.networks.get(&FINE));
    let Some((coarse, binary)) = both else { return Ok(Vec::new()) };
    let task = &search.task;
    let mut rows = Vec::new();
    for tenth in 1..=9u8 {
        let name = threshold_name(tenth);
        let path = folder.join(format!("{name}.safetensors"));
        if !path.exists() {
            continue;
        }
        check(shop, folder, &name, &path)?;
        let (_, tensors): (serde_json::Value, _) = checkpoint::load(&path)?;
        let state = checkpoint::part(&tensors, "best").to_state("selector.")?;
        let selector = Selector::new(shop.isa, shop.sizes.selector(), &state)?;
        let scalars = |ids: &[String]| {
            let one = |id: &String| {
                let scalar = selector.self_similarity(search.tensor(id).view());
                scalar.map_err(|source| BenchmarkError::Video { video: id.clone(), source })
            };
            ids.par_iter().map(one).collect::<Result<Vec<f32>, _>>()
        };
        let (queries, targets) = (scalars(task.queries())?, scalars(task.targets())?);
        let doubts = queries
            .iter()
            .enumerate()
            .map(|(q, own)| {
                #[allow(clippy::cast_possible_truncation)]
                let cosines: Vec<f32> = coarse.row(q).iter().map(|v| *v as f32).collect();
                let mut doubt = vec![0f32; targets.len()];
                selector.mlp().predict(*own, &targets, &cosines, &mut doubt);
                doubt.into_iter().map(f64::from).collect()
            })
            .collect();
        let doubt = Doubt { name: "selector".into(), fine: FINE, doubt: Matrix::new("selector", doubts)? };
        let networks = [(Network::Coarse, coarse.clone()), (FINE, binary.clone())].into();
        let options = EvaluateOptions { resamples: 0, ..EvaluateOptions::default() }.without_curve();
        let report = evaluate(task, &Scores { networks, selectors: vec![doubt] }, &options)?;
        rows.extend(report.dns.map(|dns| ThresholdRow { t: f64::from(tenth) / 10.0, dns }));
    }
    Ok(rows)
}

/// Refuses a selector that was trained for the students of another bundle.
fn check(shop: &Workshop, folder: &Path, name: &str, path: &Path) -> Result<(), BenchmarkError> {
    const REMEDY: &str = "run `vidsieve eval ablation threshold` with this bundle";
    let Ok(record) = StageRecord::complete(folder, name) else {
        return Err(TrainError::file(path, format!("it has no record of what it was trained for: {REMEDY}")).into());
    };
    for (input, network) in [("coarse", Network::Coarse), ("fine", FINE)] {
        let given = shop.given(network)?.map(|given| given.key);
        if record.inputs.get(input) != given.as_ref() {
            return Err(TrainError::file(path, format!("it was trained for another {network}: {REMEDY}")).into());
        }
    }
    Ok(())
}
