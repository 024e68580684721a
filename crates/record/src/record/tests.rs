#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

/// The record that `docs/format.md` shows.
const EXAMPLE: &str = include_str!("../../tests/record.hex");

fn example() -> Record<Vec<u8>> {
    let mut bundle = [0; 32];
    bundle.iter_mut().zip(0..).for_each(|(b, i)| *b = i);
    Record::new(&Parts {
        bundle: BundleId(bundle),
        duration: 2.5,
        self_similarity: 0.75,
        global: &[0.6, -0.8],
        times: &[0.0, 1.0, 2.0],
        weights: &[0, 17, 255],
        windows: &[WindowVector::quantise(1, 2, &[0.8, 0.6])],
        regions: 2,
        bits: 16,
        codes: &[0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c],
    })
    .unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_documented_bytes() {
    assert_eq!(hex(example().as_bytes()), EXAMPLE);
    let bytes: Vec<u8> = EXAMPLE.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
    let record = Record::parse(bytes.as_slice()).unwrap();
    assert_eq!(record.shape(), Shape { frames: 3, regions: 2, bits: 16, dims: 2, windows: 1 });
    assert_eq!(record.global().collect::<Vec<_>>(), [0.6, -0.8]);
    assert_eq!(record.times().collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
    assert_eq!((record.duration(), record.self_similarity()), (2.5, 0.75));
    assert_eq!((record.weights(), record.is_informative()), (&[0, 17, 255][..], true));
    assert_eq!(record.windows().collect::<Vec<_>>(), [WindowVector::quantise(1, 2, &[0.8, 0.6])]);
    assert_eq!(record.codes(), (1..=12).collect::<Vec<u8>>());
    assert_eq!(record.codes().as_ptr() as usize % 16, record.as_bytes().as_ptr() as usize % 16);
    assert_eq!(record.bundle().short(), "000102030405");
    assert_eq!(record.bundle().to_string().parse::<BundleId>().unwrap(), record.bundle());
    assert!(record.expect(&record.bundle()).is_ok());
    let error = record.expect(&BundleId([9; 32])).unwrap_err().to_string();
    assert!(error.contains("000102030405") && error.contains("090909090909"), "{error}");
}

#[test]
fn every_damage_is_noticed() {
    let good = example().into_bytes();
    for length in 0..good.len() {
        assert!(Record::parse(&good[..length]).is_err(), "cut to {length}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(matches!(Record::parse(longer), Err(RecordError::Length { .. })));
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Record::parse(bad).is_err(), "bit {bit}");
    }
}

#[test]
fn other_versions_are_refused_with_the_remedy() {
    let with = |version: u16, length: usize| {
        let mut bytes = example().into_bytes();
        bytes[8..10].copy_from_slice(&version.to_le_bytes());
        bytes.truncate(length);
        Record::parse(bytes).unwrap_err()
    };
    // Version 1 had a header of 96 bytes.
    for length in [12, 96, 113, 188] {
        let error = with(1, length);
        assert_eq!(error, RecordError::Version(1));
        assert_eq!(error.to_string(), "a record of version 1; this Vidsieve reads version 2: index the video again");
    }
    assert!(with(3, 188).to_string().contains("version 3") && with(3, 188).to_string().contains("newer Vidsieve"));
    assert_eq!(with(1, 11), RecordError::NotARecord);
    assert!(matches!(with(2, 100), RecordError::Length { expected: 128, found: 100 }));
    assert_eq!(Record::parse(vec![0; 200]).unwrap_err(), RecordError::NotARecord);
}

/// What a checksum cannot tell: a record with a right one and wrong values.
#[test]
fn values_are_checked() {
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = example().into_bytes();
        change(&mut bytes);
        let sum = checksum(&bytes);
        bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        Record::parse(bytes).map(|_| ()).map_err(|e| e.to_string())
    };
    assert!(with(&|_| ()).is_ok());
    let nan = f32::NAN.to_le_bytes();
    for (change, word) in [
        (&(|b: &mut Vec<u8>| b[60..64].copy_from_slice(&nan)) as &dyn Fn(&mut Vec<u8>), "self-similarity"),
        (&|b| b[128..132].copy_from_slice(&nan), "vector's norm"),
        (&|b| b[128..132].copy_from_slice(&5f32.to_le_bytes()), "vector's norm"),
        (&|b| b[136..140].copy_from_slice(&9000u32.to_le_bytes()), "time stamp"),
        (&|b| b[148..152].copy_from_slice(&3u32.to_le_bytes()), "window is 3 to 2"),
        (&|b| b[152..156].copy_from_slice(&3u32.to_le_bytes()), "window is 1 to 3"),
        (&|b| b[156..160].copy_from_slice(&nan), "window's vector's norm"),
        (&|b| b[156..160].copy_from_slice(&0f32.to_le_bytes()), "window's vector's norm"),
        (&|b| b[163] = 0, "window's vector's norm"),
        (&|b| b[64..72].copy_from_slice(&f64::INFINITY.to_le_bytes()), "duration"),
        (&|b| b[64..72].copy_from_slice(&1f64.to_le_bytes()), "duration"),
        (&|b| b[88..92].copy_from_slice(&4u32.to_le_bytes()), "windows"),
        (&|b| b[92] = 1, "reserved"),
        (&|b| b[127] = 1, "reserved"),
        (&|b| b[165] = 1, "reserved"),
        (&|b| b[10..12].copy_from_slice(&96u16.to_le_bytes()), "header"),
        (&|b| b[12..16].copy_from_slice(&0u32.to_le_bytes()), "frames"),
        (&|b| b[48..52].copy_from_slice(&u32::MAX.to_le_bytes()), "regions"),
        (&|b| b[52..56].copy_from_slice(&12u32.to_le_bytes()), "bits"),
        (&|b| b[56..60].copy_from_slice(&u32::MAX.to_le_bytes()), "vector"),
    ] {
        let error = with(change).unwrap_err();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn parts_are_checked() {
    let good = example();
    let (global, times): (Vec<f32>, Vec<f64>) = (good.global().collect(), good.times().collect());
    let parts = Parts {
        bundle: good.bundle(),
        duration: 2.5,
        self_similarity: 0.75,
        global: &global,
        times: &times,
        weights: &[1, 2, 3],
        windows: &[],
        regions: 2,
        bits: 16,
        codes: good.codes(),
    };
    assert!(Record::new(&parts).is_ok());
    assert!(Record::new(&Parts { codes: &[0; 11], ..parts }).is_err());
    assert!(Record::new(&Parts { times: &[0.0, 2.0, 1.0], ..parts }).is_err());
    assert!(Record::new(&Parts { times: &[0.0, 1.0, -2.0], ..parts }).is_err());
    assert!(Record::new(&Parts { times: &[0.0, 1.0, f64::NAN], ..parts }).is_err());
    assert!(Record::new(&Parts { global: &[0.6, -0.9], ..parts }).is_err());
    assert!(Record::new(&Parts { global: &[], ..parts }).is_err());
    assert!(Record::new(&Parts { duration: 1.0, ..parts }).is_err());
    assert!(Record::new(&Parts { times: &[], weights: &[], codes: &[], ..parts }).is_err());
    assert!(Record::new(&Parts { weights: &[1, 2], ..parts }).is_err());
    assert!(!Record::new(&Parts { weights: &[0; 3], ..parts }).unwrap().is_informative());
    let window = |first, last| WindowVector::quantise(first, last, &[0.5, 0.1]);
    let windows = |windows: &[WindowVector]| Record::new(&Parts { windows, ..parts }).is_ok();
    assert!(windows(&[window(0, 1), window(0, 1), window(1, 2)]));
    assert!(!windows(&[window(1, 2), window(0, 2)]));
    assert!(!windows(&[window(0, 2), window(1, 1)]));
    assert!(!windows(&[window(0, 0), window(0, 0), window(0, 0), window(0, 0)]), "more windows than frames");
    assert!(!windows(&[WindowVector::quantise(0, 1, &[1.0])]));
    assert!(!windows(&[WindowVector::quantise(0, 1, &[0.0, 0.0])]));
    assert!(!windows(&[WindowVector { scale: f32::INFINITY, ..window(0, 1) }]));
}

proptest! {
    #[test]
    fn round_trip(
        angles in proptest::collection::vec(-3.0f32..3.0, 1..20),
        gaps in proptest::collection::vec(0u32..5000, 1..40),
        regions in 1usize..12,
        bytes in 1usize..9,
        windows in 0usize..40,
        seed in any::<u64>(),
    ) {
        let norm = angles.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-3);
        prop_assume!(norm > 1e-2);
        let global: Vec<f32> = angles.iter().map(|v| v / norm).collect();
        let times: Vec<f64> = gaps.iter().scan(0u32, |t, g| { *t += g; Some(f64::from(*t) / 1000.0) }).collect();
        let n = times.len() * regions * bytes;
        let codes: Vec<u8> = (0..n as u64).map(|i| (i.wrapping_mul(seed | 1) >> 32) as u8).collect();
        let weights: Vec<u8> = (0..times.len() as u64).map(|i| (i.wrapping_mul(seed | 1) >> 24) as u8).collect();
        let last = times[times.len() - 1];
        let frames = times.len() as u32;
        let window = |w: u32| WindowVector::quantise(w, (w + 15).min(frames - 1), &global[..]);
        let windows: Vec<WindowVector> = (0..frames).take(windows).map(window).collect();
        let parts = Parts {
            bundle: BundleId([5; 32]),
            duration: last + 0.25,
            self_similarity: -1.5,
            global: &global,
            times: &times,
            weights: &weights,
            windows: &windows,
            regions,
            bits: 8 * bytes,
            codes: &codes,
        };
        let record = Record::new(&parts).unwrap();
        let read = Record::parse(record.as_bytes()).unwrap();
        prop_assert_eq!(read.global().collect::<Vec<_>>(), global);
        prop_assert_eq!(read.times().collect::<Vec<_>>(), times);
        prop_assert_eq!(read.windows().collect::<Vec<_>>(), windows);
        prop_assert_eq!(read.is_informative(), weights.iter().any(|w| *w > 0));
        prop_assert_eq!(read.weights(), weights);
        prop_assert_eq!(read.codes(), codes);
        prop_assert_eq!(read.duration(), last + 0.25);
        prop_assert_eq!(&record.view(), &read);
    }

    #[test]
    fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), marked in any::<bool>()) {
        if marked && bytes.len() >= HEADER {
            bytes[..8].copy_from_slice(&MAGIC);
            bytes[8..12].copy_from_slice(&[2, 0, 128, 0]);
        }
        prop_assert!(Record::parse(bytes).is_err());
    }
}
