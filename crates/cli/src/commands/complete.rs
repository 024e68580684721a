//! `vidsieve completions` and `vidsieve man`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

use crate::output::{Failure, line};

/// Prints the completions of a shell.
pub(crate) fn completions(mut command: Command, shell: Shell) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "vidsieve", &mut text);
    print(&text);
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Folder to write a page for each command to; without it, the main page is printed.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Prints or writes the manual pages.
pub(crate) fn man(command: Command, args: &ManArgs) -> Result<ExitCode, Failure> {
    let command = command.disable_help_subcommand(true);
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        print(&page);
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(dir).map_err(|e| Failure::new(format_args!("{}: {e}", dir.display())))?;
    let pages = pages(&command);
    clap_mangen::generate_to(command, dir).map_err(|e| Failure::new(format_args!("{}: {e}", dir.display())))?;
    line(format_args!("{pages} pages in {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

fn pages(command: &Command) -> usize {
    1 + command.get_subcommands().map(pages).sum::<usize>()
}

/// Ends the output at a closed pipe, without an error.
fn print(bytes: &[u8]) {
    let _ = std::io::stdout().lock().write_all(bytes);
}
