//! Groups of copies, and which video of each to keep.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use serde::{Serialize, Serializer};
use vidsieve_index::store::Summary;
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_record::Record;
use vidsieve_search::cluster::clusters;
use vidsieve_search::segments::LIKELY;
use vidsieve_search::session::BATCH;
use vidsieve_search::{Budget, Outcome, Plan, Query, Table};

use super::{Archive, path_of};
use crate::Error;

/// Options of [`Archive::dedupe`].
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct DedupeOptions {
    min_score: f32,
    budget: Budget,
}

impl Default for DedupeOptions {
    fn default() -> Self {
        Self { min_score: 0.9, budget: Budget::Auto }
    }
}

impl DedupeOptions {
    /// Returns the defaults: copies score at least 0.9, and each video is compared with at most 500 others beside the likely
    /// ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the score from which two videos are copies, in [0, 1]: the shorter one shows what the longer one shows.
    pub const fn min_score(mut self, min_score: f32) -> Self {
        self.min_score = min_score;
        self
    }

    /// Sets how many pairs of each video are compared frame by frame; a time is refused. Pairs whose coarse score is likely
    /// are always compared, except with [`Budget::None`].
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    fn check(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.min_score) {
            let value = self.min_score.to_string();
            return Err(Error::InvalidOption { option: "min_score", value, rule: "scores are from 0 to 1" });
        }
        if self.budget.time().is_some() {
            return Err(Error::InvalidOption {
                option: "budget",
                value: self.budget.to_string(),
                rule: "a time is no budget here, give a share or pairs",
            });
        }
        Ok(())
    }
}

/// The result of [`Archive::dedupe`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DedupeReport {
    /// Identity of the model: 64 hexadecimal digits.
    pub model: String,
    /// Videos of the index.
    pub videos: usize,
    /// Score from which two videos are copies.
    pub min_score: f32,
    /// The budget by name.
    pub budget: String,
    /// Pairs that were compared frame by frame.
    pub compared: usize,
    /// Ids of videos whose record could not be read.
    pub missing: Vec<String>,
    /// Whether the operation was cancelled: not all pairs were compared then.
    pub interrupted: bool,
    /// Groups of copies.
    pub clusters: Vec<CopyGroup>,
    /// Time that it took, in seconds.
    pub seconds: f64,
}

/// A group of copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopyGroup {
    /// Id of the video to keep.
    pub keep: String,
    /// Why that one.
    pub reason: KeepReason,
    /// The videos, the best one first.
    pub videos: Vec<CopyMember>,
    /// The pairs that make the group.
    pub pairs: Vec<CopyPair>,
}

/// A video of a [`CopyGroup`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopyMember {
    /// Its id.
    pub id: String,
    /// Its file, with replacement characters where the name is not UTF-8.
    pub path: String,
    /// Whether the file is still where it was when it was indexed.
    pub exists: bool,
    /// Whether it is the one to keep.
    pub keep: bool,
    /// Its best score with another video of the group, in [0, 1].
    pub score: f32,
    /// Its length in seconds.
    pub duration: f64,
    /// Width of its pictures in pixels, 0 if unknown.
    pub width: u32,
    /// Height of its pictures in pixels, 0 if unknown.
    pub height: u32,
    /// Bytes of its file.
    pub bytes: u64,
}

/// Two videos that are copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopyPair {
    /// Id of one video.
    pub a: String,
    /// Id of the other.
    pub b: String,
    /// Their score in [0, 1].
    pub score: f32,
}

/// Why a video of a group is kept: the first of these criteria in which it is ahead of the second best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[non_exhaustive]
pub enum KeepReason {
    /// It has the most pixels a frame.
    #[strum(serialize = "largest picture")]
    LargestPicture,
    /// It lasts longest, in whole seconds.
    #[strum(serialize = "longest")]
    Longest,
    /// Its file has the most bytes.
    #[strum(serialize = "largest file")]
    LargestFile,
    /// Its file was changed first.
    #[strum(serialize = "oldest")]
    Oldest,
    /// Its id is the first one.
    #[strum(serialize = "first by name")]
    FirstByName,
    /// The others of its group have been removed meanwhile.
    #[strum(serialize = "only one")]
    OnlyOne,
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into())
    }
}

impl Archive {
    /// Finds groups of copies and says which video of each to keep: the one with the largest picture, then the longest, the
    /// largest file, the oldest file. Nothing is removed. Reports the stages `choosing pairs` in videos and `comparing` in
    /// pairs; a cancelled operation returns the groups that are known until then.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a score outside [0, 1] or a budget of time; [`Error::Index`], [`Error::Model`].
    pub fn dedupe(&self, options: &DedupeOptions, control: &Control<'_>) -> Result<DedupeReport, Error> {
        let start = Instant::now();
        options.check()?;
        let table = self.table()?;
        let summaries: HashMap<String, Summary> = self.index.list()?.into_iter().map(|s| (s.id.clone(), s)).collect();
        let mut search = CopySearch {
            archive: self,
            table: &table,
            summaries: &summaries,
            options,
            control,
            reader: RecordReader::new(self, &table, &summaries),
            scores: HashMap::new(),
            missing: BTreeSet::new(),
            compared: 0,
        };
        let candidates = search.candidates()?;
        search.compare(&candidates)?;
        let CopySearch { mut scores, missing, compared, .. } = search;
        scores.retain(|_, score| *score >= options.min_score);
        let mut edges: Vec<VideoPair> = scores.keys().copied().collect();
        edges.sort_unstable();
        let clusters = clusters(table.len(), edges.iter().copied())
            .into_iter()
            .map(|group| copy_group(&group, &table, &summaries, &edges, &scores))
            .collect();
        Ok(DedupeReport {
            model: self.index.bundle().to_string(),
            videos: table.len(),
            min_score: options.min_score,
            budget: options.budget.to_string(),
            compared,
            missing: missing.into_iter().collect(),
            interrupted: control.is_cancelled(),
            clusters,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// Two places of the table, the smaller one first.
type VideoPair = (usize, usize);

/// A run of [`Archive::dedupe`].
struct CopySearch<'a> {
    archive: &'a Archive,
    table: &'a Table,
    summaries: &'a HashMap<String, Summary>,
    options: &'a DedupeOptions,
    control: &'a Control<'a>,
    reader: RecordReader<'a>,
    scores: HashMap<VideoPair, f32>,
    missing: BTreeSet<String>,
    compared: usize,
}

impl CopySearch<'_> {
    fn frames(&self, video: usize) -> u32 {
        self.summaries.get(self.table.id(video)).map_or(0, |s| s.frames)
    }

    /// Reports progress; counts are far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    fn report(&self, stage: &'static str, done: usize, all: usize, unit: Unit) {
        self.control.report(&Progress::new(stage, done as f64, Some(all as f64), unit));
    }

    /// Scans every video against all others. Returns for each video the longer ones to compare it with, ascending.
    fn candidates(&mut self) -> Result<Vec<Vec<u32>>, Error> {
        let (model, n) = (self.archive.model()?, self.table.len());
        let engine = model.engine()?;
        let budget = match self.options.budget {
            Budget::Auto => Budget::Pairs(Budget::AUTO_PAIRS),
            budget => budget,
        };
        let mut candidates: Vec<Vec<u32>> = vec![Vec::new(); n];
        for video in 0..n {
            if self.control.is_cancelled() {
                break;
            }
            self.report("choosing pairs", video, n, Unit::Videos);
            if !self.table.is_informative(video) {
                continue;
            }
            let coarse = self.table.scan(model.instruction_set(), self.table.vector(video))?;
            let scalars = self.table.self_similarities();
            let doubt = engine.doubt(scalars[video], scalars, &coarse);
            let mut others: Vec<usize> = Vec::new();
            for (other, &cosine) in coarse.iter().enumerate().skip(video + 1) {
                let score = engine.coarse_score(cosine);
                if score >= self.options.min_score {
                    self.scores.insert((video, other), score);
                }
                // Likely pairs are compared whatever the budget.
                if score >= LIKELY && budget != Budget::None {
                    others.push(other);
                }
            }
            let plan = Plan::new(coarse, doubt, budget);
            others.extend(plan.selected().iter().filter(|&&other| other != video));
            for other in others {
                // A pair that both of its videos select is one entry, at the shorter one.
                let (a, b) = ((self.frames(video), video), (self.frames(other), other));
                let (short, long) = if a <= b { (video, other) } else { (other, video) };
                candidates[short].extend(u32::try_from(long).ok());
            }
        }
        for others in &mut candidates {
            others.sort_unstable();
            others.dedup();
        }
        Ok(candidates)
    }

    /// Compares each video with its candidates, frame by frame.
    fn compare(&mut self, candidates: &[Vec<u32>]) -> Result<(), Error> {
        let engine = self.archive.model()?.engine()?;
        let (all, mut done) = (candidates.iter().map(Vec::len).sum(), 0);
        for (short, others) in candidates.iter().enumerate() {
            if others.is_empty() || self.control.is_cancelled() {
                continue;
            }
            let Some(query) = self.reader.records(&[short], &mut self.missing)?.pop().flatten() else { continue };
            let query = Query::from_record(&query)?;
            let others: Vec<usize> = others.iter().map(|&other| other as usize).collect();
            for some in others.chunks(BATCH) {
                if self.control.is_cancelled() {
                    break;
                }
                self.report("comparing", done, all, Unit::Pairs);
                let records = self.reader.records(some, &mut self.missing)?;
                for (&other, outcome) in some.iter().zip(engine.compare_all(&query, &records)) {
                    if let Outcome::Compared(result) = outcome {
                        self.compared += 1;
                        // A score of frames replaces the one of vectors.
                        self.scores.insert((short.min(other), short.max(other)), result.score);
                    }
                }
                done += some.len();
            }
        }
        self.report("comparing", done, all, Unit::Pairs);
        Ok(())
    }
}

/// Reads records, and keeps them all in memory if they are few.
struct RecordReader<'a> {
    archive: &'a Archive,
    table: &'a Table,
    kept: Option<Vec<Option<Record<Vec<u8>>>>>,
}

impl<'a> RecordReader<'a> {
    /// The most bytes of records that are kept in memory.
    const MOST: u64 = 512 << 20;

    fn new(archive: &'a Archive, table: &'a Table, summaries: &HashMap<String, Summary>) -> Self {
        let few = summaries.values().map(|s| s.bytes).sum::<u64>() <= Self::MOST;
        Self { archive, table, kept: few.then(|| vec![None; table.len()]) }
    }

    /// Returns the records of videos, in order; ids of those that cannot be read are added to `missing`.
    fn records(
        &mut self,
        videos: &[usize],
        missing: &mut BTreeSet<String>,
    ) -> Result<Vec<Option<Record<Vec<u8>>>>, Error> {
        let unread: Vec<usize> = match &self.kept {
            Some(kept) => videos.iter().copied().filter(|&v| kept[v].is_none()).collect(),
            None => videos.to_vec(),
        };
        let ids: Vec<&str> = unread.iter().map(|&v| self.table.id(v)).collect();
        let mut read = Vec::with_capacity(ids.len());
        for (record, id) in self.archive.fetch(&ids)?.into_iter().zip(ids) {
            if record.is_err() {
                missing.insert(id.to_owned());
            }
            read.push(record.ok());
        }
        let Some(kept) = &mut self.kept else { return Ok(read) };
        for (video, record) in unread.into_iter().zip(read) {
            kept[video] = record;
        }
        Ok(videos.iter().map(|&v| kept[v].clone()).collect())
    }
}

/// A video of a group and what it is ranked by.
struct Ranked {
    member: CopyMember,
    /// When its file was changed, ordered as unsigned numbers.
    age: u64,
}

impl Ranked {
    fn new(summary: &Summary, score: f32) -> Self {
        let path = path_of(&summary.source.path);
        let exists = std::fs::metadata(&path).is_ok();
        let mut picture = summary.source.picture;
        if picture == [0, 0]
            && exists
            && let Ok(info) = vidsieve_video::probe(&path)
        {
            picture = [info.display_width, info.display_height];
        }
        let modified = summary.source.modified.unwrap_or(i64::MAX);
        // Flipping the sign orders times before 1970 first.
        #[allow(clippy::cast_sign_loss)]
        let age = (modified as u64) ^ (1 << 63);
        let member = CopyMember {
            id: summary.id.clone(),
            path: summary.source.display(),
            exists,
            keep: false,
            score,
            duration: summary.duration,
            width: picture[0],
            height: picture[1],
            bytes: summary.source.size,
        };
        Self { member, age }
    }

    /// Returns the criteria of keeping a video, each with its name, from the first to the last; smaller is better.
    fn criteria(&self) -> [(Reverse<u64>, KeepReason); 4] {
        let m = &self.member;
        // Lengths are compared in whole seconds: containers round them.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let seconds = m.duration.round() as u64;
        [
            (Reverse(u64::from(m.width) * u64::from(m.height)), KeepReason::LargestPicture),
            (Reverse(seconds), KeepReason::Longest),
            (Reverse(m.bytes), KeepReason::LargestFile),
            // The oldest is best: the greatest distance to the end of time.
            (Reverse(u64::MAX - self.age), KeepReason::Oldest),
        ]
    }

    fn rank(&self) -> [Reverse<u64>; 4] {
        self.criteria().map(|(key, _)| key)
    }

    /// Returns why this video, which comes first, is ahead of the next one.
    fn reason(&self, next: &Self) -> KeepReason {
        let differ = self.criteria().into_iter().zip(next.rank()).find(|((a, _), b)| a != b);
        differ.map_or(KeepReason::FirstByName, |((_, reason), _)| reason)
    }
}

/// Orders the videos of a group by which to keep.
fn copy_group(
    group: &[usize],
    table: &Table,
    summaries: &HashMap<String, Summary>,
    edges: &[VideoPair],
    scores: &HashMap<VideoPair, f32>,
) -> CopyGroup {
    let within: Vec<(VideoPair, f32)> = edges
        .iter()
        .filter(|(a, b)| group.binary_search(a).is_ok() && group.binary_search(b).is_ok())
        .map(|pair| (*pair, scores[pair]))
        .collect();
    let mut videos: Vec<Ranked> = group
        .iter()
        .filter_map(|&video| {
            let of_video = within.iter().filter(|((a, b), _)| *a == video || *b == video);
            let score = of_video.map(|(_, score)| *score).fold(0.0, f32::max);
            Some(Ranked::new(summaries.get(table.id(video))?, score))
        })
        .collect();
    videos.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.member.id.cmp(&b.member.id)));
    let reason = match videos.as_slice() {
        [first, second, ..] => first.reason(second),
        _ => KeepReason::OnlyOne,
    };
    if let Some(first) = videos.first_mut() {
        first.member.keep = true;
    }
    let id = |video: usize| table.id(video).to_owned();
    CopyGroup {
        keep: videos.first().map_or_else(String::new, |first| first.member.id.clone()),
        reason,
        videos: videos.into_iter().map(|ranked| ranked.member).collect(),
        pairs: within.into_iter().map(|((a, b), score)| CopyPair { a: id(a), b: id(b), score }).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vidsieve_index::store::Source;

    use super::*;

    fn ranked(id: &str, side: u32, duration: f64, size: u64, modified: Option<i64>) -> Ranked {
        let source = Source { size, modified, picture: [side, side], ..Source::default() };
        let (added, frames, bytes, checksum) = (0, 1, 0, 0);
        Ranked::new(
            &Summary { id: id.into(), source, added, duration, frames, informative: true, bytes, checksum },
            1.0,
        )
    }

    #[test]
    fn the_first_criterion_that_differs_decides() {
        let best = ranked("b", 100, 9.6, 50, Some(-3));
        for (other, reason) in [
            (ranked("a", 99, 99.0, 99, Some(-9)), KeepReason::LargestPicture),
            (ranked("a", 100, 9.4, 99, Some(-9)), KeepReason::Longest),
            (ranked("a", 100, 10.4, 49, Some(-9)), KeepReason::LargestFile),
            (ranked("a", 100, 9.6, 50, Some(2)), KeepReason::Oldest),
            (ranked("a", 100, 9.6, 50, None), KeepReason::Oldest),
            (ranked("c", 100, 9.6, 50, Some(-3)), KeepReason::FirstByName),
        ] {
            assert!(best.rank() <= other.rank(), "{reason}");
            assert_eq!(best.reason(&other), reason);
        }
        assert_eq!(serde_json::to_string(&KeepReason::FirstByName).unwrap(), "\"first by name\"");
    }
}
