//! Copies that are turned or mirrored, through files.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use vidsieve::{AddOptions, Archive, Control, RgbPicture, SearchOptions, View};
use vidsieve_video::{Rate, Writer, WriterOptions};

/// A frame of shapes that are those of this film and second alone.
fn frame(seed: u32, second: u32) -> RgbPicture {
    let (width, height) = (160u32, 96u32);
    let hash = |parts: &[u32]| {
        parts.iter().fold(0x811c_9dc5u32, |h, part| (h ^ part).wrapping_mul(0x0100_0193).rotate_left(7))
    };
    let rgb = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| {
        let mut colour = [40u8, 60, 80].map(|base| base + (hash(&[seed]) % 64) as u8);
        for shape in 0..7 {
            let at = |what: u32, most: u32| hash(&[seed, second / 2, shape, what]) % most;
            let (dx, dy) = (x.abs_diff(at(0, width)), y.abs_diff(at(1, height)));
            if dx < 8 + at(2, 30) && dy < 8 + at(3, 20) {
                colour = [at(4, 256) as u8, at(5, 256) as u8, at(6, 256) as u8];
            }
        }
        colour
    });
    RgbPicture { time: 0.0, width, height, rgb: rgb.collect() }
}

fn write(path: &Path, seed: u32, view: View) {
    let mut writer: Option<Writer> = None;
    for second in 0..8 {
        let upright = frame(seed, second);
        let picture = view.apply(0.0, upright.width, upright.height, &upright.rgb);
        let writer = writer.get_or_insert_with(|| {
            Writer::create(path, &WriterOptions::h264(picture.width, picture.height, Rate { num: 4, den: 1 })).unwrap()
        });
        (0..4).for_each(|_| writer.write(&picture.rgb).unwrap());
    }
    writer.unwrap().finish().unwrap();
}

#[test]
fn a_turned_copy_is_found_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let videos = folder.path().join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    for seed in 0..5 {
        write(&videos.join(format!("film-{seed}.mp4")), seed, View::Upright);
    }
    let archive = Archive::create(folder.path().join("index")).unwrap();
    archive.add(&[&videos], &AddOptions::new(), &Control::new()).unwrap();
    // A copy that is turned one way is upright when it is turned back.
    for (made, found) in
        [(View::Turned90, View::Turned270), (View::Mirrored, View::Mirrored), (View::Turned180, View::Turned180)]
    {
        let copy = folder.path().join(format!("{made}.mp4"));
        write(&copy, 3, made);
        let search = |turned| archive.search(&copy, &SearchOptions::new().turned(turned), &Control::new()).unwrap();
        let (plain, turned) = (search(false), search(true));
        assert!(plain.turned.is_empty());
        assert_eq!(turned.hits[0].id, "film-3.mp4", "{made}: {:?}", turned.hits);
        assert!(turned.hits[0].score >= 0.9, "{made}: {}", turned.hits[0].score);
        assert!(turned.hits.len() == 5 && turned.hits[1].score < 0.5, "{made}: {:?}", turned.hits[1]);
        let views: Vec<_> = turned.turned.iter().map(|hit| (hit.id.as_str(), hit.view)).collect();
        assert_eq!(views, [("film-3.mp4", found)], "{made}");
        assert_eq!(turned.reranked, 8 * plain.reranked);
    }
    let upright = archive.search(&videos.join("film-1.mp4"), &SearchOptions::new().turned(true), &Control::new());
    assert!(upright.unwrap().turned.is_empty());
}
