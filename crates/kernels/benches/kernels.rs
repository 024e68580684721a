//! Times the matrix product, the float region Chamfer similarity, the coarse scans and the selector's MLP on every
//! instruction set beside the plain loops.
//!
//! `cargo bench -p vidsieve-kernels --bench kernels -- [gemm|chamfer|scan|selector]… [ROUNDS]`
//!
//! Rounds of all paths of a kernel are interleaved; each figure is the best round. Ratios are to the first path. Runs
//! natively and, with fewer rows and pairs, as a WASI program under Node.
use std::time::Instant;

use vidsieve_kernels::{Isa, chamfer, gemm, scan, selector};

/// A way to compute something: its name, how many of the naive path's parts it computes, and the computation.
type Path<'a> = (String, Box<dyn FnMut() + 'a>);

/// Videos in a scan, pairs of the selector.
const MANY: usize = if cfg!(target_family = "wasm") { 20_000 } else { 200_000 };

/// Times `paths` and prints them; `work` is how much a call does, in billions of `unit`.
fn time(title: &str, work: f64, unit: &str, rounds: usize, mut paths: Vec<Path>) {
    let mut best = vec![f64::INFINITY; paths.len()];
    for _ in 0..rounds {
        for ((_, run), best) in paths.iter_mut().zip(&mut best) {
            let start = Instant::now();
            run();
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    println!("{title}, best of {rounds}");
    for ((name, _), seconds) in paths.iter().zip(&best) {
        let (us, rate) = (seconds * 1e6, work / seconds);
        println!("  {name:24} {us:11.1} us  {rate:8.2} G{unit}/s  {:7.2}x", best[0] / seconds);
    }
}

fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut z = seed | 1;
    let mut next = || {
        z ^= z << 13;
        z ^= z >> 7;
        z ^= z << 17;
        (z >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn time_gemm(rounds: usize) {
    for (m, k, n) in [(512, 512, 512), (60, 512, 2048), (1, 32768, 1024), (64, 1024, 1024)] {
        let (a, b) = (numbers(1, m * k), numbers(2, n * k));
        let columns: Vec<f32> = (0..k * n).map(|i| b[i % n * k + i / n]).collect();
        let mut paths: Vec<Path> = Vec::new();
        let mut c = vec![0f32; m * n];
        let (left, right) = (&a, &columns);
        paths.push((
            "naive".into(),
            Box::new(move || {
                // As a plain loop is best written: row by row of the right operand.
                c.fill(0.0);
                for (x, c) in left.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
                    for (x, row) in x.iter().zip(right.chunks_exact(n)) {
                        c.iter_mut().zip(row).for_each(|(c, b)| *c += x * b);
                    }
                }
            }),
        ));
        for isa in Isa::available() {
            let packed = gemm::Packed::from_rows(isa, &b, n, k);
            let mut c = vec![0f32; m * n];
            paths.push((isa.to_string(), Box::new(move || gemm::matmul(left, m, &packed, &mut c))));
        }
        time(&format!("product {m} x {k} x {n}"), 2e-9 * (m * k * n) as f64, "FLOP", rounds, paths);
    }
}

fn time_chamfer(rounds: usize) {
    let (frames, regions, dims) = (60, 9, 512);
    let (q, t) = (numbers(1, frames * regions * dims), numbers(2, frames * regions * dims));
    let (query, target) = (&q, &t);
    let mut paths: Vec<Path> = Vec::new();
    let mut f2f = vec![0f32; frames * frames];
    paths.push((
        "naive".into(),
        Box::new(move || chamfer::naive::region_chamfer(query, target, regions, dims, &mut f2f)),
    ));
    for isa in Isa::available() {
        let packed = chamfer::Target::new(isa, target, frames, regions, dims);
        let again = packed.clone();
        let mut f2f = vec![0f32; frames * frames];
        paths.push((isa.to_string(), Box::new(move || chamfer::region_chamfer(query, &packed, &mut f2f))));
        let mut f2f = vec![0f32; frames * frames];
        paths.push((
            format!("{isa}, pack and compare"),
            Box::new(move || {
                let target = chamfer::Target::new(isa, target, frames, regions, dims);
                chamfer::region_chamfer(query, &target, &mut f2f);
            }),
        ));
        let mut f2f = vec![0f32; frames * frames];
        paths.push((
            format!("{isa}, symmetric"),
            Box::new(move || chamfer::region_chamfer_symmetric(query, &again, &mut f2f)),
        ));
    }
    let products = frames * frames * regions * regions * dims;
    time("region Chamfer 60 x 60, 9 regions, 512 dimensions", 2e-9 * products as f64, "FLOP", rounds, paths);
}

fn time_scan(rounds: usize) {
    for dims in [256, 1024] {
        let query = numbers(3, dims);
        let rows = numbers(4, MANY * dims);
        let (values, scales) = scan::quantise_rows_i8(&rows, dims);
        let codes = scan::sign_rows(&rows, dims);
        let int8 = scan::Rows::Int8 { values: &values, scales: &scales };
        let mut paths: Vec<Path> = Vec::new();
        let mut scores = vec![0f32; MANY];
        let (query, rows) = (&query, &rows);
        paths.push((
            "naive, f32".into(),
            Box::new(move || {
                for (row, score) in rows.chunks_exact(dims).zip(&mut scores) {
                    *score = row.iter().zip(query).map(|(a, b)| a * b).sum();
                }
            }),
        ));
        for isa in Isa::available() {
            let mut scores = vec![0f32; MANY];
            paths.push((
                format!("{isa}, f32 and top 100"),
                Box::new(move || {
                    scan::dot_f32(isa, query, rows, dims, &mut scores);
                    assert_eq!(scan::top_k(&scores, 100).len(), 100);
                }),
            ));
            let exact = move |i: u32| scan::dot(isa, query, &rows[i as usize * dims..][..dims]);
            for (name, first, oversample) in [("int8", int8, 400), ("1 bit", scan::Rows::Sign(&codes), 2000)] {
                paths.push((
                    format!("{isa}, {name}"),
                    Box::new(move || {
                        let hits = scan::scan_rescored(isa, query, first, 100, oversample, exact);
                        assert_eq!(hits.len(), 100);
                    }),
                ));
            }
        }
        let title = format!("scan of {MANY} x {dims}, top 100 rescored from 400 (int8) or 2000 (1 bit)");
        time(&title, 1e-9 * (MANY * dims) as f64, "MAC", rounds.min(7), paths);
    }
    let scores = numbers(9, MANY);
    let scores = &scores;
    for k in [100, 1000, 10_000] {
        let paths: Vec<Path> = vec![
            ("sort".into(), Box::new(move || assert_eq!(scan::naive::top_k(scores, k).len(), k))),
            ("top_k".into(), Box::new(move || assert_eq!(scan::top_k(scores, k).len(), k))),
        ];
        time(&format!("best {k} of {MANY}"), 1e-9 * MANY as f64, "scores", rounds.min(7), paths);
    }
}

fn time_selector(rounds: usize) {
    const WIDTH: usize = 100;
    let layer = |seed, out: usize, inputs: usize| selector::Layer {
        weight: numbers(seed, out * inputs).iter().map(|w| w / (inputs as f32).sqrt()).collect(),
        bias: numbers(seed + 1, out),
    };
    let layers = [layer(1, WIDTH, 3), layer(3, WIDTH, WIDTH), layer(5, 1, WIDTH)];
    let (own, coarse) = (numbers(7, MANY), numbers(8, MANY));
    let (layers, own, coarse) = (&layers, &own, &coarse);
    let mut paths: Vec<Path> = Vec::new();
    let mut p = vec![0f32; MANY];
    paths.push((
        "naive".into(),
        Box::new(move || {
            for ((p, own), coarse) in p.iter_mut().zip(own).zip(coarse) {
                *p = selector::naive::predict(layers, [0.3, *own, *coarse]);
            }
        }),
    ));
    for isa in Isa::available() {
        let Ok(mlp) = selector::Mlp::new(isa, layers) else { return };
        let mut p = vec![0f32; MANY];
        paths.push((isa.to_string(), Box::new(move || mlp.predict(0.3, own, coarse, &mut p))));
    }
    let macs = MANY * (3 * WIDTH + WIDTH * WIDTH + WIDTH);
    time(&format!("selector, {MANY} pairs, width {WIDTH}"), 2e-9 * macs as f64, "FLOP", rounds.min(5), paths);
}

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let rounds = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(20);
    let names: Vec<&String> = args.iter().filter(|arg| arg.parse::<usize>().is_err()).collect();
    type Kernel = (&'static str, fn(usize));
    let all: [Kernel; 4] =
        [("gemm", time_gemm), ("chamfer", time_chamfer), ("scan", time_scan), ("selector", time_selector)];
    for (name, run) in all {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            run(rounds);
        }
    }
}
