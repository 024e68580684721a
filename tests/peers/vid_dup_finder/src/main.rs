//! `peer-vid-dup-finder job.json out.json`: vid_dup_finder_lib, as `adapters.py` runs the others.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Map, Value, json};
use vid_dup_finder_lib::{VideoHash, VideoHashBuilder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, job, out] = &arguments[..] else { return Err("usage: peer-vid-dup-finder JOB OUT".into()) };
    let job: Value = serde_json::from_slice(&std::fs::read(job)?)?;
    let files = job["files"].as_object().ok_or("the job has no `files`")?;
    let pairs = job["pairs"].as_array().ok_or("the job has no `pairs`")?;
    let builder = VideoHashBuilder::default();
    let (mut hashes, mut failed, mut bytes) = (HashMap::<&str, VideoHash>::new(), Map::new(), Map::new());
    let start = Instant::now();
    for (id, path) in files {
        match builder.hash(PathBuf::from(path.as_str().unwrap_or_default())) {
            Ok(hash) => {
                bytes.insert(id.clone(), json!(hash.raw_hash().count().div_ceil(8)));
                hashes.insert(id, hash);
            }
            Err(reason) => {
                failed.insert(id.clone(), json!(reason.to_string()));
            }
        }
    }
    let encode = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let hash = |pair: &Value, side: usize| hashes.get(pair[side].as_str()?);
    let score = |pair: &Value| Some(1.0 - hash(pair, 0)?.normalized_hamming_distance(hash(pair, 1)?));
    let scores: Vec<Option<f64>> = pairs.iter().map(score).collect();
    let compare = start.elapsed().as_secs_f64();
    let answer = json!({ "scores": scores, "bytes": bytes, "failed": failed, "encode_s": encode, "compare_s": compare });
    std::fs::write(out, serde_json::to_vec(&answer)?)?;
    Ok(())
}
