//! Milliseconds a view of one training step of the network `tiny`.
//!
//! `cargo bench -p vidsieve-train --bench backbone -- [THREADS] [IMAGES] [SIDES…]`; 0 threads: with one
//! and with two.

use std::time::Instant;

use vidsieve_train::TrainError;
use vidsieve_train::networks::backbone::{Trainer, TrainerConfig};

fn main() -> Result<(), TrainError> {
    let mut arguments = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let threads = arguments.next().unwrap_or(0);
    let images = arguments.next().unwrap_or(64);
    let mut sides: Vec<usize> = arguments.collect();
    if sides.is_empty() {
        sides = vec![64, 112];
    }
    let sources: Vec<u32> = (0..).take(images).collect();
    for threads in if threads == 0 { vec![1, 2] } else { vec![threads] } {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| TrainError::Data(format!("threads: {e}")))?;
        for &side in &sides {
            let mut state = 1u64;
            let views: Vec<u8> = (0..2 * images * side * side * 3)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            pool.install(|| -> Result<(), TrainError> {
                let mut trainer = Trainer::new(TrainerConfig::tiny(1000, 1))?;
                trainer.step(&views, side, &sources)?;
                let mut times = vec![];
                for _ in 0..7 {
                    let start = Instant::now();
                    trainer.step(&views, side, &sources)?;
                    times.push(start.elapsed().as_secs_f64() * 1e3 / (2 * images) as f64);
                }
                times.sort_by(f64::total_cmp);
                println!("{threads} threads, side {side}: {:.3} ms a view, at best {:.3}", times[3], times[0]);
                Ok(())
            })?;
        }
    }
    Ok(())
}
