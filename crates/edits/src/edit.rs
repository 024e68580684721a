//! Edits of clips, with all their parameters and their exact time alignment.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::clip::Clip;
use crate::colour::Grade;
use crate::draw::{Sticker, Text};
use crate::procedural::log_uniform;
use crate::warp::Border;
use crate::{EditError, Pcg64};

/// A stretch of an edited clip and the stretch of the source that it shows, both `[start, end]` in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// In the source; rising also where the edited clip runs backwards.
    pub source: [f64; 2],
    /// In the edited clip.
    pub edited: [f64; 2],
    /// The source's end is at the edited stretch's start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reversed: bool,
}

impl Segment {
    /// The source's time that is shown at `time` of the edited clip, which should lie in the edited stretch.
    pub fn source_time(&self, time: f64) -> f64 {
        let length = self.edited[1] - self.edited[0];
        let share = if length > 0.0 { (time - self.edited[0]) / length } else { 0.0 };
        let share = if self.reversed { 1.0 - share } else { share };
        self.source[0] + (self.source[1] - self.source[0]) * share
    }

    /// The edited clip's time that shows `time` of the source, which should lie in the source's stretch.
    pub fn edited_time(&self, time: f64) -> f64 {
        let length = self.source[1] - self.source[0];
        let share = if length > 0.0 { (time - self.source[0]) / length } else { 0.0 };
        let share = if self.reversed { 1.0 - share } else { share };
        self.edited[0] + (self.edited[1] - self.edited[0]) * share
    }
}

/// What sampling needs to know of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceFacts {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Length in seconds.
    pub duration: f64,
}

impl SourceFacts {
    /// The facts of a clip.
    pub fn of(clip: &dyn Clip) -> Self {
        let (width, height) = clip.size();
        Self { width, height, duration: clip.duration() }
    }
}

/// A subtitle: a text that is shown for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subtitle {
    /// When it appears, in seconds of the clip that is edited.
    pub from: f64,
    /// When it goes.
    pub to: f64,
    /// What it says.
    pub text: Text,
}

/// An edit of a clip. Areas `[x0, y0, x1, y1]` and points are shares (0 to 1) of a frame's sides, times are seconds of
/// the clip that is edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Only a part of the frame.
    Crop {
        /// What is kept.
        area: [f32; 4],
    },
    /// Left and right exchanged, then cropped.
    Flip {
        /// What is kept of the mirrored frame.
        area: [f32; 4],
    },
    /// Turned about the middle.
    Rotation {
        /// Radians, within -pi to pi.
        angle: f32,
        /// Enlarged by this, 0.2 to 5.
        zoom: f32,
        /// What shows in the corners.
        border: Border,
    },
    /// Seen from aside.
    Perspective {
        /// Where the frame's corners go, from the top left clockwise.
        corners: [[f32; 2]; 4],
        /// What shows outside.
        border: Border,
    },
    /// The clip as an inset in another clip (needs a host).
    PictureInPicture {
        /// The inset fits into this share of the host's sides.
        side: f32,
        /// The inset's middle in the host, moved inwards where it would stick out.
        centre: [f32; 2],
        /// A frame around it: its width over the host's height, and its colour.
        frame: Option<(f32, [u8; 3])>,
        /// 0 to 1, 1 covers the host.
        alpha: f32,
    },
    /// Another clip as an inset over the clip (needs a host).
    OverlayInset {
        /// The inset fits into this share of the sides.
        side: f32,
        /// The inset's middle, moved inwards where it would stick out.
        centre: [f32; 2],
        /// Within an ellipse, as web cameras are shown.
        round: bool,
    },
    /// On a canvas of another aspect, filled with an enlarged, blurred copy.
    BlurredFill {
        /// The canvas' width over its height, 0.2 to 5.
        aspect: f32,
        /// The picture is enlarged by this beyond what fits, 0.3 to 3.
        zoom: f32,
        /// The picture's place along the free axis, 0 to 1, 0.5 is the middle.
        place: f32,
        /// The fill is darkened by this, 0 to 1.
        darkness: f32,
    },
    /// Other colours.
    Colour {
        /// The change.
        grade: Grade,
    },
    /// Lines of text, subtitles and logos.
    TextLogo {
        /// Texts that stay.
        texts: Vec<Text>,
        /// Texts that come and go.
        subtitles: Vec<Subtitle>,
        /// Figures that stay.
        logos: Vec<Sticker>,
    },
    /// A frame around the picture, letterbox or pillarbox.
    Border {
        /// The widths at the left, top, right and bottom over the picture's width or height, 0 to 2.
        margins: [f32; 4],
        /// The colour.
        colour: [u8; 3],
    },
    /// Shown on a screen that is filmed by hand.
    FilmedScreen(FilmedScreen),
    /// Smaller and coded badly.
    Recompress {
        /// Factor on the sides, 0.1 to 1.
        scale: f32,
        /// JPEG quality of the losses in the pixels, 1 to 100.
        quality: u8,
        /// For the writer of the video: the constant rate factor of H.264, 0 to 51.
        crf: u8,
    },
    /// Blocks of one colour.
    Pixelation {
        /// Size of the coarse image over that of the frame, 0.02 to 1.
        factor: f32,
    },
    /// Out of focus.
    Blur {
        /// Standard deviation over the height, 0 to 0.2.
        sigma: f32,
    },
    /// Grain, other in every frame.
    Noise {
        /// Standard deviation in 255ths, 0 to 128.
        sigma: f32,
        /// The same in all channels.
        grey: bool,
        /// The seed.
        seed: u64,
    },
    /// Dark lines and corners, as of an old screen.
    ScanLines {
        /// Rows from line to line, 1 to 100.
        period: f32,
        /// How dark the lines are, 0 to 1.
        strength: f32,
        /// How dark the corners are, 0 to 1.
        vignette: f32,
    },
    /// Another clip shines through (needs a host).
    Blend {
        /// How much of it, 0 to 1.
        alpha: f32,
    },
    /// Faster or slower.
    Speed {
        /// 0.1 to 10, above 1 is faster.
        factor: f64,
    },
    /// Only a part of the clip.
    Trim {
        /// The start.
        from: f64,
        /// The end.
        to: f64,
    },
    /// A part of the clip within another clip (needs a host).
    Excerpt {
        /// The part's start.
        from: f64,
        /// The part's end.
        to: f64,
        /// The host's time at the start of the result.
        host_from: f64,
        /// Seconds of the host before the part, 0 to 3600.
        before: f64,
        /// Seconds of the host behind the part, 0 to 3600; it goes on where it was left, and starts again at its end.
        after: f64,
    },
    /// Backwards.
    Reverse,
    /// Frames are dropped: each is held longer.
    FrameDrop {
        /// Frames a second that remain, 0.1 to 60.
        fps: f64,
    },
    /// Several edits, one after the other.
    Chain {
        /// The first is made first; at most 16.
        edits: Vec<Edit>,
    },
}

/// A screen that shows the clip, filmed by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilmedScreen {
    /// Width over height of the film, 0.2 to 5.
    pub aspect: f32,
    /// Where the screen's corners are in the film, from the top left clockwise.
    pub corners: [[f32; 2]; 4],
    /// Width of the screen's frame over the film's height, 0 to 0.5, and its colour.
    pub bezel: (f32, [u8; 3]),
    /// How far the hand moves, over the film's sides, 0 to 0.2.
    pub jitter: f32,
    /// Strength of the moire, 0 to 1.
    pub moire: f32,
    /// Its waves a pixel across and down.
    pub wave: [f32; 2],
    /// Darkness of the corners, 0 to 1.
    pub vignette: f32,
    /// Standard deviation of the noise in 255ths, 0 to 128.
    pub noise: f32,
    /// The camera's colours.
    pub grade: Grade,
    /// Seed of the room, the hand and the noise.
    pub seed: u64,
}

/// The kinds of edits that can be sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants of `Edit` say what each is")]
pub enum Kind {
    Crop,
    Flip,
    Rotation,
    Perspective,
    PictureInPicture,
    OverlayInset,
    BlurredFill,
    Colour,
    Grey,
    Sepia,
    TextLogo,
    Border,
    FilmedScreen,
    Recompress,
    Pixelation,
    Blur,
    Noise,
    ScanLines,
    Blend,
    Speed,
    Trim,
    Excerpt,
    Reverse,
    FrameDrop,
}

/// What a kind is for in a chain: of each stage at most one is sampled, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Time,
    Place,
    Colour,
    Cover,
    Canvas,
    Decay,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 24] = [
        Self::Crop,
        Self::Flip,
        Self::Rotation,
        Self::Perspective,
        Self::PictureInPicture,
        Self::OverlayInset,
        Self::BlurredFill,
        Self::Colour,
        Self::Grey,
        Self::Sepia,
        Self::TextLogo,
        Self::Border,
        Self::FilmedScreen,
        Self::Recompress,
        Self::Pixelation,
        Self::Blur,
        Self::Noise,
        Self::ScanLines,
        Self::Blend,
        Self::Speed,
        Self::Trim,
        Self::Excerpt,
        Self::Reverse,
        Self::FrameDrop,
    ];

    /// The name that stands in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crop => "crop",
            Self::Flip => "flip",
            Self::Rotation => "rotation",
            Self::Perspective => "perspective",
            Self::PictureInPicture => "picture_in_picture",
            Self::OverlayInset => "overlay_inset",
            Self::BlurredFill => "blurred_fill",
            Self::Colour => "colour",
            Self::Grey => "grey",
            Self::Sepia => "sepia",
            Self::TextLogo => "text_logo",
            Self::Border => "border",
            Self::FilmedScreen => "filmed_screen",
            Self::Recompress => "recompress",
            Self::Pixelation => "pixelation",
            Self::Blur => "blur",
            Self::Noise => "noise",
            Self::ScanLines => "scan_lines",
            Self::Blend => "blend",
            Self::Speed => "speed",
            Self::Trim => "trim",
            Self::Excerpt => "excerpt",
            Self::Reverse => "reverse",
            Self::FrameDrop => "frame_drop",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether edits of this kind need a host clip.
    pub fn needs_host(self) -> bool {
        matches!(self, Self::PictureInPicture | Self::OverlayInset | Self::Blend | Self::Excerpt)
    }

    fn stage(self) -> Stage {
        match self {
            Self::Speed | Self::Trim | Self::Excerpt | Self::Reverse | Self::FrameDrop => Stage::Time,
            Self::Crop | Self::Flip | Self::Rotation | Self::Perspective => Stage::Place,
            Self::Colour | Self::Grey | Self::Sepia | Self::Blend => Stage::Colour,
            Self::TextLogo | Self::OverlayInset => Stage::Cover,
            Self::PictureInPicture | Self::BlurredFill | Self::Border | Self::FilmedScreen => Stage::Canvas,
            Self::Recompress | Self::Pixelation | Self::Blur | Self::Noise | Self::ScanLines => Stage::Decay,
        }
    }
}

/// A value between `mild` and `strong`, near the share `strength` of the way.
fn vary(rng: &mut Pcg64, strength: f32, mild: f32, strong: f32) -> f32 {
    let share = (strength + rng.random_range(-0.3..=0.3)).clamp(0.0, 1.0);
    mild + (strong - mild) * share
}

fn sign(rng: &mut Pcg64) -> f32 {
    if rng.random_bool(0.5) { 1.0 } else { -1.0 }
}

/// An area of this share of the frame at a random place; its aspect is the frame's times up to exp(`stretch`).
fn area(rng: &mut Pcg64, share: f32, stretch: f32) -> [f32; 4] {
    let stretch = rng.random_range(-stretch..=stretch).exp().sqrt();
    let (width, height) = ((share.sqrt() * stretch).min(1.0), (share.sqrt() / stretch).min(1.0));
    let x = rng.random_range(0.0..=1.0 - width);
    let y = rng.random_range(0.0..=1.0 - height);
    [x, y, (x + width).min(1.0), (y + height).min(1.0)]
}

fn border(rng: &mut Pcg64) -> Border {
    match rng.random_range(0..4) {
        0 => Border::Mirror,
        1 => Border::Constant(rng.random()),
        _ => Border::Constant([0; 3]),
    }
}

fn frame_colour(rng: &mut Pcg64) -> [u8; 3] {
    match rng.random_range(0..3) {
        0 => [255; 3],
        1 => [rng.random(); 3],
        _ => rng.random(),
    }
}

/// Rounded down to milliseconds, so that files show short numbers that are read back exactly.
fn short(time: f64) -> f64 {
    (time * 1000.0).floor() / 1000.0
}

/// A part of this length of a clip, in whole milliseconds unless it is very short.
fn part(rng: &mut Pcg64, duration: f64, length: f64) -> [f64; 2] {
    let from = rng.random_range(0.0..=(duration - length).max(0.0));
    let to = (from + length).min(duration);
    let rounded = [short(from), short(to)];
    if rounded[1] - rounded[0] > 0.01 { rounded } else { [from, to] }
}

/// The middle of an inset: mostly in a corner.
fn inset_centre(rng: &mut Pcg64) -> [f32; 2] {
    if rng.random_bool(0.6) {
        std::array::from_fn(
            |_| if rng.random_bool(0.5) { rng.random_range(0.0..0.3) } else { rng.random_range(0.7..1.0) },
        )
    } else {
        std::array::from_fn(|_| rng.random_range(0.2..0.8))
    }
}

fn grade(rng: &mut Pcg64, strength: f32) -> Grade {
    let mut grade = Grade { contrast: 1.0 + sign(rng) * vary(rng, strength, 0.05, 0.45), ..Grade::default() };
    grade.brightness = sign(rng) * vary(rng, strength, 3.0, 45.0);
    match rng.random_range(0..3) {
        0 => grade.saturation = 1.0 + vary(rng, strength, 0.1, 0.9),
        1 => grade.saturation = 1.0 - vary(rng, strength, 0.1, 0.9),
        _ => {}
    }
    if rng.random_bool(0.6) {
        grade.gains = std::array::from_fn(|_| 1.0 + sign(rng) * vary(rng, strength, 0.02, 0.25));
    }
    if rng.random_bool(0.6) {
        grade.gamma = (sign(rng) * vary(rng, strength, 0.05, 0.6)).exp();
    }
    if rng.random_bool(0.25) {
        grade.hue = sign(rng) * vary(rng, strength, 0.05, 0.5);
    }
    grade
}

fn text_logo(rng: &mut Pcg64, strength: f32, facts: &SourceFacts) -> Edit {
    let aspect = facts.width as f32 / facts.height.max(1) as f32;
    let count = 1 + (vary(rng, strength, 0.0, 2.0).round() as usize);
    let texts = (0..count)
        .map(|_| {
            let size = vary(rng, strength, 0.05, 0.16);
            let mut text = Text::sample(rng, size);
            text.fit(aspect, 0.9);
            text
        })
        .collect();
    let mut subtitles = Vec::new();
    if rng.random_bool(0.5) {
        let size = vary(rng, strength, 0.045, 0.08);
        let mut face = Text::sample(rng, size);
        face = Text { centre: [0.5, 0.9], angle: 0.0, alpha: 1.0, outline: Some([0; 3]), ..face };
        face.colour = if rng.random_bool(0.7) { [255; 3] } else { [250, 235, 60] };
        let mut from = short(rng.random_range(0.0..1.0));
        while from < facts.duration && subtitles.len() < 500 {
            let to = short(from + rng.random_range(1.0..3.5));
            let words = rng.random_range(2..=6);
            let mut text = face.clone();
            text.text = (0..words).map(|_| crate::draw::word(rng)).collect::<Vec<_>>().join(" ");
            text.fit(aspect, 0.94);
            subtitles.push(Subtitle { from, to, text });
            from = short(to + rng.random_range(0.1..1.5));
        }
    }
    let logos = (0..rng.random_range(1..=2))
        .map(|_| {
            let size = vary(rng, strength, 0.08, 0.3);
            let mut sticker = Sticker::sample(rng, size);
            if rng.random_bool(0.6) {
                sticker.centre = [0, 1].map(|_| if rng.random_bool(0.5) { 0.12 } else { 0.88 });
            }
            sticker
        })
        .collect();
    Edit::TextLogo { texts, subtitles, logos }
}

fn filmed_screen(rng: &mut Pcg64, strength: f32, facts: &SourceFacts) -> Edit {
    let shape = facts.width as f32 / facts.height.max(1) as f32;
    // Mostly a film of about the clip's own shape; seldom an upright film of a wide screen, or the other way round.
    let aspects = [shape, shape, 16.0 / 9.0, 4.0 / 3.0, if shape > 1.0 { 1.0 } else { 3.0 / 4.0 }, 9.0 / 16.0];
    let aspect = aspects[rng.random_range(0..aspects.len())].clamp(0.3, 3.0);
    // The screen has the clip's shape in pixels of the film.
    let size = vary(rng, strength, 0.95, 0.65);
    let (width, height) = if shape > aspect { (size, size * aspect / shape) } else { (size * shape / aspect, size) };
    let shift = [rng.random_range(-0.5..0.5) * (1.0 - width), rng.random_range(-0.5..0.5) * (1.0 - height)];
    let angle = sign(rng) * vary(rng, strength, 0.0, 0.1);
    let (sin, cos) = angle.sin_cos();
    let bend = vary(rng, strength, 0.02, 0.12);
    // One side is further away.
    let tilt = [sign(rng) * bend * rng.random_range(0.3..1.0), sign(rng) * bend * rng.random_range(0.3..1.0)];
    let corners = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5f32]].map(|[x, y]: [f32; 2]| {
        let near = 1.0 + tilt[0] * x * 2.0 + tilt[1] * y * 2.0;
        let (x, y) = (x * width * near * aspect, y * height * near);
        let (x, y) = (x * cos - y * sin, x * sin + y * cos);
        [x / aspect + 0.5 + shift[0] * 0.8, y + 0.5 + shift[1] * 0.8]
    });
    let dark = if rng.random_bool(0.8) { rng.random_range(5..45u8) } else { rng.random_range(150..220u8) };
    Edit::FilmedScreen(FilmedScreen {
        aspect,
        corners,
        bezel: (rng.random_range(0.0..0.06), [dark; 3]),
        jitter: vary(rng, strength, 0.001, 0.012),
        moire: if rng.random_bool(0.75) { vary(rng, strength, 0.02, 0.12) } else { 0.0 },
        wave: [rng.random_range(-0.3..0.3), rng.random_range(-0.3..0.3)],
        vignette: vary(rng, strength, 0.05, 0.6),
        noise: vary(rng, strength, 1.0, 9.0),
        grade: Grade {
            contrast: rng.random_range(0.7..1.1),
            brightness: rng.random_range(-20.0..30.0),
            gains: std::array::from_fn(|_| rng.random_range(0.88..1.12)),
            ..Grade::default()
        },
        seed: rng.random(),
    })
}

impl Edit {
    /// A random edit of this kind for a clip of these facts; `strength` 0 (mild) to 1 (strong) moves its parameters.
    pub fn sample(rng: &mut Pcg64, kind: Kind, strength: f32, facts: &SourceFacts) -> Self {
        let strength = if strength.is_finite() { strength.clamp(0.0, 1.0) } else { 0.5 };
        let duration = if facts.duration.is_finite() { facts.duration.max(1e-3) } else { 1.0 };
        let facts = &SourceFacts { duration, ..*facts };
        let shape = facts.width.max(1) as f32 / facts.height.max(1) as f32;
        match kind {
            Kind::Crop => {
                let share = vary(rng, strength, 0.9, 0.4);
                Self::Crop { area: area(rng, share, 0.25) }
            }
            Kind::Flip => {
                let share = vary(rng, strength, 1.0, 0.65);
                Self::Flip { area: area(rng, share, 0.15) }
            }
            Kind::Rotation => {
                let angle = sign(rng) * vary(rng, strength, 5.0, 25.0).to_radians();
                Self::Rotation { angle, zoom: rng.random_range(1.0..1.35), border: border(rng) }
            }
            Kind::Perspective => {
                let reach = vary(rng, strength, 0.05, 0.18);
                let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
                    .map(|corner: [f32; 2]| corner.map(|value| value + rng.random_range(-reach..=reach)));
                Self::Perspective { corners, border: border(rng) }
            }
            Kind::PictureInPicture => Self::PictureInPicture {
                side: vary(rng, strength, 0.6, 0.3),
                centre: inset_centre(rng),
                frame: rng.random_bool(0.3).then(|| (rng.random_range(0.005..0.02), frame_colour(rng))),
                alpha: if rng.random_bool(0.1) { rng.random_range(0.8..1.0) } else { 1.0 },
            },
            Kind::OverlayInset => Self::OverlayInset {
                side: vary(rng, strength, 0.2, 0.4),
                centre: inset_centre(rng),
                round: rng.random_bool(0.2),
            },
            Kind::BlurredFill => Self::BlurredFill {
                aspect: if shape >= 1.0 { if rng.random_bool(0.75) { 9.0 / 16.0 } else { 1.0 } } else { 16.0 / 9.0 },
                zoom: vary(rng, 1.0 - strength, 1.0, 1.5),
                place: if rng.random_bool(0.7) { 0.5 } else { rng.random_range(0.2..0.8) },
                darkness: rng.random_range(0.0..0.5),
            },
            Kind::Colour => Self::Colour { grade: grade(rng, strength) },
            Kind::Grey => {
                let contrast = 1.0 + sign(rng) * vary(rng, strength, 0.0, 0.3);
                Self::Colour { grade: Grade { contrast, ..Grade::grey() } }
            }
            Kind::Sepia => {
                let sepia = vary(rng, strength, 0.6, 1.0);
                Self::Colour { grade: Grade { sepia, contrast: rng.random_range(0.8..1.2), ..Grade::default() } }
            }
            Kind::TextLogo => text_logo(rng, strength, facts),
            Kind::Border => {
                let (margins, colour) = match rng.random_range(0..3) {
                    0 => {
                        let bar = vary(rng, strength, 0.08, 0.4);
                        ([0.0, bar, 0.0, bar], [0; 3])
                    }
                    1 => {
                        let bar = vary(rng, strength, 0.08, 0.4);
                        ([bar, 0.0, bar, 0.0], [0; 3])
                    }
                    _ => {
                        let widths = [0; 4].map(|_| vary(rng, strength, 0.03, 0.22));
                        let even = rng.random_bool(0.6);
                        (if even { [widths[0]; 4] } else { widths }, frame_colour(rng))
                    }
                };
                Self::Border { margins, colour }
            }
            Kind::FilmedScreen => filmed_screen(rng, strength, facts),
            Kind::Recompress => Self::Recompress {
                scale: vary(rng, strength, 0.7, 0.4),
                quality: vary(rng, strength, 40.0, 10.0) as u8,
                crf: vary(rng, strength, 32.0, 41.0) as u8,
            },
            Kind::Pixelation => Self::Pixelation { factor: vary(rng, strength, 0.5, 0.2) },
            Kind::Blur => Self::Blur { sigma: vary(rng, strength, 0.005, 0.022) },
            Kind::Noise => {
                Self::Noise { sigma: vary(rng, strength, 5.0, 28.0), grey: rng.random_bool(0.5), seed: rng.random() }
            }
            Kind::ScanLines => Self::ScanLines {
                period: rng.random_range(2.0..6.0),
                strength: vary(rng, strength, 0.1, 0.45),
                vignette: vary(rng, strength, 0.1, 0.8),
            },
            Kind::Blend => Self::Blend { alpha: vary(rng, strength, 0.12, 0.4) },
            Kind::Speed => {
                let reach = f64::from(vary(rng, strength, 0.15, std::f32::consts::LN_2));
                Self::Speed { factor: short((f64::from(sign(rng)) * reach).exp()) }
            }
            Kind::Trim => {
                let length = duration * f64::from(vary(rng, strength, 0.85, 0.35));
                let [from, to] = part(rng, duration, length);
                Self::Trim { from, to }
            }
            Kind::Excerpt => {
                let length = duration * f64::from(vary(rng, strength, 0.7, 0.3));
                let [from, to] = part(rng, duration, length);
                // The host takes as much time again, up to four times as much.
                let around = length * f64::from(vary(rng, strength, 0.8, 4.0));
                let before = around * rng.random_range(0.1..0.9);
                Self::Excerpt {
                    from,
                    to,
                    host_from: short(rng.random_range(0.0..5.0)),
                    before: short(before.min(3600.0)),
                    after: short((around - before).min(3600.0)),
                }
            }
            Kind::Reverse => Self::Reverse,
            Kind::FrameDrop => Self::FrameDrop { fps: short(f64::from(log_uniform(rng, 1.0, 8.0))) },
        }
    }

    /// A chain of `count` edits of different stages (time, place, colour, covers, canvas, decay), in this order; at
    /// most one of them needs a host. `count` 1 to 6.
    pub fn sample_chain(rng: &mut Pcg64, count: usize, strength: f32, facts: &SourceFacts) -> Self {
        let mut kinds: Vec<Kind> = Vec::new();
        for _ in 0..1000 {
            if kinds.len() >= count.clamp(1, 6) {
                break;
            }
            let kind = Kind::ALL[rng.random_range(0..Kind::ALL.len())];
            let taken =
                kinds.iter().any(|other| other.stage() == kind.stage() || (other.needs_host() && kind.needs_host()));
            if !taken {
                kinds.push(kind);
            }
        }
        kinds.sort_by_key(|kind| kind.stage());
        let mut facts = *facts;
        let mut edits = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let edit = Self::sample(rng, kind, strength, &facts);
            facts.duration = edit.duration(facts.duration);
            if let Some((width, height)) = edit.size((facts.width, facts.height), None) {
                (facts.width, facts.height) = (width, height);
            }
            edits.push(edit);
        }
        Self::Chain { edits }
    }

    /// The name of the edit's kind; `chain` for several.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crop { .. } => "crop",
            Self::Flip { .. } => "flip",
            Self::Rotation { .. } => "rotation",
            Self::Perspective { .. } => "perspective",
            Self::PictureInPicture { .. } => "picture_in_picture",
            Self::OverlayInset { .. } => "overlay_inset",
            Self::BlurredFill { .. } => "blurred_fill",
            Self::Colour { .. } => "colour",
            Self::TextLogo { .. } => "text_logo",
            Self::Border { .. } => "border",
            Self::FilmedScreen(_) => "filmed_screen",
            Self::Recompress { .. } => "recompress",
            Self::Pixelation { .. } => "pixelation",
            Self::Blur { .. } => "blur",
            Self::Noise { .. } => "noise",
            Self::ScanLines { .. } => "scan_lines",
            Self::Blend { .. } => "blend",
            Self::Speed { .. } => "speed",
            Self::Trim { .. } => "trim",
            Self::Excerpt { .. } => "excerpt",
            Self::Reverse => "reverse",
            Self::FrameDrop { .. } => "frame_drop",
            Self::Chain { .. } => "chain",
        }
    }

    /// How many host clips the edit needs: one for each edit that brings in another clip.
    pub fn hosts(&self) -> usize {
        match self {
            Self::PictureInPicture { .. } | Self::OverlayInset { .. } | Self::Blend { .. } | Self::Excerpt { .. } => 1,
            Self::Chain { edits } => edits.iter().map(Self::hosts).sum(),
            _ => 0,
        }
    }

    /// The H.264 constant rate factor that the edited clip should be written with, where the edit asks for one: the
    /// worst of a chain.
    pub fn crf(&self) -> Option<u8> {
        match self {
            Self::Recompress { crf, .. } => Some(*crf),
            Self::Chain { edits } => edits.iter().filter_map(Self::crf).max(),
            _ => None,
        }
    }

    /// The frames a second that the edited clip keeps, where the edit drops frames: the least of a chain.
    pub fn fps(&self) -> Option<f64> {
        match self {
            Self::FrameDrop { fps } => Some(*fps),
            Self::Chain { edits } => edits.iter().filter_map(Self::fps).reduce(f64::min),
            _ => None,
        }
    }

    /// The length of the edited clip made of `duration` seconds.
    pub fn duration(&self, duration: f64) -> f64 {
        match self {
            Self::Speed { factor } => duration / factor,
            Self::Trim { from, to } => (to.min(duration) - from).max(0.0),
            Self::Excerpt { from, to, before, after, .. } => before + (to.min(duration) - from).max(0.0) + after,
            Self::Chain { edits } => edits.iter().fold(duration, |duration, edit| edit.duration(duration)),
            _ => duration,
        }
    }

    /// The stretches of the edited clip that show the source, whose length is `duration` seconds, in the order of the
    /// edited clip. Stretches without source (a host's) are left out; a chain composes.
    pub fn segments(&self, duration: f64) -> Vec<Segment> {
        let one = |source: [f64; 2], edited: [f64; 2], reversed| vec![Segment { source, edited, reversed }];
        match self {
            Self::Speed { factor } => one([0.0, duration], [0.0, duration / factor], false),
            Self::Trim { from, to } => {
                let to = to.min(duration).max(*from);
                one([*from, to], [0.0, to - from], false)
            }
            Self::Excerpt { from, to, before, .. } => {
                let to = to.min(duration).max(*from);
                one([*from, to], [*before, before + to - from], false)
            }
            Self::Reverse => one([0.0, duration], [0.0, duration], true),
            Self::Chain { edits } => {
                let mut segments = one([0.0, duration], [0.0, duration], false);
                let mut length = duration;
                for edit in edits {
                    segments = compose(&segments, &edit.segments(length));
                    length = edit.duration(length);
                }
                segments
            }
            _ => one([0.0, duration], [0.0, duration], false),
        }
    }

    /// The size of the edited clip made of frames of `size`, in an edit that needs a host with the host's size
    /// (`None`: taken to be the same). Sides are even. Nothing for a size outside the limits of images.
    pub fn size(&self, size: (u32, u32), host: Option<(u32, u32)>) -> Option<(u32, u32)> {
        let (width, height) = (size.0 as f32, size.1 as f32);
        let (width, height) = match self {
            Self::Crop { area } | Self::Flip { area } => (width * (area[2] - area[0]), height * (area[3] - area[1])),
            Self::PictureInPicture { .. } | Self::Excerpt { .. } => {
                let host = host.unwrap_or(size);
                (host.0 as f32, host.1 as f32)
            }
            Self::BlurredFill { aspect, .. } | Self::FilmedScreen(FilmedScreen { aspect, .. }) => {
                // The short side is the source's short side.
                let short = width.min(height);
                if *aspect >= 1.0 { (short * aspect, short) } else { (short, short / aspect) }
            }
            Self::Border { margins, .. } => {
                (width * (1.0 + margins[0] + margins[2]), height * (1.0 + margins[1] + margins[3]))
            }
            Self::Recompress { scale, .. } => (width * scale, height * scale),
            Self::Chain { edits } => {
                return edits.iter().try_fold(size, |size, edit| edit.size(size, host));
            }
            _ => (width, height),
        };
        let even = |side: f32| ((side * 0.5).round() as u32 * 2).max(2);
        let (width, height) = (even(width), even(height));
        let fits = width <= crate::MAX_SIDE
            && height <= crate::MAX_SIDE
            && u64::from(width) * u64::from(height) <= crate::MAX_PIXELS;
        fits.then_some((width, height))
    }

    /// Checks the parameters for a clip of `duration` seconds.
    ///
    /// # Errors
    /// [`EditError::Parameter`] for one outside its range.
    pub fn check(&self, duration: f64) -> Result<(), EditError> {
        let edit = self.name();
        let require = |good: bool, reason: &str| {
            if good { Ok(()) } else { Err(EditError::Parameter { edit, reason: reason.to_owned() }) }
        };
        let whole_area = |area: &[f32; 4]| {
            area.iter().all(|value| (0.0..=1.0).contains(value))
                && area[2] - area[0] >= 0.01
                && area[3] - area[1] >= 0.01
        };
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let near = |points: &[[f32; 2]; 4]| points.iter().flatten().all(|value| (-3.0..=4.0).contains(value));
        match self {
            Self::Crop { area } | Self::Flip { area } => {
                require(whole_area(area), "the area must be [x0, y0, x1, y1] within 0 to 1, rising by 0.01 or more")
            }
            Self::Rotation { angle, zoom, .. } => {
                require(angle.abs() <= std::f32::consts::PI, "the angle must be within -pi to pi")?;
                require((0.2..=5.0).contains(zoom), "the zoom must be 0.2 to 5")
            }
            Self::Perspective { corners, .. } => {
                require(near(corners) && convex(corners), "the corners must form a convex quadrangle near the frame")
            }
            Self::PictureInPicture { side, centre, frame, alpha } => {
                require((0.02..=1.0).contains(side), "the side must be 0.02 to 1")?;
                require(centre.iter().all(|&value| share(value)), "the centre must be within 0 to 1")?;
                require(
                    frame.is_none_or(|(width, _)| (0.0..=0.2).contains(&width)),
                    "the frame must be 0 to 0.2 wide",
                )?;
                require(share(*alpha), "alpha must be 0 to 1")
            }
            Self::OverlayInset { side, centre, .. } => {
                require((0.02..=1.0).contains(side), "the side must be 0.02 to 1")?;
                require(centre.iter().all(|&value| share(value)), "the centre must be within 0 to 1")
            }
            Self::BlurredFill { aspect, zoom, place, darkness } => {
                require((0.2..=5.0).contains(aspect), "the aspect must be 0.2 to 5")?;
                require((0.3..=3.0).contains(zoom), "the zoom must be 0.3 to 3")?;
                require(share(*place) && share(*darkness), "place and darkness must be 0 to 1")
            }
            Self::Colour { grade } => require(grade.is_valid(), "a number of the grade is out of range"),
            Self::TextLogo { texts, subtitles, logos } => {
                let few = texts.len() <= 100 && logos.len() <= 100 && subtitles.len() <= 10_000;
                require(few, "at most 100 texts, 100 logos and 10,000 subtitles")
            }
            Self::Border { margins, .. } => {
                require(margins.iter().all(|value| (0.0..=2.0).contains(value)), "the margins must be 0 to 2")
            }
            Self::FilmedScreen(screen) => {
                require((0.2..=5.0).contains(&screen.aspect), "the aspect must be 0.2 to 5")?;
                let corners = near(&screen.corners) && convex(&screen.corners);
                require(corners, "the corners must form a convex quadrangle near the frame")?;
                require((0.0..=0.5).contains(&screen.bezel.0), "the bezel must be 0 to 0.5 wide")?;
                require((0.0..=0.2).contains(&screen.jitter), "the jitter must be 0 to 0.2")?;
                require(share(screen.moire) && share(screen.vignette), "moire and vignette must be 0 to 1")?;
                require(screen.wave.iter().all(|value| value.abs() <= 10.0), "the waves must be within -10 to 10")?;
                require((0.0..=128.0).contains(&screen.noise), "the noise must be 0 to 128")?;
                require(screen.grade.is_valid(), "a number of the grade is out of range")
            }
            Self::Recompress { scale, quality, crf } => {
                require((0.1..=1.0).contains(scale), "the scale must be 0.1 to 1")?;
                require((1..=100).contains(quality), "the quality must be 1 to 100")?;
                require(*crf <= 51, "the crf must be 0 to 51")
            }
            Self::Pixelation { factor } => require((0.02..=1.0).contains(factor), "the factor must be 0.02 to 1"),
            Self::Blur { sigma } => require((0.0..=0.2).contains(sigma), "sigma must be 0 to 0.2"),
            Self::Noise { sigma, .. } => require((0.0..=128.0).contains(sigma), "sigma must be 0 to 128"),
            Self::ScanLines { period, strength, vignette } => {
                require((1.0..=100.0).contains(period), "the period must be 1 to 100")?;
                require(share(*strength) && share(*vignette), "strength and vignette must be 0 to 1")
            }
            Self::Blend { alpha } => require(share(*alpha), "alpha must be 0 to 1"),
            Self::Speed { factor } => require((0.1..=10.0).contains(factor), "the factor must be 0.1 to 10"),
            Self::Trim { from, to } => {
                let inside = *from >= 0.0 && *to <= duration + 1e-6 && to - from >= 1e-3;
                require(inside, "from and to must rise by 1 ms or more within the clip")
            }
            Self::Excerpt { from, to, host_from, before, after } => {
                let inside = *from >= 0.0 && *to <= duration + 1e-6 && to - from >= 1e-3;
                require(inside, "from and to must rise by 1 ms or more within the clip")?;
                let host = (0.0..=3600.0).contains(before) && (0.0..=3600.0).contains(after);
                require(host && *host_from >= 0.0 && host_from.is_finite(), "the host's times must be 0 to 3600 s")
            }
            Self::FrameDrop { fps } => require((0.1..=60.0).contains(fps), "fps must be 0.1 to 60"),
            Self::Reverse => Ok(()),
            Self::Chain { edits } => {
                require(edits.len() <= 16, "a chain holds at most 16 edits")?;
                let flat = edits.iter().all(|edit| !matches!(edit, Self::Chain { .. }));
                require(flat, "a chain holds no chains, write its edits in a row")?;
                let mut length = duration;
                for edit in edits {
                    edit.check(length)?;
                    length = edit.duration(length);
                }
                Ok(())
            }
        }
    }
}

/// Whether the four points go round a convex quadrangle clockwise (in pixels, y down).
fn convex(points: &[[f32; 2]; 4]) -> bool {
    (0..4).all(|i| {
        let [a, b, c] = [points[i], points[(i + 1) % 4], points[(i + 2) % 4]];
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]) > 1e-4
    })
}

/// The segments of two edits one after the other: `first` from the source to a clip between, `second` from there.
pub fn compose(first: &[Segment], second: &[Segment]) -> Vec<Segment> {
    let mut out = Vec::new();
    for later in second {
        for earlier in first {
            let low = earlier.edited[0].max(later.source[0]);
            let high = earlier.edited[1].min(later.source[1]);
            if high - low <= 1e-9 {
                continue;
            }
            let mut source = [earlier.source_time(low), earlier.source_time(high)];
            let mut edited = [later.edited_time(low), later.edited_time(high)];
            source.sort_by(f64::total_cmp);
            edited.sort_by(f64::total_cmp);
            out.push(Segment { source, edited, reversed: earlier.reversed != later.reversed });
        }
    }
    out.sort_by(|a, b| a.edited[0].total_cmp(&b.edited[0]));
    out
}
