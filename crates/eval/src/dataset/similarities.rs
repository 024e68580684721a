//! Files of similarities that another program has computed.
//!
//! JSON or a pickle of plain values, as the public evaluations hold them: `{query: {video: score}}`,
//! or `{query: [score, …]}` with a score for each database video, ids ascending. Either may stand
//! under `similarities` beside `database` (the videos of the lists) and `all_db` or `available`
//! (the videos that there are). `null` and NaN are no score.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::compute::Scored;
use super::value::{self, Value};
use super::{Dataset, DatasetError};

/// A file of similarities in memory.
#[derive(Debug, Clone)]
pub struct SimilarityFile {
    /// What the scores are called in the report. `coarse`, a name that begins with `fine` or
    /// `teacher`, and `selector` together give the merge of coarse and fine scores.
    pub name: String,
    /// The file, for messages.
    pub file: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Similarities read from files, and the videos that they say are available.
#[derive(Debug, Clone, PartialEq)]
pub struct Similarities {
    /// The scores.
    pub scored: Scored,
    /// The videos that there are: those that a file lists as such, or else every video that a file
    /// has a score for, and the queries in it.
    pub available: HashSet<String>,
}

/// The rows of one file.
struct Table {
    /// Query -> scores with the video's id.
    rows: Vec<(String, Vec<(String, f64)>)>,
    available: Option<Vec<String>>,
}

impl Similarities {
    /// Reads files of similarities. Queries and videos that the data set does not have are ignored,
    /// as by the public evaluations.
    ///
    /// # Errors
    /// [`DatasetError::Similarities`] for a file of another form, two files of one name or a
    /// selector without a fine network; [`DatasetError::Nothing`] where none of the data set's
    /// queries or videos is in them; [`DatasetError::File`] for damaged files.
    pub fn read(dataset: &Dataset, files: &[SimilarityFile]) -> Result<Self, DatasetError> {
        let mut tables = BTreeMap::new();
        for file in files {
            if tables.insert(file.name.as_str(), table(dataset, file)?).is_some() {
                let detail = format!("a second file named `{}`: name them (NAME=FILE)", file.name);
                return Err(DatasetError::Similarities { file: file.file.clone(), detail });
            }
        }
        let database: HashSet<&str> = dataset.database.iter().map(String::as_str).collect();
        let mut targets: Vec<String> = Vec::new();
        let mut columns: HashMap<&str, usize> = HashMap::new();
        let mut available: HashSet<String> = HashSet::new();
        let listed = tables.values().any(|table| table.available.is_some());
        for table in tables.values() {
            available.extend(table.available.iter().flatten().cloned());
            for (query, row) in &table.rows {
                if !listed {
                    available.insert(query.clone());
                }
                for (video, score) in row {
                    if database.contains(video.as_str()) && !columns.contains_key(video.as_str()) {
                        columns.insert(video, targets.len());
                        targets.push(video.clone());
                    }
                    if !listed && !score.is_nan() {
                        available.insert(video.clone());
                    }
                }
            }
        }
        let scored_queries: HashSet<&str> =
            tables.values().flat_map(|table| table.rows.iter().map(|(query, _)| query.as_str())).collect();
        let queries: Vec<usize> =
            (0..dataset.queries.len()).filter(|&q| scored_queries.contains(dataset.queries[q].as_str())).collect();
        let mut scored = Scored { queries, targets, ..Scored::default() };
        for (name, table) in &tables {
            let by_query: HashMap<&str, &Vec<(String, f64)>> =
                table.rows.iter().map(|(query, row)| (query.as_str(), row)).collect();
            let row = |&q: &usize| {
                let mut dense = vec![f64::NAN; scored.targets.len()];
                for (video, score) in by_query.get(dataset.queries[q].as_str()).into_iter().copied().flatten() {
                    if let Some(&column) = columns.get(video.as_str()) {
                        dense[column] = *score;
                    }
                }
                dense
            };
            let rows: Vec<Vec<f64>> = scored.queries.iter().map(row).collect();
            scored.scores.insert((*name).to_owned(), rows);
        }
        take_selector(files, &mut scored)?;
        scored.check(dataset)?;
        Ok(Self { scored, available })
    }
}

/// The scores of `selector` become the order in which coarse answers are looked at again.
fn take_selector(files: &[SimilarityFile], scored: &mut Scored) -> Result<(), DatasetError> {
    let Some(doubt) = scored.scores.remove("selector") else { return Ok(()) };
    let file = files.iter().find(|file| file.name == "selector").map_or_else(String::new, |file| file.file.clone());
    let fine = scored
        .scores
        .keys()
        .find(|name| name.starts_with("fine"))
        .or_else(|| scored.scores.keys().find(|name| name.starts_with("teacher")));
    match fine.cloned() {
        Some(fine) if scored.scores.contains_key("coarse") => {
            scored.doubt = Some((fine, doubt));
            Ok(())
        }
        _ => {
            let detail = "a selector needs the scores of `coarse` and of a network whose name begins with `fine`";
            Err(DatasetError::Similarities { file, detail: detail.into() })
        }
    }
}

fn table(dataset: &Dataset, file: &SimilarityFile) -> Result<Table, DatasetError> {
    let refuse = |detail: String| DatasetError::Similarities { file: file.file.clone(), detail };
    let root = value::read(&file.file, &file.bytes)?;
    let rows = root.get("similarities").unwrap_or(&root);
    let wrapped = root.get("similarities").is_some();
    let names = |key: &str| match root.get(key).filter(|_| wrapped) {
        Some(list) => match list.names() {
            Some(names) => Ok(Some(names)),
            None => Err(refuse(format!("`{key}` is {}, not a list of videos", list.kind()))),
        },
        None => Ok(None),
    };
    let database = names("database")?;
    let database = database.as_deref().unwrap_or(&dataset.database);
    let available = match names("all_db")? {
        Some(names) => Some(names),
        None => names("available")?,
    };
    let queries =
        rows.dict().ok_or_else(|| refuse(format!("it holds {}; expected {{query: {{video: score}}}}", rows.kind())))?;
    let score = |query: &str, video: &str, value: &Value| match value {
        Value::Null => Ok((video.to_owned(), f64::NAN)),
        Value::Number(score) if score.is_finite() => Ok((video.to_owned(), *score)),
        other => Err(refuse(format!("the score of `{query}` and `{video}` is {}", other.kind()))),
    };
    let row = |(query, row): &(String, Value)| match row {
        Value::Dict(pairs) => {
            let scores = pairs.iter().map(|(video, value)| score(query, video, value));
            Ok((query.clone(), scores.collect::<Result<Vec<_>, _>>()?))
        }
        Value::List(values) if values.len() == database.len() => {
            let scores = database.iter().zip(values).map(|(video, value)| score(query, video, value));
            Ok((query.clone(), scores.collect::<Result<Vec<_>, _>>()?))
        }
        Value::List(values) => {
            Err(refuse(format!("`{query}` has {} scores, the database has {} videos", values.len(), database.len())))
        }
        other => Err(refuse(format!("`{query}` has {}; expected {{video: score}} or a list", other.kind()))),
    };
    Ok(Table { rows: queries.iter().map(row).collect::<Result<_, _>>()?, available })
}
