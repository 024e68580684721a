use proptest::prelude::*;

use super::cubic::{cubic_columns_first, cubic_rows_first, cubic_taps};
use super::*;
use crate::golden;

fn frame(width: u32, height: u32, data: &[u8]) -> RgbFrame<'_> {
    RgbFrame::new(width, height, data).unwrap()
}

fn noise(width: u32, height: u32) -> Vec<u8> {
    let values = golden::numbers(&format!("frame.{width}x{height}"), (width * height * 3) as usize, 128.0, 128.0);
    values.iter().map(|&v| v as u8).collect()
}

#[test]
fn bad_frames_and_configurations_are_refused() {
    assert_eq!(RgbFrame::new(0, 2, &[]).unwrap_err(), FrameError::Size { width: 0, height: 2 });
    assert_eq!(RgbFrame::new(1, MAX_SIDE + 1, &[]).unwrap_err(), FrameError::Size { width: 1, height: MAX_SIDE + 1 });
    let short = RgbFrame::from_rgba(2, 2, &[0; 12]).unwrap_err().to_string();
    assert!(short.contains("16 bytes, got 12"), "{short}");
    let long = [0; 3 * 400];
    let elongated = Preprocess::imagenet(256, 224).image(&frame(400, 1, &long)).unwrap_err();
    assert_eq!(elongated, FrameError::Elongated { width: 400, height: 1 });
    let good = Preprocess::square(112);
    for bad in [
        Preprocess { divisor: 0.0, ..good },
        Preprocess { divisor: f32::NAN, ..good },
        Preprocess { std: [1.0, -1.0, 1.0], ..good },
        Preprocess { mean: [f32::INFINITY; 3], ..good },
        Preprocess { resize: Resize::Square(0), ..good },
        Preprocess { crop: Some(113), ..good },
        Preprocess { crop: Some(0), resize: Resize::Keep, ..good },
    ] {
        assert!(matches!(bad.validate(), Err(FrameError::Config(_))), "{bad:?}");
    }
    assert_eq!(good.validate(), Ok(()));
}

#[test]
fn sizes_round_halves_to_even_and_crops_truncate() {
    let p = Preprocess { crop: None, ..Preprocess::imagenet(256, 224) };
    assert_eq!(p.output_size(160, 90), Ok((455, 256)));
    assert_eq!(p.output_size(420, 300), Ok((358, 256)));
    assert_eq!(p.output_size(331, 257), Ok((330, 256)));
    let half = Preprocess { resize: Resize::ShortSide(1), ..p };
    assert_eq!(half.output_size(5, 2), Ok((2, 1)));
    assert_eq!(half.output_size(7, 2), Ok((4, 1)));
    let kept = Preprocess { resize: Resize::Keep, crop: Some(2), ..p };
    let data: Vec<u8> = (0..5 * 3).collect();
    assert_eq!(kept.image(&frame(5, 1, &data)).unwrap().data, [3, 4, 5, 6, 7, 8]);
    assert_eq!(kept.output_size(5, 1), Ok((2, 1)));
}

#[test]
fn configuration_round_trips_as_json() {
    for p in [Preprocess::imagenet(256, 224), Preprocess::square(112)] {
        let json = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), p, "{json}");
    }
    let json = serde_json::to_value(Preprocess::square(96)).unwrap();
    assert_eq!(json["resize"]["square"], 96);
    assert_eq!(json["filter"], "area");
}

#[test]
fn rgba_equals_rgb_and_batches_are_planar() {
    let rgb = noise(9, 7);
    let rgba: Vec<u8> = rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 17]).collect();
    for p in [Preprocess::imagenet(8, 6), Preprocess::square(5), Preprocess::square(20)] {
        let a = p.batch(&[frame(9, 7, &rgb), RgbFrame::from_rgba(9, 7, &rgba).unwrap()]).unwrap();
        assert_eq!(a.index_axis(ndarray::Axis(0), 0), a.index_axis(ndarray::Axis(0), 1));
        let image = p.image(&frame(9, 7, &rgb)).unwrap();
        let (w, h) = (image.width as usize, image.height as usize);
        assert_eq!(a.dim(), (2, 3, h, w));
        let byte = f32::from(image.data[((h - 1) * w + 1) * 3 + 2]);
        assert_eq!(a[[1, 2, h - 1, 1]], (byte / p.divisor - p.mean[2]) / p.std[2]);
    }
    assert_eq!(Preprocess::square(5).batch(&[]).unwrap().dim(), (0, 3, 0, 0));
    let mixed = Preprocess { crop: None, ..Preprocess::imagenet(8, 6) };
    let error = mixed.batch(&[frame(9, 7, &rgb), frame(7, 9, &rgb)]).unwrap_err();
    assert_eq!(error, FrameError::Mixed { index: 1, first: (10, 8), found: (8, 10) });
}

#[test]
fn area_means_by_hand() {
    // 3 columns to 2: the middle one belongs half to each. (10 + 20/2) / 1.5 and (20/2 + 40) / 1.5.
    let data: Vec<u8> = [10u8, 20, 40].iter().flat_map(|&v| [v; 3]).collect();
    let axis = |source: u32, resized: u32| Axis {
        source,
        resized,
        scale: f64::from(source) / f64::from(resized),
        start: 0,
        len: resized,
    };
    let run = |x: Axis, y: Axis, data: &[u8]| -> Vec<u8> {
        area(&frame(x.source, y.source, data), &Plan { x, y }).chunks_exact(3).map(|p| p[0]).collect()
    };
    assert_eq!(run(axis(3, 2), axis(1, 1), &data), [13, 33]);
    assert_eq!(run(axis(1, 1), axis(3, 1), &data), [23]);
    // Growing interpolates: 2 columns to 4 at 1/4, 3/4 between the centres, borders repeated.
    let data: Vec<u8> = [0u8, 100].iter().flat_map(|&v| [v; 3]).collect();
    assert_eq!(run(axis(2, 4), axis(1, 1), &data), [0, 25, 75, 100]);
    assert_eq!(run(axis(1, 1), axis(2, 3), &data), [0, 50, 100]);
}

/// The area filter in f64 from its definition.
fn area_naive(source: &[f64], resized: usize) -> Vec<f64> {
    let scale = source.len() as f64 / resized as f64;
    let width = scale.max(1.0);
    (0..resized)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let (from, to) = (centre - width / 2.0, centre + width / 2.0);
            let cover = |j: i64| (to.min((j + 1) as f64) - from.max(j as f64)).max(0.0);
            let at = |j: i64| source[j.clamp(0, source.len() as i64 - 1) as usize];
            (from.floor() as i64..=to.ceil() as i64).map(|j| cover(j) * at(j)).sum::<f64>() / width
        })
        .collect()
}

/// Bicubic interpolation in f64 from its formula, one axis, borders repeated.
fn cubic_naive(source: &[f64], resized: usize) -> Vec<f64> {
    let kernel = |t: f64| {
        let (a, t) = (-0.75, t.abs());
        if t <= 1.0 {
            (a + 2.0) * t.powi(3) - (a + 3.0) * t.powi(2) + 1.0
        } else if t < 2.0 {
            a * t.powi(3) - 5.0 * a * t.powi(2) + 8.0 * a * t - 4.0 * a
        } else {
            0.0
        }
    };
    (0..resized)
        .map(|i| {
            let x = (i as f64 + 0.5) * source.len() as f64 / resized as f64 - 0.5;
            (x.floor() as i64 - 1..=x.floor() as i64 + 2)
                .map(|j| kernel(x - j as f64) * source[j.clamp(0, source.len() as i64 - 1) as usize])
                .sum()
        })
        .collect()
}

fn separable(data: &[u8], w: usize, h: usize, size: (usize, usize), axis: fn(&[f64], usize) -> Vec<f64>) -> Vec<f64> {
    let mut out = vec![0.0; size.0 * size.1 * 3];
    for c in 0..3 {
        let rows: Vec<Vec<f64>> = (0..h)
            .map(|y| axis(&(0..w).map(|x| f64::from(data[(y * w + x) * 3 + c])).collect::<Vec<_>>(), size.0))
            .collect();
        for x in 0..size.0 {
            let column = axis(&rows.iter().map(|r| r[x]).collect::<Vec<_>>(), size.1);
            for (y, v) in column.iter().enumerate() {
                out[(y * size.0 + x) * 3 + c] = *v;
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn filters_match_their_definitions(w in 1u32..40, h in 1u32..40, rw in 1u32..50, rh in 1u32..50, cut in 0u32..4) {
        let data = noise(w, h);
        let axis = |source: u32, resized: u32| {
            let start = cut.min(resized - 1);
            Axis { source, resized, scale: f64::from(source) / f64::from(resized), start, len: resized - start }
        };
        let plan = Plan { x: axis(w, rw), y: axis(h, rh) };
        let frame = frame(w, h, &data);
        for (filter, naive, tolerance) in [
            (area as fn(&RgbFrame<'_>, &Plan) -> Vec<u8>, area_naive as fn(&[f64], usize) -> Vec<f64>, 0.5 + 1e-9),
            (
                |frame, plan| cubic_rows_first(frame, &cubic_taps(&plan.x), &cubic_taps(&plan.y)),
                cubic_naive,
                0.5 + 1e-3,
            ),
            (
                |frame, plan| cubic_columns_first(frame, &cubic_taps(&plan.x), &cubic_taps(&plan.y)),
                cubic_naive,
                0.5 + 1e-3,
            ),
        ] {
            let got = filter(&frame, &plan);
            let expected = separable(&data, w as usize, h as usize, (rw as usize, rh as usize), naive);
            let wanted = plan.y.wanted().flat_map(|y| plan.x.wanted().map(move |x| ((y * rw + x) * 3) as usize));
            for (pixel, at) in got.chunks_exact(3).zip(wanted) {
                for c in 0..3 {
                    let clamped = expected[at + c].clamp(0.0, 255.0);
                    prop_assert!((f64::from(pixel[c]) - clamped).abs() <= tolerance, "{} {clamped}", pixel[c]);
                }
            }
            prop_assert_eq!(got.len(), (plan.x.len * plan.y.len * 3) as usize);
        }
    }
}

#[test]
fn golden_preprocess() {
    let file = golden::file("preprocess");
    let p = Preprocess::imagenet(256, 224);
    for name in ["up_90x160", "down_300x420", "odd_257x331"] {
        let (shape, input) = file.u8(&format!("{name}.input"));
        let input = frame(shape[1] as u32, shape[0] as u32, input);
        let uncropped = Preprocess { crop: None, ..p };
        let size = uncropped.output_size(input.width(), input.height()).unwrap();
        let (_, resized) = file.i64(&format!("{name}.resized_shape"));
        assert_eq!(resized, [i64::from(size.1), i64::from(size.0), 3]);
        let (_, expected) = file.u8(&format!("{name}.crop224"));
        let got = p.image(&input).unwrap();
        let differences = got.data.iter().zip(expected).filter(|(a, b)| a != b).count();
        assert_eq!(differences, 0, "{name}");
    }
}
