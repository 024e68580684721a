//! What is kept of a video beside its record, and its bytes.

use vidsieve_record::Record;

/// Where a video comes from, so that a file that was moved or changed is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The file's path as bytes: file names need not be UTF-8.
    pub path: Vec<u8>,
    /// Bytes of the file.
    pub size: u64,
    /// When it was last changed, in nanoseconds from 1970.
    pub modified: Option<i64>,
    /// BLAKE3 of all its bytes; `None` if they were not read.
    pub hash: Option<[u8; 32]>,
    /// Width and height of its pictures, 0 if unknown.
    pub picture: [u32; 2],
    /// What could not be read of it when it was decoded; empty for a file that was read whole.
    pub damage: String,
}

impl Source {
    /// The path to print.
    #[must_use]
    pub fn display(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// What is known of a video without its codes.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// Time at which the video was added, in seconds since 1970.
    pub added: u64,
    /// Its length in seconds.
    pub duration: f64,
    /// Sampled frames.
    pub frames: u32,
    /// Whether any of them shows anything.
    pub informative: bool,
    /// Size of the record in bytes.
    pub bytes: u64,
    /// Its record's checksum.
    pub checksum: u64,
}

/// A video with its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The record.
    pub record: Record<Vec<u8>>,
    /// What is known beside it.
    pub summary: Summary,
}

/// What a scan needs, by columns; N videos in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// N ids.
    pub ids: Vec<String>,
    /// N x D.
    pub vectors: Vec<f32>,
    /// N.
    pub self_similarity: Vec<f32>,
    /// N: whether the video shows anything.
    pub informative: Vec<bool>,
    /// N.
    pub frames: Vec<u32>,
    /// N, in seconds.
    pub durations: Vec<f64>,
}

impl Columns {
    /// D; 0 without videos.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.vectors.len().checked_div(self.ids.len()).unwrap_or(0)
    }
}

/// Bytes of a row's scalars.
const SCALARS: usize = 41;
/// Flags of a source: it has a hash; something of it could not be read.
const HASHED: u8 = 1;
const DAMAGED: u8 = 2;
/// Most bytes that are kept of a description of damage.
const MAX_DAMAGE: usize = 1000;

/// Returns a row: little-endian scalars, the source, the vector.
pub(super) fn row<B: AsRef<[u8]>>(record: &Record<B>, source: &Source, added: u64) -> Vec<u8> {
    let shape = record.shape();
    let mut row = Vec::with_capacity(128 + source.path.len() + 4 * shape.dims);
    row.extend(record.self_similarity().to_le_bytes());
    // At most a million.
    #[allow(clippy::cast_possible_truncation)]
    row.extend((shape.frames as u32).to_le_bytes());
    row.extend(record.duration().to_le_bytes());
    row.extend(added.to_le_bytes());
    row.extend((record.as_bytes().len() as u64).to_le_bytes());
    row.extend(record.checksum().to_le_bytes());
    row.push(record.is_informative().into());
    row.extend(source.to_bytes());
    record.global().for_each(|v| row.extend(v.to_le_bytes()));
    row
}

/// Reads little-endian values one after the other.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.u32()? as usize;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head.to_vec())
    }
}

impl Source {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.path.len());
        // A path is far below 4 GiB.
        #[allow(clippy::cast_possible_truncation)]
        bytes.extend((self.path.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.path);
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.modified.unwrap_or(i64::MIN).to_le_bytes());
        let flags = [(self.hash.is_some(), HASHED), (!self.damage.is_empty(), DAMAGED)];
        bytes.push(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
        bytes.extend(self.hash.unwrap_or_default());
        self.picture.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        if !self.damage.is_empty() {
            let damage = &self.damage.as_bytes()[..self.damage.floor_char_boundary(MAX_DAMAGE)];
            // At most 1000 bytes.
            #[allow(clippy::cast_possible_truncation)]
            bytes.extend((damage.len() as u32).to_le_bytes());
            bytes.extend_from_slice(damage);
        }
        bytes
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let path = reader.bytes()?;
        let size = reader.u64()?;
        let modified = Some(i64::from_le_bytes(reader.take()?)).filter(|m| *m != i64::MIN);
        let [flags] = reader.take::<1>()?;
        let hash = Some(reader.take::<32>()?).filter(|_| flags & HASHED != 0);
        let picture = [reader.u32()?, reader.u32()?];
        let damage = if flags & DAMAGED == 0 { Vec::new() } else { reader.bytes()? };
        let damage = String::from_utf8_lossy(&damage).into_owned();
        Some(Self { path, size, modified, hash, picture, damage })
    }
}

/// Reads a row: the scalar, the summary, the vector's bytes.
pub(super) fn read_row<'a>(id: &str, row: &'a [u8]) -> Option<(f32, Summary, &'a [u8])> {
    let mut reader = Reader(row);
    let self_similarity = f32::from_le_bytes(reader.take()?);
    let frames = reader.u32()?;
    let duration = f64::from_le_bytes(reader.take()?);
    let (added, bytes, checksum) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let [informative] = reader.take::<1>()?;
    let source = Source::read(&mut reader)?;
    let rest = row.len() - reader.0.len();
    let informative = informative != 0;
    let summary = Summary { id: id.to_owned(), source, added, duration, frames, informative, bytes, checksum };
    Some((self_similarity, summary, &row[rest..]))
}

/// Returns a row with another source.
pub(super) fn with_source(id: &str, row: &[u8], source: &Source) -> Option<Vec<u8>> {
    let (_, _, vector) = read_row(id, row)?;
    Some([row.get(..SCALARS)?, &source.to_bytes(), vector].concat())
}
