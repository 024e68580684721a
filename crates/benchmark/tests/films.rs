//! The benchmark of clips inside films in small, on clips that are drawn here, with the built-in bundle.
#![allow(clippy::unwrap_used)]

mod drawn;

use drawn::{Scratch, clips};
use vidsieve::{Control, Model};
use vidsieve_benchmark::films::{FILMS_FILE, FilmOptions, FilmSet, make, run};
use vidsieve_benchmark::trust::TrustError;

#[test]
fn clips_are_found_in_films_that_are_made_of_them() {
    let scratch = Scratch::new("films");
    let (given, out) = (scratch.0.join("clips"), scratch.0.join("set"));
    std::fs::create_dir_all(&given).unwrap();
    let sources = clips(&given);
    assert!(matches!(FilmSet::load(&out), Err(TrustError::File { .. })));
    let options = FilmOptions { films: 2, clips: [5, 7], queries: 2, others: 6, seed: 2, ..FilmOptions::default() };
    let many = FilmOptions { films: 40, ..options.clone() };
    assert!(matches!(make(&out, &sources, &many, &Control::new()), Err(TrustError::Data(_))));

    let made = make(&out, &sources, &options, &Control::new()).unwrap();
    assert_eq!((made.films, made.queries, made.kept), (2, 4, 0), "{made:?}");
    assert_eq!(FilmSet::load(&out).unwrap(), made.set);
    let again = make(&out, &sources, &options, &Control::new()).unwrap();
    assert_eq!((&again.set, again.kept), (&made.set, made.films + made.others + made.queries));
    for query in &made.set.queries {
        let seconds = query.at[1] - query.at[0];
        assert!((3.9..=10.1).contains(&seconds) && query.share > 0.05 && query.share < 0.5, "{query:?}");
        assert!(out.join(&query.file).exists() && out.join(&query.film).exists());
    }

    let report = run(&out, &made.set, &Model::built_in().unwrap(), &Control::new()).unwrap();
    assert_eq!(report.videos as usize, made.films + made.others);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let all = report.budgets.last().unwrap();
    assert_eq!((all.budget.as_str(), all.plain.queries, all.edited.queries), ("all", 2, 2));
    assert!(all.plain.first == 1.0 && all.plain.found == 1.0, "{all:?}");
    assert!(all.plain.ends.is_some_and(|seconds| seconds <= 1.0), "{all:?}");
    let none = &report.budgets[0];
    assert!(none.all.ends.is_none() && none.plain.among_five == 1.0, "{none:?}");
    assert!(out.join(FILMS_FILE).exists());
}
