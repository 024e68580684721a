//! Prints the copies in an index, which of each group to keep, and excerpts. Nothing is deleted.
//!
//! `cargo run --release -p vidsieve --example dedupe -- INDEX`

use std::error::Error;

use vidsieve::{Archive, Control, DedupeOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [index] = arguments.as_slice() else { return Err("give INDEX".into()) };

    let archive = Archive::open_read_only(index)?;
    let report = archive.dedupe(&DedupeOptions::new().min_score(0.95), &Control::new())?;

    for group in &report.clusters {
        println!("keep {} ({})", group.keep, group.reason);
        for copy in group.videos.iter().filter(|video| !video.keep) {
            println!("copy {} ({:.3})", copy.id, copy.score);
        }
    }
    for excerpt in &report.excerpts {
        println!("excerpt {} of {} ({:.1} s, {:.3})", excerpt.id, excerpt.of, excerpt.seconds, excerpt.score);
    }
    println!("{} groups among {} videos", report.clusters.len(), report.videos);
    Ok(())
}
