//! The published annotation files of each data set.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::rules::{Event, QuerySet, Rules};
use super::value::{self, Value};
use super::{Dataset, DatasetError, DatasetName};

/// An annotation file in memory.
#[derive(Debug, Clone)]
pub struct AnnotationFile {
    /// Its name, for messages; EVVE's `*.dat` files name their event by it.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl DatasetName {
    /// What its annotation looks like, in messages.
    const fn expected(self) -> &'static str {
        match self {
            Self::Fivr200k => {
                "fivr.pickle (`annotation`, `200k`), or annotation.json with youtube_ids.txt for the database"
            }
            Self::Fivr5k => "fivr.pickle (`annotation`, `5k` with `queries` and `database`)",
            Self::CcWebVideo => {
                "cc_web_video.pickle (`index`, `queries`, `ground_truth`, `excluded`), or the original Seed.txt, \
                 Video_Complete.txt and GT_*.rst"
            }
            Self::Svd => "test_groundtruth (lines `query target 0|1`) and unlabeled-data-id (a video a line)",
            Self::Evve => "evve.pickle (`annotation`, `queries`, `database`), or the *.dat files of all events",
            Self::Vcdb => {
                "vcdb.pickle (`queries`, `positives`, `dataset`), or the published text files (lines \
                 `video,video,start,end,start,end`), with lists of distractors (a video a line)"
            }
        }
    }
}

/// A file as what it seems to be.
enum Content {
    Values(Value),
    Lines(Vec<String>),
}

struct Reader<'a> {
    set: DatasetName,
    files: &'a [AnnotationFile],
}

impl Reader<'_> {
    fn refuse(&self, file: &str, detail: impl Into<String>) -> DatasetError {
        let (file, detail) = (file.to_owned(), detail.into());
        DatasetError::Annotation { file, detail, expected: self.set.expected() }
    }

    /// The files: values of JSON and pickles, lines of others.
    fn contents(&self) -> Result<Vec<(&str, Content)>, DatasetError> {
        let content = |file: &AnnotationFile| {
            let start = file.bytes.iter().find(|b| !b.is_ascii_whitespace()).copied();
            // A text file may begin with the name of a video; `c` and `(` begin pickles of protocol 0 as well.
            let old_pickle = file.bytes.ends_with(b".") && matches!(start, Some(b'(' | b'c'));
            if old_pickle || matches!(start, Some(b'{' | b'[' | 0x80)) {
                return value::read(&file.name, &file.bytes).map(Content::Values);
            }
            if file.bytes.contains(&0) {
                return Err(self.refuse(&file.name, "neither JSON, a pickle nor text"));
            }
            // Titles in old lists are Latin-1.
            let text = match std::str::from_utf8(&file.bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => file.bytes.iter().map(|&byte| char::from(byte)).collect(),
            };
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Ok(Content::Lines(lines.map(str::to_owned).collect()))
        };
        self.files.iter().map(|file| Ok((file.name.as_str(), content(file)?))).collect()
    }

    fn names(&self, file: &str, value: Option<&Value>, key: &str) -> Result<Vec<String>, DatasetError> {
        let value = value.ok_or_else(|| self.refuse(file, format!("there is no `{key}`")))?;
        value.names().ok_or_else(|| self.refuse(file, format!("`{key}` is {}, not a list of videos", value.kind())))
    }

    fn dict<'v>(&self, file: &str, value: Option<&'v Value>, key: &str) -> Result<&'v [(String, Value)], DatasetError> {
        let value = value.ok_or_else(|| self.refuse(file, format!("there is no `{key}`")))?;
        value.dict().ok_or_else(|| self.refuse(file, format!("`{key}` is {}, not a dictionary", value.kind())))
    }

    fn list<'v>(&self, file: &str, value: Option<&'v Value>, key: &str) -> Result<&'v [Value], DatasetError> {
        let value = value.ok_or_else(|| self.refuse(file, format!("there is no `{key}`")))?;
        value.list().ok_or_else(|| self.refuse(file, format!("`{key}` is {}, not a list", value.kind())))
    }

    fn dataset(&self, queries: Vec<String>, database: Vec<String>, rules: Rules) -> Result<Dataset, DatasetError> {
        let file = self.files.first().map_or("", |file| file.name.as_str());
        let mut seen = HashSet::new();
        if let Some(twice) = queries.iter().find(|q| !seen.insert(q.as_str())) {
            return Err(self.refuse(file, format!("the query `{twice}` is listed twice")));
        }
        let database: Vec<String> = database.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if queries.is_empty() || database.is_empty() {
            let found = format!("{} queries and {} database videos", queries.len(), database.len());
            return Err(self.refuse(file, format!("it lists {found}")));
        }
        Ok(Dataset { name: self.set, queries, database, rules })
    }
}

impl Dataset {
    /// Reads the published annotation files of a data set: pickles (without running any code), JSON
    /// of the same layout, or text, as each set has them.
    ///
    /// # Errors
    /// [`DatasetError::Annotation`] and [`DatasetError::File`], naming the file and what is expected.
    pub fn read(set: DatasetName, files: &[AnnotationFile]) -> Result<Self, DatasetError> {
        let reader = Reader { set, files };
        let contents = reader.contents()?;
        match set {
            DatasetName::Fivr200k | DatasetName::Fivr5k => fivr(&reader, &contents),
            DatasetName::CcWebVideo => cc_web(&reader, &contents),
            DatasetName::Svd => svd(&reader, &contents),
            DatasetName::Evve => evve(&reader, &contents),
            DatasetName::Vcdb => vcdb(&reader, &contents),
        }
    }
}

/// The only file of values.
fn values<'a>(reader: &Reader<'_>, contents: &'a [(&'a str, Content)]) -> Result<(&'a str, &'a Value), DatasetError> {
    let mut found = contents.iter().filter_map(|(file, content)| match content {
        Content::Values(value) => Some((*file, value)),
        Content::Lines(_) => None,
    });
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (_, Some((file, _))) => Err(reader.refuse(file, "a second file of values")),
        (None, _) => {
            let file = contents.first().map_or("", |(file, _)| file);
            Err(reader.refuse(file, "it is a text file"))
        }
    }
}

/// The lines of all text files, with the file's name.
fn lines<'a>(contents: &'a [(&'a str, Content)]) -> impl Iterator<Item = (&'a str, &'a [String])> {
    contents.iter().filter_map(|(file, content)| match content {
        Content::Lines(lines) => Some((*file, lines.as_slice())),
        Content::Values(_) => None,
    })
}

fn fivr(reader: &Reader<'_>, contents: &[(&str, Content)]) -> Result<Dataset, DatasetError> {
    let (file, root) = values(reader, contents)?;
    let sets = root.get("annotation").unwrap_or(root);
    let mut annotation = HashMap::new();
    for (query, labels) in reader.dict(file, Some(sets), "annotation")? {
        let mut by_label = HashMap::new();
        for (label, videos) in reader.dict(file, Some(labels), query)? {
            if ["ND", "DS", "CS", "IS", "DA"].contains(&label.as_str()) {
                by_label.insert(label.clone(), reader.names(file, Some(videos), label)?);
            }
        }
        annotation.insert(query.clone(), by_label);
    }
    let version = if reader.set == DatasetName::Fivr5k { "5k" } else { "200k" };
    let part = root.get(version).unwrap_or(root);
    let queries = match part.get("queries") {
        Some(queries) => reader.names(file, Some(queries), "queries")?,
        None if root.get("annotation").is_none() => {
            annotation.keys().cloned().collect::<BTreeSet<_>>().into_iter().collect()
        }
        None => return Err(reader.refuse(file, format!("there is no `{version}` with `queries`"))),
    };
    let mut database: Vec<String> = lines(contents).flat_map(|(_, lines)| lines.iter().cloned()).collect();
    match part.get("database") {
        Some(videos) => database = reader.names(file, Some(videos), "database")?,
        None if database.is_empty() => {
            return Err(reader.refuse(file, "it names no database, and no list of videos is given"));
        }
        None => {}
    }
    reader.dataset(queries, database, Rules::Fivr(annotation))
}

/// The original files of `CC_WEB_VIDEO`: seeds (`*set number`), a table of all videos, and a list of
/// labels (`number label`) for each set. They exclude nothing.
fn cc_web_lines(reader: &Reader<'_>, contents: &[(&str, Content)]) -> Result<Dataset, DatasetError> {
    let mut names: HashMap<i64, String> = HashMap::new();
    let mut seeds: BTreeMap<i64, i64> = BTreeMap::new();
    let mut labels: BTreeMap<i64, HashMap<i64, String>> = BTreeMap::new();
    for (file, lines) in lines(contents) {
        let stem = Path::new(file).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let head: Vec<&str> = lines.first().map_or_else(Vec::new, |line| line.split('\t').map(str::trim).collect());
        let column = |name: &str| head.iter().position(|c| *c == name);
        let table = (column("ID"), column("TopicID"), column("VideoName"));
        let set = stem.strip_prefix("GT_").and_then(|number| number.parse::<i64>().ok());
        for (number, line) in lines.iter().enumerate() {
            let refuse = || reader.refuse(file, format!("line {}: `{line}`", number + 1));
            if let (Some(id), Some(topic), Some(name)) = table {
                let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
                if number > 0 {
                    let cell = |at: usize| cells.get(at).copied().ok_or_else(refuse);
                    let name = cell(name)?;
                    let video = format!("{}/{}", cell(topic)?, name.rsplit_once('.').map_or(name, |(stem, _)| stem));
                    names.insert(cell(id)?.parse().map_err(|_| refuse())?, video);
                }
                continue;
            }
            let [first, second, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else { return Err(refuse()) };
            let first: i64 = first.trim_start_matches('*').parse().map_err(|_| refuse())?;
            match set {
                Some(set) => {
                    labels.entry(set).or_default().insert(first, second.to_owned());
                }
                None => {
                    seeds.insert(first, second.parse().map_err(|_| refuse())?);
                }
            }
        }
    }
    let file = reader.files.first().map_or("", |file| file.name.as_str());
    let (mut queries, mut sets) = (Vec::new(), Vec::new());
    for (set, seed) in seeds {
        let query = names.get(&seed).ok_or_else(|| {
            reader.refuse(file, format!("the seed {seed} of set {set} is in no table of videos (Video_Complete.txt)"))
        })?;
        queries.push(query.clone());
        let labels = labels.remove(&set).ok_or_else(|| reader.refuse(file, format!("there is no GT_{set}.rst")))?;
        sets.push(QuerySet { labels, excluded: HashSet::new() });
    }
    let index: HashMap<String, i64> = names.into_iter().map(|(number, name)| (name, number)).collect();
    let database = index.keys().cloned().collect();
    reader.dataset(queries, database, Rules::CcWeb { index, sets })
}

fn cc_web(reader: &Reader<'_>, contents: &[(&str, Content)]) -> Result<Dataset, DatasetError> {
    if lines(contents).next().is_some() {
        return cc_web_lines(reader, contents);
    }
    let (file, root) = values(reader, contents)?;
    let number = |value: &Value, of: &str| {
        value.integer().ok_or_else(|| reader.refuse(file, format!("`{of}` has {} for a number", value.kind())))
    };
    let mut index = HashMap::new();
    for (video, value) in reader.dict(file, root.get("index"), "index")? {
        index.insert(video.clone(), number(value, "index")?);
    }
    let queries = reader.names(file, root.get("queries"), "queries")?;
    let truths = reader.list(file, root.get("ground_truth"), "ground_truth")?;
    let excluded = reader.list(file, root.get("excluded"), "excluded")?;
    if truths.len() != queries.len() || excluded.len() != queries.len() {
        let counts = format!(
            "{} queries, {} ground truths, {} lists of excluded videos",
            queries.len(),
            truths.len(),
            excluded.len()
        );
        return Err(reader.refuse(file, counts));
    }
    let mut sets = Vec::with_capacity(queries.len());
    for (truth, excluded) in truths.iter().zip(excluded) {
        let mut set = QuerySet::default();
        for (video, label) in reader.dict(file, Some(truth), "ground_truth")? {
            let video = number(&Value::Text(video.clone()), "ground_truth")?;
            let label = label.name().ok_or_else(|| reader.refuse(file, format!("a label is {}", label.kind())))?;
            set.labels.insert(video, label);
        }
        for video in reader.list(file, Some(excluded), "excluded")? {
            set.excluded.insert(number(video, "excluded")?);
        }
        sets.push(set);
    }
    let database = index.keys().cloned().collect();
    reader.dataset(queries, database, Rules::CcWeb { index, sets })
}

fn svd(reader: &Reader<'_>, contents: &[(&str, Content)]) -> Result<Dataset, DatasetError> {
    let mut queries = Vec::new();
    let mut labels: HashMap<String, BTreeMap<String, bool>> = HashMap::new();
    let mut unlabeled = HashSet::new();
    let mut add = |query: &str, target: &str, relevant: bool| {
        labels
            .entry(query.to_owned())
            .or_insert_with(|| {
                queries.push(query.to_owned());
                BTreeMap::new()
            })
            .insert(target.to_owned(), relevant);
    };
    for (file, content) in contents {
        match content {
            Content::Values(root) => {
                for (query, targets) in reader.dict(file, root.get("ground_truth"), "ground_truth")? {
                    for (target, label) in reader.dict(file, Some(targets), query)? {
                        match label.integer() {
                            Some(label @ (0 | 1)) => add(query, target, label == 1),
                            _ => {
                                return Err(reader.refuse(file, format!("the label of `{target}` is {}", label.kind())));
                            }
                        }
                    }
                }
                if let Some(videos) = root.get("unlabeled") {
                    unlabeled.extend(reader.names(file, Some(videos), "unlabeled")?);
                }
            }
            Content::Lines(lines) => {
                for (number, line) in lines.iter().enumerate() {
                    match line.split_whitespace().collect::<Vec<_>>()[..] {
                        [video] => {
                            unlabeled.insert(video.to_owned());
                        }
                        [query, target, .., label @ ("0" | "1")] => add(query, target, label == "1"),
                        _ => return Err(reader.refuse(file, format!("line {}: `{line}`", number + 1))),
                    }
                }
            }
        }
    }
    let database = labels.values().flat_map(|l| l.keys().cloned()).chain(unlabeled.iter().cloned()).collect();
    reader.dataset(queries, database, Rules::Svd { labels, unlabeled })
}

fn evve(reader: &Reader<'_>, contents: &[(&str, Content)]) -> Result<Dataset, DatasetError> {
    if lines(contents).next().is_some() {
        return evve_lines(reader, contents);
    }
    let (file, root) = values(reader, contents)?;
    let annotation = root.get("annotation").or_else(|| root.get("events"));
    let mut events = Vec::new();
    for (name, event) in reader.dict(file, annotation, "annotation")? {
        let [queries, positives] = match event {
            Value::List(parts) => [parts.first(), parts.get(1)],
            event => [event.get("queries"), event.get("pos")],
        };
        events.push(Event {
            name: name.clone(),
            queries: reader.names(file, queries, "queries")?.into_iter().collect(),
            positives: reader.names(file, positives, "positives")?.into_iter().collect(),
        });
    }
    events.sort_by(|a, b| a.name.cmp(&b.name));
    let queries = match root.get("queries") {
        Some(queries) => reader.names(file, Some(queries), "queries")?,
        None => queries_of(&events),
    };
    if let Some(lost) = queries.iter().find(|q| !events.iter().any(|e| e.queries.contains(*q))) {
        return Err(reader.refuse(file, format!("the query `{lost}` is of no event")));
    }
    let database = reader.names(file, root.get("database"), "database")?;
    reader.dataset(queries, database, Rules::Evve(events))
}

fn queries_of(events: &[Event]) -> Vec<String> {
    events.iter().flat_map(|event| event.queries.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The original files: one an event, lines of `video label query|database`.
fn evve_lines(reader: &Reader<'_>, contents: &[(&str, Content)]) -> Result<Dataset, DatasetError> {
    let (mut events, mut database) = (Vec::new(), Vec::new());
    for (file, lines) in lines(contents) {
        let name = Path::new(file).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let mut event = Event { name, ..Event::default() };
        for (number, line) in lines.iter().enumerate() {
            let refuse = || reader.refuse(file, format!("line {}: `{line}`", number + 1));
            let [video, label, split] = line.split_whitespace().collect::<Vec<_>>()[..] else { return Err(refuse()) };
            let label: i64 = label.parse().map_err(|_| refuse())?;
            if split == "query" {
                event.queries.insert(video.to_owned());
            } else {
                database.push(video.to_owned());
                if label > 0 {
                    event.positives.insert(video.to_owned());
                }
            }
        }
        events.push(event);
    }
    events.sort_by(|a, b| a.name.cmp(&b.name));
    reader.dataset(queries_of(&events), database, Rules::Evve(events))
}

fn vcdb(reader: &Reader<'_>, contents: &[(&str, Content)]) -> Result<Dataset, DatasetError> {
    let mut positives: HashMap<String, HashSet<String>> = HashMap::new();
    let mut queries = BTreeSet::new();
    let mut database = BTreeSet::new();
    for (file, content) in contents {
        match content {
            Content::Values(root) => {
                queries.extend(reader.names(file, root.get("queries"), "queries")?);
                for (query, videos) in reader.dict(file, root.get("positives"), "positives")? {
                    let videos = reader.names(file, Some(videos), query)?;
                    positives.entry(query.clone()).or_default().extend(videos);
                }
                if let Some(videos) = root.get("dataset") {
                    database.extend(reader.names(file, Some(videos), "dataset")?);
                }
            }
            Content::Lines(lines) => {
                for (number, line) in lines.iter().enumerate() {
                    match line.split(',').map(str::trim).collect::<Vec<_>>()[..] {
                        [video] => {
                            database.insert(video.to_owned());
                        }
                        [a, b, _, _, _, _] => {
                            for (query, other) in [(a, b), (b, a)] {
                                queries.insert(query.to_owned());
                                let others = positives.entry(query.to_owned()).or_default();
                                if other != query {
                                    others.insert(other.to_owned());
                                }
                            }
                        }
                        _ => return Err(reader.refuse(file, format!("line {}: `{line}`", number + 1))),
                    }
                }
            }
        }
    }
    database.extend(queries.iter().cloned());
    reader.dataset(queries.into_iter().collect(), database.into_iter().collect(), Rules::Vcdb(positives))
}
