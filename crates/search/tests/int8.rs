//! How far cosines of int8 vectors are from the exact ones: what candidates of a scan must make up for.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use vidsieve_kernels::Isa;
use vidsieve_search::{Probe, Quantised};

/// Values of S^c's vector in the default bundle.
const DIMS: usize = 256;

fn unit() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(-1f32..1.0, DIMS).prop_map(|v| {
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        v.iter().map(|x| x / norm).collect()
    })
}

proptest! {
    #[test]
    fn cosines_are_near(query in unit(), videos in proptest::collection::vec(unit(), 1..8)) {
        let mut table = Quantised::new(DIMS);
        for (number, video) in (0u32..).zip(&videos) {
            table.put(number, video, 0.5, true, &[]).unwrap();
        }
        let cosines = table.scan(Isa::best(), &Probe::new(&query, &[])).unwrap().cosines;
        for (cosine, video) in cosines.iter().zip(&videos) {
            let exact: f32 = query.iter().zip(video).map(|(a, b)| a * b).sum();
            prop_assert!((cosine - exact).abs() < 0.002, "{cosine} {exact}");
        }
    }
}
