//! Bundles: no input may panic, hang, or take memory that its size does not justify.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vidsieve_model::bundle::Bundle;

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::from_bytes("fuzz", bytes.to_vec()) else { return };
    let _ = bundle.list();
    for network in bundle.networks() {
        if let Ok(weights) = bundle.weights(network) {
            for (_, tensor) in weights.iter() {
                assert_eq!(tensor.data.len(), tensor.shape.iter().product::<usize>());
            }
        }
    }
});
