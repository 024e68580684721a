//! Benchmarks: every kernel on every instruction set against its references, interleaved in one run.
//!
//! Contestants of one group take turns, round after round, and the best time of each counts: what slows a shared machine
//! down slows all of them. Results are compared before anything is timed. Ratios are the point, not nanoseconds.

mod groups;
mod measure;
mod network;
#[cfg(feature = "tract")]
mod tract;

use std::time::Instant;

use serde::Serialize;

/// A result that differs between contestants, or a network that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// Two contestants disagree.
    #[error("{name} on {path} differs from {reference} by {error:e}, at most {tolerance:e} is allowed")]
    Differs {
        /// Kernel.
        name: String,
        /// Instruction set.
        path: String,
        /// What it was compared with.
        reference: String,
        /// Largest difference.
        error: f64,
        /// Largest difference allowed.
        tolerance: f64,
    },
    /// A contestant cannot be built or run.
    #[error("a contestant of the benchmark failed: {0}")]
    Contestant(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl BenchError {
    fn contestant(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Contestant(source.into())
    }
}

/// How to measure.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Rounds; the best time of each contestant counts.
    pub rounds: usize,
    /// Only kernels whose name contains this.
    pub only: Option<String>,
    /// Small sizes and few rounds: a test that everything runs, not a measurement.
    pub quick: bool,
}

impl BenchOptions {
    fn selects(&self, group: &str) -> bool {
        self.only.as_ref().is_none_or(|only| group.contains(only.as_str()))
    }
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { rounds: 15, only: None, quick: false }
    }
}

/// One kernel on one instruction set against one reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Kernel and size.
    pub name: String,
    /// Instruction set.
    pub path: String,
    /// Best time of one call (of one pair, where a call works on pairs), in nanoseconds.
    pub ns: f64,
    /// What it is compared with.
    pub reference: String,
    /// Best time of the reference in the same run.
    pub reference_ns: f64,
    /// `reference_ns / ns`.
    pub ratio: f64,
}

/// All rows of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchReport {
    /// Version of Vidsieve.
    pub version: &'static str,
    /// Target of the build.
    pub target: String,
    /// Instruction sets that were measured.
    pub paths: Vec<&'static str>,
    /// Rounds.
    pub rounds: usize,
    /// Whether debug assertions were compiled in: such times mean nothing.
    pub debug: bool,
    /// Rows in order of name.
    pub kernels: Vec<Row>,
}

impl BenchReport {
    /// The report as a table.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let warning = self.debug.then(|| "built without optimisation: these times mean nothing".to_owned());
        let head =
            format!("{:<38} {:<13} {:>12}  {:<34} {:>12} {:>8}", "kernel", "path", "us", "reference", "us", "ratio");
        let rows = self.kernels.iter().map(|r| {
            format!(
                "{:<38} {:<13} {:>12.2}  {:<34} {:>12.2} {:>7.2}x",
                r.name,
                r.path,
                r.ns / 1e3,
                r.reference,
                r.reference_ns / 1e3,
                r.ratio
            )
        });
        warning.into_iter().chain([head]).chain(rows)
    }

    /// Rows of the best instruction set that are slower than their reference: something has collapsed. Empty in a build
    /// without optimisation, whose times mean nothing.
    #[must_use]
    pub fn check(&self) -> Vec<&Row> {
        let best = self.paths.last().copied().unwrap_or_default();
        self.kernels.iter().filter(|r| !self.debug && r.path == best && r.ratio < 1.0).collect()
    }
}

/// Something that is timed. `work` is how many units (pairs, rows) one call does.
struct Contestant<'a> {
    label: String,
    call: Box<dyn FnMut() + 'a>,
    work: f64,
}

/// Times contestants in turns: best nanoseconds for one unit of each.
fn race(contestants: &mut [Contestant<'_>], options: &BenchOptions) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; contestants.len()];
    // Calls for each turn, so that a turn is long against the clock's resolution.
    let turn_ns = if options.quick { 0.0 } else { 1e6 };
    let mut repeats = vec![1u32; contestants.len()];
    for (c, repeat) in contestants.iter_mut().zip(&mut repeats) {
        let start = Instant::now();
        (c.call)();
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let once = start.elapsed().as_nanos().max(1) as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let n = (turn_ns / once).ceil() as u32;
        *repeat = n.clamp(1, 10_000);
    }
    let rounds = if options.quick { 1 } else { options.rounds.max(1) };
    for _ in 0..rounds {
        for ((c, best), &n) in contestants.iter_mut().zip(&mut best).zip(&repeats) {
            let start = Instant::now();
            for _ in 0..n {
                (c.call)();
            }
            #[allow(clippy::cast_precision_loss)]
            let ns = start.elapsed().as_nanos() as f64 / f64::from(n) / c.work;
            *best = best.min(ns.max(0.01));
        }
    }
    best
}

/// Selected groups that lack their rows against tract graphs; empty in a build with the feature
/// `tract`.
#[must_use]
pub fn without_tract(options: &BenchOptions) -> Vec<&'static str> {
    let lacks = |name: &&str| cfg!(not(feature = "tract")) && options.selects(name);
    groups::WITH_TRACT.into_iter().filter(lacks).collect()
}

/// Runs all kernel benchmarks; `progress` gets the name of each group before it runs. In builds
/// without the feature `tract`, rows whose reference is a tract graph are left out (see
/// [`without_tract`]).
///
/// # Errors
/// [`BenchError`] when results differ: a benchmark of wrong results is none.
pub fn kernels(options: &BenchOptions, mut progress: impl FnMut(&str)) -> Result<BenchReport, BenchError> {
    let mut rows = Vec::new();
    for &(name, group) in groups::ALL {
        if options.selects(name) {
            progress(name);
            group(options, &mut rows)?;
        }
    }
    Ok(BenchReport {
        version: env!("CARGO_PKG_VERSION"),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        paths: vidsieve_kernels::Isa::available().map(vidsieve_kernels::Isa::name).collect(),
        rounds: options.rounds,
        debug: cfg!(debug_assertions),
        kernels: rows,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rows_against_tract_are_there_with_it_and_named_without_it() {
        let options = |only: &str| BenchOptions { only: Some(only.to_owned()), quick: true, ..BenchOptions::default() };
        let tract = cfg!(feature = "tract");
        assert_eq!(without_tract(&BenchOptions::default()).len(), if tract { 0 } else { 3 });
        assert!(without_tract(&options("scan")).is_empty());
        let rows = |only: &str| kernels(&options(only), |_| ()).unwrap().kernels;
        let comparator = rows("comparator");
        assert!(comparator.iter().any(|r| r.reference == "direct loops"));
        assert_eq!(comparator.iter().any(|r| r.reference == "tract graph"), tract);
        for only in ["pair", "coarse"] {
            assert_eq!(rows(only).is_empty(), !tract, "{only}");
        }
    }
}
