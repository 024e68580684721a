//! Damage, limits and cancelling.

use std::time::{Duration, Instant};

use super::*;

tests_of_each_backend! {
    a_lost_tail_is_a_warning,
    limits_and_cancelling_end_soon,
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
    let (frames, warnings) = read(by, &cut, each_second());
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
    // The frames that are there decide how densely they are sampled, not the length that the header
    // promises.
    let (all, _) = read(by, &cut, sampled(Sampling::All));
    let (dense, also_told) = read(by, &cut, Options::default());
    let times: Vec<f64> = all.iter().map(Frame::pts).collect();
    let (rate, expected) = adaptive(&times);
    assert_eq!(rate, if times.last() < Some(&7.5) { 8.0 } else { 4.0 });
    assert_eq!(dense.iter().map(|f| number(f) as usize).collect::<Vec<_>>(), expected);
    assert!(matches!(also_told[..], [Warning::Lost { .. }]), "{also_told:?}");
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
    let (frames, warnings) = read(by, &cut, each_second());
    assert_eq!(frames.len(), 10);
    assert_eq!(number(&frames[9]), 225);
    assert!(matches!(warnings[..], [Warning::Damaged { .. }]), "{warnings:?}");
}

fn limits_and_cancelling_end_soon(by: &Backend) {
    let folder = Folder::new("limits");
    let file = folder.file("video.mp4");
    // Longer than what is sampled more densely.
    render(&file, 775, "25", &H264);
    let options = Options { limits: Limits { frames: 3, ..Limits::default() }, ..Options::default() };
    for sampling in [Sampling::Adaptive, Sampling::Fps(1.0)] {
        let (frames, warnings) = read(by, &file, Options { sampling, ..options.clone() });
        assert_eq!(frames.iter().map(number).collect::<Vec<_>>(), [0, 25, 50]);
        assert_eq!(warnings, [Warning::FrameLimit { frames: 3 }]);
    }
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
