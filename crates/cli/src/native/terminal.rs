//! What people see: progress on standard error, colours and tables on a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vidsieve::Progress;

/// Whether standard output is a terminal that takes colours.
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A bar on standard error; nothing where that is no terminal.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(8));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Shows progress on a bar, in whole units.
pub(crate) fn show(bar: &ProgressBar, progress: &Progress<'_>) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = |units: f64| units as u64;
    if let Some(total) = progress.total {
        bar.set_length(whole(total));
    }
    bar.set_position(whole(progress.done));
}

/// A text for a terminal: without control characters, which could do anything there.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `1:02:03.5`, `2:03.5`, `3.5`: seconds as people read them.
pub(crate) fn clock(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let tenths = (seconds.max(0.0) * 10.0).round() as u64;
    let (s, m, h) = (tenths / 10 % 60, tenths / 600 % 60, tenths / 36_000);
    match (h, m) {
        (0, 0) => format!("{s}.{}", tenths % 10),
        (0, _) => format!("{m}:{s:02}.{}", tenths % 10),
        _ => format!("{h}:{m:02}:{s:02}.{}", tenths % 10),
    }
}

/// Returns rows with aligned columns; the first row is the head, a row of one cell is a line of its own. Columns named in
/// `right` are aligned to the right.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.add_rows(rows.iter().filter(|row| row.len() > 1));
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let bold = colours();
    let mut lines = table.lines();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let line = match row.as_slice() {
            [] => String::new(),
            [note] => note.clone(),
            _ => lines.next().unwrap_or_default(),
        };
        let line = line.trim_end();
        // Writing to a string does not fail.
        let _ = if at == 0 && bold { writeln!(text, "\x1b[1m{line}\x1b[0m") } else { writeln!(text, "{line}") };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!([0.0, 9.96, 59.96, 61.0, 3723.46].map(clock), ["0.0", "10.0", "1:00.0", "1:01.0", "1:02:03.5"]);
    }

    #[test]
    fn columns() {
        let rows =
            [vec!["id".to_owned(), "n".to_owned()], vec!["é".to_owned(), "10".to_owned()], vec!["a note".to_owned()]];
        assert_eq!(table(&rows, &[1]), "id   n\né   10\na note\n");
    }
}
