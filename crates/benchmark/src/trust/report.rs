//! What a run says: by kind, as a table of relations, and against the limits.

use std::collections::BTreeMap;

use serde::Serialize;

use vidsieve::Relation;
use vidsieve_eval::charts::{GridChart, RowChart};
use vidsieve_eval::plots::{self, Axis, Plot, Series};

use super::PairClass;
use super::run::{SURE, TrustResult};

/// Bins of a reliability diagram.
const BINS: usize = 10;
/// Recall at which precision is reported.
const RECALL: f64 = 0.9;
/// Shares of look-alikes that may pass, at which recall is reported.
const PASSES: [f64; 2] = [0.01, 0.05];

/// What was found of the pairs of one kind, or of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrustRow {
    /// Kind or class.
    pub name: String,
    /// What its pairs test.
    pub class: PairClass,
    /// Pairs.
    pub pairs: usize,
    /// Share with a score of .5 and more.
    pub half: f64,
    /// Share with a score of .9 and more.
    pub sure: f64,
    /// Share that is claimed: `copy`, `excerpt` or `contains`, or a score of .9 and more.
    pub claimed: f64,
    /// Share whose relation is right.
    pub right: f64,
    /// Share whose coarse score is .5 and more.
    pub coarse_half: f64,
    /// Share whose coarse score is .9 and more.
    pub coarse_sure: f64,
    /// Median of the error of the seconds that match, on the side that is off more; only where a
    /// part matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Median of the error of the first and last second that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<f64>,
}

/// What scores are worth, over all pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreQuality {
    /// Precision where 90 % of the pairs whose query is in the target are found.
    pub precision_at_recall_90: f64,
    /// Recall where 1 % of look-alikes pass.
    pub recall_at_1: f64,
    /// Recall where 5 % of look-alikes pass.
    pub recall_at_5: f64,
    /// Mean score, share of pairs whose query is in the target, and pairs, by tenths of the score.
    pub reliability: Vec<ReliabilityBin>,
}

/// Pairs whose scores are in one tenth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Mean score.
    pub score: f64,
    /// Share of pairs whose query is in the target.
    pub share: f64,
    /// Pairs.
    pub pairs: usize,
}

/// A value and its limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrustBar {
    /// What is measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// Whether the value may not be below the limit; else not above it.
    pub at_least: bool,
    /// Whether the value keeps the limit.
    pub kept: bool,
}

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrustReport {
    /// Identity of the model.
    pub model: String,
    /// Pairs compared.
    pub pairs: usize,
    /// Videos that could not be read, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// By kind, in the order of the set.
    pub kinds: Vec<TrustRow>,
    /// By class.
    pub classes: Vec<TrustRow>,
    /// Pairs by the relation that was found, then by the true one.
    pub confusion: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// What the score is worth.
    pub score: ScoreQuality,
    /// What the score of the two vectors alone is worth.
    pub coarse: ScoreQuality,
    /// The limits.
    pub bars: Vec<TrustBar>,
    /// Every pair.
    pub results: Vec<TrustResult>,
}

#[allow(clippy::cast_precision_loss)]
fn share<'a>(results: &[&'a TrustResult], of: impl Fn(&'a TrustResult) -> bool) -> f64 {
    results.iter().filter(|result| of(result)).count() as f64 / results.len().max(1) as f64
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let high = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { (high + values[middle - 1]) / 2.0 } else { high })
}

/// Whether a part of one side or of both is what matches.
fn in_part(result: &TrustResult) -> bool {
    matches!(result.relation, Relation::SharesPart | Relation::Excerpt | Relation::Contains)
}

fn row(name: &str, results: &[&TrustResult]) -> Option<TrustRow> {
    let first = results.first()?;
    let parts: Vec<&TrustResult> = results.iter().copied().filter(|result| in_part(result)).collect();
    Some(TrustRow {
        name: name.to_owned(),
        class: first.class,
        pairs: results.len(),
        half: share(results, |r| r.score >= 0.5),
        sure: share(results, |r| r.score >= SURE),
        claimed: share(results, TrustResult::claimed),
        right: share(results, TrustResult::right),
        coarse_half: share(results, |r| r.coarse >= 0.5),
        coarse_sure: share(results, |r| r.coarse >= SURE),
        seconds: median(parts.iter().map(|r| r.seconds_error()).collect()),
        ends: median(parts.iter().filter_map(|r| r.ends_error()).collect()),
    })
}

/// What the scores of pairs are worth; `contained` says of which the query is in the target.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn quality(results: &[TrustResult], score: fn(&TrustResult) -> f32) -> ScoreQuality {
    let scored = |of: &dyn Fn(&TrustResult) -> bool| {
        let mut all: Vec<f64> = results.iter().filter(|r| of(r)).map(|r| f64::from(score(r))).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        all
    };
    let contained = scored(&|r| r.contained() == Some(true));
    let others = scored(&|r| r.contained() == Some(false));
    let alike = scored(&|r| matches!(r.class, PairClass::LookAlike | PairClass::SharesPart));
    let passing = |all: &[f64], least: f64| all.iter().filter(|score| **score >= least).count() as f64;
    // The score that the share is found at.
    let needed = ((contained.len() as f64 * RECALL).ceil() as usize).saturating_sub(1);
    let precision = contained.get(needed).map_or(0.0, |least| {
        let right = passing(&contained, *least);
        right / (right + passing(&others, *least))
    });
    let recall = |pass: f64| {
        // The first look-alike that may not pass is the limit.
        let limit = alike.get((alike.len() as f64 * pass).floor() as usize).copied().unwrap_or(f64::NEG_INFINITY);
        contained.iter().filter(|score| **score > limit).count() as f64 / contained.len().max(1) as f64
    };
    let mut bins = vec![(0.0, 0usize, 0usize); BINS];
    for result in results {
        let Some(there) = result.contained() else { continue };
        let score = f64::from(score(result));
        let bin = &mut bins[((score * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + score, bin.1 + usize::from(there), bin.2 + 1);
    }
    let bins = bins.into_iter().filter(|bin| bin.2 > 0).map(|(sum, there, pairs)| ReliabilityBin {
        score: sum / pairs as f64,
        share: there as f64 / pairs as f64,
        pairs,
    });
    ScoreQuality {
        precision_at_recall_90: precision,
        recall_at_1: recall(PASSES[0]),
        recall_at_5: recall(PASSES[1]),
        reliability: bins.collect(),
    }
}

fn bars(kinds: &[TrustRow], results: &[&TrustResult]) -> Vec<TrustBar> {
    let of = |classes: &[PairClass]| -> Vec<&TrustResult> {
        results.iter().copied().filter(|result| classes.contains(&result.class)).collect()
    };
    let mut all = Vec::new();
    let mut bar = |name: String, value: f64, limit: f64, at_least: bool| {
        let kept = if at_least { value >= limit } else { value <= limit };
        all.push(TrustBar { name, value, limit, at_least, kept });
    };
    let alike = of(&[PairClass::LookAlike, PairClass::SharesPart]);
    if !alike.is_empty() {
        bar("look-alikes claimed".into(), share(&alike, TrustResult::claimed), 0.01, false);
        let worst = kinds
            .iter()
            .filter(|row| matches!(row.class, PairClass::LookAlike | PairClass::SharesPart))
            .max_by(|a, b| a.claimed.total_cmp(&b.claimed));
        if let Some(row) = worst {
            bar(format!("look-alikes claimed, worst kind ({})", row.name), row.claimed, 0.03, false);
        }
    }
    let unrelated = of(&[PairClass::Unrelated]);
    if !unrelated.is_empty() {
        bar("unrelated claimed".into(), share(&unrelated, TrustResult::claimed), 0.001, false);
    }
    let same = of(&[PairClass::Same]);
    if !same.is_empty() {
        bar("same footage claimed".into(), share(&same, TrustResult::claimed), 0.97, true);
    }
    if !kinds.is_empty() {
        #[allow(clippy::cast_precision_loss)]
        let right = kinds.iter().map(|row| row.right).sum::<f64>() / kinds.len() as f64;
        bar("relation right, mean of kinds".into(), right, 0.9, true);
    }
    for (name, relations) in
        [("shares-part", &[Relation::SharesPart][..]), ("excerpt", &[Relation::Excerpt, Relation::Contains])]
    {
        let errors = results.iter().filter(|r| relations.contains(&r.relation) && in_part(r));
        if let Some(error) = median(errors.map(|r| r.seconds_error()).collect()) {
            bar(format!("seconds of {name}, median error"), error, 1.0, false);
        }
    }
    all
}

impl TrustReport {
    /// The report of the results of a run with this model.
    #[must_use]
    pub fn new(model: String, results: Vec<TrustResult>, failed: Vec<String>) -> Self {
        let all: Vec<&TrustResult> = results.iter().collect();
        let mut names: Vec<&str> = Vec::new();
        for result in &all {
            if !names.contains(&result.kind.as_str()) {
                names.push(&result.kind);
            }
        }
        let rows = |of: &dyn Fn(&TrustResult) -> bool, name: &str| {
            row(name, &all.iter().copied().filter(|result| of(result)).collect::<Vec<_>>())
        };
        let kinds: Vec<TrustRow> = names.iter().filter_map(|name| rows(&|r| r.kind == *name, name)).collect();
        let classes = [
            (PairClass::Unrelated, "unrelated"),
            (PairClass::LookAlike, "look-alikes"),
            (PairClass::SharesPart, "shares part"),
            (PairClass::Same, "same footage"),
        ];
        let classes = classes.iter().filter_map(|(class, name)| rows(&|r| r.class == *class, name)).collect();
        let mut confusion: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for result in &all {
            // What is accepted counts as true.
            let truth = if result.right() { result.found } else { result.relation };
            *confusion.entry(result.found.name()).or_default().entry(truth.name()).or_default() += 1;
        }
        Self {
            model,
            pairs: results.len(),
            failed,
            bars: bars(&kinds, &all),
            kinds,
            classes,
            confusion,
            score: quality(&results, |r| r.score),
            coarse: quality(&results, |r| r.coarse),
            results,
        }
    }

    /// Whether every limit is kept.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.bars.iter().all(|bar| bar.kept)
    }

    /// The report as pictures (SVG), each with the name of its file.
    #[must_use]
    pub fn plots(&self) -> Vec<(&'static str, String)> {
        let claims = RowChart {
            title: "What is claimed, by kind of pair".into(),
            values: ["score of .9 and more", "claimed", "score of .5 and more", "coarse of .9 and more"]
                .map(String::from)
                .into(),
            rows: self.kinds.iter().map(|k| (k.name.clone(), vec![k.sure, k.claimed, k.half, k.coarse_sure])).collect(),
        };
        let relations = Relation::ALL.map(Relation::name);
        let cell = |found: &str, truth: &str| self.confusion.get(found).and_then(|row| row.get(truth)).copied();
        let grid = GridChart {
            title: "Relation found against the true one".into(),
            down: "found".into(),
            across: "true".into(),
            names: relations.map(str::to_owned).into(),
            cells: relations.map(|found| relations.map(|truth| cell(found, truth).unwrap_or(0)).into()).into(),
        };
        let series = |name: &str, quality: &ScoreQuality| {
            Series::new(name, quality.reliability.iter().map(|bin| (bin.score, bin.share)).collect())
        };
        let reliability = plots::reliability(
            "What scores are worth among look-alikes",
            vec![series("score", &self.score), series("coarse score", &self.coarse)],
        );
        let recall = Plot::new(
            "Pairs found against look-alikes that pass",
            Axis::new("share of look-alikes that pass").range(0.0, 0.25),
            Axis::new("share of pairs found").range(0.0, 1.0),
        )
        .with(Series::new("score", self.curve(|r| r.score)))
        .with(Series::new("coarse score", self.curve(|r| r.coarse)));
        vec![
            ("claims.svg", claims.svg()),
            ("relations.svg", grid.svg()),
            ("reliability.svg", reliability.svg()),
            ("recall.svg", recall.svg()),
        ]
    }

    /// Shares of look-alikes with at least a score against the share of pairs found by it, for
    /// every score.
    #[must_use]
    pub fn curve(&self, score: fn(&TrustResult) -> f32) -> Vec<(f64, f64)> {
        let side = |of: &dyn Fn(&TrustResult) -> bool| {
            let mut all: Vec<f32> = self.results.iter().filter(|r| of(r)).map(score).collect();
            all.sort_by(f32::total_cmp);
            all
        };
        let alike = side(&|r| matches!(r.class, PairClass::LookAlike | PairClass::SharesPart));
        let same = side(&|r| r.contained() == Some(true));
        #[allow(clippy::cast_precision_loss)]
        let from = |all: &[f32], least: f32| {
            (all.len() - all.partition_point(|score| *score < least)) as f64 / all.len().max(1) as f64
        };
        let mut scores: Vec<f32> = self.results.iter().map(score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.dedup();
        scores.iter().map(|&least| (from(&alike, least), from(&same, least))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::FoundSeconds;
    use super::*;

    fn result(kind: &str, class: PairClass, truth: Relation, found: Relation, score: f32) -> TrustResult {
        TrustResult {
            kind: kind.into(),
            class,
            query: String::new(),
            target: String::new(),
            relation: truth,
            accept: vec![truth],
            found,
            untold: None,
            score,
            coarse: score / 2.0,
            seconds: [FoundSeconds { found: 3.0, truth: 2.5, ends: Some(0.25) }, FoundSeconds::default()],
        }
    }

    /// Ten pairs of each of four kinds; one look-alike is claimed by its score and one by its
    /// relation.
    fn results() -> Vec<TrustResult> {
        use Relation::{Copy, Different, SharesPart};
        let mut all = Vec::new();
        for i in 0..10u8 {
            let low = f32::from(i) / 100.0;
            all.push(result("plain", PairClass::Unrelated, Different, Different, low));
            let (found, score) = match i {
                0 => (Different, 0.95),
                1 => (Copy, 0.6),
                _ => (Different, low),
            };
            all.push(result("lead", PairClass::LookAlike, Different, found, score));
            all.push(result("opening", PairClass::SharesPart, SharesPart, SharesPart, 0.3));
            let found = if i == 0 { Different } else { Copy };
            all.push(result("crop", PairClass::Same, Copy, found, 0.99 - f32::from(i) / 20.0));
        }
        all
    }

    #[test]
    fn claims_and_relations_are_counted_by_kind() {
        let report = TrustReport::new("m".into(), results(), Vec::new());
        let of = |name: &str| report.kinds.iter().find(|row| row.name == name).unwrap();
        let lead = of("lead");
        assert_eq!((lead.pairs, lead.half, lead.sure, lead.claimed, lead.right), (10, 0.2, 0.1, 0.2, 0.9));
        assert_eq!((of("opening").seconds, of("lead").seconds), (Some(0.5), None));
        // A copy that is found by its relation or by its score is claimed.
        assert_eq!((of("crop").claimed, of("crop").right), (1.0, 0.9));
        assert_eq!(report.confusion["copy"], [("copy", 9), ("different", 1)].into());
        let value = |name: &str| report.bars.iter().find(|bar| bar.name.starts_with(name)).unwrap();
        assert!((value("look-alikes claimed").value - 0.1).abs() < 1e-9 && !value("look-alikes claimed").kept);
        assert!((value("look-alikes claimed, worst kind (lead)").value - 0.2).abs() < 1e-9);
        assert!(value("unrelated").kept && value("same footage").kept && value("seconds of shares-part").kept);
        assert!((value("relation right").value - 0.95).abs() < 1e-9 && value("relation right").kept);
        assert!(!report.kept());
    }

    #[test]
    fn scores_are_held_against_look_alikes() {
        let report = TrustReport::new("m".into(), results(), Vec::new());
        // Of twenty look-alikes none may pass at 1 %, one at 5 %: the limits are .95 and .6.
        assert!((report.score.recall_at_1 - 0.1).abs() < 1e-9, "{}", report.score.recall_at_1);
        assert!((report.score.recall_at_5 - 0.8).abs() < 1e-9, "{}", report.score.recall_at_5);
        // Nine of ten are found at .59: one look-alike of .95 and one of .6 come with them.
        assert!((report.score.precision_at_recall_90 - 9.0 / 11.0).abs() < 1e-9);
        let last = report.score.reliability.last().unwrap();
        assert!(last.pairs == 3 && (last.share - 2.0 / 3.0).abs() < 1e-9, "{last:?}");
        assert_eq!(report.score.reliability.iter().map(|bin| bin.pairs).sum::<usize>(), 40);
        let curve = report.curve(|r| r.score);
        assert_eq!((curve.first(), curve.last()), (Some(&(0.0, 0.1)), Some(&(1.0, 1.0))));
    }
}
