//! Written files.

use super::*;

tests_of_each_backend! {
    writing,
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
