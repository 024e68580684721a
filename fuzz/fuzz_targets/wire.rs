//! Bodies of HTTP requests: no input may panic or take memory that its size does not justify.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vidsieve_record::Record;
use vidsieve_record::wire::{FRAMES_MAGIC, Frames, REGIONS_MAGIC, Regions, split_rerank};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 8 {
        match kind % 3 {
            1 => bytes[..8].copy_from_slice(&FRAMES_MAGIC),
            2 => bytes[..8].copy_from_slice(&REGIONS_MAGIC),
            _ => {}
        }
    }
    if let Ok(frames) = Frames::parse(&bytes) {
        assert_eq!(frames.pixels.len(), frames.times.len() * frames.width * frames.height * 3);
    }
    if let Ok(regions) = Regions::parse(&bytes) {
        assert_eq!(regions.values.len(), regions.shape.iter().product::<usize>());
    }
    if let Ok((json, record)) = split_rerank(&bytes) {
        assert_eq!(json.len() + record.len() + 4, bytes.len());
        let _ = Record::parse(record);
    }
});
