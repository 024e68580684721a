//! Records: no input may panic, and what is taken must be what the networks can work with. The first byte says whether the length
//! and the checksum are made right, so that what they guard is reached as well.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vidsieve_record::{CHECKSUM, Record, checksum};
use vidsieve_search::Query;

fuzz_target!(|bytes: &[u8]| {
    let Some((mend, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if mend & 1 == 1 && bytes.len() >= CHECKSUM.end {
        let length = bytes.len() as u64;
        bytes[72..80].copy_from_slice(&length.to_le_bytes());
        let sum = checksum(&bytes).to_le_bytes();
        bytes[CHECKSUM].copy_from_slice(&sum);
    }
    let Ok(record) = Record::parse(&bytes[..]) else { return };
    let shape = record.shape();
    assert_eq!(record.codes().len(), shape.frames * shape.regions * shape.bits / 8);
    assert_eq!((record.global().count(), record.times().count()), (shape.dims, shape.frames));
    let length = record.global().map(|v| v * v).sum::<f32>();
    assert!((length - 1.0).abs() < 0.01, "{length}");
    assert_eq!((record.weights().len(), record.windows().count()), (shape.frames, shape.windows));
    for window in record.windows() {
        assert!(window.first <= window.last && (window.last as usize) < shape.frames);
        let length = window.vector().map(|v| v * v).sum::<f32>();
        assert!((length - 1.0).abs() < 0.01, "{length}");
    }
    if let Ok(query) = Query::from_record(&record) {
        assert!(query.timeline.duration() >= query.timeline.times().last().copied().unwrap_or_default());
    }
});
