//! The coarse scan where memory is short: int8 vectors in memory, the exact ones elsewhere.

use std::collections::HashMap;

use vidsieve_kernels::{Isa, scan};
use vidsieve_record::PlacedWindow;

use crate::engine::Engine;
use crate::error::SearchError;
use crate::table::{number as place_number, without_cosines};
use crate::windows::{Probe, Windows};

/// int8 vectors and self-similarities of videos that are known by a number, and which of them show
/// nothing: D + 9 bytes a video, and 16 to find its place.
///
/// Cosines are right to about 0.005. A caller that needs them exactly takes some more candidates than
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
    windows: Windows,
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

/// The result of [`Quantised::scan`], in the order of places.
#[derive(Debug, Clone, Default)]
pub struct QuantisedScan {
    /// The cosines.
    pub cosines: Vec<f32>,
    /// The best window of each video, for [`Quantised::best_window`].
    pub windows: BestWindows,
}

/// The best window of each video of a scan.
#[derive(Debug, Clone, Default)]
pub struct BestWindows((Vec<f32>, Vec<u32>));

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

    /// Values of a vector.
    #[must_use]
    pub const fn dims(&self) -> usize {
        self.dims
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

    /// Adds a video or replaces it, with the vectors of its windows. `informative`: whether it shows anything.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn put(
        &mut self,
        number: u32,
        vector: &[f32],
        self_similarity: f32,
        informative: bool,
        windows: &[PlacedWindow],
    ) -> Result<(), SearchError> {
        let lengths = windows.iter().map(|window| window.values.len());
        if let Some(found) = std::iter::once(vector.len()).chain(lengths).find(|&length| length != self.dims) {
            return Err(SearchError::Dims { expected: self.dims, found });
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
        self.windows.put(self.dims, place_number(place), windows);
        Ok(())
    }

    /// Gives a video windows in place of those that it has; a video that is not there gets none.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn put_windows(&mut self, number: u32, windows: &[PlacedWindow]) -> Result<(), SearchError> {
        if let Some(window) = windows.iter().find(|window| window.values.len() != self.dims) {
            return Err(SearchError::Dims { expected: self.dims, found: window.values.len() });
        }
        if let Some(place) = self.place(number) {
            self.windows.put(self.dims, place_number(place), windows);
        }
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
        self.windows.remove(self.dims, place_number(place));
        if let Some(moved) = self.numbers.get(place) {
            self.places.insert(*moved, place);
            self.windows.rename(place_number(last), place_number(place));
        }
        true
    }

    /// The cosine of every video with a query, to about 0.005 ([`crate::Table::coarse`]), and that of its windows alone,
    /// exactly; [`NO_COSINE`](crate::table::NO_COSINE) of a video that shows nothing, or has no window.
    ///
    /// # Errors
    /// [`SearchError::Dims`] for a vector of another length.
    pub fn scan(&self, isa: Isa, probe: &Probe) -> Result<QuantisedScan, SearchError> {
        if self.is_empty() {
            return Ok(QuantisedScan::default());
        }
        let windows = self.windows.best(isa, probe, self.len());
        let mut cosines = windows.0.clone();
        let mut scores = vec![0f32; self.len()];
        for (query, scale) in probe.codes() {
            if query.len() != self.dims {
                return Err(SearchError::Dims { expected: self.dims, found: query.len() });
            }
            scan::scores_i8(isa, query, scale, &self.values, &self.scales, &mut scores);
            cosines.iter_mut().zip(&scores).for_each(|(cosine, &score)| *cosine = cosine.max(score));
        }
        without_cosines(&self.informative, &mut cosines);
        Ok(QuantisedScan { cosines, windows: BestWindows(windows) })
    }

    /// The cosine of the best window of the video at a place, and its seconds; none of a video without windows.
    #[must_use]
    pub fn best_window(&self, best: &BestWindows, place: usize) -> Option<(f32, [f32; 2])> {
        let BestWindows((cosines, rows)) = best;
        Some((*cosines.get(place)?, self.windows.seconds(*rows.get(place)?)?))
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
    use vidsieve_record::WindowVector;

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
                    table.put(number, &[x, 0.5], x * 2.0, x < 0.5, &[]).unwrap();
                    map.insert(number, x);
                } else {
                    prop_assert_eq!(table.remove(number), map.remove(&number).is_some());
                }
            }
            prop_assert_eq!(table.len(), map.len());
            let QuantisedScan { cosines: scores, windows } =
                table.scan(Isa::best(), &Probe::new(&[1.0, 0.0], &[])).unwrap();
            prop_assert!((0..table.len()).all(|place| table.best_window(&windows, place).is_none()));
            for (number, x) in map {
                let at = table.place(number).unwrap();
                prop_assert_eq!(table.number(at), Some(number));
                let cosine = if x < 0.5 { x } else { NO_COSINE };
                prop_assert!((scores[at] - cosine).abs() < 0.01, "{} {}", scores[at], x);
                prop_assert_eq!(table.self_similarity[at], x * 2.0);
            }
        }
    }

    #[test]
    fn windows_as_in_the_table_of_exact_vectors() {
        let window = |x: f32, y: f32| WindowVector::quantise(0, 15, &[x, y]);
        let placed = |x: f32, y: f32, start: f32| PlacedWindow::new(window(x, y), [start, start + 16.0]);
        let mut table = Quantised::new(2);
        table.put(7, &[1.0, 0.0], 0.0, true, &[placed(-1.0, 0.1, 0.0), placed(0.6, 0.8, 8.0)]).unwrap();
        table.put(8, &[0.0, 1.0], 0.0, true, &[placed(0.0, 1.0, 4.0)]).unwrap();
        let probe = Probe::new(&[0.6, 0.8], &[window(1.0, 0.0)]);
        let found = |table: &Quantised, place: usize, cosine: f32, window: f32, seconds: [f32; 2]| {
            let QuantisedScan { cosines, windows } = table.scan(Isa::best(), &probe).unwrap();
            let (best, at) = table.best_window(&windows, place).unwrap();
            assert!((cosines[place] - cosine).abs() < 0.01, "{cosines:?}");
            assert!((best - window).abs() < 0.01 && at == seconds, "{best} {at:?}");
        };
        found(&table, 0, 1.0, 1.0, [8.0, 24.0]);
        found(&table, 1, 0.8, 0.8, [4.0, 20.0]);
        table.remove(7);
        found(&table, 0, 0.8, 0.8, [4.0, 20.0]);
        assert!(matches!(
            table.put(
                9,
                &[0.0, 1.0],
                0.0,
                true,
                &[PlacedWindow::new(WindowVector::quantise(0, 1, &[1.0]), [0.0, 1.0])]
            ),
            Err(SearchError::Dims { .. })
        ));
    }
}
