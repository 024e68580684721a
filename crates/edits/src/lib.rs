//! Edited copies of videos with their true time alignment, procedural clips, and training views of still images.
//!
//! Everything here works on pixels in memory and follows explicit seeds: the same seed gives the same bytes. Reading
//! and writing of videos is left to others.
//!
//! * [`Image`]: RGB images, from and to files, resized by area; [`warp`]: drawn through projective maps; [`colour`],
//!   [`ops`], [`draw`]: grades, filters, text and figures.
//! * [`views::ViewMaker`]: square training views of a still image.
//! * [`Clip`]: moving pictures: [`clip::ProceduralClip`], [`clip::StillClip`], [`clip::FrameClip`], and [`Edited`], a
//!   clip with an [`Edit`], which knows which stretch of it shows which stretch of the source.
//! * [`compose`]: clips made of other clips; [`screens`]: drawn slides, terminals, editors, windows and title cards.
//!
//! ```
//! use vidsieve_edits::clip::{ProceduralClip, ShotConfig};
//! use vidsieve_edits::{Clip, Edit, Edited, SourceFacts, generator};
//!
//! let source = ProceduralClip::new(1, ShotConfig::default())?;
//! let edit = Edit::sample_chain(&mut generator(&[1, 2]), 3, 0.5, &SourceFacts::of(&source));
//! let hosts = (0..edit.hosts() as u64)
//!     .map(|i| Ok(Box::new(ProceduralClip::new(100 + i, ShotConfig::default())?) as Box<dyn Clip>))
//!     .collect::<Result<_, vidsieve_edits::EditError>>()?;
//! let mut copy = Edited::new(Box::new(source), hosts, edit)?;
//! let frame = copy.frame(0.5)?;
//! assert_eq!((frame.width, frame.height), copy.size());
//! assert!(copy.segments()[0].source[1] <= 10.0);
//! # Ok::<(), vidsieve_edits::EditError>(())
//! ```

pub mod clip;
pub mod colour;
pub mod compose;
pub mod draw;
pub mod edit;
mod edited;
mod error;
mod font;
mod image;
pub mod ops;
pub mod procedural;
pub mod screens;
pub mod views;
pub mod warp;

use rand::SeedableRng;
pub use rand_pcg::Pcg64;

pub use crate::clip::Clip;
pub use crate::edit::{Edit, Kind, Segment, SourceFacts};
pub use crate::edited::Edited;
pub use crate::error::EditError;
pub use crate::image::{Image, MAX_PIXELS, MAX_SIDE};

/// The random number generator of a place in a program, named by numbers (a seed, a step, an index ...): equal numbers
/// give equal generators, others unrelated ones.
pub fn generator(place: &[u64]) -> Pcg64 {
    // Each number is mixed in with the finalizer of splitmix64.
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ place.len() as u64;
    for &number in place {
        state = state.wrapping_add(number).wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    Pcg64::seed_from_u64(state)
}
