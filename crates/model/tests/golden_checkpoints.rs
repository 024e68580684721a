//! Checkpoints written by PyTorch itself, against the same weights as plain safetensors. The folder lies beside the
//! workspace; without it the test says so and passes.
#![cfg(feature = "checkpoint")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use vidsieve_model::checkpoint::{self, DType, Format, TensorData, Value};
use vidsieve_model::tensors::TensorFile;

type Plain = BTreeMap<String, (Vec<usize>, Vec<u32>)>;

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
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

fn weights(file: &str, format: Format) -> Option<Plain> {
    let bytes = std::fs::read(folder()?.join(file)).unwrap();
    let checkpoint = checkpoint::read(file, &bytes).unwrap();
    assert_eq!(checkpoint.format(), format, "{file}");
    Some(checkpoint.state_dict().unwrap().into_iter().map(|(name, t)| (name, (t.shape, bits(t.data)))).collect())
}

fn plain(file: &str, prefix: &str) -> Option<Plain> {
    let bytes = std::fs::read(folder()?.join(file)).unwrap();
    let tensors = TensorFile::parse(file, &bytes).unwrap();
    let mut all = Plain::new();
    for full in tensors.names() {
        let Some(name) = full.strip_prefix(prefix) else { continue };
        let (shape, values) = match tensors.f32(full) {
            Ok((shape, values)) => (shape, values.into_iter().map(f32::to_bits).collect()),
            Err(_) => {
                let (shape, values) = tensors.i64(full).unwrap();
                (shape, values.into_iter().map(|v| u32::try_from(v).unwrap()).collect())
            }
        };
        all.insert(name.to_owned(), (shape, values));
    }
    assert!(!all.is_empty());
    Some(all)
}

#[test]
fn zip_checkpoints_equal_the_plain_weights() {
    for model in ["fg_att", "fg_bin", "fg_none", "cg_small", "selector"] {
        let Some(found) = weights(&format!("model_{model}.pth"), Format::Zip) else { return };
        assert_eq!(Some(found), plain(&format!("{model}.weights.safetensors"), ""), "{model}");
    }
}

#[test]
fn legacy_checkpoints_equal_the_zip_ones() {
    let Some(found) = weights("model_fg_none_legacy.pth", Format::Legacy) else { return };
    assert_eq!(Some(found), weights("model_fg_none.pth", Format::Zip));
    let Some(found) = weights("pca_small_legacy.pth", Format::Legacy) else { return };
    assert_eq!(Some(&found), weights("pca_small.pth", Format::Zip).as_ref());
    assert_eq!(found.keys().collect::<Vec<_>>(), ["V", "d", "mean"]);
    for (name, tensor) in plain("pca_small.safetensors", "").unwrap() {
        if let Some(found) = found.get(&name) {
            assert_eq!(found, &tensor, "{name}");
        }
    }
}

#[test]
fn bare_state_dicts_are_read() {
    for file in ["visil_f512", "visil_sym512"] {
        let Some(found) = weights(&format!("{file}.pth"), Format::Zip) else { return };
        assert_eq!(Some(found), plain(&format!("{file}.out.safetensors"), "weights."), "{file}");
    }
}

#[test]
fn settings_and_types_are_read() {
    let Some(folder) = folder() else { return };
    let bytes = std::fs::read(folder.join("model_selector.pth")).unwrap();
    let checkpoint = checkpoint::read("model_selector.pth", &bytes).unwrap();
    let args = checkpoint.args();
    assert!(args.iter().any(|(name, value)| name == "threshold" && matches!(value, Value::Float(_))), "{args:?}");
    let tensors = checkpoint.state_dict().unwrap();
    let (_, batches) = tensors.iter().find(|(name, _)| name == "mlp.model.1.num_batches_tracked").unwrap();
    assert_eq!((&batches.shape[..], batches.dtype), (&[][..], DType::I64));
    let Value::Dict(root) = checkpoint.value().unwrap() else { panic!("no dictionary") };
    let names: Vec<_> = root.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(names, ["model", "optimizer", "global_step", "args"].map(|k| Value::Str(k.into())));
    let bare = std::fs::read(folder.join("visil_f512.pth")).unwrap();
    assert_eq!(checkpoint::read("visil_f512.pth", &bare).unwrap().args(), []);
}
