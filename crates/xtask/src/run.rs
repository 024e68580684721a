//! Running commands from the workspace root.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The workspace root.
pub(crate) fn root() -> PathBuf {
    // As `cargo run` says it: a target folder that several checkouts share keeps the path of the one that built last.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).ancestors().nth(2).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A command line, run in the workspace root, its output passed on.
pub(crate) struct Line {
    command: Command,
    text: String,
}

impl Line {
    pub(crate) fn new(program: &str) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root()).stdin(Stdio::null());
        // The toolchain of the workspace decides, not the one that built this program.
        command.env_remove("RUSTUP_TOOLCHAIN");
        Self { command, text: program.to_owned() }
    }

    /// `cargo`, in the environment that a person's own `cargo` has: what `cargo run` tells this program of its package (`CARGO_PKG_*`,
    /// `CARGO_MANIFEST_*`) would make build scripts that watch those names run again, and everything above them compile again.
    pub(crate) fn cargo() -> Self {
        let mut line = Self::new("cargo");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                line.command.env_remove(name);
            }
        }
        line
    }

    /// Adds arguments, separated by white space.
    pub(crate) fn args(self, args: &str) -> Self {
        args.split_whitespace().fold(self, Self::arg)
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.text.push(' ');
        self.text.push_str(arg);
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.text = format!("{name}='{value}' {}", self.text);
        self.command.env(name, value);
        self
    }

    pub(crate) fn run(mut self) -> Result<(), String> {
        eprintln!("$ {}", self.text);
        match self.command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{}` ended with {status}", self.text)),
            Err(e) => Err(format!("`{}` could not be started: {e}", self.text)),
        }
    }

    /// Runs the command; its standard error is passed on when it ends, and is part of the error if it failed.
    pub(crate) fn run_with_reason(mut self) -> Result<(), String> {
        eprintln!("$ {}", self.text);
        let output = self.command.stdout(Stdio::inherit()).stderr(Stdio::piped()).output();
        let output = output.map_err(|e| format!("`{}` could not be started: {e}", self.text))?;
        let reason = String::from_utf8_lossy(&output.stderr);
        eprint!("{reason}");
        if output.status.success() { Ok(()) } else { Err(format!("`{}`: {}", self.text, reason.trim())) }
    }

    /// Starts the command and goes on.
    pub(crate) fn start(mut self) -> Result<Running, String> {
        eprintln!("$ {}", self.text);
        let child = self.command.stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| format!("`{}` could not be started: {e}", self.text))?;
        let output = child.stdout.take().map(BufReader::new);
        Ok(Running { child, output, text: self.text })
    }

    /// Whether the command succeeds; prints nothing.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    }

    /// Standard output, trimmed.
    pub(crate) fn output(mut self) -> Result<String, String> {
        let output = self.command.stderr(Stdio::inherit()).output().map_err(|e| format!("`{}`: {e}", self.text))?;
        if !output.status.success() {
            return Err(format!("`{}` ended with {}", self.text, output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A command that runs beside this program.
pub(crate) struct Running {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    text: String,
}

impl Running {
    /// Passes lines of its output on until one holds a text.
    pub(crate) fn until(&mut self, text: &str) -> Result<(), String> {
        let mut line = String::new();
        while let Some(output) = &mut self.output {
            line.clear();
            if output.read_line(&mut line).map_err(|e| format!("`{}`: {e}", self.text))? == 0 {
                break;
            }
            eprint!("{line}");
            if line.contains(text) {
                return Ok(());
            }
        }
        Err(format!("`{}` ended before it was ready", self.text))
    }

    /// Passes its output on until it ends.
    pub(crate) fn wait(mut self) -> Result<(), String> {
        if let Some(mut output) = self.output.take() {
            let _ = std::io::copy(&mut output, &mut std::io::stderr());
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{}` ended with {status}", self.text)),
            Err(e) => Err(format!("`{}`: {e}", self.text)),
        }
    }

    /// Ends it: politely where that can be, so that it ends what it has started itself.
    pub(crate) fn end(mut self) {
        if !Line::new("kill").arg(&self.child.id().to_string()).succeeds() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
