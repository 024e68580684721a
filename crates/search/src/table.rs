//! What the coarse scan needs of every indexed video, in memory.

use std::collections::HashMap;

use vidsieve_kernels::{Isa, scan};
use vidsieve_record::{PlacedWindow, Record};

use crate::error::SearchError;
use crate::query::Query;
use crate::windows::{CoarseScan, Probe, Windows};

/// The cosine of a pair of which one video shows nothing (black, flat, faded): its score is 0, and
/// there is no doubt of it.
pub const NO_COSINE: f32 = -1.0;

/// Ids, S^c vectors and self-similarities of the indexed videos, and which of them show nothing: 4
/// D + 5 bytes a video beside its id, and D + 16 for each window of a video.
///
/// Videos are numbered from 0; the order is that of insertion until one is removed, whose place the
/// last one takes.
#[derive(Debug, Clone, Default)]
pub struct Table {
    dims: usize,
    ids: Vec<String>,
    rows: HashMap<String, usize>,
    vectors: Vec<f32>,
    self_similarity: Vec<f32>,
    informative: Vec<bool>,
    windows: Windows,
    changes: u64,
}

impl Table {
    /// An empty table of vectors of `dims` values.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        Self { dims, ..Self::default() }
    }

    /// A table of columns: N ids, N x D values, N scalars, and N times whether the video shows
    /// anything. Of ids that come twice the last counts.
    ///
    /// # Errors
    /// [`SearchError::Columns`] for lengths that do not fit.
    pub fn from_columns(
        dims: usize,
        ids: Vec<String>,
        vectors: Vec<f32>,
        self_similarity: Vec<f32>,
        informative: &[bool],
    ) -> Result<Self, SearchError> {
        if vectors.len() != ids.len() * dims || [self_similarity.len(), informative.len()] != [ids.len(); 2] {
            return Err(SearchError::Columns {
                ids: ids.len(),
                values: vectors.len(),
                scalars: self_similarity.len().min(informative.len()),
                dims,
            });
        }
        let rows: HashMap<String, usize> = ids.iter().cloned().zip(0..).collect();
        if rows.len() == ids.len() {
            let informative = informative.to_vec();
            return Ok(Self { dims, ids, rows, vectors, self_similarity, informative, ..Self::default() });
        }
        let mut table = Self::new(dims);
        let scalars = self_similarity.into_iter().zip(informative);
        for ((id, vector), (scalar, informative)) in ids.iter().zip(vectors.chunks(dims.max(1))).zip(scalars) {
            table.put(id, vector, scalar, *informative)?;
        }
        Ok(table)
    }

    /// Videos.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Values of a vector.
    #[must_use]
    pub const fn dims(&self) -> usize {
        self.dims
    }

    /// The id of a video.
    ///
    /// # Panics
    /// If there is no such video.
    #[must_use]
    pub fn id(&self, video: usize) -> &str {
        &self.ids[video]
    }

    /// All ids in the table's order.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The place of an id.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        self.rows.get(id).copied()
    }

    /// The vector of a video.
    ///
    /// # Panics
    /// If there is no such video.
    #[must_use]
    pub fn vector(&self, video: usize) -> &[f32] {
        &self.vectors[video * self.dims..(video + 1) * self.dims]
    }

    /// The selector's scalars of all videos.
    #[must_use]
    pub fn self_similarities(&self) -> &[f32] {
        &self.self_similarity
    }

    /// Whether a video shows anything.
    ///
    /// # Panics
    /// If there is no such video.
    #[must_use]
    pub fn is_informative(&self, video: usize) -> bool {
        self.informative[video]
    }

    /// How often the table was changed: as long as it is the same, the same numbers mean the same
    /// videos.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Bytes of vectors, scalars, flags and windows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * (self.vectors.len() + self.self_similarity.len()) + self.informative.len() + self.windows.bytes()
    }

    /// Adds the video of a record or replaces it; tells whether it was there.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn put_record<B: AsRef<[u8]>>(&mut self, id: &str, record: &Record<B>) -> Result<bool, SearchError> {
        let vector: Vec<f32> = record.global().collect();
        let there = self.put(id, &vector, record.self_similarity(), record.is_informative())?;
        let windows: Vec<PlacedWindow> = record.placed_windows().collect();
        self.put_windows(id, &windows)?;
        Ok(there)
    }

    /// Windows of all videos.
    #[must_use]
    pub fn window_count(&self) -> usize {
        self.windows.len()
    }

    /// Gives a video windows in place of those that it has; a video that is not there gets none.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn put_windows(&mut self, id: &str, windows: &[PlacedWindow]) -> Result<(), SearchError> {
        if let Some(window) = windows.iter().find(|window| window.values.len() != self.dims) {
            return Err(SearchError::Dims { expected: self.dims, found: window.values.len() });
        }
        let Some(owner) = self.position(id).and_then(|video| u32::try_from(video).ok()) else { return Ok(()) };
        self.changes += 1;
        self.windows.put(self.dims, owner, windows);
        Ok(())
    }

    /// Adds a video or replaces it, without windows; tells whether it was there. `informative`: whether
    /// it shows anything.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn put(
        &mut self,
        id: &str,
        vector: &[f32],
        self_similarity: f32,
        informative: bool,
    ) -> Result<bool, SearchError> {
        if vector.len() != self.dims {
            return Err(SearchError::Dims { expected: self.dims, found: vector.len() });
        }
        self.changes += 1;
        if let Some(video) = self.position(id) {
            self.vectors[video * self.dims..(video + 1) * self.dims].copy_from_slice(vector);
            self.self_similarity[video] = self_similarity;
            self.informative[video] = informative;
            self.windows.remove(self.dims, number(video));
            return Ok(true);
        }
        self.rows.insert(id.to_owned(), self.ids.len());
        self.ids.push(id.to_owned());
        self.vectors.extend_from_slice(vector);
        self.self_similarity.push(self_similarity);
        self.informative.push(informative);
        Ok(false)
    }

    /// Removes a video; tells whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(video) = self.rows.remove(id) else { return false };
        self.changes += 1;
        let last = self.ids.len() - 1;
        self.ids.swap_remove(video);
        self.self_similarity.swap_remove(video);
        self.informative.swap_remove(video);
        self.vectors.copy_within(last * self.dims.., video * self.dims);
        self.vectors.truncate(last * self.dims);
        self.windows.remove(self.dims, number(video));
        if let Some(moved) = self.ids.get(video) {
            self.rows.insert(moved.clone(), video);
            self.windows.rename(number(last), number(video));
        }
        true
    }

    /// The cosine of every video with a query, in the table's order: the greatest of their vectors and of
    /// those of their windows, so that a clip is found in a film and a film by a clip of it;
    /// [`NO_COSINE`] where either shows nothing. With it the seconds of the window that a cosine comes from.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn coarse(&self, isa: Isa, query: &Query) -> Result<CoarseScan, SearchError> {
        if !query.is_informative() {
            return Ok(vec![NO_COSINE; self.len()].into());
        }
        self.probe(isa, &Probe::new(&query.global, &query.windows))
    }

    /// The cosine of every video with one of the table, as [`Table::coarse`] with its record as query.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a damaged table.
    ///
    /// # Panics
    /// If there is no such video.
    pub fn cosines_of(&self, isa: Isa, video: usize) -> Result<Vec<f32>, SearchError> {
        if !self.is_informative(video) {
            return Ok(vec![NO_COSINE; self.len()]);
        }
        Ok(self.probe(isa, &self.windows.probe(self.vector(video), number(video)))?.cosines)
    }

    fn probe(&self, isa: Isa, probe: &Probe) -> Result<CoarseScan, SearchError> {
        let mut cosines = vec![NO_COSINE; self.len()];
        for vector in probe.vectors() {
            for (cosine, other) in cosines.iter_mut().zip(self.scan(isa, vector)?) {
                *cosine = cosine.max(other);
            }
        }
        let rows = self.windows.raise(isa, probe, &mut cosines);
        without_cosines(&self.informative, &mut cosines);
        let near = rows.into_iter().zip(&cosines);
        let near = near.map(|(row, cosine)| self.windows.seconds(row).filter(|_| *cosine > NO_COSINE)).collect();
        Ok(CoarseScan { cosines, near })
    }

    /// The cosine of every video with a vector of unit length, in the table's order: [`NO_COSINE`]
    /// of a video that shows nothing. Of an empty table there is none, whatever the vector's
    /// length.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn scan(&self, isa: Isa, vector: &[f32]) -> Result<Vec<f32>, SearchError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        if vector.len() != self.dims {
            return Err(SearchError::Dims { expected: self.dims, found: vector.len() });
        }
        let mut scores = vec![0f32; self.len()];
        #[cfg(feature = "parallel")]
        {
            use rayon::prelude::*;
            /// Vectors that a thread scans at a time.
            const BLOCK: usize = 8192;
            scores
                .par_chunks_mut(BLOCK)
                .zip(self.vectors.par_chunks(BLOCK * self.dims))
                .for_each(|(scores, rows)| scan::dot_f32(isa, vector, rows, self.dims, scores));
        }
        #[cfg(not(feature = "parallel"))]
        scan::dot_f32(isa, vector, &self.vectors, self.dims, &mut scores);
        without_cosines(&self.informative, &mut scores);
        Ok(scores)
    }
}

/// The number of a video as windows keep it; no table holds more than it counts.
pub(crate) fn number(video: usize) -> u32 {
    u32::try_from(video).unwrap_or(u32::MAX)
}

/// Gives videos that show nothing [`NO_COSINE`].
pub(crate) fn without_cosines(informative: &[bool], cosines: &mut [f32]) {
    for (cosine, _) in cosines.iter_mut().zip(informative).filter(|(_, informative)| !**informative) {
        *cosine = NO_COSINE;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use vidsieve_record::WindowVector;

    use super::*;

    proptest! {
        /// Against a map from id to vector: after any puts and removes the same videos are there
        /// with the same scores.
        #[test]
        fn as_a_map(steps in proptest::collection::vec((0u8..12, any::<bool>(), -1f32..1.0), 0..60)) {
            let mut table = Table::new(2);
            let mut map = BTreeMap::new();
            for (id, put, x) in steps {
                let id = id.to_string();
                if put {
                    prop_assert_eq!(table.put(&id, &[x, 0.5], x * 2.0, x < 0.5).unwrap(), map.insert(id, x).is_some());
                } else {
                    prop_assert_eq!(table.remove(&id), map.remove(&id).is_some());
                }
            }
            prop_assert_eq!(table.len(), map.len());
            let scores = table.scan(Isa::best(), &[1.0, 0.0]).unwrap();
            for (id, x) in map {
                let at = table.position(&id).unwrap();
                prop_assert_eq!(table.id(at), &id);
                prop_assert_eq!(table.vector(at), &[x, 0.5]);
                prop_assert_eq!(scores[at], if x < 0.5 { x } else { NO_COSINE });
                prop_assert_eq!(table.is_informative(at), x < 0.5);
                prop_assert_eq!(table.self_similarities()[at], x * 2.0);
            }
        }
    }

    #[test]
    fn the_best_window_counts() {
        let placed = |x: f32, y: f32, start: f32| {
            PlacedWindow::new(WindowVector::quantise(0, 15, &[x, y]), [start, start + 16.0])
        };
        let window = |x: f32, y: f32| WindowVector::quantise(0, 15, &[x, y]);
        let mut table = Table::new(2);
        for (id, vector) in [("film", [1.0, 0.0]), ("clip", [0.0, 1.0]), ("black", [0.0, 1.0])] {
            table.put(id, &vector, 0.0, id != "black").unwrap();
            table.put_windows(id, &[placed(-1.0, 0.1, 0.0), placed(0.6, 0.8, 8.0)]).unwrap();
        }
        let query = |windows: Vec<WindowVector>| Query {
            bundle: vidsieve_record::BundleId::of(b"a bundle"),
            global: vec![0.6, 0.8],
            windows,
            self_similarity: 0.0,
            weights: vec![255],
            codes: vidsieve_model::fine::VideoTensor::Float { data: vec![0.0], frames: 1, regions: 1, dims: 1 },
            timeline: crate::segments::Timeline::new(vec![0.0], 1.0),
        };
        let of = |table: &Table, windows| table.coarse(Isa::best(), &query(windows)).unwrap().cosines;
        let like = |found: &[f32], expected: &[f32]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.01), "{found:?} {expected:?}");
        };
        like(&of(&table, vec![]), &[1.0, 1.0, NO_COSINE]);
        let near = table.coarse(Isa::best(), &query(vec![])).unwrap().near;
        assert_eq!(near, [Some([8.0, 24.0]), Some([8.0, 24.0]), None]);
        assert_eq!(table.window_count(), 6);
        table.put_windows("film", &[]).unwrap();
        like(&of(&table, vec![]), &[0.6, 1.0, NO_COSINE]);
        like(&of(&table, vec![window(1.0, 0.0)]), &[1.0, 1.0, NO_COSINE]);
        // Videos of the table with each other, by their windows too.
        like(&table.cosines_of(Isa::best(), 0).unwrap(), &[1.0, 0.6, NO_COSINE]);
        like(&table.cosines_of(Isa::best(), 1).unwrap(), &[0.6, 1.0, NO_COSINE]);
        like(&table.cosines_of(Isa::best(), 2).unwrap(), &[NO_COSINE; 3]);
        // The last one takes the place of the one that is removed, with its windows.
        table.remove("film");
        assert_eq!((table.id(0), table.window_count()), ("black", 4));
        like(&of(&table, vec![]), &[NO_COSINE, 1.0]);
        table.put("clip", &[0.0, 1.0], 0.0, true).unwrap();
        like(&of(&table, vec![]), &[NO_COSINE, 0.8]);
        assert!(matches!(
            table.put_windows("clip", &[PlacedWindow::new(WindowVector::quantise(0, 1, &[1.0]), [0.0, 1.0])]),
            Err(SearchError::Dims { .. })
        ));
    }

    #[test]
    fn columns() {
        let (ids, vectors) = (vec!["a".into(), "b".into(), "a".into()], vec![1.0, 2.0, 3.0]);
        let table = Table::from_columns(1, ids, vectors, vec![0.0; 3], &[true, true, false]).unwrap();
        assert_eq!(table.scan(Isa::best(), &[1.0]).unwrap(), [NO_COSINE, 2.0]);
        assert_eq!((table.len(), table.vector(table.position("a").unwrap())), (2, &[3.0][..]));
        assert!(matches!(
            Table::from_columns(2, vec!["a".into()], vec![1.0], vec![0.0], &[true]),
            Err(SearchError::Columns { .. })
        ));
        assert!(matches!(table.scan(Isa::best(), &[1.0, 2.0]), Err(SearchError::Dims { expected: 1, found: 2 })));
    }
}
