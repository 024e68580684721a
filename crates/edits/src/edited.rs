//! Clips with edits applied.

use crate::EditError;
use crate::clip::Clip;
use crate::edit::operation::Inputs;
use crate::edit::{Edit, Segment, SourceFacts};
use crate::image::Image;

/// A clip with an edit applied to each frame and to its time; edits chain by nesting or by [`Edit::Chain`].
pub struct Edited {
    source: Box<dyn Clip>,
    host: Option<Box<dyn Clip>>,
    /// The edit of `source` that this clip itself makes: no chain but an empty one.
    stage: Edit,
    size: (u32, u32),
    duration: f64,
    /// The part of its frames that does not change over time, such as the room around a filmed screen.
    backdrop: Option<Image>,
    /// The whole edit: a chain, of which this clip is the last stage, or the stage itself.
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
            Edit::Chain(chain) if !chain.edits.is_empty() => {
                let mut clip: Option<Self> = None;
                let mut first = Some(source);
                for edit in &chain.edits {
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
        let backdrop = edit.operation().backdrop(size);
        Ok(Self { source, host, stage: edit.clone(), edit, size, duration, backdrop, segments: Vec::new() })
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
        let mut inputs = Inputs {
            source: self.source.as_mut(),
            host: self.host.as_mut(),
            backdrop: self.backdrop.as_ref(),
            size: self.size,
        };
        self.stage.operation().frame(&mut inputs, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::{FrameClip, ProceduralClip, ShotConfig};
    use crate::edit::canvas::{BlurredFill, PlainBorder};
    use crate::edit::chain::Chain;
    use crate::edit::frame::{Crop, Flip, Perspective, Rotation};
    use crate::edit::overlay::{Blend, OverlayInset, PictureInPicture};
    use crate::edit::time::{FrameDrop, Reverse, Speed, Trim};
    use crate::edit::{Kind, compose};
    use crate::generator;
    use crate::warp::Border;

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
            check_alignment(Edit::Chain(Chain { edits }));
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
            let Edit::Chain(Chain { edits }) = &edit else { panic!("no chain") };
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
        let half = frame(Edit::Crop(Crop { area: [0.5, 0.0, 1.0, 1.0] }));
        assert_eq!(half, image.crop(32, 0, 32, 48));
        let flipped = frame(Edit::Flip(Flip { area: [0.0, 0.0, 1.0, 1.0] }));
        assert_eq!(flipped, image.mirrored());
        let flipped = frame(Edit::Flip(Flip { area: [0.0, 0.0, 0.5, 1.0] }));
        assert_eq!(flipped, image.mirrored().crop(0, 0, 32, 48));
        let framed = frame(Edit::Border(PlainBorder { margins: [0.0, 0.25, 0.0, 0.25], colour: [1, 2, 3] }));
        assert_eq!((framed.width, framed.height), (64, 72));
        assert_eq!(framed.pixel(5, 5), [1, 2, 3]);
        assert_eq!(framed.crop(0, 12, 64, 48), image);
        let inset =
            frame(Edit::PictureInPicture(PictureInPicture { side: 0.5, centre: [0.0, 1.0], frame: None, alpha: 1.0 }));
        assert_eq!((inset.width, inset.height), (80, 60));
        assert_eq!(inset.crop(0, 30, 40, 30), image.resize(40, 30));
        assert_eq!(inset.pixel(60, 10)[0], 255);
        let tall = frame(Edit::BlurredFill(BlurredFill { aspect: 9.0 / 16.0, zoom: 1.0, place: 0.5, darkness: 0.0 }));
        assert_eq!((tall.width, tall.height), (48, 86));
        assert_eq!(tall.crop(0, 25, 48, 36), image.resize(48, 36));
        let turned = frame(Edit::Rotation(Rotation { angle: std::f32::consts::PI, zoom: 1.0, border: Border::Mirror }));
        assert!(turned.pixel(10, 10)[0].abs_diff(image.pixel(53, 37)[0]) <= 1);
        let seen = frame(Edit::Perspective(Perspective {
            corners: [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]],
            border: Border::Constant([7; 3]),
        }));
        assert_eq!(seen.pixel(3, 3), [7; 3]);
        assert!(seen.pixel(32, 24)[0].abs_diff(128) < 8);
    }

    #[test]
    fn wrong_edits_are_refused() {
        let parameter = |edit: Edit| {
            let hosts = hosts(&edit);
            matches!(Edited::new(counted(), hosts, edit), Err(EditError::Parameter { .. }))
        };
        assert!(parameter(Edit::Speed(Speed { factor: 0.0 })));
        assert!(parameter(Edit::Speed(Speed { factor: f64::NAN })));
        assert!(parameter(Edit::Trim(Trim { from: 1.0, to: 3.0 })));
        assert!(parameter(Edit::Trim(Trim { from: 1.0, to: 1.0 })));
        assert!(parameter(Edit::Crop(Crop { area: [0.5, 0.0, 0.5, 1.0] })));
        assert!(parameter(Edit::Crop(Crop { area: [0.0, 0.0, f32::NAN, 1.0] })));
        assert!(parameter(Edit::FrameDrop(FrameDrop { fps: 0.0 })));
        assert!(parameter(Edit::Border(PlainBorder { margins: [-0.1, 0.0, 0.0, 0.0], colour: [0; 3] })));
        let bent = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]];
        assert!(parameter(Edit::Perspective(Perspective { corners: bent, border: Border::Mirror })));
        let nested = Chain { edits: vec![Chain { edits: vec![Reverse {}.into()] }.into()] }.into();
        assert!(parameter(nested));
        // What remains after the first edit counts for the second.
        let edits = vec![Edit::Trim(Trim { from: 0.0, to: 1.0 }), Edit::Trim(Trim { from: 0.5, to: 1.5 })];
        assert!(parameter(Edit::Chain(Chain { edits })));
        assert!(matches!(
            Edited::new(counted(), vec![], Edit::Blend(Blend { alpha: 0.5 })),
            Err(EditError::Clip { .. })
        ));
        assert!(matches!(Edited::new(counted(), vec![host()], Reverse {}.into()), Err(EditError::Clip { .. })));
        assert!(serde_json::from_str::<Edit>(r#"{"edit":"blend","alpha":0.5,"what":1}"#).is_err());
        assert!(serde_json::from_str::<Edit>(r#"{"edit":"melt"}"#).is_err());
    }

    #[test]
    fn an_empty_chain_does_nothing() {
        let mut clip = Edited::new(counted(), vec![], Edit::Chain(Chain { edits: vec![] })).unwrap();
        assert_eq!(clip.frame(0.55).unwrap(), counted().frame(0.55).unwrap());
        assert_eq!(clip.segments().len(), 1);
    }

    #[test]
    fn hosts_may_be_procedural() {
        let config = ShotConfig { width: 40, height: 40, duration: 1.0, ..ShotConfig::default() };
        let other = Box::new(ProceduralClip::new(1, config).unwrap());
        let edit = Edit::OverlayInset(OverlayInset { side: 0.3, centre: [1.0, 1.0], round: true });
        let mut clip = Edited::new(counted(), vec![other], edit).unwrap();
        assert_ne!(clip.frame(1.5).unwrap(), counted().frame(1.5).unwrap());
    }
}
