//! The bundle: one safetensors file with all networks, their configuration, provenance and licence.
//!
//! Tensors carry upstream's names under a prefix per network (`backbone.`, `pca.`, `teacher.`, `fine_attention.`,
//! `fine_binary.`, `fine_plain.`, `itq.`, `coarse.`, `selector.`). A tensor is stored as F32, F16, or as I8 with one scale a
//! row in a companion `<name>.row_scale` (F32): `value = code * scale[row]`. The metadata key `vidsieve` holds a
//! [`Manifest`] as JSON. A bundle's identity is the SHA-256 of the file.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use half::f16;
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};
use vidsieve_record::BundleId;

use crate::config::Config;
pub use crate::network::Network;
use crate::tensors::{TensorFile, TensorsError};
use crate::weights::{StateDict, WeightsError};

/// The metadata key that holds the manifest.
pub const METADATA_KEY: &str = "vidsieve";
/// The format version that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;
const SCALE_SUFFIX: &str = ".row_scale";
/// Tensors of fewer elements (biases, norms, small filters) stay F32 whatever storage is asked for.
const QUANTISE_FROM: usize = 1024;

/// Why a bundle was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file is no sound safetensors file.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
    /// The weights do not make the networks that the manifest names.
    #[error("{file}: {source}")]
    Weights {
        /// Name of the file, as given.
        file: String,
        /// What is wrong with them.
        source: WeightsError,
    },
    /// The manifest is missing, not JSON, or of another version.
    #[error("{file}: {reason}")]
    Manifest {
        /// Name of the file, as given.
        file: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A network that is not in the bundle was asked for.
    #[error("{file} holds no {network} network; it holds: {present}")]
    Absent {
        /// Name of the file, as given.
        file: String,
        /// The network asked for.
        network: Network,
        /// Networks that are there.
        present: String,
    },
}

/// What a bundle says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// Sizes of every network.
    pub config: Config,
    /// Licence of the weights, as an SPDX expression or in words.
    #[serde(default)]
    pub licence: String,
    /// Where the weights come from: source files with their SHA-256, commands, seeds. Free-form, sorted by key.
    #[serde(default)]
    pub provenance: BTreeMap<String, String>,
}

/// How tensors of a network are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// f32, as given.
    #[default]
    F32,
    /// IEEE half precision, rounded to nearest even.
    F16,
    /// 8-bit codes with one scale a row (first dimension), symmetric, largest magnitude at 127.
    Int8,
}

/// What is known of one stored tensor, for listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Full name, prefix included.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// `F32`, `F16` or `I8/row`.
    pub storage: &'static str,
    /// Bytes in the file, row scales included.
    pub bytes: usize,
}

/// A bundle in memory. Weights stay as stored until a network is taken out with [`Bundle::weights`].
pub struct Bundle {
    file: String,
    id: BundleId,
    manifest: Manifest,
    bytes: Vec<u8>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("file", &self.file).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Bundle {
    /// Parses a bundle; `file` names it in messages.
    ///
    /// # Errors
    /// [`BundleError`] for anything that is not a sound bundle of this format version.
    pub fn from_bytes(file: &str, bytes: Vec<u8>) -> Result<Self, BundleError> {
        let tensors = TensorFile::parse(file, &bytes)?;
        let fail = |reason: String| BundleError::Manifest { file: file.to_owned(), reason };
        let text = tensors.metadata(METADATA_KEY).ok_or_else(|| {
            fail(format!(
                "safetensors, but no bundle: the metadata key `{METADATA_KEY}` is missing. \
                 Make a bundle with `vidsieve model convert`"
            ))
        })?;
        // The version first: another version may have another manifest.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version =
            serde_json::from_str(text).map_err(|e| fail(format!("the manifest is not readable: {e}")))?;
        if version.format != FORMAT_VERSION {
            return Err(fail(format!(
                "bundle format {}, this version of Vidsieve reads {FORMAT_VERSION}; use the version that wrote it",
                version.format
            )));
        }
        let manifest: Manifest =
            serde_json::from_str(text).map_err(|e| fail(format!("the manifest is not readable: {e}")))?;
        manifest.config.validate().map_err(|e| fail(format!("the configuration is refused: {e}")))?;
        for name in tensors.names() {
            let network = Network::ALL.into_iter().find(|n| {
                name.strip_prefix(n.name()).is_some_and(|rest| rest.starts_with('.')) && n.is_in(&manifest.config)
            });
            if network.is_none() {
                return Err(fail(format!("tensor `{name}` belongs to no network of the manifest")));
            }
        }
        Ok(Self { file: file.to_owned(), id: BundleId::of(&bytes), manifest, bytes })
    }

    /// SHA-256 of the file.
    #[must_use]
    pub const fn id(&self) -> BundleId {
        self.id
    }

    /// What the bundle says about itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sizes of every network.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.manifest.config
    }

    /// Networks that are there.
    pub fn networks(&self) -> impl Iterator<Item = Network> + '_ {
        Network::ALL.into_iter().filter(|n| n.is_in(&self.manifest.config))
    }

    /// The error for a network that is not there.
    pub(crate) fn absent(&self, network: Network) -> BundleError {
        let present = self.networks().map(Network::name).collect::<Vec<_>>().join(", ");
        BundleError::Absent { file: self.file.clone(), network, present }
    }

    fn tensors(&self) -> Result<TensorFile<'_>, BundleError> {
        Ok(TensorFile::parse(&self.file, &self.bytes)?)
    }

    /// The weights of one network, widened to f32.
    ///
    /// # Errors
    /// [`BundleError::Absent`] for a network that is not there, [`BundleError::Weights`] and
    /// [`BundleError::Tensors`] for damaged ones.
    pub fn weights(&self, network: Network) -> Result<StateDict, BundleError> {
        if !network.is_in(&self.manifest.config) {
            return Err(self.absent(network));
        }
        let wrong = |source| BundleError::Weights { file: self.file.clone(), source };
        let tensors = self.tensors()?;
        let prefix = format!("{}.", network.name());
        let mut state = StateDict::new(&prefix);
        for full in tensors.names() {
            let Some(name) = full.strip_prefix(&prefix) else { continue };
            if name.ends_with(SCALE_SUFFIX) {
                continue;
            }
            let (shape, data) =
                if tensors.dtype(full)? == Dtype::I8 { self.dequantise(&tensors, full)? } else { tensors.f32(full)? };
            state.insert(name, shape, data).map_err(wrong)?;
        }
        Ok(state)
    }

    fn dequantise(&self, tensors: &TensorFile<'_>, full: &str) -> Result<(Vec<usize>, Vec<f32>), BundleError> {
        let shape = tensors.shape(full)?;
        let scale_name = format!("{full}{SCALE_SUFFIX}");
        let (scale_shape, scales) = tensors.f32(&scale_name)?;
        let rows = shape.first().copied().unwrap_or(1);
        if scale_shape != [rows] {
            let source = WeightsError::Shape { name: scale_name, expected: vec![rows], found: scale_shape };
            return Err(BundleError::Weights { file: self.file.clone(), source });
        }
        let codes = tensors.bytes(full)?;
        let mut data = Vec::with_capacity(codes.len());
        if rows > 0 && codes.len() >= rows {
            for (row, &scale) in codes.chunks_exact(codes.len() / rows).zip(&scales) {
                data.extend(row.iter().map(|&c| f32::from(c.cast_signed()) * scale));
            }
        }
        Ok((shape, data))
    }

    /// Every stored tensor, by name.
    ///
    /// # Errors
    /// [`BundleError::Tensors`] for damaged ones.
    pub fn list(&self) -> Result<Vec<TensorInfo>, BundleError> {
        let tensors = self.tensors()?;
        let mut list = Vec::new();
        for name in tensors.names().into_iter().filter(|n| !n.ends_with(SCALE_SUFFIX)) {
            let mut bytes = tensors.bytes(name)?.len();
            let storage = match tensors.dtype(name)? {
                Dtype::F32 => "F32",
                Dtype::F16 => "F16",
                Dtype::I8 => {
                    bytes += tensors.bytes(&format!("{name}{SCALE_SUFFIX}"))?.len();
                    "I8/row"
                }
                _ => "other",
            };
            list.push(TensorInfo { name: name.to_owned(), shape: tensors.shape(name)?, storage, bytes });
        }
        Ok(list)
    }

    /// The file's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Puts networks together and writes the file.
#[derive(Debug)]
pub struct BundleWriter {
    manifest: Manifest,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl BundleWriter {
    /// Starts a bundle.
    #[must_use]
    pub fn new(config: Config, licence: impl Into<String>, provenance: BTreeMap<String, String>) -> Self {
        let manifest = Manifest { format: FORMAT_VERSION, config, licence: licence.into(), provenance };
        Self { manifest, tensors: BTreeMap::new() }
    }

    /// Adds the tensors of one network. Values must be finite; with [`Storage::F16`] they must also fit.
    ///
    /// # Errors
    /// [`WeightsError::NotFinite`] for NaN, infinite or (F16) overflowing weights, by the tensor's name.
    pub fn add(&mut self, network: Network, state: &StateDict, storage: Storage) -> Result<(), WeightsError> {
        for (name, tensor) in state.iter() {
            let full = format!("{}.{name}", network.name());
            let finite = |v: f32| v.is_finite() && (storage != Storage::F16 || f16::from_f32(v).is_finite());
            if let Some(index) = tensor.data.iter().position(|&v| !finite(v)) {
                return Err(WeightsError::NotFinite { name: full, index, value: tensor.data[index] });
            }
            let shape = tensor.shape.clone();
            let small = tensor.data.len() < QUANTISE_FROM || shape.len() < 2;
            match if small { Storage::F32 } else { storage } {
                Storage::F32 => {
                    let bytes = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
                    self.tensors.insert(full, (Dtype::F32, shape, bytes));
                }
                Storage::F16 => {
                    let bytes = tensor.data.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
                    self.tensors.insert(full, (Dtype::F16, shape, bytes));
                }
                Storage::Int8 => {
                    let rows = shape[0];
                    let mut codes = Vec::with_capacity(tensor.data.len());
                    let mut scales = Vec::with_capacity(rows * 4);
                    for row in tensor.data.chunks_exact(tensor.data.len() / rows) {
                        let largest = row.iter().fold(0f32, |m, v| m.max(v.abs()));
                        let scale = largest / 127.0;
                        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                        #[allow(clippy::cast_possible_truncation)]
                        codes.extend(
                            row.iter()
                                .map(|v| ((v * inverse).round_ties_even().clamp(-127.0, 127.0) as i8).cast_unsigned()),
                        );
                        scales.extend_from_slice(&scale.to_le_bytes());
                    }
                    self.tensors.insert(format!("{full}{SCALE_SUFFIX}"), (Dtype::F32, vec![rows], scales));
                    self.tensors.insert(full, (Dtype::I8, shape, codes));
                }
            }
        }
        Ok(())
    }

    /// The file's bytes: the same input gives the same bytes.
    ///
    /// # Errors
    /// [`BundleError`] when the tensors do not belong to the configuration.
    pub fn finish(self) -> Result<Bundle, BundleError> {
        let fail = |reason: String| BundleError::Manifest { file: "new bundle".into(), reason };
        let manifest = serde_json::to_string(&self.manifest).map_err(|e| fail(e.to_string()))?;
        let views = self
            .tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| fail(e.to_string()))?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), manifest)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| fail(e.to_string()))?;
        Bundle::from_bytes("new bundle", bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WhiteningConfig;

    fn small(storage: Storage) -> Bundle {
        let config = Config { whitening: Some(WhiteningConfig { input: 32, dims: 40 }), ..Config::default() };
        let mut writer = BundleWriter::new(config, "CC0-1.0", BTreeMap::from([("seed".into(), "7".into())]));
        let mut state = StateDict::new("");
        state.insert("mean", vec![32], (0..32).map(|i| i as f32).collect()).unwrap();
        let matrix = (0..32 * 40).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        state.insert("DVt", vec![32, 40], matrix).unwrap();
        writer.add(Network::Pca, &state, storage).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn every_storage_comes_back_within_its_precision() {
        let exact = small(Storage::F32).weights(Network::Pca).unwrap();
        for (storage, tolerance) in [(Storage::F32, 0.0), (Storage::F16, 2.5e-4), (Storage::Int8, 0.5 / 127.0)] {
            let bundle = small(storage);
            let state = bundle.weights(Network::Pca).unwrap();
            assert_eq!(state.get("mean", &[32]).unwrap(), exact.get("mean", &[32]).unwrap());
            let (a, b) = (state.get("DVt", &[32, 40]).unwrap(), exact.get("DVt", &[32, 40]).unwrap());
            let worst = a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs()));
            assert!(worst <= tolerance, "{storage:?}: {worst}");
            assert_eq!(bundle.manifest().provenance["seed"], "7");
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_and_identity() {
        assert_eq!(small(Storage::Int8).as_bytes(), small(Storage::Int8).as_bytes());
        assert_ne!(small(Storage::Int8).id(), small(Storage::F16).id());
        assert_eq!(small(Storage::F32).id().to_string().len(), 64);
    }

    #[test]
    fn what_is_no_bundle_is_refused_with_a_remedy() {
        let plain = safetensors::serialize([("w", TensorView::new(Dtype::U8, vec![1], &[0]).unwrap())], None).unwrap();
        let message = Bundle::from_bytes("w.safetensors", plain).unwrap_err().to_string();
        assert!(message.contains("model convert"), "{message}");
        let bundle = small(Storage::F32);
        let message = bundle.weights(Network::Coarse).unwrap_err().to_string();
        assert!(message.contains("no coarse network") && message.contains("pca"), "{message}");
        let future = String::from_utf8_lossy(bundle.as_bytes()).replacen("\\\"format\\\":1", "\\\"format\\\":9", 1);
        // The lossy copy may differ in the data, never in the header's length.
        let message = Bundle::from_bytes("b", future.into_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(
            message.contains("format 9") || message.contains("cut short") || message.contains("follow"),
            "{message}"
        );
    }

    #[test]
    fn networks_that_ask_for_regions_that_there_are_not_are_refused_when_the_file_is_read() {
        let text = r#"{"format":1,"config":{
            "preprocess":{"resize":{"square":112},"filter":"area","divisor":1.0,"mean":[1,1,1],"std":[1,1,1]},
            "regions":{"windows":{"grids":[{"count":3,"fraction":0.5}],"pooling":"max","normalise":false}},
            "coarse":{"dims":8,"attention":false,"regions":[0,10]}}}"#;
        let read = |text: &str| {
            let metadata = HashMap::from([(METADATA_KEY.to_owned(), text.to_owned())]);
            let nothing: [(&str, TensorView<'_>); 0] = [];
            Bundle::from_bytes("asks.safetensors", safetensors::serialize(nothing, Some(metadata)).unwrap())
        };
        let message = read(text).unwrap_err().to_string();
        for part in ["asks.safetensors", "`coarse.regions`", "up to 10", "a frame has 9", "add a scale"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(read(&text.replace("[0,10]", "[0,9]")).is_ok());
        let curve = r#""calibration":{"coarse":{"kind":"logistic","a":-1.0,"b":0.0}},"coarse""#;
        let message = read(&text.replace("[0,10]", "[0,9]").replace("\"coarse\"", curve)).unwrap_err().to_string();
        assert!(message.contains("`calibration.coarse`") && message.contains("positive"), "{message}");
    }

    #[test]
    fn weights_that_are_not_numbers_are_refused_by_name() {
        let mut state = StateDict::new("");
        state.insert("mean", vec![2], vec![0.0, f32::INFINITY]).unwrap();
        let mut writer = BundleWriter::new(Config::default(), "", BTreeMap::new());
        let message = writer.add(Network::Pca, &state, Storage::F32).unwrap_err().to_string();
        assert!(message.contains("pca.mean") && message.contains("element 1"), "{message}");
    }
}
