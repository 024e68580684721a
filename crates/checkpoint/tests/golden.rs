//! Checkpoints written by PyTorch itself, against the same weights as plain safetensors.
//!
//! `tests/golden` of the repository holds both layouts and a bare dictionary; more networks are read
//! where the whole set of golden files lies in `../shared/golden` beside the repository.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use vidsieve_checkpoint::{DType, Format, TensorData, Value, read};

type Plain = BTreeMap<String, (Vec<usize>, Vec<u32>)>;

/// SHA-256 of the weights of each file as PyTorch wrote them to safetensors; see [`digest`].
const DIGESTS: [(&str, Format, &str); 3] = [
    ("model_fg_none.pth", Format::Zip, "3b93c85b3e73d2113776b68d5506b05e0a7e161a1883ad9a92af2ca55905ebad"),
    ("model_fg_none_legacy.pth", Format::Legacy, "3b93c85b3e73d2113776b68d5506b05e0a7e161a1883ad9a92af2ca55905ebad"),
    ("visil_f512.pth", Format::Zip, "35bc958b24c18060c0918cd0678cc88eaef3b7b43604d1ac94a02952767e4596"),
];

/// The golden files of the repository.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// The whole set of golden files; `None`, with a printed reason, where it is not beside the repository.
fn beside() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    if !folder.is_dir() {
        println!("skipped: ../shared/golden is not here; it has the networks that tests/golden leaves out");
        return None;
    }
    Some(folder)
}

/// Values as bits, so that equal means equal in every bit.
fn bits(data: TensorData) -> Vec<u32> {
    match data {
        TensorData::F32(values) => values.into_iter().map(f32::to_bits).collect(),
        TensorData::I64(values) => values.into_iter().map(|v| u32::try_from(v).unwrap()).collect(),
    }
}

fn weights(folder: &Path, file: &str, format: Format) -> Plain {
    let bytes = std::fs::read(folder.join(file)).unwrap();
    let checkpoint = read(file, &bytes).unwrap();
    assert_eq!(checkpoint.format(), format, "{file}");
    checkpoint.state_dict().unwrap().into_iter().map(|(name, t)| (name, (t.shape, bits(t.data)))).collect()
}

fn plain(folder: &Path, file: &str, prefix: &str) -> Plain {
    let bytes = std::fs::read(folder.join(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut all = Plain::new();
    for (full, tensor) in tensors.iter() {
        let Some(name) = full.strip_prefix(prefix) else { continue };
        let values = match tensor.dtype() {
            Dtype::F32 => tensor.data().as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect(),
            Dtype::I64 => {
                let values = tensor.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b));
                values.map(|v| u32::try_from(v).unwrap()).collect()
            }
            other => panic!("{file}: `{full}` is {other:?}"),
        };
        all.insert(name.to_owned(), (tensor.shape().to_vec(), values));
    }
    assert!(!all.is_empty(), "{file}");
    all
}

/// SHA-256 over a line `name [shape]` and the little-endian values of each tensor, in order of names.
fn digest(weights: &Plain) -> String {
    let mut hash = Sha256::new();
    for (name, (shape, values)) in weights {
        hash.update(format!("{name} {shape:?}\n"));
        values.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn checkpoints_have_the_weights_that_pytorch_wrote() {
    for (file, format, expected) in DIGESTS {
        assert_eq!(digest(&weights(&here(), file, format)), expected, "{file}");
    }
}

#[test]
fn legacy_checkpoints_equal_the_plain_weights() {
    let found = weights(&here(), "pca_small_legacy.pth", Format::Legacy);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["V", "d", "mean"]);
    let expected = plain(&here(), "pca_small.safetensors", "");
    for (name, tensor) in &found {
        assert_eq!(Some(tensor), expected.get(name), "{name}");
    }
}

#[test]
fn settings_are_read() {
    let bytes = std::fs::read(here().join("model_fg_none.pth")).unwrap();
    let checkpoint = read("model_fg_none.pth", &bytes).unwrap();
    let args = checkpoint.args();
    assert!(args.iter().any(|(name, value)| name == "learning_rate" && matches!(value, Value::Float(_))), "{args:?}");
    let Value::Dict(root) = checkpoint.value().unwrap() else { panic!("no dictionary") };
    let names: Vec<_> = root.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(names, ["model", "optimizer", "global_step", "args"].map(|k| Value::Str(k.into())));
    let bare = std::fs::read(here().join("visil_f512.pth")).unwrap();
    assert_eq!(read("visil_f512.pth", &bare).unwrap().args(), []);
}

#[test]
fn every_network_equals_its_plain_weights() {
    let Some(folder) = beside() else { return };
    for model in ["fg_att", "fg_bin", "fg_none", "cg_small", "selector"] {
        let found = weights(&folder, &format!("model_{model}.pth"), Format::Zip);
        assert_eq!(found, plain(&folder, &format!("{model}.weights.safetensors"), ""), "{model}");
    }
    for file in ["visil_f512", "visil_sym512"] {
        let found = weights(&folder, &format!("{file}.pth"), Format::Zip);
        assert_eq!(found, plain(&folder, &format!("{file}.out.safetensors"), "weights."), "{file}");
    }
    let legacy = weights(&folder, "pca_small_legacy.pth", Format::Legacy);
    assert_eq!(legacy, weights(&folder, "pca_small.pth", Format::Zip));
}

#[test]
fn counters_are_integers() {
    let Some(folder) = beside() else { return };
    let bytes = std::fs::read(folder.join("model_selector.pth")).unwrap();
    let checkpoint = read("model_selector.pth", &bytes).unwrap();
    let args = checkpoint.args();
    assert!(args.iter().any(|(name, value)| name == "threshold" && matches!(value, Value::Float(_))), "{args:?}");
    let tensors = checkpoint.state_dict().unwrap();
    let (_, batches) = tensors.iter().find(|(name, _)| name == "mlp.model.1.num_batches_tracked").unwrap();
    assert_eq!((&batches.shape[..], batches.dtype), (&[][..], DType::I64));
}
