//! The coarse scores, the pairs that are selected for re-ranking, and the merged ranking.

use std::collections::HashMap;

use vidsieve_model::merge::fine_to_unit;

use crate::budget::Budget;
use crate::engine::Engine;
use crate::error::SearchError;
use crate::hit::{Explanation, Hit, HitStage, Outcome};
use crate::query::Query;
use crate::relation::Untold;
use crate::table::{NO_COSINE, Table};
use crate::windows::CoarseScan;

/// The coarse answer to a query: every video's cosine and doubt, and the pairs to look at again.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    coarse: Vec<f32>,
    near: Vec<Option<[f32; 2]>>,
    doubt: Option<Vec<f32>>,
    selected: Vec<usize>,
}

/// Not-a-number counts as the lowest.
fn low(x: f32) -> f32 {
    if x.is_nan() { f32::NEG_INFINITY } else { x }
}

/// The places of the `k` largest keys, by key descending, then by place.
fn best(keys: &[[f32; 2]], k: usize) -> Vec<usize> {
    let compare = |a: &usize, b: &usize| {
        let ([a0, a1], [b0, b1]) = (keys[*a], keys[*b]);
        // Adding 0 makes -0 a tie with 0.
        (low(b0) + 0.0).total_cmp(&(low(a0) + 0.0)).then((low(b1) + 0.0).total_cmp(&(low(a1) + 0.0))).then(a.cmp(b))
    };
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if k < keys.len() {
        if k > 0 {
            order.select_nth_unstable_by(k - 1, compare);
        }
        order.truncate(k);
    }
    order.sort_unstable_by(compare);
    order
}

impl Plan {
    /// Chooses the pairs that the budget pays for: the most doubtful, or without doubts the most
    /// similar.
    #[must_use]
    pub fn new(coarse: impl Into<CoarseScan>, doubt: Option<Vec<f32>>, budget: Budget) -> Self {
        let CoarseScan { cosines: coarse, near } = coarse.into();
        let pairs = match budget {
            // Who asks for a probability gets what is above it; without a selector nothing has one.
            Budget::Probability(p) => doubt.as_ref().map_or(0, |d| d.iter().filter(|d| **d > p).count()),
            budget => budget.pairs(coarse.len(), std::iter::empty()),
        };
        let keys: Vec<[f32; 2]> =
            doubt.as_ref().unwrap_or(&coarse).iter().zip(&coarse).map(|(key, coarse)| [*key, *coarse]).collect();
        let selected = best(&keys, pairs);
        Self { coarse, near, doubt, selected }
    }

    /// The videos to look at again, most doubtful first.
    #[must_use]
    pub fn selected(&self) -> &[usize] {
        &self.selected
    }

    /// Every video's cosine, in the table's order.
    #[must_use]
    pub fn coarse(&self) -> &[f32] {
        &self.coarse
    }

    /// Every video's doubt, in the table's order.
    #[must_use]
    pub fn doubt(&self) -> Option<&[f32]> {
        self.doubt.as_deref()
    }

    /// Why nothing can be told of a video that was not compared.
    fn untold(&self, table: &Table, video: usize) -> Option<Untold> {
        match (self.coarse[video] <= NO_COSINE, table.is_informative(video)) {
            (false, _) => None,
            (true, true) => Some(Untold::NothingInQuery),
            (true, false) => Some(Untold::NothingInTarget),
        }
    }

    /// The best `top` videos: the fine score of those that were compared, the coarse one of the
    /// others, ranked together (the paper's merge). An empty map gives the coarse page. Scores are
    /// calibrated first, so that both stages speak of the same thing; equal ones are ranked by what
    /// the paper merges, then in the table's order.
    #[must_use]
    pub fn page(
        &self,
        engine: &Engine,
        table: &Table,
        outcomes: &HashMap<usize, Outcome>,
        top: usize,
        explain: bool,
    ) -> Vec<Hit> {
        let n = self.coarse.len().min(table.len());
        #[allow(clippy::cast_possible_truncation)]
        let merged: Vec<[f32; 2]> = (0..n)
            .map(|i| match outcomes.get(&i) {
                Some(Outcome::Compared(pair)) => [pair.score, fine_to_unit(f64::from(pair.raw)) as f32],
                _ => [engine.coarse_score(self.coarse[i]), self.coarse[i]],
            })
            .collect();
        let selected: std::collections::HashSet<usize> =
            if explain { self.selected.iter().copied().collect() } else { Default::default() };
        best(&merged, top)
            .into_iter()
            .map(|i| {
                let coarse = engine.coarse_score(self.coarse[i]);
                let (fine, unavailable) = match outcomes.get(&i) {
                    Some(Outcome::Compared(pair)) => (Some(*pair), None),
                    Some(Outcome::Missing) => (None, Some("its codes are missing from the store".to_owned())),
                    Some(Outcome::Failed(reason)) => (None, Some(reason.clone())),
                    None => (None, None),
                };
                Hit {
                    id: table.id(i).to_owned(),
                    score: fine.map_or(coarse, |pair| pair.score),
                    stage: if fine.is_some() { HitStage::Fine } else { HitStage::Coarse },
                    coarse,
                    fine: fine.map(|pair| pair.score),
                    doubt: self.doubt.as_ref().map(|d| d[i]),
                    relation: fine.map(|pair| pair.verdict.relation),
                    coverage: fine.map(|pair| pair.verdict.coverage),
                    untold: fine.map_or_else(|| self.untold(table, i), |pair| pair.verdict.untold),
                    segments: Vec::new(),
                    near: if fine.is_some() { None } else { self.near.get(i).copied().flatten() },
                    unavailable,
                    explain: explain.then(|| Explanation {
                        coarse_cosine: self.coarse[i],
                        fine_similarity: fine.map(|pair| pair.raw),
                        self_similarity: table.self_similarities()[i],
                        selected: selected.contains(&i),
                        coarse_rank: 1 + self.coarse.iter().filter(|c| **c > self.coarse[i]).count(),
                    }),
                }
            })
            .collect()
    }
}

impl Engine {
    /// The coarse scores of a query and the pairs that are selected for re-ranking.
    ///
    /// # Errors
    /// [`SearchError::Record`] for a query of another bundle, [`SearchError::Dims`] for vectors of
    /// different lengths.
    pub fn plan(&self, query: &Query, table: &Table, budget: Budget) -> Result<Plan, SearchError> {
        self.plan_scanned(query, table, table.coarse(self.isa(), query)?, budget)
    }

    /// [`Engine::plan`] of cosines that were computed before, so that callers can time scan and
    /// selection separately.
    ///
    /// # Errors
    /// [`SearchError::Record`] for a query of another bundle.
    pub fn plan_scanned(
        &self,
        query: &Query,
        table: &Table,
        coarse: CoarseScan,
        budget: Budget,
    ) -> Result<Plan, SearchError> {
        self.same_bundle(query.bundle)?;
        let doubt = self.doubt(query.self_similarity, table.self_similarities(), &coarse.cosines);
        Ok(Plan::new(coarse, doubt, budget))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doubtful_are_selected() {
        let coarse = vec![0.9, 0.1, 0.5, 0.4];
        let doubt = vec![0.2, f32::NAN, 0.7, 0.7];
        let of = |budget| Plan::new(coarse.clone(), Some(doubt.clone()), budget).selected;
        assert!(of(Budget::None).is_empty());
        assert_eq!(of(Budget::Pairs(1)), [2]);
        assert_eq!(of(Budget::Share(0.5)), [2, 3]);
        assert_eq!(of(Budget::All), [2, 3, 0, 1]);
        assert_eq!(of(Budget::Probability(0.1)), [2, 3, 0]);
        let without = |budget| Plan::new(coarse.clone(), None, budget).selected;
        assert_eq!(without(Budget::Pairs(2)), [0, 2]);
        assert!(without(Budget::Probability(0.0)).is_empty());
    }

    #[test]
    fn the_best_of_many_are_those_of_a_sort() {
        let values: Vec<f32> = (0..1000u32).map(|i| f32::from(u16::try_from(i * 7919 % 97).unwrap_or(0))).collect();
        let keys: Vec<[f32; 2]> = values.iter().map(|&v| [v, 0.0]).collect();
        let all = best(&keys, values.len());
        for k in [0, 1, 2, 500, 999] {
            assert_eq!(best(&keys, k), all[..k]);
        }
        assert!(all.windows(2).all(|w| values[w[0]] > values[w[1]] || (values[w[0]] == values[w[1]] && w[0] < w[1])));
    }
}
