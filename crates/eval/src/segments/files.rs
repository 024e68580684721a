//! Files of labelled and predicted segments.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::LabelledSegment;

/// Segments of pairs of query and reference.
pub type PairSegments = BTreeMap<(String, String), Vec<LabelledSegment>>;

/// Why segments are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// A file of another form.
    #[error("{file}: {detail}; expected {expected}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        detail: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// A query set names a pair that is not evaluated.
    #[error("the query set `{group}` names the pair `{pair}`, which has neither labels nor is listed")]
    Group {
        /// The query set.
        group: String,
        /// The pair.
        pair: String,
    },
    /// No label.
    #[error("nothing to evaluate: there are no labelled segments")]
    Nothing,
}

/// A file of segments in memory.
#[derive(Debug, Clone, Copy)]
pub struct SegmentFile<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

const VCSL: &str = "VCSL's JSON {\"query-reference\": [[query start, reference start, query end, reference end], …]}";
const VSC: &str = "CSV with the columns query_id, ref_id, query_start, query_end, ref_start, ref_end (and score)";
const PAIRS: &str = "CSV with the columns query_id and reference_id";
const GROUPS: &str = "VCSL's JSON of query sets {\"set\": [\"query-reference\", …]}, whole or by train, val and test";

impl SegmentFile<'_> {
    fn refuse(&self, detail: impl std::fmt::Display, expected: &'static str) -> SegmentError {
        SegmentError::File { file: self.name.to_owned(), detail: detail.to_string(), expected }
    }

    /// VCSL's labels or predictions; a fifth number of a segment is its score.
    ///
    /// # Errors
    /// [`SegmentError::File`].
    pub fn vcsl(&self) -> Result<PairSegments, SegmentError> {
        let rows: BTreeMap<String, Vec<Vec<f64>>> =
            serde_json::from_slice(self.bytes).map_err(|e| self.refuse(e, VCSL))?;
        let mut segments = PairSegments::new();
        for (key, boxes) in rows {
            let pair = self.pair(&key, VCSL)?;
            let boxes = boxes.iter().map(|numbers| match numbers[..] {
                [a, b, c, d] => self.segment(&key, [a, c], [b, d], 1.0, VCSL),
                [a, b, c, d, score] => self.segment(&key, [a, c], [b, d], score, VCSL),
                _ => Err(self.refuse(format!("`{key}` has a segment of {} numbers", numbers.len()), VCSL)),
            });
            segments.insert(pair, boxes.collect::<Result<_, _>>()?);
        }
        Ok(segments)
    }

    /// VCSL's query sets; `split` (`train`, `val` or `test`) chooses where the file has all three.
    ///
    /// # Errors
    /// [`SegmentError::File`].
    pub fn vcsl_groups(&self, split: Option<&str>) -> Result<BTreeMap<String, Vec<(String, String)>>, SegmentError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Groups {
            Whole(BTreeMap<String, Vec<String>>),
            Split(BTreeMap<String, BTreeMap<String, Vec<String>>>),
        }
        let groups: BTreeMap<String, Vec<String>> =
            match serde_json::from_slice(self.bytes).map_err(|e| self.refuse(e, GROUPS))? {
                Groups::Whole(groups) => groups,
                Groups::Split(mut splits) => match split {
                    Some(name) => {
                        splits.remove(name).ok_or_else(|| self.refuse(format!("there is no split `{name}`"), GROUPS))?
                    }
                    None => splits.into_values().flatten().collect(),
                },
            };
        let pairs = |names: Vec<String>| -> Result<Vec<(String, String)>, SegmentError> {
            names.iter().map(|name| self.pair(name, GROUPS)).collect()
        };
        groups.into_iter().map(|(group, names)| Ok((group, pairs(names)?))).collect()
    }

    /// VCSL's list of pairs.
    ///
    /// # Errors
    /// [`SegmentError::File`].
    pub fn pairs(&self) -> Result<Vec<(String, String)>, SegmentError> {
        let (rows, columns) = self.csv(&["query_id", "reference_id"], &[], PAIRS)?;
        Ok(rows.into_iter().map(|row| (row[columns[0]].to_owned(), row[columns[1]].to_owned())).collect())
    }

    /// The challenge's labels.
    ///
    /// # Errors
    /// [`SegmentError::File`].
    pub fn vsc_labels(&self) -> Result<PairSegments, SegmentError> {
        let mut segments = PairSegments::new();
        for (query, reference, segment) in self.vsc(false)? {
            segments.entry((query, reference)).or_default().push(segment);
        }
        Ok(segments)
    }

    /// The challenge's predictions, in the order of the file.
    ///
    /// # Errors
    /// [`SegmentError::File`].
    pub fn vsc_predictions(&self) -> Result<Vec<(String, String, LabelledSegment)>, SegmentError> {
        self.vsc(true)
    }

    fn vsc(&self, scored: bool) -> Result<Vec<(String, String, LabelledSegment)>, SegmentError> {
        const COLUMNS: [&str; 6] = ["query_id", "ref_id", "query_start", "query_end", "ref_start", "ref_end"];
        let more: &[&str] = if scored { &["score"] } else { &[] };
        let (rows, columns) = self.csv(&COLUMNS, more, VSC)?;
        let segment = |row: Vec<&str>| {
            let key = format!("{}-{}", row[columns[0]], row[columns[1]]);
            let number = |column: usize| {
                let text = row[columns[column]];
                text.parse::<f64>().map_err(|_| self.refuse(format!("`{key}`: the number `{text}`"), VSC))
            };
            let score = if scored { number(6)? } else { 1.0 };
            let segment = self.segment(&key, [number(2)?, number(3)?], [number(4)?, number(5)?], score, VSC)?;
            Ok((numbered(row[columns[0]], 'Q'), numbered(row[columns[1]], 'R'), segment))
        };
        rows.into_iter().map(segment).collect()
    }

    fn segment(
        &self,
        key: &str,
        query: [f64; 2],
        reference: [f64; 2],
        score: f64,
        expected: &'static str,
    ) -> Result<LabelledSegment, SegmentError> {
        let sound = |[start, end]: [f64; 2]| start.is_finite() && end.is_finite() && start <= end;
        if sound(query) && sound(reference) && score.is_finite() {
            return Ok(LabelledSegment { query, reference, score });
        }
        Err(self.refuse(format!("`{key}`: {query:?} and {reference:?} with score {score} are no segment"), expected))
    }

    /// A pair of ids that are joined by a hyphen. Ids with hyphens are split in the middle.
    fn pair(&self, key: &str, expected: &'static str) -> Result<(String, String), SegmentError> {
        let hyphens: Vec<usize> = key.match_indices('-').map(|(at, _)| at).collect();
        match hyphens.get(hyphens.len() / 2) {
            Some(&at) if hyphens.len() % 2 == 1 => Ok((key[..at].to_owned(), key[at + 1..].to_owned())),
            _ => Err(self.refuse(format!("`{key}` does not name two videos"), expected)),
        }
    }

    /// Rows of a CSV file without quoted commas, and the places of the columns.
    fn csv(
        &self,
        required: &[&str],
        more: &[&str],
        expected: &'static str,
    ) -> Result<(Vec<Vec<&str>>, Vec<usize>), SegmentError> {
        let text = std::str::from_utf8(self.bytes).map_err(|e| self.refuse(e, expected))?;
        let mut lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty());
        let head = cells(lines.next().unwrap_or_default());
        let place = |name: &&str| {
            head.iter().position(|c| c == name).ok_or_else(|| self.refuse(format!("no column `{name}`"), expected))
        };
        let columns = required.iter().chain(more).map(place).collect::<Result<Vec<_>, _>>()?;
        let mut rows = Vec::new();
        for (number, line) in lines.enumerate() {
            let row = cells(line);
            if row.len() != head.len() {
                let detail = format!("line {} has {} cells, the head has {}", number + 2, row.len(), head.len());
                return Err(self.refuse(detail, expected));
            }
            rows.push(row);
        }
        Ok((rows, columns))
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"')).collect()
}

/// The challenge's `Q100001` and 100001 are one video.
fn numbered(id: &str, prefix: char) -> String {
    match id.strip_prefix(prefix) {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits.to_owned(),
        _ => id.to_owned(),
    }
}
