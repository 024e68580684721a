use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn bits(seed: u64) -> impl FnMut() -> u64 {
    let mut z = seed | 1;
    move || {
        z ^= z << 13;
        z ^= z >> 7;
        z ^= z << 17;
        z.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut next = bits(seed);
    (0..n).map(|_| (next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}

/// Every dimension around the sizes of vectors and of unrolled loops, and some large ones.
const DIMS: [usize; 27] =
    [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 512, 1000, 1024, 8200];

#[test]
fn float_scores() {
    for dims in DIMS {
        for n in [0, 1, 3, 4, 7] {
            let (query, rows) = (numbers(3, dims), numbers(dims as u64, n * dims));
            let mut expected = vec![0f32; n];
            naive::dot_f32(&query, &rows, &mut expected);
            for isa in Isa::available() {
                let mut scores = vec![f32::NAN; n];
                dot_f32(isa, &query, &rows, dims, &mut scores);
                for (i, (got, want)) in scores.iter().zip(&expected).enumerate() {
                    assert!((got - want).abs() <= 1e-6 * (dims as f32).sqrt(), "{isa} {dims}: {got} {want}");
                    assert_eq!(*got, dot(isa, &query, &rows[i * dims..][..dims]), "{isa} {dims} by itself");
                }
            }
        }
    }
    for isa in Isa::available() {
        let mut scores = [f32::NAN; 2];
        dot_f32(isa, &[], &[], 0, &mut scores);
        assert_eq!(scores, [0.0; 2]);
    }
}

/// In every place, also where the end of a row is loaded beside values that count already.
#[test]
fn what_is_not_finite_shows() {
    for dims in [1, 5, 8, 17, 33, 70] {
        for at in 0..dims {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut rows = vec![0.5f32; 3 * dims];
                rows[dims + at] = bad;
                for isa in Isa::available() {
                    let mut scores = [f32::NAN; 3];
                    dot_f32(isa, &vec![1.0; dims], &rows, dims, &mut scores);
                    let half = dims as f32 / 2.0;
                    assert!(
                        scores[0] == half && !scores[1].is_finite() && scores[2] == half,
                        "{isa} {dims}: {scores:?}"
                    );
                }
            }
        }
    }
}

fn check_i8(query: &[i8], rows: &[i8]) {
    let dims = query.len();
    let n = rows.len() / dims;
    let (mut expected, mut sums) = (vec![0; n], vec![-1; n]);
    naive::dot_i8(query, rows, &mut expected);
    for isa in Isa::available() {
        dot_i8(isa, query, rows, dims, &mut sums);
        assert_eq!(sums, expected, "{isa}, {dims} dimensions");
        let scales: Vec<f32> = (0..n).map(|i| 0.5 + i as f32).collect();
        let mut scores = vec![f32::NAN; n];
        scores_i8(isa, query, 0.25, rows, &scales, &mut scores);
        for i in 0..n {
            assert_eq!(scores[i], expected[i] as f32 * (0.25 * scales[i]), "{isa}");
        }
    }
}

#[test]
fn integer_sums_are_exact() {
    for dims in DIMS {
        let mut next = bits(dims as u64);
        let mut random = |n: usize| -> Vec<i8> { (0..n).map(|_| next() as i8).collect() };
        let query = random(dims);
        for n in [1, 4, 7, 300] {
            if n * dims <= 300_000 {
                check_i8(&query, &random(n * dims));
            }
        }
        // The extremes, where sums of pairs or offsets would overflow narrower integers.
        for (q, x) in [(-128, -128), (-128, 127), (127, -128), (127, 127)] {
            check_i8(&vec![q; dims], &vec![x; dims]);
        }
    }
    check_i8(&vec![-128; MAX_DIMS_I8], &vec![-128; MAX_DIMS_I8]);
    check_i8(&vec![127; MAX_DIMS_I8], &vec![127; MAX_DIMS_I8]);
}

#[test]
fn quantised_values() {
    assert_eq!(quantise_i8(&[1.27, -0.635, 0.0, 0.004, -1.27]), (vec![127, -64, 0, 0, -127], 1.27 / 127.0));
    assert_eq!(quantise_i8(&[0.0, -0.0]), (vec![0, 0], 0.0));
    assert_eq!(quantise_i8(&[f32::NAN, f32::INFINITY, 2.0, -1.0]), (vec![0, 0, 127, -64], 2.0 / 127.0));
    // Halves go to the even neighbour, as in numpy.
    assert_eq!(quantise_i8(&[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]).0, [127, 0, 2, 2, 0, -2, -2]);
    // The ends of the range of f32.
    assert_eq!(quantise_i8(&[f32::MAX, f32::MIN]).0, [127, -127]);
    assert_eq!(quantise_i8(&[1e-45, -1e-45]).0, [127, -127]);
    assert_eq!(quantise_i8(&[]), (vec![], 0.0));
    let (values, scales) = quantise_rows_i8(&[1.0, -1.0, 0.0, 4.0], 2);
    assert_eq!((values, scales), (vec![127, -127, 0, 127], vec![1.0 / 127.0, 4.0 / 127.0]));
}

#[test]
fn sign_codes() {
    let vector = [1.0, -1.0, 0.0, 0.5, f32::NAN, -0.0, 2.0, 3.0, -1.0, 1.0];
    assert_eq!(sign_code(&vector), [0b1100_1001, 0b10]);
    assert_eq!(sign_rows(&vector, 5), [0b01001, 0b10110]);
}

fn check_hamming(code_bytes: usize, n: usize, seed: u64) {
    let mut next = bits(seed);
    let mut random = |n: usize| -> Vec<u8> { (0..n).map(|_| next() as u8).collect() };
    let (query, mut rows) = (random(code_bytes), random(n * code_bytes));
    if let Some(first) = rows.first_chunk_mut::<1>() {
        first[0] = !query[0];
    }
    // Where all bits differ, counters are fullest.
    rows.extend(query.iter().map(|x| !x));
    let (mut expected, mut distances) = (vec![0; n + 1], vec![u32::MAX; n + 1]);
    naive::hamming(&query, &rows, &mut expected);
    assert_eq!(expected[n] as usize, 8 * code_bytes);
    for isa in Isa::available() {
        hamming(isa, &query, &rows, code_bytes, &mut distances);
        assert_eq!(distances, expected, "{isa}, {code_bytes} bytes");
    }
}

#[test]
fn distances_are_exact() {
    for code_bytes in DIMS {
        for n in [0, 1, 4, 7] {
            check_hamming(code_bytes, n, code_bytes as u64);
        }
    }
}

#[test]
fn best_scores_in_order() {
    let scores = [0.5, f32::NAN, 0.75, 0.5, -1.0, f32::NEG_INFINITY, -0.0, 0.0];
    let order: Vec<u32> = top_k(&scores, 10).iter().map(|hit| hit.index).collect();
    assert_eq!(order, [2, 0, 3, 6, 7, 4, 5]);
    assert_eq!(top_k(&scores, 2), [Hit { index: 2, score: 0.75 }, Hit { index: 0, score: 0.5 }]);
    assert!(top_k(&scores, 0).is_empty());
    assert!(top_k(&[f32::NAN; 40], 3).is_empty());
    assert!(top_k(&[], 3).is_empty());
    // More equal scores than any buffer holds: the first win.
    let order: Vec<u32> = top_k(&[1.0; 5000], 3).iter().map(|hit| hit.index).collect();
    assert_eq!(order, [0, 1, 2]);
}

proptest! {
    #[test]
    fn any_floats(dims in 1usize..1100, n in 0usize..70, seed in any::<u64>()) {
        let (query, rows) = (numbers(seed, dims), numbers(!seed, n * dims));
        let mut expected = vec![0f32; n];
        naive::dot_f32(&query, &rows, &mut expected);
        for isa in Isa::available() {
            let mut scores = vec![f32::NAN; n];
            dot_f32(isa, &query, &rows, dims, &mut scores);
            for (got, want) in scores.iter().zip(&expected) {
                prop_assert!((got - want).abs() <= 1e-6 * (dims as f32).sqrt() + 1e-6, "{} {}: {} {}", isa, dims, got, want);
            }
        }
    }

    #[test]
    fn any_integers(dims in 1usize..1100, n in 0usize..70, seed in any::<u64>()) {
        let mut next = bits(seed);
        let mut random = |n: usize| -> Vec<i8> { (0..n).map(|_| next() as i8).collect() };
        check_i8(&random(dims), &random(n * dims));
    }

    /// Every value is within half a step of what it stands for.
    #[test]
    fn any_quantised(dims in 1usize..1100, exponent in -30i32..30, seed in any::<u64>()) {
        let size = 2f32.powi(exponent);
        let vector: Vec<f32> = numbers(seed, dims).into_iter().map(|x| x * size).collect();
        let (values, scale) = quantise_i8(&vector);
        prop_assert!(values.iter().any(|&v| v.abs() == 127));
        for (&v, &x) in values.iter().zip(&vector) {
            let error = (f64::from(v) * f64::from(scale) - f64::from(x)).abs();
            prop_assert!(error <= f64::from(scale) * 0.50001, "{} for {}, scale {}", v, x, scale);
        }
    }

    #[test]
    fn any_codes(code_bytes in 1usize..300, n in 0usize..70, seed in any::<u64>()) {
        check_hamming(code_bytes, n, seed);
    }

    /// Few distinct values, so that ties are common, and some that are no numbers.
    #[test]
    fn best_of_any(values in prop::collection::vec(0u8..40, 0..2000), k in 0usize..400, cut in 0usize..2000) {
        let score = |&v: &u8| match v {
            39 => f32::NAN,
            15 => -0.0,
            v => f32::from(v) / 8.0 - 2.0,
        };
        let scores: Vec<f32> = values.iter().map(score).collect();
        let expected = naive::top_k(&scores, k);
        prop_assert_eq!(&top_k(&scores, k), &expected);
        // In two blocks, the later one first.
        let (head, tail) = scores.split_at(cut.min(scores.len()));
        let mut best = Best::new(k);
        best.push(head.len(), tail);
        best.push(0, head);
        prop_assert_eq!(best.finish(), expected);
    }
}

/// Unit vectors around `n / size` centres.
fn clustered(n: usize, size: usize, dims: usize, seed: u64) -> Vec<f32> {
    let centres = numbers(seed, n.div_ceil(size) * dims);
    let noise = numbers(!seed, n * dims);
    let mut rows: Vec<f32> = Vec::with_capacity(n * dims);
    for (i, noise) in noise.chunks_exact(dims).enumerate() {
        let centre = &centres[i / size * dims..][..dims];
        // Members are from near copies of the centre to hardly related.
        let spread = 0.1 + 2.0 * (i % size) as f32 / size as f32;
        let row: Vec<f32> = centre.iter().zip(noise).map(|(c, e)| c + spread * e).collect();
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        rows.extend(row.iter().map(|x| x / norm));
    }
    rows
}

#[test]
fn rescored_scans_find_what_exact_scans_find() {
    let (n, dims, k) = (4000, 256, 15);
    let rows = clustered(n, 20, dims, 17);
    let (values, scales) = quantise_rows_i8(&rows, dims);
    let codes = sign_rows(&rows, dims);
    for isa in Isa::available() {
        let mut exact = vec![0f32; n];
        let (mut found, mut raw, mut wanted) = ([0; 2], 0, 0);
        for query in rows.chunks_exact(dims).step_by(401) {
            dot_f32(isa, query, &rows, dims, &mut exact);
            let truth = top_k(&exact, k);
            wanted += k;
            let small = [(Rows::Int8 { values: &values, scales: &scales }, 4 * k), (Rows::Sign(&codes), 20 * k)];
            for ((first, oversample), found) in small.into_iter().zip(&mut found) {
                let mut last = None;
                let hits = scan_rescored(isa, query, first, k, oversample, |i| {
                    assert!(last.replace(i).is_none_or(|last| last < i), "in order of rising index");
                    dot(isa, query, &rows[i as usize * dims..][..dims])
                });
                assert_eq!(hits.len(), k);
                for hit in &hits {
                    assert_eq!(hit.score, exact[hit.index as usize], "{isa}: the score of an exact scan");
                }
                *found += truth.iter().filter(|hit| hits.contains(hit)).count();
            }
            let unscored = scan(isa, query, Rows::Int8 { values: &values, scales: &scales }, k);
            for hit in &unscored {
                assert!((hit.score - exact[hit.index as usize]).abs() < 4e-3, "{isa}: an estimate of the score");
            }
            raw += truth.iter().filter(|hit| unscored.iter().any(|other| other.index == hit.index)).count();
        }
        assert_eq!(found[0], wanted, "{isa}: int8");
        assert!(found[1] * 1000 >= wanted * 995, "{isa}: 1 bit, {} of {wanted}", found[1]);
        assert!(raw * 100 >= wanted * 90, "{isa}: int8 without rescoring, {raw} of {wanted}");
    }
}

/// int8 rows, four times as many as are wanted: 0.999 of the exact best 100 are found, which the estimates alone miss.
#[test]
fn int8_recall_at_100() {
    let (n, dims, k) = (6000, 128, 100);
    let rows = clustered(n, 300, dims, 5);
    let (values, scales) = quantise_rows_i8(&rows, dims);
    let small = Rows::Int8 { values: &values, scales: &scales };
    for isa in Isa::available() {
        let (mut exact, mut found, mut raw, mut wanted) = (vec![0f32; n], 0, 0, 0);
        for query in rows.chunks_exact(dims).step_by(239) {
            dot_f32(isa, query, &rows, dims, &mut exact);
            let truth = top_k(&exact, k);
            let count =
                |hits: &[Hit]| truth.iter().filter(|hit| hits.iter().any(|other| other.index == hit.index)).count();
            let exact = |i: u32| dot(isa, query, &rows[i as usize * dims..][..dims]);
            found += count(&scan_rescored(isa, query, small, k, 4 * k, exact));
            raw += count(&scan(isa, query, small, k));
            wanted += k;
        }
        assert!(found * 1000 >= wanted * 999, "{isa}: {found} of {wanted}");
        assert!(raw * 1000 < wanted * 999, "{isa}: {raw} of {wanted} without rescoring: too easy a test");
    }
}

#[test]
fn rescoring_leaves_out_what_is_no_number() {
    let rows = [1.0f32, 0.0, 0.8, 0.6, 0.0, 1.0];
    let (values, scales) = quantise_rows_i8(&rows, 2);
    let hits = scan_rescored(Isa::best(), &[1.0, 0.0], Rows::Int8 { values: &values, scales: &scales }, 2, 3, |i| {
        if i == 1 { f32::NAN } else { i as f32 }
    });
    assert_eq!(hits, [Hit { index: 2, score: 2.0 }, Hit { index: 0, score: 0.0 }]);
    assert!(scan(Isa::best(), &[1.0, 0.0], Rows::Sign(&[]), 3).is_empty());
}
