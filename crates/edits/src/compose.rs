//! Clips made of other clips: joined, repeated, faded, set in a still frame, with a ticker, and
//! pictures that stand still or are zoomed into slowly.

use serde::{Deserialize, Serialize};

use crate::clip::Clip;
use crate::draw::{self, Text};
use crate::edit::overlay::{cover, letterbox};
use crate::image::{Image, mix};
use crate::{EditError, ops};

fn refuse<T>(reason: impl Into<String>) -> Result<T, EditError> {
    Err(EditError::Clip { reason: reason.into() })
}

/// A clip of one colour.
#[derive(Clone, Debug)]
pub struct PlainClip {
    picture: Image,
    duration: f64,
}

impl PlainClip {
    /// A clip of `size` (16 to 4096 a side) that shows `colour` for `duration` seconds (above 0).
    ///
    /// # Errors
    /// [`EditError::Clip`] for a size or duration out of range.
    pub fn new(size: (u32, u32), colour: [u8; 3], duration: f64) -> Result<Self, EditError> {
        if !(16..=4096).contains(&size.0) || !(16..=4096).contains(&size.1) {
            return refuse(format!("frames of {}x{} are out of range, give 16 to 4096", size.0, size.1));
        }
        if !(duration > 0.0 && duration.is_finite()) {
            return refuse(format!("a duration of {duration} s is out of range, give one above 0"));
        }
        Ok(Self { picture: Image::filled(size.0, size.1, colour), duration })
    }
}

impl Clip for PlainClip {
    fn duration(&self) -> f64 {
        self.duration
    }

    fn size(&self) -> (u32, u32) {
        (self.picture.width, self.picture.height)
    }

    fn frame(&mut self, _: f64) -> Result<Image, EditError> {
        Ok(self.picture.clone())
    }
}

/// Clips one after the other, each whole within one size, between black bars where its aspect is
/// another.
pub struct JoinedClip {
    clips: Vec<Box<dyn Clip>>,
    size: (u32, u32),
}

impl std::fmt::Debug for JoinedClip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinedClip").field("clips", &self.clips.len()).field("size", &self.size).finish()
    }
}

impl JoinedClip {
    /// The clips in their order, in frames of `size`; `None` takes the size of the first one.
    ///
    /// # Errors
    /// [`EditError::Clip`] for no clips.
    pub fn new(clips: Vec<Box<dyn Clip>>, size: Option<(u32, u32)>) -> Result<Self, EditError> {
        let Some(first) = clips.first() else { return refuse("there are no clips to join, give at least one") };
        let size = size.unwrap_or_else(|| first.size());
        Ok(Self { clips, size })
    }
}

impl Clip for JoinedClip {
    fn duration(&self) -> f64 {
        self.clips.iter().map(|clip| clip.duration()).sum()
    }

    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        let mut passed = 0.0;
        let last = self.clips.len() - 1;
        for (i, clip) in self.clips.iter_mut().enumerate() {
            let duration = clip.duration();
            // The small step keeps times that are a clip's end from falling into the clip before.
            if i == last || time + 1e-6 < passed + duration {
                let frame = clip.frame(time - passed)?;
                let same = (frame.width, frame.height) == self.size;
                return Ok(if same { frame } else { letterbox(&frame, self.size.0, self.size.1) });
            }
            passed += duration;
        }
        refuse("there are no clips to join, give at least one")
    }
}

/// A clip that starts again at its end until a time has passed.
pub struct LoopedClip {
    clip: Box<dyn Clip>,
    duration: f64,
}

impl std::fmt::Debug for LoopedClip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoopedClip").field("duration", &self.duration).finish_non_exhaustive()
    }
}

impl LoopedClip {
    /// `clip` again and again for `duration` seconds (above 0).
    ///
    /// # Errors
    /// [`EditError::Clip`] for a duration out of range.
    pub fn new(clip: Box<dyn Clip>, duration: f64) -> Result<Self, EditError> {
        if !(duration > 0.0 && duration.is_finite()) {
            return refuse(format!("a duration of {duration} s is out of range, give one above 0"));
        }
        Ok(Self { clip, duration })
    }
}

impl Clip for LoopedClip {
    fn duration(&self) -> f64 {
        self.duration
    }

    fn size(&self) -> (u32, u32) {
        self.clip.size()
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        let round = self.clip.duration();
        let time = time.clamp(0.0, self.duration - 1e-6);
        self.clip.frame((time + 1e-6).rem_euclid(round))
    }
}

/// A fade from a colour at the start of a clip, and to it at the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fade {
    /// The colour.
    pub colour: [u8; 3],
    /// Seconds at the start until the clip is seen fully, 0 or more.
    pub start: f64,
    /// Seconds at the end in which it goes, 0 or more.
    pub end: f64,
}

impl Fade {
    /// How much of a clip of `duration` seconds is seen at `time`, 0 to 1.
    #[must_use]
    pub fn seen(&self, time: f64, duration: f64) -> f64 {
        let share = |passed: f64, length: f64| if length > 0.0 { (passed / length).clamp(0.0, 1.0) } else { 1.0 };
        share(time, self.start).min(share(duration - time, self.end))
    }
}

/// What is done to every frame of a clip, beside its [edits](crate::Edit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameEffect {
    /// Fades at the start and the end.
    Fade(Fade),
    /// Edges made harder: `amount` (0 to 4) times the difference to a blurred picture is added.
    Sharpen {
        /// How much.
        amount: f32,
    },
    /// A band of text that runs along the bottom.
    Ticker(Ticker),
    /// Frames of this size: the whole picture, stretched.
    Size([u32; 2]),
    /// The clip in a window of a still picture.
    Window {
        /// The picture, one of [`backdrop`](crate::screens::backdrop).
        backdrop: u64,
        /// Left, top, right and bottom of the window, 0 to 1 of the picture's sides.
        area: [f32; 4],
    },
}

/// A band of text that runs along the bottom of the frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticker {
    /// The words.
    pub text: String,
    /// Height of the band over the frame's, 0.05 to 0.4.
    pub height: f32,
    /// Widths of the frame that the text moves in a second.
    pub speed: f32,
    /// Colour of the band.
    pub band: [u8; 3],
    /// Colour of the words.
    pub ink: [u8; 3],
}

impl Ticker {
    fn draw(&self, image: &mut Image, time: f64) {
        let (width, height) = (image.width as f32, image.height as f32);
        let (band, aspect) = (self.height.clamp(0.05, 0.4), width / height);
        let middle = 1.0 - band / 2.0;
        draw::fill(
            image,
            &draw::rectangle([width / 2.0, height * middle], [width / 2.0, height * band / 2.0], 0.0),
            self.band,
            1.0,
        );
        let mut text = Text {
            text: self.text.clone(),
            centre: [0.0, middle],
            size: band * 0.5,
            stretch: 0.9,
            slant: 0.0,
            weight: 0.16,
            angle: 0.0,
            colour: self.ink,
            outline: None,
            background: None,
            alpha: 1.0,
        };
        // The text enters at the right edge, and starts again once it has left at the left one.
        let length = text.length() * text.size / aspect;
        let moved = (time as f32 * self.speed).rem_euclid(1.0 + length);
        text.centre[0] = 1.0 - moved + length / 2.0;
        text.draw(image);
    }
}

/// A clip with one [effect](FrameEffect).
pub struct EffectClip {
    clip: Box<dyn Clip>,
    effect: FrameEffect,
    backdrop: Option<Image>,
    size: (u32, u32),
}

impl std::fmt::Debug for EffectClip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EffectClip").field("effect", &self.effect).field("size", &self.size).finish_non_exhaustive()
    }
}

impl EffectClip {
    /// `clip` with `effect`.
    ///
    /// # Errors
    /// [`EditError::Clip`] for a window outside the picture, or frames of a size out of range (16 to
    /// 4096).
    pub fn new(clip: Box<dyn Clip>, effect: FrameEffect) -> Result<Self, EditError> {
        let mut size = clip.size();
        let mut backdrop = None;
        match &effect {
            FrameEffect::Size([width, height]) => {
                if !(16..=4096).contains(width) || !(16..=4096).contains(height) {
                    return refuse(format!("frames of {width}x{height} are out of range, give 16 to 4096"));
                }
                size = (*width, *height);
            }
            FrameEffect::Window { backdrop: seed, area } => {
                let [left, top, right, bottom] = *area;
                if !(0.0 <= left && left < right && right <= 1.0 && 0.0 <= top && top < bottom && bottom <= 1.0) {
                    return refuse(format!("a window of {area:?} is out of range, give shares of the picture"));
                }
                backdrop = Some(crate::screens::backdrop(*seed, size));
            }
            FrameEffect::Fade(_) | FrameEffect::Sharpen { .. } | FrameEffect::Ticker(_) => {}
        }
        Ok(Self { clip, effect, backdrop, size })
    }
}

impl Clip for EffectClip {
    fn duration(&self) -> f64 {
        self.clip.duration()
    }

    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        let mut frame = self.clip.frame(time)?;
        match &self.effect {
            FrameEffect::Fade(fade) => {
                let plain = Image::filled(frame.width, frame.height, fade.colour);
                let hidden = 1.0 - fade.seen(time, self.clip.duration()) as f32;
                mix(&mut frame.pixels, &plain.pixels, hidden);
                Ok(frame)
            }
            FrameEffect::Sharpen { amount } => {
                ops::sharpen(&mut frame, *amount);
                Ok(frame)
            }
            FrameEffect::Ticker(ticker) => {
                ticker.draw(&mut frame, time);
                Ok(frame)
            }
            FrameEffect::Size(_) => Ok(frame.into_size(self.size)),
            FrameEffect::Window { area, .. } => {
                let Some(backdrop) = &self.backdrop else { return Ok(frame) };
                let mut whole = backdrop.clone();
                let sides = [self.size.0, self.size.1, self.size.0, self.size.1];
                let [x0, y0, x1, y1] = std::array::from_fn(|i| (area[i] * sides[i] as f32).round() as u32);
                let shown = cover(&frame, (x1 - x0).max(1), (y1 - y0).max(1));
                whole.paste(&shown, i64::from(x0), i64::from(y0), 1.0);
                Ok(whole)
            }
        }
    }
}

/// A picture as a video: it stands still, or the camera moves slowly towards a part of it.
#[derive(Clone, Debug)]
pub struct PictureClip {
    picture: Image,
    duration: f64,
    to: Option<[f32; 4]>,
}

impl PictureClip {
    /// `picture` for `duration` seconds; the camera ends at the area `to` (`[x0, y0, x1, y1]`, 0 to
    /// 1 of the sides) if there is one.
    ///
    /// # Errors
    /// [`EditError::Clip`] for a duration or an area out of range.
    pub fn new(picture: Image, duration: f64, to: Option<[f32; 4]>) -> Result<Self, EditError> {
        if !(duration > 0.0 && duration.is_finite()) {
            return refuse(format!("a duration of {duration} s is out of range, give one above 0"));
        }
        if let Some([x0, y0, x1, y1]) = to
            && !(0.0 <= x0 && x0 < x1 && x1 <= 1.0 && 0.0 <= y0 && y0 < y1 && y1 <= 1.0)
        {
            return refuse("the area that the camera ends at is outside the picture: give shares of its sides");
        }
        Ok(Self { picture, duration, to })
    }
}

impl Clip for PictureClip {
    fn duration(&self) -> f64 {
        self.duration
    }

    fn size(&self) -> (u32, u32) {
        (self.picture.width, self.picture.height)
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        let Some(to) = self.to else { return Ok(self.picture.clone()) };
        let share = (time / self.duration).clamp(0.0, 1.0) as f32;
        let (width, height) = (self.picture.width as f32, self.picture.height as f32);
        let start = [0.0, 0.0, 1.0, 1.0];
        let sides = [width, height, width, height];
        let area = std::array::from_fn(|i| (start[i] + (to[i] - start[i]) * share) * sides[i]);
        Ok(self.picture.resize_region(area, self.picture.width, self.picture.height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::FrameClip;

    /// A clip of `count` frames, ten a second, whose red tells the frame.
    fn counted(count: u8, base: u8) -> Box<dyn Clip> {
        let frames = (0..count).map(|i| Image::filled(32, 24, [base + i, 100, 50])).collect();
        Box::new(FrameClip::new(frames, 10.0).unwrap())
    }

    #[test]
    fn joined_clips_follow_each_other() {
        let wide = Box::new(PlainClip::new((64, 24), [9, 9, 9], 0.5).unwrap());
        let mut joined = JoinedClip::new(vec![counted(10, 0), counted(5, 100), wide], None).unwrap();
        assert!((joined.duration() - 2.0).abs() < 1e-9 && joined.size() == (32, 24));
        for (time, red) in [(0.0, 0), (0.9, 9), (1.0, 100), (1.4, 104)] {
            assert_eq!(joined.frame(time).unwrap().pixel(3, 3)[0], red, "{time}");
        }
        // Another aspect comes between bars.
        let frame = joined.frame(1.6).unwrap();
        assert_eq!((frame.pixel(16, 1), frame.pixel(16, 12)), ([0; 3], [9; 3]));
        assert!(joined.frame(7.0).unwrap() == frame);
        assert!(JoinedClip::new(Vec::new(), None).is_err());
    }

    #[test]
    fn loops_start_again() {
        let mut looped = LoopedClip::new(counted(10, 0), 2.5).unwrap();
        for (time, red) in [(0.0, 0), (0.95, 9), (1.0, 0), (2.0, 0), (2.45, 4)] {
            assert_eq!(looped.frame(time).unwrap().pixel(3, 3)[0], red, "{time}");
        }
        assert!(LoopedClip::new(counted(1, 0), f64::NAN).is_err());
    }

    #[test]
    fn fades_begin_and_end_in_their_colour() {
        let fade = Fade { colour: [255, 255, 255], start: 0.5, end: 0.25 };
        assert_eq!([0.0, 0.25, 0.6, 0.875, 1.0].map(|t| fade.seen(t, 1.0)), [0.0, 0.5, 1.0, 0.5, 0.0]);
        let mut clip = EffectClip::new(counted(10, 0), FrameEffect::Fade(fade)).unwrap();
        assert_eq!(clip.frame(0.0).unwrap().pixel(3, 3), [255; 3]);
        assert_eq!(clip.frame(0.6).unwrap().pixel(3, 3), [6, 100, 50]);
    }

    #[test]
    fn a_window_leaves_the_picture_around_it() {
        let effect = FrameEffect::Window { backdrop: 3, area: [0.5, 0.5, 1.0, 1.0] };
        let mut clip = EffectClip::new(counted(10, 0), effect).unwrap();
        let (a, b) = (clip.frame(0.0).unwrap(), clip.frame(0.9).unwrap());
        assert!(a.crop(0, 0, 16, 24) == b.crop(0, 0, 16, 24));
        assert_eq!((a.pixel(20, 20)[0], b.pixel(20, 20)[0]), (0, 9));
        let wrong = FrameEffect::Window { backdrop: 3, area: [0.5, 0.5, 0.5, 1.0] };
        assert!(EffectClip::new(counted(1, 0), wrong).is_err());
    }

    #[test]
    fn a_ticker_runs_along_the_bottom() {
        let ticker = Ticker { text: "news".into(), height: 0.2, speed: 0.5, band: [200, 0, 0], ink: [255; 3] };
        let plain = || Box::new(PlainClip::new((160, 90), [10, 20, 30], 4.0).unwrap());
        let mut clip = EffectClip::new(plain(), FrameEffect::Ticker(ticker)).unwrap();
        let (a, b) = (clip.frame(1.0).unwrap(), clip.frame(1.5).unwrap());
        assert!(a.crop(0, 0, 160, 70) == b.crop(0, 0, 160, 70));
        assert!(a.crop(0, 74, 160, 14) != b.crop(0, 74, 160, 14));
        assert_eq!(a.pixel(1, 88), [200, 0, 0]);
    }

    #[test]
    fn pictures_stand_still_or_are_zoomed_into() {
        let mut picture = Image::filled(40, 40, [0; 3]);
        picture.paste(&Image::filled(20, 20, [200; 3]), 20, 20, 1.0);
        let mut still = PictureClip::new(picture.clone(), 2.0, None).unwrap();
        assert!(still.frame(1.9).unwrap() == picture);
        let mut zoomed = PictureClip::new(picture.clone(), 2.0, Some([0.5, 0.5, 1.0, 1.0])).unwrap();
        assert!(zoomed.frame(0.0).unwrap() == picture);
        assert_eq!(zoomed.frame(2.0).unwrap().pixel(5, 5), [200; 3]);
        assert!(PictureClip::new(picture, 2.0, Some([0.5, 0.5, 1.0, 1.5])).is_err());
    }

    #[test]
    fn sharpening_widens_edges_and_leaves_plains() {
        let mut image = Image::filled(20, 20, [100; 3]);
        image.paste(&Image::filled(10, 20, [150; 3]), 10, 0, 1.0);
        let clip = FrameClip::new(vec![image], 1.0).unwrap();
        let mut sharp = EffectClip::new(Box::new(clip), FrameEffect::Sharpen { amount: 1.0 }).unwrap();
        let frame = sharp.frame(0.0).unwrap();
        assert_eq!((frame.pixel(1, 5), frame.pixel(18, 5)), ([100; 3], [150; 3]));
        assert!(frame.pixel(9, 5)[0] < 95 && frame.pixel(10, 5)[0] > 155);
    }
}
