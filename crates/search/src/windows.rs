//! Vectors of parts of videos, beside those of whole videos: what finds a clip in a film.

use std::collections::HashSet;

use vidsieve_kernels::{Isa, scan};
use vidsieve_record::{PlacedWindow, WindowVector};

use crate::table::NO_COSINE;

/// Most windows of a query that are compared with all videos: of a longer one every so many.
const QUERY_WINDOWS: usize = 64;

/// The vectors of a query that the videos of an index are compared with: that of the whole and those of its windows.
#[derive(Debug, Clone)]
pub struct Probe {
    vectors: Vec<Vec<f32>>,
    /// The same in int8, with scales.
    codes: Vec<(Vec<i8>, f32)>,
}

impl Probe {
    /// The probe of a query with S^c's vector `global` and these windows; windows of another length are left out.
    #[must_use]
    pub fn new(global: &[f32], windows: &[WindowVector]) -> Self {
        let every = windows.len().div_ceil(QUERY_WINDOWS).max(1);
        let some = windows.iter().step_by(every).filter(|window| window.values.len() == global.len());
        let mut probe = Self { vectors: vec![global.to_vec()], codes: vec![scan::quantise_i8(global)] };
        for window in some {
            probe.vectors.push(window.vector().collect());
            probe.codes.push((window.values.clone(), window.scale));
        }
        probe
    }

    /// The vectors of unit length, that of the whole query first.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.vectors.iter().map(Vec::as_slice)
    }

    /// The same in int8, with scales.
    pub(crate) fn codes(&self) -> impl Iterator<Item = (&[i8], f32)> {
        self.codes.iter().map(|(values, scale)| (values.as_slice(), *scale))
    }
}

/// The coarse answer of every video of a table, in the table's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CoarseScan {
    /// The cosines.
    pub cosines: Vec<f32>,
    /// The seconds of the window that a cosine comes from; none where it is the whole video's.
    pub near: Vec<Option<[f32; 2]>>,
}

impl From<Vec<f32>> for CoarseScan {
    /// Cosines of whole videos.
    fn from(cosines: Vec<f32>) -> Self {
        Self { near: vec![None; cosines.len()], cosines }
    }
}

/// A window's row that stands for none.
const NO_ROW: u32 = u32::MAX;

/// S^c's vectors of parts of the videos of a table: D + 16 bytes each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Windows {
    /// `[windows][D]`.
    values: Vec<i8>,
    scales: Vec<f32>,
    /// Where each begins and ends in its video.
    seconds: Vec<[f32; 2]>,
    /// The video of each, by its place.
    owners: Vec<u32>,
    /// The videos that have any.
    having: HashSet<u32>,
}

impl Windows {
    pub(crate) const fn len(&self) -> usize {
        self.owners.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.values.len() + 16 * self.owners.len()
    }

    /// Gives a video windows of `dims` values in place of those that it has.
    pub(crate) fn put(&mut self, dims: usize, owner: u32, windows: &[PlacedWindow]) {
        self.remove(dims, owner);
        for window in windows {
            self.values.extend_from_slice(&window.values);
            self.scales.push(window.scale);
            self.seconds.push(window.seconds);
            self.owners.push(owner);
            self.having.insert(owner);
        }
    }

    pub(crate) fn remove(&mut self, dims: usize, owner: u32) {
        if !self.having.remove(&owner) {
            return;
        }
        let mut place = 0;
        while place < self.owners.len() {
            if self.owners[place] != owner {
                place += 1;
                continue;
            }
            let last = self.owners.len() - 1;
            self.owners.swap_remove(place);
            self.scales.swap_remove(place);
            self.seconds.swap_remove(place);
            self.values.copy_within(last * dims.., place * dims);
            self.values.truncate(last * dims);
        }
    }

    /// Gives the windows of one video to another, which has none.
    pub(crate) fn rename(&mut self, from: u32, to: u32) {
        if self.having.remove(&from) {
            self.having.insert(to);
            self.owners.iter_mut().filter(|owner| **owner == from).for_each(|owner| *owner = to);
        }
    }

    /// The seconds of a row.
    pub(crate) fn seconds(&self, row: u32) -> Option<[f32; 2]> {
        self.seconds.get(usize::try_from(row).ok()?).copied()
    }

    /// The probe of a video with the vector `global` and its windows.
    pub(crate) fn probe(&self, global: &[f32], owner: u32) -> Probe {
        let mut probe = Probe { vectors: vec![global.to_vec()], codes: vec![scan::quantise_i8(global)] };
        if !self.having.contains(&owner) {
            return probe;
        }
        let own: Vec<usize> = (0..self.owners.len()).filter(|&window| self.owners[window] == owner).collect();
        for &window in own.iter().step_by(own.len().div_ceil(QUERY_WINDOWS).max(1)) {
            let (values, scale) = (&self.values[window * global.len()..][..global.len()], self.scales[window]);
            probe.vectors.push(values.iter().map(|&value| f32::from(value) * scale).collect());
            probe.codes.push((values.to_vec(), scale));
        }
        probe
    }

    /// Raises the cosine of each video to that of the best of its windows with any vector of the probe. Returns the row of
    /// the window that did so, for [`Windows::seconds`].
    pub(crate) fn raise(&self, isa: Isa, probe: &Probe, cosines: &mut [f32]) -> Vec<u32> {
        let mut best = vec![NO_ROW; cosines.len()];
        if self.owners.is_empty() {
            return best;
        }
        let mut scores = vec![0f32; self.owners.len()];
        for (query, scale) in probe.codes() {
            #[cfg(feature = "parallel")]
            {
                use rayon::prelude::*;
                /// Windows that a thread scans at a time.
                const BLOCK: usize = 8192;
                let rows = self.values.par_chunks(BLOCK * query.len()).zip(self.scales.par_chunks(BLOCK));
                scores
                    .par_chunks_mut(BLOCK)
                    .zip(rows)
                    .for_each(|(scores, (rows, scales))| scan::scores_i8(isa, query, scale, rows, scales, scores));
            }
            #[cfg(not(feature = "parallel"))]
            scan::scores_i8(isa, query, scale, &self.values, &self.scales, &mut scores);
            for (row, (&owner, &score)) in (0..).zip(self.owners.iter().zip(&scores)) {
                let score = score.min(1.0);
                if let Some(cosine) = cosines.get_mut(owner as usize)
                    && score > *cosine
                {
                    *cosine = score;
                    best[owner as usize] = row;
                }
            }
        }
        best
    }

    /// Of each of `videos` the cosine of its best window with any vector of the probe, [`NO_COSINE`] without one; and the
    /// row of that window.
    pub(crate) fn best(&self, isa: Isa, probe: &Probe, videos: usize) -> (Vec<f32>, Vec<u32>) {
        let mut best = vec![NO_COSINE; videos];
        let rows = self.raise(isa, probe, &mut best);
        (best, rows)
    }
}
