//! The steps of `cargo xtask test`, fast ones first. Each can be run alone (`--only NAME`) and is timed.

use std::time::{Duration, Instant};

use crate::run::Line;
use crate::{edge, lint, native, packages, web};

struct Step {
    name: &'static str,
    run: fn() -> Result<(), String>,
}

const STEPS: &[Step] = &[
    Step { name: "format", run: || Line::cargo().args("fmt --all -- --check").run() },
    Step { name: "lint-web", run: lint::web },
    Step { name: "spelling", run: lint::spelling },
    Step { name: "crates", run: packages::check },
    Step { name: "lints", run: lints },
    Step { name: "docs", run: native::docs },
    // Tests build the command with every feature; users build it without training.
    Step { name: "check-default", run: native::check_default },
    Step { name: "test-native", run: native::test },
    Step { name: "test-current-ffmpeg", run: native::test_current_ffmpeg },
    Step { name: "check-types", run: native::check_types },
    Step { name: "test-linked", run: native::linked },
    Step { name: "parity-native", run: native::parity_native },
    Step { name: "bench-native", run: native::bench_native },
    Step { name: "test-wasm", run: native::test_wasm },
    Step { name: "test-wasm-relaxed", run: native::test_wasm_relaxed },
    Step { name: "build-web", run: web::build },
    Step { name: "test-package", run: web::test_package },
    Step { name: "test-browser", run: web::test_browser },
    Step { name: "test-edge", run: edge::test },
    Step { name: "parity-wasm", run: || native::parity_wasm(None) },
    Step { name: "test-neon", run: native::neon },
];

/// Steps that run only if they are named: they take longer than all tests may.
const NAMED: &[Step] =
    &[Step { name: "firefox", run: web::test_firefox }, Step { name: "webkit", run: web::test_webkit }];

fn lints() -> Result<(), String> {
    native::lints()?;
    edge::lints()
}

/// Runs the steps whose name contains one of `only` (without any all but those that have to be named), or prints their names.
pub(crate) fn test(only: &[String], list: bool) -> Result<(), String> {
    let is_named = |step: &&Step| only.iter().any(|o| step.name.contains(o.as_str()));
    let steps: Vec<&Step> =
        STEPS.iter().filter(|step| only.is_empty() || is_named(step)).chain(NAMED.iter().filter(is_named)).collect();
    if list {
        steps.iter().for_each(|s| println!("{}", s.name));
        if only.is_empty() {
            NAMED.iter().for_each(|s| println!("{} (only by name)", s.name));
        }
        return Ok(());
    }
    if steps.is_empty() {
        return Err("no step has this name: see `cargo xtask test --list`".into());
    }
    let start = Instant::now();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut failed = None;
    for step in &steps {
        eprintln!("\n== {} ==", step.name);
        let begin = Instant::now();
        let ended = (step.run)();
        times.push((step.name, begin.elapsed()));
        if let Err(reason) = ended {
            failed = Some(format!("step `{0}`: {reason}\nrun it alone with `cargo xtask test --only {0}`", step.name));
            break;
        }
    }
    let result = if failed.is_none() { "passed" } else { "ran, the last one failed" };
    eprintln!("\n{} of {} steps {result}, {} s:", times.len(), steps.len(), start.elapsed().as_secs());
    times.iter().for_each(|(name, time)| eprintln!("  {name:<20} {:>5} s", time.as_secs()));
    failed.map_or(Ok(()), Err)
}
