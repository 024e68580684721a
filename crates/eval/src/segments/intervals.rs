//! Unions of intervals.

/// Disjoint intervals, ascending.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Intervals(Vec<[f64; 2]>);

impl Intervals {
    pub(super) fn of(intervals: impl IntoIterator<Item = [f64; 2]>) -> Self {
        let mut sorted: Vec<[f64; 2]> = intervals.into_iter().collect();
        sorted.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        let mut union: Vec<[f64; 2]> = Vec::new();
        for [start, end] in sorted {
            match union.last_mut() {
                Some(last) if start <= last[1] => last[1] = last[1].max(end),
                _ => union.push([start, end]),
            }
        }
        Self(union)
    }

    pub(super) fn length(&self) -> f64 {
        self.0.iter().map(|[start, end]| end - start).sum()
    }

    /// The length in single precision, as VCSL's program adds it up.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn length_f32(&self) -> f64 {
        f64::from(self.0.iter().map(|[start, end]| *end as f32 - *start as f32).sum::<f32>())
    }

    /// `|A| + |B| - |A and B together|`.
    pub(super) fn common_length(&self, other: &Self) -> f64 {
        let union = Self::of(self.0.iter().chain(&other.0).copied());
        self.length() + other.length() - union.length()
    }
}
