//! `vidsieve dedupe`.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;
use vidsieve_index::store::Summary;
use vidsieve_record::Record;
use vidsieve_search::cluster::clusters;
use vidsieve_search::segments::LIKELY;
use vidsieve_search::session::BATCH;
use vidsieve_search::{Budget, Outcome, Plan, Query, Table};

use crate::native::heatmap::plural;
use crate::native::store::{Store, fetch, path_of};
use crate::native::{interrupt, terminal};
use crate::output::{Failure, json, line, text};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Videos with at least this score are copies: the shorter one shows what the longer one shows.
    #[arg(long, value_name = "S", default_value_t = 0.9)]
    min_score: f32,
    /// What may be spent on comparing each video with the others frame by frame, as in `search`; auto is 500 pairs.
    /// Pairs that look alike at first sight are always compared.
    #[arg(long, default_value = "auto")]
    budget: Budget,
    /// Print as CSV, a line for each video.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Member {
    id: String,
    path: String,
    /// Whether the file is where it was when it was indexed.
    exists: bool,
    keep: bool,
    /// Its best score with another of its group.
    score: f32,
    duration: f64,
    width: u32,
    height: u32,
    bytes: u64,
}

/// Two videos that count as copies.
#[derive(Debug, Serialize)]
struct Link {
    a: String,
    b: String,
    score: f32,
}

#[derive(Debug, Serialize)]
struct Cluster {
    keep: String,
    reason: &'static str,
    videos: Vec<Member>,
    pairs: Vec<Link>,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    videos: usize,
    min_score: f32,
    budget: String,
    /// Pairs that were compared frame by frame.
    compared: usize,
    /// Videos whose record could not be read.
    missing: Vec<String>,
    interrupted: bool,
    clusters: Vec<Cluster>,
    seconds: f64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    if !(0.0..=1.0).contains(&args.min_score) {
        return Err(Failure::new(format_args!("--min-score {}: scores are from 0 to 1", args.min_score)));
    }
    if args.budget.time().is_some() {
        return Err(Failure::new(format_args!(
            "--budget {}: a time is no budget here, give a share or pairs",
            args.budget
        )));
    }
    let cancel = interrupt::flag();
    let store = Store::open(&args.index)?;
    let table = store.table()?;
    let summaries: HashMap<String, Summary> = store.index.list()?.into_iter().map(|s| (s.id.clone(), s)).collect();
    let frames = |video: usize| summaries.get(table.id(video)).map_or(0, |s| s.frames);

    let n = table.len();
    let mut reader = Reader::new(&store, &table, &summaries)?;
    let mut scores: HashMap<(usize, usize), f32> = HashMap::new();
    let mut missing = BTreeSet::new();
    let mut compared = 0;
    // For each video the longer ones that it is looked for in.
    let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); n];
    let budget = match args.budget {
        Budget::Auto => Budget::Pairs(Budget::AUTO_PAIRS),
        budget => budget,
    };
    let bar = terminal::bar(n as u64, "{msg} [{bar:24}] {pos}/{len}, {eta} left");
    bar.set_message("choosing pairs");
    for video in 0..n {
        if cancel.is_cancelled() {
            break;
        }
        let coarse = table.scan(store.isa, table.vector(video))?;
        let scalars = table.self_similarities();
        let doubt = store.engine.doubt(scalars[video], scalars, &coarse);
        let mut look_at = |other: usize| {
            // Pairs that both of their videos select fall together.
            let (short, long) =
                if (frames(video), video) <= (frames(other), other) { (video, other) } else { (other, video) };
            waiting[short].extend(u32::try_from(long).ok());
        };
        for (other, &cosine) in coarse.iter().enumerate().skip(video + 1) {
            let score = store.engine.coarse_score(cosine);
            if score >= args.min_score {
                scores.insert((video, other), score);
            }
            // What is likely at first sight is compared whatever the budget.
            if score >= LIKELY && budget != Budget::None {
                look_at(other);
            }
        }
        let plan = Plan::new(coarse, doubt, budget);
        plan.selected().iter().filter(|&&other| other != video).for_each(|&other| look_at(other));
        bar.inc(1);
    }
    for others in &mut waiting {
        others.sort_unstable();
        others.dedup();
    }
    bar.set_message("comparing");
    bar.set_position(0);
    bar.set_length(waiting.iter().map(|w| w.len() as u64).sum());
    for (short, others) in waiting.iter().enumerate() {
        if others.is_empty() || cancel.is_cancelled() {
            continue;
        }
        let Some(query) = reader.records(&[short], &mut missing)?.pop().flatten() else { continue };
        let query = Query::from_record(&query)?;
        let others: Vec<usize> = others.iter().map(|&other| other as usize).collect();
        for some in others.chunks(BATCH) {
            if cancel.is_cancelled() {
                break;
            }
            let records = reader.records(some, &mut missing)?;
            for (&other, outcome) in some.iter().zip(store.engine.compare_all(&query, &records)) {
                let pair = (short.min(other), short.max(other));
                if let Outcome::Compared(result) = outcome {
                    compared += 1;
                    // What was compared frame by frame counts, whatever the vectors say.
                    scores.insert(pair, result.score);
                }
            }
            bar.inc(some.len() as u64);
        }
    }
    bar.finish_and_clear();
    scores.retain(|_, score| *score >= args.min_score);
    let mut edges: Vec<(usize, usize)> = scores.keys().copied().collect();
    edges.sort_unstable();
    let clusters = clusters(n, edges.iter().copied())
        .into_iter()
        .map(|group| cluster(&group, &table, &summaries, &edges, &scores))
        .collect();
    let report = Report {
        model: store.bundle.id().to_string(),
        videos: n,
        min_score: args.min_score,
        budget: args.budget.to_string(),
        compared,
        missing: missing.into_iter().collect(),
        interrupted: cancel.is_cancelled(),
        clusters,
        seconds: start.elapsed().as_secs_f64(),
    };
    if args.json {
        json(&report)?;
    } else if args.csv {
        report.csv();
    } else {
        report.print();
    }
    for id in &report.missing {
        eprintln!("vidsieve: {}: its record cannot be read: `vidsieve verify` tells more", terminal::plain(id));
    }
    if report.interrupted {
        eprintln!("vidsieve: interrupted; not all pairs were compared");
    }
    Ok(ExitCode::from(u8::from(report.interrupted || !report.missing.is_empty())))
}

/// Reads records, and keeps them all if they are few.
struct Reader<'a> {
    store: &'a Store,
    table: &'a Table,
    kept: Option<Vec<Option<Record<Vec<u8>>>>>,
}

impl<'a> Reader<'a> {
    /// Bytes of records that are kept in memory at most.
    const MOST: u64 = 512 << 20;

    fn new(store: &'a Store, table: &'a Table, summaries: &HashMap<String, Summary>) -> Result<Self, Failure> {
        let few = summaries.values().map(|s| s.bytes).sum::<u64>() <= Self::MOST;
        Ok(Self { store, table, kept: few.then(|| vec![None; table.len()]) })
    }

    fn records(
        &mut self,
        videos: &[usize],
        missing: &mut BTreeSet<String>,
    ) -> Result<Vec<Option<Record<Vec<u8>>>>, Failure> {
        let unread: Vec<usize> = match &self.kept {
            Some(kept) => videos.iter().copied().filter(|&v| kept[v].is_none()).collect(),
            None => videos.to_vec(),
        };
        let ids: Vec<&str> = unread.iter().map(|&v| self.table.id(v)).collect();
        let mut read = Vec::with_capacity(ids.len());
        for (record, id) in fetch(&self.store.index, &ids)?.into_iter().zip(ids) {
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

fn cluster(
    group: &[usize],
    table: &Table,
    summaries: &HashMap<String, Summary>,
    edges: &[(usize, usize)],
    scores: &HashMap<(usize, usize), f32>,
) -> Cluster {
    let within: Vec<((usize, usize), f32)> = edges
        .iter()
        .filter(|(a, b)| group.binary_search(a).is_ok() && group.binary_search(b).is_ok())
        .map(|pair| (*pair, scores[pair]))
        .collect();
    let mut videos: Vec<(Member, u64)> = group
        .iter()
        .filter_map(|&video| {
            let summary = summaries.get(table.id(video))?;
            let path = path_of(&summary.source.path);
            let meta = std::fs::metadata(&path).ok();
            let mut picture = summary.source.picture;
            if picture == [0, 0]
                && meta.is_some()
                && let Ok(info) = vidsieve_video::probe(&path)
            {
                picture = [info.display_width, info.display_height];
            }
            let score = within.iter().filter(|((a, b), _)| *a == video || *b == video).map(|(_, s)| *s);
            let member = Member {
                id: summary.id.clone(),
                path: summary.source.display(),
                exists: meta.is_some(),
                keep: false,
                score: score.fold(0.0, f32::max),
                duration: summary.duration,
                width: picture[0],
                height: picture[1],
                bytes: summary.source.size,
            };
            let modified = summary.source.modified.unwrap_or(i64::MAX);
            // Times before 1970 come first.
            #[allow(clippy::cast_sign_loss)]
            Some((member, (modified as u64) ^ (1 << 63)))
        })
        .collect();
    // Lengths are compared in whole seconds: containers round them.
    let rank = |(m, age): &(Member, u64)| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let seconds = m.duration.round() as u64;
        (Reverse(u64::from(m.width) * u64::from(m.height)), Reverse(seconds), Reverse(m.bytes), *age)
    };
    videos.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.0.id.cmp(&b.0.id)));
    let reason = match videos.as_slice() {
        [first, second, ..] => {
            let (a, b) = (rank(first), rank(second));
            if a.0 != b.0 {
                "largest picture"
            } else if a.1 != b.1 {
                "longest"
            } else if a.2 != b.2 {
                "largest file"
            } else if a.3 != b.3 {
                "oldest"
            } else {
                "first by name"
            }
        }
        _ => "only one",
    };
    if let Some((first, _)) = videos.first_mut() {
        first.keep = true;
    }
    let id = |video: usize| table.id(video).to_owned();
    Cluster {
        keep: videos.first().map_or_else(String::new, |(m, _)| m.id.clone()),
        reason,
        videos: videos.into_iter().map(|(m, _)| m).collect(),
        pairs: within.into_iter().map(|((a, b), score)| Link { a: id(a), b: id(b), score }).collect(),
    }
}

impl Report {
    fn csv(&self) {
        line("cluster,keep,reason,id,path,exists,score,duration,width,height,bytes");
        for (k, cluster) in self.clusters.iter().enumerate() {
            for m in &cluster.videos {
                let reason = if m.keep { cluster.reason } else { "" };
                let (id, path) = (quoted(&m.id), quoted(&m.path));
                let Member { keep, exists, score, duration, width, height, bytes, .. } = m;
                line(format_args!(
                    "{},{keep},{reason},{id},{path},{exists},{score:.4},{duration:.3},{width},{height},{bytes}",
                    k + 1
                ));
            }
        }
    }

    fn print(&self) {
        let mut rows = vec![["", "score", "id", "picture", "length", "file", ""].map(str::to_owned).to_vec()];
        for cluster in &self.clusters {
            for m in &cluster.videos {
                rows.push(vec![
                    if m.keep { "keep" } else { "copy" }.to_owned(),
                    format!("{:.3}", m.score),
                    terminal::plain(&m.id),
                    format!("{}x{}", m.width, m.height),
                    terminal::clock(m.duration),
                    crate::output::size(usize::try_from(m.bytes).unwrap_or(usize::MAX)),
                    match (m.keep, m.exists) {
                        (true, true) => cluster.reason.to_owned(),
                        (true, false) => format!("{}; the file is gone", cluster.reason),
                        (false, true) => String::new(),
                        (false, false) => "the file is gone".to_owned(),
                    },
                ]);
            }
            rows.push(Vec::new());
        }
        if rows.len() > 1 {
            rows.pop();
            text(terminal::table(&rows, &[1, 4, 5]));
        }
        let copies: usize = self.clusters.iter().map(|c| c.videos.len() - 1).sum();
        line(format_args!(
            "{} group{} with {copies} cop{} among {} videos; {} pairs compared frame by frame in {:.1} s",
            self.clusters.len(),
            plural(self.clusters.len()),
            if copies == 1 { "y" } else { "ies" },
            self.videos,
            self.compared,
            self.seconds
        ));
    }
}

/// A field of CSV. Spreadsheets take what begins with these signs for a formula.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields() {
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
