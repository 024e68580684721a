//! Retrieval on held-out videos while a network is trained: every original is searched among all copies and distractors.

use rayon::prelude::*;

use vidsieve_model::coarse::Coarse;
use vidsieve_model::fine::Fine;
use vidsieve_model::math::dot;

use crate::TrainError;
use crate::features::FeatureSet;
use crate::fine::index_all;
use crate::run::Values;

/// The only value of a tensor read back; 0 for none.
pub(crate) fn one(values: &[f32]) -> f64 {
    values.first().copied().map_or(0.0, f64::from)
}

/// Queries and database over a feature set.
#[derive(Debug)]
pub struct Validation<'a> {
    /// The videos.
    pub set: &'a FeatureSet,
    /// Positions of the queries.
    pub queries: Vec<usize>,
    /// Positions of the database.
    pub database: Vec<usize>,
}

impl<'a> Validation<'a> {
    /// The first `queries` originals as queries, everything else that is no original as database, with at most `limit`
    /// videos that are no copies of a query.
    #[must_use]
    pub fn new(set: &'a FeatureSet, queries: usize, limit: usize) -> Self {
        let info = |i: usize| &set.videos[i].info;
        let originals: Vec<usize> = (0..set.videos.len()).filter(|&i| info(i).kind == "original").collect();
        let queries = originals[..queries.min(originals.len())].to_vec();
        let asked: std::collections::BTreeSet<u64> = queries.iter().map(|&q| info(q).source).collect();
        let mut others = 0;
        let database = (0..set.videos.len())
            .filter(|i| !queries.contains(i))
            .filter(|&i| {
                let copy = asked.contains(&info(i).source);
                others += usize::from(!copy);
                copy || others <= limit
            })
            .collect();
        Self { set, queries, database }
    }

    /// mAP and the share of first hits that are copies, of scores `[queries][database]`; videos with material of the query
    /// that are no copies of it (hosts) are left out of its ranking. Also mAP by the first kind of edit.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn figures(&self, scores: &[Vec<f32>]) -> Values {
        let (mut total, mut first) = (0.0, 0.0);
        let mut counted = 0usize;
        let mut kinds: std::collections::BTreeMap<String, (f64, usize)> = std::collections::BTreeMap::new();
        for (&query, row) in self.queries.iter().zip(scores) {
            let own = &self.set.videos[query].info;
            let mut ranked: Vec<(f32, usize, bool)> = self
                .database
                .iter()
                .zip(row)
                .filter_map(|(&v, &score)| {
                    let info = &self.set.videos[v].info;
                    let copy = info.source == own.source;
                    (copy || own.unrelated(info)).then_some((score, v, copy))
                })
                .collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let relevant = ranked.iter().filter(|r| r.2).count();
            if relevant == 0 {
                continue;
            }
            counted += 1;
            first += f64::from(u8::from(ranked[0].2));
            let (mut hits, mut sum, mut negatives) = (0usize, 0.0, 0usize);
            for (rank, (_, v, copy)) in ranked.iter().enumerate() {
                if *copy {
                    hits += 1;
                    sum += hits as f64 / (rank + 1) as f64;
                    let entry = kinds.entry(self.set.videos[*v].info.kind.clone()).or_default();
                    // The reciprocal rank among distractors: what the other copies do does not count.
                    *entry = (entry.0 + 1.0 / (negatives + 1) as f64, entry.1 + 1);
                } else {
                    negatives += 1;
                }
            }
            total += sum / relevant as f64;
        }
        let n = counted.max(1) as f64;
        let mut values: Values =
            [("map".to_owned(), total / n), ("recall1".to_owned(), first / n), ("score".to_owned(), total / n)].into();
        for (kind, (sum, count)) in kinds {
            values.insert(format!("kind_{kind}"), sum / count as f64);
        }
        values
    }

    /// Figures of a fine network.
    ///
    /// # Errors
    /// [`TrainError::Network`] when it does not take the set's tensors.
    pub fn fine(&self, fine: &Fine) -> Result<Values, TrainError> {
        let tensors = index_all(fine, self.set)?;
        let scores = self
            .queries
            .par_iter()
            .map(|&q| {
                self.database
                    .iter()
                    .map(|&t| fine.similarity(&tensors[q], &tensors[t]).map_err(|e| TrainError::Network(e.to_string())))
                    .collect::<Result<Vec<f32>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.figures(&scores))
    }

    /// Figures of a coarse student.
    ///
    /// # Errors
    /// [`TrainError::Network`] when it does not take the set's tensors.
    pub fn coarse(&self, coarse: &Coarse) -> Result<Values, TrainError> {
        let vectors = (0..self.set.videos.len())
            .into_par_iter()
            .map(|v| coarse.index(self.set.tensor(v).view()).map_err(|e| TrainError::Network(e.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        let scores: Vec<Vec<f32>> = self
            .queries
            .iter()
            .map(|&q| self.database.iter().map(|&t| dot(&vectors[q], &vectors[t])).collect())
            .collect();
        Ok(self.figures(&scores))
    }

    /// Figures of plain uses of the same descriptors: mean vector (`mean_vector`), frame Chamfer of whole-frame means
    /// (`frame_chamfer`), region Chamfer averaged over query frames (`region_chamfer`, over regions `0..9`), and the latter with
    /// the whole frame matched among the windows of the second scale (`across_scales`, where there is one).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn plain(&self, isa: vidsieve_kernels::Isa) -> std::collections::BTreeMap<String, Values> {
        use vidsieve_kernels::chamfer;
        let set = self.set;
        let (r, d) = (set.regions, set.dims);
        let used = r.min(9);
        let mean_of = |x: &ndarray::Array3<f32>| {
            let mut m: Vec<f32> = x.mean_axis(ndarray::Axis(1)).map(|m| m.into_iter().collect()).unwrap_or_default();
            vidsieve_model::math::normalise_rows(&mut m, d);
            m
        };
        let tensors: Vec<ndarray::Array3<f32>> = (0..set.videos.len()).map(|v| set.tensor(v)).collect();
        let frames: Vec<Vec<f32>> = tensors.iter().map(mean_of).collect();
        let regions: Vec<Vec<f32>> =
            tensors.iter().map(|x| x.slice(ndarray::s![.., ..used, ..]).iter().copied().collect()).collect();
        let means = crate::pools::mean_vectors(set);
        let chamfer_of = |data: &[Vec<f32>], regions: usize| -> Vec<Vec<f32>> {
            let targets: Vec<chamfer::Target> = self
                .database
                .iter()
                .map(|&t| chamfer::Target::new(isa, &data[t], data[t].len() / (regions * d), regions, d))
                .collect();
            self.queries
                .par_iter()
                .map(|&q| {
                    let query = &data[q];
                    let tq = query.len() / (regions * d);
                    self.database
                        .iter()
                        .zip(&targets)
                        .map(|(&t, target)| {
                            let tt = data[t].len() / (regions * d);
                            let mut map = vec![0f32; tq * tt];
                            chamfer::region_chamfer(query, target, &mut map);
                            let rows = map.chunks_exact(tt).map(|row| row.iter().copied().fold(f32::MIN, f32::max));
                            rows.sum::<f32>() / tq as f32
                        })
                        .collect()
                })
                .collect()
        };
        // Across scales: the mean of the nine windows and the best of them and the whole frame among the second scale's windows.
        let scales = (r > crate::defaults::FIRST).then(|| {
            let part = |from: usize, to: usize| -> Vec<Vec<f32>> {
                tensors.iter().map(|x| x.slice(ndarray::s![.., from..to, ..]).iter().copied().collect()).collect()
            };
            let (whole, second) = (part(9, 10), part(10, r));
            let map = |q: &[f32], t: &[f32], rq: usize, rt: usize| -> Vec<f32> {
                let mut out = Vec::new();
                for a in q.chunks_exact(rq * d) {
                    for b in t.chunks_exact(rt * d) {
                        let best = |x: &[f32]| b.chunks_exact(d).map(|y| dot(x, y)).fold(f32::MIN, f32::max);
                        out.push(a.chunks_exact(d).map(best).sum::<f32>() / rq as f32);
                    }
                }
                out
            };
            let row = |&q: &usize| -> Vec<f32> {
                self.database
                    .iter()
                    .map(|&t| {
                        let tt = tensors[t].dim().0;
                        let windows = map(&regions[q], &regions[t], used, used);
                        let across = map(&whole[q], &second[t], 1, r - 10);
                        let rows = windows.chunks_exact(tt).zip(across.chunks_exact(tt));
                        let score = |(w, a): (&[f32], &[f32])| {
                            w.iter().zip(a).map(|(w, a)| (w + w.max(*a)) / 2.0).fold(f32::MIN, f32::max)
                        };
                        rows.map(score).sum::<f32>() / tensors[q].dim().0 as f32
                    })
                    .collect()
            };
            self.queries.par_iter().map(row).collect::<Vec<_>>()
        });
        let mean_scores: Vec<Vec<f32>> = self
            .queries
            .iter()
            .map(|&q| self.database.iter().map(|&t| dot(&means[q * d..][..d], &means[t * d..][..d])).collect())
            .collect();
        [
            ("mean_vector", mean_scores),
            ("frame_chamfer", chamfer_of(&frames, 1)),
            ("region_chamfer", chamfer_of(&regions, used)),
        ]
        .into_iter()
        .chain(scales.map(|s| ("across_scales", s)))
        .map(|(name, scores)| (name.to_owned(), self.figures(&scores)))
        .collect()
    }
}
