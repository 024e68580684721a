//! Raw similarities to probabilities: what users are shown. Rankings and the merge rule of the paper use raw values.

use serde::{Deserialize, Serialize};

use crate::math::sigmoid;
use crate::network::Network;

/// Most knots of a piecewise-linear curve.
pub const MAX_KNOTS: usize = 1024;

/// A monotone map from a raw similarity to the probability, in [0, 1], that the pair is a copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Curve {
    /// `1 / (1 + exp(-(a x + b)))`.
    Logistic {
        /// Slope, positive.
        a: f32,
        /// Offset.
        b: f32,
    },
    /// Linear between knots, constant before the first and after the last.
    PiecewiseLinear {
        /// `[x, y]`: a raw similarity and its probability; x strictly increasing, y not decreasing and in [0, 1]; 1 to
        /// [`MAX_KNOTS`] of them.
        knots: Vec<[f32; 2]>,
    },
}

impl Curve {
    /// Checks the parameters; the text says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Logistic { a, b } if !(a.is_finite() && *a > 0.0 && b.is_finite()) => {
                Err(format!("a logistic curve with a = {a}, b = {b}: a must be positive, both finite"))
            }
            Self::Logistic { .. } => Ok(()),
            Self::PiecewiseLinear { knots } => {
                if knots.is_empty() || knots.len() > MAX_KNOTS {
                    return Err(format!("{} knots, must be 1 to {MAX_KNOTS}", knots.len()));
                }
                if let Some([x, y]) = knots.iter().find(|[x, y]| !(x.is_finite() && (0.0..=1.0).contains(y))) {
                    return Err(format!("knot [{x}, {y}]: x must be finite, y in [0, 1]"));
                }
                for pair in knots.windows(2) {
                    let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
                    if x1 <= x0 || y1 < y0 {
                        return Err(format!(
                            "knot [{x1}, {y1}] after [{x0}, {y0}]: x must increase and y must not decrease"
                        ));
                    }
                }
                Ok(())
            }
        }
    }

    /// The probability of `raw`; 0 for NaN.
    #[must_use]
    pub fn apply(&self, raw: f32) -> f32 {
        if raw.is_nan() {
            return 0.0;
        }
        match self {
            Self::Logistic { a, b } => sigmoid(a * raw + b),
            Self::PiecewiseLinear { knots } => {
                let after = knots.partition_point(|[x, _]| *x <= raw);
                match (after.checked_sub(1).and_then(|i| knots.get(i)), knots.get(after)) {
                    (Some([x0, y0]), Some([x1, y1])) => {
                        let part = f64::from(raw - x0) / (f64::from(*x1) - f64::from(*x0));
                        #[allow(clippy::cast_possible_truncation)]
                        let y = (f64::from(*y0) + (f64::from(*y1) - f64::from(*y0)) * part) as f32;
                        y.clamp(*y0, *y1)
                    }
                    (Some([_, y]), None) | (None, Some([_, y])) => *y,
                    (None, None) => 0.0,
                }
            }
        }
    }
}

/// What tells whether a query's footage is in a target, beside their relation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairEvidence {
    /// The share of the query's informative time that the target shows, in [0, 1].
    pub share: f32,
    /// The probability of the surest stretch, in [0, 1] ([`crate::alignment::AlignedFrames::probability`]); 0 without one.
    pub surest: f32,
    /// S^f_B's similarity, in [-1, 1].
    pub similarity: f32,
    /// The mean over the query's frames of their greatest likeness, in [-1, 1] ([`crate::alignment::Aligned::likeness`]).
    pub likeness: f32,
}

/// The weights of [`PairEvidence`] in the logarithm of the odds that the query's informative footage is in the target: a
/// logistic regression on pairs with known relations, weighed by how frequent their kinds are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceWeights {
    /// What is added to the sum.
    pub offset: f32,
    /// Of the share of the query.
    pub share: f32,
    /// Of the surest stretch's log-odds, limited to -8 and 8.
    pub surest: f32,
    /// Of the similarity as `atanh`, limited to -4 and 4.
    pub similarity: f32,
    /// Of the likeness.
    pub likeness: f32,
}

impl PairEvidence {
    /// The values that [`EvidenceWeights`] weigh: share, log-odds of the surest stretch, `atanh` of the similarity, likeness.
    #[must_use]
    pub fn values(&self) -> [f32; 4] {
        let odds = (self.surest / (1.0 - self.surest).max(1e-6)).max(1e-6).ln().clamp(-8.0, 8.0);
        let similarity = self.similarity.clamp(-0.9999, 0.9999).atanh().clamp(-4.0, 4.0);
        [self.share, odds, similarity, self.likeness]
    }
}

impl EvidenceWeights {
    /// Checks the weights; the text says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let all = [self.offset, self.share, self.surest, self.similarity, self.likeness];
        if all.iter().all(|w| w.is_finite()) { Ok(()) } else { Err("weights must be finite".into()) }
    }

    /// The probability that the query's informative footage is in the target; 0 where a value is NaN.
    #[must_use]
    pub fn probability(&self, evidence: &PairEvidence) -> f32 {
        let weights = [self.share, self.surest, self.similarity, self.likeness];
        let z = self.offset + weights.iter().zip(evidence.values()).map(|(w, v)| w * v).sum::<f32>();
        if z.is_nan() { 0.0 } else { sigmoid(z) }
    }
}

/// The curve of each network that compares videos. All were fitted on labelled pairs that the networks were not trained on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of the coarse student's cosine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarse: Option<Curve>,
    /// Of S^f_A.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_attention: Option<Curve>,
    /// Of S^f_B.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_binary: Option<Curve>,
    /// Of the fine student with neither attention nor binarisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine_plain: Option<Curve>,
    /// Of the teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Curve>,
    /// Of a pair that S^f_B compared, by all that its alignment tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceWeights>,
}

impl Calibration {
    /// The curve of a network; `None` for a network without one.
    #[must_use]
    pub const fn curve(&self, network: Network) -> Option<&Curve> {
        match network {
            Network::Coarse => self.coarse.as_ref(),
            Network::FineAttention => self.fine_attention.as_ref(),
            Network::FineBinary => self.fine_binary.as_ref(),
            Network::FinePlain => self.fine_plain.as_ref(),
            Network::Teacher => self.teacher.as_ref(),
            Network::Backbone | Network::Pca | Network::Itq | Network::Selector => None,
        }
    }

    /// What users are shown for a pair that S^f_B compared, in [0, 1]; without weights of evidence what [`Calibration::apply`]
    /// returns for its similarity.
    #[must_use]
    pub fn of_evidence(&self, evidence: &PairEvidence) -> f32 {
        match &self.evidence {
            Some(weights) => weights.probability(evidence),
            None => self.apply(Network::FineBinary, evidence.similarity),
        }
    }

    /// What users are shown for the raw similarity of a network: the probability by its curve, in [0, 1]. Without a curve
    /// it is `raw / 2 + 0.5`, limited to [0, 1]: a score, not a probability ([`Calibration::curve`] tells which). 0 for
    /// NaN.
    #[must_use]
    pub fn apply(&self, network: Network, raw: f32) -> f32 {
        match self.curve(network) {
            Some(curve) => curve.apply(raw),
            None if raw.is_nan() => 0.0,
            None => (raw / 2.0 + 0.5).clamp(0.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_by_hand() {
        let logistic = Curve::Logistic { a: 4.0, b: -1.0 };
        assert!((logistic.apply(0.25) - 0.5).abs() < 1e-6);
        assert!((logistic.apply(1.0) - 1.0 / (1.0 + (-3f32).exp())).abs() < 1e-6);
        assert_eq!(logistic.apply(f32::NAN), 0.0);
        let knots = Curve::PiecewiseLinear { knots: vec![[-0.5, 0.1], [0.0, 0.1], [0.5, 0.9], [1.0, 1.0]] };
        for (raw, expected) in
            [(-9.0, 0.1), (-0.5, 0.1), (-0.25, 0.1), (0.0, 0.1), (0.25, 0.5), (0.5, 0.9), (0.75, 0.95), (2.0, 1.0)]
        {
            assert!((knots.apply(raw) - expected).abs() < 1e-6, "{raw}: {}", knots.apply(raw));
        }
        let single = Curve::PiecewiseLinear { knots: vec![[0.3, 0.7]] };
        assert_eq!([single.apply(-1.0), single.apply(0.3), single.apply(1.0)], [0.7; 3]);
        let extreme = Curve::PiecewiseLinear { knots: vec![[f32::MIN, 0.0], [f32::MAX, 1.0]] };
        assert!((extreme.apply(0.0) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn curves_never_fall_and_stay_in_the_unit_interval() {
        let knots = vec![[-0.9, 0.0], [-0.899_999, 0.3], [0.1, 0.3], [0.7, 0.8], [0.95, 1.0]];
        for curve in [
            Curve::Logistic { a: 12.5, b: -3.0 },
            Curve::Logistic { a: 1e-3, b: 0.0 },
            Curve::Logistic { a: 1e6, b: 17.0 },
            Curve::PiecewiseLinear { knots },
        ] {
            let mut last = 0f32;
            for i in -12_000..=12_000i16 {
                let y = curve.apply(f32::from(i) / 10_000.0);
                // A polynomial's last bit may wobble.
                assert!((0.0..=1.0).contains(&y) && y >= last - 1e-6, "{curve:?} at {i}: {last} then {y}");
                last = y.max(last);
            }
        }
    }

    #[test]
    fn a_network_without_a_curve_is_mapped_linearly() {
        let coarse = Some(Curve::Logistic { a: 2.0, b: 0.0 });
        let calibration = Calibration { coarse, ..Calibration::default() };
        assert_eq!(calibration.apply(Network::FineBinary, 0.5), 0.75);
        assert_eq!(calibration.apply(Network::FineBinary, 3.0), 1.0);
        assert_eq!(calibration.apply(Network::FineBinary, f32::NAN), 0.0);
        assert!(calibration.apply(Network::Coarse, 0.5) < 0.74);
        assert!(calibration.curve(Network::Selector).is_none());
    }

    #[test]
    fn a_score_weighs_all_that_is_known() {
        let weights = EvidenceWeights { offset: -2.0, share: 4.0, surest: 0.5, similarity: 1.0, likeness: 0.0 };
        let copy = PairEvidence { share: 1.0, surest: 0.99, similarity: 0.9, likeness: 0.9 };
        let take = PairEvidence { share: 0.0, surest: 0.1, similarity: 0.9, likeness: 0.9 };
        let by_hand = -2.0 + 4.0 + 0.5 * (0.99f32 / 0.01).ln() + 0.9f32.atanh();
        assert!((weights.probability(&copy) - sigmoid(by_hand)).abs() < 1e-4);
        assert!(weights.probability(&copy) > 0.99 && weights.probability(&take) < 0.5);
        let nothing = PairEvidence { similarity: f32::NAN, ..PairEvidence::default() };
        assert_eq!(weights.probability(&nothing), 0.0);
        assert!(PairEvidence { surest: 1.0, similarity: 1.0, ..copy }.values().iter().all(|v| v.is_finite()));
        let calibration = Calibration { evidence: Some(weights), ..Calibration::default() };
        assert_eq!(calibration.of_evidence(&copy), weights.probability(&copy));
        assert!((Calibration::default().of_evidence(&copy) - 0.95).abs() < 1e-6);
    }

    #[test]
    fn json() {
        let text = r#"{"coarse":{"kind":"logistic","a":9.5,"b":-4.0},"fine_binary":{"kind":"piecewise_linear","knots":[[0.0,0.0],[1.0,1.0]]}}"#;
        let calibration: Calibration = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&calibration).unwrap(), text);
        for bad in [
            r#"{"coarse":{"kind":"step","a":1.0}}"#,
            r#"{"coarse":{"kind":"logistic","a":1.0,"b":0.0,"c":0.0}}"#,
            r#"{"selector":{"kind":"logistic","a":1.0,"b":0.0}}"#,
        ] {
            assert!(serde_json::from_str::<Calibration>(bad).is_err(), "{bad}");
        }
    }
}
