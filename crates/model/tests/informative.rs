//! The weights of frames of every kind, drawn and as codecs leave them.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use proptest::prelude::*;
use vidsieve_edits::draw::{self, Text};
use vidsieve_edits::{Clip, Image, clip, generator, procedural};
use vidsieve_model::frames::{RgbFrame, weight};

const SIZES: [(u32, u32); 4] = [(64, 64), (176, 144), (320, 240), (640, 360)];

fn weigh(image: &Image) -> u8 {
    weight(&RgbFrame::new(image.width, image.height, &image.pixels).unwrap())
}

/// A picture whose pixels follow from their place, 0 to 1.
fn picture((width, height): (u32, u32), colour: impl Fn(f32, f32) -> [f32; 3]) -> Image {
    let at = |i: u32, n: u32| (i as f32 + 0.5) / n as f32;
    let pixels = (0..height).flat_map(|y| {
        let colour = &colour;
        (0..width).flat_map(move |x| colour(at(x, width), at(y, height)).map(|v| v.clamp(0.0, 255.0).round() as u8))
    });
    Image::new(width, height, pixels.collect()).unwrap()
}

/// Adds noise with the spread of a normal distribution of standard deviation `sd`; `grey`: the same
/// in all channels.
fn with_noise(image: &Image, seed: u32, sd: f32, grey: bool) -> Image {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    };
    // The sum of four has a variance of a third.
    let mut normal = || (0..4).map(|_| uniform()).sum::<f32>() * 3f32.sqrt() * sd;
    let mut image = image.clone();
    for pixel in image.pixels.as_chunks_mut::<3>().0 {
        let shared = normal();
        for value in pixel {
            let noise = if grey { shared } else { normal() };
            *value = (f32::from(*value) + noise).clamp(0.0, 255.0).round() as u8;
        }
    }
    image
}

fn text(image: &mut Image, words: &str, centre: [f32; 2], size: f32, grey: u8) {
    let text = Text {
        text: words.into(),
        centre,
        size,
        stretch: 1.0,
        slant: 0.0,
        weight: 0.16,
        angle: 0.0,
        colour: [grey; 3],
        outline: None,
        background: None,
        alpha: 1.0,
    };
    text.draw(image);
}

const COLOURS: [[u8; 3]; 6] = [[0; 3], [255; 3], [128; 3], [16; 3], [32, 48, 96], [200, 30, 30]];

#[test]
fn flat_frames_say_nothing_whatever_the_noise() {
    for (width, height) in SIZES {
        for (i, colour) in COLOURS.into_iter().enumerate() {
            let flat = Image::filled(width, height, colour);
            assert_eq!(weigh(&flat), 0, "{width}x{height} {colour:?}");
            for (j, sd) in [2.0, 6.0, 25.0].into_iter().enumerate() {
                for grey in [true, false] {
                    let noisy = with_noise(&flat, (i * 10 + j) as u32, sd, grey);
                    assert_eq!(weigh(&noisy), 0, "{width}x{height} {colour:?} noise {sd} {grey}");
                }
            }
        }
    }
    for (width, height) in [(1, 1), (1, 500), (3, 7), (8, 8), (9, 64), (4000, 2)] {
        assert_eq!(weigh(&Image::filled(width, height, [90; 3])), 0, "{width}x{height}");
    }
}

#[test]
fn gradients_and_vignettes_say_nothing() {
    let of = |k: f32, a: [f32; 3], b: [f32; 3]| [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * k);
    let (blue, pink) = ([20.0, 40.0, 160.0], [250.0, 180.0, 190.0]);
    for size in SIZES {
        for (name, image) in [
            ("down", picture(size, |_, y| of(y, blue, pink))),
            ("across", picture(size, |x, _| of(x, [0.0; 3], [255.0; 3]))),
            ("aslant", picture(size, |x, y| of((x + 2.0 * y) / 3.0, pink, blue))),
            ("vignette", picture(size, |x, y| of((x - 0.5).hypot(y - 0.5) * 1.4, [240.0; 3], [10.0; 3]))),
            ("steep vignette", picture(size, |x, y| [230.0 * ((x - 0.5).hypot(y - 0.5) * 2.0).cos().powi(4); 3])),
            ("glow", picture(size, |x, y| of((-4.0 * ((x - 0.3).powi(2) + (y - 0.4).powi(2))).exp(), blue, pink))),
        ] {
            assert_eq!(weigh(&image), 0, "{name} {size:?}");
            assert_eq!(weigh(&with_noise(&image, 5, 3.0, false)), 0, "{name} {size:?} with noise");
        }
    }
}

#[test]
fn bars_do_not_make_a_flat_picture_say_something() {
    for colour in COLOURS {
        let flat = |left, top, right, bottom| {
            picture((640, 360), |x, y| {
                let inside = x > left && x < right && y > top && y < bottom;
                if inside { colour.map(f32::from) } else { [0.0; 3] }
            })
        };
        for image in [flat(0.13, 0.0, 0.87, 1.0), flat(0.0, 0.13, 1.0, 0.871), flat(0.127, 0.134, 0.868, 0.88)] {
            assert_eq!(weigh(&image), 0, "{colour:?}");
            assert_eq!(weigh(&with_noise(&image, 3, 3.0, true)), 0, "{colour:?} with noise");
        }
    }
}

#[test]
fn words_and_drawings_say_something() {
    for (width, height) in [(176, 144), (320, 240), (640, 360)] {
        let black = Image::filled(width, height, [0; 3]);
        for (size, least) in [(0.04, 30), (0.08, 60), (0.15, 150)] {
            let mut card = black.clone();
            text(&mut card, "Directed by Ada", [0.5, 0.5], size, 220);
            let w = weigh(&with_noise(&card, 1, 2.0, true));
            assert!(w >= least, "{width}x{height} title of {size}: {w}");
        }
        let mut dim = black.clone();
        text(&mut dim, "THE END", [0.5, 0.5], 0.1, 90);
        assert!(weigh(&dim) > 40, "{width}x{height} {}", weigh(&dim));
        let mut slide = Image::filled(width, height, [250; 3]);
        (0..6).for_each(|i| text(&mut slide, "- some words on a slide", [0.45, 0.2 + 0.12 * i as f32], 0.06, 40));
        assert!(weigh(&slide) > 200, "{width}x{height} slide {}", weigh(&slide));
        let mut drawing = Image::filled(width, height, [255; 3]);
        let ring = draw::ellipse([width as f32 * 0.5, height as f32 * 0.5], [height as f32 * 0.35; 2], 0.0);
        let lines: Vec<_> = ring.windows(2).map(|w| [w[0], w[1]]).collect();
        draw::strokes(&mut drawing, &lines, (height as f32 / 180.0).max(0.7), [0; 3], 1.0);
        assert!(weigh(&drawing) > 150, "{width}x{height} drawing {}", weigh(&drawing));
    }
}

#[test]
fn a_small_thing_on_a_plain_ground_says_little() {
    for noise in [0.0, 2.0] {
        let sky = picture((640, 360), |_, y| [90.0 + 90.0 * y, 140.0 + 70.0 * y, 210.0 + 20.0 * y]);
        for radius in [8.0, 14.0, 20.0] {
            let mut bird = sky.clone();
            draw::fill(&mut bird, &draw::ellipse([300.0, 150.0], [radius, radius * 0.5], 0.3), [40, 40, 50], 1.0);
            let w = weigh(&with_noise(&bird, 9, noise, true));
            assert!((1..=70).contains(&w), "radius {radius}, noise {noise}: {w}");
        }
        let mut mark = Image::filled(640, 360, [0; 3]);
        text(&mut mark, "LIVE", [0.93, 0.93], 0.04, 200);
        assert!((1..=130).contains(&weigh(&with_noise(&mark, 9, noise, true))), "{}", weigh(&mark));
    }
}

/// Scenes weigh much, and less and less as they fade; at the end nothing. A tenth of the drawn
/// pictures are soft clouds.
#[test]
fn scenes_and_their_fades() {
    let mut rng = generator(&[3]);
    let (mut plain, mut dim, mut dark, mut faded) = (0, 0, 0, 0);
    for i in 0..40 {
        let still = procedural::still(&mut rng, 320, 180);
        let fade = |k: f32| -> u8 {
            let pixels = still.pixels.iter().map(|v| (f32::from(*v) * k).round() as u8).collect();
            weigh(&Image::new(still.width, still.height, pixels).unwrap())
        };
        let weights = [1.0, 0.5, 0.25, 0.1, 0.04, 0.01].map(fade);
        assert!(weights.is_sorted_by(|a, b| u16::from(*a) + 24 >= u16::from(*b)), "{i}: {weights:?}");
        assert_eq!(weights[5], 0, "{i}: {weights:?}");
        plain += usize::from(weights[0] > 200);
        dim += usize::from(weights[1] > 100);
        dark += usize::from(weights[2] > 40);
        faded += usize::from(weights[4] > 0);
    }
    assert!(plain >= 33 && dim >= 30 && dark >= 28 && faded <= 4, "{plain} {dim} {dark} {faded}");
}

/// Runs FFmpeg and returns the first frame of what it writes.
fn frame_of(source: &str, encode: &[&str], (width, height): (u32, u32)) -> Image {
    let program = std::env::var_os("VIDSIEVE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
    let file = std::env::temp_dir().join(format!("vidsieve-weights-{}.mkv", std::process::id()));
    let run = |arguments: &[&str]| {
        let run = Command::new(&program).args(["-v", "error", "-nostdin", "-y"]).args(arguments).output();
        let run = run.expect("these tests need FFmpeg in PATH: apt install ffmpeg");
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
        run.stdout
    };
    let path = file.to_str().unwrap();
    run(&[&["-f", "lavfi", "-i", source, "-frames:v", "6", "-pix_fmt", "yuv420p"], encode, &[path]].concat());
    let pixels = run(&["-ss", "0.3", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
    std::fs::remove_file(file).unwrap();
    Image::new(width, height, pixels).unwrap()
}

#[test]
fn codecs_change_nothing_of_it() {
    const X264: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-crf", "30"];
    const MPEG4: &[&str] = &["-c:v", "mpeg4", "-q:v", "12"];
    // Without colours and places FFmpeg draws others each time, whatever the seed.
    const GRADIENT: &str = "gradients=s=WxH:r=10:c0=0x3050a0:c1=0xc0d0b0:x0=5:y0=5:x1=170:y1=140";
    for codec in [X264, MPEG4] {
        for (width, height) in [(176, 144), (640, 360)] {
            for colour in ["black", "white", "gray", "0x203060"] {
                for noise in ["", ",noise=alls=10:allf=t", ",noise=alls=20:allf=t"] {
                    let source = format!("color={colour}:s={width}x{height}:r=10{noise}");
                    let w = weigh(&frame_of(&source, codec, (width, height)));
                    // A few blocks of noise of the smallest pictures may look like something.
                    assert!(w <= if width == 176 { 8 } else { 0 }, "{source} {codec:?}: {w}");
                }
            }
            for source in ["color=white:s=WxH:r=10,vignette=PI/2", GRADIENT] {
                let source = source.replace("WxH", &format!("{width}x{height}"));
                assert_eq!(weigh(&frame_of(&source, codec, (width, height))), 0, "{source} {codec:?}");
            }
            for source in ["testsrc2=s=WxH:r=10", "mandelbrot=s=WxH:r=10", "smptebars=s=WxH:r=10"] {
                let source = source.replace("WxH", &format!("{width}x{height}"));
                let w = weigh(&frame_of(&source, codec, (width, height)));
                assert!(w > 200, "{source} {codec:?}: {w}");
            }
        }
    }
}

/// Footage as the project draws it for training and tests.
#[test]
fn drawn_footage_counts_fully() {
    let mut full = 0;
    for seed in 0..24 {
        let mut clip = clip::ProceduralClip::new(seed, clip::ShotConfig::default()).unwrap();
        full += usize::from(weigh(&clip.frame(1.0).unwrap()) > 150);
    }
    assert!(full >= 20, "{full} of 24");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// RGBA is weighed as RGB, and frames of every size are.
    #[test]
    fn same_for_both_layouts(seed in 0u64..1000, width in 1u32..200, height in 1u32..200) {
        let image = procedural::still(&mut generator(&[seed]), width, height);
        let rgba: Vec<u8> =
            image.pixels.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, seed as u8]).collect();
        prop_assert_eq!(weigh(&image), weight(&RgbFrame::from_rgba(width, height, &rgba).unwrap()));
    }
}
