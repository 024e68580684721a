//! Both backends describe files alike and give the same frames.

use super::*;

/// What each way to FFmpeg says of a file and makes of it must be the same.
fn check_that_both_agree(file: &Path) {
    let process = Backend::Process(Tools::of_environment());
    assert_eq!(process.probe(file).unwrap(), Backend::Linked.probe(file).unwrap());
    let mut worst = 0f64;
    let small = Options { max_side: Some(24), ..Options::default() };
    let all = [
        sampled(Sampling::All),
        sampled(Sampling::Upstream),
        Options { threads: None, ..sampled(Sampling::Fps(3.7)) },
        Options { max_side: Some(24), ..each_second() },
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

#[test]
fn both_ways_give_the_same_frames() {
    let folder = Folder::new("both");
    let vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "30", "-b:v", "0"];
    let late = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "12", "-pix_fmt", "yuv420p"];
    let variable = "setpts='if(lt(N,30),N/30,1+(N-30)/7)/TB'";
    let passthrough = Tools::of_environment().abilities().unwrap().passthrough;
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
