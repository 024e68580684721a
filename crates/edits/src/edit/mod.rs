//! Edits of clips, with all their parameters and their exact time alignment.
//!
//! Each edit is a struct in the file of its family ([`frame`], [`overlay`], [`canvas`], [`screen`],
//! [`colour`], [`text`], [`decay`], [`time`]) with its parameters, their ranges, how they are sampled
//! and what it does to a frame. A new edit is such a struct and a row of the table in this file.

pub mod canvas;
pub mod chain;
pub mod colour;
pub mod decay;
pub mod frame;
pub(crate) mod operation;
pub mod overlay;
mod sample;
pub mod screen;
mod segments;
pub mod text;
pub mod time;

use serde::{Deserialize, Serialize};

use self::canvas::{BlurredFill, PlainBorder};
use self::chain::{Chain, Stage};
use self::colour::Colour;
use self::decay::{Blur, Noise, Pixelation, Recompress, ScanLines};
use self::frame::{Crop, Flip, Perspective, Rotation};
use self::operation::{Check, Operation};
use self::overlay::{Blend, OverlayInset, PictureInPicture};
pub use self::sample::SourceFacts;
use self::screen::FilmedScreen;
pub use self::segments::{Segment, compose};
use self::text::TextLogo;
use self::time::{Excerpt, FrameDrop, Reverse, Speed, Trim};
use crate::{EditError, Pcg64};

/// Makes [`Edit`] and [`Kind`] of the table below.
///
/// A row: variant and type of the edit, its name in files, how many hosts it needs, and the kinds
/// that are sampled as this edit, each with its name, its stage in a chain and its sampler.
macro_rules! edits {
    ($(
        $(#[$doc:meta])*
        $variant:ident($edit:ty), $name:literal, hosts $hosts:literal,
        [$($kind:ident $kind_name:literal $stage:ident $sample:path),+];
    )*) => {
        /// An edit of a clip.
        ///
        /// Areas `[x0, y0, x1, y1]` and points are shares (0 to 1) of a frame's sides, times are
        /// seconds of the clip that is edited.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
        pub enum Edit {
            $($(#[$doc])* $variant($edit),)*
            /// Several edits, one after the other.
            Chain(Chain),
        }

        impl Edit {
            /// The name of the edit's kind; `chain` for several.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                    Self::Chain(_) => "chain",
                }
            }

            /// How many host clips the edit needs: one for each edit that brings in another clip.
            pub fn hosts(&self) -> usize {
                match self {
                    $(Self::$variant(_) => $hosts,)*
                    Self::Chain(chain) => chain.edits.iter().map(Self::hosts).sum(),
                }
            }

            pub(crate) fn operation(&self) -> &dyn Operation {
                match self {
                    $(Self::$variant(edit) => edit,)*
                    Self::Chain(chain) => chain,
                }
            }

            fn sample_checked(rng: &mut Pcg64, kind: Kind, strength: f32, facts: &SourceFacts) -> Self {
                match kind {
                    $($(Kind::$kind => Self::$variant($sample(rng, strength, facts)),)+)*
                }
            }
        }

        $(impl From<$edit> for Edit {
            fn from(edit: $edit) -> Self {
                Self::$variant(edit)
            }
        })*

        impl From<Chain> for Edit {
            fn from(chain: Chain) -> Self {
                Self::Chain(chain)
            }
        }

        /// The kinds of edits that can be sampled.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "the variants of `Edit` say what each is")]
        pub enum Kind {
            $($($kind,)+)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: [Self; [$($($kind_name,)+)*].len()] = [$($(Self::$kind,)+)*];

            /// The name that stands in files.
            pub fn name(self) -> &'static str {
                match self {
                    $($(Self::$kind => $kind_name,)+)*
                }
            }

            /// Whether edits of this kind need a host clip.
            pub fn needs_host(self) -> bool {
                match self {
                    $($(Self::$kind => $hosts > 0,)+)*
                }
            }

            fn stage(self) -> Stage {
                match self {
                    $($(Self::$kind => Stage::$stage,)+)*
                }
            }
        }
    };
}

// The order is part of what a seed gives: chains draw kinds by their number.
edits! {
    /// Only a part of the frame.
    Crop(Crop), "crop", hosts 0, [Crop "crop" Place Crop::sample];
    /// Left and right exchanged, then cropped.
    Flip(Flip), "flip", hosts 0, [Flip "flip" Place Flip::sample];
    /// Turned about the middle.
    Rotation(Rotation), "rotation", hosts 0, [Rotation "rotation" Place Rotation::sample];
    /// Seen from aside.
    Perspective(Perspective), "perspective", hosts 0, [Perspective "perspective" Place Perspective::sample];
    /// The clip as an inset in another clip (needs a host).
    PictureInPicture(PictureInPicture), "picture_in_picture", hosts 1,
    [PictureInPicture "picture_in_picture" Canvas PictureInPicture::sample];
    /// Another clip as an inset over the clip (needs a host).
    OverlayInset(OverlayInset), "overlay_inset", hosts 1, [OverlayInset "overlay_inset" Cover OverlayInset::sample];
    /// On a canvas of another aspect, filled with an enlarged, blurred copy.
    BlurredFill(BlurredFill), "blurred_fill", hosts 0, [BlurredFill "blurred_fill" Canvas BlurredFill::sample];
    /// Other colours.
    Colour(Colour), "colour", hosts 0,
    [
        Colour "colour" Colour Colour::sample,
        Grey "grey" Colour Colour::sample_grey,
        Sepia "sepia" Colour Colour::sample_sepia
    ];
    /// Lines of text, subtitles and logos.
    TextLogo(TextLogo), "text_logo", hosts 0, [TextLogo "text_logo" Cover TextLogo::sample];
    /// A frame around the picture, letterbox or pillarbox.
    Border(PlainBorder), "border", hosts 0, [Border "border" Canvas PlainBorder::sample];
    /// Shown on a screen that is filmed by hand.
    FilmedScreen(FilmedScreen), "filmed_screen", hosts 0, [FilmedScreen "filmed_screen" Canvas FilmedScreen::sample];
    /// Smaller and coded badly.
    Recompress(Recompress), "recompress", hosts 0, [Recompress "recompress" Decay Recompress::sample];
    /// Blocks of one colour.
    Pixelation(Pixelation), "pixelation", hosts 0, [Pixelation "pixelation" Decay Pixelation::sample];
    /// Out of focus.
    Blur(Blur), "blur", hosts 0, [Blur "blur" Decay Blur::sample];
    /// Grain, other in every frame.
    Noise(Noise), "noise", hosts 0, [Noise "noise" Decay Noise::sample];
    /// Dark lines and corners, as of an old screen.
    ScanLines(ScanLines), "scan_lines", hosts 0, [ScanLines "scan_lines" Decay ScanLines::sample];
    /// Another clip shines through (needs a host).
    Blend(Blend), "blend", hosts 1, [Blend "blend" Colour Blend::sample];
    /// Faster or slower.
    Speed(Speed), "speed", hosts 0, [Speed "speed" Time Speed::sample];
    /// Only a part of the clip.
    Trim(Trim), "trim", hosts 0, [Trim "trim" Time Trim::sample];
    /// A part of the clip within another clip (needs a host).
    Excerpt(Excerpt), "excerpt", hosts 1, [Excerpt "excerpt" Time Excerpt::sample];
    /// Backwards.
    Reverse(Reverse), "reverse", hosts 0, [Reverse "reverse" Time Reverse::sample];
    /// Frames are dropped: each is held longer.
    FrameDrop(FrameDrop), "frame_drop", hosts 0, [FrameDrop "frame_drop" Time FrameDrop::sample];
}

impl Kind {
    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Edit {
    /// A random edit of this kind for a clip of these facts.
    ///
    /// `strength` 0 (mild) to 1 (strong) moves its parameters.
    pub fn sample(rng: &mut Pcg64, kind: Kind, strength: f32, facts: &SourceFacts) -> Self {
        let strength = if strength.is_finite() { strength.clamp(0.0, 1.0) } else { 0.5 };
        let duration = if facts.duration.is_finite() { facts.duration.max(1e-3) } else { 1.0 };
        Self::sample_checked(rng, kind, strength, &SourceFacts { duration, ..*facts })
    }

    /// A chain of `count` (1 to 6) edits of different stages, at most one of which needs a host.
    ///
    /// The stages come in this order: time, place, colour, covers, canvas, decay.
    pub fn sample_chain(rng: &mut Pcg64, count: usize, strength: f32, facts: &SourceFacts) -> Self {
        Self::Chain(Chain::sample(rng, count, strength, facts))
    }

    /// The H.264 constant rate factor that the edited clip should be written with.
    ///
    /// `None` where the edit asks for none; the worst of a chain.
    pub fn crf(&self) -> Option<u8> {
        self.operation().crf()
    }

    /// The frames a second that the edited clip keeps, where the edit drops frames.
    ///
    /// The least of a chain.
    pub fn fps(&self) -> Option<f64> {
        self.operation().fps()
    }

    /// The length of the edited clip made of `duration` seconds.
    pub fn duration(&self, duration: f64) -> f64 {
        self.operation().duration(duration)
    }

    /// The stretches of the edited clip that show the source, whose length is `duration` seconds.
    ///
    /// They come in the order of the edited clip. Stretches without source (a host's) are left out;
    /// a chain composes.
    pub fn segments(&self, duration: f64) -> Vec<Segment> {
        self.operation().segments(duration)
    }

    /// The size of the edited clip made of frames of `size`; `None` outside the limits of images.
    ///
    /// An edit that needs a host takes the host's size, which is the same as `size` where `host` is
    /// `None`. Sides are even.
    pub fn size(&self, size: (u32, u32), host: Option<(u32, u32)>) -> Option<(u32, u32)> {
        self.operation().size(size, host)
    }

    /// Checks the parameters for a clip of `duration` seconds.
    ///
    /// # Errors
    /// [`EditError::Parameter`] for one outside its range.
    pub fn check(&self, duration: f64) -> Result<(), EditError> {
        self.operation().check(&Check { edit: self.name(), duration })
    }
}
