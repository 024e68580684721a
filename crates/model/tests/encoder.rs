//! The encoder of the bundle that the project ships.
#![allow(clippy::unwrap_used)]

use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::encoder::{EncodeError, Encoder, Part};
use vidsieve_model::extractor::Extractor;
use vidsieve_model::fine::InputError;
use vidsieve_model::frames::{self, RgbFrame};

fn bundle() -> Bundle {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/default.safetensors");
    Bundle::from_bytes(path, std::fs::read(path).unwrap()).unwrap()
}

/// Frames of coloured stripes that move.
fn drawn(n: usize) -> Vec<Vec<u8>> {
    let pixel = |t: usize, x: usize, y: usize| {
        [(x * 3 + t * 17) % 256, (y * 5 + t * 29) % 256, (x * y / 7 + t * 41) % 256].map(|v| u8::try_from(v).unwrap())
    };
    let frame = |t| (0..90).flat_map(|y| (0..160).flat_map(move |x| pixel(t, x, y))).collect();
    (0..n).map(frame).collect()
}

fn views(frames: &[Vec<u8>]) -> Vec<RgbFrame<'_>> {
    frames.iter().map(|f| RgbFrame::new(160, 90, f).unwrap()).collect()
}

/// A video in parts is the video as a whole, and both are what the networks say of the whole video
/// tensor.
#[test]
fn parts_make_the_whole() {
    let (isa, bundle) = (Isa::best(), bundle());
    let encoder = Encoder::new(isa, &bundle).unwrap();
    let frames = drawn(21);
    let mut all = Part::default();
    for frames in frames.chunks(4) {
        all.join(&encoder.describe(&views(frames)).unwrap());
    }
    assert_eq!(all.frames(), 21);
    let whole = encoder.describe(&views(&frames)).unwrap();
    // One by one, and by way of bytes.
    let mut each = Part::default();
    for (part, _) in encoder.describe_each(&views(&frames)).unwrap() {
        each.join(&encoder.part(&part.to_bytes()).unwrap());
    }
    assert_eq!(each, whole);
    let (parts, whole) = (encoder.finish(all).unwrap(), encoder.finish(whole).unwrap());
    assert_eq!(parts, whole);

    let tensor = Extractor::new(isa, &bundle).unwrap().video(&views(&frames)).unwrap();
    assert_eq!(whole.codes, bundle.fine(isa, Network::FineBinary).unwrap().index(tensor.view()).unwrap());
    assert_eq!(whole.global, bundle.coarse(isa).unwrap().index(tensor.view()).unwrap());
    let scalar = bundle.selector(isa).unwrap().self_similarity(tensor.view()).unwrap();
    assert!((whole.self_similarity - scalar).abs() < 1e-6, "{} {scalar}", whole.self_similarity);
    assert_eq!(whole.global.len(), encoder.global_dims());
    assert!((whole.global.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4);
}

fn cosine(a: &[f32], b: impl IntoIterator<Item = f32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Frames that show nothing have no part in S^c's vector, the selector's scalar and the windows.
#[test]
fn only_informative_frames_count() {
    let encoder = Encoder::new(Isa::best(), &bundle()).unwrap();
    let finish = |frames: &[Vec<u8>]| encoder.finish(encoder.describe(&views(frames)).unwrap()).unwrap();
    let (black, shown) = (vec![0; 160 * 90 * 3], drawn(3));
    let alone = finish(&shown);
    assert!(alone.weights.iter().all(|w| *w > 200), "{:?}", alone.weights);
    let between = finish(&[std::slice::from_ref(&black), &shown[..2], &vec![black.clone(); 2], &shown[2..]].concat());
    assert_eq!(between.weights.iter().map(|w| *w > 0).collect::<Vec<_>>(), [false, true, true, false, false, true]);
    assert_eq!((&between.global, between.self_similarity), (&alone.global, alone.self_similarity));
    assert!(between.windows.is_empty());
    // A video that shows nothing still has a vector.
    let nothing = finish(&vec![black; 40]);
    assert!(nothing.weights.iter().all(|w| *w == 0) && nothing.windows.is_empty());
    assert!((cosine(&nothing.global, nothing.global.iter().copied()) - 1.0).abs() < 1e-4);
}

/// A video of scenes has a window for each; a still picture has one in all.
#[test]
fn windows_tell_scenes_apart() {
    let encoder = Encoder::new(Isa::best(), &bundle()).unwrap();
    let mut rng = vidsieve_edits::generator(&[7]);
    let stills: Vec<Vec<u8>> = std::iter::repeat_with(|| vidsieve_edits::procedural::still(&mut rng, 160, 90).pixels)
        .filter(|still| frames::weight(&RgbFrame::new(160, 90, still).unwrap()) > 200)
        .take(3)
        .collect();
    let black = vec![0; 160 * 90 * 3];
    // Scenes of 24 frames, the second one after 5 black frames.
    let scene = |i: usize| vec![stills[i].clone(); 24];
    let frames = [scene(0), vec![black; 5], scene(1), scene(2)].concat();
    let video = encoder.finish(encoder.describe(&views(&frames)).unwrap()).unwrap();
    let whole = video.windows.iter().map(|w| [w.first, w.last]).collect::<Vec<_>>();
    assert_eq!((whole[0][0], whole[whole.len() - 1][1]), (0, 76), "{whole:?}");
    assert!(video.windows.len() >= 3 && whole.windows(2).all(|w| w[0][0] < w[1][0] && w[0][1] < w[1][1]), "{whole:?}");
    for (i, frames) in [(0, 0..24), (1, 29..53), (2, 53..77)] {
        let alone = encoder.finish(encoder.describe(&views(&scene(i))).unwrap()).unwrap();
        assert_eq!(alone.windows.len(), 1, "a still picture is one window");
        assert_eq!((alone.windows[0].first, alone.windows[0].last), (0, 23));
        let inside = |first: u32, last: u32| frames.contains(&first) && frames.contains(&last);
        let window = video.windows.iter().find(|w| inside(w.first, w.last)).unwrap();
        let own = cosine(&alone.global, window.vector());
        assert!(own > 0.99, "scene {i}: {own}");
        assert!(own > cosine(&alone.global, video.global.iter().copied()) + 0.05, "scene {i}");
    }
}

#[test]
fn what_is_no_video_is_refused() {
    let encoder = Encoder::new(Isa::best(), &bundle()).unwrap();
    assert!(matches!(encoder.finish(Part::default()), Err(EncodeError::Empty)));
    assert_eq!(encoder.describe(&[]).unwrap(), Part::default());
    let bytes = encoder.describe(&views(&drawn(2))).unwrap().to_bytes();
    assert_eq!(bytes[4..6], [frames::weight(&views(&drawn(2))[0]), frames::weight(&views(&drawn(2))[1])]);
    for wrong in [&[][..], &bytes[..3], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
        assert!(matches!(encoder.part(wrong), Err(EncodeError::Part { .. })), "{} bytes", wrong.len());
    }
    let tensor = ndarray::Array3::zeros((2, 7, 128));
    let error = encoder.describe_regions(tensor.view(), &[255; 2]).unwrap_err();
    assert!(matches!(error, EncodeError::Input(InputError::Regions { found: 7, .. })), "{error}");
    let error = encoder.describe_regions(tensor.view(), &[255; 3]).unwrap_err();
    assert!(matches!(error, EncodeError::Weights { frames: 2, weights: 3 }), "{error}");
}
