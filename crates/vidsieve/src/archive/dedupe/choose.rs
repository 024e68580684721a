//! Groups that a person chose, compared again.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use vidsieve_index::store::Summary;
use vidsieve_progress::{Control, Unit};
use vidsieve_search::{Relation, Table};

use super::files::FileBook;
use super::report::{CopyGroup, CopyMember, CopyPair};
use super::search::CopySearch;
use super::sets::VideoSet;
use super::{DedupeOptions, KeepReason, check_sets, report};
use crate::Error;
use crate::archive::Archive;
use crate::archive::decisions::Decided;

/// Most videos that the choices of one plan name.
const MOST_VIDEOS: usize = 100_000;

/// A person's choice for a group: the video that is kept, and its copies that may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanChoice {
    /// Id of the video to keep.
    pub keep: String,
    /// Ids of the copies that may go.
    pub go: Vec<String>,
}

/// A group as it was chosen, and the videos of it that stay.
pub(crate) struct ChosenGroup {
    /// The video to keep, and those that are copies of it.
    pub(crate) group: CopyGroup,
    /// The others, and why they stay.
    pub(crate) held: Vec<(CopyMember, String)>,
}

impl Archive {
    /// Compares the videos of choices again: a video is a copy of the one to keep by the same rules as in
    /// [`Archive::dedupe`].
    pub(crate) fn choose(
        &self,
        choices: &[PlanChoice],
        options: &DedupeOptions,
        control: &Control<'_>,
    ) -> Result<Vec<ChosenGroup>, Error> {
        options.check()?;
        check_choices(choices)?;
        let table = self.table()?;
        let summaries: HashMap<String, Summary> = self.index.list()?.into_iter().map(|s| (s.id.clone(), s)).collect();
        let reference: Vec<VideoSet> = options.reference.iter().map(VideoSet::new).collect();
        let book = FileBook::new(&table, &summaries, reference.clone());
        check_sets("reference", &options.reference, &reference, &table, &book)?;
        let different = Decided::new(&self.decisions()?, &table, &summaries).different(|video| book.stands_for(video));
        let search = CopySearch::new(self, &table, &summaries, options, control);
        let all = choices.iter().map(|choice| choice.go.len()).sum();
        let mut chooser = Chooser { archive: self, table: &table, book: &book, different, search, options, control };
        let mut groups = Vec::with_capacity(choices.len());
        let mut done = 0;
        for choice in choices {
            groups.push(chooser.group(choice, done, all)?);
            done += choice.go.len();
        }
        report(control, "comparing", done, all, Unit::Pairs);
        Ok(groups)
    }
}

/// Refuses choices that name a video twice, or too many.
fn check_choices(choices: &[PlanChoice]) -> Result<(), Error> {
    let ids = || choices.iter().flat_map(|choice| std::iter::once(&choice.keep).chain(&choice.go));
    let count = ids().count();
    if count > MOST_VIDEOS {
        return Err(Error::Choice(format!("{count} videos are chosen: at most {MOST_VIDEOS} fit into a plan")));
    }
    let mut seen = HashSet::new();
    match ids().find(|id| !seen.insert(id.as_str())) {
        Some(id) => Err(Error::Choice(format!("{id:?}: it is chosen twice: name each video once"))),
        None => Ok(()),
    }
}

struct Chooser<'a> {
    archive: &'a Archive,
    table: &'a Table,
    book: &'a FileBook<'a>,
    different: HashSet<[usize; 2]>,
    search: CopySearch<'a>,
    options: &'a DedupeOptions,
    control: &'a Control<'a>,
}

impl Chooser<'_> {
    fn position(&self, id: &str) -> Result<usize, Error> {
        let unknown = || Error::UnknownVideo { id: id.to_owned(), folder: self.archive.folder().to_owned() };
        self.table.position(id).ok_or_else(unknown)
    }

    fn member(&self, id: &str, keep: bool, score: f32) -> Result<CopyMember, Error> {
        let video = self.position(id)?;
        let unknown = || Error::UnknownVideo { id: id.to_owned(), folder: self.archive.folder().to_owned() };
        Ok(CopyMember { id: id.to_owned(), keep, score, file: self.book.describe(video).ok_or_else(unknown)? })
    }

    /// Compares the videos of a choice; `done` of `all` pairs were compared before.
    fn group(&mut self, choice: &PlanChoice, done: usize, all: usize) -> Result<ChosenGroup, Error> {
        let keep = self.position(&choice.keep)?;
        let mut group = CopyGroup {
            keep: choice.keep.clone(),
            reason: KeepReason::Chosen,
            videos: vec![self.member(&choice.keep, true, 0.0)?],
            pairs: Vec::new(),
        };
        let mut held = Vec::new();
        for (k, id) in choice.go.iter().enumerate() {
            if self.control.is_cancelled() {
                return Err(Error::Cancelled);
            }
            report(self.control, "comparing", done + k, all, Unit::Pairs);
            match self.copy(keep, self.position(id)?)? {
                Ok(pair) => {
                    group.videos.push(self.member(id, false, pair.score)?);
                    group.pairs.push(pair);
                }
                Err(reason) => held.push((self.member(id, false, 0.0)?, reason)),
            }
        }
        group.videos[0].score = group.pairs.iter().map(|pair| pair.score).fold(0.0, f32::max);
        Ok(ChosenGroup { group, held })
    }

    /// Compares a copy with the video to keep; why it is none is an error.
    fn copy(&mut self, keep: usize, copy: usize) -> Result<Result<CopyPair, String>, Error> {
        let [keeper, video] = [keep, copy].map(|video| self.book.stands_for(video));
        if keeper == video {
            return Ok(Err("it is another name of the file to keep".to_owned()));
        }
        if video != copy {
            return Ok(Err(format!("it is another name of {}: choose that one", self.table.id(video))));
        }
        if self.different.contains(&[keeper.min(video), keeper.max(video)]) {
            return Ok(Err("it is marked as different from the video to keep".to_owned()));
        }
        let Some(found) = self.search.compare_pair(keep, copy)? else {
            return Ok(Err("its record, or that of the video to keep, cannot be read: index it again".to_owned()));
        };
        if found.verdict.relation != Relation::Copy || found.score < self.options.min_score {
            return Ok(Err("it is no copy of the video to keep".to_owned()));
        }
        Ok(Ok(CopyPair {
            a: self.table.id(found.query).to_owned(),
            b: self.table.id(found.target).to_owned(),
            score: found.score,
            coverage: found.verdict.coverage,
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_video_is_chosen_once() {
        let choice = |keep: &str, go: &[&str]| PlanChoice {
            keep: keep.to_owned(),
            go: go.iter().map(|id| (*id).to_owned()).collect(),
        };
        assert!(check_choices(&[choice("a", &["b", "c"]), choice("d", &[])]).is_ok());
        for twice in
            [vec![choice("a", &["a"])], vec![choice("a", &["b", "b"])], vec![choice("a", &["b"]), choice("b", &["c"])]]
        {
            assert!(check_choices(&twice).unwrap_err().to_string().contains("chosen twice"), "{twice:?}");
        }
        let many: Vec<String> = (0..MOST_VIDEOS).map(|n| n.to_string()).collect();
        let many = PlanChoice { keep: "keep".to_owned(), go: many };
        assert!(check_choices(&[many]).unwrap_err().to_string().contains("at most"));
    }
}
