//! `vidsieve search`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use vidsieve_model::encoder::Encoder;
use vidsieve_search::{
    Budget, Hit, HitStage, PageStage, Query, SearchPage, SearchParameters, SearchRun, SearchStep, SearchTimings, Table,
};

use crate::commands::compare::span;
use crate::native::store::{Store, fetch, sampling};
use crate::native::{encode, interrupt, terminal};
use crate::output::{Failure, json, line, text};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// A video file; or `id:NAME`, a video of the index, which is then not among the answers.
    video: OsString,
    /// Most answers.
    #[arg(long, value_name = "K", default_value_t = 10)]
    top: usize,
    /// What may be spent on comparing frame by frame: 5% of the index, 100pairs, p>0.5 (all that the selector doubts more),
    /// 200ms, all, none, auto (5 %, at least 500).
    #[arg(long, default_value = "auto")]
    budget: Budget,
    /// Say what the scores are made of.
    #[arg(long)]
    explain: bool,
    /// With --json: one line for the coarse page and one for the refined page, each as soon as it is known.
    #[arg(long, requires = "json")]
    pages: bool,
    /// Leave out answers below this score.
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    min_score: f32,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// Milliseconds of each part.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Timings {
    decode: f64,
    encode: f64,
    #[serde(flatten)]
    search: SearchTimings,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    model: &'a str,
    videos: usize,
    budget: &'a str,
    reranked: usize,
    hits: &'a [Hit],
    timings_ms: &'a Timings,
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    if !(0.0..=1.0).contains(&args.min_score) {
        return Err(Failure::new(format_args!("--min-score {}: scores are from 0 to 1", args.min_score)));
    }
    let cancel = interrupt::flag();
    let store = Store::open(&args.index)?;
    let mut table = store.table()?;
    let mut timings = Timings::default();
    let query = query(args, &store, &mut table, &mut timings)?;

    let watched = !args.json && std::io::stdout().is_terminal();
    let parameters = SearchParameters {
        top: args.top,
        min_score: args.min_score,
        budget: args.budget,
        explain: args.explain,
        segments: true,
        coarse_page: args.pages || watched,
    };
    let mut run = SearchRun::new(&store.engine, &query, &table, parameters, || ms(start.elapsed()))?;
    let selected = run.session().selected();
    let page = loop {
        match run.step(|| &table)? {
            SearchStep::Page(page) if page.page == PageStage::Refined => break page,
            SearchStep::Page(page) if args.pages => {
                let last = selected == 0;
                let timings = Timings { search: page.timings_ms, ..timings };
                text(SearchPage { last, ..page.with_timings(timings) }.line());
                if last {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            // With nothing to compare the refined page is the same.
            SearchStep::Page(_) if selected == 0 => {}
            SearchStep::Page(page) => {
                line("at first sight");
                print(&page.hits, args.explain);
                line("");
            }
            SearchStep::Compare(_) => {
                let bar = terminal::bar(selected as u64, "comparing [{bar:24}] {pos}/{len}, {eta} left");
                run.refine(
                    |ids| fetch(&store.index, ids),
                    |done| {
                        bar.set_position(done as u64);
                        !cancel.is_cancelled()
                    },
                )?;
                bar.finish_and_clear();
            }
            SearchStep::Align(ids) => run.align(fetch(&store.index, &ids)?)?,
            SearchStep::Done => return Ok(ExitCode::SUCCESS),
        }
    };
    timings.search = page.timings_ms;

    let session = run.session();
    let (reranked, missing) = (session.compared(), session.missing());
    for id in &missing {
        eprintln!("vidsieve: {}: its record cannot be read: `vidsieve verify` tells more", terminal::plain(id));
    }
    if args.pages {
        text(page.with_timings(timings).line());
    } else if args.json {
        let SearchPage { model, videos, budget, hits, .. } = &*page;
        json(&Answer { model, videos: *videos, budget, reranked, hits, timings_ms: &timings })?;
    } else {
        print(&page.hits, args.explain);
        line(format_args!(
            "{} videos, {reranked} compared frame by frame; {:.0} ms, of which {:.0} ms for the video itself",
            table.len(),
            timings.search.total,
            timings.decode + timings.encode
        ));
    }
    if cancel.is_cancelled() {
        eprintln!("vidsieve: interrupted; {reranked} of {selected} videos were compared frame by frame");
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// The video that is searched for: a video of the index, which leaves the table, or an encoded file.
fn query(args: &Args, store: &Store, table: &mut Table, timings: &mut Timings) -> Result<Query, Failure> {
    if let Some(id) = args.video.to_str().and_then(|name| name.strip_prefix("id:")) {
        let entry = store.index.get(id)?.ok_or_else(|| {
            Failure::new(format_args!(
                "{id:?}: no such video in {} (`vidsieve list` shows them; ./id:… names a file)",
                args.index.display()
            ))
        })?;
        table.remove(id);
        return Ok(Query::from_record(&entry.record)?);
    }
    let encoder = Encoder::new(store.isa, &store.bundle)?;
    let work = encode::Work { sampling: sampling(&store.index)?, files: 1, cancel: interrupt::flag() };
    let bar = terminal::bar(0, "encoding {msg}");
    let video = encode::file(&encoder, Path::new(&args.video), &work, &|at, promised| {
        bar.set_message(match promised {
            Some(promised) => format!("{at:.0} of {promised:.0} s"),
            None => format!("{at:.0} s"),
        });
    })
    .map_err(|e| e.failure(&work.cancel))?;
    bar.finish_and_clear();
    for warning in &video.warnings {
        eprintln!("vidsieve: {}: {warning}", terminal::plain(&args.video.to_string_lossy()));
    }
    (timings.decode, timings.encode) = (ms(video.decode), ms(video.encode));
    Ok(video.query)
}

fn print(hits: &[Hit], explain: bool) {
    if hits.is_empty() {
        line("no videos");
        return;
    }
    let number = |x: Option<f32>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.3}"));
    let mut rows = vec![["score", "stage", "coarse", "fine", "doubt", "id", "matches"].map(str::to_owned).to_vec()];
    for hit in hits {
        let stage = match hit.stage {
            HitStage::Coarse => "coarse",
            HitStage::Fine => "fine",
        };
        let mut matches: Vec<String> = hit.segments.iter().take(3).map(span).collect();
        if hit.segments.len() > 3 {
            matches.push(format!("and {} more", hit.segments.len() - 3));
        }
        matches.extend(hit.unavailable.clone());
        rows.push(vec![
            format!("{:.3}", hit.score),
            stage.to_owned(),
            format!("{:.3}", hit.coarse),
            number(hit.fine),
            number(hit.doubt),
            terminal::plain(&hit.id),
            matches.join(", "),
        ]);
        if let Some(e) = hit.explain.as_ref().filter(|_| explain) {
            let fine = e.fine_similarity.map_or_else(|| "not compared".to_owned(), |f| format!("similarity {f:.3}"));
            rows.push(vec![format!(
                "       cosine {:.3}, place {} by it; {fine}; self-similarity {:.3}; {}",
                e.coarse_cosine,
                e.coarse_rank,
                e.self_similarity,
                if e.selected { "selected" } else { "not selected" }
            )]);
        }
    }
    text(terminal::table(&rows, &[0, 2, 3, 4]));
}
