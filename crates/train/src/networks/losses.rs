//! Losses of `docs/mathematics.md`, §7: triplet, L1 distillation, the similarity regulariser, binary cross-entropy; and InfoNCE.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};

/// Triplet loss `mean max(0, s_neg - s_pos + margin)` of aligned similarities `[P]` (§7.1).
#[must_use]
pub fn triplet(positive: Tensor<1>, negative: Tensor<1>, margin: f32) -> Tensor<1> {
    (negative - positive + margin).clamp_min(0.0).mean()
}

/// `mean |student - teacher|` (§7.2).
#[must_use]
pub fn l1(student: Tensor<1>, teacher: Tensor<1>) -> Tensor<1> {
    (student - teacher).abs().mean()
}

/// Mean binary cross-entropy of logits `[P]` with labels of 0 or 1, computed without overflow (§7.3).
#[must_use]
pub fn binary_cross_entropy(logits: Tensor<1>, labels: Tensor<1>) -> Tensor<1> {
    let magnitude = logits.clone().abs();
    let tail = ((magnitude * -1.0).exp() + 1.0).log();
    (logits.clone().clamp_min(0.0) - logits * labels + tail).mean()
}

/// InfoNCE of a similarity matrix `[B, N]` whose row b belongs to column b, at temperature `tau`; entries off
/// the diagonal where `excluded` is 1 are left out.
#[must_use]
pub fn info_nce(similarity: Tensor<2>, excluded: Option<Tensor<2>>, tau: f32) -> Tensor<1> {
    let [rows, columns] = similarity.dims();
    let device: Device = similarity.device();
    let mut logits = similarity / tau;
    if let Some(excluded) = excluded {
        let own = Tensor::<2>::eye(rows.max(columns), &device).narrow(0, 0, rows).narrow(1, 0, columns);
        logits = logits - excluded * (own * -1.0 + 1.0) * 1e9;
    }
    #[allow(clippy::cast_possible_wrap)]
    let diagonal: Vec<i64> = (0..rows as i64).collect();
    let diagonal = Tensor::<2, Int>::from_data(TensorData::new(diagonal, [rows, 1]), &device);
    (activation::log_softmax(logits, 1).gather(1, diagonal) * -1.0).mean()
}
