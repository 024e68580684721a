//! Which frames are taken, and their times.

use super::*;

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
    check_adaptive(by, file, &times);
}

/// As [`check_against_the_rule`], for the rate that follows from the times of all frames.
fn check_adaptive(by: &Backend, file: &Path, times: &[f64]) {
    let (frames, warnings) = read(by, file, Options::default());
    let (rate, expected) = adaptive(times);
    assert_eq!(warnings, []);
    assert_eq!(frames.iter().map(|f| number(f) as usize).collect::<Vec<_>>(), expected, "{file:?} at {rate}");
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!((frame.index(), frame.time()), (k as u64, k as f64 / rate), "{file:?} at {rate}");
        let repeats = k > 0 && number(frame) == number(&frames[k - 1]);
        assert_eq!(frame.is_repeat(), repeats, "{file:?} at {rate}");
    }
}

tests_of_each_backend! {
    steady_rates,
    videos_of_every_length,
    upstream_sampling_counts_frames,
    variable_rates,
    the_first_frame_counts_from_its_own_time,
    reading_from_the_middle,
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

fn videos_of_every_length(by: &Backend) {
    let folder = Folder::new("lengths");
    let file = folder.file("video.mp4");
    let check = |count: u32| {
        let (all, _) = read(by, &file, sampled(Sampling::All));
        assert_eq!(all.iter().map(number).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        check_adaptive(by, &file, &all.iter().map(Frame::pts).collect::<Vec<_>>());
    };
    for (rate, count) in
        [("25", 20), ("25", 94), ("25", 95), ("25", 150), ("25", 189), ("25", 376), ("60", 700), ("30000/1001", 500)]
    {
        render(&file, count, rate, &H264);
        check(count);
    }
    // A picture stays for over a second at the beginning, or across a length at which the rate
    // changes.
    for at in [0.5, 3.0, 7.0, 14.0] {
        let stamps = format!("setpts='if(lt(N,{at}*25),N/25,1.3+N/25)/TB'");
        let passthrough = Tools::of_environment().abilities().unwrap().passthrough;
        let mut arguments = vec!["-vf", &stamps, passthrough, "passthrough", "-enc_time_base", "1:100"];
        arguments.extend(H264);
        render(&file, 420, "25", &arguments);
        check(420);
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
            Tools::of_environment().abilities().unwrap().passthrough,
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
    let (frames, _) = read(by, &file, Options { start: 2.0, max_frames: Some(3), ..each_second() });
    assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), [50, 75, 100]);
    assert_eq!(frames.iter().map(Frame::time).collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
    // Four seconds are left.
    let (frames, _) = read(by, &file, Options { start: 2.0, max_frames: Some(3), ..Options::default() });
    assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), [50, 53, 56]);
    assert_eq!(frames.iter().map(Frame::time).collect::<Vec<_>>(), [2.0, 2.125, 2.25]);
}
