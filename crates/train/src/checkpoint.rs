//! Files of a training run: tensors by name with a JSON header, written whole or not at all.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Serialize, de::DeserializeOwned};

use crate::TrainError;
use crate::networks::parameters::Parameters;

/// Key of the header in the file's metadata.
const HEADER: &str = "vidsieve_train";

/// Writes `bytes` to `path` through a temporary file beside it.
///
/// # Errors
/// [`TrainError::File`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let error = |e: std::io::Error| TrainError::file(path, e);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(error)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let temporary = path.with_file_name(name);
    std::fs::write(&temporary, bytes).map_err(error)?;
    std::fs::rename(&temporary, path).map_err(error)
}

/// Reads a whole file.
///
/// # Errors
/// [`TrainError::File`].
pub fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    std::fs::read(path).map_err(|e| TrainError::file(path, e))
}

/// Writes tensors and a header.
///
/// # Errors
/// [`TrainError::File`].
pub fn save(path: &Path, header: &impl Serialize, tensors: &Parameters) -> Result<(), TrainError> {
    let failed = |e: safetensors::SafeTensorError| TrainError::file(path, e);
    let header = serde_json::to_string(header).map_err(|e| TrainError::file(path, e))?;
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, t)| (name.to_owned(), t.shape.clone(), t.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(failed)?;
    let metadata = std::collections::HashMap::from([(HEADER.to_owned(), header)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    write_atomically(path, &file)
}

/// Reads what [`save`] wrote.
///
/// # Errors
/// [`TrainError::File`] for a file that cannot be read or is none of [`save`]'s.
pub fn load<H: DeserializeOwned>(path: &Path) -> Result<(H, Parameters), TrainError> {
    let failed = |e: safetensors::SafeTensorError| TrainError::file(path, e);
    let bytes = read(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(failed)?;
    let header = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER))
        .ok_or_else(|| TrainError::file(path, "it was not written by a training run"))?;
    let header = serde_json::from_str(header).map_err(|e| TrainError::file(path, e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(failed)?;
    let mut tensors = Parameters::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(TrainError::file(path, format!("tensor `{name}` is not f32")));
        }
        let data = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        tensors.insert(name, view.shape(), data);
    }
    Ok((header, tensors))
}

/// Several sets of tensors as one, each under its prefix.
#[must_use]
pub fn join(parts: &[(&str, &Parameters)]) -> Parameters {
    let mut all = Parameters::new();
    for (prefix, part) in parts {
        for (name, t) in part.iter() {
            all.insert(format!("{prefix}/{name}"), &t.shape, t.data.clone());
        }
    }
    all
}

/// The tensors under one prefix of [`join`].
#[must_use]
pub fn part(all: &Parameters, prefix: &str) -> Parameters {
    let mut part = Parameters::new();
    for (name, t) in all.iter() {
        if let Some(name) = name.strip_prefix(prefix).and_then(|n| n.strip_prefix('/')) {
            part.insert(name, &t.shape, t.data.clone());
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_whole() {
        let folder = std::env::temp_dir().join(format!("vidsieve-checkpoint-{}", std::process::id()));
        let path = folder.join("x.safetensors");
        let mut p = Parameters::new();
        p.insert("a.b", &[2, 3], vec![1.0, -2.5, f32::MIN_POSITIVE, 0.0, 4.0, 5.0]);
        p.insert("scalar", &[1], vec![7.0]);
        let all = join(&[("net", &p), ("adam", &p)]);
        save(&path, &("stage", 42u64), &all).unwrap();
        let (header, back): ((String, u64), Parameters) = load(&path).unwrap();
        assert_eq!(header, ("stage".to_owned(), 42));
        assert_eq!(part(&back, "net"), p);
        assert_eq!(part(&back, "ad"), Parameters::new());
        std::fs::write(&path, b"no tensors").unwrap();
        let message = load::<(String, u64)>(&path).unwrap_err().to_string();
        assert!(message.contains("x.safetensors"), "{message}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
