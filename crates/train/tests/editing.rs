//! Rendered clips and edited copies as files, through FFmpeg, and read back.
#![allow(clippy::unwrap_used)]

use vidsieve_eval::retrieval::Truth;
use vidsieve_train::data::clips::{ClipLimits, load_clip};
use vidsieve_train::data::editing::{EditOptions, RenderOptions, edit, render};
use vidsieve_train::monitor::Silent;

#[test]
fn copies_are_where_the_truth_says() {
    let folder = std::env::temp_dir().join(format!("vidsieve-editing-{}", std::process::id()));
    let options = RenderOptions { count: 3, seconds: [5.0, 6.0], size: [96, 64], fps: 10, seed: 4 };
    let clips = render(&folder.join("clips"), &[], &options, &mut Silent).unwrap();
    assert_eq!(clips.len(), 3);
    let edits = EditOptions {
        kinds: vec!["crop".into(), "excerpt".into(), "speed".into()],
        chains: vec![2],
        fps: 10,
        takes: false,
        ..EditOptions::default()
    };
    let copies = edit(&folder.join("out"), &clips, &edits, &mut Silent).unwrap();
    assert_eq!(copies.len(), 12);
    let limits = ClipLimits { fps: 10.0, side: 96, seconds: 60.0 };
    for copy in &copies {
        let clip = load_clip(&folder.join("out").join(&copy.file), limits).unwrap();
        let duration = clip.frames().len() as f64 / 10.0;
        let end = copy.segments.iter().map(|s| s.edited[1]).fold(0.0, f64::max);
        assert!(end <= duration + 0.25, "{}: the truth ends at {end}, the file at {duration}", copy.file);
        assert!(!copy.segments.is_empty() && copy.segments.iter().all(|s| s.source[0] < s.source[1]));
        assert_eq!(copy.host.is_some(), copy.edit.hosts() > 0);
    }
    // An excerpt starts after its host does.
    let excerpt = copies.iter().find(|c| c.kind == "excerpt").unwrap();
    assert!(excerpt.segments[0].edited[0] > 0.2, "{:?}", excerpt.segments);
    let truth = Truth::parse("truth.json", &std::fs::read(folder.join("out/truth.json")).unwrap()).unwrap();
    assert_eq!((truth.queries.len(), truth.database.len()), (3, 12));
    assert!(truth.ignore.values().flatten().count() >= 3, "hosts of excerpts are left out of rankings");

    let before = std::fs::metadata(folder.join("out").join(&excerpt.file)).unwrap().modified().unwrap();
    assert_eq!(
        edit(&folder.join("out"), &clips, &edits, &mut Silent).unwrap(),
        copies,
        "the same seed, the same copies"
    );
    let after = std::fs::metadata(folder.join("out").join(&excerpt.file)).unwrap().modified().unwrap();
    assert_eq!(before, after, "copies of the same settings are kept");

    // Copies of other settings do not belong to a truth of these.
    let other = EditOptions { seed: 2, ..edits.clone() };
    let message = edit(&folder.join("out"), &clips, &other, &mut Silent).unwrap_err().to_string();
    assert!(message.contains("`options.seed` was 1, is 2") && message.contains("choose another"), "{message}");
    let message = edit(&folder.join("out"), &clips[..2], &edits, &mut Silent).unwrap_err().to_string();
    assert!(message.contains("`sources` is another one"), "{message}");
    let render_again = |options: &RenderOptions| render(&folder.join("clips"), &[], options, &mut Silent);
    let message = render_again(&RenderOptions { seed: 5, ..options.clone() }).unwrap_err().to_string();
    assert!(message.contains("`options.seed` was 4, is 5"), "{message}");
    assert_eq!(render_again(&RenderOptions { count: 4, ..options.clone() }).unwrap().len(), 4, "one more clip");
    std::fs::remove_file(folder.join("clips/render.stage.json")).unwrap();
    assert!(render_again(&options).unwrap_err().to_string().contains("no record"));

    let unknown = EditOptions { kinds: vec!["mirror".into()], ..edits };
    assert!(edit(&folder, &clips, &unknown, &mut Silent).unwrap_err().to_string().contains("picture_in_picture"));
    std::fs::remove_dir_all(folder).unwrap();
}
