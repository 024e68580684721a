//! Artefacts of a working folder, each under the key of the settings and the upstream artefacts
//! that it was made with.
//!
//! A stage writes its record, `NAME.stage.json`, beside its artefact before it begins: settings in
//! clear, keys of what it is made from, and the files that belong to it. [`TrainingStage::begin`]
//! compares the record with what is asked for. Under the same key the artefact is used, or the
//! interrupted work goes on; otherwise the stage's files are set aside into the folder `stale` and
//! made anew, and the monitor gets a note that says which settings differ. Nothing is ever used
//! that was made with other settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::checkpoint::{read, write_atomically};
use crate::monitor::{Monitor, StageNote};

/// Folder, beside a stage's artefacts, for artefacts of other settings.
pub const STALE: &str = "stale";

/// Differences that a note lists before it only counts them.
const LISTED: usize = 3;

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Identifies an artefact by what it was made with: SHA-256 of a stage's settings, version and
/// upstream keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StageKey(String);

impl StageKey {
    /// The key of something that no stage makes: a bundle, the digest of files.
    #[must_use]
    pub fn of(id: impl fmt::Display) -> Self {
        Self(id.to_string())
    }

    /// The key of several things in their order.
    pub fn joined<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hex(&hash.finalize()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An artefact and its key, which the keys of later stages are made of.
#[derive(Debug, Clone)]
pub struct Keyed<T> {
    /// The artefact.
    pub value: T,
    /// Its key.
    pub key: StageKey,
}

/// What is written beside an artefact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Name of the stage.
    pub stage: String,
    /// Version of the stage's code: a change of what it computes raises it.
    pub version: u32,
    /// SHA-256 of `stage`, `version`, `settings` and `inputs`.
    pub key: StageKey,
    /// Settings by name.
    pub settings: serde_json::Map<String, Value>,
    /// Keys of what the artefact is made from.
    pub inputs: BTreeMap<String, StageKey>,
    /// Names of the files that belong to the stage, in the record's folder.
    pub files: Vec<String>,
}

impl StageRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// [`TrainError::File`] for a file that cannot be read or is not a record.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        serde_json::from_slice(&read(path)?).map_err(|e| TrainError::file(path, e))
    }

    /// The record of the stage `name` in a folder whose files are all there, as after a run that
    /// was not interrupted.
    ///
    /// # Errors
    /// [`TrainError::File`] without the record or one of its files.
    pub fn complete(folder: &Path, name: &str) -> Result<Self, TrainError> {
        let record = Self::load(&record_path(folder, name))?;
        if let Some(missing) = record.paths(folder).find(|path| !path.exists()) {
            return Err(TrainError::file(
                &missing,
                format!("it is missing: the stage `{name}` was interrupted, run it again"),
            ));
        }
        Ok(record)
    }

    /// The stage's files.
    pub fn paths(&self, folder: &Path) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|file| folder.join(file))
    }
}

fn record_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.stage.json"))
}

/// A stage with its settings and inputs: what decides its artefact, and where that is kept.
#[derive(Debug, Clone)]
pub struct TrainingStage {
    folder: PathBuf,
    record: StageRecord,
    /// Files named `<prefix>-<number>.safetensors` belong to the stage, whatever their number.
    shards: Option<String>,
}

impl TrainingStage {
    /// A stage whose artefact is the file `<name>.safetensors` of a folder. `version` is that of
    /// the stage's code.
    #[must_use]
    pub fn new(folder: &Path, name: &str, version: u32) -> Self {
        let record = StageRecord {
            stage: name.to_owned(),
            version,
            key: StageKey(String::new()),
            settings: serde_json::Map::new(),
            inputs: BTreeMap::new(),
            files: vec![format!("{name}.safetensors")],
        };
        Self { folder: folder.to_owned(), record: record.keyed(), shards: None }
    }

    /// Adds settings, by the names that serde gives their fields.
    ///
    /// # Errors
    /// [`TrainError::Settings`] for settings that are not JSON.
    pub fn setting(mut self, name: &str, value: &impl Serialize) -> Result<Self, TrainError> {
        // By way of text, so that single-precision numbers keep their shortest form.
        let json = serde_json::to_string(value).and_then(|text| serde_json::from_str::<Value>(&text));
        let json = json.map_err(|source| TrainError::Settings { stage: self.record.stage.clone(), source })?;
        self.record.settings.insert(name.to_owned(), json);
        self.record = self.record.keyed();
        Ok(self)
    }

    /// Adds what the artefact is made from.
    #[must_use]
    pub fn input(mut self, name: &str, key: &StageKey) -> Self {
        self.record.inputs.insert(name.to_owned(), key.clone());
        self.record = self.record.keyed();
        self
    }

    /// The artefact is this file.
    #[must_use]
    pub fn file(mut self, name: &str) -> Self {
        self.record.files = vec![name.to_owned()];
        self
    }

    /// The artefact is so many files, `<prefix>-<number>.safetensors`.
    #[must_use]
    pub fn shards(mut self, prefix: &str, count: u64) -> Self {
        self.record.files = (0..count).map(|shard| format!("{prefix}-{shard:04}.safetensors")).collect();
        self.shards = Some(prefix.to_owned());
        self
    }

    /// The key of the artefact.
    #[must_use]
    pub const fn key(&self) -> &StageKey {
        &self.record.key
    }

    /// The stage's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.stage
    }

    /// The files that the artefact is kept in.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.record.paths(&self.folder).collect()
    }

    /// The file that the artefact is kept in; the first of several.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.record.paths(&self.folder).next().unwrap_or_else(|| self.folder.clone())
    }

    /// Makes sure that whatever is in the stage's files afterwards was made under its key: files of
    /// other settings, or of unknown ones, are set aside, and `monitor` gets a note.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn begin(&self, monitor: &mut dyn Monitor) -> Result<(), TrainError> {
        let path = record_path(&self.folder, self.name());
        let found = if path.exists() { Some(StageRecord::load(&path)) } else { None };
        let same =
            matches!(&found, Some(Ok(record)) if record.key == self.record.key && record.files == self.record.files);
        let mut own: Vec<String> = self.record.files.clone();
        if let Some(Ok(record)) = &found {
            own.extend(record.files.iter().filter(|file| is_plain(file)).cloned());
        }
        own.extend(self.stray_shards()?);
        own.sort();
        own.dedup();
        // Under the same key everything is kept but what the record does not name.
        let foreign = |file: &String| !(same && self.record.files.contains(file));
        let stale: Vec<String> =
            own.into_iter().filter(|file| foreign(file) && self.folder.join(file).exists()).collect();
        if let Some(first) = stale.first() {
            let reason = match &found {
                None => "it has no record of the settings that it was made with".to_owned(),
                Some(Err(error)) => format!("its record cannot be read ({error})"),
                Some(Ok(_)) if same => "it belongs to no part of the artefact".to_owned(),
                Some(Ok(record)) => self.record.differences(record),
            };
            self.set_aside(&stale)?;
            monitor.note(&StageNote {
                stage: self.name().to_owned(),
                file: self.folder.join(first),
                files: stale.len(),
                aside: self.folder.join(STALE),
                reason,
            });
        }
        if !same {
            self.write_record()?;
        }
        Ok(())
    }

    /// Makes sure that the files of a folder that the caller chose for this stage alone are under
    /// its key. Unlike [`TrainingStage::begin`] it moves nothing: the folder is the caller's.
    ///
    /// # Errors
    /// [`TrainError::File`] for a folder with files of other settings, or of unknown ones.
    pub fn claim(&self) -> Result<(), TrainError> {
        let path = record_path(&self.folder, self.name());
        let refuse = |reason: String| {
            Err(TrainError::file(&self.folder, format!("{reason}: remove the folder, or choose another one")))
        };
        if path.exists() {
            let found = StageRecord::load(&path)?;
            if found.key != self.record.key {
                return refuse(format!("its files were made otherwise ({})", self.record.differences(&found)));
            }
            return Ok(());
        }
        if let Some(file) = self.paths().into_iter().find(|file| file.exists()) {
            let file = file.file_name().unwrap_or_default().display().to_string();
            return refuse(format!("there is no record of the settings that `{file}` was made with"));
        }
        self.write_record()
    }

    fn write_record(&self) -> Result<(), TrainError> {
        let bytes = serde_json::to_vec_pretty(&self.record)
            .map_err(|source| TrainError::Settings { stage: self.name().to_owned(), source })?;
        write_atomically(&record_path(&self.folder, self.name()), &bytes)
    }

    /// The artefact of a stage of one file: read where it is there under the stage's key, made
    /// where it is not.
    ///
    /// # Errors
    /// As [`TrainingStage::begin`]; those of `load` and `make`, which gets the file to write.
    pub fn run<T>(
        &self,
        monitor: &mut dyn Monitor,
        load: impl FnOnce(&Path) -> Result<T, TrainError>,
        make: impl FnOnce(&Path, &mut dyn Monitor) -> Result<T, TrainError>,
    ) -> Result<Keyed<T>, TrainError> {
        self.begin(monitor)?;
        let path = self.path();
        let value = if path.exists() { load(&path)? } else { make(&path, monitor)? };
        Ok(Keyed { value, key: self.key().clone() })
    }

    /// Shards in the folder that the stage would not write.
    fn stray_shards(&self) -> Result<Vec<String>, TrainError> {
        let Some(prefix) = &self.shards else { return Ok(Vec::new()) };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(TrainError::file(&self.folder, e)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| TrainError::file(&self.folder, e))?.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('-'));
            let number = number.and_then(|rest| rest.strip_suffix(".safetensors"));
            if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
                found.push(name);
            }
        }
        Ok(found)
    }

    fn set_aside(&self, files: &[String]) -> Result<(), TrainError> {
        let aside = self.folder.join(STALE);
        std::fs::create_dir_all(&aside).map_err(|e| TrainError::file(&aside, e))?;
        for file in files {
            let path = self.folder.join(file);
            std::fs::rename(&path, aside.join(file)).map_err(|e| TrainError::file(&path, e))?;
        }
        Ok(())
    }
}

/// Whether a name of a record is that of a file in the record's folder.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

impl StageRecord {
    fn keyed(mut self) -> Self {
        let mut hash = Sha256::new();
        let text = |value: &Value| {
            let mut text = String::new();
            canonical(value, &mut text);
            text
        };
        let inputs: Value = self.inputs.iter().map(|(name, key)| (name.clone(), Value::from(key.as_str()))).collect();
        for part in
            [Value::from(self.stage.as_str()), self.version.into(), Value::Object(self.settings.clone()), inputs]
        {
            let part = text(&part);
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        self.key = StageKey(hex(&hash.finalize()));
        self
    }

    /// How these settings differ from those of another record, in words.
    fn differences(&self, other: &Self) -> String {
        let mut all = Vec::new();
        if self.version != other.version {
            all.push(format!("it was made by version {} of the stage, this is {}", other.version, self.version));
        }
        let settings = |record: &Self| Value::Object(record.settings.clone());
        compare("", &settings(other), &settings(self), &mut all);
        for name in self.inputs.keys().chain(other.inputs.keys().filter(|name| !self.inputs.contains_key(*name))) {
            if self.inputs.get(name) != other.inputs.get(name) {
                all.push(format!("`{name}` is another one"));
            }
        }
        if all.is_empty() {
            return "its parts are others".to_owned();
        }
        let more = all.len().saturating_sub(LISTED);
        all.truncate(LISTED);
        let listed = all.join("; ");
        if more == 0 { listed } else { format!("{listed}; and {more} more differences") }
    }
}

/// JSON with the keys of objects in order.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for value in values {
                canonical(value, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Lists the settings in which `new` differs from `old`.
fn compare(path: &str, old: &Value, new: &Value, out: &mut Vec<String>) {
    if let (Value::Object(a), Value::Object(b)) = (old, new) {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), out);
        }
    } else if old != new {
        out.push(format!("`{path}` was {old}, is {new}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::RefCell;

    use serde_json::json;

    use super::*;
    use crate::monitor::Progress;

    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Monitor for Notes {
        fn report(&mut self, _: &Progress) {}

        fn note(&mut self, note: &StageNote) {
            self.0.push(note.to_string());
        }
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("vidsieve-stage-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn stage(&self, settings: &Value) -> TrainingStage {
            let stage = TrainingStage::new(&self.0, "pca", 1).setting("pca", settings).unwrap();
            stage.input("backbone", &StageKey::of("b1"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Runs a stage that writes `text`; whether it was made, its content, and the notes.
    fn run(stage: &TrainingStage, text: &str) -> (bool, String, Vec<String>) {
        let mut notes = Notes::default();
        let made = RefCell::new(false);
        let content = |path: &Path| Ok(String::from_utf8(read(path)?).unwrap());
        let artefact = stage
            .run(&mut notes, content, |path, _| {
                *made.borrow_mut() = true;
                write_atomically(path, text.as_bytes())?;
                Ok(text.to_owned())
            })
            .unwrap();
        assert_eq!(artefact.key, *stage.key());
        (made.into_inner(), artefact.value, notes.0)
    }

    #[test]
    fn the_same_settings_use_the_artefact_and_others_make_it_anew() {
        let folder = Folder::new("settings");
        let settings = json!({ "views": 24, "shrink": 0.1, "nested": { "seed": 7 } });
        assert_eq!(run(&folder.stage(&settings), "first"), (true, "first".into(), vec![]));
        // Whatever the order of fields.
        let reordered: Value = serde_json::from_str(r#"{"nested":{"seed":7},"shrink":0.1,"views":24}"#).unwrap();
        assert_eq!(run(&folder.stage(&reordered), "second"), (false, "first".into(), vec![]));
        let (made, content, notes) =
            run(&folder.stage(&json!({ "views": 24, "shrink": 0.2, "nested": { "seed": 8 } })), "third");
        assert_eq!((made, content.as_str()), (true, "third"));
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        for part in ["pca.safetensors", "`pca.shrink` was 0.1, is 0.2", "`pca.nested.seed` was 7, is 8", "stale"] {
            assert!(note.contains(part), "{part}: {note}");
        }
        assert!(!note.contains("views"), "{note}");
        assert_eq!(std::fs::read_to_string(folder.0.join("stale/pca.safetensors")).unwrap(), "first");
    }

    #[test]
    fn single_precision_settings_are_written_as_they_are_meant() {
        let stage = |x: f32| TrainingStage::new(Path::new("w"), "s", 1).setting("x", &x).unwrap();
        assert_eq!(stage(0.1).record.settings["x"].to_string(), "0.1");
        assert_ne!(stage(0.1).key(), stage(0.100_000_01).key());
    }

    #[test]
    fn other_inputs_and_versions_make_it_anew() {
        let folder = Folder::new("inputs");
        let settings = json!({});
        run(&folder.stage(&settings), "first");
        let other = folder.stage(&settings).input("backbone", &StageKey::of("b2"));
        let (made, _, notes) = run(&other, "second");
        assert!(made && notes[0].contains("`backbone` is another one"), "{notes:?}");
        let newer = TrainingStage::new(&folder.0, "pca", 2).setting("pca", &settings).unwrap();
        let newer = newer.input("backbone", &StageKey::of("b2"));
        let (made, _, notes) = run(&newer, "third");
        assert!(made && notes[0].contains("version 1"), "{notes:?}");
    }

    #[test]
    fn files_without_a_sound_record_are_not_used() {
        let folder = Folder::new("unknown");
        let stage = folder.stage(&json!({ "views": 1 }));
        std::fs::write(stage.path(), "of an earlier version").unwrap();
        let (made, content, notes) = run(&stage, "known");
        assert_eq!((made, content.as_str()), (true, "known"));
        assert!(notes[0].contains("pca.safetensors") && notes[0].contains("no record"), "{notes:?}");
        std::fs::write(record_path(&folder.0, "pca"), "{").unwrap();
        let (made, _, notes) = run(&stage, "again");
        assert!(made && notes[0].contains("record cannot be read"), "{notes:?}");
        // A record that names files elsewhere moves nothing there.
        let outside = folder.0.with_extension("outside");
        std::fs::write(&outside, "untouched").unwrap();
        let mut record = StageRecord::load(&record_path(&folder.0, "pca")).unwrap();
        record.key = StageKey::of("other");
        record.files = vec![format!("../{}", outside.file_name().unwrap().to_str().unwrap())];
        std::fs::write(record_path(&folder.0, "pca"), serde_json::to_vec(&record).unwrap()).unwrap();
        assert!(run(&stage, "once more").0);
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
        std::fs::remove_file(outside).unwrap();
    }

    #[test]
    fn an_interrupted_stage_keeps_its_shards_and_drops_leftover_ones() {
        let folder = Folder::new("shards");
        let stage = |sources: u64, count: u64| {
            TrainingStage::new(&folder.0, "train", 1).setting("sources", &sources).unwrap().shards("train", count)
        };
        let names = || {
            let mut names: Vec<String> = std::fs::read_dir(&folder.0)
                .unwrap()
                .map(|e| e.unwrap().file_name().to_str().unwrap().to_owned())
                .filter(|n| n.ends_with(".safetensors"))
                .collect();
            names.sort();
            names
        };
        let mut notes = Notes::default();
        // Shards of another corpus do not belong to it.
        std::fs::write(folder.0.join("train-extra-0001.safetensors"), "other").unwrap();
        let whole = stage(9, 3);
        whole.begin(&mut notes).unwrap();
        for path in &whole.paths()[..2] {
            std::fs::write(path, "of 9").unwrap();
        }
        assert!(StageRecord::complete(&folder.0, "train").unwrap_err().to_string().contains("train-0002"));
        whole.begin(&mut notes).unwrap();
        assert_eq!(names().len(), 3, "what an interrupted run made stays");
        std::fs::write(&whole.paths()[2], "of 9").unwrap();
        assert_eq!(StageRecord::complete(&folder.0, "train").unwrap().key, *whole.key());
        // A shard that is not part of it.
        std::fs::write(folder.0.join("train-0007.safetensors"), "stray").unwrap();
        whole.begin(&mut notes).unwrap();
        assert_eq!(names().len(), 4);
        assert_eq!(notes.0.len(), 1);
        let fewer = stage(3, 1);
        fewer.begin(&mut notes).unwrap();
        assert_eq!(names(), ["train-extra-0001.safetensors"]);
        assert!(notes.0[1].contains("3 files") && notes.0[1].contains("`sources` was 9, is 3"), "{:?}", notes.0);
        assert_eq!(fewer.paths().len(), 1);
    }
}
