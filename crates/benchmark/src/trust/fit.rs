//! Fits what decides relations and scores on the pairs of a set: weights of stretches, the weight of what
//! is matched, and curves of scores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::seq::IndexedRandom;
use rand::{SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use serde::Serialize;

use vidsieve::{Control, EncodeOptions, EncodedVideo, Model, Progress, Unit, encode_file};
use vidsieve_kernels::Isa;
use vidsieve_model::alignment::{Aligned, AlignmentWeights};
use vidsieve_model::bundle::{Bundle, BundleWriter, Network, Storage};
use vidsieve_model::calibration::{Curve, EvidenceWeights, PairEvidence};
use vidsieve_model::fine::{self, Workspace};
use vidsieve_search::{Engine, Query, Verdict};
use vidsieve_train::learners::evidence::{PairExample, StretchExample, logistic, scores, stretches};

use super::groups::{Groups, series_by_name};
use super::recipe::seconds_of;
use super::{PairClass, TrustError, TrustPair, TrustSet, TrustVideo};

/// How evidence is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvidenceOptions {
    /// Unrelated pairs that are drawn from the set's videos beside its own pairs.
    pub unrelated: usize,
    /// Share of the look-alikes that may be claimed: of which most of one video is said to be in the other.
    pub false_claims: f64,
    /// Share of all pairs of an index that are copies, and share that look alike: what scores are the
    /// probabilities of.
    pub rates: [f64; 2],
    /// Draws the unrelated pairs.
    pub seed: u64,
}

impl Default for EvidenceOptions {
    fn default() -> Self {
        Self { unrelated: 20_000, false_claims: 0.01, rates: [0.1, 0.02], seed: 1 }
    }
}

/// What was fitted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceReport {
    /// Pairs of the sets, and unrelated pairs beside them.
    pub pairs: [usize; 2],
    /// Stretches that are the same footage, and others.
    pub stretches: [usize; 2],
    /// Weights of stretches.
    pub weights: AlignmentWeights,
    /// The weight of what is matched beside a direct path's other evidence.
    pub matched: f32,
    /// Files that could not be read.
    pub failed: Vec<String>,
}

/// A pair of a set or a drawn one.
#[derive(Clone, Copy)]
struct Pair<'a> {
    query: &'a str,
    target: &'a str,
    truth: Option<&'a TrustPair>,
}

struct Examined {
    of_pair: fine::Examined,
    coarse: f32,
}

impl Examined {
    fn verdict(&self) -> Verdict {
        Verdict::new(&self.of_pair.aligned)
    }

    fn evidence(&self) -> PairEvidence {
        self.verdict().evidence(&self.of_pair)
    }
}

/// Fits evidence for the first of `bundles` on the sets in `folders`, and returns all of them with it. Clips of one series in
/// `groups` are never a pair of different footage.
///
/// # Errors
/// [`TrustError::Library`] for a model without the networks, [`TrustError::Data`] for sets without
/// pairs of every class, [`TrustError::Cancelled`].
pub fn fit_evidence(
    folders: &[(&Path, &TrustSet)],
    groups: &Groups,
    bundles: &[Bundle],
    options: &EvidenceOptions,
    control: &Control<'_>,
) -> Result<(Vec<Bundle>, EvidenceReport), TrustError> {
    let bundle = bundles.first().ok_or_else(|| TrustError::Data("there is no bundle to fit".into()))?;
    let model = Model::from_bytes("the bundle to fit", bundle.as_bytes().to_vec())?;
    let (mut pairs, mut found, mut failed) = ([0, 0], Vec::new(), Vec::new());
    let mut queries = Vec::new();
    for (folder, set) in folders {
        let (videos, unread) = encode(folder, set, &model, control)?;
        failed.extend(unread);
        queries.push(videos);
    }
    let drawn: Vec<Vec<Pair<'_>>> = folders
        .iter()
        .zip(&queries)
        .map(|((_, set), videos)| {
            let own = set.pairs.iter().map(|pair| Pair { query: &pair.query, target: &pair.target, truth: Some(pair) });
            let mut all: Vec<Pair<'_>> =
                own.filter(|p| videos.contains_key(p.query) && videos.contains_key(p.target)).collect();
            pairs[0] += all.len();
            let unrelated = unrelated(set, videos, groups, options);
            pairs[1] += unrelated.len();
            all.extend(unrelated.into_iter().map(|[query, target]| Pair { query, target, truth: None }));
            all
        })
        .collect();
    // Stretches first: curves are fitted on the relations that follow from them.
    for ((videos, pairs), (_, set)) in queries.iter().zip(&drawn).zip(folders) {
        let examined = examine(bundle, videos, pairs, control)?;
        for (pair, examined) in pairs.iter().zip(examined) {
            examples(pair, &examined.of_pair.aligned, videos, set, &mut found);
        }
    }
    let mut weights = AlignmentWeights { segment: stretches(&found)?, ..AlignmentWeights::default() };
    weights.segment[0] -= strictness(bundle, &weights, &queries, &drawn, options, control)?;
    let same = found.iter().filter(|e| e.same).count();
    let with_weights = with_evidence(bundle, &weights, Some(0.0), None)?;
    let mut all = Vec::new();
    for (videos, pairs) in queries.iter().zip(&drawn) {
        all.extend(pairs.iter().zip(examine(&with_weights, videos, pairs, control)?));
    }
    let matched = matched_weight(bundle, &all)?;
    let with_matched = with_evidence(bundle, &weights, Some(matched), None)?;
    let mut examples = Vec::new();
    for ((videos, pairs), (_, set)) in queries.iter().zip(&drawn).zip(folders) {
        let examined = examine(&with_matched, videos, pairs, control)?;
        examples
            .extend(pairs.iter().zip(examined).map(|(pair, examined)| (class(pair), example(pair, &examined, set))));
    }
    let count = |class| examples.iter().filter(|(c, _)| *c == class).count().max(1);
    let [copies, alike] = options.rates;
    #[allow(clippy::cast_precision_loss)]
    let weight = |class: PairClass| match class {
        PairClass::Same => copies / count(PairClass::Same) as f64,
        PairClass::LookAlike | PairClass::SharesPart => {
            alike / (count(PairClass::LookAlike) + count(PairClass::SharesPart)) as f64
        }
        PairClass::Unrelated => (1.0 - copies - alike) / count(PairClass::Unrelated) as f64,
    };
    let weights_of: BTreeMap<PairClass, f64> =
        [PairClass::Unrelated, PairClass::LookAlike, PairClass::SharesPart, PairClass::Same]
            .map(|class| (class, weight(class)))
            .into();
    let examples: Vec<PairExample> =
        examples.into_iter().map(|(class, example)| PairExample { weight: weights_of[&class], ..example }).collect();
    let (evidence, coarse) = scores(&examples)?;
    let made = bundles
        .iter()
        .map(|bundle| with_evidence(bundle, &weights, Some(matched), Some((evidence, coarse.clone()))))
        .collect::<Result<Vec<_>, _>>()?;
    let report = EvidenceReport { pairs, stretches: [same, found.len() - same], weights, matched, failed };
    Ok((made, report))
}

type Videos = BTreeMap<String, EncodedVideo>;

fn encode(
    folder: &Path,
    set: &TrustSet,
    model: &Model,
    control: &Control<'_>,
) -> Result<(Videos, Vec<String>), TrustError> {
    let done = AtomicUsize::new(0);
    let silent = Control::new().with_cancel(control.cancel());
    let options = EncodeOptions::new().files_at_once(rayon::current_num_threads());
    let files: Vec<&String> = set.videos.keys().collect();
    let one = |file: &&String| {
        let encoded = encode_file(model, folder.join(file), &options, &silent);
        #[allow(clippy::cast_precision_loss)]
        let (now, all) = ((done.fetch_add(1, Ordering::Relaxed) + 1) as f64, files.len() as f64);
        control.report(&Progress::new("encoding", now, Some(all), Unit::Videos));
        ((*file).clone(), encoded)
    };
    let (mut videos, mut failed) = (Videos::new(), Vec::new());
    for (file, result) in files.par_iter().map(one).collect::<Vec<_>>() {
        match result {
            Ok(video) => {
                videos.insert(file, video);
            }
            Err(error) if error.is_cancelled() => return Err(TrustError::Cancelled),
            Err(error @ (vidsieve::Error::Encoder(_) | vidsieve::Error::Search(_))) => return Err(error.into()),
            Err(error) => failed.push(error.to_string()),
        }
    }
    Ok((videos, failed))
}

/// Pairs of videos of which no clips are of one series.
fn unrelated<'a>(set: &'a TrustSet, videos: &Videos, groups: &Groups, options: &EvidenceOptions) -> Vec<[&'a str; 2]> {
    let of_source = |source: &String| {
        let named = groups.of(Path::new(source)).and_then(|row| row.series.clone());
        named.unwrap_or_else(|| series_by_name(source))
    };
    let series = |video: &TrustVideo| -> BTreeSet<String> { video.sources.iter().map(of_source).collect() };
    let all: Vec<(&str, BTreeSet<String>)> = set
        .videos
        .iter()
        .filter(|(file, video)| videos.contains_key(*file) && !video.sources.is_empty())
        .map(|(file, video)| (file.as_str(), series(video)))
        .collect();
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut drawn = BTreeSet::new();
    for _ in 0..4 * options.unrelated {
        if drawn.len() == options.unrelated {
            break;
        }
        let (Some((a, of_a)), Some((b, of_b))) = (all.choose(&mut rng), all.choose(&mut rng)) else { break };
        if of_a.is_disjoint(of_b) {
            drawn.insert([*a, *b]);
        }
    }
    drawn.into_iter().collect()
}

fn examine(
    bundle: &Bundle,
    videos: &Videos,
    pairs: &[Pair<'_>],
    control: &Control<'_>,
) -> Result<Vec<Examined>, TrustError> {
    let engine = Engine::new(Isa::best(), bundle).map_err(vidsieve::Error::from)?;
    let id = bundle.id();
    let done = AtomicUsize::new(0);
    // The codes are those of every bundle that is made here: only what compares them differs.
    let query = |file: &str| -> Result<Query, TrustError> {
        let video = videos.get(file).ok_or_else(|| TrustError::Data(format!("{file} was not encoded")))?;
        Ok(Query { bundle: id, ..video.as_query().clone() })
    };
    pairs
        .par_iter()
        .map_init(Workspace::default, |workspace, pair| {
            if control.is_cancelled() {
                return Err(TrustError::Cancelled);
            }
            let (query, target) = (query(pair.query)?, query(pair.target)?);
            let record = target.record().map_err(|e| TrustError::Data(e.to_string()))?;
            let examined = engine.examine(&query, &record, workspace).map_err(vidsieve::Error::from)?;
            let coarse = engine.cosine(&query, &record).map_err(vidsieve::Error::from)?;
            #[allow(clippy::cast_precision_loss)]
            let (now, all) = ((done.fetch_add(1, Ordering::Relaxed) + 1) as f64, pairs.len() as f64);
            control.report(&Progress::new("comparing", now, Some(all), Unit::Pairs));
            Ok(Examined { of_pair: examined, coarse })
        })
        .collect()
}

/// By how much the log-odds of stretches are lowered (or raised, by 1 at most), so that as many look-alikes are claimed as may be.
fn strictness(
    bundle: &Bundle,
    weights: &AlignmentWeights,
    queries: &[Videos],
    drawn: &[Vec<Pair<'_>>],
    options: &EvidenceOptions,
    control: &Control<'_>,
) -> Result<f32, TrustError> {
    /// What is tried, in log-odds: the least, the step, and the number of steps.
    const FROM: f32 = -1.0;
    const STEP: f32 = 0.25;
    const STEPS: u16 = 36;
    let shares_nothing = |pair: &&Pair<'_>| matches!(class(pair), PairClass::LookAlike | PairClass::SharesPart);
    let claims = |by: f32| -> Result<(usize, usize), TrustError> {
        let mut stricter = *weights;
        stricter.segment[0] -= by;
        let bundle = with_evidence(bundle, &stricter, None, None)?;
        let (mut claimed, mut of) = (0, 0);
        for (videos, pairs) in queries.iter().zip(drawn) {
            let alike: Vec<Pair<'_>> = pairs.iter().filter(shares_nothing).copied().collect();
            let examined = examine(&bundle, videos, &alike, control)?;
            claimed += examined.iter().filter(|e| e.verdict().relation.is_claim()).count();
            of += alike.len();
        }
        Ok((claimed, of))
    };
    // Fewer are claimed the stricter it is: the first step that keeps the limit.
    let (mut low, mut high) = (0, STEPS);
    while low < high {
        let middle = u16::midpoint(low, high);
        let (claimed, of) = claims(FROM + f32::from(middle) * STEP)?;
        #[allow(clippy::cast_precision_loss)]
        if claimed as f64 <= options.false_claims * of as f64 {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(FROM + f32::from(low) * STEP)
}

/// The stretches of a pair with their truth; those of pairs of which the truth is not one are left out.
fn examples(pair: &Pair<'_>, aligned: &Aligned, videos: &Videos, set: &TrustSet, into: &mut Vec<StretchExample>) {
    let (Some(query), Some(target)) = (videos.get(pair.query), videos.get(pair.target)) else { return };
    let claims = pair
        .truth
        .map_or(0, |t| t.accept.iter().filter(|r| r.name() != "different" && r.name() != "same-scene").count());
    let ambiguous = pair.truth.is_some_and(|t| claims > 0 && claims < t.accept.len());
    if ambiguous || !set.videos.contains_key(pair.query) {
        return;
    }
    for (k, stretch) in aligned.segments.iter().enumerate() {
        let Some(&(i, j)) = stretch.frames.get(stretch.frames.len() / 2) else { continue };
        let [at, in_target] =
            [(query, i), (target, j)].map(|(video, frame)| video.times().get(frame).copied().unwrap_or(0.0));
        let same = pair.truth.is_some_and(|truth| is_true(truth, at, in_target));
        // Of a pair that shares footage a stretch beside the true ones may still be a repetition.
        let beside = !same && pair.truth.is_some_and(|t| matches!(t.class, PairClass::Same | PairClass::SharesPart));
        if !beside && (same || k < 3) {
            into.push(StretchExample { values: stretch.values, same });
        }
    }
}

/// Whether a moment of the query and one of the target are the same footage.
fn is_true(truth: &TrustPair, query: f64, target: f64) -> bool {
    /// Seconds that a sampled frame may be off.
    const NEAR: f64 = 1.0;
    truth.seconds.query.iter().zip(&truth.seconds.target).any(|(q, t)| {
        let (length, of_target) = (q[1] - q[0], t[1] - t[0]);
        let expected = t[0] + (query - q[0]) / length.max(1e-6) * of_target;
        query >= q[0] - NEAR && query <= q[1] + NEAR && (expected - target).abs() <= NEAR
    })
}

fn class(pair: &Pair<'_>) -> PairClass {
    pair.truth.map_or(PairClass::Unrelated, |truth| truth.class)
}

fn contained(pair: &Pair<'_>, set: &TrustSet) -> bool {
    pair.truth.is_some_and(|truth| {
        let informative = set.videos.get(&truth.query).map_or(0.0, |video| seconds_of(&video.informative));
        informative > 0.0 && seconds_of(&truth.seconds.query) >= 0.5 * informative
    })
}

fn example(pair: &Pair<'_>, examined: &Examined, set: &TrustSet) -> PairExample {
    PairExample { evidence: examined.evidence(), coarse: examined.coarse, contained: contained(pair, set), weight: 0.0 }
}

/// The weight of what is matched in the sum that a direct path bounds: the ratio of the weights of a logistic
/// regression on both. 0 for a network without a direct path.
fn matched_weight(bundle: &Bundle, pairs: &[(&Pair<'_>, Examined)]) -> Result<f32, TrustError> {
    let state = bundle.weights(Network::FineBinary).map_err(|e| TrustError::Data(e.to_string()))?;
    if !state.contains("direct.scale") {
        return Ok(0.0);
    }
    let scale = state.get("direct.scale", &[2]).map_err(|e| TrustError::Data(e.to_string()))?;
    let sum = |raw: f32| {
        (f64::from(raw).clamp(-0.999_999, 0.999_999).atanh() - f64::from(scale[1])) / f64::from(scale[0]).max(1e-6)
    };
    let of = |class| pairs.iter().filter(move |(pair, _)| self::class(pair) == class);
    let (same, alike) = (of(PairClass::Same), of(PairClass::LookAlike));
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for (label, (_, examined)) in same.map(|p| (true, p)).chain(alike.map(|p| (false, p))) {
        rows.push(vec![sum(examined.of_pair.similarity), examined.of_pair.aligned.matched.expected]);
        labels.push(label);
    }
    let weights = vec![1.0; rows.len()];
    let fitted = logistic(&rows, &labels, &weights)?;
    #[allow(clippy::cast_possible_truncation)]
    let weight = (fitted[2] / fitted[1].max(1e-3)).clamp(0.0, MOST_MATCHED) as f32;
    Ok(weight)
}

/// The largest weight of what is matched, in the units of a direct path's sum: beyond it the bounds tell nothing apart.
const MOST_MATCHED: f64 = 6.0;

/// A bundle with alignment weights, the weight of what is matched, and the weights of scores.
fn with_evidence(
    bundle: &Bundle,
    weights: &AlignmentWeights,
    matched: Option<f32>,
    scores: Option<(EvidenceWeights, Curve)>,
) -> Result<Bundle, TrustError> {
    let data = |e: &dyn std::fmt::Display| TrustError::Data(e.to_string());
    let manifest = bundle.manifest();
    let mut config = manifest.config.clone();
    if let (Some((evidence, coarse)), Some(calibration)) = (scores, &mut config.calibration) {
        calibration.evidence = Some(evidence);
        calibration.coarse = Some(coarse);
    }
    let storage: BTreeMap<String, Storage> = bundle
        .list()
        .map_err(|e| data(&e))?
        .into_iter()
        .map(|tensor| (tensor.name, if tensor.storage == "F16" { Storage::F16 } else { Storage::F32 }))
        .collect();
    let mut writer = BundleWriter::new(config, manifest.licence.clone(), manifest.provenance.clone());
    for network in bundle.networks() {
        let mut state = bundle.weights(network).map_err(|e| data(&e))?;
        let fine = matches!(network, Network::FineBinary | Network::FineAttention | Network::Teacher);
        if fine {
            state.insert("alignment.cell", vec![weights.cell.len()], weights.cell.to_vec()).map_err(|e| data(&e))?;
            state
                .insert("alignment.segment", vec![weights.segment.len()], weights.segment.to_vec())
                .map_err(|e| data(&e))?;
            if let (Some(matched), true) = (matched, state.contains("direct.weight")) {
                let [rows, columns] = state.shape_of_rank::<2>("direct.weight").map_err(|e| data(&e))?;
                let channels = manifest.config.fine(network).map_or(1, |c| c.channel_count());
                let old = state.get("direct.weight", &[rows, columns]).map_err(|e| data(&e))?;
                let kept = columns.min(4 + channels);
                let mut all = Vec::with_capacity(rows * (5 + channels));
                for row in old.chunks_exact(columns) {
                    all.extend_from_slice(&row[..kept]);
                    all.extend(std::iter::repeat_n(0.0, 4 + channels - kept));
                    all.push(matched);
                }
                state.insert("direct.weight", vec![rows, 5 + channels], all).map_err(|e| data(&e))?;
            }
        }
        let half = storage.iter().any(|(name, s)| {
            *s == Storage::F16 && name.split('.').next().is_some_and(|prefix| prefix == network.name())
        });
        let storage = if half { Storage::F16 } else { Storage::F32 };
        writer.add(network, &state, storage).map_err(|e| data(&e))?;
    }
    writer.finish().map_err(|e| data(&e))
}
