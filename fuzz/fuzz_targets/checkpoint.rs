//! PyTorch files: no input may panic, hang, or take memory that its size does not justify.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pickle) = vidsieve_checkpoint::read_pickle("fuzz", bytes) {
        let _ = pickle.value();
    }
    let Ok(checkpoint) = vidsieve_checkpoint::read("fuzz", bytes) else { return };
    let _ = checkpoint.args();
    let _ = checkpoint.value();
    if let Ok(tensors) = checkpoint.state_dict() {
        for (_, tensor) in tensors {
            let numel: usize = tensor.shape.iter().product();
            assert_eq!(tensor.into_f32().len(), numel);
        }
    }
});
