//! How long reading files takes, by each way of sampling.
//!
//! `cargo bench -p vidsieve-video --bench frames -- FILE… [--side PIXELS]`, files by absolute paths.

use std::time::Instant;

use vidsieve_video::{Frames, Options, Sampling};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds `--bench`.
    let mut files: Vec<_> = std::env::args_os().skip(1).filter(|arg| arg != "--bench").collect();
    let mut max_side = Some(256);
    if let Some(at) = files.iter().position(|a| a == "--side") {
        let value = files.get(at + 1).and_then(|v| v.to_str()).ok_or("--side needs a number")?;
        max_side = Some(value.parse()?);
        files.drain(at..at + 2);
    }
    for file in files {
        for sampling in [Sampling::Fps(1.0), Sampling::Adaptive, Sampling::Upstream, Sampling::All] {
            let start = Instant::now();
            let mut frames = Frames::open(file.as_ref(), Options { sampling, max_side, ..Options::default() })?;
            let opened = start.elapsed();
            let mut count = 0;
            for frame in &mut frames {
                frame?;
                count += 1;
            }
            println!(
                "{} {sampling:?}: {count} frames of {:?}, {:.0} ms to open, {:.0} ms in all",
                file.display(),
                frames.size(),
                opened.as_secs_f64() * 1e3,
                start.elapsed().as_secs_f64() * 1e3
            );
            for warning in frames.warnings() {
                println!("  {warning}");
            }
        }
    }
    Ok(())
}
