//! Making a plan.

use std::time::{SystemTime, UNIX_EPOCH};

use vidsieve_files::{FileFacts, in_bin, whole_hash};
use vidsieve_progress::{Control, Progress, Unit};
use vidsieve_search::CoverageSide;

use super::{DedupePlan, FORMAT, HeldFile, PlanFile, PlanGroup};
use crate::Error;
use crate::archive::{
    Archive, ChosenGroup, CopyFile, CopyGroup, DedupeOptions, DedupeReport, FileState, NameKind, PlanChoice,
};

/// A copy stays if the file that is kept shows less than this share of it, and more than this many seconds are missing.
const LEAST_SHOWN: (f64, f64) = (0.9, 2.0);
/// Seconds, and share of its length, by which a copy may be longer than the file that is kept.
const LONGER: (f64, f64) = (1.0, 0.02);

impl Archive {
    /// Makes a plan of what may be done with the copies of a report. Every file that it names is read as a whole: its hash is
    /// what [`DedupePlan::apply`] checks. Excerpts are no part of a plan.
    ///
    /// A file is kept only if it is as it was indexed, whole, not damaged, no link, and in no recycle bin. A copy stays if it
    /// is protected, a link or has links that lead to it, has changed, or shows more than the file that is kept. Reports
    /// the stage `reading files` in bytes.
    ///
    /// # Errors
    /// [`Error::Cancelled`]. A file that cannot be read is no error: it stays, and the plan says why.
    pub fn plan(&self, report: &DedupeReport, control: &Control<'_>) -> Result<DedupePlan, Error> {
        let groups = || report.clusters.iter().chain(&report.unfit);
        let total = groups().flat_map(|group| &group.videos).map(|video| video.file.bytes).sum();
        let mut reader = Reader { control, done: 0, total };
        let groups = groups().map(|group| reader.group(group)).collect::<Result<_, _>>()?;
        Ok(self.plan_of(report.min_score, groups))
    }

    /// Makes a plan of what a person chose: of each group the video to keep, and which copies may go. Only the score and
    /// the reference folders of the options count.
    ///
    /// Nothing of an earlier report is relied on. Each copy is compared with the video to keep once more, and stays if it is
    /// no copy of that one, or was [told apart](Self::decide) from it. Then files are read and checked as by
    /// [`Archive::plan`]. Reports the stages `comparing` in pairs and `reading files` in bytes.
    ///
    /// # Errors
    /// [`Error::Choice`] for a video that is chosen twice, [`Error::UnknownVideo`], [`Error::InvalidOption`],
    /// [`Error::Cancelled`], [`Error::Index`], [`Error::Model`].
    pub fn plan_choices(
        &self,
        choices: &[PlanChoice],
        options: &DedupeOptions,
        control: &Control<'_>,
    ) -> Result<DedupePlan, Error> {
        let chosen = self.choose(choices, options, control)?;
        let total = chosen.iter().flat_map(|chosen| &chosen.group.videos).map(|video| video.file.bytes).sum();
        let mut reader = Reader { control, done: 0, total };
        let mut groups = Vec::with_capacity(chosen.len());
        for ChosenGroup { group, held: staying } in chosen {
            let mut planned = reader.group(&group)?;
            planned.held.extend(staying.into_iter().map(|(video, reason)| held(&video.id, &video.file, reason)));
            groups.push(planned);
        }
        let plan = self.plan_of(options.min_score, groups);
        plan.check().map_err(Error::Choice)?;
        Ok(plan)
    }

    fn plan_of(&self, min_score: f32, groups: Vec<PlanGroup>) -> DedupePlan {
        DedupePlan {
            format: FORMAT.to_owned(),
            made: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs()),
            index: std::path::absolute(self.folder()).as_deref().unwrap_or(self.folder()).into(),
            model: self.model_id().to_string(),
            min_score,
            groups,
        }
    }
}

/// Reads files and says how far it is.
struct Reader<'a> {
    control: &'a Control<'a>,
    done: u64,
    total: u64,
}

impl Reader<'_> {
    fn group(&mut self, group: &CopyGroup) -> Result<PlanGroup, Error> {
        let mut planned = PlanGroup { keep: None, reason: group.reason.to_string(), go: Vec::new(), held: Vec::new() };
        let mut members = group.videos.iter();
        let Some(keep) = members.next() else { return Ok(planned) };
        match keep_fault(&keep.file).map_or_else(|| self.read(&keep.id, &keep.file), Err) {
            Ok(file) => planned.keep = Some(file),
            Err(reason) => planned.held.push(held(&keep.id, &keep.file, reason)),
        }
        for copy in members {
            self.check_cancelled()?;
            let side = shown(group, &copy.id);
            let fault = match planned.keep {
                None => Some("no file of the group is fit to be kept".to_owned()),
                Some(_) => copy_fault(&copy.file, &keep.file, side),
            };
            match fault.map_or_else(|| self.read(&copy.id, &copy.file), Err) {
                Ok(mut file) => {
                    (file.score, file.share) = (Some(copy.score), side.map(|side| side.share));
                    // All names must go for the space to be gained.
                    let names = copy.file.names.iter();
                    let names = names.filter(|name| name.kind == NameKind::HardLink && !in_bin(&name.place));
                    let names: Vec<PlanFile> = names
                        .map(|name| PlanFile { id: name.id.clone(), path: name.place.as_path().into(), ..file.clone() })
                        .collect();
                    planned.go.push(file);
                    planned.go.extend(names);
                }
                Err(reason) => planned.held.push(held(&copy.id, &copy.file, reason)),
            }
        }
        self.check_cancelled()?;
        Ok(planned)
    }

    fn check_cancelled(&self) -> Result<(), Error> {
        if self.control.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Reads a file as a whole; why it cannot be part of a plan is an error.
    // Bytes are far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    fn read(&mut self, id: &str, file: &CopyFile) -> Result<PlanFile, String> {
        let progress = Progress::new("reading files", self.done as f64, Some(self.total as f64), Unit::Bytes);
        self.control.report(&progress);
        self.done += file.bytes;
        let path = &file.place;
        let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
        let before = FileFacts::of(path).map_err(unreadable)?;
        let blake3 = whole_hash(path).map_err(unreadable)?;
        if file.source.hash != Some(blake3) {
            return Err("its content has changed since it was indexed: index it again".to_owned());
        }
        if !FileFacts::of(path).map_err(unreadable)?.is_same(&before) || before.size != file.source.size {
            return Err("it was changed meanwhile".to_owned());
        }
        Ok(PlanFile {
            id: id.to_owned(),
            path: path.as_path().into(),
            size: before.size,
            modified: before.modified,
            blake3,
            duration: file.duration,
            width: file.width,
            height: file.height,
            score: None,
            share: None,
        })
    }
}

fn held(id: &str, file: &CopyFile, reason: String) -> HeldFile {
    HeldFile { id: id.to_owned(), path: file.place.as_path().into(), reason }
}

/// How much of a copy the video that is kept shows.
fn shown(group: &CopyGroup, copy: &str) -> Option<CoverageSide> {
    let of_query = group.pairs.iter().find(|pair| pair.a == copy).map(|pair| pair.coverage.query);
    of_query.or_else(|| group.pairs.iter().find(|pair| pair.b == copy).map(|pair| pair.coverage.target))
}

/// Why no plan can name a file.
fn file_fault(file: &CopyFile) -> Option<String> {
    let words = match file.state {
        FileState::Gone => "it is gone",
        FileState::Changed => "it has changed since it was indexed: index it again",
        FileState::Unreadable => "it cannot be read any more",
        _ if file.is_link => "it is a symbolic link",
        _ if file.in_bin => "it lies in a recycle bin",
        _ if file.source.modified.is_none() || file.source.hash.is_none() => "the index does not know its file",
        _ => return None,
    };
    Some(words.to_owned())
}

fn keep_fault(file: &CopyFile) -> Option<String> {
    file_fault(file).or_else(|| file.damage.as_ref().map(|damage| damage.detail.clone()))
}

/// Why a copy stays.
fn copy_fault(copy: &CopyFile, keep: &CopyFile, side: Option<CoverageSide>) -> Option<String> {
    if let Some(fault) = file_fault(copy) {
        return Some(fault);
    }
    if copy.protected {
        return Some("it lies in a reference folder".to_owned());
    }
    if let Some(link) = copy.names.iter().find(|name| name.kind == NameKind::SymbolicLink) {
        return Some(format!("a symbolic link leads to it: {}", link.path));
    }
    let Some(CoverageSide { seconds, share }) = side else {
        return Some("it was not compared with the video to keep".to_owned());
    };
    let missing = if share > 0.0 { seconds / share - seconds } else { f64::INFINITY };
    if share < LEAST_SHOWN.0 && missing > LEAST_SHOWN.1 {
        return Some(format!("the video to keep shows {:.0} % of it: {missing:.1} s are missing", 100.0 * share));
    }
    // Of a file that was read in part, the whole counts.
    let length = match &copy.damage {
        Some(damage) if damage.is_partial => damage.expected.unwrap_or(f64::INFINITY),
        _ => copy.duration,
    };
    let longer = length - keep.duration;
    if longer > LONGER.0.max(LONGER.1 * keep.duration) {
        return Some(match &copy.damage {
            Some(damage) if damage.is_partial => damage.detail.clone(),
            _ => format!("it is {longer:.1} s longer than the video to keep"),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use vidsieve_index::store::Source;

    use super::*;
    use crate::archive::{FileDamage, OtherName};

    fn file() -> CopyFile {
        let source = Source { modified: Some(1), hash: Some([1; 32]), ..Source::default() };
        CopyFile { duration: 30.0, source, ..CopyFile::default() }
    }

    const ALL: Option<CoverageSide> = Some(CoverageSide { seconds: 30.0, share: 1.0 });

    #[test]
    fn copies_that_show_more_stay() {
        let fault = |copy: CopyFile, side| copy_fault(&copy, &file(), side).unwrap_or_default();
        let side = |seconds, share| Some(CoverageSide { seconds, share });
        assert_eq!(fault(file(), ALL), "");
        assert_eq!(fault(file(), side(24.0, 0.8)), "the video to keep shows 80 % of it: 6.0 s are missing");
        assert_eq!(fault(file(), side(6.0, 0.8)), "");
        assert_eq!(fault(file(), side(27.5, 0.92)), "");
        assert!(fault(file(), None).contains("not compared"));
        assert!(fault(file(), side(0.0, 0.0)).contains("inf s are missing"));
        assert_eq!(fault(CopyFile { duration: 31.0, ..file() }, ALL), "");
        assert_eq!(fault(CopyFile { duration: 32.0, ..file() }, ALL), "it is 2.0 s longer than the video to keep");
        let partial = |expected| Some(FileDamage { is_partial: true, expected, detail: "cut off".into() });
        assert_eq!(fault(CopyFile { duration: 28.0, damage: partial(Some(30.0)), ..file() }, ALL), "");
        assert_eq!(fault(CopyFile { duration: 28.0, damage: partial(Some(40.0)), ..file() }, ALL), "cut off");
        assert_eq!(fault(CopyFile { duration: 28.0, damage: partial(None), ..file() }, ALL), "cut off");
    }

    #[test]
    fn what_is_not_sound_is_not_touched() {
        let link = |kind| {
            let name = OtherName { id: "x".into(), path: "/x".into(), kind, place: "/x".into() };
            CopyFile { names: vec![name], ..file() }
        };
        let damaged = Some(FileDamage { is_partial: false, expected: None, detail: "damaged in places".into() });
        for (copy, words, keeps) in [
            (CopyFile { state: FileState::Gone, ..file() }, "it is gone", false),
            (CopyFile { state: FileState::Changed, ..file() }, "index it again", false),
            (CopyFile { state: FileState::Unreadable, ..file() }, "cannot be read", false),
            (CopyFile { is_link: true, ..file() }, "symbolic link", false),
            (CopyFile { in_bin: true, ..file() }, "recycle bin", false),
            (CopyFile { source: Source::default(), ..file() }, "does not know its file", false),
            (CopyFile { protected: true, ..file() }, "reference folder", true),
            (link(NameKind::SymbolicLink), "leads to it: /x", true),
            (link(NameKind::HardLink), "", true),
            (CopyFile { damage: damaged, ..file() }, "", false),
        ] {
            let fault = copy_fault(&copy, &file(), ALL).unwrap_or_default();
            assert!(fault.contains(words) && fault.is_empty() == words.is_empty(), "{words}: {fault}");
            assert_eq!(keep_fault(&copy).is_none(), keeps, "{copy:?}");
        }
    }
}
