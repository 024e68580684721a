//! Indices of drawn numbers: records that fit the built-in bundle and describe no video.

use std::path::Path;

use rand::RngExt;
use vidsieve_index::store::{Index, Source};
use vidsieve_kernels::Isa;
use vidsieve_model::bundle::Bundle;
use vidsieve_model::encoder::Encoder;
use vidsieve_record::{Parts, Record};

static BUNDLE: &[u8] = include_bytes!("../../../../models/default.safetensors");

/// A record, always the same for a number.
pub(crate) fn record(bundle: &Bundle, number: u64) -> Record<Vec<u8>> {
    let encoder = Encoder::new(Isa::best(), bundle).unwrap();
    let mut rng = vidsieve_edits::generator(&[number]);
    let frames = 4 + usize::try_from(number % 3).unwrap();
    let mut global: Vec<f32> = (0..encoder.global_dims()).map(|_| rng.random_range(-1.0..1.0f32)).collect();
    let norm = global.iter().map(|v| v * v).sum::<f32>().sqrt();
    global.iter_mut().for_each(|v| *v /= norm);
    let shape = encoder.shape();
    let codes: Vec<u8> = (0..frames * shape.regions() * shape.bits() / 8).map(|_| rng.random()).collect();
    let times: Vec<f64> = (0..u32::try_from(frames).unwrap()).map(f64::from).collect();
    let parts = Parts {
        bundle: bundle.id(),
        duration: times.len() as f64,
        self_similarity: 0.5,
        global: &global,
        times: &times,
        weights: &vec![255; times.len()],
        windows: &[],
        regions: shape.regions(),
        bits: shape.bits(),
        codes: &codes,
    };
    Record::new(&parts).unwrap()
}

pub(crate) fn bundle() -> Bundle {
    Bundle::from_bytes("default", BUNDLE.to_vec()).unwrap()
}

/// The id of a number, of several kinds.
pub(crate) fn id(number: u64) -> String {
    match number % 3 {
        0 => format!("folder/video {number}.mp4"),
        1 => format!("ünï%2F?{number}#.mp4"),
        _ => format!("{number:05}.mp4"),
    }
}

/// An index with the videos of these numbers, or more videos in one that is there.
pub(crate) fn fill(folder: &Path, numbers: std::ops::Range<u64>) -> Index {
    let bundle = bundle();
    let index = Index::create_or_open(folder, bundle.id(), bundle.as_bytes()).unwrap();
    let records: Vec<_> = numbers.map(|n| (id(n), record(&bundle, n))).collect();
    let source = Source::default();
    let all: Vec<_> = records.iter().map(|(id, r)| (id.as_str(), r.view(), &source)).collect();
    index.put_many(&all).unwrap();
    index
}
