//! Indexes a folder of videos and searches it for one, with progress; Enter cancels.
//!
//! `cargo run --release -p vidsieve --example index_and_search -- INDEX FOLDER VIDEO`

use std::error::Error;

use vidsieve::{AddOptions, Archive, CancelToken, Control, Progress, SearchOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [index, folder, video] = arguments.as_slice() else { return Err("give INDEX FOLDER VIDEO".into()) };

    let cancel = CancelToken::new();
    let on_enter = cancel.clone();
    std::thread::spawn(move || {
        if std::io::stdin().read_line(&mut String::new()).is_ok_and(|bytes| bytes > 0) {
            on_enter.cancel();
        }
    });
    let show = |p: &Progress<'_>| eprintln!("{} {:.0} of {:?} {:?}", p.stage, p.done, p.total, p.unit);
    let control = Control::new().with_progress(&show).with_cancel(&cancel);

    let archive = Archive::create(index)?;
    let report = archive.add(&[folder], &AddOptions::new(), &control)?;
    println!("{} added, {} unchanged, {} failed", report.added, report.skipped, report.failed);

    let answer = archive.search(video, &SearchOptions::new().top(5), &control)?;
    for hit in &answer.hits {
        println!("{:.3} {}: {}", hit.score, hit.id, hit.describe().unwrap_or_default());
        for s in &hit.segments {
            println!("      {:.1}-{:.1} s at {:.1}-{:.1} s", s.query[0], s.query[1], s.target[0], s.target[1]);
        }
    }
    Ok(())
}
