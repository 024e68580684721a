//! Videos that share a part: an opening, a closing, a title card, a scene of two compilations.

use rand::RngExt;

use vidsieve::Relation::{self, SharesPart};
use vidsieve_edits::Pcg64;
use vidsieve_edits::screens::{Screen, ScreenKind};

use super::super::PairClass;
use super::super::recipe::ClipRecipe;
use super::super::sources::TrustSource;
use super::{PairPlan, Planner, SHORT, TrustKind, faster, part, short, tells, whole};

const SHARES: &[Relation] = &[SharesPart];

const fn kind(name: &'static str, plan: fn(&Planner<'_>, &mut Pcg64, usize) -> Option<PairPlan>) -> TrustKind {
    TrustKind { name, class: PairClass::SharesPart, accept: SHARES, times: 1, plan }
}

pub(super) const KINDS: &[TrustKind] = &[
    kind("opening", |p, rng, n| common(p, rng, n, Place::Start)),
    kind("closing", |p, rng, n| common(p, rng, n, Place::End)),
    kind("title-card", title_card),
    kind("scene", scene),
];

/// Share of a video that is in both, at most.
const MOST: f64 = 0.4;

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    End,
}

/// Different footage of at least `least` seconds, of one clip or several.
fn body<'a>(
    planner: &Planner<'a>,
    rng: &mut Pcg64,
    taken: &mut Vec<&'a TrustSource>,
    least: f64,
) -> Option<Vec<ClipRecipe>> {
    let (mut parts, mut seconds) = (Vec::new(), 0.0);
    while seconds < least && parts.len() < 4 {
        let source = planner.other(rng, taken, |source| source.seconds() >= SHORT)?;
        let clip = whole(source);
        seconds += clip.duration();
        parts.push(clip);
        taken.push(source);
    }
    (seconds >= least).then_some(parts)
}

/// Seconds that the rest of a video needs beside a common part, for shares of 5 to 40 % in turn.
fn rest(rng: &mut Pcg64, common: f64) -> f64 {
    let share = rng.random_range(0.05..MOST);
    (common / share - common).min(14.0).max(common * (1.0 - MOST) / MOST)
}

fn common(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, place: Place) -> Option<PairPlan> {
    let source = planner.pick(rng, number, |source| tells(source, SHORT))?;
    let length = short(rng.random_range(2.0..8.0f64).min(source.seconds()));
    let shared = part(rng, source, length);
    let size = Some([source.size.0, source.size.1]);
    let mut taken = vec![source];
    let mut one = || {
        let least = rest(rng, shared.duration());
        let mut of = body(planner, rng, &mut taken, least)?;
        if place == Place::Start {
            of.insert(0, shared.clone())
        } else {
            of.push(shared.clone())
        }
        Some(planner.video(ClipRecipe::Joined { of, size }, source.rate))
    };
    Some(PairPlan::new(one()?, one()?))
}

fn title_card(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let first = planner.pick(rng, number, |source| source.seconds() >= SHORT)?;
    let size = [first.size.0.max(64), first.size.1.max(64)];
    let seconds = short(rng.random_range(2.0..5.0));
    let seed = rng.random();
    let screen = Screen { kind: ScreenKind::Card, template: seed, content: seed, size, duration: seconds };
    let mut card = ClipRecipe::Drawn { screen };
    if number % 2 == 1 {
        // Every other card is zoomed into.
        let to = Some([0.08, 0.08, 0.92, 0.92]);
        card = ClipRecipe::Picture { of: Box::new(card), at: 0.0, seconds, to };
    }
    let at_end = number % 4 == 3;
    let mut taken = Vec::new();
    let mut one = || {
        let least = rest(rng, seconds);
        let mut of = body(planner, rng, &mut taken, least)?;
        if at_end {
            of.push(card.clone())
        } else {
            of.insert(0, card.clone())
        }
        Some(planner.video(ClipRecipe::Joined { of, size: Some(size) }, first.rate))
    };
    Some(PairPlan::new(one()?, one()?))
}

fn scene(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let source = planner.pick(rng, number, |source| tells(source, SHORT))?;
    let length = short(rng.random_range(2.0..6.0f64).min(source.seconds()));
    let shared = part(rng, source, length);
    let size = Some([source.size.0, source.size.1]);
    let mut taken = vec![source];
    let mut one = || {
        let (mut of, mut seconds, mut rate) = (Vec::new(), 0.0, source.rate);
        let least = rest(rng, shared.duration());
        while seconds < least {
            let other = planner.other(rng, &taken, |source| source.seconds() >= 2.0)?;
            let length = rng.random_range(2.0..4.5f64).min(other.seconds());
            let cut = part(rng, other, short(length));
            seconds += cut.duration();
            of.push(cut);
            taken.push(other);
            rate = faster(rate, other.rate);
        }
        let at = rng.random_range(0..=of.len());
        of.insert(at, shared.clone());
        Some(planner.video(ClipRecipe::Joined { of, size }, rate))
    };
    Some(PairPlan::new(one()?, one()?))
}
