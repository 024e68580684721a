//! The encoder of the bundle that the project ships.
#![allow(clippy::unwrap_used)]

use vidsieve_kernels::Isa;
use vidsieve_model::bundle::{Bundle, Network};
use vidsieve_model::encoder::{EncodeError, Encoder, Part};
use vidsieve_model::extractor::Extractor;
use vidsieve_model::fine::InputError;
use vidsieve_model::frames::RgbFrame;

fn bundle() -> Bundle {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/default.safetensors");
    Bundle::from_bytes(path, std::fs::read(path).unwrap()).unwrap()
}

/// Frames of coloured stripes that move.
fn frames(n: usize) -> Vec<Vec<u8>> {
    let pixel = |t: usize, x: usize, y: usize| {
        [(x * 3 + t * 17) % 256, (y * 5 + t * 29) % 256, (x * y / 7 + t * 41) % 256].map(|v| u8::try_from(v).unwrap())
    };
    let frame = |t| (0..90).flat_map(|y| (0..160).flat_map(move |x| pixel(t, x, y))).collect();
    (0..n).map(frame).collect()
}

fn views(frames: &[Vec<u8>]) -> Vec<RgbFrame<'_>> {
    frames.iter().map(|f| RgbFrame::new(160, 90, f).unwrap()).collect()
}

/// A video in parts is the video as a whole, and both are what the networks say of the whole video tensor.
#[test]
fn parts_make_the_whole() {
    let (isa, bundle) = (Isa::best(), bundle());
    let encoder = Encoder::new(isa, &bundle).unwrap();
    let frames = frames(21);
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

#[test]
fn what_is_no_video_is_refused() {
    let encoder = Encoder::new(Isa::best(), &bundle()).unwrap();
    assert!(matches!(encoder.finish(Part::default()), Err(EncodeError::Empty)));
    assert_eq!(encoder.describe(&[]).unwrap(), Part::default());
    let bytes = encoder.describe(&views(&frames(2))).unwrap().to_bytes();
    for wrong in [&[][..], &bytes[..3], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
        assert!(matches!(encoder.part(wrong), Err(EncodeError::Part { .. })), "{} bytes", wrong.len());
    }
    let tensor = ndarray::Array3::zeros((2, 7, 128));
    let error = encoder.describe_regions(tensor.view()).unwrap_err();
    assert!(matches!(error, EncodeError::Input(InputError::Regions { found: 7, .. })), "{error}");
}
