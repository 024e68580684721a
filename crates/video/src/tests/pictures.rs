//! How pictures come out: turned, scaled, over black.

use super::*;

tests_of_each_backend! {
    rotated_pictures_come_out_upright,
    sizes,
    transparency_is_over_black,
    a_change_of_size_keeps_size_and_times,
}

fn rotated_pictures_come_out_upright(by: &Backend) {
    let folder = Folder::new("rotated");
    let (plain, turned) = (folder.file("plain.mp4"), folder.file("turned.mp4"));
    // The stored picture is the upright one turned by 90 degrees counterclockwise; players turn it back.
    let mut arguments = vec!["-vf", "transpose=cclock"];
    arguments.extend(H264);
    render(&plain, 26, "25", &arguments);
    turn(&plain, &turned, [0, 0x1_0000, 0, -0x1_0000, 0, 0]);
    let info = by.probe(&turned).unwrap();
    assert_eq!((info.width, info.height, info.rotation), (WIDTH, HEIGHT, 90));
    assert_eq!(numbers(by, &turned), [0, 25]);
    let stored = by.probe(&plain).unwrap();
    assert_eq!((stored.width, stored.height, stored.rotation), (HEIGHT, WIDTH, 0));
}

fn sizes(by: &Backend) {
    let folder = Folder::new("sizes");
    let file = folder.file("odd.mkv");
    let options = WriterOptions { codec: Codec::Ffv1, ..WriterOptions::h264(37, 23, Rate { num: 5, den: 1 }) };
    let frame: Vec<u8> = (0..37 * 23 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let mut writer = Writer::create(&file, &options).unwrap();
    writer.write(&frame).unwrap();
    assert!(!file.exists());
    writer.finish().unwrap();
    let (frames, warnings) = read(by, &file, Options::default());
    assert_eq!((frames.len(), warnings), (1, vec![]));
    assert_eq!((frames[0].width(), frames[0].height()), (37, 23));
    assert_eq!(frames[0].data(), frame, "lossless from end to end");
    for (limit, size) in [(400, (37, 23)), (20, (20, 12)), (1, (1, 1))] {
        let (frames, _) = read(by, &file, Options { max_side: Some(limit), ..Options::default() });
        assert_eq!((frames[0].width(), frames[0].height()), size);
    }
    let (one, _) = read(by, &file, Options { max_side: Some(1), ..Options::default() });
    let mean = frame.iter().map(|&v| f64::from(v)).sum::<f64>() / frame.len() as f64;
    assert!((f64::from(one[0].data()[0]) - mean).abs() < 8.0, "the mean of the area");
    let wide = folder.file("anamorphic.mp4");
    let mut arguments = vec!["-vf", "setsar=2/1"];
    arguments.extend(H264);
    render(&wide, 2, "1", &arguments);
    let (frames, _) = read(by, &wide, Options::default());
    assert_eq!((frames[0].width(), frames[0].height()), (2 * WIDTH, HEIGHT));
    let (frames, _) = read(by, &wide, Options { square_pixels: false, ..Options::default() });
    assert_eq!((frames[0].width(), frames[0].height()), (WIDTH, HEIGHT));
}

fn transparency_is_over_black(by: &Backend) {
    let folder = Folder::new("alpha");
    let file = folder.file("alpha.mov");
    let pixels: Vec<u8> = [[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]].concat().repeat(8);
    let arguments = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgba",
        "-video_size",
        "3x8",
        "-i",
        "pipe:0",
        "-c:v",
        "qtrle",
        "-pix_fmt",
        "argb",
    ];
    ffmpeg(&arguments, &file, &[pixels]);
    assert!(by.probe(&file).unwrap().has_alpha);
    let (frames, _) = read(by, &file, Options::default());
    let near = |x: usize, expected: [u8; 3]| {
        for (got, expected) in frames[0].data()[3 * x..].iter().zip(expected) {
            assert!(got.abs_diff(expected) <= 1, "{:?}", &frames[0].data()[..9]);
        }
    };
    near(0, [200, 100, 50]);
    near(1, [0, 0, 0]);
    near(2, [100, 50, 25]);
}

fn a_change_of_size_keeps_size_and_times(by: &Backend) {
    let folder = Folder::new("change");
    let (small, large, both) = (folder.file("a.ts"), folder.file("b.ts"), folder.file("both.ts"));
    let codec = ["-c:v", "mpeg2video", "-q:v", "2", "-r", "25"];
    render(&small, 50, "25", &codec);
    // The muxer begins a frame earlier when it is given an offset.
    let mut arguments = vec!["-vf", "scale=128:64:flags=neighbor", "-output_ts_offset", "2.04"];
    arguments.extend(codec);
    render(&large, 50, "25", &arguments);
    let mut data = std::fs::read(&small).unwrap();
    data.extend(std::fs::read(&large).unwrap());
    std::fs::write(&both, data).unwrap();
    let mut frames = Frames::open_by(by, &both, each_second()).unwrap();
    let size = frames.size();
    let got: Vec<Frame> = (&mut frames).map(|f| f.unwrap()).collect();
    assert!(got.iter().all(|f| (f.width(), f.height()) == size));
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [0, 25, 0, 25]);
}
