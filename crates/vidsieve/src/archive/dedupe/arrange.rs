//! From the pairs that were found to groups, excerpts and related pairs.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use vidsieve_search::placement::{ComparedPair, Copies, ExcerptOf, Placement, place};
use vidsieve_search::{Relation, Segment, Table};

use super::files::FileBook;
use super::keep::{KeepBy, Ranked};
use super::report::{CopyGroup, CopyMember, CopyPair, ExcerptVideo, RelatedPair};
use super::search::Finding;

/// The videos that have to do with another one, the best one to keep first, and where they belong.
pub(super) struct Arrangement<'a> {
    table: &'a Table,
    findings: &'a [Finding],
    /// Of each video its place of the table and what it is ranked by.
    videos: Vec<(usize, Ranked)>,
    /// Places in `videos` by place of the table.
    ranks: HashMap<usize, usize>,
    /// The copies and excerpts among the findings, by their places in `videos`, the smaller one first.
    claims: HashMap<[usize; 2], &'a Finding>,
    placement: Placement,
    /// Of each of `videos` the one that is kept of its group, itself if it is in none.
    kept: Vec<usize>,
}

impl<'a> Arrangement<'a> {
    /// Ranks the videos that are copies or excerpts, whose files are opened, and places them. Those that were removed
    /// from the index meanwhile are left out.
    pub(super) fn new(
        table: &'a Table,
        book: &FileBook<'_>,
        findings: &'a [Finding],
        min_score: f32,
        order: &[KeepBy],
    ) -> Self {
        let is_claim = |f: &&Finding| f.verdict.relation.is_claim() && f.score >= min_score;
        let claims = || findings.iter().filter(is_claim);
        let involved: HashSet<usize> = claims().flat_map(|f| [f.query, f.target]).collect();
        let ranked =
            |video: usize| Some((video, Ranked::new(table.id(video).to_owned(), book.describe(video)?, order)));
        let mut videos: Vec<(usize, Ranked)> = involved.into_par_iter().filter_map(ranked).collect();
        videos.sort_by(|(_, a), (_, b)| a.order(b));
        let ranks: HashMap<usize, usize> = videos.iter().enumerate().map(|(rank, (video, _))| (*video, rank)).collect();
        let mut pairs = Vec::new();
        let mut by_rank = HashMap::new();
        for finding in claims() {
            let (Some(&a), Some(&b)) = (ranks.get(&finding.query), ranks.get(&finding.target)) else { continue };
            by_rank.insert([a.min(b), a.max(b)], finding);
            pairs.push(ComparedPair { a, b, relation: finding.verdict.relation, score: finding.score });
        }
        let placement = place(videos.len(), &pairs, min_score);
        let mut kept: Vec<usize> = (0..videos.len()).collect();
        for Copies { keep, copies } in &placement.groups {
            for &copy in copies {
                kept[copy] = *keep;
            }
        }
        Self { table, findings, videos, ranks, claims: by_rank, placement, kept }
    }

    fn id(&self, rank: usize) -> &str {
        &self.videos[rank].1.id
    }

    fn claim(&self, a: usize, b: usize) -> Option<&'a Finding> {
        self.claims.get(&[a.min(b), a.max(b)]).copied()
    }

    /// Returns the groups of copies.
    pub(super) fn groups(&self) -> Vec<CopyGroup> {
        self.placement.groups.iter().map(|group| self.group(group)).collect()
    }

    fn group(&self, Copies { keep, copies }: &Copies) -> CopyGroup {
        let pairs: Vec<&Finding> = copies.iter().filter_map(|&copy| self.claim(*keep, copy)).collect();
        let best = pairs.iter().map(|pair| pair.score).fold(0.0, f32::max);
        let member = |rank: usize, score: f32| {
            let Ranked { id, file, .. } = self.videos[rank].1.clone();
            CopyMember { id, keep: rank == *keep, score, file }
        };
        let mut videos = vec![member(*keep, best)];
        videos.extend(copies.iter().zip(&pairs).map(|(&copy, pair)| member(copy, pair.score)));
        CopyGroup {
            keep: self.id(*keep).to_owned(),
            reason: self.videos[*keep].1.reason(&self.videos[copies[0]].1),
            videos,
            pairs: pairs
                .into_iter()
                .map(|pair| CopyPair {
                    a: self.table.id(pair.query).to_owned(),
                    b: self.table.id(pair.target).to_owned(),
                    score: pair.score,
                    coverage: pair.verdict.coverage,
                })
                .collect(),
        }
    }

    /// Returns each excerpt and the video that holds it: places of the table.
    pub(super) fn excerpts(&self) -> impl Iterator<Item = [usize; 2]> {
        self.placement.excerpts.iter().map(|e| [self.videos[e.excerpt].0, self.videos[e.of].0])
    }

    /// Describes an excerpt; `segments` are where it matches the video that holds it.
    pub(super) fn excerpt(&self, [excerpt, of]: [usize; 2], segments: Vec<Segment>) -> Option<ExcerptVideo> {
        let (excerpt, of) = (*self.ranks.get(&excerpt)?, *self.ranks.get(&of)?);
        let claim = self.claim(excerpt, of)?;
        let coverage = claim.verdict.coverage;
        let held = if claim.verdict.relation == Relation::Excerpt { coverage.query } else { coverage.target };
        let Ranked { id, file, .. } = self.videos[excerpt].1.clone();
        Some(ExcerptVideo {
            id,
            of: self.id(of).to_owned(),
            seconds: held.seconds,
            share: held.share,
            score: claim.score,
            start: segments.iter().map(|segment| segment.target[0]).min_by(f64::total_cmp),
            segments,
            file,
        })
    }

    /// Returns the other findings: by relation, then by score, the highest first. A claim between
    /// videos of one group is none, nor one of an excerpt and another video of the holder's group.
    pub(super) fn related(&self) -> Vec<RelatedPair> {
        let group = |rank: usize| self.kept[rank];
        let told: HashSet<[usize; 2]> =
            self.placement.excerpts.iter().map(|&ExcerptOf { excerpt, of }| [group(excerpt), group(of)]).collect();
        let is_told = |finding: &Finding| {
            let (Some(&a), Some(&b)) = (self.ranks.get(&finding.query), self.ranks.get(&finding.target)) else {
                return false;
            };
            self.claim(a, b).is_some()
                && (group(a) == group(b)
                    || match finding.verdict.relation {
                        Relation::Excerpt => told.contains(&[group(a), group(b)]),
                        Relation::Contains => told.contains(&[group(b), group(a)]),
                        _ => false,
                    })
        };
        let mut others: Vec<&Finding> = self.findings.iter().filter(|finding| !is_told(finding)).collect();
        let place = |finding: &Finding| Relation::ALL.iter().position(|r| *r == finding.verdict.relation);
        others.sort_by(|a, b| {
            let pair = |finding: &Finding| [finding.query, finding.target];
            place(a).cmp(&place(b)).then(b.score.total_cmp(&a.score)).then(pair(a).cmp(&pair(b)))
        });
        let related = |finding: &Finding| RelatedPair {
            a: self.table.id(finding.query).to_owned(),
            b: self.table.id(finding.target).to_owned(),
            relation: finding.verdict.relation,
            score: finding.score,
            coverage: finding.verdict.coverage,
            untold: finding.verdict.untold,
        };
        others.into_iter().map(related).collect()
    }
}
