//! How a video of the benchmark is made, and which footage it shows when.

use serde::{Deserialize, Serialize};

use vidsieve_edits::clip::{ProceduralClip, ShotConfig};
use vidsieve_edits::compose::{EffectClip, FrameEffect, JoinedClip, LoopedClip, PictureClip, PlainClip};
use vidsieve_edits::edit::compose;
use vidsieve_edits::edit::time::Trim;
use vidsieve_edits::screens::{Screen, ScreenClip};
use vidsieve_edits::{Clip, Edit, Edited, Segment};

use super::TrustError;
use super::sources::Decoded;

/// How a video is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ClipRecipe {
    /// A part of a given clip.
    Given {
        /// Name of the clip.
        file: String,
        /// The first digits of its SHA-256.
        digest: String,
        /// Where the part begins, in seconds.
        from: f64,
        /// Where it ends.
        to: f64,
    },
    /// A drawn screen.
    Drawn {
        /// The screen.
        screen: Screen,
    },
    /// A drawn scene.
    Shots {
        /// Seed.
        seed: u64,
        /// What it looks like.
        config: ShotConfig,
    },
    /// One colour.
    Plain {
        /// The colour.
        colour: [u8; 3],
        /// Width and height.
        size: [u32; 2],
        /// Length.
        seconds: f64,
    },
    /// With edits, one after the other.
    Edited {
        /// Of what.
        of: Box<ClipRecipe>,
        /// The edits; none of them needs a host.
        edits: Vec<Edit>,
    },
    /// One after the other.
    Joined {
        /// Of what.
        of: Vec<ClipRecipe>,
        /// Width and height; those of the first one without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<[u32; 2]>,
    },
    /// Again and again.
    Looped {
        /// Of what.
        of: Box<ClipRecipe>,
        /// Length.
        seconds: f64,
    },
    /// With an effect on every frame.
    Effect {
        /// Of what.
        of: Box<ClipRecipe>,
        /// The effect.
        effect: FrameEffect,
    },
    /// A frame as a video.
    Picture {
        /// Of what.
        of: Box<ClipRecipe>,
        /// The frame's time.
        at: f64,
        /// Length.
        seconds: f64,
        /// The area that the camera ends at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<[f32; 4]>,
    },
}

/// A stretch of a video, and the footage that it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Footage {
    /// What the footage is, by name.
    pub what: String,
    /// Which part of it, and when it is shown.
    pub segment: Segment,
}

/// How much of a fade has to be seen for its frame to say something.
const SEEN: f64 = 0.25;

/// A source that is shown in time from one second on.
const fn shown(from: f64, to: f64, at: f64) -> Segment {
    Segment { source: [from, to], edited: [at, at + to - from], reversed: false }
}

impl ClipRecipe {
    /// The recipe with edits.
    #[must_use]
    pub fn edited(self, edits: impl Into<Vec<Edit>>) -> Self {
        Self::Edited { of: Box::new(self), edits: edits.into() }
    }

    /// The recipe with an effect.
    #[must_use]
    pub fn effect(self, effect: FrameEffect) -> Self {
        Self::Effect { of: Box::new(self), effect }
    }

    /// The part of the recipe's clip from `from` to `to` seconds.
    #[must_use]
    pub fn part(self, from: f64, to: f64) -> Self {
        match self {
            Self::Given { file, digest, from: first, .. } => {
                Self::Given { file, digest, from: first + from, to: first + to }
            }
            whole => whole.edited([Trim { from, to }.into()]),
        }
    }

    /// Length of the clip in seconds.
    #[must_use]
    pub fn duration(&self) -> f64 {
        match self {
            Self::Given { from, to, .. } => to - from,
            Self::Drawn { screen } => screen.duration,
            Self::Shots { config, .. } => config.duration,
            Self::Plain { seconds, .. } | Self::Looped { seconds, .. } | Self::Picture { seconds, .. } => *seconds,
            Self::Edited { of, edits } => edits.iter().fold(of.duration(), |seconds, edit| edit.duration(seconds)),
            Self::Joined { of, .. } => of.iter().map(Self::duration).sum(),
            Self::Effect { of, .. } => of.duration(),
        }
    }

    /// The names of the given clips in it.
    #[must_use]
    pub fn sources(&self) -> Vec<&str> {
        let mut names = match self {
            Self::Given { file, .. } => vec![file.as_str()],
            Self::Drawn { .. } | Self::Shots { .. } | Self::Plain { .. } => Vec::new(),
            Self::Edited { of, .. } | Self::Looped { of, .. } | Self::Effect { of, .. } | Self::Picture { of, .. } => {
                of.sources()
            }
            Self::Joined { of, .. } => of.iter().flat_map(Self::sources).collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Which footage is shown when. One colour is none, nor is the part of a fade that is hardly
    /// seen.
    #[must_use]
    pub fn footage(&self) -> Vec<Footage> {
        let drawn = |what: String, seconds: f64| vec![Footage { what, segment: shown(0.0, seconds, 0.0) }];
        match self {
            Self::Given { file, from, to, .. } => {
                vec![Footage { what: file.clone(), segment: shown(*from, *to, 0.0) }]
            }
            Self::Drawn { screen } => {
                // What is shown of a screen does not depend on how long it is recorded.
                drawn(format!("{:?} {} {}", screen.kind, screen.template, screen.content), screen.duration)
            }
            Self::Shots { seed, config } => drawn(format!("shots {seed} take {}", config.take), config.duration),
            Self::Plain { .. } => Vec::new(),
            Self::Edited { of, edits } => {
                let mut seconds = of.duration();
                let mut all = of.footage();
                for edit in edits {
                    all = placed(&all, &edit.segments(seconds));
                    seconds = edit.duration(seconds);
                }
                all
            }
            Self::Joined { of, .. } => {
                let mut start = 0.0;
                let mut all = Vec::new();
                for part in of {
                    let seconds = part.duration();
                    let at = Segment { source: [0.0, seconds], edited: [start, start + seconds], reversed: false };
                    all.extend(placed(&part.footage(), &[at]));
                    start += seconds;
                }
                all
            }
            Self::Looped { of, seconds } => {
                let (round, inner) = (of.duration(), of.footage());
                let mut all = Vec::new();
                let mut start = 0.0;
                while start < *seconds {
                    let length = round.min(seconds - start);
                    all.extend(placed(&inner, &[shown(0.0, length, start)]));
                    start += round;
                }
                all
            }
            Self::Effect { of, effect } => match effect {
                FrameEffect::Fade(fade) => {
                    let (first, last) = (fade.start * SEEN, of.duration() - fade.end * SEEN);
                    placed(&of.footage(), &[shown(first, last, first)])
                }
                _ => of.footage(),
            },
            Self::Picture { of, at, seconds, to } => {
                // The same picture shows the same, however long.
                let names: Vec<String> = of.footage().into_iter().map(|footage| footage.what).collect();
                drawn(format!("picture of {} at {at:.3} to {to:?}", names.join(" ")), *seconds)
            }
        }
    }

    /// Makes the clip.
    ///
    /// # Errors
    /// [`TrustError`], where a given clip cannot be read or an edit does not fit.
    pub(super) fn build(&self, given: &Decoded<'_>) -> Result<Box<dyn Clip>, TrustError> {
        Ok(match self {
            Self::Given { file, from, to, .. } => {
                let clip = given.clip(file)?;
                let to = to.min(clip.duration());
                Box::new(Edited::new(Box::new(clip), Vec::new(), Trim { from: *from, to }.into())?)
            }
            Self::Drawn { screen } => Box::new(ScreenClip::new(*screen)?),
            Self::Shots { seed, config } => Box::new(ProceduralClip::new(*seed, *config)?),
            Self::Plain { colour, size, seconds } => Box::new(PlainClip::new((size[0], size[1]), *colour, *seconds)?),
            Self::Edited { of, edits } => {
                let mut clip = of.build(given)?;
                for edit in edits {
                    clip = Box::new(Edited::new(clip, Vec::new(), edit.clone())?);
                }
                clip
            }
            Self::Joined { of, size } => {
                let clips = of.iter().map(|part| part.build(given)).collect::<Result<Vec<_>, _>>()?;
                Box::new(JoinedClip::new(clips, size.map(|[width, height]| (width, height)))?)
            }
            Self::Looped { of, seconds } => Box::new(LoopedClip::new(of.build(given)?, *seconds)?),
            Self::Effect { of, effect } => Box::new(EffectClip::new(of.build(given)?, effect.clone())?),
            Self::Picture { of, at, seconds, to } => {
                let picture = of.build(given)?.frame(*at)?;
                Box::new(PictureClip::new(picture, *seconds, *to)?)
            }
        })
    }
}

/// Footage of a clip where `segments` place the clip in another one.
fn placed(footage: &[Footage], segments: &[Segment]) -> Vec<Footage> {
    let one = |footage: &Footage| {
        let what = footage.what.clone();
        compose(&[footage.segment], segments).into_iter().map(move |segment| Footage { what: what.clone(), segment })
    };
    let mut all: Vec<Footage> = footage.iter().flat_map(one).collect();
    all.sort_by(|a, b| a.segment.edited[0].total_cmp(&b.segment.edited[0]));
    all
}

/// Stretches of a video, `[from, to]` in seconds, rising and apart.
pub type Stretches = Vec<[f64; 2]>;

/// Joins what overlaps or touches.
#[must_use]
pub fn union(mut stretches: Stretches) -> Stretches {
    stretches.retain(|[from, to]| to > from);
    stretches.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut all: Stretches = Vec::new();
    for stretch in stretches {
        match all.last_mut() {
            Some(last) if stretch[0] <= last[1] + 1e-6 => last[1] = last[1].max(stretch[1]),
            _ => all.push(stretch),
        }
    }
    all
}

/// Sum of the stretches' lengths.
#[must_use]
pub fn seconds_of(stretches: &[[f64; 2]]) -> f64 {
    stretches.iter().map(|[from, to]| to - from).sum()
}

/// The stretches of two videos that show the same footage, of the first and of the second.
#[must_use]
pub fn shared(query: &[Footage], target: &[Footage]) -> [Stretches; 2] {
    let mut both: [Stretches; 2] = Default::default();
    for a in query {
        for b in target.iter().filter(|b| b.what == a.what) {
            let from = a.segment.source[0].max(b.segment.source[0]);
            let to = a.segment.source[1].min(b.segment.source[1]);
            if to - from <= 1e-6 {
                continue;
            }
            for (side, segment) in [&a.segment, &b.segment].into_iter().enumerate() {
                let mut stretch = [segment.edited_time(from), segment.edited_time(to)];
                stretch.sort_by(f64::total_cmp);
                both[side].push(stretch);
            }
        }
    }
    both.map(union)
}

#[cfg(test)]
mod tests {
    use vidsieve_edits::compose::Fade;
    use vidsieve_edits::edit::time::Speed;

    use super::*;

    fn given(file: &str, from: f64, to: f64) -> ClipRecipe {
        ClipRecipe::Given { file: file.into(), digest: String::new(), from, to }
    }

    fn plain(seconds: f64) -> ClipRecipe {
        ClipRecipe::Plain { colour: [0; 3], size: [32, 32], seconds }
    }

    fn joined(of: Vec<ClipRecipe>) -> ClipRecipe {
        ClipRecipe::Joined { of, size: None }
    }

    fn both(a: &ClipRecipe, b: &ClipRecipe) -> [Stretches; 2] {
        shared(&a.footage(), &b.footage()).map(|s| s.iter().map(|t| t.map(|v| (v * 1e3).round() / 1e3)).collect())
    }

    #[test]
    fn what_two_videos_share_follows_from_how_they_are_made() {
        let a = joined(vec![plain(2.0), given("a", 1.0, 6.0), given("b", 0.0, 3.0)]);
        assert!((a.duration() - 10.0).abs() < 1e-9);
        let none: Stretches = Vec::new();
        assert_eq!(both(&a, &joined(vec![plain(2.0), given("c", 0.0, 3.0)])), [none.clone(), none]);
        let b = joined(vec![given("c", 0.0, 1.0), given("a", 3.0, 9.0)]);
        assert_eq!(both(&a, &b), [vec![[4.0, 7.0]], vec![[1.0, 4.0]]]);
        let fast = a.clone().edited([Speed { factor: 2.0 }.into()]).part(0.5, 4.0);
        assert_eq!(both(&fast, &a), [vec![[0.5, 3.5]], vec![[2.0, 8.0]]]);
    }

    #[test]
    fn loops_fades_and_pictures_show_what_they_are_made_of() {
        let looped = ClipRecipe::Looped { of: Box::new(given("a", 0.0, 2.0)), seconds: 5.0 };
        assert_eq!(both(&looped, &given("a", 1.0, 4.0)), [vec![[1.0, 2.0], [3.0, 4.0]], vec![[0.0, 1.0]]]);
        let fade = Fade { colour: [0; 3], start: 2.0, end: 1.0 };
        let faded = given("a", 0.0, 8.0).effect(FrameEffect::Fade(fade));
        assert_eq!(both(&faded, &given("a", 0.0, 8.0))[0], [[0.5, 7.75]]);
        let picture = |at, seconds| ClipRecipe::Picture { of: Box::new(given("a", 0.0, 8.0)), at, seconds, to: None };
        assert_eq!(both(&picture(1.0, 3.0), &picture(1.0, 2.0)), [vec![[0.0, 2.0]], vec![[0.0, 2.0]]]);
        assert!(both(&picture(1.0, 3.0), &picture(2.0, 3.0))[0].is_empty());
    }

    #[test]
    fn stretches_join() {
        assert_eq!(union(vec![[3.0, 4.0], [1.0, 2.0], [1.5, 3.0], [6.0, 5.0]]), [[1.0, 4.0]]);
        assert!((seconds_of(&[[1.0, 2.0], [3.0, 5.5]]) - 3.5).abs() < 1e-9);
    }

    #[test]
    fn recipes_are_read_back() {
        let fade = FrameEffect::Fade(Fade { colour: [0; 3], start: 2.0, end: 1.0 });
        let recipe =
            joined(vec![given("a", 0.0, 2.0).effect(fade), plain(1.0)]).edited([Speed { factor: 1.25 }.into()]);
        let text = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<ClipRecipe>(&text).unwrap(), recipe);
        assert_eq!(recipe.sources(), ["a"]);
    }
}
