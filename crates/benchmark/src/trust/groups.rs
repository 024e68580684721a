//! Which clips look alike, and which may show the same footage, by a file.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::TrustError;

/// What is known of one clip.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct GroupRow {
    /// The clip: a file's name, or the end of its path.
    pub file: String,
    /// Clips of one group look alike and are different recordings.
    #[serde(default)]
    pub group: Option<String>,
    /// Clips of one series may show the same footage: they are never a pair of different footage.
    #[serde(default)]
    pub series: Option<String>,
}

/// Groups and series of clips.
#[derive(Debug, Clone, Default)]
pub struct Groups(HashMap<String, GroupRow>);

impl Groups {
    /// Reads files of rows: JSON, a list of objects with `file`, `group` and `series`; or CSV with
    /// such columns among others.
    ///
    /// # Errors
    /// [`TrustError::File`] for a file that cannot be read or has no column `file`.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, TrustError> {
        let mut groups = Self::default();
        for path in paths.iter().map(AsRef::as_ref) {
            let text = std::fs::read_to_string(path).map_err(|e| TrustError::file(path, e))?;
            let rows = match path.extension().and_then(|e| e.to_str()) {
                Some("json") => serde_json::from_str(&text).map_err(|e| TrustError::file(path, e))?,
                _ => of_csv(&text).ok_or_else(|| {
                    TrustError::file(path, "it is no table of clips: give JSON, or CSV with a column named `file`")
                })?,
            };
            groups.extend(rows);
        }
        Ok(groups)
    }

    fn extend(&mut self, rows: Vec<GroupRow>) {
        for mut row in rows {
            row.group = row.group.filter(|group| !group.is_empty());
            row.series = row.series.filter(|series| !series.is_empty());
            let known = self.0.entry(row.file.clone()).or_default();
            known.group = row.group.or(known.group.take());
            known.series = row.series.or(known.series.take());
        }
    }

    /// What is known of a clip: the row whose `file` is the longest end of its path.
    #[must_use]
    pub fn of(&self, path: &Path) -> Option<&GroupRow> {
        let names: Vec<String> = path.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        (0..names.len()).find_map(|first| self.0.get(&names[first..].join("/")))
    }
}

/// The series of a clip of which no file says one: its name up to the number at its end, as
/// `harbour` of `harbour-07.mp4`.
#[must_use]
pub fn series_by_name(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let owner = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', ' ', '.', '(']);
    if owner.is_empty() { stem.to_owned() } else { owner.to_owned() }
}

/// Rows of CSV (RFC 4180) with a head; none without a column `file`.
fn of_csv(text: &str) -> Option<Vec<GroupRow>> {
    let mut records = csv_records(text).into_iter();
    let head = records.next()?;
    let column = |name: &str| head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
    let (file, group, series) = (column("file")?, column("group"), column("series"));
    let rows = records.filter_map(|record| {
        let cell = |at: Option<usize>| at.and_then(|at| record.get(at)).map(|cell| cell.trim().to_owned());
        let file = cell(Some(file)).filter(|file| !file.is_empty())?;
        Some(GroupRow { file, group: cell(group), series: cell(series) })
    });
    Some(rows.collect())
}

fn csv_records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut letters) = (false, text.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            letter => cell.push(letter),
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    records
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tables_name_groups_and_series() {
        let text = "file,note,group\r\nclips2/a-01.mp4,\"re-encoded: crf 27, \"\"15\"\" fps\",robots\nb.mp4,,\n";
        let mut groups = Groups::default();
        groups.extend(of_csv(text).unwrap());
        groups.extend(serde_json::from_str(r#"[{"file":"b.mp4","series":"bunny"},{"file":"a-01.mp4"}]"#).unwrap());
        let of = |path: &str| groups.of(Path::new(path)).map(|row| (row.group.as_deref(), row.series.as_deref()));
        assert_eq!(of("/media/clips2/a-01.mp4"), Some((Some("robots"), None)));
        assert_eq!(of("/media/other/a-01.mp4"), Some((None, None)));
        assert_eq!(of("/media/b.mp4"), Some((None, Some("bunny"))));
        assert_eq!(of("/media/c.mp4"), None);
        assert!(of_csv("name,group\na,b\n").is_none());
    }

    #[test]
    fn names_without_their_number_are_a_series() {
        for (name, series) in [("intel-iot-07.mkv", "intel-iot"), ("a (2).mp4", "a (2)"), ("12.mp4", "12"), ("x", "x")]
        {
            assert_eq!(series_by_name(name), series, "{name}");
        }
    }
}
