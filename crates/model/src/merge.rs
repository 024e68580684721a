//! The DnS merge rule (`docs/mathematics.md`, §5): which pairs are re-ranked, and one ranking of all.

/// `int(share * available)`: how many of the available targets get the fine similarity. Truncates, as the paper's
/// evaluation does: 5 % of 6 videos are none.
#[must_use]
pub fn budget_of_share(share: f64, available: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let n = (share.clamp(0.0, 1.0) * available as f64) as usize;
    n.min(available)
}

/// Indexes of `doubt` in the order in which pairs are looked at again: probability descending, then index ascending.
/// NaN counts as least doubtful.
#[must_use]
pub fn selection_order(doubt: &[f32]) -> Vec<usize> {
    let key = |i: usize| if doubt[i].is_nan() { f32::NEG_INFINITY } else { doubt[i] };
    let mut order: Vec<usize> = (0..doubt.len()).collect();
    order.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
    order
}

/// Fine similarity in [-1, 1] to the [0, 1] in which DnS merges it with coarse cosines.
#[must_use]
pub fn fine_to_unit(similarity: f64) -> f64 {
    similarity / 2.0 + 0.5
}

/// The merged scores of one query: the coarse cosine everywhere, but the fine similarity (already in [0, 1]) for the
/// first `budget` of `order`. `fine(i)` is asked for just those.
pub fn merge(coarse: &[f64], order: &[usize], budget: usize, mut fine: impl FnMut(usize) -> f64) -> Vec<f64> {
    let mut merged = coarse.to_vec();
    for &i in order.iter().take(budget) {
        merged[i] = fine(i);
    }
    merged
}

/// Indexes by score descending; ties keep their order, as Python's stable `sorted(reverse=True)` does.
#[must_use]
pub fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Adding 0 makes -0 a tie with 0.
    order.sort_by(|&a, &b| (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_truncate() {
        assert_eq!(budget_of_share(0.05, 6), 0);
        assert_eq!(budget_of_share(0.35, 6), 2);
        assert_eq!(budget_of_share(1.0, 6), 6);
        assert_eq!(budget_of_share(7.0, 6), 6);
        assert_eq!(budget_of_share(f64::NAN, 6), 0);
    }

    #[test]
    fn ties_keep_database_order() {
        assert_eq!(selection_order(&[0.5, 0.9, f32::NAN, 0.9, 0.1]), [1, 3, 0, 4, 2]);
        assert_eq!(ranking(&[0.2, 0.7, 0.7, 0.2]), [1, 2, 0, 3]);
    }

    #[test]
    fn only_the_selected_are_looked_at() {
        let mut asked = Vec::new();
        let merged = merge(&[0.1, 0.2, 0.3], &[2, 0, 1], 1, |i| {
            asked.push(i);
            fine_to_unit(1.0)
        });
        assert_eq!(merged, [0.1, 0.2, 1.0]);
        assert_eq!(asked, [2]);
    }
}
