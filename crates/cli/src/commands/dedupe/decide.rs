//! `vidsieve dedupe mark` and `decisions`.

use std::path::PathBuf;
use std::process::ExitCode;

use vidsieve::{Archive, Decision, DecisionKind};

use crate::native::heatmap::plural;
use crate::native::terminal;
use crate::output::{self, Failure, line};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct MarkArgs {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Ids of two or more videos.
    #[arg(required = true, num_args = 2.., value_name = "ID")]
    ids: Vec<String>,
    /// Mark them as different footage: they are not compared with each other again.
    #[arg(long, group = "what")]
    different: bool,
    /// Mark them as reviewed: their group is hidden until it gets a new member.
    #[arg(long, group = "what")]
    reviewed: bool,
    /// Revoke the decision.
    #[arg(long)]
    undo: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DecisionsArgs {
    /// Folder of the index.
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// Write all decisions to a file.
    #[arg(long, value_name = "FILE", conflicts_with = "import")]
    export: Option<PathBuf>,
    /// Add the decisions of a file.
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn mark(args: &MarkArgs) -> Result<ExitCode, Failure> {
    let archive = Archive::open(&args.index)?;
    let kind = if args.different { DecisionKind::Different } else { DecisionKind::Reviewed };
    if args.undo {
        if !archive.undecide(kind, &args.ids)? {
            return Err(Failure::failed("there is no such decision: `vidsieve dedupe decisions` lists them"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let decision = archive.decide(kind, &args.ids)?;
    if args.json {
        output::json(&decision)?
    } else {
        print(&decision)
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn decisions(args: &DecisionsArgs) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.import {
        let decisions: Vec<Decision> = serde_json::from_slice(&output::read(path)?)
            .map_err(|error| Failure::new(format_args!("{}: {error}", path.display())))?;
        let new = Archive::open(&args.index)?.import_decisions(&decisions)?;
        eprintln!("vidsieve: {new} new decision{}, {} read", plural(new), decisions.len());
        return Ok(ExitCode::SUCCESS);
    }
    let decisions = Archive::open_read_only(&args.index)?.decisions()?;
    if let Some(path) = &args.export {
        output::write(path, &serde_json::to_vec_pretty(&decisions)?)?;
        eprintln!("vidsieve: {} decision{} written", decisions.len(), plural(decisions.len()));
    } else if args.json {
        output::json(&decisions)?;
    } else {
        decisions.iter().for_each(print);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(decision: &Decision) {
    let ids: Vec<String> = decision.videos.iter().map(|video| terminal::plain(&video.id)).collect();
    line(format_args!("{}: {}", decision.kind, ids.join(", ")));
}
