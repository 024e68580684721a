//! Different footage that looks alike.

use rand::RngExt;

use vidsieve::Relation::{self, Different, SameScene};
use vidsieve_edits::clip::ShotConfig;
use vidsieve_edits::colour::Grade;
use vidsieve_edits::compose::{Fade, FrameEffect, Ticker};
use vidsieve_edits::draw::{Sticker, Text, word};
use vidsieve_edits::edit::canvas::{BlurredFill, PlainBorder};
use vidsieve_edits::edit::colour::Colour;
use vidsieve_edits::edit::decay::{Blur, Noise};
use vidsieve_edits::edit::frame::Crop;
use vidsieve_edits::edit::text::TextLogo;
use vidsieve_edits::screens::{Screen, ScreenKind};
use vidsieve_edits::{Edit, Pcg64, generator};
use vidsieve_video::Rate;

use super::super::PairClass;
use super::super::recipe::ClipRecipe;
use super::super::sources::TrustSource;
use super::{PairPlan, Planner, TrustKind, bucket, colour, part, plain, short, whole};

const DIFFERENT: &[Relation] = &[Different];
const SCENE: &[Relation] = &[SameScene, Different];
const EITHER: &[Relation] = &[Different, SameScene];
/// Mean difference of cells, in 255ths, up to which two halves of a clip show one scene.
const ONE_SCENE: f32 = 16.0;
/// Frames a second of drawn videos.
const DRAWN: Rate = Rate { num: 12, den: 1 };

const fn kind(
    name: &'static str,
    accept: &'static [Relation],
    plan: fn(&Planner<'_>, &mut Pcg64, usize) -> Option<PairPlan>,
) -> TrustKind {
    TrustKind { name, class: PairClass::LookAlike, accept, times: 1, plan }
}

pub(super) const KINDS: &[TrustKind] = &[
    TrustKind { class: PairClass::Unrelated, times: 10, ..kind("unrelated", DIFFERENT, unrelated) },
    kind("lead-black", DIFFERENT, |p, rng, n| lead(p, rng, n, |_| [0; 3])),
    kind("lead-white", DIFFERENT, |p, rng, n| lead(p, rng, n, |_| [255; 3])),
    kind("lead-colour", DIFFERENT, |p, rng, n| lead(p, rng, n, colour)),
    kind("end-black", DIFFERENT, |p, rng, n| end(p, rng, n, |_| [0; 3])),
    kind("end-colour", DIFFERENT, |p, rng, n| end(p, rng, n, colour)),
    kind("fade-black", DIFFERENT, |p, rng, n| fade(p, rng, n, [0; 3])),
    kind("fade-white", DIFFERENT, |p, rng, n| fade(p, rng, n, [255; 3])),
    kind("pillars", DIFFERENT, pillars),
    kind("blurred-sides", DIFFERENT, blurred_sides),
    kind("logo", DIFFERENT, logo),
    kind("watermark", DIFFERENT, watermark),
    kind("overlay", DIFFERENT, overlay),
    kind("ticker", EITHER, ticker),
    kind("studio", SCENE, studio),
    kind("dark", DIFFERENT, |p, rng, n| graded(p, rng, n, dark)),
    kind("noisy", DIFFERENT, noisy),
    kind("out-of-focus", DIFFERENT, out_of_focus),
    kind("flat", DIFFERENT, |p, rng, n| graded(p, rng, n, flat)),
    kind("slides", SCENE, |p, rng, n| Some(screens(p, rng, n, ScreenKind::Slides))),
    kind("terminals", SCENE, |p, rng, n| Some(screens(p, rng, n, ScreenKind::Terminal))),
    kind("editors", SCENE, |p, rng, n| Some(screens(p, rng, n, ScreenKind::Editor))),
    kind("desktops", SCENE, |p, rng, n| Some(screens(p, rng, n, ScreenKind::Desktop))),
    kind("takes", SCENE, takes),
    kind("drawn-takes", SCENE, |p, rng, _| Some(drawn_takes(p, rng))),
    kind("groups", SCENE, groups),
    kind("takes-in-film", SCENE, takes_in_film),
    kind("groups-in-film", SCENE, groups_in_film),
    kind("loops", DIFFERENT, loops),
    kind("stills", DIFFERENT, |p, rng, n| stills(p, rng, n, false)),
    kind("zooms", DIFFERENT, |p, rng, n| stills(p, rng, n, true)),
];

fn unrelated(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let [a, b] = planner.two(rng, number, |source| source.seconds() >= super::SHORT)?;
    Some(PairPlan::new(plain(a), plain(b)))
}

/// Seconds of a lead-in, a fade or an end: 0.5 to 30 % of the whole, or 1 to 8 s where that is less
/// than 30 %.
fn stretch(rng: &mut Pcg64, seconds: f64, number: usize) -> f64 {
    let most = seconds * 0.3 / 0.7;
    let length = if number.is_multiple_of(4) {
        seconds * (0.005f64.ln() + (0.43f64 / 0.005).ln() * rng.random_range(0.0..1.0)).exp()
    } else {
        rng.random_range(1.0..8.0f64)
    };
    short(length.min(most).max(0.1))
}

fn one_colour(source: &TrustSource, colour: [u8; 3], seconds: f64) -> ClipRecipe {
    ClipRecipe::Plain { colour, size: [source.size.0, source.size.1], seconds }
}

fn joined(of: Vec<ClipRecipe>) -> ClipRecipe {
    ClipRecipe::Joined { of, size: None }
}

fn lead(
    planner: &Planner<'_>,
    rng: &mut Pcg64,
    number: usize,
    shade: impl Fn(&mut Pcg64) -> [u8; 3],
) -> Option<PairPlan> {
    let shade = shade(rng);
    planner.alike(rng, number, |rng, source, clip| {
        let length = stretch(rng, clip.duration(), number);
        joined(vec![one_colour(source, shade, length), clip])
    })
}

fn end(
    planner: &Planner<'_>,
    rng: &mut Pcg64,
    number: usize,
    shade: impl Fn(&mut Pcg64) -> [u8; 3],
) -> Option<PairPlan> {
    let shade = shade(rng);
    planner.alike(rng, number, |rng, source, clip| {
        let length = stretch(rng, clip.duration(), number);
        joined(vec![clip, one_colour(source, shade, length)])
    })
}

fn fade(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, shade: [u8; 3]) -> Option<PairPlan> {
    planner.alike(rng, number, |rng, source, clip| {
        let seconds = clip.duration();
        let mut length = || short(rng.random_range(0.5..3.0f64).min(seconds * 0.3));
        let (start, end) = (length(), length());
        let faded = clip.effect(FrameEffect::Fade(Fade { colour: shade, start, end }));
        // Half of them stay dark for a moment before.
        let still = if number.is_multiple_of(2) { length() } else { 0.0 };
        if still > 0.0 { joined(vec![one_colour(source, shade, still), faded]) } else { faded }
    })
}

/// A pair with the same edits on both sides.
fn edited(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, edits: &[Edit]) -> Option<PairPlan> {
    planner.alike(rng, number, |_, _, clip| clip.edited(edits))
}

fn pillars(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let bar = rng.random_range(0.15..0.5f32);
    let margins = if number % 3 == 2 { [0.0, bar, 0.0, bar] } else { [bar, 0.0, bar, 0.0] };
    edited(planner, rng, number, &[PlainBorder { margins, colour: [0; 3] }.into()])
}

fn blurred_sides(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let darkness = rng.random_range(0.0..0.5f32);
    let upright = number % 3 == 2;
    planner.alike(rng, number, |_, source, clip| {
        let (width, height) = (source.size.0 as f32, source.size.1 as f32);
        let fill = |aspect: f32| BlurredFill { aspect, zoom: 1.0, place: 0.5, darkness }.into();
        if upright {
            return clip.edited([fill(9.0 / 16.0)]);
        }
        // An upright part of the clip in a wide frame.
        let share = (height * 9.0 / 16.0 / width).min(1.0);
        let area = [0.5 - share / 2.0, 0.0, 0.5 + share / 2.0, 1.0];
        clip.edited([Crop { area }.into(), fill(16.0 / 9.0)])
    })
}

fn line(rng: &mut Pcg64, words: usize, size: f32) -> Text {
    let text = (0..words).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
    let mut text = Text { text, angle: 0.0, alpha: 1.0, ..Text::sample(rng, size) };
    text.fit(1.6, 0.9);
    text
}

fn logo(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let size = rng.random_range(0.12..0.28);
    let mut sticker = Sticker { alpha: 1.0, ..Sticker::sample(rng, size) };
    sticker.centre = [0, 1].map(|_| if rng.random_bool(0.5) { 0.12 } else { 0.88 });
    edited(planner, rng, number, &[TextLogo { texts: vec![], subtitles: vec![], logos: vec![sticker] }.into()])
}

fn watermark(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let size = rng.random_range(0.1..0.25);
    let mut text = line(rng, 2, size);
    let angle = if rng.random_bool(0.5) { rng.random_range(-0.5..0.5) } else { 0.0 };
    text = Text { alpha: rng.random_range(0.25..0.5), centre: [0.5, 0.5], angle, background: None, ..text };
    let mut texts = vec![text.clone()];
    if rng.random_bool(0.5) {
        // As stock footage: the same mark several times.
        texts = [0.2, 0.5, 0.8].map(|y| Text { centre: [0.5, y], size: text.size * 0.6, ..text.clone() }).into();
    }
    edited(planner, rng, number, &[TextLogo { texts, subtitles: vec![], logos: vec![] }.into()])
}

fn overlay(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let frame = colour(rng);
    let mut title = line(rng, 3, 0.07);
    title = Text { centre: [0.4, 0.86], background: Some(colour(rng)), ..title };
    let mut below = line(rng, 4, 0.045);
    below = Text { centre: [0.4, 0.95], background: Some(frame), ..below };
    let mut logo = Sticker { alpha: 1.0, ..Sticker::sample(rng, 0.16) };
    logo.centre = [0.9, 0.12];
    let margin = rng.random_range(0.02..0.08f32);
    let border = PlainBorder { margins: [margin; 4], colour: frame };
    let marks = TextLogo { texts: vec![title, below], subtitles: vec![], logos: vec![logo] };
    edited(planner, rng, number, &[border.into(), marks.into()])
}

fn ticker(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let text = (0..14).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
    let (height, speed) = (rng.random_range(0.1..0.18), rng.random_range(0.1..0.4));
    let band: [u8; 3] = colour(rng).map(|value| value / 2);
    let ticker = Ticker { text, height, speed, band, ink: [255; 3] };
    planner.alike(rng, number, |_, _, clip| clip.effect(FrameEffect::Ticker(ticker.clone())))
}

fn studio(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let (width, height) = (rng.random_range(0.25..0.45f32), rng.random_range(0.3..0.5f32));
    let (x, y) = (rng.random_range(0.05..0.95 - width), rng.random_range(0.1..0.78 - height));
    let effect = FrameEffect::Window { backdrop: rng.random(), area: [x, y, x + width, y + height] };
    planner.alike(rng, number, |_, _, clip| clip.effect(FrameEffect::Size([426, 240])).effect(effect.clone()))
}

fn graded(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, grade: fn(&mut Pcg64) -> Grade) -> Option<PairPlan> {
    let grade = grade(rng);
    edited(planner, rng, number, &[Colour { grade }.into()])
}

fn dark(rng: &mut Pcg64) -> Grade {
    let gain = rng.random_range(0.1..0.28f32);
    Grade { gains: [gain; 3], ..Grade::default() }
}

fn flat(rng: &mut Pcg64) -> Grade {
    let gains = std::array::from_fn(|_| rng.random_range(0.6..1.2));
    let (contrast, saturation) = (rng.random_range(0.12..0.3), rng.random_range(0.1..0.6));
    Grade { gains, contrast, saturation, brightness: rng.random_range(-40.0..60.0), ..Grade::default() }
}

fn noisy(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let (sigma, grey) = (rng.random_range(22.0..50.0f32), rng.random_bool(0.5));
    planner.alike(rng, number, |rng, _, clip| clip.edited([Noise { sigma, grey, seed: rng.random() }.into()]))
}

fn out_of_focus(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let sigma = rng.random_range(0.015..0.045f32);
    edited(planner, rng, number, &[Blur { sigma }.into()])
}

fn screens(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, kind: ScreenKind) -> PairPlan {
    let template = generator(&[planner.seed, planner.kind, number as u64]).random();
    let mut one = || {
        let duration = short(rng.random_range(6.0..14.0));
        let screen = Screen { kind, template, content: rng.random(), size: [426, 240], duration };
        planner.video(ClipRecipe::Drawn { screen }, DRAWN)
    };
    PairPlan::new(one(), one())
}

fn takes(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let (source, [query, target]) = two_takes(planner, rng, number)?;
    let pair = PairPlan::new(planner.video(query, source.rate), planner.video(target, source.rate));
    Some(pair.in_turn(usize::from(rng.random_bool(0.5))))
}

fn takes_in_film(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let (source, [query, target]) = two_takes(planner, rng, number)?;
    Some(PairPlan::new(planner.video(query, source.rate), planner.film(rng, source, target)?))
}

/// Two stretches of a clip that show one scene.
fn two_takes<'a>(planner: &Planner<'a>, rng: &mut Pcg64, number: usize) -> Option<(&'a TrustSource, [ClipRecipe; 2])> {
    let split = |source: &TrustSource| {
        let seconds = source.seconds();
        [[0.0, seconds * 0.45], [seconds * 0.55, seconds]]
    };
    let good = |source: &TrustSource| {
        let [first, second] = split(source).map(|stretch| source.thumbnails.between(stretch));
        source.seconds() >= 8.0 && !first.alike(&second) && first.distance(&second) <= ONE_SCENE
    };
    let source = planner.pick(rng, number, good)?;
    Some((source, split(source).map(|[from, to]| source.part(from, to))))
}

fn drawn_takes(planner: &Planner<'_>, rng: &mut Pcg64) -> PairPlan {
    let seed = rng.random();
    let seconds = short(rng.random_range(6.0..12.0));
    let shot = [seconds, seconds * 2.0];
    let config = ShotConfig { width: 426, height: 240, duration: seconds, shot, fixed: true, ..ShotConfig::default() };
    let [query, target] =
        [1, 2].map(|take| planner.video(ClipRecipe::Shots { seed, config: ShotConfig { take, ..config } }, DRAWN));
    PairPlan::new(query, target)
}

fn groups(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let [one, other] = two_of_group(planner, rng, number)?;
    Some(PairPlan::new(plain(one), plain(other)))
}

fn groups_in_film(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let [one, other] = two_of_group(planner, rng, number)?;
    Some(PairPlan::new(plain(one), planner.film(rng, other, whole(other))?))
}

/// Two clips of one group that look alike.
fn two_of_group<'a>(planner: &Planner<'a>, rng: &mut Pcg64, number: usize) -> Option<[&'a TrustSource; 2]> {
    let good = |source: &TrustSource| source.group.is_some() && source.seconds() >= 1.5;
    let one = planner.pick(rng, number, good)?;
    let mut others: Vec<(f32, &TrustSource)> = planner
        .sources
        .iter()
        .filter(|other| good(other) && bucket(other) == bucket(one) && other.name != one.name)
        .filter(|other| !one.thumbnails.alike(&other.thumbnails))
        .map(|other| (one.thumbnails.distance(&other.thumbnails), other))
        .collect();
    // One of the half that looks most alike.
    others.sort_by(|a, b| a.0.total_cmp(&b.0));
    others.truncate(others.len().div_ceil(2));
    let (_, other) = others.get(rng.random_range(0..others.len().max(1)))?;
    Some([one, other])
}

fn loops(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let [a, b] = planner.two(rng, number, |source| source.seconds() >= super::SHORT && source.moves)?;
    let mut one = |source: &TrustSource| {
        let length = rng.random_range(1.0..3.0);
        let of = Box::new(part(rng, source, length));
        let seconds = short(rng.random_range(5.0..10.0));
        planner.video(ClipRecipe::Looped { of, seconds }, source.rate)
    };
    Some(PairPlan::new(one(a), one(b)))
}

fn stills(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, zoom: bool) -> Option<PairPlan> {
    let [a, b] = planner.two(rng, number, |source| source.seconds() >= 1.0)?;
    let mut one = |source: &TrustSource| {
        let of = whole(source);
        let at = short(rng.random_range(0.0..of.duration()));
        let to = zoom.then(|| {
            let side = rng.random_range(0.5..0.8f32);
            let [x, y] = [0, 1].map(|_| rng.random_range(0.0..1.0 - side));
            [x, y, x + side, y + side]
        });
        let seconds = short(rng.random_range(4.0..9.0));
        planner.video(ClipRecipe::Picture { of: Box::new(of), at, seconds, to }, source.rate)
    };
    Some(PairPlan::new(one(a), one(b)))
}
