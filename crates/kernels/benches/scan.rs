//! Times coarse scans on every instruction set beside plain loops.
//!
//! `cargo bench -p vidsieve-kernels --bench scan -- [DIMS [ROWS [ROUNDS]]]`
//!
//! Rounds of all paths are interleaved; each figure is the best round. `scores` is the pass over the rows alone; `best 100`
//! includes the selection and, for small rows, exact scores of the best 400 (int8) or 2,000 (sign codes) from the f32
//! vectors. Ratios are to the plain loop over the same kind of rows (`best 100`: over f32 rows) and to the f32 rows on
//! the same instruction set. Recall is the part of the exact best 100 that is found. Runs natively and, as a WASI program,
//! under Node.
use std::time::Instant;

use vidsieve_kernels::Isa;
use vidsieve_kernels::scan::{
    Rows, dot, dot_f32, hamming, naive, quantise_i8, quantise_rows_i8, scan_rescored, scores_i8, sign_code, sign_rows,
    top_k,
};

/// Hits of a search.
const K: usize = 100;
/// Rows of a cluster: more than are searched for, so that the best rows have close rivals.
const CLUSTER: usize = 250;

/// Unit vectors in clusters, members from near copies of the centre to hardly related ones.
fn clustered(n: usize, dims: usize) -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let mut rows = vec![0f32; n * dims];
    let mut centre = vec![0f32; dims];
    for (i, row) in rows.chunks_exact_mut(dims).enumerate() {
        if i % CLUSTER == 0 {
            centre.iter_mut().for_each(|x| *x = next());
        }
        let spread = 0.1 + (i % CLUSTER) as f32 / 100.0;
        row.iter_mut().zip(&centre).for_each(|(x, c)| *x = c + spread * next());
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    rows
}

/// One contestant; `plain` and `f32` are the paths that its ratios are to. `run` returns the recall of a search.
struct Path<'a> {
    name: String,
    plain: usize,
    f32: usize,
    run: Box<dyn FnMut() -> Option<f64> + 'a>,
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let number = |i: usize, default: usize| numbers.get(i).copied().unwrap_or(default).max(1);
    let (dims, rounds) = (number(0, 1024), number(2, 5));
    let n = number(1, if cfg!(target_arch = "wasm32") { 20_000 } else { 200_000 });
    let vectors = &clustered(n, dims)[..];
    let (values, scales) = quantise_rows_i8(vectors, dims);
    let (values, scales, codes) = (&values[..], &scales[..], &sign_rows(vectors, dims)[..]);
    let query = &vectors[n / 2 * dims..][..dims];
    let (query_i8, scale) = quantise_i8(query);
    let (query_i8, query_code) = (&query_i8[..], &sign_code(query)[..]);
    let bytes = query_code.len();

    let truth = {
        let mut scores = vec![0f32; n];
        dot_f32(Isa::portable(), query, vectors, dims, &mut scores);
        &top_k(&scores, K)[..]
    };
    let recall = |hits: &[vidsieve_kernels::scan::Hit]| {
        let found = truth.iter().filter(|t| hits.iter().any(|hit| hit.index == t.index)).count();
        Some(found as f64 / truth.len() as f64)
    };
    let floats = || vec![0f32; n];

    let mut paths: Vec<Path> = Vec::new();
    let mut add = |name: &str, plain, f32, run| paths.push(Path { name: name.into(), plain, f32, run });
    let mut scores = floats();
    add(
        "plain loop, f32 scores",
        0,
        0,
        Box::new(move || {
            naive::dot_f32_plain(query, vectors, &mut scores);
            None
        }),
    );
    let mut sums = vec![0; n];
    add(
        "plain loop, int8 scores",
        1,
        0,
        Box::new(move || {
            naive::dot_i8(query_i8, values, &mut sums);
            None
        }),
    );
    let mut distances = vec![0; n];
    add(
        "plain loop, sign scores",
        2,
        0,
        Box::new(move || {
            naive::hamming(query_code, codes, &mut distances);
            None
        }),
    );
    for (i, isa) in Isa::available().enumerate() {
        let first = 3 + 6 * i;
        let mut scores = floats();
        add(
            &format!("{isa}, f32 scores"),
            0,
            first,
            Box::new(move || {
                dot_f32(isa, query, vectors, dims, &mut scores);
                None
            }),
        );
        let mut scores = floats();
        add(
            &format!("{isa}, int8 scores"),
            1,
            first,
            Box::new(move || {
                scores_i8(isa, query_i8, scale, values, scales, &mut scores);
                None
            }),
        );
        let mut distances = vec![0; n];
        add(
            &format!("{isa}, sign scores"),
            2,
            first,
            Box::new(move || {
                hamming(isa, query_code, codes, bytes, &mut distances);
                None
            }),
        );
        let mut scores = floats();
        add(
            &format!("{isa}, f32 best 100"),
            0,
            first + 3,
            Box::new(move || {
                dot_f32(isa, query, vectors, dims, &mut scores);
                recall(&top_k(&scores, K))
            }),
        );
        let small = [("int8", Rows::Int8 { values, scales }, 4 * K), ("sign", Rows::Sign(codes), 20 * K)];
        for (name, rows, oversample) in small {
            add(
                &format!("{isa}, {name} best 100"),
                0,
                first + 3,
                Box::new(move || {
                    let exact = |i: u32| dot(isa, query, &vectors[i as usize * dims..][..dims]);
                    recall(&scan_rescored(isa, query, rows, K, oversample, exact))
                }),
            );
        }
    }

    let mut best = vec![(f64::INFINITY, None); paths.len()];
    for _ in 0..rounds {
        for (path, best) in paths.iter_mut().zip(&mut best) {
            let start = Instant::now();
            let recall = (path.run)();
            *best = (best.0.min(start.elapsed().as_secs_f64() * 1e3), recall);
        }
    }
    println!("{n} rows of {dims} dimensions, best of {rounds}");
    println!("{:26} {:>9}  {:>8} {:>8}", "", "ms", "to plain", "to f32");
    for (path, &(ms, recall)) in paths.iter().zip(&best) {
        let recall = recall.map_or(String::new(), |recall| format!("  recall {recall:.3}"));
        println!("{:26} {ms:9.3}  {:7.2}x {:7.2}x{recall}", path.name, best[path.plain].0 / ms, best[path.f32].0 / ms);
    }
}
