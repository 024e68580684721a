//! How often views get which edits.

use serde::{Deserialize, Serialize};

use crate::EditError;

/// How often each edit is made (probabilities, 0 to 1) and how far the main ones go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewConfig {
    /// Left and right exchanged.
    pub flip: f64,
    /// A part of the image.
    pub crop: f64,
    /// The least area that a crop keeps, in the strong half of the crops; the other half keeps twice that.
    pub crop_area: f32,
    /// Turned by up to 25 degrees.
    pub rotate: f64,
    /// Corners moved by up to 18 % of the sides.
    pub perspective: f64,
    /// Contrast, brightness, saturation, gains, gamma, hue, sepia.
    pub colour: f64,
    /// No colours at all.
    pub grey: f64,
    /// 1 to 3 lines of text.
    pub text: f64,
    /// 1 or 2 figures or cut-outs of other images.
    pub sticker: f64,
    /// A border of up to 20 % a side, or bars above and below or at both sides.
    pub border: f64,
    /// The image inset in another image.
    pub inset: f64,
    /// The least and greatest side of such an inset, over the view's side.
    pub inset_side: [f32; 2],
    /// The image as a large part (45 to 85 % of the side) of another one.
    pub framed: f64,
    /// The image on an enlarged, blurred copy of itself, as on upright telephone screens.
    pub blurred_fill: f64,
    /// The image on a screen that is filmed.
    pub screen: f64,
    /// Another image inset over this one at 20 to 40 % of the side.
    pub overlay: f64,
    /// Another image shining through, by 15 to 40 %.
    pub blend: f64,
    /// Shrunk to 25 to 80 % and enlarged again, or pixelated.
    pub rescale: f64,
    /// Blurred by 0.5 to 2 pixels of a 64-pixel view.
    pub blur: f64,
    /// Noise of 3 to 20 255ths.
    pub noise: f64,
    /// JPEG losses of quality 8 to 60.
    pub jpeg: f64,
    /// 3 to 5 edits more at once.
    pub chain: f64,
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            flip: 0.5,
            crop: 0.75,
            crop_area: 0.3,
            rotate: 0.2,
            perspective: 0.15,
            colour: 0.7,
            grey: 0.08,
            text: 0.35,
            sticker: 0.2,
            border: 0.13,
            inset: 0.25,
            inset_side: [0.2, 0.6],
            framed: 0.07,
            blurred_fill: 0.09,
            screen: 0.1,
            overlay: 0.12,
            blend: 0.06,
            rescale: 0.3,
            blur: 0.2,
            noise: 0.15,
            jpeg: 0.5,
            chain: 0.3,
        }
    }
}

impl ViewConfig {
    /// Refuses what no view can be made of.
    pub(super) fn check(&self) -> Result<(), EditError> {
        let refuse = |reason: String| Err(EditError::Parameter { edit: "views", reason });
        let c = self;
        let surrounds = [c.border, c.inset, c.framed, c.blurred_fill, c.screen];
        let others = [
            c.flip,
            c.crop,
            c.rotate,
            c.perspective,
            c.colour,
            c.grey,
            c.text,
            c.sticker,
            c.overlay,
            c.blend,
            c.rescale,
            c.blur,
            c.noise,
            c.jpeg,
            c.chain,
        ];
        if let Some(value) = surrounds.iter().chain(&others).find(|value| !(0.0..=1.0).contains(*value)) {
            return refuse(format!("a probability is {value}, give 0 to 1"));
        }
        if surrounds.iter().sum::<f64>() > 1.0 + 1e-9 {
            return refuse("border, inset, framed, blurred_fill and screen sum to more than 1, lower them".into());
        }
        if !(0.02..=1.0).contains(&c.crop_area) {
            return refuse(format!("crop_area is {}, give 0.02 to 1", c.crop_area));
        }
        let [low, high] = c.inset_side;
        if !(low >= 0.05 && low <= high && high <= 1.0) {
            return refuse(format!("inset_side is [{low}, {high}], give rising values of 0.05 to 1"));
        }
        Ok(())
    }
}
