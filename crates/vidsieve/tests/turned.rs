//! Copies that are turned or mirrored, or have bars beside them, through files.
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

fn write(path: &Path, seed: u32, view: impl Fn(RgbPicture) -> RgbPicture) {
    let mut writer: Option<Writer> = None;
    for second in 0..8 {
        let picture = view(frame(seed, second));
        let writer = writer.get_or_insert_with(|| {
            Writer::create(path, &WriterOptions::h264(picture.width, picture.height, Rate { num: 4, den: 1 })).unwrap()
        });
        (0..4).for_each(|_| writer.write(&picture.rgb).unwrap());
    }
    writer.unwrap().finish().unwrap();
}

fn turned(view: View) -> impl Fn(RgbPicture) -> RgbPicture {
    move |upright| view.apply(0.0, upright.width, upright.height, &upright.rgb)
}

/// A picture in the middle of a canvas of one colour.
fn framed(width: u32, height: u32, colour: u8) -> impl Fn(RgbPicture) -> RgbPicture {
    move |picture| {
        let mut rgb = vec![colour; (width * height * 3) as usize];
        let (x, y) = ((width - picture.width) / 2, (height - picture.height) / 2);
        for (i, row) in picture.rgb.chunks_exact(3 * picture.width as usize).enumerate() {
            let at = (((y + i as u32) * width + x) * 3) as usize;
            rgb[at..at + row.len()].copy_from_slice(row);
        }
        RgbPicture { width, height, rgb, ..picture }
    }
}

#[test]
fn bars_beside_a_copy_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let videos = folder.path().join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    for seed in 0..5 {
        write(&videos.join(format!("film-{seed}.mp4")), seed, |picture| picture);
    }
    let archive = Archive::create(folder.path().join("index")).unwrap();
    archive.add(&[&videos], &AddOptions::new(), &Control::new()).unwrap();
    for (name, width, height, colour) in
        [("letterboxed", 160, 128, 0), ("upright", 160, 284, 0), ("pillars", 240, 96, 255), ("framed", 200, 120, 16)]
    {
        let copy = folder.path().join(format!("{name}.mp4"));
        write(&copy, 2, framed(width, height, colour));
        let hits = archive.search(&copy, &SearchOptions::new(), &Control::new()).unwrap().hits;
        assert_eq!(hits[0].id, "film-2.mp4", "{name}: {hits:?}");
        assert!(hits[0].score >= 0.9, "{name}: {}", hits[0].score);
        assert!(hits[1].score < 0.5, "{name}: {:?}", hits[1]);
    }
}

#[test]
fn a_turned_copy_is_found_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let videos = folder.path().join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    for seed in 0..5 {
        write(&videos.join(format!("film-{seed}.mp4")), seed, turned(View::Upright));
    }
    let archive = Archive::create(folder.path().join("index")).unwrap();
    archive.add(&[&videos], &AddOptions::new(), &Control::new()).unwrap();
    // A copy that is turned one way is upright when it is turned back.
    for (made, found) in
        [(View::Turned90, View::Turned270), (View::Mirrored, View::Mirrored), (View::Turned180, View::Turned180)]
    {
        let copy = folder.path().join(format!("{made}.mp4"));
        write(&copy, 3, turned(made));
        let search = |views| archive.search(&copy, &SearchOptions::new().turned(views), &Control::new()).unwrap();
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
