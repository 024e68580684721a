//! The kinds of pairs, and how pairs of each are planned.

mod look_alikes;
pub(crate) mod same;
mod shares;

use rand::RngExt;

use vidsieve::Relation;
use vidsieve_edits::{Pcg64, generator};
use vidsieve_video::Rate;

use super::PairClass;
use super::recipe::ClipRecipe;
use super::sources::TrustSource;

/// Seconds of a clip that a video shows whole, at most.
const WHOLE: f64 = 12.0;
/// Shortest clip that is used for most kinds, in seconds.
const SHORT: f64 = 3.0;
/// Seconds of a film, before its last clip.
const FILM: [f64; 2] = [32.0, 55.0];
/// The shorter side of a film, in pixels, at most.
const FILM_SIDE: f64 = 180.0;
/// Attempts at a pair.
const ATTEMPTS: u64 = 40;

/// A video that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VideoPlan {
    /// How its name begins.
    pub(crate) label: String,
    pub(crate) recipe: ClipRecipe,
    pub(crate) rate: Rate,
    /// Quality of H.264.
    pub(crate) crf: u8,
}

impl VideoPlan {
    pub(crate) fn new(label: &str, recipe: ClipRecipe, rate: Rate) -> Self {
        Self { label: label.into(), recipe, rate, crf: 23 }
    }
}

/// A pair that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PairPlan {
    pub(super) query: VideoPlan,
    pub(super) target: VideoPlan,
}

impl PairPlan {
    fn new(query: VideoPlan, target: VideoPlan) -> Self {
        Self { query, target }
    }

    /// The pair the other way round where the number is odd.
    fn in_turn(self, number: usize) -> Self {
        if number.is_multiple_of(2) { self } else { Self { query: self.target, target: self.query } }
    }
}

/// A kind of pairs.
#[derive(Clone, Copy)]
pub struct TrustKind {
    /// Its name.
    pub name: &'static str,
    /// What its pairs test.
    pub class: PairClass,
    /// The relations that are right for its pairs; the first one is what they are.
    pub accept: &'static [Relation],
    /// How many times the usual number of pairs there are.
    pub times: usize,
    plan: fn(&Planner<'_>, &mut Pcg64, usize) -> Option<PairPlan>,
}

impl std::fmt::Debug for TrustKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustKind").field("name", &self.name).field("class", &self.class).finish_non_exhaustive()
    }
}

impl TrustKind {
    /// Every kind: look-alikes first, the same footage last.
    pub fn all() -> impl Iterator<Item = Self> {
        look_alikes::KINDS.iter().chain(shares::KINDS).chain(same::KINDS).copied()
    }

    /// Pair `number` of this kind; none where the given clips do not make one. `taken` refuses
    /// pairs that there are.
    pub(super) fn pair(
        &self,
        sources: &[TrustSource],
        seed: u64,
        number: usize,
        taken: &mut dyn FnMut(&PairPlan) -> bool,
    ) -> Option<PairPlan> {
        // A kind's pairs do not depend on which other kinds there are.
        let kind = self.name.bytes().fold(0u64, |h, b| h.wrapping_mul(0x0100_0000_01b3) ^ u64::from(b));
        let planner = Planner { sources, name: self.name, seed, kind };
        (0..ATTEMPTS).find_map(|attempt| {
            let mut rng = generator(&[0x7257, seed, kind, number as u64, attempt]);
            (self.plan)(&planner, &mut rng, number).filter(|pair| !taken(pair))
        })
    }
}

/// The clips that pairs of one kind are made of.
struct Planner<'a> {
    sources: &'a [TrustSource],
    name: &'static str,
    seed: u64,
    kind: u64,
}

/// What a clip is drawn by: clips of one group or series take turns.
pub(crate) fn bucket(source: &TrustSource) -> &str {
    source.group.as_deref().unwrap_or(&source.series)
}

/// Whether two clips certainly show different footage.
fn differ(a: &TrustSource, b: &TrustSource) -> bool {
    let grouped = a.group.is_some() && a.group == b.group;
    a.name != b.name && a.series != b.series && !grouped && !a.thumbnails.alike(&b.thumbnails)
}

impl<'a> Planner<'a> {
    /// A clip for pair `number`: of a group and of none by turns, and groups and series take turns
    /// in an order of the kind's own.
    fn pick(&self, rng: &mut Pcg64, number: usize, good: impl Fn(&TrustSource) -> bool) -> Option<&'a TrustSource> {
        let (grouped, single): (Vec<&TrustSource>, Vec<_>) =
            self.sources.iter().filter(|source| good(source)).partition(|source| source.group.is_some());
        let (first, second) = if number.is_multiple_of(2) { (single, grouped) } else { (grouped, single) };
        let (fit, turn) = match (first.is_empty(), second.is_empty()) {
            (false, false) => (first, number / 2),
            (false, true) => (first, number),
            _ => (second, number),
        };
        let mut buckets: Vec<&str> = fit.iter().map(|source| bucket(source)).collect();
        buckets.sort_unstable();
        buckets.dedup();
        let mut order = generator(&[0x04de4, self.seed, self.kind]);
        for i in (1..buckets.len()).rev() {
            buckets.swap(i, order.random_range(0..=i));
        }
        let chosen = *buckets.get(turn % buckets.len().max(1))?;
        let within: Vec<&TrustSource> = fit.into_iter().filter(|source| bucket(source) == chosen).collect();
        within.get(rng.random_range(0..within.len().max(1))).copied()
    }

    /// A clip that shows other footage than `taken`.
    fn other(
        &self,
        rng: &mut Pcg64,
        taken: &[&TrustSource],
        good: impl Fn(&TrustSource) -> bool,
    ) -> Option<&'a TrustSource> {
        (0..ATTEMPTS).find_map(|_| {
            let number = rng.random_range(0..1 << 20);
            let source = self.pick(rng, number, &good)?;
            taken.iter().all(|other| differ(source, other)).then_some(source)
        })
    }

    /// Two clips of different footage for pair `number`.
    fn two(&self, rng: &mut Pcg64, number: usize, good: impl Fn(&TrustSource) -> bool) -> Option<[&'a TrustSource; 2]> {
        let first = self.pick(rng, number, &good)?;
        let second = self.other(rng, &[first], good)?;
        Some([first, second])
    }

    /// A video of this kind.
    fn video(&self, recipe: ClipRecipe, rate: Rate) -> VideoPlan {
        VideoPlan::new(self.name, recipe, rate)
    }

    /// A film of half a minute to a minute that shows `piece`, which is of `source`, among other clips. A video so long is sampled once
    /// a second.
    fn film(&self, rng: &mut Pcg64, source: &TrustSource, piece: ClipRecipe) -> Option<VideoPlan> {
        let length = rng.random_range(FILM[0]..FILM[1]);
        let (mut of, mut seconds, mut rate) = (Vec::new(), piece.duration(), source.rate);
        while seconds < length {
            let other = self.other(rng, &[source], |other| other.seconds() >= 2.0)?;
            let wanted = rng.random_range(3.0..9.0f64).min(other.seconds());
            let cut = part(rng, other, short(wanted));
            seconds += cut.duration();
            of.push(cut);
            rate = faster(rate, other.rate);
        }
        of.insert(rng.random_range(0..=of.len()), piece);
        let scale = (FILM_SIDE / f64::from(source.size.0.min(source.size.1))).min(1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let side = |side: u32| ((f64::from(side) * scale / 2.0).round() as u32 * 2).max(16);
        let size = Some([side(source.size.0), side(source.size.1)]);
        Some(self.video(ClipRecipe::Joined { of, size }, rate))
    }

    /// A pair of different clips, both changed in the same way.
    fn alike(
        &self,
        rng: &mut Pcg64,
        number: usize,
        mut change: impl FnMut(&mut Pcg64, &TrustSource, ClipRecipe) -> ClipRecipe,
    ) -> Option<PairPlan> {
        let [a, b] = self.two(rng, number, |source| source.seconds() >= SHORT)?;
        let query = change(rng, a, whole(a));
        let target = change(rng, b, whole(b));
        Some(PairPlan::new(self.video(query, a.rate), self.video(target, b.rate)))
    }
}

/// The usable stretch of a clip, as far as videos show it.
fn whole(source: &TrustSource) -> ClipRecipe {
    source.part(0.0, source.seconds().min(WHOLE))
}

/// A clip as a video of its own, which many pairs use.
pub(crate) fn plain(source: &TrustSource) -> VideoPlan {
    let stem = source.name.rsplit_once('.').map_or(source.name.as_str(), |(stem, _)| stem);
    let safe: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    VideoPlan { crf: 20, ..VideoPlan::new(&safe, whole(source), source.rate) }
}

/// A random part of `seconds` of a clip.
fn part(rng: &mut Pcg64, source: &TrustSource, seconds: f64) -> ClipRecipe {
    let from = rng.random_range(0.0..=(source.seconds() - seconds).max(0.0));
    source.part(from, (from + seconds).min(source.seconds()))
}

/// Whether a clip can be found again: it changes, and shows nothing twice.
pub(crate) fn tells(source: &TrustSource, seconds: f64) -> bool {
    source.seconds() >= seconds && source.moves && !source.repeats
}

/// Rounded to milliseconds, so that files show short numbers.
pub(crate) fn short(time: f64) -> f64 {
    (time * 1000.0).round() / 1000.0
}

/// The greater of two rates.
pub(crate) fn faster(a: Rate, b: Rate) -> Rate {
    if a.value() >= b.value() { a } else { b }
}

/// Any colour.
fn colour(rng: &mut Pcg64) -> [u8; 3] {
    std::array::from_fn(|_| rng.random())
}
