//! Bundles, records, and the comparison of two of them.

use std::rc::Rc;

use js_sys::Reflect;
use serde::Serialize;
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_record::{Record, Shape};
use vidsieve_search::{Comparison, Matrix, Query};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{EngineErrorCode, Error};

/// A plain object of JavaScript: maps become objects, `None` becomes `null`.
pub(crate) fn plain(value: &impl Serialize) -> Result<JsValue, Error> {
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}

/// The query of a record's bytes.
pub(crate) fn query(bytes: &[u8]) -> Result<Query, Error> {
    Ok(Query::from_record(&Record::parse(bytes)?)?)
}

/// A bundle.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Model {
    pub(crate) bundle: Bundle,
}

#[wasm_bindgen]
impl Model {
    /// Reads a bundle; `name` is what messages call it.
    ///
    /// # Errors
    /// `bad-model`.
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        Ok(Self { bundle: Bundle::from_bytes(name, bytes)? })
    }

    /// The bundle's SHA-256 in hexadecimal digits.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn id(&self) -> String {
        self.bundle.id().to_string()
    }

    /// Licence of the weights.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn licence(&self) -> String {
        self.bundle.manifest().licence.clone()
    }
}

/// The contents of a record.
#[derive(Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(rename = "RecordInfo"))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inspected {
    /// SHA-256 of the bundle that made the record.
    bundle: String,
    /// Length of the video in seconds.
    duration: f64,
    /// The selector's scalar.
    self_similarity: f32,
    /// Number of sampled frames, T.
    frames: usize,
    /// Number of regions of a frame, R.
    regions: usize,
    /// Bits of a region's code, L.
    bits: usize,
    /// Length of the vector, D.
    dims: usize,
    /// Whether any frame is informative.
    informative: bool,
    /// Where the vector starts in the record, f32.
    global_at: usize,
    /// Where the times start, u32 milliseconds.
    times_at: usize,
    /// Where the frames' weights start, u8.
    weights_at: usize,
    /// Where the codes start.
    codes_at: usize,
}

/// Checks a record and tells what is in it: `{bundle, duration, selfSimilarity, frames, regions,
/// bits, dims, informative, globalAt, timesAt, weightsAt, codesAt}`.
///
/// # Errors
/// `bad-record`, `other-version`.
#[wasm_bindgen]
pub fn inspect(record: &[u8]) -> Result<JsValue, Error> {
    let record = Record::parse(record)?;
    let shape = record.shape();
    let Shape { frames, regions, bits, dims, .. } = shape;
    plain(&Inspected {
        bundle: record.bundle().to_string(),
        duration: record.duration(),
        self_similarity: record.self_similarity(),
        frames,
        regions,
        bits,
        dims,
        informative: record.is_informative(),
        global_at: shape.global().start,
        times_at: shape.times().start,
        weights_at: shape.weights().start,
        codes_at: record.as_bytes().len() - record.codes().len(),
    })
}

/// The networks that look at pairs of videos.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    pub(crate) inner: Rc<vidsieve_search::Engine>,
}

/// Result of comparing two videos.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "typescript", ts(rename = "Comparison"))]
pub(crate) struct Compared {
    #[cfg_attr(feature = "typescript", ts(flatten))]
    comparison: Comparison,
    /// The aligned frames of each segment: frame of the query, frame of the target.
    paths: Vec<Vec<(usize, usize)>>,
}

impl Compared {
    /// One object with the fields of both. By hand: `serde(flatten)` is several times the code.
    fn object(&self) -> Result<JsValue, Error> {
        let object = plain(&self.comparison)?;
        // A plain property of a new object: setting it does not fail.
        let _ = Reflect::set(&object, &"paths".into(), &plain(&self.paths)?);
        Ok(object)
    }
}

/// The frame similarities of a pair, as numbers and as a picture.
#[wasm_bindgen]
#[derive(Debug)]
pub struct MatrixPicture {
    matrix: Matrix,
}

#[wasm_bindgen]
impl MatrixPicture {
    /// Columns: cells of the target.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn width(&self) -> usize {
        self.matrix.values().ncols()
    }

    /// Rows: cells of the query.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn height(&self) -> usize {
        self.matrix.values().nrows()
    }

    /// Frames of a cell's side.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn stride(&self) -> usize {
        self.matrix.stride()
    }

    /// The similarities in [-1, 1], row by row.
    #[must_use]
    pub fn values(&self) -> Vec<f32> {
        self.matrix.values().iter().copied().collect()
    }

    /// The picture's pixels, RGBA, row by row.
    #[must_use]
    pub fn rgba(&self) -> Vec<u8> {
        self.matrix.rgba()
    }
}

#[wasm_bindgen]
impl Engine {
    /// The engine of a bundle.
    ///
    /// # Errors
    /// `bad-model`.
    #[wasm_bindgen(constructor)]
    pub fn new(model: &Model) -> Result<Self, Error> {
        Ok(Self { inner: Rc::new(vidsieve_search::Engine::new(Isa::best(), &model.bundle)?) })
    }

    /// SHA-256 of the bundle whose records are compared.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn bundle(&self) -> String {
        self.inner.bundle().to_string()
    }

    /// Compares two records, the first as the query: `{score, coarse, fine, doubt, relation, coverage,
    /// untold, segments, paths}`.
    ///
    /// # Errors
    /// `bad-record`, `other-version`, `other-bundle`.
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Result<JsValue, Error> {
        let (comparison, paths) = self.inner.comparison(&query(a)?, &Record::parse(b)?)?;
        Compared { comparison, paths: paths.into_iter().map(|p| p.frames).collect() }.object()
    }

    /// S^f_B's similarity of two records in [-1, 1], uncalibrated.
    ///
    /// # Errors
    /// `bad-record`, `other-version`, `other-bundle`.
    pub fn similarity(&self, a: &[u8], b: &[u8]) -> Result<f32, Error> {
        let mut workspace = vidsieve_model::fine::Workspace::default();
        Ok(self.inner.compare(&query(a)?, &Record::parse(b)?, &mut workspace)?.raw)
    }

    /// The frame similarities of two records with at most `most` cells a side.
    ///
    /// # Errors
    /// `bad-record`, `other-version`, `other-bundle`; `bad-argument` for a side of 0.
    pub fn matrix(&self, a: &[u8], b: &[u8], most: usize) -> Result<MatrixPicture, Error> {
        if most == 0 {
            return Err(Error::new(EngineErrorCode::BadArgument, "a matrix needs at least one cell"));
        }
        Ok(MatrixPicture { matrix: Matrix::new(&self.inner, &query(a)?, &Record::parse(b)?, most)? })
    }
}
