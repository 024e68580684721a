//! Stored region vectors: the HDF5 files of the public implementation, and safetensors.
//!
//! Either holds one array a video under its id, `[T, R, D]` or `[T, D]` (one region), as floats of
//! 16, 32 or 64 bits. An id with slashes is a path of groups in HDF5.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{Datatype, Hdf5File, OpenOptions};
use ndarray::{Array3, ArrayD, Ix2, Ix3};
use vidsieve_model::tensors::TensorFile;

use super::DatasetError;
use super::compute::{AbsentVideo, VideoSource};

/// The first bytes of an HDF5 file.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Bytes that one video's features may take: ten hours at a frame a second and 3840 values for each of nine regions.
const MAX_VIDEO: usize = 5 << 30;

/// Files of features.
pub struct FeatureFiles {
    stores: Vec<Store>,
}

enum Store {
    Hdf5(PathBuf, Box<Hdf5File>),
    /// The bytes of a safetensors file and the shape and place of each tensor.
    Safetensors(PathBuf, Vec<u8>),
}

impl std::fmt::Debug for FeatureFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths: Vec<&Path> = self
            .stores
            .iter()
            .map(|store| match store {
                Store::Hdf5(path, _) | Store::Safetensors(path, _) => path.as_path(),
            })
            .collect();
        f.debug_struct("FeatureFiles").field("paths", &paths).finish()
    }
}

impl FeatureFiles {
    /// Opens files of features. A video is looked for in their order. HDF5 files are read a video at
    /// a time, safetensors files are held in memory.
    ///
    /// # Errors
    /// [`DatasetError::File`] for a file that is neither, or is damaged.
    pub fn open(paths: &[PathBuf]) -> Result<Self, DatasetError> {
        let stores = paths.iter().map(|path| Store::open(path)).collect::<Result<_, _>>()?;
        Ok(Self { stores })
    }
}

impl VideoSource for FeatureFiles {
    fn tensor(&self, id: &str) -> Result<Array3<f32>, AbsentVideo> {
        for store in &self.stores {
            match store.tensor(id) {
                Err(AbsentVideo::Missing) => {}
                found => return found,
            }
        }
        Err(AbsentVideo::Missing)
    }
}

impl Store {
    fn open(path: &Path) -> Result<Self, DatasetError> {
        let refuse = |detail: String| DatasetError::File { file: path.display().to_string(), detail };
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(HDF5.len() as u64).read_to_end(&mut start));
        read.map_err(|e| refuse(e.to_string()))?;
        if start == HDF5 {
            let options = OpenOptions::default().with_max_read_bytes(MAX_VIDEO);
            let file = Hdf5File::open_with_options(path, options).map_err(|e| refuse(format!("HDF5: {e}")))?;
            return Ok(Self::Hdf5(path.to_owned(), Box::new(file)));
        }
        let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
        let name = path.display().to_string();
        TensorFile::parse(&name, &bytes).map_err(|e| refuse(format!("neither HDF5 nor safetensors: {e}")))?;
        Ok(Self::Safetensors(path.to_owned(), bytes))
    }

    fn tensor(&self, id: &str) -> Result<Array3<f32>, AbsentVideo> {
        match self {
            Self::Hdf5(_, file) => shaped(read_hdf5(file, id)?),
            Self::Safetensors(path, bytes) => {
                let unreadable = |e: &dyn std::fmt::Display| AbsentVideo::Unreadable(e.to_string());
                let file = TensorFile::parse(&path.display().to_string(), bytes).map_err(|e| unreadable(&e))?;
                if !file.contains(id) {
                    return Err(AbsentVideo::Missing);
                }
                let (shape, values) = file.f32(id).map_err(|e| unreadable(&e))?;
                shaped(ArrayD::from_shape_vec(shape, values).map_err(|e| unreadable(&e))?)
            }
        }
    }
}

fn read_hdf5(file: &Hdf5File, id: &str) -> Result<ArrayD<f32>, AbsentVideo> {
    let unreadable = |e: Hdf5Error| AbsentVideo::Unreadable(e.to_string());
    let dataset = match file.dataset(id) {
        Ok(dataset) => dataset,
        Err(error) if is_absent(&error) => return Err(AbsentVideo::Missing),
        Err(error) => return Err(unreadable(error)),
    };
    match dataset.dtype() {
        Datatype::FloatingPoint { size: 4, .. } => dataset.read_array::<f32>().map_err(unreadable),
        Datatype::FloatingPoint { size: 8, .. } => {
            #[allow(clippy::cast_possible_truncation)]
            let rounded = dataset.read_array::<f64>().map_err(unreadable)?.mapv(|value| value as f32);
            Ok(rounded)
        }
        Datatype::FloatingPoint { size: 2, .. } => {
            let bytes = dataset.read_native_bytes().map_err(unreadable)?;
            let values = bytes.as_chunks::<2>().0.iter().map(|b| half::f16::from_ne_bytes(*b).to_f32()).collect();
            let shape: Option<Vec<usize>> = dataset.shape().iter().map(|&d| usize::try_from(d).ok()).collect();
            ArrayD::from_shape_vec(shape.unwrap_or_default(), values)
                .map_err(|e| AbsentVideo::Unreadable(e.to_string()))
        }
        other => Err(AbsentVideo::Unreadable(format!("its elements are {other:?}, not floats"))),
    }
}

/// Whether a path leads nowhere, which is no damage.
fn is_absent(error: &Hdf5Error) -> bool {
    match error {
        Hdf5Error::DatasetNotFound(_) | Hdf5Error::GroupNotFound(_) => true,
        Hdf5Error::Context { source, .. } => is_absent(source),
        _ => false,
    }
}

/// `[T, R, D]` of an array of two or three dimensions, with at least one frame.
fn shaped(array: ArrayD<f32>) -> Result<Array3<f32>, AbsentVideo> {
    let shape = array.shape().to_vec();
    if shape.contains(&0) {
        return Err(AbsentVideo::Unreadable(format!("it is empty: its shape is {shape:?}")));
    }
    if array.iter().any(|value| !value.is_finite()) {
        return Err(AbsentVideo::Unreadable("it has values that are not finite".into()));
    }
    let wrong = |_| AbsentVideo::Unreadable(format!("its shape is {shape:?}, not frames x regions x values"));
    match array.ndim() {
        2 => array.into_dimensionality::<Ix2>().map(|flat| flat.insert_axis(ndarray::Axis(1))).map_err(wrong),
        _ => array.into_dimensionality::<Ix3>().map_err(wrong),
    }
}

/// Tensors in memory by id: for callers that have them already.
impl VideoSource for HashMap<String, Array3<f32>> {
    fn tensor(&self, id: &str) -> Result<Array3<f32>, AbsentVideo> {
        self.get(id).cloned().ok_or(AbsentVideo::Missing)
    }
}
