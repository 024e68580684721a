//! The coarse scan where memory is short: int8 vectors in memory, the exact ones elsewhere.

use std::collections::HashMap;

use vidsieve_kernels::{Isa, scan};

use crate::engine::Engine;
use crate::error::SearchError;
use crate::table::without_cosines;

/// int8 vectors and self-similarities of videos that are known by a number, and which of them show
/// nothing: D + 9 bytes a video, and 16 to find its place.
///
/// Cosines are right to about 0.005. Whoever needs them exactly takes some more candidates than
/// wanted ([`Quantised::candidates`]) and computes theirs from exact vectors.
#[derive(Debug, Clone, Default)]
pub struct Quantised {
    dims: usize,
    numbers: Vec<u32>,
    places: HashMap<u32, usize>,
    values: Vec<i8>,
    scales: Vec<f32>,
    self_similarity: Vec<f32>,
    informative: Vec<bool>,
}

/// How many candidates of a scan are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wanted {
    /// Of the most doubtful; without a selector of the most similar.
    pub doubtful: usize,
    /// Of the most similar.
    pub similar: usize,
    /// All that are doubted more than this, at most as many as `doubtful`.
    pub above: Option<f32>,
}

/// By how much a doubt may be off because a cosine is.
const DOUBT_MARGIN: f32 = 0.05;

/// More than asked for: those that the errors of int8 may have pushed out.
const fn with_margin(wanted: usize) -> usize {
    if wanted == 0 { 0 } else { wanted + wanted / 2 + 32 }
}

impl Quantised {
    /// An empty table of vectors of `dims` values.
    #[must_use]
    pub fn new(dims: usize) -> Self {
        Self { dims, ..Self::default() }
    }

    /// Videos.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The video at a place.
    #[must_use]
    pub fn number(&self, place: usize) -> Option<u32> {
        self.numbers.get(place).copied()
    }

    /// The place of a video.
    #[must_use]
    pub fn place(&self, number: u32) -> Option<usize> {
        self.places.get(&number).copied()
    }

    /// Adds a video or replaces it. `informative`: whether it shows anything.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn put(
        &mut self,
        number: u32,
        vector: &[f32],
        self_similarity: f32,
        informative: bool,
    ) -> Result<(), SearchError> {
        if vector.len() != self.dims {
            return Err(SearchError::Dims { expected: self.dims, found: vector.len() });
        }
        let place = match self.place(number) {
            Some(place) => place,
            None => {
                self.places.insert(number, self.numbers.len());
                self.numbers.push(number);
                self.values.resize(self.values.len() + self.dims, 0);
                self.scales.push(0.0);
                self.self_similarity.push(0.0);
                self.informative.push(true);
                self.numbers.len() - 1
            }
        };
        let row = &mut self.values[place * self.dims..(place + 1) * self.dims];
        self.scales[place] = scan::quantise_i8_into(vector, row);
        self.self_similarity[place] = self_similarity;
        self.informative[place] = informative;
        Ok(())
    }

    /// Removes a video; tells whether it was there. The last one takes its place.
    pub fn remove(&mut self, number: u32) -> bool {
        let Some(place) = self.places.remove(&number) else { return false };
        let last = self.numbers.len() - 1;
        self.numbers.swap_remove(place);
        self.scales.swap_remove(place);
        self.self_similarity.swap_remove(place);
        self.informative.swap_remove(place);
        self.values.copy_within(last * self.dims.., place * self.dims);
        self.values.truncate(last * self.dims);
        if let Some(moved) = self.numbers.get(place) {
            self.places.insert(*moved, place);
        }
        true
    }

    /// The cosine of every video with a vector of unit length, to about 0.005;
    /// [`NO_COSINE`](crate::table::NO_COSINE) of a video that shows nothing.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn scan(&self, isa: Isa, vector: &[f32]) -> Result<Vec<f32>, SearchError> {
        let mut scores = vec![0f32; self.len()];
        if self.is_empty() {
            return Ok(scores);
        }
        if vector.len() != self.dims {
            return Err(SearchError::Dims { expected: self.dims, found: vector.len() });
        }
        let (query, scale) = scan::quantise_i8(vector);
        scan::scores_i8(isa, &query, scale, &self.values, &self.scales, &mut scores);
        without_cosines(&self.informative, &mut scores);
        Ok(scores)
    }

    /// The places among which the wanted videos are, by the cosines of [`Quantised::scan`]; each
    /// once, in no order that means anything.
    #[must_use]
    pub fn candidates(
        &self,
        engine: &Engine,
        query_self_similarity: f32,
        cosines: &[f32],
        wanted: Wanted,
    ) -> Vec<usize> {
        let doubt = engine.doubt(query_self_similarity, &self.self_similarity, cosines);
        let mut doubtful = scan::top_k(doubt.as_deref().unwrap_or(cosines), with_margin(wanted.doubtful));
        if let Some(above) = wanted.above {
            // Without a selector nothing has a probability.
            doubtful.retain(|hit| doubt.is_some() && hit.score > above - DOUBT_MARGIN);
        }
        let similar = scan::top_k(cosines, with_margin(wanted.similar));
        let mut places: Vec<usize> = doubtful.iter().chain(&similar).map(|hit| hit.index as usize).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::table::NO_COSINE;

    proptest! {
        /// Against a map: after any puts and removes the same videos are there, with cosines near
        /// theirs.
        #[test]
        fn as_a_map(steps in proptest::collection::vec((0u32..12, any::<bool>(), -1f32..1.0), 0..60)) {
            let mut table = Quantised::new(2);
            let mut map = BTreeMap::new();
            for (number, put, x) in steps {
                if put {
                    table.put(number, &[x, 0.5], x * 2.0, x < 0.5).unwrap();
                    map.insert(number, x);
                } else {
                    prop_assert_eq!(table.remove(number), map.remove(&number).is_some());
                }
            }
            prop_assert_eq!(table.len(), map.len());
            let scores = table.scan(Isa::best(), &[1.0, 0.0]).unwrap();
            for (number, x) in map {
                let at = table.place(number).unwrap();
                prop_assert_eq!(table.number(at), Some(number));
                let cosine = if x < 0.5 { x } else { NO_COSINE };
                prop_assert!((scores[at] - cosine).abs() < 0.01, "{} {}", scores[at], x);
                prop_assert_eq!(table.self_similarity[at], x * 2.0);
            }
        }
    }
}
