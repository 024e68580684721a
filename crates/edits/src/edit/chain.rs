//! Several edits, one after the other.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::operation::{Check, Inputs, Operation};
use super::sample::SourceFacts;
use super::segments::{Segment, compose};
use super::{Edit, Kind};
use crate::image::Image;
use crate::{EditError, Pcg64};

/// What a kind is for in a chain: at most one of each stage is sampled, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Time,
    Place,
    Colour,
    Cover,
    Canvas,
    Decay,
}

/// Several edits, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The first is made first; at most 16.
    pub edits: Vec<Edit>,
}

impl Chain {
    pub(super) fn sample(rng: &mut Pcg64, count: usize, strength: f32, facts: &SourceFacts) -> Self {
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
            let edit = Edit::sample(rng, kind, strength, &facts);
            facts.duration = edit.duration(facts.duration);
            if let Some((width, height)) = edit.size((facts.width, facts.height), None) {
                (facts.width, facts.height) = (width, height);
            }
            edits.push(edit);
        }
        Self { edits }
    }
}

impl Operation for Chain {
    fn check(&self, check: &Check) -> Result<(), EditError> {
        check.require(self.edits.len() <= 16, "a chain holds at most 16 edits")?;
        let flat = self.edits.iter().all(|edit| !matches!(edit, Edit::Chain(_)));
        check.require(flat, "a chain holds no chains, write its edits in a row")?;
        let mut length = check.duration;
        for edit in &self.edits {
            edit.check(length)?;
            length = edit.duration(length);
        }
        Ok(())
    }

    fn crf(&self) -> Option<u8> {
        self.edits.iter().filter_map(Edit::crf).max()
    }

    fn fps(&self) -> Option<f64> {
        self.edits.iter().filter_map(Edit::fps).reduce(f64::min)
    }

    fn duration(&self, duration: f64) -> f64 {
        self.edits.iter().fold(duration, |duration, edit| edit.duration(duration))
    }

    fn segments(&self, duration: f64) -> Vec<Segment> {
        let mut segments = vec![Segment::whole(duration)];
        let mut length = duration;
        for edit in &self.edits {
            segments = compose(&segments, &edit.segments(length));
            length = edit.duration(length);
        }
        segments
    }

    fn size(&self, size: (u32, u32), host: Option<(u32, u32)>) -> Option<(u32, u32)> {
        self.edits.iter().try_fold(size, |size, edit| edit.size(size, host))
    }

    /// An empty chain shows its source; [`crate::Edited`] makes a clip of each edit of the others.
    fn frame(&self, inputs: &mut Inputs<'_>, time: f64) -> Result<Image, EditError> {
        inputs.sized_source(time)
    }
}
