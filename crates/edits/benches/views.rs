//! Prints how long a training view takes on one core, by the view's side.
//!
//! Usage: `cargo bench -p vidsieve-edits --bench views -- [FOLDER OF JPEG IMAGES]`. Without a folder,
//! procedural images of 192 x 144 are taken.

use std::hint::black_box;
use std::time::Instant;

use vidsieve_edits::views::{Strength, ViewConfig, ViewMaker};
use vidsieve_edits::{Image, generator, procedural};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds `--bench`.
    let images: Vec<Image> = match std::env::args().skip(1).find(|arg| arg != "--bench") {
        Some(folder) => {
            let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.sort();
            let step = (paths.len() / 128).max(1);
            let start = Instant::now();
            let files = paths.iter().step_by(step).filter_map(|path| std::fs::read(path).ok());
            let images: Vec<Image> = files.filter_map(|bytes| Image::decode(&bytes).ok()).collect();
            let count = images.len().max(1) as f64;
            println!("decode: {:.3} ms an image", start.elapsed().as_secs_f64() * 1e3 / count);
            images
        }
        None => {
            let start = Instant::now();
            let images: Vec<Image> = (0..64).map(|i| procedural::still(&mut generator(&[7, i]), 192, 144)).collect();
            println!("procedural still 192 x 144: {:.3} ms", start.elapsed().as_secs_f64() * 1e3 / 64.0);
            images
        }
    };
    if images.is_empty() {
        return Err("no image could be read".into());
    }
    let others: Vec<&Image> = images.iter().collect();
    let maker = ViewMaker::new(ViewConfig::default())?;
    for side in [64, 96, 112] {
        for strength in [Strength::Plain, Strength::Edited] {
            let count = 2000;
            let mut worst = 0f64;
            let start = Instant::now();
            for i in 0..count {
                let image = &images[i % images.len()];
                let one = Instant::now();
                black_box(maker.make(&mut generator(&[1, i as u64]), image, &others, side, strength));
                worst = worst.max(one.elapsed().as_secs_f64());
            }
            let mean = start.elapsed().as_secs_f64() * 1e3 / count as f64;
            println!("side {side}, {strength:?}: {mean:.3} ms a view, worst {:.2} ms", worst * 1e3);
        }
    }
    Ok(())
}
