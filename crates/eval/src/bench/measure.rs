//! What the groups share: sizes, inputs, contestants and the rows that come of them.

use super::{BenchError, BenchOptions, Contestant, Row, race};
use crate::rule;

pub(super) const REGIONS: usize = 9;
pub(super) const DIMS: usize = 512;

pub(super) fn contestant<'a>(label: impl Into<String>, work: f64, call: impl FnMut() + 'a) -> Contestant<'a> {
    Contestant { label: label.into(), call: Box::new(call), work }
}

/// Times everything and adds a row for each instruction set and reference: the first `references`
/// contestants. Without a reference nothing is timed.
pub(super) fn rows(
    name: &str,
    mut contestants: Vec<Contestant<'_>>,
    references: usize,
    options: &BenchOptions,
    out: &mut Vec<Row>,
) {
    if references == 0 {
        return;
    }
    let times = race(&mut contestants, options);
    let (referees, paths) = contestants.split_at(references);
    for (path, &ns) in paths.iter().zip(&times[references..]) {
        for (referee, &reference_ns) in referees.iter().zip(&times) {
            out.push(Row {
                name: name.to_owned(),
                path: path.label.clone(),
                ns,
                reference: referee.label.clone(),
                reference_ns,
                ratio: reference_ns / ns,
            });
        }
    }
}

pub(super) fn same(
    name: &str,
    path: &str,
    reference: &str,
    tolerance: f64,
    expected: &[f32],
    got: &[f32],
) -> Result<(), BenchError> {
    let error = if expected.len() == got.len() {
        expected.iter().zip(got).fold(0f64, |m, (e, g)| m.max((f64::from(*e) - f64::from(*g)).abs()))
    } else {
        f64::INFINITY
    };
    if error <= tolerance {
        return Ok(());
    }
    Err(BenchError::Differs { name: name.into(), path: path.into(), reference: reference.into(), error, tolerance })
}

/// Pseudo-random codes.
pub(super) fn codes(name: &str, bytes: usize) -> Vec<u8> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    rule::values(name, bytes, 127.9, 128.0).into_iter().map(|v| v as u8).collect()
}

/// Unit region vectors [frames][9][dims].
pub(super) fn vectors(name: &str, frames: usize, dims: usize) -> Vec<f32> {
    let mut x = rule::values(name, frames * REGIONS * dims, 1.0, 0.0);
    vidsieve_model::math::normalise_rows(&mut x, dims);
    x
}

pub(super) fn sizes(options: &BenchOptions) -> &'static [usize] {
    if options.quick { &[12] } else { &[60, 30, 120] }
}
