//! Which files can be read, under which names.

use std::ffi::OsString;

use super::*;

tests_of_each_backend! {
    other_containers_and_codecs,
    a_single_frame,
    what_is_no_video_is_refused_with_its_name,
    playlists_and_patterns_open_nothing_else,
    odd_names,
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
