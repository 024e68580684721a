//! What every edit does: one trait, whose defaults are an edit that changes neither time nor size.

use super::segments::Segment;
use crate::EditError;
use crate::clip::Clip;
use crate::image::Image;

/// The behaviour of one edit.
pub(crate) trait Operation {
    /// Checks the parameters.
    fn check(&self, check: &Check) -> Result<(), EditError>;

    /// The H.264 constant rate factor that the edited clip should be written with.
    fn crf(&self) -> Option<u8> {
        None
    }

    /// The frames a second that the edited clip keeps.
    fn fps(&self) -> Option<f64> {
        None
    }

    /// Seconds of the edited clip made of `duration` seconds.
    fn duration(&self, duration: f64) -> f64 {
        duration
    }

    /// The stretches of the edited clip that show the source, of `duration` seconds.
    fn segments(&self, duration: f64) -> Vec<Segment> {
        vec![Segment::whole(duration)]
    }

    /// The size of the edited clip made of frames of `size`, in a host of size `host`.
    fn size(&self, size: (u32, u32), _host: Option<(u32, u32)>) -> Option<(u32, u32)> {
        even_size(size.0 as f32, size.1 as f32)
    }

    /// A picture that does not change over time, made once for an edited clip of `size`.
    fn backdrop(&self, _size: (u32, u32)) -> Option<Image> {
        None
    }

    /// The edited clip's frame at `time` seconds, within the clip.
    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError>;
}

/// The clips and facts that an edit makes a frame from.
pub(crate) struct Inputs<'a> {
    pub(crate) source: &'a mut dyn Clip,
    pub(crate) host: Option<&'a mut Box<dyn Clip>>,
    pub(crate) backdrop: Option<&'a Image>,
    /// Width and height of the edited frame.
    pub(crate) size: (u32, u32),
}

impl Inputs<'_> {
    /// The source's frame as it is.
    pub(crate) fn source(&mut self, time: f64) -> Result<Image, EditError> {
        self.source.frame(time)
    }

    /// The source's frame at the size of the edited clip.
    pub(crate) fn sized_source(&mut self, time: f64) -> Result<Image, EditError> {
        Ok(self.source.frame(time)?.into_size(self.size))
    }

    /// The host's frame; behind its end it starts again.
    pub(crate) fn host(&mut self, time: f64) -> Result<Image, EditError> {
        match &mut self.host {
            Some(host) => {
                let duration = host.duration();
                host.frame(time.rem_euclid(duration))
            }
            None => Err(EditError::Clip { reason: "the edit needs a host clip".into() }),
        }
    }
}

/// Refuses the parameters of an edit.
pub(crate) struct Check {
    /// The edit's name.
    pub(crate) edit: &'static str,
    /// Seconds of the clip that is edited.
    pub(crate) duration: f64,
}

impl Check {
    pub(crate) fn require(&self, good: bool, reason: &str) -> Result<(), EditError> {
        if good { Ok(()) } else { Err(EditError::Parameter { edit: self.edit, reason: reason.to_owned() }) }
    }

    /// An area within the frame.
    pub(crate) fn area(&self, area: &[f32; 4]) -> Result<(), EditError> {
        let good = area.iter().all(|value| (0.0..=1.0).contains(value))
            && area[2] - area[0] >= 0.01
            && area[3] - area[1] >= 0.01;
        self.require(good, "the area must be [x0, y0, x1, y1] within 0 to 1, rising by 0.01 or more")
    }

    /// The corners of a quadrangle, clockwise.
    pub(crate) fn corners(&self, corners: &[[f32; 2]; 4]) -> Result<(), EditError> {
        let near = corners.iter().flatten().all(|value| (-3.0..=4.0).contains(value));
        let reason = "the corners must form a convex quadrangle near the frame";
        self.require(near && is_convex(corners), reason)
    }

    /// The place of an inset.
    pub(crate) fn inset(&self, side: f32, centre: &[f32; 2]) -> Result<(), EditError> {
        self.require((0.02..=1.0).contains(&side), "the side must be 0.02 to 1")?;
        self.require(centre.iter().all(|&value| is_share(value)), "the centre must be within 0 to 1")
    }

    /// The aspect of a canvas.
    pub(crate) fn aspect(&self, aspect: f32) -> Result<(), EditError> {
        self.require((0.2..=5.0).contains(&aspect), "the aspect must be 0.2 to 5")
    }

    /// A part of the clip.
    pub(crate) fn part(&self, from: f64, to: f64) -> Result<(), EditError> {
        let inside = from >= 0.0 && to <= self.duration + 1e-6 && to - from >= 1e-3;
        self.require(inside, "from and to must rise by 1 ms or more within the clip")
    }
}

/// Whether the value is 0 to 1.
pub(crate) fn is_share(value: f32) -> bool {
    (0.0..=1.0).contains(&value)
}

/// Whether the four points go round a convex quadrangle clockwise (in pixels, y down).
fn is_convex(points: &[[f32; 2]; 4]) -> bool {
    (0..4).all(|i| {
        let [a, b, c] = [points[i], points[(i + 1) % 4], points[(i + 2) % 4]];
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]) > 1e-4
    })
}

/// A size rounded to even sides; `None` outside the limits of images.
pub(crate) fn even_size(width: f32, height: f32) -> Option<(u32, u32)> {
    let even = |side: f32| ((side * 0.5).round() as u32 * 2).max(2);
    let (width, height) = (even(width), even(height));
    let fits = width <= crate::MAX_SIDE
        && height <= crate::MAX_SIDE
        && u64::from(width) * u64::from(height) <= crate::MAX_PIXELS;
    fits.then_some((width, height))
}

/// The size of a canvas of another aspect, whose short side is the source's.
pub(crate) fn canvas_size(size: (u32, u32), aspect: f32) -> Option<(u32, u32)> {
    let short = (size.0 as f32).min(size.1 as f32);
    if aspect >= 1.0 { even_size(short * aspect, short) } else { even_size(short, short / aspect) }
}

/// A number for a time, the same for times within a millisecond.
pub(crate) fn moment(time: f64) -> u64 {
    (time * 1000.0).round().max(0.0) as u64
}
