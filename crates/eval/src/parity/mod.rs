//! `eval parity DIR`: every number of a golden folder against this implementation.
//!
//! A folder is laid out as its README says; files may be missing, and its weights and inputs may be any. Weights are
//! read from the checkpoints or safetensors files in the folder; only what neither holds comes from the
//! [`crate::rule`], and only if the rule reproduces the files that the folder has.

mod coarse;
mod features;
mod fine;
mod rankings;
mod selector;

#[cfg(feature = "tract")]
pub(crate) use coarse::shapes as coarse_shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayView3};
use serde::Serialize;
use vidsieve_kernels::Isa;
use vidsieve_model::convert::{self, ConvertError};
use vidsieve_model::tensors::{TensorFile, TensorsError};
use vidsieve_model::weights::{StateDict, WeightsError};

use crate::rule;

/// Tolerances, absolute, by kind of number.
pub(crate) mod tolerance {
    /// Bits, signs, orders, shapes.
    pub(crate) const EXACT: f64 = 0.0;
    /// Layer outputs, indexes, attention weights, frame-to-frame matrices.
    pub(crate) const LAYER: f64 = 1e-5;
    /// Similarities, comparator output, selector, extracted features.
    pub(crate) const SIMILARITY: f64 = 1e-4;
    /// Pixels after bicubic resizing, in levels of 255.
    pub(crate) const LEVEL: f64 = 1.0;
    /// Average precisions.
    pub(crate) const MAP: f64 = 1e-9;
}

/// Why a folder could not be compared at all. Differences are no errors: they are in the [`ParityReport`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParityError {
    /// A file or folder that could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing to compare with.
    #[error("{}: no file of a golden folder is here (looked for *.out.safetensors, map_cases.json and others)", .0.display())]
    Empty(PathBuf),
    /// A damaged safetensors file.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
    /// A damaged checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] ConvertError),
    /// Weights that make no network.
    #[error("{file}: {source}")]
    Weights {
        /// The file.
        file: String,
        /// What is wrong with them.
        source: WeightsError,
    },
    /// A file that has another form than the layout says.
    #[error("{file}: {reason}")]
    Layout {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

/// One group of numbers of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// File that holds the expected numbers.
    pub file: String,
    /// What they are.
    pub group: String,
    /// Largest absolute difference; for exact groups the number of differing elements.
    pub max_abs_error: f64,
    /// Largest difference that passes.
    pub tolerance: f64,
    /// Whether it passes.
    pub ok: bool,
}

/// Something that was not compared, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// The outcome for a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParityReport {
    /// Whether all groups pass.
    pub ok: bool,
    /// Instruction set of the kernels.
    pub isa: String,
    /// All groups, in order of file and name.
    pub groups: Vec<Group>,
    /// What was not compared.
    pub skipped: Vec<Skipped>,
}

/// Weights that the rule does not make: W is orthogonal.
const STORED_ONLY: [&str; 1] = ["binarization.W"];

/// Options of [`run`].
#[derive(Debug, Clone, Copy)]
pub struct ParityOptions {
    /// Instruction set of the kernels.
    pub isa: Isa,
}

impl Default for ParityOptions {
    fn default() -> Self {
        Self { isa: Isa::best() }
    }
}

/// Gathers differences: one entry for each file and group, the largest difference of all its tensors.
pub(crate) struct Checker {
    dir: PathBuf,
    pub(crate) isa: Isa,
    groups: BTreeMap<(String, String), (f64, f64)>,
    skipped: Vec<Skipped>,
    rule: Option<bool>,
}

impl Checker {
    fn note(&mut self, file: &str, group: &str, tolerance: f64, error: f64) {
        let error = if error.is_nan() { f64::MAX } else { error };
        let entry = self.groups.entry((file.to_owned(), group.to_owned())).or_insert((0.0, tolerance));
        entry.0 = entry.0.max(error);
    }

    pub(crate) fn skip(&mut self, file: &str, reason: impl Into<String>) {
        self.skipped.push(Skipped { file: file.to_owned(), reason: reason.into() });
    }

    /// Largest difference of two lists; another length is the largest difference of all.
    pub(crate) fn close(
        &mut self,
        file: &str,
        group: &str,
        tolerance: f64,
        expected: impl IntoIterator<Item = impl Into<f64>>,
        got: impl IntoIterator<Item = impl Into<f64>>,
    ) {
        let (mut expected, mut got) = (expected.into_iter(), got.into_iter());
        let mut worst = 0f64;
        loop {
            match (expected.next(), got.next()) {
                (None, None) => break,
                (Some(e), Some(g)) => {
                    let d = (e.into() - g.into()).abs();
                    worst = if d.is_nan() { f64::MAX } else { worst.max(d) };
                }
                _ => {
                    worst = f64::MAX;
                    break;
                }
            }
        }
        self.note(file, group, tolerance, worst);
    }

    /// Number of elements that differ.
    pub(crate) fn equal<T: PartialEq>(&mut self, file: &str, group: &str, expected: &[T], got: &[T]) {
        #[allow(clippy::cast_precision_loss)]
        let error = if expected.len() == got.len() {
            expected.iter().zip(got).filter(|(e, g)| e != g).count() as f64
        } else {
            f64::MAX
        };
        self.note(file, group, tolerance::EXACT, error);
    }

    /// The bytes of a file, `None` if it is not there.
    pub(crate) fn read(&self, file: &str) -> Result<Option<Vec<u8>>, ParityError> {
        let path = self.dir.join(file);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ParityError::Io { path, source }),
        }
    }

    /// The weights of the network `model`: from its checkpoint, else from its safetensors file, else `None`.
    /// Where both are there, they are compared as well.
    pub(crate) fn stored(&mut self, model: &str) -> Result<Option<Weights>, ParityError> {
        let plain = format!("{model}.weights.safetensors");
        let mut found = None;
        for file in [format!("model_{model}.pth"), format!("{model}.pth")] {
            if let Some(bytes) = self.read(&file)? {
                found = Some(read_checkpoint(&file, &bytes)?);
                break;
            }
        }
        if let Some(bytes) = self.read(&plain)? {
            let tensors = TensorFile::parse(&plain, &bytes)?;
            let mut state = StateDict::new(format!("{plain}: "));
            for name in tensors.names() {
                // Counters of batches are integers and of no use here.
                if let Ok((shape, data)) = tensors.f32(name) {
                    state.insert(name, shape, data).map_err(|source| weights(&plain, source))?;
                }
            }
            match &found {
                Some(checkpoint) => {
                    let both = |s: &StateDict| s.iter().map(|(n, t)| (n.to_owned(), t.clone())).collect::<Vec<_>>();
                    self.equal(&plain, "weights as in the checkpoint", &both(&state), &both(&checkpoint.state));
                }
                None => found = Some(Weights { file: plain, state, heads: None }),
            }
        }
        Ok(found)
    }

    /// Whether the [rule](crate::rule) made this folder's weights: known from any stored weight, else from the inputs.
    pub(crate) fn rule_holds(&mut self) -> Result<bool, ParityError> {
        if let Some(known) = self.rule {
            return Ok(known);
        }
        let mut verdict = None;
        for model in ["fg_none", "fg_att", "selector", "cg_small"] {
            if let Some(weights) = self.stored(model)? {
                let key = if model == "cg_small" { "netvlad.norm.bias" } else { "visil_head.conv2.weight" };
                let Ok(shape) = weights.state.shape(key).map(<[usize]>::to_vec) else { continue };
                let expected = rule::weight(model, key, &shape);
                verdict = Some(weights.state.get(key, &shape).is_ok_and(|w| w == expected));
                break;
            }
        }
        if verdict.is_none() {
            let inputs = self.inputs()?;
            verdict = inputs.iter().find(|(n, _)| n == "c7").map(|(n, v)| {
                let made = rule::video(n, v.dim().0);
                made.dim() == v.dim() && made.iter().zip(v).all(|(a, b)| (a - b).abs() <= 1e-6)
            });
        }
        let verdict = verdict.unwrap_or(false);
        self.rule = Some(verdict);
        Ok(verdict)
    }

    /// Stored weights, else weights by the rule, else `None` after noting that `file` is skipped.
    pub(crate) fn weights(
        &mut self,
        model: &str,
        file: &str,
        shapes: &[(&str, Vec<usize>)],
    ) -> Result<Option<Weights>, ParityError> {
        let mut found = self.stored(model)?;
        let missing: Vec<&(&str, Vec<usize>)> =
            shapes.iter().filter(|(k, _)| !found.as_ref().is_some_and(|f| f.state.contains(k))).collect();
        if missing.is_empty() && found.is_some() {
            return Ok(found);
        }
        if missing.iter().any(|(k, _)| STORED_ONLY.contains(k)) || shapes.is_empty() || !self.rule_holds()? {
            self.skip(file, format!("no weights: neither model_{model}.pth nor {model}.weights.safetensors is here"));
            return Ok(None);
        }
        let made = found.get_or_insert_with(|| Weights {
            file: "rule".into(),
            state: StateDict::new(format!("{model}: ")),
            heads: None,
        });
        for (key, shape) in missing {
            let values = rule::weight(model, key, shape);
            made.state.insert(*key, shape.clone(), values).map_err(|source| weights(file, source))?;
        }
        Ok(found)
    }

    /// The input videos, in order of their frames and names.
    pub(crate) fn inputs(&self) -> Result<Vec<(String, Array3<f32>)>, ParityError> {
        const FILE: &str = "inputs.safetensors";
        let Some(bytes) = self.read(FILE)? else { return Ok(Vec::new()) };
        let tensors = TensorFile::parse(FILE, &bytes)?;
        let mut videos = Vec::new();
        for name in tensors.names() {
            let (shape, data) = tensors.f32(name)?;
            videos.push((name.to_owned(), cube(FILE, name, &shape, data)?));
        }
        videos.sort_by(|a, b| (a.1.dim().0, &a.0).cmp(&(b.1.dim().0, &b.0)));
        Ok(videos)
    }
}

/// Weights of one network of the folder.
pub(crate) struct Weights {
    pub(crate) file: String,
    pub(crate) state: StateDict,
    /// Heads of the transformer, where the checkpoint's arguments tell.
    pub(crate) heads: Option<usize>,
}

fn read_checkpoint(file: &str, bytes: &[u8]) -> Result<Weights, ParityError> {
    let (state, args) = convert::read_weights(file, bytes)?;
    let heads = convert::integer(&args, "transformer_heads");
    Ok(Weights { file: file.to_owned(), state, heads })
}

pub(crate) fn weights(file: &str, source: WeightsError) -> ParityError {
    ParityError::Weights { file: file.to_owned(), source }
}

pub(crate) fn layout(file: &str, reason: impl ToString) -> ParityError {
    ParityError::Layout { file: file.to_owned(), reason: reason.to_string() }
}

fn cube(file: &str, name: &str, shape: &[usize], data: Vec<f32>) -> Result<Array3<f32>, ParityError> {
    let dim = <[usize; 3]>::try_from(shape)
        .map_err(|_| layout(file, format!("tensor `{name}` has shape {shape:?}, expected three dimensions")))?;
    Array3::from_shape_vec(dim, data).map_err(|e| layout(file, format!("tensor `{name}`: {e}")))
}

/// A video as it is scored: repeated until it has 4 frames.
pub(crate) fn scored(video: &ArrayView3<'_, f32>) -> Array3<f32> {
    let mut video = video.to_owned();
    while video.dim().0 > 0 && video.dim().0 < vidsieve_model::fine::MIN_FRAMES {
        video = ndarray::concatenate![ndarray::Axis(0), video, video];
    }
    video
}

impl ParityReport {
    /// The report as text: a line for each group, then a summary.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let mut file = "";
        let groups = self.groups.iter().flat_map(move |g| {
            let head = (g.file != file).then(|| g.file.clone());
            file = &g.file;
            let verdict = if g.ok { "ok  " } else { "FAIL" };
            let error = if g.max_abs_error >= f64::MAX {
                "differs in shape or is not a number".into()
            } else {
                format!("{:.2e}", g.max_abs_error)
            };
            head.into_iter().chain([format!("  {verdict} {:<34} {error:>10}  (at most {:.0e})", g.group, g.tolerance)])
        });
        let skipped = self.skipped.iter().map(|s| format!("skipped {}: {}", s.file, s.reason));
        let failed = self.groups.iter().filter(|g| !g.ok).count();
        let end = format!("{} groups, {failed} over their tolerance, on {}", self.groups.len(), self.isa);
        groups.chain(skipped).chain([end])
    }
}

/// Compares everything that is in `dir`. `progress` gets the file that is worked on.
///
/// # Errors
/// [`ParityError`] for a folder without golden files and for damaged ones; differences are in the report.
pub fn run(dir: &Path, options: ParityOptions, mut progress: impl FnMut(&str)) -> Result<ParityReport, ParityError> {
    let entries = fs::read_dir(dir).map_err(|source| ParityError::Io { path: dir.to_owned(), source })?;
    let files: BTreeSet<String> =
        entries.filter_map(|e| e.ok().and_then(|e| e.file_name().into_string().ok())).collect();
    let mut checker =
        Checker { dir: dir.to_owned(), isa: options.isa, groups: BTreeMap::new(), skipped: Vec::new(), rule: None };
    for file in &files {
        progress(file);
        match file.as_str() {
            "fg_att.out.safetensors" => fine::student(&mut checker, "fg_att")?,
            "fg_bin.out.safetensors" => fine::student(&mut checker, "fg_bin")?,
            "fg_none.out.safetensors" => fine::student(&mut checker, "fg_none")?,
            "visil_f512.out.safetensors" => fine::teacher(&mut checker, "visil_f512", false)?,
            "visil_sym512.out.safetensors" => fine::teacher(&mut checker, "visil_sym512", true)?,
            "cg_small.out.safetensors" => coarse::student(&mut checker, "cg_small")?,
            "cg_full.out.safetensors" => coarse::student(&mut checker, "cg_full")?,
            "selector.out.safetensors" => selector::network(&mut checker)?,
            "dns_merge.out.safetensors" => rankings::merge(&mut checker)?,
            "map_cases.json" => rankings::map_cases(&mut checker)?,
            "region_pooling.safetensors" => features::region_pooling(&mut checker)?,
            "pca_small.safetensors" => features::whitening(&mut checker)?,
            "feature_extractor.safetensors" => features::extractor(&mut checker)?,
            "preprocess.safetensors" => features::preprocess(&mut checker)?,
            "model_fg_none_legacy.pth" => {
                if let (Some(bytes), Some(reference)) = (checker.read(file)?, checker.stored("fg_none")?) {
                    let legacy = read_checkpoint(file, &bytes)?.state;
                    let list = |s: &StateDict| s.iter().map(|(n, t)| (n.to_owned(), t.clone())).collect::<Vec<_>>();
                    let group = format!("weights as in {}", reference.file);
                    checker.equal(file, &group, &list(&reference.state), &list(&legacy));
                }
            }
            _ => {}
        }
    }
    if checker.groups.is_empty() && checker.skipped.is_empty() {
        return Err(ParityError::Empty(dir.to_owned()));
    }
    let groups: Vec<Group> = checker
        .groups
        .into_iter()
        .map(|((file, group), (max_abs_error, tolerance))| Group {
            file,
            group,
            max_abs_error,
            tolerance,
            ok: max_abs_error <= tolerance,
        })
        .collect();
    let ok = !groups.is_empty() && groups.iter().all(|g| g.ok);
    Ok(ParityReport { ok, isa: options.isa.name().to_owned(), groups, skipped: checker.skipped })
}
