//! How many pairs a search may look at again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a search may spend on comparing videos frame by frame.
///
/// As text: `5%` (share of the index), `100pairs`, `p>0.5` (all pairs whose coarse answer is wrong with more than this
/// probability, by the selector), `200ms` or `2s`, `all`, `none`, `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Budget {
    /// 5 % of the index, but at least [`Budget::AUTO_PAIRS`] pairs: small indexes are compared whole.
    #[default]
    Auto,
    /// Coarse answers only.
    None,
    /// Every pair.
    All,
    /// A share of the index in [0, 1]; truncated to whole pairs, as the paper does.
    Share(f64),
    /// A number of pairs.
    Pairs(usize),
    /// Every pair with a greater probability, in [0, 1].
    Probability(f32),
    /// As many as can be compared in this time.
    Time(Duration),
}

/// A text that is no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no budget: write 5%, 100pairs, p>0.5, 200ms, 2s, all, none or auto")]
pub struct BudgetError(pub String);

impl Budget {
    /// Pairs that [`Budget::Auto`] always pays for.
    pub const AUTO_PAIRS: usize = 500;

    /// Of `doubt` in the order of selection (most doubtful first), how many are selected. A time budget selects all pairs; the
    /// caller stops at the deadline.
    #[must_use]
    pub fn pairs(self, videos: usize, doubt: impl Iterator<Item = f32>) -> usize {
        use vidsieve_model::merge::budget_of_share;
        match self {
            Self::None => 0,
            Self::All | Self::Time(_) => videos,
            Self::Auto => budget_of_share(0.05, videos).max(Self::AUTO_PAIRS).min(videos),
            Self::Share(share) => budget_of_share(share, videos),
            Self::Pairs(n) => n.min(videos),
            Self::Probability(p) => doubt.take_while(|d| *d > p).count(),
        }
    }

    /// The time that this budget allows, if it is one.
    #[must_use]
    pub const fn time(self) -> Option<Duration> {
        match self {
            Self::Time(time) => Some(time),
            _ => None,
        }
    }
}

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let text = text.trim();
        let refuse = || BudgetError(text.chars().take(64).collect());
        let number = |digits: &str| digits.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        match text {
            "all" => return Ok(Self::All),
            "none" => return Ok(Self::None),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        if let Some(share) = text.strip_suffix('%') {
            return number(share).filter(|s| *s <= 100.0).map(|s| Self::Share(s / 100.0)).ok_or_else(refuse);
        }
        if let Some(p) = text.strip_prefix("p>") {
            #[allow(clippy::cast_possible_truncation)]
            return number(p).filter(|p| *p <= 1.0).map(|p| Self::Probability(p as f32)).ok_or_else(refuse);
        }
        // At most an hour.
        let time = |seconds: f64| (seconds <= 3600.0).then(|| Self::Time(Duration::from_secs_f64(seconds)));
        if let Some(ms) = text.strip_suffix("ms") {
            return number(ms).and_then(|ms| time(ms / 1000.0)).ok_or_else(refuse);
        }
        if let Some(pairs) = text.strip_suffix("pairs").or_else(|| text.strip_suffix("pair")) {
            return pairs.trim().parse().map(Self::Pairs).map_err(|_| refuse());
        }
        if let Some(seconds) = text.strip_suffix('s') {
            return number(seconds).and_then(time).ok_or_else(refuse);
        }
        Err(refuse())
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            // Through f32, which prints 7 % as 7 and not as 7.000000000000001.
            #[allow(clippy::cast_possible_truncation)]
            Self::Share(share) => write!(f, "{}%", (share * 100.0) as f32),
            Self::Pairs(n) => write!(f, "{n}pairs"),
            Self::Probability(p) => write!(f, "p>{p}"),
            Self::Time(time) => write!(f, "{}ms", time.as_secs_f64() * 1000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts() {
        for (text, budget) in [
            ("5%", Budget::Share(0.05)),
            ("7%", Budget::Share(0.07)),
            ("0.5%", Budget::Share(0.005)),
            ("100%", Budget::Share(1.0)),
            ("100pairs", Budget::Pairs(100)),
            ("p>0.5", Budget::Probability(0.5)),
            ("200ms", Budget::Time(Duration::from_millis(200))),
            ("all", Budget::All),
            ("none", Budget::None),
            ("auto", Budget::Auto),
        ] {
            assert_eq!(text.parse::<Budget>().unwrap(), budget, "{text}");
            assert_eq!(budget.to_string(), text);
        }
        assert_eq!("2s".parse::<Budget>().unwrap(), Budget::Time(Duration::from_secs(2)));
        for text in ["", "5", "101%", "-1%", "p>2", "p>", "1e99s", "2h", "pairs", "NaN%", "infms", "1.5pairs"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }

    #[test]
    fn pairs() {
        let doubt = [0.9f32, 0.6, 0.5, 0.1];
        let pairs = |budget: Budget, n| budget.pairs(n, doubt.into_iter());
        assert_eq!(pairs(Budget::Share(0.05), 6), 0);
        assert_eq!(pairs(Budget::Share(0.5), 7), 3);
        assert_eq!(pairs(Budget::Pairs(9), 4), 4);
        assert_eq!(pairs(Budget::Probability(0.5), 4), 2);
        assert_eq!(pairs(Budget::Auto, 4), 4);
        assert_eq!(pairs(Budget::Auto, 200_000), 10_000);
        assert_eq!(pairs(Budget::Auto, 600), 500);
    }
}
