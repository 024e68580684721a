//! What the router and the shards say to each other: JSON, with bytes behind it where there are any
//! ([`vidsieve_record::wire::join_rerank`]'s layout).

use serde::{Deserialize, Serialize};
use vidsieve_record::wire;

use vidsieve_edge::EdgeError;

/// The header that tells a shard which one it is.
pub(crate) const SHARD: &str = "x-shard";
/// The header by which a shard tells its depth.
pub(crate) const DEPTH: &str = "x-shard-depth";
/// The header by which a shard tells its number of videos.
pub(crate) const VIDEOS: &str = "x-shard-videos";
/// The status of a shard that does not hold the video any more.
pub(crate) const MOVED: u16 = 421;
/// The status of a shard that takes no more for now.
pub(crate) const FULL: u16 = 503;

/// Asks for a scan; behind it the query's vector, f32, and its windows.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Scan {
    /// Values of the query's vector.
    pub(crate) dims: usize,
    pub(crate) doubtful: usize,
    pub(crate) similar: usize,
    pub(crate) above: Option<f32>,
    /// Whether all cosines are wanted behind the answer, f32 in no order.
    pub(crate) cosines: bool,
    pub(crate) self_similarity: f32,
}

/// One candidate of a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    /// The record's checksum.
    pub(crate) checksum: String,
    /// The exact one.
    pub(crate) cosine: f32,
    /// The seconds of the window that it comes from; none where it is the whole video's.
    pub(crate) near: Option<[f32; 2]>,
    pub(crate) self_similarity: f32,
    /// Whether the video shows anything.
    pub(crate) informative: bool,
    /// Whether the shard itself still has the record.
    pub(crate) recent: bool,
}

/// A video that is spoken of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: String,
}

/// Videos that are spoken of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub(crate) ids: Vec<String>,
}

/// What a shard knows of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) checksum: String,
    pub(crate) recent: bool,
}

/// What is asked of a listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

/// A video that moves to a new shard; behind the message lie, for each, its vector, its windows and the record if it is recent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Moving {
    pub(crate) row: RowOf,
    pub(crate) vector_bytes: usize,
    pub(crate) windows_bytes: usize,
    pub(crate) record_bytes: usize,
}

/// What a shard keeps of a video beside its vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RowOf {
    pub(crate) id: String,
    pub(crate) checksum: String,
    pub(crate) self_similarity: f32,
    pub(crate) duration: f64,
    pub(crate) frames: u32,
    /// Whether the video shows anything.
    pub(crate) informative: bool,
    pub(crate) bytes: u64,
    pub(crate) added: u64,
}

/// Videos for a new shard, and ids that were removed meanwhile.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Take {
    pub(crate) removed: Vec<String>,
    /// Versions that are not used any more, with their checksums.
    pub(crate) replaced: Vec<(String, String)>,
    pub(crate) videos: Vec<Moving>,
}

/// A message with bytes behind it.
pub(crate) fn join(message: &impl Serialize, bytes: &[u8]) -> Vec<u8> {
    // Numbers and texts alone: nothing that cannot be written.
    wire::join_rerank(&serde_json::to_vec(message).unwrap_or_default(), bytes)
}

/// A message and the bytes behind it.
pub(crate) fn split<T: for<'a> Deserialize<'a>>(who: &'static str, body: &[u8]) -> Result<(T, Vec<u8>), EdgeError> {
    let wrong = |what: String| EdgeError::Answer { who, what };
    let (json, bytes) = wire::split_rerank(body).map_err(|e| wrong(e.to_string()))?;
    let message = serde_json::from_slice(json).map_err(|e| wrong(e.to_string()))?;
    Ok((message, bytes.to_vec()))
}

/// A message alone.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(who: &'static str, body: &[u8]) -> Result<T, EdgeError> {
    serde_json::from_slice(body).map_err(|e| EdgeError::Answer { who, what: e.to_string() })
}

/// Values as they travel.
pub(crate) fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The values of bytes; what is behind the last whole one is left out.
pub(crate) fn to_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}
