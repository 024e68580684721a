//! Times the comparator on every instruction set of this machine beside the naive loops, one thread:
//! `cargo bench -p vidsieve-kernels --bench comparator -- [ROUNDS]`.
//!
//! The programs take turns in every round and the best round of each counts. GFLOP/s are against the operations of the
//! direct convolution, so that a faster algorithm shows as a higher rate.

use std::hint::black_box;
use std::time::{Duration, Instant};

use vidsieve_kernels::Isa;
use vidsieve_kernels::comparator::{Comparator, Map, Padding, Pool, Scratch, Weights, naive};

const CHANNELS: [usize; 4] = [1, 32, 64, 128];

fn main() {
    let rounds = std::env::args().skip(1).find_map(|n| n.parse().ok()).unwrap_or(40);
    let mut state = 1u64;
    let mut random = |len: usize, scale: f32| -> Vec<f32> {
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        (0..len).map(next).collect()
    };
    let [c0, c1, c2, c3] = CHANNELS;
    let mut kernel =
        |cin: usize, cout: usize, area: usize| random(cin * cout * area, (6.0 / (cin * area) as f32).sqrt());
    let (conv1, conv2, conv3, fconv) = (kernel(c0, c1, 9), kernel(c1, c2, 9), kernel(c2, c3, 9), kernel(c3, 1, 1));
    let (bias1, bias2, bias3) = (random(c1, 0.1), random(c2, 0.1), random(c3, 0.1));
    let weights = Weights {
        channels: CHANNELS,
        conv1: &conv1,
        bias1: &bias1,
        conv2: &conv2,
        bias2: &bias2,
        conv3: &conv3,
        bias3: &bias3,
        fconv: &fconv,
        fbias: 0.1,
    };
    let comparators: Vec<Comparator> =
        Isa::available().map(|isa| Comparator::new(isa, &weights, Padding::Zero).expect("valid weights")).collect();

    println!("{:>12} {:>14} {:>10} {:>9} {:>9} {:>10}", "maps", "path", "us/map", "GFLOP/s", "x naive", "max error");
    for (count, n) in [(1, 15), (1, 30), (1, 60), (1, 120), (16, 15), (16, 30), (16, 60)] {
        let values: Vec<Vec<f32>> = (0..count).map(|_| random(n * n, 0.5)).collect();
        let maps: Vec<Map<'_>> = values.iter().map(|values| Map { values, h: n, w: n }).collect();
        let expected: Vec<f32> =
            values.iter().flat_map(|map| naive::forward(&weights, Padding::Zero, map, n, n, Pool::Floor)).collect();
        let mut out = vec![0f32; expected.len()];
        let mut scratch: Vec<Scratch> = comparators.iter().map(|_| Scratch::default()).collect();
        let mut best = vec![Duration::MAX; comparators.len()];
        let mut naive_best = Duration::MAX;
        let mut errors = vec![0f32; comparators.len()];
        for round in 0..rounds {
            for (i, comparator) in comparators.iter().enumerate() {
                let start = Instant::now();
                if count == 1 {
                    comparator.forward(black_box(&values[0]), n, n, Pool::Floor, &mut out, &mut scratch[i]);
                } else {
                    comparator.forward_batch(black_box(&maps), Pool::Floor, &mut out, &mut scratch[i]);
                }
                best[i] = best[i].min(start.elapsed());
                let error = out.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                errors[i] = errors[i].max(error);
            }
            if round < 8 {
                let start = Instant::now();
                black_box(naive::forward(&weights, Padding::Zero, black_box(&values[0]), n, n, Pool::Floor));
                naive_best = naive_best.min(start.elapsed());
            }
        }
        let flops = direct_flops(n);
        let print = |path: &str, seconds: f64, error: f32| {
            let (rate, ratio) = (flops / seconds * 1e-9, naive_best.as_secs_f64() / seconds);
            println!(
                "{count:>3} x {n:>3}x{n:<3} {path:>14} {:>10.1} {rate:>9.1} {ratio:>9.1} {error:>10.1e}",
                seconds * 1e6
            );
        };
        print("naive", naive_best.as_secs_f64(), 0.0);
        for ((comparator, best), error) in comparators.iter().zip(&best).zip(errors) {
            print(comparator.isa().name(), best.as_secs_f64() / count as f64, error);
        }
    }
}

/// Multiplications and additions of the direct convolutions of an `n` x `n` map.
fn direct_flops(n: usize) -> f64 {
    let [c0, c1, c2, c3] = CHANNELS;
    let (first, second, third) = (n * n, (n / 2) * (n / 2), (n / 4) * (n / 4));
    2.0 * (first * 9 * c0 * c1 + second * 9 * c1 * c2 + third * (9 * c2 * c3 + c3)) as f64
}
