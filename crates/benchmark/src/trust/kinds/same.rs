//! The same footage: copies by everyday edits, excerpts, loops, and compilations that hold a clip.

use rand::RngExt;

use vidsieve::Relation::{self, Contains, Copy, Excerpt};
use vidsieve_edits::colour::Grade;
use vidsieve_edits::compose::FrameEffect;
use vidsieve_edits::draw::{Sticker, Text, word};
use vidsieve_edits::edit::canvas::PlainBorder;
use vidsieve_edits::edit::colour::Colour;
use vidsieve_edits::edit::decay::Noise;
use vidsieve_edits::edit::frame::{Crop, Flip, Rotation};
use vidsieve_edits::edit::text::{Subtitle, TextLogo};
use vidsieve_edits::edit::time::Speed;
use vidsieve_edits::warp::Border;
use vidsieve_edits::{Edit, Kind, Pcg64, SourceFacts};
use vidsieve_video::Rate;

use super::super::PairClass;
use super::super::recipe::ClipRecipe;
use super::super::sources::TrustSource;
use super::{PairPlan, Planner, SHORT, TrustKind, VideoPlan, faster, part, plain, short, tells, whole};

const COPY: &[Relation] = &[Copy];
const EXCERPT: &[Relation] = &[Excerpt];
const CONTAINS: &[Relation] = &[Contains];
const LOOP: &[Relation] = &[Copy, Excerpt, Contains];

const fn kind(
    name: &'static str,
    accept: &'static [Relation],
    plan: fn(&Planner<'_>, &mut Pcg64, usize) -> Option<PairPlan>,
) -> TrustKind {
    TrustKind { name, class: PairClass::Same, accept, times: 1, plan }
}

macro_rules! copies {
    ($($name:literal $edit:expr;)*) => {
        /// Copies by each everyday edit, then excerpts.
        pub(super) const KINDS: &[TrustKind] = &[
            $(kind($name, COPY, |planner, rng, number| copy(planner, rng, number, $edit)),)*
            kind("copy-loop", LOOP, looped),
            kind("excerpt", EXCERPT, |planner, rng, number| excerpt(planner, rng, number, false)),
            kind("excerpt-edited", EXCERPT, |planner, rng, number| excerpt(planner, rng, number, true)),
            kind("excerpt-of-film", EXCERPT, |planner, rng, number| in_film(planner, rng, number, false)),
            kind("excerpt-of-film-edited", EXCERPT, |planner, rng, number| in_film(planner, rng, number, true)),
            kind("contains", CONTAINS, |planner, rng, number| Some(turned(excerpt(planner, rng, number, false)?))),
            kind("contains-edited", CONTAINS, |planner, rng, number| Some(turned(excerpt(planner, rng, number, true)?))),
            kind("compilation", EXCERPT, compilation),
            kind("compilation-of", CONTAINS, |planner, rng, number| Some(turned(compilation(planner, rng, number)?))),
        ];

        /// The edits with the names of their kinds: excerpts and queries are edited by them too.
        const EDITS: &[(&str, fn(&mut Pcg64, &TrustSource, &mut VideoPlan))] = &[$(($name, $edit)),*];
    };
}

copies! {
    "copy-recompressed" |rng, _, video| video.crf = rng.random_range(33..=40);
    "copy-cropped" cropped;
    "copy-brighter" brighter;
    "copy-graded" graded;
    "copy-faster" |_, _, video| change(video, [Speed { factor: 1.25 }.into()]);
    "copy-slower" |_, _, video| change(video, [Speed { factor: 0.8 }.into()]);
    "copy-letterboxed" letterboxed;
    "copy-trimmed" trimmed;
    "copy-captioned" captioned;
    "copy-logo" logo;
    "copy-lead" lead;
    "copy-rate" |rng, _, video| {
        let rates = [5, 6, 8, 10, 20, 24, 30].map(|num| Rate { num, den: 1 });
        video.rate = rates[rng.random_range(0..rates.len())];
    };
    "copy-144" |_, source, video| {
        let scale = 144.0 / f64::from(source.size.0.min(source.size.1));
        scaled(video, source, scale.min(0.8));
        video.crf = 30;
    };
    "copy-mirrored" |_, _, video| change(video, [Flip { area: [0.0, 0.0, 1.0, 1.0] }.into()]);
    "copy-rotated" rotated;
    "copy-sharpened" |rng, _, video| {
        let amount = rng.random_range(0.8..2.0);
        apply(video, |clip| clip.effect(FrameEffect::Sharpen { amount }));
    };
    "copy-grain" |rng, _, video| {
        let noise = Noise { sigma: rng.random_range(6.0..18.0), grey: rng.random_bool(0.5), seed: rng.random() };
        change(video, [noise.into()]);
    };
}

/// Changes how a video is made.
fn apply(video: &mut VideoPlan, change: impl FnOnce(ClipRecipe) -> ClipRecipe) {
    let nothing = ClipRecipe::Plain { colour: [0; 3], size: [16; 2], seconds: 1.0 };
    video.recipe = change(std::mem::replace(&mut video.recipe, nothing));
}

fn change(video: &mut VideoPlan, edits: impl Into<Vec<Edit>>) {
    apply(video, |clip| clip.edited(edits));
}

/// A clip, and a copy of it by an edit; the copy is the query of every other pair.
fn copy(
    planner: &Planner<'_>,
    rng: &mut Pcg64,
    number: usize,
    edit: fn(&mut Pcg64, &TrustSource, &mut VideoPlan),
) -> Option<PairPlan> {
    let source = planner.pick(rng, number, |source| source.seconds() >= SHORT && source.moves)?;
    let mut copy = planner.video(whole(source), source.rate);
    edit(rng, source, &mut copy);
    Some(PairPlan::new(plain(source), copy).in_turn(number))
}

fn cropped(rng: &mut Pcg64, _: &TrustSource, video: &mut VideoPlan) {
    let [width, height] = [0, 1].map(|_| rng.random_range(0.75..0.92f32));
    let (x, y) = (rng.random_range(0.0..1.0 - width), rng.random_range(0.0..1.0 - height));
    change(video, [Crop { area: [x, y, x + width, y + height] }.into()]);
}

fn brighter(rng: &mut Pcg64, _: &TrustSource, video: &mut VideoPlan) {
    let (contrast, brightness) = (rng.random_range(0.8..1.35), rng.random_range(10.0..40.0));
    change(video, [Colour { grade: Grade { contrast, brightness, ..Grade::default() } }.into()]);
}

fn graded(rng: &mut Pcg64, source: &TrustSource, video: &mut VideoPlan) {
    let facts = SourceFacts { width: source.size.0, height: source.size.1, duration: source.seconds() };
    let kind = [Kind::Colour, Kind::Colour, Kind::Grey, Kind::Sepia][rng.random_range(0..4)];
    let edit = Edit::sample(rng, kind, 0.4, &facts);
    change(video, [edit]);
}

fn letterboxed(rng: &mut Pcg64, _: &TrustSource, video: &mut VideoPlan) {
    let bar = rng.random_range(0.1..0.3f32);
    let margins = if rng.random_bool(0.5) { [0.0, bar, 0.0, bar] } else { [bar, 0.0, bar, 0.0] };
    change(video, [PlainBorder { margins, colour: [0; 3] }.into()]);
}

fn trimmed(rng: &mut Pcg64, _: &TrustSource, video: &mut VideoPlan) {
    let seconds = video.recipe.duration();
    let cut = seconds * rng.random_range(0.05..0.15);
    let start = cut * rng.random_range(0.0..1.0);
    apply(video, |clip| clip.part(short(start), short(seconds - (cut - start))));
}

fn captioned(rng: &mut Pcg64, _: &TrustSource, video: &mut VideoPlan) {
    let seconds = video.recipe.duration();
    let face = Text { angle: 0.0, alpha: 1.0, colour: [255; 3], outline: Some([0; 3]), ..Text::sample(rng, 0.065) };
    let (mut from, mut subtitles) = (rng.random_range(0.0..0.5), Vec::new());
    while from < seconds {
        let to = from + rng.random_range(1.0..3.0);
        let text = (0..rng.random_range(3..=6)).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
        let mut text = Text { text, centre: [0.5, 0.9], background: None, ..face.clone() };
        text.fit(1.6, 0.92);
        subtitles.push(Subtitle { from: short(from), to: short(to), text });
        from = to + rng.random_range(0.1..0.6);
    }
    change(video, [TextLogo { texts: vec![], subtitles, logos: vec![] }.into()]);
}

fn logo(rng: &mut Pcg64, _: &TrustSource, video: &mut VideoPlan) {
    let size = rng.random_range(0.12..0.25);
    let mut sticker = Sticker::sample(rng, size);
    sticker.centre = [0, 1].map(|_| if rng.random_bool(0.5) { 0.12 } else { 0.88 });
    change(video, [TextLogo { texts: vec![], subtitles: vec![], logos: vec![sticker] }.into()]);
}

fn lead(_: &mut Pcg64, source: &TrustSource, video: &mut VideoPlan) {
    let black = ClipRecipe::Plain { colour: [0; 3], size: [source.size.0, source.size.1], seconds: 2.0 };
    apply(video, |clip| ClipRecipe::Joined { of: vec![black, clip], size: None });
}

fn scaled(video: &mut VideoPlan, source: &TrustSource, scale: f64) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let side = |side: u32| ((f64::from(side) * scale / 2.0).round() as u32 * 2).max(16);
    let size = [side(source.size.0), side(source.size.1)];
    apply(video, |clip| clip.effect(FrameEffect::Size(size)));
}

fn rotated(rng: &mut Pcg64, _: &TrustSource, video: &mut VideoPlan) {
    let sign = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let angle = sign * rng.random_range(1.5..5.0f32).to_radians();
    change(video, [Rotation { angle, zoom: rng.random_range(1.0..1.15), border: Border::Constant([0; 3]) }.into()]);
}

fn looped(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let source = planner.pick(rng, number, |source| tells(source, SHORT))?;
    let length = short(rng.random_range(1.5..4.0f64).min(source.seconds()));
    let of = part(rng, source, length);
    let mut one = || {
        // Twice at least.
        let seconds = short(length * rng.random_range(2.0..4.0));
        planner.video(ClipRecipe::Looped { of: Box::new(of.clone()), seconds }, source.rate)
    };
    Some(PairPlan::new(one(), one()))
}

/// The query is an excerpt of 10 to 60 % of the target, 1.5 s at least.
fn excerpt(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, edited: bool) -> Option<PairPlan> {
    let source = planner.pick(rng, number, |source| tells(source, 5.0))?;
    let clip = whole(source);
    let share = rng.random_range(0.1..0.6f64);
    let length = short((clip.duration() * share).max(1.5));
    let from = rng.random_range(0.0..clip.duration() - length);
    let mut query = planner.video(source.part(from, from + length), source.rate);
    if edited {
        edit(rng, source, &mut query);
    }
    Some(PairPlan::new(query, plain(source)))
}

/// The query is a part of a clip that a film shows, with up to two seconds more at either side.
fn in_film(planner: &Planner<'_>, rng: &mut Pcg64, number: usize, edited: bool) -> Option<PairPlan> {
    let source = planner.pick(rng, number, |source| tells(source, 4.0))?;
    let seconds = short(rng.random_range(4.0..10.0f64).min(source.seconds()));
    let from = short(rng.random_range(0.0..=source.seconds() - seconds));
    let mut query = planner.video(source.part(from, from + seconds), source.rate);
    if edited {
        edit(rng, source, &mut query);
    }
    let [before, after] = [0, 1].map(|_| rng.random_range(0.0..2.0f64));
    let piece = source.part((from - before).max(0.0), (from + seconds + after).min(source.seconds()));
    Some(PairPlan::new(query, planner.film(rng, source, piece)?))
}

/// Changes a video by any everyday edit; returns the name of its kind.
pub(crate) fn edit(rng: &mut Pcg64, source: &TrustSource, video: &mut VideoPlan) -> &'static str {
    let (name, edit) = EDITS[rng.random_range(0..EDITS.len())];
    edit(rng, source, video);
    name
}

/// The pair the other way round.
fn turned(pair: PairPlan) -> PairPlan {
    PairPlan::new(pair.target, pair.query)
}

/// The query is a clip that the target holds whole among others.
fn compilation(planner: &Planner<'_>, rng: &mut Pcg64, number: usize) -> Option<PairPlan> {
    let source = planner.pick(rng, number, |source| tells(source, SHORT) && source.seconds() <= 12.0)?;
    let clip = whole(source);
    let (mut of, mut seconds, mut rate) = (Vec::new(), 0.0, source.rate);
    let mut taken = vec![source];
    while seconds < clip.duration() || of.len() < 2 {
        let other = planner.other(rng, &taken, |source| source.seconds() >= 2.0)?;
        let length = rng.random_range(2.0..8.0f64).min(other.seconds());
        let cut = part(rng, other, short(length));
        seconds += cut.duration();
        of.push(cut);
        taken.push(other);
        rate = faster(rate, other.rate);
    }
    of.insert(rng.random_range(0..=of.len()), clip);
    let size = Some([source.size.0, source.size.1]);
    Some(PairPlan::new(plain(source), planner.video(ClipRecipe::Joined { of, size }, rate)))
}
