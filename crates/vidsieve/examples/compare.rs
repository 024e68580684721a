//! Compares two videos: how the first is related to the second, and where they match.
//!
//! `cargo run --release -p vidsieve --example compare -- VIDEO VIDEO`

use std::error::Error;

use vidsieve::{Control, EncodeOptions, Model, compare, encode_files};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [query, target] = arguments.as_slice() else { return Err("give VIDEO VIDEO".into()) };

    let model = Model::built_in()?;
    let paths = [query.as_ref(), target.as_ref()];
    let [query, target] = encode_files(&model, paths, &EncodeOptions::new(), &Control::new())?;
    let comparison = compare(&model, &query, &target)?;

    println!("score {:.3} {}", comparison.score, comparison.describe());
    for s in &comparison.segments {
        println!("{:.1}-{:.1} s at {:.1}-{:.1} s", s.query[0], s.query[1], s.target[0], s.target[1]);
    }
    Ok(())
}
