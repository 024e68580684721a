//! How scores are evaluated.

use vidsieve_model::bundle::Bundle;

/// How [`super::evaluate`] works.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// Seed of the bootstrap and of random selection.
    pub seed: u64,
    /// Bootstrap resamples of the queries; 0: no intervals.
    pub resamples: usize,
    /// Shares in percent at which selection orders are compared; empty: they are not.
    pub curve: Vec<u32>,
    /// Random orders that are averaged.
    pub random_orders: usize,
    /// The coarse cosine that the order `threshold` takes for undecided.
    pub threshold: f64,
    /// Whether the order `oracle` takes answers below the highest hundredth of the unrelated
    /// videos' cosines for that cosine. A fine network with a direct path puts unrelated videos far
    /// below where the coarse one has them, which no search notices.
    pub floor: bool,
}

impl EvaluateOptions {
    /// How the scores of a bundle's networks are evaluated: with a floor where S^f_B has a direct
    /// path.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let floor = bundle.config().fine_binary.as_ref().is_some_and(|fine| fine.direct);
        Self { floor, ..Self::default() }
    }

    /// These options without curves of selection orders: for a ranking that no selector belongs to.
    #[must_use]
    pub fn without_curve(&self) -> Self {
        Self { curve: Vec::new(), ..self.clone() }
    }
}

impl Default for EvaluateOptions {
    /// 1000 resamples, shares in steps of 5 %, ten random orders, threshold 0.5, no floor.
    fn default() -> Self {
        let curve = (0..=100).step_by(5).collect();
        Self { seed: 1, resamples: 1000, curve, random_orders: 10, threshold: 0.5, floor: false }
    }
}
