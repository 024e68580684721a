//! Which videos are searched for which, and what is relevant: the truth file and the task over
//! readable videos.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use super::RetrievalError;
use super::matrix::Matrix;
use crate::metrics::ReciprocalRanks;

/// Which database videos are relevant for which query.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Truth {
    /// Query -> relevant videos.
    pub queries: BTreeMap<String, Vec<String>>,
    /// The videos that are searched.
    pub database: Vec<String>,
    /// Query -> videos that share material with it but are no copies (it is the host of an inset,
    /// say): left out of its ranking.
    #[serde(default)]
    pub ignore: BTreeMap<String, Vec<String>>,
}

impl Truth {
    /// Reads the JSON of `eval retrieval --truth`. Other fields are ignored.
    ///
    /// # Errors
    /// [`RetrievalError::TruthJson`] for no such JSON; [`RetrievalError::Truth`] for no queries, an
    /// empty database, a video twice in the database, a relevant video that is not in the database.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, RetrievalError> {
        let truth: Self = serde_json::from_slice(bytes)
            .map_err(|source| RetrievalError::TruthJson { file: file.to_owned(), source })?;
        truth.check(file)?;
        Ok(truth)
    }

    /// Checks what [`Truth::parse`] promises; `file` names the source of the truth in errors.
    ///
    /// # Errors
    /// [`RetrievalError::Truth`].
    pub fn check(&self, file: &str) -> Result<(), RetrievalError> {
        let refuse = |detail: String| RetrievalError::Truth { file: file.to_owned(), detail };
        if self.queries.is_empty() {
            return Err(refuse("it has no queries".into()));
        }
        if self.database.is_empty() {
            return Err(refuse("its database is empty".into()));
        }
        let mut database = HashSet::new();
        if let Some(twice) = self.database.iter().find(|v| !database.insert(v.as_str())) {
            return Err(refuse(format!("`{twice}` is twice in the database")));
        }
        for (query, relevant) in &self.queries {
            if let Some(unknown) = relevant.iter().find(|v| !database.contains(v.as_str())) {
                return Err(refuse(format!("`{unknown}`, relevant for `{query}`, is not in the database")));
            }
        }
        Ok(())
    }

    /// Every video that has to be indexed, in order of name.
    #[must_use]
    pub fn files(&self) -> BTreeSet<&str> {
        self.queries.keys().chain(&self.database).map(String::as_str).collect()
    }
}

/// What is ranked: readable queries and database videos, and which pairs are relevant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    queries: Vec<String>,
    targets: Vec<String>,
    /// A query: positions of relevant targets, ascending.
    relevant: Vec<Vec<usize>>,
    /// A query: positions that are not ranked - its own and what the truth leaves out, ascending.
    left_out: Vec<Vec<usize>>,
    unreadable: Vec<String>,
}

impl Task {
    /// The task over the videos that could be read. Queries in order of name, targets in database
    /// order.
    ///
    /// # Errors
    /// [`RetrievalError::Nothing`] without queries or targets.
    pub fn new(truth: &Truth, readable: impl Fn(&str) -> bool) -> Result<Self, RetrievalError> {
        let targets: Vec<String> = truth.database.iter().filter(|v| readable(v)).cloned().collect();
        let queries: Vec<String> = truth.queries.keys().filter(|v| readable(v)).cloned().collect();
        if queries.is_empty() || targets.is_empty() {
            return Err(RetrievalError::Nothing { queries: queries.len(), targets: targets.len() });
        }
        let position: HashMap<&str, usize> = targets.iter().enumerate().map(|(i, v)| (v.as_str(), i)).collect();
        let positions = |videos: &mut dyn Iterator<Item = &str>| -> Vec<usize> {
            let set: BTreeSet<usize> = videos.filter_map(|v| position.get(v).copied()).collect();
            set.into_iter().collect()
        };
        let left_out = queries
            .iter()
            .map(|q| {
                let ignored = truth.ignore.get(q).into_iter().flatten().map(String::as_str);
                positions(&mut ignored.chain([q.as_str()]))
            })
            .collect();
        let relevant = queries
            .iter()
            .map(|q| positions(&mut truth.queries.get(q).into_iter().flatten().filter(|v| *v != q).map(String::as_str)))
            .collect();
        let unreadable = truth.files().into_iter().filter(|v| !readable(v)).map(str::to_owned).collect();
        Ok(Self { queries, targets, relevant, left_out, unreadable })
    }

    /// The task over videos whose pairs the caller knows: `relevant` says of a query and a target,
    /// by their positions, whether the target is to be found, `ranked` whether it is ranked at all.
    #[must_use]
    pub fn of_pairs(
        queries: Vec<String>,
        targets: Vec<String>,
        relevant: impl Fn(usize, usize) -> bool,
        ranked: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let rows = |holds: &dyn Fn(usize, usize) -> bool| -> Vec<Vec<usize>> {
            (0..queries.len()).map(|q| (0..targets.len()).filter(|&t| holds(q, t)).collect()).collect()
        };
        let (relevant, left_out) = (rows(&relevant), rows(&|q, t| !ranked(q, t)));
        Self { queries, targets, relevant, left_out, unreadable: Vec::new() }
    }

    /// Names of the queries, in the order of matrix rows.
    #[must_use]
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// Names of the database videos, in the order of matrix columns.
    #[must_use]
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// How many pairs are relevant.
    #[must_use]
    pub fn relevant_pairs(&self) -> usize {
        self.relevant.iter().map(Vec::len).sum()
    }

    /// Queries without a relevant video that could be read.
    #[must_use]
    pub fn queries_without_relevant(&self) -> usize {
        self.relevant.iter().filter(|r| r.is_empty()).count()
    }

    /// Videos of the truth that could not be read, in order of name.
    #[must_use]
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// How many videos are relevant for a query.
    pub(super) fn relevant_count(&self, query: usize) -> usize {
        self.relevant[query].len()
    }

    /// Columns that are ranked for a query: all but the query itself and what the truth leaves out.
    pub(super) fn candidates(&self, query: usize) -> Vec<usize> {
        (0..self.targets.len()).filter(|t| self.left_out[query].binary_search(t).is_err()).collect()
    }

    /// Ranks of the relevant videos among the videos that are not relevant, by a label of the video
    /// (its kind of edit, say): how well each kind is found whatever else is found. Ties count
    /// against the relevant video.
    #[must_use]
    pub fn by_label(
        &self,
        scores: &Matrix,
        label: impl Fn(&str) -> Option<String>,
    ) -> BTreeMap<String, ReciprocalRanks> {
        let mut rows: BTreeMap<String, ReciprocalRanks> = BTreeMap::new();
        for query in 0..self.queries.len() {
            let row = scores.row(query);
            let others: Vec<f64> =
                self.candidates(query).into_iter().filter(|t| !self.is_relevant(query, *t)).map(|t| row[t]).collect();
            for &target in self.relevant[query].iter().filter(|t| self.left_out[query].binary_search(t).is_err()) {
                let Some(label) = label(&self.targets[target]) else { continue };
                let above = others.iter().filter(|&&o| o >= row[target]).count();
                rows.entry(label).or_default().add(above);
            }
        }
        rows
    }

    /// The scores of all pairs that are ranked, and whether the video is relevant.
    pub fn labelled<'a>(&'a self, scores: &'a Matrix) -> impl Iterator<Item = (f64, bool)> + 'a {
        (0..self.queries.len())
            .flat_map(move |q| self.candidates(q).into_iter().map(move |t| (scores.row(q)[t], self.is_relevant(q, t))))
    }

    pub(super) fn is_relevant(&self, query: usize, target: usize) -> bool {
        self.relevant[query].binary_search(&target).is_ok()
    }
}
