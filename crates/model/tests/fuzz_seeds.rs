//! Writes small bundles as seeds of the fuzz target `bundle`: `cargo test -p vidsieve-model fuzz_seeds -- --ignored`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use vidsieve_model::bundle::{BundleWriter, Network, Storage};
use vidsieve_model::config::{Config, WhiteningConfig};
use vidsieve_model::weights::StateDict;

#[test]
#[ignore = "writes files under fuzz/corpus"]
fn fuzz_seeds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/bundle");
    fs::create_dir_all(&folder).unwrap();
    let mut state = StateDict::new("");
    state.insert("mean", vec![32], vec![0.5; 32]).unwrap();
    // Just large enough to be stored in 8 bits.
    state.insert("DVt", vec![32, 32], (0..1024).map(|i| f32::from(i as i16 % 17)).collect()).unwrap();
    for (name, storage) in [("f32", Storage::F32), ("f16", Storage::F16), ("int8", Storage::Int8)] {
        let config = Config { whitening: Some(WhiteningConfig { input: 32, dims: 32 }), ..Config::default() };
        let mut writer = BundleWriter::new(config, "CC0-1.0", BTreeMap::new());
        writer.add(Network::Pca, &state, storage).unwrap();
        fs::write(folder.join(name), writer.finish().unwrap().as_bytes()).unwrap();
    }
}
