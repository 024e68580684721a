//! Decoding of rendered files. Each frame carries its number in two grey levels, so that it is known which one came
//! out.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::tools::{Tools, file_url};
use crate::*;

const WIDTH: u32 = 64;
const HEIGHT: u32 = 32;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vidsieve-video-{}-{serial}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Left half: `number / 50`, right half: `number % 50`, in steps of 5 grey levels.
fn numbered(number: u32, width: u32, height: u32) -> Vec<u8> {
    assert!(number < 2500);
    let row: Vec<u8> = (0..width)
        .flat_map(|x| {
            let digit = if x < width / 2 { number / 50 } else { number % 50 };
            [(digit * 5) as u8; 3]
        })
        .collect();
    row.repeat(height as usize)
}

/// The number that [`numbered`] put into a frame which is upright.
fn number(frame: &Frame) -> u32 {
    let digit = |x: u32| {
        let at = ((frame.height() / 2) * frame.width() + x) as usize * 3;
        (u32::from(frame.data()[at + 1]) + 2) / 5
    };
    digit(frame.width() / 8) * 50 + digit(frame.width() - 1 - frame.width() / 8)
}

fn ffmpeg(arguments: &[&str], file: &Path, frames: &[Vec<u8>]) {
    let mut child = Command::new(Tools::of_environment().ffmpeg)
        .args(["-hide_banner", "-nostats", "-v", "error", "-y"])
        .args(arguments)
        .arg(file_url(file))
        .stdin(Stdio::piped())
        .spawn()
        .expect("these tests need FFmpeg in PATH: apt install ffmpeg");
    let mut pipe = child.stdin.take().unwrap();
    for frame in frames {
        pipe.write_all(frame).unwrap();
    }
    drop(pipe);
    assert!(child.wait().unwrap().success(), "ffmpeg {arguments:?}");
}

/// `count` numbered frames at `rate` a second.
fn render(file: &Path, count: u32, rate: &str, arguments: &[&str]) {
    let size = format!("{WIDTH}x{HEIGHT}");
    let mut all = vec!["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", &size, "-framerate", rate, "-i", "pipe:0"];
    all.extend(arguments);
    let frames: Vec<Vec<u8>> = (0..count).map(|n| numbered(n, WIDTH, HEIGHT)).collect();
    ffmpeg(&all, file, &frames);
}

const H264: [&str; 8] = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-pix_fmt", "yuv420p"];

fn read(by: &Backend, file: &Path, options: Options) -> (Vec<Frame>, Vec<Warning>) {
    let mut frames = Frames::open_by(by, file, options).unwrap();
    let list = (&mut frames).map(|f| f.unwrap()).collect();
    (list, frames.warnings().to_vec())
}

fn sampled(sampling: Sampling) -> Options {
    Options { sampling, ..Options::default() }
}

/// Numbers of the frames at one a second.
fn numbers(by: &Backend, file: &Path) -> Vec<u32> {
    let (frames, warnings) = read(by, file, Options::default());
    assert_eq!(warnings, [], "{file:?}");
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!((frame.index(), frame.time()), (k as u64, k as f64));
        assert!(frame.pts() <= frame.time() + TOLERANCE);
    }
    frames.iter().map(number).collect()
}

/// All frames' numbers must be consecutive, and sampling must be what the rule makes of their time stamps.
fn check_against_the_rule(by: &Backend, file: &Path, count: u32) {
    let (all, warnings) = read(by, file, sampled(Sampling::All));
    assert_eq!(warnings, []);
    assert_eq!(all.iter().map(number).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>(), "{file:?}");
    let times: Vec<f64> = all.iter().map(Frame::pts).collect();
    for fps in [1.0, 2.0, 0.5, 3.7] {
        let (frames, _) = read(by, file, sampled(Sampling::Fps(fps)));
        let got: Vec<usize> = frames.iter().map(|f| number(f) as usize).collect();
        assert_eq!(got, covering(&times, fps), "{file:?} at {fps}");
        for pair in frames.windows(2) {
            assert_eq!(pair[1].is_repeat(), number(&pair[0]) == number(&pair[1]));
        }
    }
}

/// Each of these is a test of every way to FFmpeg that is built in.
macro_rules! tests_of_each_backend {
    ($($name:ident,)*) => {
        mod process {
            use super::*;
            $(#[test]
            fn $name() {
                super::$name(&Backend::Process(Tools::of_environment()));
            })*
        }
        #[cfg(feature = "linked")]
        mod linked {
            use super::*;
            $(#[test]
            fn $name() {
                super::$name(&Backend::Linked);
            })*
        }
    };
}

tests_of_each_backend! {
    steady_rates,
    upstream_sampling_counts_frames,
    variable_rates,
    the_first_frame_counts_from_its_own_time,
    reading_from_the_middle,
    rotated_pictures_come_out_upright,
    sizes,
    other_containers_and_codecs,
    a_single_frame,
    transparency_is_over_black,
    what_is_no_video_is_refused_with_its_name,
    playlists_and_patterns_open_nothing_else,
    odd_names,
    a_lost_tail_is_a_warning,
    a_change_of_size_keeps_size_and_times,
    limits_and_cancelling_end_soon,
    writing,
}

fn steady_rates(by: &Backend) {
    let folder = Folder::new("steady");
    for (rate, count, expected) in [
        ("30", 100, vec![0, 30, 60, 90]),
        ("25", 101, vec![0, 25, 50, 75, 100]),
        ("24000/1001", 100, vec![0, 24, 48, 71, 95]),
        ("10", 35, vec![0, 10, 20, 30]),
        ("1/2", 3, vec![0, 0, 1, 1, 2]),
        ("1", 3, vec![0, 1, 2]),
    ] {
        let file = folder.file("video.mp4");
        render(&file, count, rate, &H264);
        assert_eq!(numbers(by, &file), expected, "{rate}");
        check_against_the_rule(by, &file, count);
        let info = by.probe(&file).unwrap();
        assert_eq!((info.width, info.height, info.codec.as_str()), (WIDTH, HEIGHT, "h264"));
        assert_eq!(info.frames, Some(u64::from(count)));
        let (num, den) = rate.split_once('/').unwrap_or((rate, "1"));
        let rate = num.parse::<f64>().unwrap() / den.parse::<f64>().unwrap();
        assert!((info.average_rate.unwrap().value() - rate).abs() < 1e-3 * rate);
        assert!((info.duration.unwrap() - f64::from(count) / rate).abs() < 0.05);
    }
}

fn upstream_sampling_counts_frames(by: &Backend) {
    let folder = Folder::new("upstream");
    let file = folder.file("video.mp4");
    render(&file, 100, "24000/1001", &H264);
    let (frames, _) = read(by, &file, sampled(Sampling::Upstream));
    assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), [0, 24, 48, 72, 96]);
    assert!((frames[3].time() - 3.003).abs() < 1e-3);
}

fn variable_rates(by: &Backend) {
    let folder = Folder::new("variable");
    // 3 s at 30 frames a second, 8 s at 5, one that stays for 7 s, then 60 frames a second.
    let stamps = "setpts='if(lt(N,90),N/30,if(lt(N,130),3+(N-90)/5,18+(N-130)/60))/TB'";
    for (name, codec) in
        [("video.mkv", &H264[..]), ("video.mp4", &H264[..]), ("video.webm", &["-c:v", "libvpx", "-b:v", "4M"])]
    {
        let file = folder.file(name);
        let mut arguments = vec![
            "-vf",
            stamps,
            Tools::of_environment().passthrough().unwrap(),
            "passthrough",
            "-enc_time_base",
            "1:60",
        ];
        arguments.extend(codec);
        render(&file, 200, "60", &arguments);
        check_against_the_rule(by, &file, 200);
        let got = numbers(by, &file);
        assert_eq!(got[..5], [0, 30, 60, 90, 95], "{name}");
        assert_eq!(got[10..18], [125, 129, 129, 129, 129, 129, 129, 129], "{name}");
        assert_eq!(got[18..], [130, 190], "{name}");
    }
}

fn the_first_frame_counts_from_its_own_time(by: &Backend) {
    let folder = Folder::new("late");
    for name in ["late.mkv", "late.ts", "late.mp4"] {
        let file = folder.file(name);
        let mut arguments = vec!["-output_ts_offset", "5.5"];
        arguments.extend(H264);
        render(&file, 70, "25", &arguments);
        assert_eq!(numbers(by, &file), [0, 25, 50], "{name}");
    }
    // Sound begins 0.7 s before the picture, which the header tells.
    let file = folder.file("sound.mkv");
    let mut arguments =
        vec!["-f", "lavfi", "-i", "sine=duration=4", "-filter:v", "setpts=PTS+0.7/TB", "-c:a", "pcm_s16le"];
    arguments.extend(H264);
    render(&file, 70, "25", &arguments);
    assert!(by.probe(&file).unwrap().start > 0.6);
    assert_eq!(numbers(by, &file), [0, 25, 50]);
}

fn reading_from_the_middle(by: &Backend) {
    let folder = Folder::new("start");
    let file = folder.file("video.mp4");
    render(&file, 150, "25", &H264);
    let (frames, _) = read(by, &file, Options { start: 2.0, max_frames: Some(3), ..Options::default() });
    assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), [50, 75, 100]);
    assert_eq!(frames.iter().map(Frame::time).collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
}

/// Copies an MP4 with another matrix in the header of its track; it is the identity in one that FFmpeg wrote.
fn turn(plain: &Path, turned: &Path, [a, b, u, c, d, v]: [i32; 6]) {
    let mut data = std::fs::read(plain).unwrap();
    let at = data.windows(4).position(|w| w == b"tkhd").unwrap() + 4 + 40;
    let matrix = [a, b, u, c, d, v, 0, 0, 0x4000_0000];
    data[at..at + 36].copy_from_slice(&matrix.map(i32::to_be_bytes).concat());
    std::fs::write(turned, data).unwrap();
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

fn other_containers_and_codecs(by: &Backend) {
    let folder = Folder::new("formats");
    let all: [(&str, &[&str]); 6] = [
        ("video.gif", &["-vf", "format=gray", "-c:v", "gif"]),
        ("video.webm", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "10", "-b:v", "0"]),
        ("video.mov", &["-c:v", "prores_ks"]),
        ("video.avi", &["-c:v", "mpeg4", "-q:v", "2"]),
        ("video.ts", &["-c:v", "mpeg2video", "-q:v", "2", "-r", "25"]),
        ("video.mkv", &["-c:v", "libx265", "-preset", "ultrafast", "-crf", "8", "-x265-params", "log-level=none"]),
    ];
    for (name, arguments) in all {
        let file = folder.file(name);
        render(&file, 51, "25", arguments);
        assert_eq!(numbers(by, &file), [0, 25, 50], "{name}");
    }
}

fn a_single_frame(by: &Backend) {
    let folder = Folder::new("single");
    for (name, arguments) in
        [("one.mp4", &H264[..]), ("one.gif", &[]), ("one.png", &["-update", "1"]), ("one.mkv", &H264)]
    {
        let file = folder.file(name);
        render(&file, 1, "25", arguments);
        assert_eq!(numbers(by, &file), [0], "{name}");
        let (all, _) = read(by, &file, sampled(Sampling::All));
        assert_eq!(all.len(), 1);
    }
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

fn what_is_no_video_is_refused_with_its_name(by: &Backend) {
    let folder = Folder::new("refused");
    let file = folder.file("missing.mp4");
    assert!(matches!(by.probe(&file).unwrap_err(), Error::Unreadable { .. }));
    assert!(matches!(by.probe(&folder.0).unwrap_err(), Error::NotAFile { .. }));
    let empty = folder.file("empty.mp4");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(by.probe(&empty).unwrap_err(), Error::Empty { .. }));
    let text = folder.file("text.mp4");
    std::fs::write(&text, "This is no video.\n".repeat(200)).unwrap();
    let error = by.probe(&text).unwrap_err();
    assert!(matches!(&error, Error::NotAVideo { .. }), "{error}");
    assert!(error.to_string().contains("text.mp4"), "{error}");
    let audio = folder.file("sound.m4a");
    ffmpeg(&["-f", "lavfi", "-i", "sine=duration=1"], &audio, &[]);
    let error = by.probe(&audio).unwrap_err();
    assert!(matches!(error, Error::AudioOnly { .. }), "{error}");
    for bad in [
        sampled(Sampling::Fps(0.0)),
        sampled(Sampling::Fps(f64::NAN)),
        Options { max_side: Some(0), ..Options::default() },
        Options { start: -1.0, ..Options::default() },
        Options { threads: Some(0), ..Options::default() },
    ] {
        assert!(matches!(Frames::open_by(by, &audio, bad), Err(Error::Options(_))));
    }
}

fn playlists_and_patterns_open_nothing_else(by: &Backend) {
    let folder = Folder::new("playlists");
    let secret = folder.file("secret.ts");
    render(&secret, 5, "5", &["-c:v", "mpeg2video", "-r", "25"]);
    let hls = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n";
    for (name, text) in [("a.m3u8", hls), ("a.mp4", hls), ("b.mp4", "ffconcat version 1.0\nfile secret.ts\n")] {
        let file = folder.file(name);
        std::fs::write(&file, text).unwrap();
        assert!(matches!(by.probe(&file).unwrap_err(), Error::NotAVideo { .. }), "{name}");
    }
    let image = folder.file("image.png");
    render(&image, 1, "25", &["-update", "1"]);
    std::fs::rename(&image, folder.file("1.png")).unwrap();
    assert!(matches!(by.probe(&folder.file("%d.png")).unwrap_err(), Error::Unreadable { .. }));
}

fn odd_names(by: &Backend) {
    let folder = Folder::new("names");
    let plain = folder.file("plain.mp4");
    render(&plain, 26, "25", &H264);
    let mut names: Vec<OsString> =
        ["-y.mp4", "a:b.mp4", "http:x.mp4", "%03d.mp4", "line\nbreak.mp4", "'q\" [in].mp4", "ü ☃.mp4", "noextension"]
            .map(OsString::from)
            .to_vec();
    #[cfg(unix)]
    names.push(std::os::unix::ffi::OsStringExt::from_vec(vec![b'x', 0xFF, 0xFE, b'.', b'm', b'p', b'4']));
    for name in names {
        let file = folder.file(&name);
        std::fs::copy(&plain, &file).unwrap();
        assert_eq!(numbers(by, &file), [0, 25], "{name:?}");
        let copy = folder.file("copies");
        std::fs::create_dir_all(&copy).unwrap();
        let written = copy.join(&name);
        let mut writer = Writer::create(&written, &WriterOptions::h264(16, 16, Rate { num: 1, den: 1 })).unwrap();
        writer.write(&[9; 16 * 16 * 3]).unwrap();
        writer.finish().unwrap();
        assert_eq!(by.probe(&written).unwrap().width, 16, "{name:?}");
    }
}

fn a_lost_tail_is_a_warning(by: &Backend) {
    let folder = Folder::new("tail");
    let whole = folder.file("whole.mp4");
    let mut arguments = vec!["-movflags", "+faststart", "-g", "25"];
    arguments.extend(H264);
    render(&whole, 250, "25", &arguments);
    let data = std::fs::read(&whole).unwrap();
    let cut = folder.file("cut.mp4");
    let media = data.windows(4).position(|w| w == b"mdat").unwrap();
    std::fs::write(&cut, &data[..media + (data.len() - media) * 6 / 10]).unwrap();
    let (frames, warnings) = read(by, &cut, Options::default());
    let got: Vec<u32> = frames.iter().map(number).collect();
    assert!((3..9).contains(&got.len()), "{got:?}");
    assert!(got.iter().enumerate().all(|(k, n)| *n == 25 * k as u32), "{got:?}");
    match &warnings[..] {
        [Warning::Lost { read, expected, .. }] => {
            assert!(
                (*expected - 10.0).abs() < 0.1 && *read < 9.0 && *read >= frames.len() as f64 - 1.01,
                "{warnings:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    // Nothing left but the header.
    std::fs::write(&cut, &data[..media + 8]).unwrap();
    let outcome = Frames::open_by(by, &cut, Options::default()).and_then(|mut f| f.next().unwrap());
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::NothingDecoded { .. } | Error::NotAVideo { .. }), "{error}");
    // Without its index, an MP4 is nothing.
    std::fs::write(&cut, &data[media..]).unwrap();
    assert!(matches!(by.probe(&cut).unwrap_err(), Error::NotAVideo { .. }));
    // Damage in the middle: what comes after is read.
    let mut damaged = data.clone();
    let middle = media + (data.len() - media) / 2;
    for (i, byte) in damaged[middle..middle + 300].iter_mut().enumerate() {
        *byte = (i * 37) as u8;
    }
    std::fs::write(&cut, &damaged).unwrap();
    let (frames, warnings) = read(by, &cut, Options::default());
    assert_eq!(frames.len(), 10);
    assert_eq!(number(&frames[9]), 225);
    assert!(matches!(warnings[..], [Warning::Damaged { .. }]), "{warnings:?}");
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
    let mut frames = Frames::open_by(by, &both, Options::default()).unwrap();
    let size = frames.size();
    let got: Vec<Frame> = (&mut frames).map(|f| f.unwrap()).collect();
    assert!(got.iter().all(|f| (f.width(), f.height()) == size));
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [0, 25, 0, 25]);
}

fn limits_and_cancelling_end_soon(by: &Backend) {
    let folder = Folder::new("limits");
    let file = folder.file("video.mp4");
    render(&file, 500, "25", &H264);
    let options = Options { limits: Limits { frames: 3, ..Limits::default() }, ..Options::default() };
    let (frames, warnings) = read(by, &file, options);
    assert_eq!((frames.len(), &warnings[..]), (3, &[Warning::FrameLimit { frames: 3 }][..]));
    let options = Options { limits: Limits { stall: Duration::ZERO, ..Limits::default() }, ..Options::default() };
    let outcome: Result<Vec<Frame>, Error> = Frames::open_by(by, &file, options).unwrap().collect();
    // The first wait takes longer than nothing, except on a machine that starts FFmpeg within a tick.
    assert!(matches!(outcome, Err(Error::TimeLimit { .. }) | Ok(_)));
    let start = Instant::now();
    let cancel = CancelToken::new();
    let mut frames =
        Frames::open_by(by, &file, Options { cancel: cancel.clone(), sampling: Sampling::All, ..Options::default() })
            .unwrap();
    frames.next().unwrap().unwrap();
    cancel.cancel();
    assert!(matches!(frames.next(), Some(Err(Error::Cancelled { .. }))));
    assert!(frames.next().is_none());
    let mut dropped = Frames::open_by(by, &file, sampled(Sampling::All)).unwrap();
    dropped.next().unwrap().unwrap();
    drop(dropped);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_hanging_ffmpeg_is_given_up() {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new("hanging");
        let file = folder.file("video.mp4");
        render(&file, 5, "5", &H264);
        let fake = folder.file("ffmpeg");
        std::fs::write(&fake, "#!/bin/sh\n[ \"$1\" = -version ] && exit 0\nexec sleep 60\n").unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        let tools = Tools { ffmpeg: fake, ..Tools::of_environment() };
        let limits = Limits { stall: Duration::from_millis(100), ..Limits::default() };
        let start = Instant::now();
        let mut frames =
            Frames::open_by(&Backend::Process(tools), &file, Options { limits, ..Options::default() }).unwrap();
        let error = frames.next().unwrap().unwrap_err();
        assert!(matches!(error, Error::TimeLimit { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

fn writing(by: &Backend) {
    let folder = Folder::new("writing");
    let rate = Rate { num: 10, den: 1 };
    for (name, codec) in [
        ("a.mp4", Codec::H264 { crf: 5, preset: "ultrafast" }),
        ("a.webm", Codec::Vp9 { crf: 10 }),
        ("a.gif", Codec::Gif),
        ("a.mkv", Codec::Ffv1),
    ] {
        let options = WriterOptions { codec, key_interval: Some(10), ..WriterOptions::h264(WIDTH, HEIGHT, rate) };
        let write = |file: &Path| {
            let mut writer = Writer::create(file, &options).unwrap();
            for n in 0..21 {
                writer.write(&numbered(n, WIDTH, HEIGHT)).unwrap();
            }
            writer.finish().unwrap();
            std::fs::read(file).unwrap()
        };
        let file = folder.file(name);
        let bytes = write(&file);
        assert_eq!(numbers(by, &file), [0, 10, 20], "{name}");
        assert_eq!(bytes, write(&folder.file(format!("again-{name}"))), "the same bytes");
    }
    // Colours survive, at a size at which untagged files are read as BT.709, and below.
    for (width, height) in [(1280, 8), (64, 32)] {
        let file = folder.file("colour.mp4");
        let mut writer = Writer::create(&file, &WriterOptions::h264(width, height, rate)).unwrap();
        let frame: Vec<u8> = [180u8, 40, 90].repeat((width * height) as usize);
        writer.write(&frame).unwrap();
        writer.finish().unwrap();
        let (frames, _) = read(by, &file, Options::default());
        for (got, expected) in frames[0].data().iter().zip([180u8, 40, 90]) {
            assert!(got.abs_diff(expected) <= 3, "{:?}", &frames[0].data()[..3]);
        }
    }
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|n| !n.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn writing_fails_plainly_and_leaves_nothing() {
    let folder = Folder::new("unwritten");
    let options = WriterOptions::h264(16, 16, Rate { num: 1, den: 1 });
    let file = folder.file("a.mp4");
    let mut writer = Writer::create(&file, &options).unwrap();
    assert!(matches!(writer.write(&[0; 5]), Err(Error::Write { .. })));
    assert!(writer.finish().unwrap_err().to_string().contains("no frames"));
    let mut writer = Writer::create(&file, &options).unwrap();
    writer.write(&[0; 16 * 16 * 3]).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
    assert!(Writer::create(&folder.file("none/a.mp4"), &options).unwrap_err().to_string().contains("folder"));
    for bad in [
        WriterOptions { width: 1, ..options },
        WriterOptions { rate: Rate { num: 0, den: 1 }, ..options },
        WriterOptions { codec: Codec::H264 { crf: 60, preset: "fast" }, ..options },
        WriterOptions { codec: Codec::H264 { crf: 20, preset: "-i" }, ..options },
        WriterOptions { threads: 0, ..options },
    ] {
        assert!(matches!(Writer::create(&file, &bad), Err(Error::Options(_))), "{bad:?}");
    }
}

/// What each way to FFmpeg says of a file and makes of it must be the same.
#[cfg(feature = "linked")]
fn check_that_both_agree(file: &Path) {
    let process = Backend::Process(Tools::of_environment());
    assert_eq!(process.probe(file).unwrap(), Backend::Linked.probe(file).unwrap());
    let mut worst = 0f64;
    let small = Options { max_side: Some(24), ..Options::default() };
    let all = [
        sampled(Sampling::All),
        sampled(Sampling::Upstream),
        Options { threads: None, ..sampled(Sampling::Fps(3.7)) },
        Options { start: 0.7, ..small.clone() },
        small,
    ];
    for options in all {
        let attempt = |by: &Backend| {
            let mut frames = Frames::open_by(by, file, options.clone())?;
            let list = (&mut frames).collect::<Result<Vec<_>, Error>>()?;
            Ok::<_, Error>((list, frames.warnings().to_vec()))
        };
        let ((expected, told), (got, also_told)) = match (attempt(&process), attempt(&Backend::Linked)) {
            (Ok(expected), Ok(got)) => (expected, got),
            // Such as a start in a stream without times, where seeking ends at the end.
            (Err(Error::NothingDecoded { .. }), Err(Error::NothingDecoded { .. })) => continue,
            other => panic!("{file:?} {options:?}: {other:?}"),
        };
        let times = |frames: &[Frame]| frames.iter().map(|f| (f.time(), f.pts(), f.is_repeat())).collect::<Vec<_>>();
        assert_eq!(times(&got), times(&expected), "{file:?} {options:?}");
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!((got.width(), got.height()), (expected.width(), expected.height()), "{file:?}");
            let sum: u64 = got.data().iter().zip(expected.data()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = sum as f64 / got.data().len() as f64;
            assert!(mean <= 2.0, "{file:?} at {}: {mean} levels", got.time());
            worst = worst.max(mean);
        }
        let kinds = |warnings: &[Warning]| warnings.iter().map(std::mem::discriminant).collect::<Vec<_>>();
        assert_eq!(kinds(&also_told), kinds(&told), "{file:?} {told:?} {also_told:?}");
    }
    println!("{}: {worst} levels at most", file.display());
}

#[cfg(feature = "linked")]
#[test]
fn both_ways_give_the_same_frames() {
    let folder = Folder::new("both");
    let vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "30", "-b:v", "0"];
    let late = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "12", "-pix_fmt", "yuv420p"];
    let variable = "setpts='if(lt(N,30),N/30,1+(N-30)/7)/TB'";
    let passthrough = Tools::of_environment().passthrough().unwrap();
    let all: [(&str, Vec<&str>); 9] = [
        ("h264.mp4", late.to_vec()),
        ("h264.ts", late.to_vec()),
        ("h264.mkv", [&["-output_ts_offset", "2.5"][..], &late].concat()),
        ("raw.h264", late.to_vec()),
        ("vp9.webm", vp9.to_vec()),
        ("picture.gif", vec![]),
        (
            "variable.mp4",
            [&["-vf", variable, passthrough, "passthrough", "-enc_time_base", "1:600"][..], &late].concat(),
        ),
        ("odd.mkv", vec!["-vf", "scale=37:23", "-c:v", "ffv1", "-pix_fmt", "yuv420p"]),
        ("anamorphic.mp4", [&["-vf", "setsar=64/45"][..], &late].concat()),
    ];
    for (name, arguments) in all {
        let file = folder.file(name);
        render(&file, 75, "25", &arguments);
        check_that_both_agree(&file);
    }
    for (name, matrix) in [
        ("90.mp4", [0, 0x1_0000, 0, -0x1_0000, 0, 0]),
        ("180.mp4", [-0x1_0000, 0, 0, 0, -0x1_0000, 0]),
        ("270.mp4", [0, -0x1_0000, 0, 0x1_0000, 0, 0]),
        ("mirrored.mp4", [-0x1_0000, 0, 0, 0, 0x1_0000, 0]),
    ] {
        let file = folder.file(name);
        turn(&folder.file("h264.mp4"), &file, matrix);
        check_that_both_agree(&file);
    }
    let cut = folder.file("cut.mp4");
    render(&cut, 150, "25", &[&["-movflags", "+faststart"][..], &late].concat());
    let data = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &data[..data.len() * 6 / 10]).unwrap();
    check_that_both_agree(&cut);
}
