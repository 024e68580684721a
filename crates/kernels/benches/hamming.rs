//! Times the binary region Chamfer similarity on every instruction set beside the scalar references.
//!
//! `cargo bench -p vidsieve-kernels --bench hamming -- [QUERY_FRAMES TARGET_FRAMES [REGIONS BITS [ROUNDS]]]`
//!
//! Rounds of all paths are interleaved; each figure is the best round. `compare` is a target already packed, `repack`
//! includes packing it from canonical codes. Ratios are to the popcount-instruction reference. Runs natively and, as a
//! WASI program, under Node.
use std::time::Instant;

use vidsieve_kernels::Isa;
use vidsieve_kernels::hamming::{Shape, Target, naive, region_chamfer};

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let number = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (rows, columns) = (number(0, 60), number(1, 60));
    let (regions, bits, rounds) = (number(2, 9), number(3, 512), number(4, 200));
    let shape = match Shape::new(regions, bits) {
        Ok(shape) => shape,
        Err(error) => return eprintln!("{error}"),
    };
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |frames: usize| -> Vec<u8> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..frames * shape.frame_bytes()).map(|_| next()).collect()
    };
    let (query, codes) = (random(rows), random(columns));
    let mut expected = vec![0; rows * columns];
    naive::region_chamfer(shape, &query, &codes, &mut expected);

    type Path<'a> = (String, Box<dyn FnMut(&mut [u16]) + 'a>);
    let mut paths: Vec<Path> = Vec::new();
    paths
        .push(("naive, popcnt".into(), Box::new(|sums| _ = naive::region_chamfer_popcnt(shape, &query, &codes, sums))));
    paths.push(("naive".into(), Box::new(|sums| naive::region_chamfer(shape, &query, &codes, sums))));
    for isa in Isa::available() {
        let Ok(target) = Target::new(isa, shape, &codes) else { return };
        let mut packed = target.clone();
        let (query, codes) = (&query, &codes);
        paths.push((format!("{isa}, compare"), Box::new(move |sums| region_chamfer(query, &target, sums))));
        paths.push((
            format!("{isa}, repack"),
            Box::new(move |sums| {
                if packed.repack(codes).is_ok() {
                    region_chamfer(query, &packed, sums);
                }
            }),
        ));
    }

    let mut best = vec![f64::INFINITY; paths.len()];
    let mut sums = vec![0; rows * columns];
    for _ in 0..rounds {
        for ((name, run), best) in paths.iter_mut().zip(&mut best) {
            let start = Instant::now();
            run(&mut sums);
            *best = best.min(start.elapsed().as_secs_f64() * 1e6);
            assert_eq!(sums, expected, "{name}");
        }
    }
    println!("{rows} x {columns} frames, {regions} regions, {bits} bits, best of {rounds}");
    for ((name, _), us) in paths.iter().zip(&best) {
        println!("{name:24} {us:9.1} us  {:6.2}x", best[0] / us);
    }
}
