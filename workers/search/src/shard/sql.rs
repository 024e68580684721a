//! What a shard keeps, in its SQLite database.

use vidsieve_api::videos::Listed;
use vidsieve_edge::EdgeError;
use vidsieve_record::shards::hash;
use worker::{SqlStorage, SqlStorageValue as Value};

use crate::message::RowOf;

/// Tables and the version of their layout.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS videos(
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, hash INTEGER NOT NULL, checksum TEXT NOT NULL,
  self_similarity REAL NOT NULL, vector BLOB NOT NULL, duration REAL NOT NULL, frames INTEGER NOT NULL,
  informative INTEGER NOT NULL, bytes INTEGER NOT NULL, added INTEGER NOT NULL, copied INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS windows(id TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(id, part));
CREATE TABLE IF NOT EXISTS removed(id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent(id TEXT NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(id, part));
CREATE TABLE IF NOT EXISTS replaced(
  id TEXT NOT NULL, checksum TEXT NOT NULL, hash INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(id, checksum));
";
/// The version of the layout.
const VERSION: &str = "2";
/// Bytes of a row at most: SQLite's values here have 2 MB.
const PART: usize = 1 << 20;

/// What is in memory of a video.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vector {
    pub(crate) number: u32,
    pub(crate) self_similarity: f32,
    pub(crate) informative: bool,
    pub(crate) values: Vec<u8>,
}

/// A shard's database.
#[derive(Debug, Clone)]
pub(crate) struct Sql(SqlStorage);

/// A video with its number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) number: u32,
    pub(crate) of: RowOf,
    pub(crate) vector: Vec<u8>,
    /// First frame, last frame, scale and values of each; only of videos that are moved.
    pub(crate) windows: Vec<u8>,
    pub(crate) recent: bool,
}

fn damaged(what: &str) -> EdgeError {
    EdgeError::Answer { who: "a shard's database", what: format!("no {what} where one is expected") }
}

fn text(value: Option<&Value>) -> Result<String, EdgeError> {
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(damaged("text")),
    }
}

fn number(value: Option<&Value>) -> Result<f64, EdgeError> {
    match value {
        // Numbers are below 2^53, or were written from a double.
        #[allow(clippy::cast_precision_loss)]
        Some(Value::Integer(number)) => Ok(*number as f64),
        Some(Value::Float(number)) => Ok(*number),
        _ => Err(damaged("number")),
    }
}

/// A whole number that is not negative.
fn count(value: Option<&Value>) -> Result<u64, EdgeError> {
    let number = number(value)?;
    // Checked just before.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if (0.0..9e15).contains(&number) { Ok(number as u64) } else { Err(damaged("count")) }
}

fn blob(value: Option<&Value>) -> Result<Vec<u8>, EdgeError> {
    match value {
        Some(Value::Blob(bytes)) => Ok(bytes.clone()),
        _ => Err(damaged("blob")),
    }
}

fn whole(value: u64) -> Value {
    // Bytes, frames and seconds: far below 2^53.
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

const ROW: &str = "number, id, checksum, self_similarity, duration, frames, bytes, added, vector, informative, \
                   EXISTS(SELECT 1 FROM recent WHERE recent.id = videos.id)";

fn row(values: &[Value]) -> Result<Row, EdgeError> {
    let at = |i: usize| values.get(i);
    // A self-similarity is an f32 that was widened; frames are at most a million.
    #[allow(clippy::cast_possible_truncation)]
    Ok(Row {
        number: count(at(0))? as u32,
        of: RowOf {
            id: text(at(1))?,
            checksum: text(at(2))?,
            self_similarity: number(at(3))? as f32,
            duration: number(at(4))?,
            frames: count(at(5))? as u32,
            informative: count(at(9))? == 1,
            bytes: count(at(6))?,
            added: count(at(7))?,
        },
        vector: blob(at(8))?,
        windows: Vec::new(),
        recent: count(at(10))? == 1,
    })
}

impl Sql {
    /// The database, with its tables.
    pub(crate) fn open(storage: SqlStorage) -> Result<Self, EdgeError> {
        let sql = Self(storage);
        sql.run(SCHEMA, vec![])?;
        match sql.meta("version")?.as_deref() {
            None => sql.set_meta("version", VERSION)?,
            Some(VERSION) => {}
            Some(other) => {
                let what = format!(
                    "layout {other}, where this Worker reads layout {VERSION}: publish the index again to another namespace"
                );
                return Err(EdgeError::Answer { who: "a shard's database", what });
            }
        }
        Ok(sql)
    }

    fn run(&self, query: &str, values: Vec<Value>) -> Result<(), EdgeError> {
        self.0.exec(query, values).map(|_| ()).map_err(EdgeError::runtime("writing to a shard's database"))
    }

    fn rows(
        &self,
        query: &str,
        values: Vec<Value>,
    ) -> Result<impl Iterator<Item = Result<Vec<Value>, EdgeError>> + use<>, EdgeError> {
        let cursor = self.0.exec(query, values).map_err(EdgeError::runtime("reading a shard's database"))?;
        Ok(cursor.raw().map(|row| row.map_err(EdgeError::runtime("reading a shard's database"))))
    }

    fn one(&self, query: &str, values: Vec<Value>) -> Result<Option<Vec<Value>>, EdgeError> {
        self.rows(query, values)?.next().transpose()
    }

    pub(crate) fn meta(&self, key: &str) -> Result<Option<String>, EdgeError> {
        self.one("SELECT value FROM meta WHERE key = ?", vec![key.into()])?.map(|row| text(row.first())).transpose()
    }

    pub(crate) fn set_meta(&self, key: &str, value: &str) -> Result<(), EdgeError> {
        self.run("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)", vec![key.into(), value.into()])
    }

    /// What is in memory of all videos.
    pub(crate) fn vectors(&self) -> Result<impl Iterator<Item = Result<Vector, EdgeError>> + use<>, EdgeError> {
        let query = "SELECT number, self_similarity, informative, vector FROM videos ORDER BY number";
        let rows = self.rows(query, vec![])?;
        // As in `row`.
        #[allow(clippy::cast_possible_truncation)]
        Ok(rows.map(|values| {
            let values = values?;
            Ok(Vector {
                number: count(values.first())? as u32,
                self_similarity: number(values.get(1))? as f32,
                informative: count(values.get(2))? == 1,
                values: blob(values.get(3))?,
            })
        }))
    }

    /// The windows of all videos that have any, by the videos' numbers.
    pub(crate) fn windows(&self, mut each: impl FnMut(u32, &[u8]) -> Result<(), EdgeError>) -> Result<(), EdgeError> {
        let query = "SELECT videos.number, windows.bytes FROM windows JOIN videos ON videos.id = windows.id \
                     ORDER BY videos.number, windows.part";
        let mut of: Option<(u32, Vec<u8>)> = None;
        for values in self.rows(query, vec![])? {
            let values = values?;
            // As in `row`.
            #[allow(clippy::cast_possible_truncation)]
            let (number, bytes) = (count(values.first())? as u32, blob(values.get(1))?);
            match &mut of {
                Some((same, all)) if *same == number => all.extend(bytes),
                _ => {
                    if let Some((number, all)) = of.replace((number, bytes)) {
                        each(number, &all)?;
                    }
                }
            }
        }
        of.map_or(Ok(()), |(number, all)| each(number, &all))
    }

    /// The video of an id.
    pub(crate) fn video(&self, id: &str) -> Result<Option<Row>, EdgeError> {
        self.one(&format!("SELECT {ROW} FROM videos WHERE id = ?"), vec![id.into()])?.map(|r| row(&r)).transpose()
    }

    /// The videos of numbers, in no order.
    pub(crate) fn videos(&self, numbers: &[u32]) -> Result<Vec<Row>, EdgeError> {
        let list = serde_json::to_string(numbers).unwrap_or_default();
        let query = format!("SELECT {ROW} FROM videos WHERE number IN (SELECT value FROM json_each(?))");
        self.rows(&query, vec![list.into()])?.map(|r| row(&r?)).collect()
    }

    /// Adds a video or replaces it; its number.
    pub(crate) fn put(&self, of: &RowOf, vector: &[u8], windows: &[u8]) -> Result<u32, EdgeError> {
        let values = vec![
            of.id.as_str().into(),
            i64::from(hash(&of.id)).into(),
            of.checksum.as_str().into(),
            f64::from(of.self_similarity).into(),
            vector.to_vec().into(),
            of.duration.into(),
            i64::from(of.frames).into(),
            i64::from(of.informative).into(),
            whole(of.bytes),
            whole(of.added),
        ];
        let query = "INSERT INTO videos(id, hash, checksum, self_similarity, vector, duration, frames, informative, bytes, added) \
                     VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET checksum = excluded.checksum, \
                     self_similarity = excluded.self_similarity, vector = excluded.vector, duration = excluded.duration, \
                     frames = excluded.frames, informative = excluded.informative, bytes = excluded.bytes, copied = 0 \
                     RETURNING number";
        let number = self.one(query, values)?.map(|row| count(row.first())).transpose()?;
        self.run("DELETE FROM removed WHERE id = ?", vec![of.id.as_str().into()])?;
        self.put_parts("windows", &of.id, windows)?;
        self.run(
            "DELETE FROM replaced WHERE id = ? AND checksum = ?",
            vec![of.id.as_str().into(), of.checksum.as_str().into()],
        )?;
        // SQLite counts from 1, and a shard has some thousands.
        #[allow(clippy::cast_possible_truncation)]
        number.map(|n| n as u32).ok_or_else(|| damaged("number of a new row"))
    }

    /// Keeps bytes of a video in parts of which each fits a value; none of empty ones.
    fn put_parts(&self, table: &str, id: &str, bytes: &[u8]) -> Result<(), EdgeError> {
        self.run(&format!("DELETE FROM {table} WHERE id = ?"), vec![id.into()])?;
        for (part, bytes) in (0i64..).zip(bytes.chunks(PART)) {
            let values = vec![id.into(), part.into(), bytes.to_vec().into()];
            self.run(&format!("INSERT INTO {table}(id, part, bytes) VALUES(?, ?, ?)"), values)?;
        }
        Ok(())
    }

    /// The bytes that were kept in parts.
    fn parts(&self, table: &str, id: &str) -> Result<Vec<u8>, EdgeError> {
        let mut bytes = Vec::new();
        for part in self.rows(&format!("SELECT bytes FROM {table} WHERE id = ? ORDER BY part"), vec![id.into()])? {
            bytes.extend(blob(part?.first())?);
        }
        Ok(bytes)
    }

    /// Removes a video. `told`: whether a shard that is being split off must hear of it.
    pub(crate) fn remove(&self, id: &str, told: bool) -> Result<(), EdgeError> {
        self.run("DELETE FROM videos WHERE id = ?", vec![id.into()])?;
        self.run("DELETE FROM recent WHERE id = ?", vec![id.into()])?;
        self.run("DELETE FROM windows WHERE id = ?", vec![id.into()])?;
        if told {
            self.run("INSERT OR IGNORE INTO removed(id) VALUES(?)", vec![id.into()])?;
        }
        Ok(())
    }

    /// A page of the listing.
    pub(crate) fn list(&self, after: &str, limit: usize) -> Result<Vec<Listed>, EdgeError> {
        let query = "SELECT id, duration, frames, bytes, added, checksum FROM videos WHERE id > ? ORDER BY id LIMIT ?";
        let rows = self.rows(query, vec![after.into(), whole(limit as u64)])?;
        // Frames are at most a million.
        #[allow(clippy::cast_possible_truncation)]
        rows.map(|values| {
            let values = values?;
            let at = |i: usize| values.get(i);
            Ok(Listed {
                id: text(at(0))?,
                duration: number(at(1))?,
                frames: count(at(2))? as u32,
                bytes: count(at(3))?,
                added: count(at(4))?,
                checksum: text(at(5))?,
            })
        })
        .collect()
    }

    /// Keeps a record until KV has it everywhere.
    pub(crate) fn keep(&self, id: &str, record: &[u8], at: u64) -> Result<(), EdgeError> {
        self.run("DELETE FROM recent WHERE id = ?", vec![id.into()])?;
        for (part, bytes) in (0i64..).zip(record.chunks(PART)) {
            let values = vec![id.into(), part.into(), bytes.to_vec().into(), whole(at)];
            self.run("INSERT INTO recent(id, part, bytes, at) VALUES(?, ?, ?, ?)", values)?;
        }
        Ok(())
    }

    /// A record that is still kept.
    pub(crate) fn kept(&self, id: &str) -> Result<Option<Vec<u8>>, EdgeError> {
        let record = self.parts("recent", id)?;
        Ok((!record.is_empty()).then_some(record))
    }

    /// Lets go of the records that were kept before a time; whether some are left.
    pub(crate) fn let_go(&self, before: u64) -> Result<bool, EdgeError> {
        self.run("DELETE FROM recent WHERE at < ?", vec![whole(before)])?;
        Ok(self.one("SELECT 1 FROM recent LIMIT 1", vec![])?.is_some())
    }

    /// Takes down that a version of a video is not used any more.
    pub(crate) fn replaced(&self, id: &str, checksum: &str, at: u64) -> Result<(), EdgeError> {
        let values = vec![id.into(), checksum.into(), i64::from(hash(id)).into(), whole(at)];
        self.run("INSERT OR REPLACE INTO replaced(id, checksum, hash, at) VALUES(?, ?, ?, ?)", values)
    }

    /// Versions that are not used any more of videos whose bit at a depth is 1.
    pub(crate) fn replaced_to_move(&self, depth: usize) -> Result<Vec<(String, String)>, EdgeError> {
        let query = "SELECT id, checksum FROM replaced WHERE ((hash >> ?) & 1) = 1";
        let rows = self.rows(query, vec![whole(31 - depth as u64)])?;
        rows.map(|values| {
            let values = values?;
            Ok((text(values.first())?, text(values.get(1))?))
        })
        .collect()
    }

    /// Versions that are not used since before a time, some at a time; whether there are others.
    pub(crate) fn unused(&self, before: u64) -> Result<(Vec<(String, String)>, bool), EdgeError> {
        let rows = self.rows("SELECT id, checksum FROM replaced WHERE at < ? LIMIT 50", vec![whole(before)])?;
        let some = rows
            .map(|values| {
                let values = values?;
                Ok((text(values.first())?, text(values.get(1))?))
            })
            .collect::<Result<Vec<_>, EdgeError>>()?;
        let all = self.one("SELECT COUNT(*) FROM replaced", vec![])?.map(|row| count(row.first())).transpose()?;
        Ok((some.clone(), all.unwrap_or_default() > some.len() as u64))
    }

    /// Forgets a version.
    pub(crate) fn forget(&self, id: &str, checksum: &str) -> Result<(), EdgeError> {
        self.run("DELETE FROM replaced WHERE id = ? AND checksum = ?", vec![id.into(), checksum.into()])
    }

    /// Videos whose bit at a depth is 1 and that the new shard has not yet, and ids that were removed since.
    pub(crate) fn to_move(&self, depth: usize, limit: usize) -> Result<(Vec<Row>, Vec<String>), EdgeError> {
        let query = format!("SELECT {ROW} FROM videos WHERE copied = 0 AND ((hash >> ?) & 1) = 1 LIMIT ?");
        let rows = self.rows(&query, vec![whole(31 - depth as u64), whole(limit as u64)])?;
        let mut rows = rows.map(|r| row(&r?)).collect::<Result<Vec<_>, _>>()?;
        for row in &mut rows {
            row.windows = self.parts("windows", &row.of.id)?;
        }
        let removed = self.rows("SELECT id FROM removed", vec![])?;
        Ok((rows, removed.map(|r| text(r?.first())).collect::<Result<_, _>>()?))
    }

    /// Takes down that the new shard has this version of a video.
    pub(crate) fn copied(&self, row: &Row) -> Result<(), EdgeError> {
        let values = vec![i64::from(row.number).into(), row.of.checksum.as_str().into()];
        self.run("UPDATE videos SET copied = 1 WHERE number = ? AND checksum = ?", values)
    }

    /// Takes down that the new shard knows of a removal.
    pub(crate) fn told(&self, id: &str) -> Result<(), EdgeError> {
        self.run("DELETE FROM removed WHERE id = ?", vec![id.into()])
    }

    /// Removes the videos whose bit at a depth is 1; their numbers.
    pub(crate) fn hand_over(&self, depth: usize) -> Result<Vec<u32>, EdgeError> {
        let shift = || vec![whole(31 - depth as u64)];
        let moved = "((hash >> ?) & 1) = 1";
        self.run(&format!("DELETE FROM recent WHERE id IN (SELECT id FROM videos WHERE {moved})"), shift())?;
        self.run(&format!("DELETE FROM windows WHERE id IN (SELECT id FROM videos WHERE {moved})"), shift())?;
        let numbers = self.rows(&format!("DELETE FROM videos WHERE {moved} RETURNING number"), shift())?;
        // As in `put`.
        #[allow(clippy::cast_possible_truncation)]
        let numbers = numbers.map(|r| Ok(count(r?.first())? as u32)).collect::<Result<Vec<_>, EdgeError>>()?;
        self.run("DELETE FROM removed", vec![])?;
        self.run(&format!("DELETE FROM replaced WHERE {moved}"), shift())?;
        self.run("UPDATE videos SET copied = 0 WHERE copied <> 0", vec![])?;
        Ok(numbers)
    }
}
