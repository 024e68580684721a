//! Fine students and the teacher's head.

use ndarray::{Array2, Array3};
use vidsieve_kernels::comparator::{self, Pool};
use vidsieve_model::config::FineConfig;
use vidsieve_model::fine::{Fine, InputError, VideoTensor, video_chamfer};
use vidsieve_model::tensors::TensorFile;
use vidsieve_model::weights::StateDict;

use crate::rule;

use super::{Checker, ParityError, layout, scored, tolerance, weights};

/// Keys and shapes of upstream's comparator.
pub(super) const COMPARATOR: [(&str, &[usize]); 8] = [
    ("conv1.weight", &[32, 1, 3, 3]),
    ("conv1.bias", &[32]),
    ("conv2.weight", &[64, 32, 3, 3]),
    ("conv2.bias", &[64]),
    ("conv3.weight", &[128, 64, 3, 3]),
    ("conv3.bias", &[128]),
    ("fconv.weight", &[1, 128, 1, 1]),
    ("fconv.bias", &[1]),
];

/// One network with the folder's videos indexed.
struct Session {
    net: Fine,
    file: String,
    names: Vec<String>,
    indexes: Vec<VideoTensor>,
}

impl Session {
    fn fail(&self, e: &InputError) -> ParityError {
        layout(&self.file, e)
    }

    fn find(&self, name: &str) -> Result<&VideoTensor, ParityError> {
        let i = self.names.iter().position(|n| n == name);
        i.map(|i| &self.indexes[i])
            .ok_or_else(|| layout(&self.file, format!("video `{name}` is not in inputs.safetensors")))
    }

    fn f2f(&self, q: &VideoTensor, t: &VideoTensor) -> Result<Array2<f32>, ParityError> {
        self.net.frame_similarity(q, t).map_err(|e| self.fail(&e))
    }

    fn raw(&self, q: &VideoTensor, t: &VideoTensor) -> Result<Array2<f32>, ParityError> {
        self.net.compare(self.f2f(q, t)?.view(), Pool::Floor).map_err(|e| self.fail(&e))
    }

    fn similarities(&self, of: &[&VideoTensor]) -> Result<Vec<f32>, ParityError> {
        let pairs = of.iter().flat_map(|q| of.iter().map(move |t| (*q, *t)));
        pairs.map(|(q, t)| self.net.similarity(q, t).map_err(|e| self.fail(&e))).collect()
    }
}

/// Everything in the out files that has the same form for students and teacher.
fn common(checker: &mut Checker, s: &Session, out: &TensorFile<'_>, videos: &[Array3<f32>]) -> Result<(), ParityError> {
    let file = s.file.as_str();
    for name in out.names() {
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            ["index", v] => {
                if let VideoTensor::Float { data, .. } = s.find(v)? {
                    checker.close(file, "index", tolerance::LAYER, out.f32(name)?.1, data.iter().copied());
                }
            }
            ["index_bits_le", v] => {
                if let VideoTensor::Codes { data, .. } = s.find(v)? {
                    checker.equal(file, "index_bits_le", out.bytes(name)?, data);
                }
            }
            ["index_sign", v] => {
                if let VideoTensor::Codes { data, .. } = s.find(v)? {
                    let signs: Vec<i64> =
                        (0..data.len() * 8).map(|i| if data[i / 8] >> (i % 8) & 1 == 1 { 1 } else { -1 }).collect();
                    checker.equal(file, "index_sign", &out.i64(name)?.1, &signs);
                }
            }
            ["preact", v] if out.shape(name)?.len() == 3 => {
                let i = s.names.iter().position(|n| n == v);
                let video = i.map(|i| &videos[i]).ok_or_else(|| layout(file, format!("no video `{v}`")))?;
                let z = s.net.projections(video.view()).map_err(|e| s.fail(&e))?;
                checker.close(file, "preact", tolerance::LAYER, out.f32(name)?.1, z.into_iter().flatten());
            }
            ["att_weights", v] => {
                let i = s.names.iter().position(|n| n == v);
                let video = i.map(|i| &videos[i]).ok_or_else(|| layout(file, format!("no video `{v}`")))?;
                let w = s.net.attention_weights(video.view()).map_err(|e| s.fail(&e))?;
                checker.close(file, "att_weights", tolerance::LAYER, out.f32(name)?.1, w.into_iter().flatten());
            }
            ["f2f", q, t] => {
                let got = s.f2f(s.find(q)?, s.find(t)?)?;
                checker.close(file, "f2f", tolerance::LAYER, out.f32(name)?.1, got);
            }
            ["vcraw", q, t] => {
                let got = s.raw(s.find(q)?, s.find(t)?)?;
                checker.close(file, "vcraw", tolerance::SIMILARITY, out.f32(name)?.1, got);
            }
            ["vc", q, t] => {
                let got = s.raw(s.find(q)?, s.find(t)?)?.mapv(|v| v.clamp(-1.0, 1.0));
                checker.close(file, "vc", tolerance::SIMILARITY, out.f32(name)?.1, got);
            }
            _ => {}
        }
    }
    Ok(())
}

fn open(checker: &Checker, state: &StateDict, config: FineConfig, file: &str) -> Result<Session, ParityError> {
    let net = Fine::new(checker.isa, config, state).map_err(|e| weights(file, e))?;
    Ok(Session { net, file: file.to_owned(), names: Vec::new(), indexes: Vec::new() })
}

fn load(s: &mut Session, videos: &[(String, Array3<f32>)]) -> Result<Vec<Array3<f32>>, ParityError> {
    let videos: Vec<(String, Array3<f32>)> = videos.iter().map(|(n, v)| (n.clone(), scored(&v.view()))).collect();
    for (name, video) in &videos {
        let index = s.net.index(video.view()).map_err(|e| s.fail(&e))?;
        s.names.push(name.clone());
        s.indexes.push(index);
    }
    Ok(videos.into_iter().map(|(_, v)| v).collect())
}

pub(super) fn student(checker: &mut Checker, model: &str) -> Result<(), ParityError> {
    let file = format!("{model}.out.safetensors");
    let Some(bytes) = checker.read(&file)? else { return Ok(()) };
    let out = TensorFile::parse(&file, &bytes)?;
    let inputs = checker.inputs()?;
    let Some(dims) = inputs.first().map(|(_, v)| v.dim().2) else {
        checker.skip(&file, "inputs.safetensors is not here");
        return Ok(());
    };
    let names: Vec<(String, Vec<usize>)> =
        COMPARATOR.iter().map(|(n, s)| (format!("visil_head.{n}"), s.to_vec())).collect();
    let mut shapes: Vec<(&str, Vec<usize>)> = names.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
    match model {
        "fg_att" => shapes.extend([
            ("attention.transform.weight", vec![dims, dims]),
            ("attention.transform.bias", vec![dims]),
            ("attention.context_vector.weight", vec![1, dims]),
        ]),
        "fg_bin" => shapes.push(("binarization.W", vec![dims, dims])),
        _ => {}
    }
    let Some(found) = checker.weights(model, &file, &shapes)? else { return Ok(()) };
    let config = FineConfig::infer(&found.state, Some(dims), false).map_err(|e| weights(&found.file, e))?;
    let mut s = open(checker, &found.state, config.clone(), &file)?;
    let videos = load(&mut s, &inputs)?;
    common(checker, &s, &out, &videos)?;
    stages(checker, &s, &out, &found.state, &config)?;

    let all: Vec<&VideoTensor> = s.indexes.iter().collect();
    if out.contains("g") {
        checker.close(&file, "g", tolerance::SIMILARITY, out.f32("g")?.1, s.similarities(&all)?);
    }
    padded(checker, &s, &out, &found.state)?;
    for name in out.names() {
        let parts: Vec<&str> = name.split('_').collect();
        if let ["g", "chunked", size, "query", query] = parts[..] {
            let size: usize = size.parse().map_err(|_| layout(&file, format!("tensor name `{name}`")))?;
            let query = s.find(query)?;
            let got: Result<Vec<f32>, _> = all.iter().map(|t| s.net.similarity_chunked(query, t, size)).collect();
            let got = got.map_err(|e| s.fail(&e))?;
            checker.close(&file, "g_chunked", tolerance::SIMILARITY, out.f32(name)?.1, got);
        }
    }
    Ok(())
}

/// Comparator stages: the kernels' plain reference against the golden numbers, the kernels for the last one.
fn stages(
    checker: &mut Checker,
    s: &Session,
    out: &TensorFile<'_>,
    state: &StateDict,
    config: &FineConfig,
) -> Result<(), ParityError> {
    let wrong = |e| weights(&s.file, e);
    for name in out.names() {
        let parts: Vec<&str> = name.split('.').collect();
        let ["stage", q, t, "vc_raw"] = parts[..] else { continue };
        let f2f = s.f2f(s.find(q)?, s.find(t)?)?;
        let got = s.net.compare(f2f.view(), Pool::Floor).map_err(|e| s.fail(&e))?;
        checker.close(&s.file, "stage vc_raw", tolerance::SIMILARITY, out.f32(name)?.1, got);
        let [c0, c1, c2, c3] = config.comparator.channels;
        let get = |n: &str, shape: &[usize]| state.get(&format!("visil_head.{n}"), shape).map_err(wrong);
        let plain = comparator::Weights {
            channels: config.comparator.channels,
            conv1: get("conv1.weight", &[c1, c0, 3, 3])?,
            bias1: get("conv1.bias", &[c1])?,
            conv2: get("conv2.weight", &[c2, c1, 3, 3])?,
            bias2: get("conv2.bias", &[c2])?,
            conv3: get("conv3.weight", &[c3, c2, 3, 3])?,
            bias3: get("conv3.bias", &[c3])?,
            fconv: get("fconv.weight", &[1, c3, 1, 1])?,
            fbias: get("fconv.bias", &[1])?[0],
        };
        let map: Vec<f32> = f2f.iter().copied().collect();
        let (h, w) = f2f.dim();
        let reference = comparator::naive::stages(&plain, comparator::Padding::Zero, &map, h, w, Pool::Floor);
        for (stage, values) in [
            ("relu1", &reference.relu1),
            ("pool1", &reference.pool1),
            ("relu2", &reference.relu2),
            ("pool2", &reference.pool2),
            ("relu3", &reference.relu3),
        ] {
            let name = format!("stage.{q}.{t}.{stage}");
            if out.contains(&name) {
                let expected = out.f32(&name)?.1;
                checker.close(&s.file, "stages (reference)", tolerance::LAYER, expected, values.iter().copied());
            }
        }
    }
    Ok(())
}

/// Pairs padded to the longest video: with both masks, and with one mask, which upstream ignores.
fn padded(checker: &mut Checker, s: &Session, out: &TensorFile<'_>, state: &StateDict) -> Result<(), ParityError> {
    let Some(longest) = s.indexes.iter().map(VideoTensor::frames).max() else { return Ok(()) };
    let bias = state.get("visil_head.fconv.bias", &[1]).map_err(|e| weights(&s.file, e))?[0];
    let pool = Pool::Padded { rows: longest, columns: longest };
    let (mut both, mut one) = (Vec::new(), Vec::new());
    let (mut raw_row, mut mask_row) = (Vec::new(), Vec::new());
    let wanted = |name: &str| out.contains(name);
    for (i, q) in s.indexes.iter().enumerate() {
        for t in &s.indexes {
            let f2f = s.f2f(q, t)?;
            if wanted("g_masked") {
                let raw = s.net.compare(f2f.view(), pool).map_err(|e| s.fail(&e))?;
                both.push(video_chamfer(raw.view(), false));
                if i == 0 {
                    // Outside the valid part the last layer sees zeros: its bias is what is left.
                    let (rows, columns) = pool.shapes(longest, longest)[1];
                    for (r, c) in (0..rows * columns).map(|k| (k / columns, k % columns)) {
                        let valid = raw.get((r, c));
                        raw_row.push(valid.copied().unwrap_or(bias));
                        mask_row.push(f32::from(valid.is_some()));
                    }
                }
            }
            if wanted("g_onlyone_mask") {
                let mut map = Array2::zeros((longest, longest));
                map.slice_mut(ndarray::s![..f2f.nrows(), ..f2f.ncols()]).assign(&f2f);
                let raw = s.net.compare(map.view(), Pool::Floor).map_err(|e| s.fail(&e))?;
                one.push(video_chamfer(raw.view(), false));
            }
        }
    }
    for (name, got, tolerance) in [
        ("g_masked", both, tolerance::SIMILARITY),
        ("vcraw_masked_row0", raw_row, tolerance::SIMILARITY),
        ("vcmask_masked", mask_row, tolerance::EXACT),
        ("g_onlyone_mask", one, tolerance::SIMILARITY),
    ] {
        if wanted(name) {
            checker.close(&s.file, name, tolerance, out.f32(name)?.1, got);
        }
    }
    Ok(())
}

pub(super) fn teacher(checker: &mut Checker, model: &str, symmetric: bool) -> Result<(), ParityError> {
    /// Order of the teacher's similarity matrix.
    const ORDER: [&str; 5] = ["b4", "c7", "g12", "d28", "f30"];
    let file = format!("{model}.out.safetensors");
    let Some(bytes) = checker.read(&file)? else { return Ok(()) };
    let out = TensorFile::parse(&file, &bytes)?;
    let inputs = checker.inputs()?;
    let Some(dims) = inputs.first().map(|(_, v)| v.dim().2) else {
        checker.skip(&file, "inputs.safetensors is not here");
        return Ok(());
    };
    let mut found = checker.stored(model)?.map(|w| (w.file, w.state));
    let mut inline = StateDict::new(format!("{file}: weights."));
    for name in out.names() {
        if let Some(key) = name.strip_prefix("weights.") {
            let (shape, data) = out.f32(name)?;
            inline.insert(key, shape, data).map_err(|e| weights(&file, e))?;
        }
    }
    if !inline.is_empty() {
        if let Some((checkpoint, state)) = &found {
            let list = |s: &StateDict| s.iter().map(|(n, t)| (n.to_owned(), t.clone())).collect::<Vec<_>>();
            checker.equal(&file, &format!("weights as in {checkpoint}"), &list(&inline), &list(state));
        } else {
            found = Some((file.clone(), inline));
        }
    }
    if found.is_none() && checker.rule_holds()? {
        let keys: Vec<(String, Vec<usize>)> =
            COMPARATOR.iter().map(|(n, s)| (format!("video_comperator.{n}"), s.to_vec())).collect();
        let shapes = keys.iter().map(|(n, s)| (n.as_str(), s.clone()));
        let attention = ("attention.context_vector.weight", vec![1, dims]);
        let state = rule::state_dict(model, shapes.chain([attention])).map_err(|e| weights(&file, e))?;
        found = Some(("rule".into(), state));
    }
    let Some((source, state)) = found else {
        checker.skip(&file, format!("no weights: {model}.pth is not here"));
        return Ok(());
    };
    let config = FineConfig::infer(&state, Some(dims), symmetric).map_err(|e| weights(&source, e))?;
    let mut s = open(checker, &state, config, &file)?;
    let videos = load(&mut s, &inputs)?;
    common(checker, &s, &out, &videos)?;
    if out.contains("g") {
        let of: Vec<&VideoTensor> = ORDER.iter().map(|n| s.find(n)).collect::<Result<_, _>>()?;
        checker.close(&file, "g", tolerance::SIMILARITY, out.f32("g")?.1, s.similarities(&of)?);
    }
    Ok(())
}
