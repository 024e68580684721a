//! Which stretch of an edited clip shows which stretch of its source.

use serde::{Deserialize, Serialize};

/// A stretch of an edited clip and the stretch of the source that it shows.
///
/// Both are `[start, end]` in seconds.
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
    /// A clip of `duration` seconds that shows its source unchanged.
    pub(crate) fn whole(duration: f64) -> Self {
        Self { source: [0.0, duration], edited: [0.0, duration], reversed: false }
    }

    /// The source's time shown at `time` of the edited clip, which should lie in the stretch.
    pub fn source_time(&self, time: f64) -> f64 {
        let length = self.edited[1] - self.edited[0];
        let share = if length > 0.0 { (time - self.edited[0]) / length } else { 0.0 };
        let share = if self.reversed { 1.0 - share } else { share };
        self.source[0] + (self.source[1] - self.source[0]) * share
    }

    /// The edited clip's time that shows `time` of the source, which should lie in the stretch.
    pub fn edited_time(&self, time: f64) -> f64 {
        let length = self.source[1] - self.source[0];
        let share = if length > 0.0 { (time - self.source[0]) / length } else { 0.0 };
        let share = if self.reversed { 1.0 - share } else { share };
        self.edited[0] + (self.edited[1] - self.edited[0]) * share
    }
}

/// The segments of two edits one after the other.
///
/// `first` leads from the source to a clip between, `second` from there.
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
