//! Clips with edits applied.

use crate::clip::{Clip, sway};
use crate::colour::Grade;
use crate::draw;
use crate::edit::{Edit, FilmedScreen, Segment, SourceFacts};
use crate::image::Image;
use crate::ops;
use crate::procedural;
use crate::warp::{Border, Projective, draw_warped};
use crate::{EditError, generator};

/// A clip with an edit applied to each frame and to its time; edits chain by nesting or by [`Edit::Chain`].
pub struct Edited {
    source: Box<dyn Clip>,
    host: Option<Box<dyn Clip>>,
    /// What this clip itself does to `source`: no chain, but for an empty one, which does nothing.
    stage: Edit,
    size: (u32, u32),
    duration: f64,
    /// What is around a filmed screen.
    room: Option<Image>,
    /// What was asked for: a chain, of which this clip is the last stage, or the stage itself.
    edit: Edit,
    segments: Vec<Segment>,
}

impl std::fmt::Debug for Edited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edited").field("edit", &self.edit).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Edited {
    /// `source` edited. `hosts` are the clips that edits bring in, in their order ([`Edit::hosts`] of them; a short
    /// host starts again at its end).
    ///
    /// # Errors
    /// [`EditError::Parameter`] for a parameter out of range, [`EditError::Clip`] for another number of hosts, and
    /// [`EditError::Size`] where the frames would outgrow the limits.
    pub fn new(source: Box<dyn Clip>, hosts: Vec<Box<dyn Clip>>, edit: Edit) -> Result<Self, EditError> {
        let duration = source.duration();
        if !(duration > 0.0 && duration.is_finite()) {
            return Err(EditError::Clip { reason: format!("the source lasts {duration} s, give a clip that lasts") });
        }
        edit.check(duration)?;
        if hosts.len() != edit.hosts() {
            let reason = format!("the edit {} needs {} host clips, {} given", edit.name(), edit.hosts(), hosts.len());
            return Err(EditError::Clip { reason });
        }
        if !hosts.iter().map(|host| host.duration()).all(|duration| duration > 0.0 && duration.is_finite()) {
            return Err(EditError::Clip { reason: "a host lasts no time, give a clip that lasts".into() });
        }
        let segments = edit.segments(duration);
        let mut hosts = hosts.into_iter();
        let mut edited = match &edit {
            Edit::Chain { edits } if !edits.is_empty() => {
                let mut clip: Option<Self> = None;
                let mut first = Some(source);
                for edit in edits {
                    let source: Box<dyn Clip> = match (clip.take(), first.take()) {
                        (Some(before), _) => Box::new(before),
                        (None, Some(source)) => source,
                        (None, None) => break,
                    };
                    let host = if edit.hosts() > 0 { hosts.next() } else { None };
                    clip = Some(Self::single(source, host, edit.clone())?);
                }
                clip.ok_or_else(|| EditError::Clip { reason: "the chain is empty, give it edits".into() })?
            }
            edit => {
                let host = hosts.next();
                Self::single(source, host, edit.clone())?
            }
        };
        edited.edit = edit;
        edited.segments = segments;
        Ok(edited)
    }

    fn single(source: Box<dyn Clip>, host: Option<Box<dyn Clip>>, edit: Edit) -> Result<Self, EditError> {
        let from = source.size();
        let size = edit.size(from, host.as_ref().map(|host| host.size()));
        let Some(size) = size else {
            return Err(EditError::Size { width: u64::from(from.0), height: u64::from(from.1) });
        };
        let duration = edit.duration(source.duration());
        if duration.is_nan() || duration <= 0.0 {
            return Err(EditError::Clip { reason: format!("nothing remains of the clip after {}", edit.name()) });
        }
        let room = match &edit {
            Edit::FilmedScreen(screen) => Some(room(screen, size)),
            _ => None,
        };
        Ok(Self { source, host, stage: edit.clone(), edit, size, duration, room, segments: Vec::new() })
    }

    /// The edit, as it was given.
    pub fn edit(&self) -> &Edit {
        &self.edit
    }

    /// Which stretches of this clip show which stretches of the source.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What sampling a further edit needs to know.
    pub fn facts(&self) -> SourceFacts {
        SourceFacts { width: self.size.0, height: self.size.1, duration: self.duration }
    }

    /// A host's frame; behind its end it starts again.
    fn host_frame(&mut self, time: f64) -> Result<Image, EditError> {
        match &mut self.host {
            Some(host) => {
                let duration = host.duration();
                host.frame(time.rem_euclid(duration))
            }
            None => Err(EditError::Clip { reason: "the edit needs a host clip".into() }),
        }
    }

    fn show(&mut self, time: f64) -> Result<Image, EditError> {
        let (width, height) = self.size;
        // The edit's parameters are read while the clips move on.
        let edit = self.stage.clone();
        let frame = match &edit {
            Edit::Speed { factor } => return Ok(sized(self.source.frame(time * factor)?, self.size)),
            Edit::Trim { from, .. } => return Ok(sized(self.source.frame(from + time)?, self.size)),
            Edit::Reverse => {
                // Just before the mirrored time: the frame that is held up to it.
                let time = (self.source.duration() - time - 1e-4).max(0.0);
                return Ok(sized(self.source.frame(time)?, self.size));
            }
            Edit::FrameDrop { fps } => {
                let time = (time * fps + 1e-6).floor() / fps;
                return Ok(sized(self.source.frame(time)?, self.size));
            }
            Edit::Excerpt { from, to, host_from, before, .. } => {
                let length = to.min(self.source.duration()) - from;
                return if time < *before {
                    Ok(sized(self.host_frame(host_from + time)?, self.size))
                } else if time < before + length {
                    Ok(letterbox(&self.source.frame(from + time - before)?, width, height))
                } else {
                    Ok(sized(self.host_frame(host_from + time - length)?, self.size))
                };
            }
            _ => self.source.frame(time)?,
        };
        Ok(match &edit {
            Edit::Crop { area } => frame.resize_region(pixels(area, &frame), width, height),
            Edit::Flip { area } => {
                let [x0, y0, x1, y1] = pixels(area, &frame);
                let full = frame.width as f32;
                frame.resize_region([full - x0, y0, full - x1, y1], width, height)
            }
            Edit::Rotation { angle, zoom, border } => {
                let middle = [f64::from(frame.width) / 2.0, f64::from(frame.height) / 2.0];
                let zoom = 1.0 / f64::from(*zoom);
                let map = Projective::translation(f64::from(width) / -2.0, f64::from(height) / -2.0)
                    .then(&Projective::rotation(f64::from(*angle)))
                    .then(&Projective::scaling(zoom, zoom))
                    .then(&Projective::translation(middle[0], middle[1]));
                frame.warp(&map, width, height, *border)
            }
            Edit::Perspective { corners, border } => match from_quad(corners, &frame, self.size) {
                Some(map) => frame.warp(&map, width, height, *border),
                None => frame,
            },
            Edit::PictureInPicture { side, centre, frame: edge, alpha } => {
                let mut host = sized(self.host_frame(time)?, self.size);
                let [x0, y0, x1, y1] = inset((frame.width, frame.height), self.size, *side, *centre);
                if let Some((share, colour)) = edge {
                    let by = (share * height as f32).max(1.0);
                    let (x0, y0, x1, y1) = (x0 as f32 - by, y0 as f32 - by, x1 as f32 + by, y1 as f32 + by);
                    draw::fill(&mut host, &[[x0, y0], [x1, y0], [x1, y1], [x0, y1]], *colour, *alpha);
                }
                host.paste(&frame.resize(x1 - x0, y1 - y0), i64::from(x0), i64::from(y0), *alpha);
                host
            }
            Edit::OverlayInset { side, centre, round } => {
                let mut frame = sized(frame, self.size);
                let other = self.host_frame(time)?;
                let area = inset((other.width, other.height), self.size, *side, *centre);
                let other = other.resize(area[2] - area[0], area[3] - area[1]);
                if *round {
                    draw::paste_ellipse(&mut frame, &other, area);
                } else {
                    frame.paste(&other, i64::from(area[0]), i64::from(area[1]), 1.0);
                }
                frame
            }
            Edit::BlurredFill { zoom, place, darkness, .. } => {
                let small = ((width / 8).max(4), (height / 8).max(4));
                let mut back = cover(&frame, small.0, small.1);
                ops::blur(&mut back, 1.6);
                Grade { gains: [1.0 - darkness; 3], ..Grade::default() }.apply(&mut back);
                let mut back = back.resize(width, height);
                let (w, h) = (frame.width as f32, frame.height as f32);
                let scale = (width as f32 / w).min(height as f32 / h) * zoom;
                let shown = frame.resize((w * scale).round() as u32, (h * scale).round() as u32);
                let free = [width as f32 - shown.width as f32, height as f32 - shown.height as f32];
                // What sticks out is cut evenly, what is free goes to its place.
                let at = free.map(|free| (free * if free > 0.0 { *place } else { 0.5 }).round() as i64);
                back.paste(&shown, at[0], at[1], 1.0);
                back
            }
            Edit::Colour { grade } => {
                let mut frame = sized(frame, self.size);
                grade.apply(&mut frame);
                frame
            }
            Edit::TextLogo { texts, subtitles, logos } => {
                let mut frame = sized(frame, self.size);
                logos.iter().for_each(|logo| logo.draw(&mut frame));
                texts.iter().for_each(|text| text.draw(&mut frame));
                let shown = subtitles.iter().filter(|subtitle| subtitle.from <= time && time < subtitle.to);
                shown.for_each(|subtitle| subtitle.text.draw(&mut frame));
                frame
            }
            Edit::Border { margins, colour } => {
                let mut out = Image::filled(width, height, *colour);
                let left = (margins[0] * frame.width as f32).round() as i64;
                let top = (margins[1] * frame.height as f32).round() as i64;
                // The sum is rounded to even sides: where nothing is wanted, nothing remains.
                let left = if margins[2] == 0.0 { i64::from(width) - i64::from(frame.width) } else { left };
                let top = if margins[3] == 0.0 { i64::from(height) - i64::from(frame.height) } else { top };
                out.paste(&frame, left, top, 1.0);
                out
            }
            Edit::FilmedScreen(screen) => self.filmed(screen, &frame, time),
            Edit::Recompress { quality, .. } => {
                let mut frame = sized(frame, self.size);
                ops::jpeg(&mut frame, *quality, true);
                frame
            }
            Edit::Pixelation { factor } => {
                let mut frame = sized(frame, self.size);
                ops::rescale(&mut frame, *factor, true);
                frame
            }
            Edit::Blur { sigma } => {
                let mut frame = sized(frame, self.size);
                ops::blur(&mut frame, sigma * height as f32);
                frame
            }
            Edit::Noise { sigma, grey, seed } => {
                let mut frame = sized(frame, self.size);
                ops::noise(&mut frame, *sigma, *grey, &mut generator(&[*seed, moment(time)]));
                frame
            }
            Edit::ScanLines { period, strength, vignette } => {
                let mut frame = sized(frame, self.size);
                ops::scan_lines(&mut frame, *period, *strength, (time * 7.0).rem_euclid(f64::from(*period)) as f32);
                ops::vignette(&mut frame, *vignette);
                frame
            }
            Edit::Blend { alpha } => {
                let mut frame = sized(frame, self.size);
                let other = cover(&self.host_frame(time)?, width, height);
                ops::blend(&mut frame, &other, *alpha);
                frame
            }
            // Edits of time are done above; an empty chain does nothing.
            _ => sized(frame, self.size),
        })
    }

    fn filmed(&self, screen: &FilmedScreen, frame: &Image, time: f64) -> Image {
        let (width, height) = self.size;
        let (full_width, full_height) = (width as f32, height as f32);
        let sway = sway(screen.seed, time).map(|value| value as f32 * screen.jitter);
        let (sin, cos) = (sway[2] * 0.5).sin_cos();
        // The hand moves the screen and the room alike.
        let moved = |[x, y]: [f32; 2]| {
            let (x, y) = ((x - 0.5) * screen.aspect, y - 0.5);
            [(x * cos - y * sin) / screen.aspect + 0.5 + sway[0], x * sin + y * cos + 0.5 + sway[1]]
        };
        let corners = screen.corners.map(moved);
        let mut film = match &self.room {
            Some(room) => {
                let (across, down) = (room.width as f32, room.height as f32);
                let (spare_x, spare_y) = ((across - full_width) / 2.0, (down - full_height) / 2.0);
                let (x, y) = (spare_x - sway[0] * full_width, spare_y - sway[1] * full_height);
                room.resize_region([x, y, x + full_width, y + full_height], width, height)
            }
            None => Image::filled(width, height, [20; 3]),
        };
        if screen.bezel.0 > 0.0 {
            let middle = [0, 1].map(|axis| corners.iter().map(|corner| corner[axis]).sum::<f32>() / 4.0);
            let by = [screen.bezel.0 / screen.aspect, screen.bezel.0];
            let outer: Vec<[f32; 2]> = corners
                .iter()
                .map(|corner| {
                    let out = [0, 1].map(|axis| corner[axis] + (corner[axis] - middle[axis]).signum() * by[axis]);
                    [out[0] * full_width, out[1] * full_height]
                })
                .collect();
            draw::fill(&mut film, &outer, screen.bezel.1, 1.0);
        }
        // The screen's own pixels: about as many as the film resolves.
        let extent = |axis: usize| {
            let values = corners.iter().map(|corner| corner[axis]);
            values.clone().fold(f32::MIN, f32::max) - values.fold(f32::MAX, f32::min)
        };
        let own = [extent(0) * full_width, extent(1) * full_height].map(|side| (side.round() as u32).clamp(2, 8192));
        let mut shown = frame.resize(own[0], own[1]);
        if screen.moire > 0.0 {
            let phase = (time * 0.7).fract() as f32;
            ops::moire(&mut shown, [0, 0, own[0], own[1]], screen.moire, screen.wave, phase);
        }
        if let Some(map) = from_quad(&corners, &shown, self.size) {
            draw_warped(&mut film, [0, 0, width, height], &shown, &map, Border::Keep);
        }
        // The camera adapts to the light, slowly.
        let mut grade = screen.grade;
        grade.brightness = (grade.brightness + 4.0 * (time * 1.3).sin() as f32).clamp(-255.0, 255.0);
        grade.apply(&mut film);
        ops::vignette(&mut film, screen.vignette);
        ops::noise(&mut film, screen.noise, false, &mut generator(&[screen.seed, moment(time)]));
        film
    }
}

impl Clip for Edited {
    fn duration(&self) -> f64 {
        self.duration
    }

    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn frame(&mut self, time: f64) -> Result<Image, EditError> {
        let time = if time.is_finite() { time.clamp(0.0, (self.duration - 1e-6).max(0.0)) } else { 0.0 };
        self.show(time)
    }
}

/// A number for a time, the same for times within a millisecond.
fn moment(time: f64) -> u64 {
    (time * 1000.0).round().max(0.0) as u64
}

/// The image at this size.
fn sized(image: Image, size: (u32, u32)) -> Image {
    if (image.width, image.height) == size { image } else { image.resize(size.0, size.1) }
}

/// Shares of the sides as pixels.
fn pixels(area: &[f32; 4], image: &Image) -> [f32; 4] {
    let (width, height) = (image.width as f32, image.height as f32);
    [area[0] * width, area[1] * height, area[2] * width, area[3] * height]
}

/// The map from the pixels of an image of `size` to those of `source`, which fills the quadrangle `corners` (shares).
fn from_quad(corners: &[[f32; 2]; 4], source: &Image, size: (u32, u32)) -> Option<Projective> {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let corners = corners.map(|[x, y]| [f64::from(x) * width, f64::from(y) * height]);
    let back = Projective::unit_to_quad(corners).inverse()?;
    Some(back.then(&Projective::scaling(f64::from(source.width), f64::from(source.height))))
}

/// The pixels `[x0, y0, x1, y1]` of an inset of the aspect of `inner` that fits into `side` of `outer`'s sides, about
/// `centre` but within the frame.
fn inset(inner: (u32, u32), outer: (u32, u32), side: f32, centre: [f32; 2]) -> [u32; 4] {
    let scale = (side * outer.0 as f32 / inner.0 as f32).min(side * outer.1 as f32 / inner.1 as f32);
    let place = |inner: u32, outer: u32, centre: f32| {
        let length = ((inner as f32 * scale).round() as u32).clamp(1, outer);
        let low = (centre * outer as f32 - length as f32 / 2.0).round().clamp(0.0, (outer - length) as f32) as u32;
        (low, low + length)
    };
    let ((x0, x1), (y0, y1)) = (place(inner.0, outer.0, centre[0]), place(inner.1, outer.1, centre[1]));
    [x0, y0, x1, y1]
}

/// The image's middle, cut so that it fills the size undistorted.
fn cover(image: &Image, width: u32, height: u32) -> Image {
    let (w, h) = (image.width as f32, image.height as f32);
    let scale = (w / width as f32).min(h / height as f32);
    let (across, down) = (scale * width as f32, scale * height as f32);
    let (x, y) = ((w - across) / 2.0, (h - down) / 2.0);
    image.resize_region([x, y, x + across, y + down], width, height)
}

/// The whole image within the size: stretched where the aspects are near, else between black bars.
fn letterbox(image: &Image, width: u32, height: u32) -> Image {
    let ratio = image.aspect() / (width as f32 / height as f32);
    if (0.88..=1.14).contains(&ratio) {
        return image.resize(width, height);
    }
    let mut out = Image::filled(width, height, [0; 3]);
    let area = inset((image.width, image.height), (width, height), 1.0, [0.5; 2]);
    let shown = image.resize(area[2] - area[0], area[3] - area[1]);
    out.paste(&shown, i64::from(area[0]), i64::from(area[1]), 1.0);
    out
}

/// What is around a filmed screen, a little larger than the film.
fn room(screen: &FilmedScreen, size: (u32, u32)) -> Image {
    let margin = 2.0 * screen.jitter + 0.02;
    let grown = |side: u32| side + (side as f32 * margin).ceil() as u32 * 2;
    let (width, height) = (grown(size.0), grown(size.1));
    let mut rng = generator(&[0x700, screen.seed]);
    let mut room = procedural::still(&mut rng, (width / 3).clamp(8, 1000), (height / 3).clamp(8, 1000));
    ops::blur(&mut room, 1.5);
    Grade { saturation: 0.5, gains: [0.6; 3], ..Grade::default() }.apply(&mut room);
    room.resize(width, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::{FrameClip, ProceduralClip, ShotConfig};
    use crate::edit::{Kind, compose};

    /// Frames whose red value tells their number: 20 frames, 10 a second, 64 x 48.
    fn counted() -> Box<dyn Clip> {
        let frames = (0..20u8).map(|i| Image::filled(64, 48, [i * 10, 40, 200])).collect();
        Box::new(FrameClip::new(frames, 10.0).unwrap())
    }

    fn host() -> Box<dyn Clip> {
        let frames = (0..30u8).map(|i| Image::filled(80, 60, [255, 255, i])).collect();
        Box::new(FrameClip::new(frames, 10.0).unwrap())
    }

    fn facts() -> SourceFacts {
        SourceFacts { width: 64, height: 48, duration: 2.0 }
    }

    fn hosts(edit: &Edit) -> Vec<Box<dyn Clip>> {
        (0..edit.hosts()).map(|_| host()).collect()
    }

    #[test]
    fn every_kind_samples_applies_and_keeps_its_json() {
        for kind in Kind::ALL {
            for (seed, strength) in [(1, 0.0), (2, 0.5), (3, 1.0), (4, 1.0), (5, 0.2)] {
                let edit = Edit::sample(&mut generator(&[seed]), kind, strength, &facts());
                assert_eq!(edit, Edit::sample(&mut generator(&[seed]), kind, strength, &facts()));
                edit.check(2.0).unwrap();
                assert_eq!(edit.hosts() > 0, kind.needs_host(), "{kind:?}");
                let json = serde_json::to_string(&edit).unwrap();
                let back: Edit = serde_json::from_str(&json).unwrap();
                assert_eq!(back, edit, "{json}");
                let mut clip = Edited::new(counted(), hosts(&edit), edit.clone()).unwrap();
                let mut again = Edited::new(counted(), hosts(&edit), back).unwrap();
                let size = clip.size();
                assert!(size.0.is_multiple_of(2) && size.1.is_multiple_of(2), "{kind:?} {size:?}");
                for time in [0.0, clip.duration() * 0.5, clip.duration(), 1e9] {
                    let frame = clip.frame(time).unwrap();
                    assert_eq!((frame.width, frame.height), size, "{kind:?}");
                    assert_eq!(frame, again.frame(time).unwrap(), "{kind:?}");
                }
            }
        }
        assert_eq!(Kind::from_name("filmed_screen"), Some(Kind::FilmedScreen));
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
        }
    }

    #[test]
    fn segments_point_to_the_frames_that_are_shown() {
        for kind in [Kind::Speed, Kind::Trim, Kind::Excerpt, Kind::Reverse] {
            for seed in 0..20 {
                let edit = Edit::sample(&mut generator(&[seed]), kind, 0.5, &facts());
                check_alignment(edit);
            }
        }
        for seed in 0..60 {
            let mut rng = generator(&[77, seed]);
            let kinds = [Kind::Speed, Kind::Trim, Kind::Excerpt, Kind::Reverse, Kind::Speed];
            let mut edits = Vec::new();
            let mut now = facts();
            for i in 0..3u64 {
                let edit = Edit::sample(&mut rng, kinds[((seed + i * 7) % 5) as usize], 0.4, &now);
                now.duration = edit.duration(now.duration);
                edits.push(edit);
            }
            check_alignment(Edit::Chain { edits });
        }
    }

    fn check_alignment(edit: Edit) {
        let mut clip = Edited::new(counted(), hosts(&edit), edit.clone()).unwrap();
        let segments = clip.segments().to_vec();
        assert!((edit.duration(2.0) - clip.duration()).abs() < 1e-9);
        for segment in &segments {
            assert!(
                segment.source[0] >= 0.0 && segment.source[1] <= 2.0 + 1e-9 && segment.source[0] < segment.source[1]
            );
            assert!(segment.edited[0] >= -1e-9 && segment.edited[1] <= clip.duration() + 1e-9);
            for share in [0.05, 0.3, 0.61, 0.95] {
                let time = segment.edited[0] + (segment.edited[1] - segment.edited[0]) * share;
                let source = segment.source_time(time);
                assert!((segment.edited_time(source) - time).abs() < 1e-9);
                let frame = clip.frame(time).unwrap();
                let shown = f64::from(frame.pixel(30, 20)[0]) / 10.0;
                // The frame's number is that of the source's time, give or take the edge of a frame.
                assert!((shown + 0.5 - source * 10.0).abs() < 0.56, "{edit:?} at {time}: frame {shown}, {source} s");
            }
        }
        // Times outside the segments show hosts.
        for i in 0..50 {
            let time = clip.duration() * (f64::from(i) + 0.5) / 50.0;
            let inside = segments.iter().any(|segment| segment.edited[0] <= time && time < segment.edited[1]);
            assert_eq!(clip.frame(time).unwrap().pixel(30, 20)[1] == 40, inside, "{edit:?} at {time}");
        }
    }

    #[test]
    fn chains_sample_and_apply() {
        for seed in 0..80 {
            let count = 2 + (seed as usize % 3);
            let edit = Edit::sample_chain(&mut generator(&[5, seed]), count, 0.6, &facts());
            let Edit::Chain { edits } = &edit else { panic!("no chain") };
            assert_eq!(edits.len(), count);
            assert!(edit.hosts() <= 1);
            let json = serde_json::to_string(&edit).unwrap();
            assert_eq!(serde_json::from_str::<Edit>(&json).unwrap(), edit);
            let mut clip = Edited::new(counted(), hosts(&edit), edit.clone()).unwrap();
            let frame = clip.frame(clip.duration() * 0.4).unwrap();
            assert!(frame.width >= 2 && !clip.segments().is_empty());
        }
    }

    #[test]
    fn composing_cuts_and_turns() {
        let reversed = [Segment { source: [0.0, 4.0], edited: [0.0, 4.0], reversed: true }];
        let trimmed = [Segment { source: [1.0, 2.0], edited: [5.0, 7.0], reversed: false }];
        let both = compose(&reversed, &trimmed);
        assert_eq!(both, [Segment { source: [2.0, 3.0], edited: [5.0, 7.0], reversed: true }]);
        assert_eq!(compose(&both, &[Segment { source: [0.0, 4.9], edited: [0.0, 4.9], reversed: false }]), []);
    }

    #[test]
    fn edits_in_place_change_what_they_should() {
        let picture: Vec<u8> = (0..48u32)
            .flat_map(|y| (0..64u32).flat_map(move |x| [(x * 4) as u8, (y * 5) as u8, if x < 32 { 255 } else { 0 }]))
            .collect();
        let image = Image::new(64, 48, picture).unwrap();
        let clip = || Box::new(FrameClip::new(vec![image.clone(); 4], 2.0).unwrap()) as Box<dyn Clip>;
        let frame = |edit: Edit| {
            let hosts = hosts(&edit);
            Edited::new(clip(), hosts, edit).unwrap().frame(1.0).unwrap()
        };
        let half = frame(Edit::Crop { area: [0.5, 0.0, 1.0, 1.0] });
        assert_eq!(half, image.crop(32, 0, 32, 48));
        let flipped = frame(Edit::Flip { area: [0.0, 0.0, 1.0, 1.0] });
        assert_eq!(flipped, image.mirrored());
        let flipped = frame(Edit::Flip { area: [0.0, 0.0, 0.5, 1.0] });
        assert_eq!(flipped, image.mirrored().crop(0, 0, 32, 48));
        let framed = frame(Edit::Border { margins: [0.0, 0.25, 0.0, 0.25], colour: [1, 2, 3] });
        assert_eq!((framed.width, framed.height), (64, 72));
        assert_eq!(framed.pixel(5, 5), [1, 2, 3]);
        assert_eq!(framed.crop(0, 12, 64, 48), image);
        let inset = frame(Edit::PictureInPicture { side: 0.5, centre: [0.0, 1.0], frame: None, alpha: 1.0 });
        assert_eq!((inset.width, inset.height), (80, 60));
        assert_eq!(inset.crop(0, 30, 40, 30), image.resize(40, 30));
        assert_eq!(inset.pixel(60, 10)[0], 255);
        let tall = frame(Edit::BlurredFill { aspect: 9.0 / 16.0, zoom: 1.0, place: 0.5, darkness: 0.0 });
        assert_eq!((tall.width, tall.height), (48, 86));
        assert_eq!(tall.crop(0, 25, 48, 36), image.resize(48, 36));
        let turned =
            frame(Edit::Rotation { angle: std::f32::consts::PI, zoom: 1.0, border: crate::warp::Border::Mirror });
        assert!(turned.pixel(10, 10)[0].abs_diff(image.pixel(53, 37)[0]) <= 1);
        let seen = frame(Edit::Perspective {
            corners: [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]],
            border: crate::warp::Border::Constant([7; 3]),
        });
        assert_eq!(seen.pixel(3, 3), [7; 3]);
        assert!(seen.pixel(32, 24)[0].abs_diff(128) < 8);
    }

    #[test]
    fn wrong_edits_are_refused() {
        let parameter = |edit: Edit| {
            let hosts = hosts(&edit);
            matches!(Edited::new(counted(), hosts, edit), Err(EditError::Parameter { .. }))
        };
        assert!(parameter(Edit::Speed { factor: 0.0 }));
        assert!(parameter(Edit::Speed { factor: f64::NAN }));
        assert!(parameter(Edit::Trim { from: 1.0, to: 3.0 }));
        assert!(parameter(Edit::Trim { from: 1.0, to: 1.0 }));
        assert!(parameter(Edit::Crop { area: [0.5, 0.0, 0.5, 1.0] }));
        assert!(parameter(Edit::Crop { area: [0.0, 0.0, f32::NAN, 1.0] }));
        assert!(parameter(Edit::FrameDrop { fps: 0.0 }));
        assert!(parameter(Edit::Border { margins: [-0.1, 0.0, 0.0, 0.0], colour: [0; 3] }));
        let bent = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]];
        assert!(parameter(Edit::Perspective { corners: bent, border: Border::Mirror }));
        let nested = Edit::Chain { edits: vec![Edit::Chain { edits: vec![Edit::Reverse] }] };
        assert!(parameter(nested));
        // What remains after the first edit counts for the second.
        let edits = vec![Edit::Trim { from: 0.0, to: 1.0 }, Edit::Trim { from: 0.5, to: 1.5 }];
        assert!(parameter(Edit::Chain { edits }));
        assert!(matches!(Edited::new(counted(), vec![], Edit::Blend { alpha: 0.5 }), Err(EditError::Clip { .. })));
        assert!(matches!(Edited::new(counted(), vec![host()], Edit::Reverse), Err(EditError::Clip { .. })));
        assert!(serde_json::from_str::<Edit>(r#"{"edit":"blend","alpha":0.5,"what":1}"#).is_err());
        assert!(serde_json::from_str::<Edit>(r#"{"edit":"melt"}"#).is_err());
    }

    #[test]
    fn an_empty_chain_does_nothing() {
        let mut clip = Edited::new(counted(), vec![], Edit::Chain { edits: vec![] }).unwrap();
        assert_eq!(clip.frame(0.55).unwrap(), counted().frame(0.55).unwrap());
        assert_eq!(clip.segments().len(), 1);
    }

    #[test]
    fn hosts_may_be_procedural() {
        let config = ShotConfig { width: 40, height: 40, duration: 1.0, ..ShotConfig::default() };
        let other = Box::new(ProceduralClip::new(1, config).unwrap());
        let edit = Edit::OverlayInset { side: 0.3, centre: [1.0, 1.0], round: true };
        let mut clip = Edited::new(counted(), vec![other], edit).unwrap();
        assert_ne!(clip.frame(1.5).unwrap(), counted().frame(1.5).unwrap());
    }
}
