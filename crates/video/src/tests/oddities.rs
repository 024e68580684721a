//! Files that are not what they say: covers beside the film, tags of colours without meaning, headers with another length.

use super::*;

tests_of_each_backend! {
    covers_and_previews_are_not_taken,
    unusable_colour_tags_are_overridden,
    the_length_is_that_of_the_frames,
    animated_webp,
    animated_avif,
}

/// The length and the frames' numbers at one a second.
fn length(by: &Backend, file: &Path, options: Options) -> f64 {
    let mut frames = Frames::open_by(by, file, options).unwrap();
    assert_eq!(frames.length(), None);
    (&mut frames).for_each(|frame| drop(frame.unwrap()));
    frames.length().unwrap()
}

fn covers_and_previews_are_not_taken(by: &Backend) {
    let folder = Folder::new("covers");
    let (film, cover) = (folder.file("film.mp4"), folder.file("cover.jpg"));
    render(&film, 76, "25", &H264);
    ffmpeg(&["-f", "lavfi", "-i", "color=white:s=640x480", "-frames:v", "1", "-update", "1"], &cover, &[]);
    let (film, cover) = (film.to_str().unwrap().to_owned(), cover.to_str().unwrap().to_owned());
    let both = ["-i", &cover, "-i", &film, "-map", "0", "-map", "1", "-c:v:0", "mjpeg", "-c:v:1"];
    for (name, rest) in [
        ("unmarked.mp4", &["copy", "-disposition:v:0", "default", "-disposition:v:1", "default"][..]),
        ("unmarked.mkv", &["copy", "-disposition:v:0", "default", "-disposition:v:1", "0"]),
        ("unmarked.wmv", &["wmv2", "-q:v", "2", "-f", "asf"]),
        ("marked.mp4", &["copy", "-disposition:v:0", "attached_pic"]),
    ] {
        let file = folder.file(name);
        ffmpeg(&[&both[..], rest].concat(), &file, &[]);
        // A marked cover of an MP4 is no stream of its own there.
        assert_eq!(by.probe(&file).unwrap().stream, usize::from(name != "marked.mp4"), "{name}");
        assert_eq!(numbers(by, &file), [0, 25, 50, 75], "{name}");
    }
    // A small preview before the film: both are marked as the one to be played.
    let file = folder.file("preview.mov");
    let graph = "[0]split[a][b];[b]scale=32:16[p]";
    let arguments = ["-i", &film, "-filter_complex", graph, "-map", "[p]", "-map", "[a]", "-c:v:0", "mjpeg", "-c:v:1"];
    let rest = ["libx264", "-preset", "ultrafast", "-crf", "4", "-disposition:v", "default"];
    ffmpeg(&[&arguments[..], &rest].concat(), &file, &[]);
    let info = by.probe(&file).unwrap();
    assert_eq!((info.stream, info.width), (1, WIDTH));
    // Cover alone: one picture is better than none.
    let file = folder.file("alone.mp4");
    ffmpeg(&["-i", &cover, "-c:v", "mjpeg", "-disposition:v:0", "default"], &file, &[]);
    assert_eq!(read(by, &file, each_second()).0.len(), 1);
}

fn unusable_colour_tags_are_overridden(by: &Backend) {
    let folder = Folder::new("colours");
    let plain = folder.file("plain.mp4");
    render(&plain, 30, "25", &H264);
    let expected = read(by, &plain, each_second());
    assert_eq!(expected.1, []);
    let name = plain.to_str().unwrap();
    for tags in [
        "matrix_coefficients=0",
        "matrix_coefficients=3",
        "matrix_coefficients=8",
        "matrix_coefficients=10",
        "matrix_coefficients=11",
        "matrix_coefficients=13",
        "matrix_coefficients=14",
        "matrix_coefficients=15",
        "matrix_coefficients=255",
        "colour_primaries=0:transfer_characteristics=0",
        "colour_primaries=3:transfer_characteristics=3:matrix_coefficients=3",
    ] {
        let file = folder.file("tagged.mp4");
        ffmpeg(&["-i", name, "-c", "copy", "-bsf:v", &format!("h264_metadata={tags}")], &file, &[]);
        let (frames, warnings) = read(by, &file, each_second());
        assert_eq!(warnings, [], "{tags}");
        assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), [0, 25], "{tags}");
        for (got, expected) in frames.iter().zip(&expected.0) {
            let worst = got.data().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(2), "{tags}: {worst:?}");
        }
    }
}

fn the_length_is_that_of_the_frames(by: &Backend) {
    let folder = Folder::new("lengths-true");
    // At even rates, for whole and for odd lengths, however few frames are needed.
    for (name, rate, count, expected) in
        [("a.mp4", "25", 250, 10.0), ("b.mkv", "25", 493, 19.72), ("c.ts", "25", 90, 3.6), ("d.avi", "10", 205, 20.5)]
    {
        let file = folder.file(name);
        let codec = if name.ends_with("avi") { &["-c:v", "mpeg4", "-q:v", "2"][..] } else { &H264 };
        render(&file, count, rate, codec);
        for options in [Options::default(), each_second(), sampled(Sampling::All), sampled(Sampling::Upstream)] {
            let got = length(by, &file, options);
            assert!((got - expected).abs() < 0.05, "{name}: {got}, expected {expected}");
        }
    }
    // A variable rate, and a header that says less: 4 s at 25, then 2 a second.
    let file = folder.file("variable.mp4");
    let stamps = "setpts='if(lt(N,100),N/25,4+(N-100)/2)/TB'";
    let passthrough = Tools::of_environment().abilities().unwrap().passthrough;
    let arguments = [&["-vf", stamps, passthrough, "passthrough", "-enc_time_base", "1:600"][..], &H264].concat();
    render(&file, 131, "25", &arguments);
    let whole = length(by, &file, Options::default());
    // The last frame, at 19 s, lasts as long as the header says.
    assert!((19.0..19.6).contains(&whole), "{whole}");
    // The track's length in `mdhd` and in the edit list, in units of its time scale and of the file's.
    let mut bytes = std::fs::read(&file).unwrap();
    let at = |name: &[u8; 4], bytes: &[u8]| bytes.windows(4).position(|w| w == name).unwrap();
    let mdhd = at(b"mdhd", &bytes);
    let scale = u32::from_be_bytes(bytes[mdhd + 16..mdhd + 20].try_into().unwrap());
    bytes[mdhd + 20..mdhd + 24].copy_from_slice(&(scale * 17).to_be_bytes());
    let elst = at(b"elst", &bytes);
    let edit = u32::from_be_bytes(bytes[elst + 12..elst + 16].try_into().unwrap());
    assert!(edit > 19_000, "{edit}");
    bytes[elst..elst + 4].copy_from_slice(b"free");
    std::fs::write(&file, &bytes).unwrap();
    let header = by.probe(&file).unwrap().duration.unwrap();
    let got = length(by, &file, Options::default());
    assert!(header < 17.1 && (got - whole).abs() < 0.6, "{got} by a header of {header}");
    // For ever, by the header.
    bytes[mdhd + 20..mdhd + 24].copy_from_slice(&u32::MAX.to_be_bytes());
    std::fs::write(&file, &bytes).unwrap();
    let got = length(by, &file, Options::default());
    assert!((got - whole).abs() < 0.6, "{got}");
    // Sound is longer than the picture.
    let file = folder.file("sound.mkv");
    let sound = ["-f", "lavfi", "-i", "sine=duration=30", "-c:a", "pcm_s16le"];
    render(&file, 100, "25", &[&sound[..], &H264].concat());
    let got = length(by, &file, Options::default());
    assert!((got - 4.0).abs() < 0.1, "{got}");
}

fn animated_webp(by: &Backend) {
    let folder = Folder::new("webp");
    let (file, lossless) = (folder.file("a.webp"), ["-c:v", "libwebp_anim", "-lossless", "1", "-loop", "0"]);
    // Five a second, and a picture that stays for two seconds.
    let stamps = "setpts='if(lt(N,20),N,N+9)'";
    let passthrough = Tools::of_environment().abilities().unwrap().passthrough;
    render(&file, 31, "5", &[&["-vf", stamps, passthrough, "passthrough"][..], &lossless].concat());
    let info = by.probe(&file).unwrap();
    assert_eq!((info.width, info.height, info.codec.as_str()), (WIDTH, HEIGHT, "webp"));
    assert_eq!(numbers(by, &file), [0, 5, 10, 15, 19, 19, 21, 26]);
    let got = length(by, &file, Options::default());
    assert!((got - 8.0).abs() < 0.15, "{got}");
    // What is cut off is read as far as it goes.
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let mut frames = Frames::open_by(by, &file, sampled(Sampling::All)).unwrap();
    let (got, damage): (Vec<_>, _) = ((&mut frames).map(|f| f.map(|f| number(&f))).collect(), frames.warnings());
    assert!(!damage.is_empty() || got.iter().any(Result::is_err), "{got:?}");
    // A still picture is one.
    ffmpeg(&["-f", "lavfi", "-i", "color=red:s=64x32", "-frames:v", "1", "-c:v", "libwebp"], &file, &[]);
    assert_eq!(read(by, &file, each_second()).0.len(), 1);
}

fn animated_avif(by: &Backend) {
    // FFmpeg from version 6 on lists the still picture of the file as a stream of its own, so that `ffprobe` must be of the
    // same version: the numbers of streams differ.
    let is_named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_named("VIDSIEVE_FFMPEG") != is_named("VIDSIEVE_FFPROBE") {
        eprintln!("skipped: ffmpeg and ffprobe are of two versions");
        return;
    }
    let folder = Folder::new("avif");
    let file = folder.file("a.avif");
    let codec = ["-pix_fmt", "yuv420p", "-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "10", "-f", "avif"];
    render(&file, 16, "5", &codec);
    let info = by.probe(&file).unwrap();
    assert_eq!((info.width, info.height, info.codec.as_str()), (WIDTH, HEIGHT, "av1"));
    assert_eq!(numbers(by, &file), [0, 5, 10, 15]);
    let got = length(by, &file, Options::default());
    assert!((got - 3.2).abs() < 0.1, "{got}");
}
