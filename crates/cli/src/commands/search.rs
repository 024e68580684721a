//! `vidsieve search`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve::{
    Archive, Budget, Control, Hit, HitStage, PageStage, Progress, QueryTimings, SearchOptions, SearchPage, SearchQuery,
    TurnedHit, Unit,
};

use crate::commands::compare::span;
use crate::native::{interrupt, terminal};
use crate::output::{Failure, json, line, text};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Query: a video file, or `id:NAME` for a video of the index, which is then left out of its hits.
    video: OsString,
    /// Maximum number of hits.
    #[arg(long, value_name = "K", default_value_t = 10)]
    top: usize,
    /// Budget for re-ranking frame by frame: 5% of the index, 100pairs, p>0.5 (every pair with a greater doubt),
    /// 200ms, all, none, auto (5 %, at least 500 pairs).
    #[arg(long, default_value = "auto")]
    budget: Budget,
    /// Show the numbers behind the scores.
    #[arg(long)]
    explain: bool,
    /// With --json: print the coarse page and the refined page as a line each, as soon as they are ready.
    #[arg(long, requires = "json")]
    pages: bool,
    /// Leave out hits below this score.
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    min_score: f32,
    /// Also find turned and mirrored copies: encodes and searches the video eight times.
    #[arg(long)]
    turned: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let cancel = interrupt::token();
    let watched = !args.json && std::io::stdout().is_terminal();
    let on_page = |page: &SearchPage<QueryTimings>| {
        if args.pages {
            text(page.line());
        } else if page.page == PageStage::Coarse && !page.last {
            line("before comparing frame by frame");
            print(&page.hits, args.explain);
            line("");
        }
    };
    let mut options = SearchOptions::new()
        .top(args.top)
        .budget(args.budget)
        .min_score(args.min_score)
        .explain(args.explain)
        .turned(args.turned);
    if args.pages || watched {
        options = options.on_page(&on_page);
    }
    let query = match args.video.to_str().and_then(|name| name.strip_prefix("id:")) {
        Some(id) => SearchQuery::Id(id),
        None => SearchQuery::File(args.video.as_ref()),
    };
    let encoding = terminal::bar(0, "encoding {msg}");
    let comparing = terminal::bar(0, "comparing [{bar:24}] {pos}/{len}, {eta} left");
    let show = |p: &Progress<'_>| match (p.unit, p.total) {
        (Unit::Seconds, Some(total)) => encoding.set_message(format!("{:.0} of {total:.0} s", p.done)),
        (Unit::Seconds, None) => encoding.set_message(format!("{:.0} s", p.done)),
        _ => {
            encoding.finish_and_clear();
            terminal::show(&comparing, p);
        }
    };
    let control = Control::new().with_progress(&show).with_cancel(&cancel);
    let answer = Archive::open_read_only(&args.index)?.search(query, &options, &control)?;
    encoding.finish_and_clear();
    comparing.finish_and_clear();
    for warning in &answer.warnings {
        eprintln!("vidsieve: {}: {warning}", terminal::plain(&args.video.to_string_lossy()));
    }
    for id in &answer.missing {
        eprintln!("vidsieve: {}: its record cannot be read: `vidsieve verify` tells more", terminal::plain(id));
    }
    if args.json && !args.pages {
        json(&answer)?;
    } else if !args.json {
        print(&answer.hits, args.explain);
        for TurnedHit { id, view, .. } in &answer.turned {
            line(format_args!("{}: found with the query {}", terminal::plain(id), view.to_string().replace('-', " ")));
        }
        let timings = &answer.timings_ms;
        line(format_args!(
            "{} videos, {} compared frame by frame; {:.0} ms, of which {:.0} ms for the video itself",
            answer.videos,
            answer.reranked,
            timings.search.total,
            timings.decode + timings.encode
        ));
    }
    if answer.interrupted {
        eprintln!(
            "vidsieve: interrupted; {} of {} videos were compared frame by frame",
            answer.reranked, answer.selected
        );
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
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
        let mut matches: Vec<String> = hit.describe().into_iter().collect();
        matches.extend(hit.segments.iter().take(3).map(span));
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
