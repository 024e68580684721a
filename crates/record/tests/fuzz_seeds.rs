//! Writes a small record and small bodies as seeds of the fuzz targets `record` and `wire`: `cargo test fuzz_seeds -- --ignored`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use vidsieve_record::wire::{FRAMES_MAGIC, REGIONS_MAGIC, join_rerank};
use vidsieve_record::{BundleId, Parts, Record, WindowVector};

#[test]
#[ignore = "writes files under fuzz/corpus"]
fn fuzz_seeds() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let write = |target: &str, name: &str, kind: u8, bytes: &[u8]| {
        fs::create_dir_all(corpus.join(target)).unwrap();
        fs::write(corpus.join(target).join(name), [&[kind][..], bytes].concat()).unwrap();
    };
    let parts = Parts {
        bundle: BundleId([3; 32]),
        duration: 2.5,
        self_similarity: 0.5,
        global: &[0.6, -0.8],
        times: &[0.0, 1.0],
        weights: &[0, 255],
        windows: &[WindowVector::quantise(1, 1, &[0.8, 0.6])],
        regions: 2,
        bits: 16,
        codes: &[1, 2, 3, 4, 5, 6, 7, 8],
    };
    let record = Record::new(&parts).unwrap().into_bytes();
    write("record", "small", 1, &record);
    write("wire", "rerank", 0, &join_rerank(br#"{"ids":["a"]}"#, &record));
    let body = |magic: [u8; 8], rest: usize| {
        let sizes: Vec<u8> = [1u32, 2, 1, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
        [&magic[..], &sizes, &1f64.to_le_bytes(), &0f64.to_le_bytes(), &vec![0; rest]].concat()
    };
    write("wire", "frames", 1, &body(FRAMES_MAGIC, 6));
    write("wire", "regions", 2, &body(REGIONS_MAGIC, 8));
}
