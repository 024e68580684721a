use alloc::vec;
use alloc::vec::Vec;
use std::string::ToString;

use proptest::prelude::*;

use super::*;

/// Codes of `frames` frames from a seed; every bit is fair.
fn random(shape: Shape, frames: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..frames * shape.frame_bytes()).map(|_| next()).collect()
}

/// Compares every instruction set, on a fresh and on a reused target, with the naive loops.
fn check(shape: Shape, query: &[u8], codes: &[u8]) {
    let (rows, columns) = (shape.frames(query).unwrap(), shape.frames(codes).unwrap());
    let mut expected = vec![0; rows * columns];
    naive::region_chamfer(shape, query, codes, &mut expected);
    for isa in Isa::available() {
        let mut target = Target::new(isa, shape, codes).unwrap();
        assert_eq!((target.isa(), target.shape(), target.frames()), (isa, shape, columns));
        let mut sums = vec![0xabcd; rows * columns];
        region_chamfer(query, &target, &mut sums);
        assert_eq!(sums, expected, "{isa}, {shape:?}, {rows} x {columns} frames");

        // The other way round, in the same allocation.
        target.repack(query).unwrap();
        let mut sums = vec![0xabcd; rows * columns];
        region_chamfer(codes, &target, &mut sums);
        let mut swapped = vec![0; rows * columns];
        naive::region_chamfer(shape, codes, query, &mut swapped);
        assert_eq!(sums, swapped, "{isa}, {shape:?}, {columns} x {rows} frames, repacked");
    }
}

#[test]
fn worked_example() {
    // Two regions of 8 bits; one query frame {00, ff} against {00, 0f} and {ff, ff}.
    let shape = Shape::new(2, 8).unwrap();
    let (query, codes) = ([0x00, 0xff], [0x00, 0x0f, 0xff, 0xff]);
    let mut sums = [0; 2];
    naive::region_chamfer(shape, &query, &codes, &mut sums);
    assert_eq!(sums, [4, 8]);
    check(shape, &query, &codes);
    let mut f2f = [0.0; 2];
    similarity(shape, &sums, &mut f2f);
    assert_eq!(f2f, [0.5, 0.0]);
}

#[test]
fn every_tail_of_a_target() {
    for regions in [1, 2, 3, 9, 10] {
        let shape = Shape::new(regions, 64).unwrap();
        for frames in 0..=67 {
            check(shape, &random(shape, 3, 1), &random(shape, frames, 2));
        }
    }
}

#[test]
fn every_code_length() {
    for bytes in (1..=70).chain([127, 128, 129, 250]) {
        let shape = Shape::new(9, 8 * bytes).unwrap();
        check(shape, &random(shape, 5, 3), &random(shape, 7, 4));
    }
}

#[test]
fn every_number_of_regions() {
    for regions in 1..=MAX_REGIONS {
        let shape = Shape::new(regions, 64).unwrap();
        check(shape, &random(shape, 4, 5), &random(shape, 13, 6));
    }
}

#[test]
fn usual_shape() {
    let shape = Shape::new(9, 512).unwrap();
    check(shape, &random(shape, 60, 7), &random(shape, 60, 8));
    check(shape, &random(shape, 31, 9), &random(shape, 300, 10));
}

#[test]
fn extreme_codes_reach_the_bounds() {
    for (regions, bits) in [(9, 512), (1, 65528), (64, 1016), (3, 248), (5, 1024)] {
        let shape = Shape::new(regions, bits).unwrap();
        let (zeros, ones) = (vec![0; 5 * shape.frame_bytes()], vec![0xff; 3 * shape.frame_bytes()]);
        check(shape, &zeros, &ones);
        check(shape, &zeros, &zeros);
        check(shape, &ones, &random(shape, 2, 11));
        for isa in Isa::available() {
            let target = Target::new(isa, shape, &ones).unwrap();
            let mut sums = [0; 15];
            region_chamfer(&zeros, &target, &mut sums);
            assert_eq!(sums, [shape.frame_bits() as u16; 15]);
            let mut f2f = [0.0; 15];
            similarity(shape, &sums, &mut f2f);
            assert_eq!(f2f, [-1.0; 15]);
            region_chamfer(&ones, &target, &mut sums[..9]);
            assert_eq!(sums[..9], [0; 9]);
            similarity(shape, &sums[..9], &mut f2f[..9]);
            assert_eq!(f2f[..9], [1.0; 9]);
        }
    }
}

#[test]
fn similarity_is_the_mean_of_products_of_signs() {
    let shape = Shape::new(3, 64).unwrap();
    let (query, codes) = (random(shape, 4, 12), random(shape, 5, 13));
    let sign = |codes: &[u8], k: usize| if codes[k / 8] >> (k % 8) & 1 == 1 { 1.0f64 } else { -1.0 };
    let mut sums = [0; 20];
    let mut f2f = [0.0; 20];
    region_chamfer(&query, &Target::new(Isa::best(), shape, &codes).unwrap(), &mut sums);
    similarity(shape, &sums, &mut f2f);
    for (i, q) in query.chunks_exact(shape.frame_bytes()).enumerate() {
        for (j, t) in codes.chunks_exact(shape.frame_bytes()).enumerate() {
            let product = |o: usize, p: usize| {
                (0..64usize).map(|k| sign(q, 64 * o + k) * sign(t, 64 * p + k)).sum::<f64>() / 64.0
            };
            let best = |o: usize| (0..3).map(|p| product(o, p)).fold(-1.0, f64::max);
            let expected = (0..3).map(best).sum::<f64>() / 3.0;
            assert!((f64::from(f2f[i * 5 + j]) - expected).abs() < 1e-7);
        }
    }
}

#[test]
fn popcnt_reference_agrees() {
    for bits in [64, 200, 512] {
        let shape = Shape::new(9, bits).unwrap();
        let (query, codes) = (random(shape, 6, 14), random(shape, 4, 15));
        let (mut sums, mut popcnt) = ([0; 24], [1; 24]);
        naive::region_chamfer(shape, &query, &codes, &mut sums);
        if naive::region_chamfer_popcnt(shape, &query, &codes, &mut popcnt) {
            assert_eq!(sums, popcnt);
        } else {
            assert_eq!(popcnt, [1; 24]);
        }
    }
}

#[test]
fn bad_layouts_are_refused() {
    assert_eq!(Shape::new(0, 512), Err(ShapeError::Regions(0)));
    assert_eq!(Shape::new(65, 512), Err(ShapeError::Regions(65)));
    assert_eq!(Shape::new(9, 0), Err(ShapeError::Bits(0)));
    assert_eq!(Shape::new(9, 12), Err(ShapeError::Bits(12)));
    assert_eq!(Shape::new(64, 1024), Err(ShapeError::TooManyBits { regions: 64, bits: 1024 }));
    assert_eq!(Shape::new(1, usize::MAX & !7), Err(ShapeError::TooManyBits { regions: 1, bits: usize::MAX & !7 }));
    assert!(Shape::new(64, 1016).is_ok() && Shape::new(1, 65528).is_ok());
    let shape = Shape::new(9, 512).unwrap();
    let error = Target::new(Isa::best(), shape, &[0; 577]).unwrap_err();
    assert_eq!(error, ShapeError::Length { bytes: 577, frame_bytes: 576 });
    assert_eq!(error.to_string(), "577 bytes of codes are not a whole number of frames of 576 bytes");

    let mut target = Target::new(Isa::best(), shape, &[7; 576 * 2]).unwrap();
    assert!(target.repack(&[0; 1]).is_err());
    let mut sums = [1; 2];
    region_chamfer(&[7; 576], &target, &mut sums);
    assert_eq!(sums, [0; 2], "a refused repack leaves the target as it was");
}

/// Compares every instruction set with the naive loops on some regions of both sides.
fn check_parts(query: &Part<'_>, codes: &Part<'_>) {
    let (rows, columns) = (query.frames(), codes.frames());
    let mut expected = vec![0; rows * columns];
    naive::region_chamfer_part(query, codes, &mut expected);
    for isa in Isa::available() {
        let mut target = Target::of_part(isa, codes);
        assert_eq!((target.shape(), target.frames()), (codes.shape(), columns));
        let mut sums = vec![0xabcd; rows * columns];
        region_chamfer_part(query, &target, &mut sums);
        assert_eq!(sums, expected, "{isa}, {query:?} of {rows} frames, {codes:?} of {columns} frames");

        // The other way round, in the same allocation.
        target.repack_part(query);
        let mut sums = vec![0xabcd; rows * columns];
        region_chamfer_part(codes, &target, &mut sums);
        let mut swapped = vec![0; rows * columns];
        naive::region_chamfer_part(codes, query, &mut swapped);
        assert_eq!(sums, swapped, "{isa}, {codes:?} of {columns} frames, {query:?} of {rows} frames");
    }
}

#[test]
fn parts_of_the_usual_shape() {
    let shape = Shape::new(35, 256).unwrap();
    let (query, codes) = (random(shape, 21, 16), random(shape, 45, 17));
    let part = |codes, range| Part::new(shape, codes, range).unwrap();
    for (q, t) in [(0..9, 0..9), (9..10, 10..35), (10..35, 9..10), (34..35, 0..1), (0..35, 3..4), (2..34, 0..35)] {
        check_parts(&part(&query, q), &part(&codes, t));
    }
    check_parts(&part(&[], 0..9), &part(&codes, 10..35));
    check_parts(&part(&query, 0..9), &part(&[], 10..35));
}

#[test]
fn the_naive_parts_are_cut_out_codes() {
    let shape = Shape::new(5, 24).unwrap();
    let (query, codes) = (random(shape, 3, 18), random(shape, 4, 19));
    let cut = |codes: &[u8], a: usize, b: usize| -> Vec<u8> {
        codes.chunks(15).flat_map(|frame| frame[3 * a..3 * b].to_vec()).collect()
    };
    let (mut parts, mut whole) = ([0; 12], [1; 12]);
    let part = |codes| Part::new(shape, codes, 1..4).unwrap();
    naive::region_chamfer_part(&part(&query), &part(&codes), &mut parts);
    naive::region_chamfer(Shape::new(3, 24).unwrap(), &cut(&query, 1, 4), &cut(&codes, 1, 4), &mut whole);
    assert_eq!(parts, whole);
    assert_eq!(part(&query).shape(), Shape::new(3, 24).unwrap());
}

#[test]
fn bad_parts_are_refused() {
    let shape = Shape::new(9, 64).unwrap();
    for (start, end) in [(3, 3), (5, 4), (0, 10), (9, 10)] {
        let error = Part::new(shape, &[0; 72], start..end).unwrap_err();
        assert_eq!(error, ShapeError::Range { start, end, regions: 9 });
        assert!(error.to_string().contains("of a frame of 9"), "{error}");
    }
    assert!(matches!(Part::whole(shape, &[0; 71]), Err(ShapeError::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn every_path_equals_the_naive_loops(
        regions in prop_oneof![Just(9), 1..=20usize],
        bits in prop_oneof![Just(64), Just(512), (1..=128usize).prop_map(|bytes| 8 * bytes)],
        rows in prop_oneof![Just(0), Just(1), 2..24usize],
        columns in prop_oneof![Just(0), Just(1), 2..70usize],
        seed: u64,
        // Shared bits make small distances, and with them every outcome of the minimum, likely.
        mask: u8,
    ) {
        let shape = Shape::new(regions, bits).unwrap();
        let mut query = random(shape, rows, seed);
        let codes: Vec<u8> = random(shape, columns, !seed).iter().map(|byte| byte & mask).collect();
        query.iter_mut().for_each(|byte| *byte &= mask);
        check(shape, &query, &codes);
    }
    #[test]
    fn every_path_equals_the_naive_loops_on_parts(
        regions in 1..=64usize,
        bytes in prop_oneof![Just(8), Just(32), 1..=100usize],
        cuts: [prop::sample::Index; 4],
        rows in 0..20usize,
        columns in prop_oneof![0..12usize, 12..70usize],
        seed: u64,
        mask: u8,
    ) {
        let shape = Shape::new(regions, 8 * bytes).unwrap();
        let mut query = random(shape, rows, seed);
        let codes: Vec<u8> = random(shape, columns, !seed).iter().map(|byte| byte & mask).collect();
        query.iter_mut().for_each(|byte| *byte &= mask);
        let range = |a: prop::sample::Index, b: prop::sample::Index| {
            let start = a.index(regions);
            start..start + 1 + b.index(regions - start)
        };
        let [a, b, c, d] = cuts;
        check_parts(
            &Part::new(shape, &query, range(a, b)).unwrap(),
            &Part::new(shape, &codes, range(c, d)).unwrap(),
        );
    }
}

fn parts<'a>(shape: Shape, query: &'a [u8], target: &'a [u8]) -> [Part<'a>; 2] {
    [Part::whole(shape, query).unwrap(), Part::whole(shape, target).unwrap()]
}

/// Compares residuals on every instruction set with the loops over bits.
fn check_residuals(query: &Part<'_>, target: &Part<'_>) {
    let means = [residual::Planes::mean(query), residual::Planes::mean(target)];
    let bits = query.shape().bits() as f32;
    let energies = |part: &Part<'_>| residual::Changes::of_part(Isa::best(), part).unwrap().energies().to_vec();
    let weight: Vec<f32> = energies(query).iter().map(|e| 0.25 + e / bits).collect();
    let scale: Vec<f32> = energies(target).iter().map(|e| 1.0 / (1.0 + e / bits)).collect();
    let expected = residual::naive(query, target, [&means[0], &means[1]], &weight, &scale);
    let mut first: Option<Vec<f32>> = None;
    for isa in Isa::available() {
        let [of_query, of_target] = [query, target].map(|part| residual::Changes::of_part(isa, part).unwrap());
        assert_eq!((of_query.mean(), of_target.mean()), (&means[0], &means[1]));
        assert_eq!(of_query.energies(), energies(query), "{isa}");
        let pair = residual::Residuals::new(&of_query, of_target, &scale);
        let mut found = vec![f32::NAN; expected.len()];
        pair.rows(0, query, &weight, &mut found);
        let largest = query.shape().bits() as f64 * query.shape().regions() as f64;
        for (found, expected) in found.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() < 4e-6 * largest, "{isa}: {found} {expected}");
        }
        // Rows that are computed one by one are the same.
        if query.frames() > 1 {
            let half = query.shape().frame_bytes();
            let codes = query.gathered();
            let place = query.frames() - 1;
            let last = Part::whole(query.shape(), &codes[place * half..]).unwrap();
            let mut row = vec![0f32; target.frames()];
            pair.rows(place, &last, &weight[place * query.shape().regions()..], &mut row);
            assert_eq!(row, found[place * target.frames()..]);
        }
        let first = first.get_or_insert_with(|| found.clone());
        for (a, b) in first.iter().zip(&found) {
            assert!((a - b).abs() < 1e-6 * largest as f32, "{isa} differs from the first instruction set");
        }
    }
}

#[test]
fn residuals_of_every_tail() {
    for regions in [1, 2, 9, 25] {
        let shape = Shape::new(regions, 64).unwrap();
        for frames in [1, 2, 7, 8, 9, 16, 31, 33, 63, 64, 65, 130] {
            let (query, target) = (random(shape, 3, 1), random(shape, frames, 2));
            let [query, target] = parts(shape, &query, &target);
            check_residuals(&query, &target);
        }
    }
}

#[test]
fn residuals_of_unequal_parts() {
    let shape = Shape::new(35, 256).unwrap();
    let (query, target) = (random(shape, 5, 3), random(shape, 20, 4));
    for (asked, given) in [(0..9, 0..9), (9..10, 10..35), (10..35, 9..10)] {
        let query = Part::new(shape, &query, asked).unwrap();
        let target = Part::new(shape, &target, given).unwrap();
        check_residuals(&query, &target);
    }
}

#[test]
fn means_are_the_nearest_odd_numbers() {
    let shape = Shape::new(1, 8).unwrap();
    // Bit k of four frames is set k times, for k up to 4.
    let codes = [0b0001_1110, 0b0001_1100, 0b0001_1000, 0b0001_0000];
    let part = Part::whole(shape, &codes).unwrap();
    let mean = residual::Planes::mean(&part);
    let values: Vec<i32> = (0..8).map(|bit| mean.value(0, bit)).collect();
    assert_eq!(values[0], -63);
    assert_eq!(values[4], 63);
    for (bit, &value) in values.iter().enumerate().take(5) {
        assert!((f64::from(value) / 63.0 - (bit as f64 / 2.0 - 1.0)).abs() <= 1.0 / 63.0 + 1e-9, "{values:?}");
    }
    assert_eq!(values[5..], [-63; 3]);
    // One frame is its own mean: nothing changes.
    let alone = Part::whole(shape, &codes[2..3]).unwrap();
    assert_eq!(residual::Changes::of_part(Isa::best(), &alone).unwrap().energies(), [0.0]);
}

proptest! {
    #[test]
    fn means_count_every_bit(regions in 1usize..5, bytes in 1usize..20, frames in 1usize..300, seed in any::<u64>()) {
        let shape = Shape::new(regions, 8 * bytes).unwrap();
        let codes = random(shape, frames, seed);
        let part = Part::whole(shape, &codes).unwrap();
        let mean = residual::Planes::mean(&part);
        for region in 0..regions {
            for bit in 0..8 * bytes {
                let ones = (0..frames).filter(|&f| part.code(f, region)[bit / 8] >> (bit % 8) & 1 == 1).count();
                let exact = 63.0 * (2.0 * ones as f64 / frames as f64 - 1.0);
                prop_assert!((f64::from(mean.value(region, bit)) - exact).abs() <= 1.0 + 1e-9);
            }
        }
    }

    #[test]
    fn residuals_are_what_the_loops_give(
        regions in 1usize..12, bytes in 1usize..40, rows in 1usize..5, columns in 1usize..70, seed in any::<u64>()
    ) {
        let shape = Shape::new(regions, 8 * bytes).unwrap();
        let (query, target) = (random(shape, rows, seed), random(shape, columns, seed ^ 0xabc));
        let [query, target] = parts(shape, &query, &target);
        check_residuals(&query, &target);
    }
}

#[test]
fn steps_are_distances_of_neighbours() {
    let shape = Shape::new(2, 8).unwrap();
    let codes = [0x00, 0xff, 0x01, 0xff, 0x01, 0x00];
    assert_eq!(Part::whole(shape, &codes).unwrap().steps(), [1, 8]);
    assert_eq!(Part::new(shape, &codes, 0..1).unwrap().steps(), [1, 0]);
    assert!(Part::whole(shape, &codes[..2]).unwrap().steps().is_empty());
}
