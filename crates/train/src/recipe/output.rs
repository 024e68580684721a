//! What a carried out recipe gives: networks, reports, bundle files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vidsieve_model::bundle::{Bundle, BundleWriter, Network, Storage};
use vidsieve_model::calibration::Calibration;

use super::settings::Recipe;
use super::workshop::Workshop;
use crate::TrainError;
use crate::checkpoint::write_atomically;
use crate::learners::run::Values;
use crate::networks::parameters::Parameters;

/// What one stage took and measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// Seconds in this run; 0 where the stage was done already.
    pub seconds: f64,
    /// Seconds of training in all runs, where the stage trains.
    pub trained_seconds: f64,
    /// Largest resident memory of the process so far, bytes; 0 where the system does not tell.
    pub peak_bytes: u64,
    /// Figures at the end.
    pub values: Values,
}

/// What the whole recipe measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecipeReport {
    /// Every stage.
    pub stages: BTreeMap<String, StageReport>,
    /// Plain uses of the same descriptors on the validation corpus: mean vector, frame and region
    /// Chamfer.
    pub plain: BTreeMap<String, Values>,
}

/// Peak resident memory of this process.
pub(super) fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

/// All trained networks.
#[derive(Debug)]
pub struct Networks {
    /// Backbone and whitening.
    pub extractor: Bundle,
    /// T.
    pub teacher: Parameters,
    /// S^f_A of the last iteration.
    pub fine_attention: Parameters,
    /// S^f_B.
    pub fine_binary: Parameters,
    /// S^c.
    pub coarse: Parameters,
    /// SN.
    pub selector: Parameters,
    /// Raw similarities to probabilities.
    pub calibration: Calibration,
}

/// The two files of the default bundle: what a browser loads (backbone, whitening, S^f_B, S^c, SN),
/// and everything.
///
/// # Errors
/// [`TrainError::Weights`], [`TrainError::Bundle`].
pub fn bundles(
    shop: &Workshop,
    networks: &Networks,
    storage: Storage,
    licence: &str,
    provenance: &BTreeMap<String, String>,
) -> Result<[Bundle; 2], TrainError> {
    let make = |whole: bool| -> Result<Bundle, TrainError> {
        let mut config = networks.extractor.config().clone();
        config.fine_binary = Some(shop.sizes.fine_binary());
        config.coarse = Some(shop.sizes.coarse());
        config.selector = Some(shop.sizes.selector());
        let mut calibration = networks.calibration.clone();
        if whole {
            config.fine_attention = Some(shop.sizes.fine_attention());
            config.teacher = Some(shop.sizes.teacher());
        } else {
            (calibration.fine_attention, calibration.teacher) = (None, None);
        }
        config.calibration = Some(calibration);
        let mut writer = BundleWriter::new(config, licence, provenance.clone());
        for network in [Network::Backbone, Network::Pca] {
            writer.add(network, &networks.extractor.weights(network)?, storage)?;
        }
        let mut parts = vec![
            (Network::FineBinary, &networks.fine_binary),
            (Network::Coarse, &networks.coarse),
            (Network::Selector, &networks.selector),
        ];
        if whole {
            parts.extend([(Network::FineAttention, &networks.fine_attention), (Network::Teacher, &networks.teacher)]);
        }
        for (network, parameters) in parts {
            writer.add(network, &parameters.to_state("trained.")?, storage)?;
        }
        Ok(writer.finish()?)
    };
    Ok([make(false)?, make(true)?])
}

/// Writes the report of a recipe.
///
/// # Errors
/// [`TrainError::File`].
pub fn save_report(shop: &Workshop, recipe: &Recipe, report: &RecipeReport) -> Result<(), TrainError> {
    let path = shop.path("report.json");
    let text =
        serde_json::to_vec_pretty(&serde_json::json!({ "recipe": recipe, "sizes": shop.sizes, "report": report }))
            .map_err(|e| TrainError::file(&path, e))?;
    write_atomically(&path, &text)
}
