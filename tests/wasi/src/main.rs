//! Golden parity and kernel benchmarks as one WASI program: the same code as natively, run under Node.
//!
//! `parity DIR [--json]`, `bench [--json] [--rounds N] [--only NAME] [--quick] [--check]`.

use std::path::Path;
use std::process::ExitCode;

use vidsieve_eval::{bench, parity};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.split_first() {
        Some((&"parity", rest)) => run_parity(rest),
        Some((&"bench", rest)) => run_bench(rest),
        _ => Err("usage: parity DIR [--json] | bench [--json] [--rounds N] [--only NAME] [--quick] [--check]".into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run_parity(args: &[&str]) -> Result<bool, String> {
    let dir = args.iter().find(|a| !a.starts_with("--")).ok_or("parity needs a folder")?;
    let report = parity::run(Path::new(dir), parity::ParityOptions::default(), |_| ()).map_err(|e| e.to_string())?;
    if args.contains(&"--json") {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        report.lines().for_each(|l| println!("{l}"));
    }
    Ok(report.ok)
}

fn run_bench(args: &[&str]) -> Result<bool, String> {
    let value = |name: &str| args.iter().position(|a| *a == name).and_then(|i| args.get(i + 1));
    let mut options = bench::BenchOptions { quick: args.contains(&"--quick"), ..bench::BenchOptions::default() };
    if let Some(rounds) = value("--rounds") {
        options.rounds = rounds.parse().map_err(|_| format!("--rounds {rounds}: not a number"))?;
    }
    options.only = value("--only").map(ToString::to_string);
    let report = bench::kernels(&options, |_| ()).map_err(|e| e.to_string())?;
    if args.contains(&"--json") {
        println!("{}", serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?);
    } else {
        report.lines().for_each(|l| println!("{l}"));
    }
    Ok(!args.contains(&"--check") || report.check().is_empty())
}
