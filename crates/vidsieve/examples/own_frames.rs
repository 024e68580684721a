//! Encodes frames that the program draws itself, adds them to an index and finds them again by a part of them.
//!
//! `cargo run --release -p vidsieve --example own_frames -- INDEX`

use std::error::Error;

use vidsieve::{Archive, Control, RgbPicture, SearchOptions, SearchQuery, encode_frames};

const WIDTH: u32 = 160;
const HEIGHT: u32 = 120;

/// Draws rings around a point that moves; a second is a frame.
fn picture(second: u32) -> RgbPicture {
    let centre = (f64::from(second * 13 % WIDTH), f64::from(second * 7 % HEIGHT));
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (f64::from(x), f64::from(y))));
    let rgb = pixels.flat_map(|(x, y)| {
        let distance = (x - centre.0).hypot(y - centre.1);
        [distance / 9.0, distance / 17.0, distance / 31.0].map(|phase| (127.5 + 127.5 * phase.sin()) as u8)
    });
    RgbPicture { time: f64::from(second), width: WIDTH, height: HEIGHT, rgb: rgb.collect() }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [index] = arguments.as_slice() else { return Err("give INDEX".into()) };

    let archive = Archive::create(index)?;
    let control = Control::new();
    let film = encode_frames(archive.model()?, (0..20).map(picture), Some(20.0), &control)?;
    archive.insert("rings", &film)?;

    // The times of an excerpt begin at 0 again.
    let excerpt = (5..15).map(|second| RgbPicture { time: f64::from(second - 5), ..picture(second) });
    let excerpt = encode_frames(archive.model()?, excerpt, Some(10.0), &control)?;
    let answer = archive.search(SearchQuery::Video(&excerpt), &SearchOptions::new(), &control)?;
    for hit in &answer.hits {
        println!("{:.3} {} {:?}", hit.score, hit.id, hit.segments.first().map(|s| s.target));
    }
    Ok(())
}
