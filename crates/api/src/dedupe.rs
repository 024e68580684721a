//! Copies in an index: options of finding them, decisions about videos, choices that become a plan, and the lines of their
//! answers.

use serde::{Deserialize, Serialize};
use vidsieve_search::Budget;
use vidsieve_search::budget::BudgetError;

use crate::options::parsed;
use crate::problem::Problem;

/// Most groups of a report, most unfit groups, and most excerpts.
pub const MAX_GROUPS: usize = 10_000;
/// Most videos of one decision, or of the choices of one plan.
pub const MAX_CHOSEN: usize = 10_000;

/// `?min_score=&budget=&keep=&reviewed=&top=`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DedupeQuery {
    min_score: f32,
    budget: Option<String>,
    keep: Option<String>,
    reviewed: bool,
    top: usize,
}

impl Default for DedupeQuery {
    fn default() -> Self {
        Self { min_score: MIN_SCORE, budget: None, keep: None, reviewed: false, top: 1000 }
    }
}

/// Score from which two videos are copies, unless a request says otherwise.
const MIN_SCORE: f32 = 0.9;

/// Options of finding copies.
#[derive(Debug, Clone, PartialEq)]
pub struct DedupeParameters {
    /// Score from which two videos are copies, or one an excerpt of the other, in [0, 1].
    pub min_score: f32,
    /// Pairs of each video that are compared frame by frame: no time.
    pub budget: Budget,
    /// The order in which the video to keep is chosen, by names that the caller reads.
    pub keep: Vec<String>,
    /// Whether groups that were marked as reviewed are shown too.
    pub reviewed: bool,
    /// Most groups, 1 to [`MAX_GROUPS`].
    pub top: usize,
}

fn check_score(min_score: f32) -> Result<(), Problem> {
    // Also what is no number.
    match (0.0..=1.0).contains(&min_score) {
        true => Ok(()),
        false => Err(Problem::bad_request(format!("min_score is {min_score}, must be 0 to 1"))),
    }
}

impl DedupeParameters {
    /// Reads the query string.
    ///
    /// # Errors
    /// `bad-request`.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let DedupeQuery { min_score, budget, keep, reviewed, top } = parsed(query)?;
        check_score(min_score)?;
        if top == 0 || top > MAX_GROUPS {
            return Err(Problem::bad_request(format!("top is {top}, must be 1 to {MAX_GROUPS}")));
        }
        let budget = match budget {
            Some(text) => text.parse().map_err(|e: BudgetError| Problem::bad_request(e.to_string()))?,
            None => Budget::default(),
        };
        if budget.time().is_some() {
            return Err(Problem::bad_request("budget: a time is none here, give a share or pairs"));
        }
        let keep = keep.iter().flat_map(|keep| keep.split(',')).map(str::to_owned).collect();
        Ok(Self { min_score, budget, keep, reviewed, top })
    }
}

/// What is decided about videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum DecisionMark {
    /// No two of them are the same footage.
    Different,
    /// Somebody has looked at them.
    Reviewed,
}

/// A decision about videos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// What is decided.
    pub kind: DecisionMark,
    /// The videos, each once: 2 to [`MAX_CHOSEN`].
    pub ids: Vec<String>,
    /// Whether the decision is taken back.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(as = "Option<bool>", optional))]
    pub undo: bool,
}

impl DecisionRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// `bad-body`, `bad-request`.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = json("the decision", body)?;
        if !(2..=MAX_CHOSEN).contains(&request.ids.len()) {
            return Err(Problem::bad_request(format!("a decision is about 2 to {MAX_CHOSEN} videos")));
        }
        Ok(request)
    }
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionResult {
    /// The index keeps it.
    Kept,
    /// It was taken back.
    Removed,
}

/// A video to keep, and its copies that may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ChosenCopies {
    /// Id of the video to keep.
    pub keep: String,
    /// Ids of the copies that may go.
    pub go: Vec<String>,
}

/// Choices that become a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Score from which two videos are copies, in [0, 1]; 0.9.
    #[serde(default = "min_score")]
    pub min_score: f32,
    /// The groups, at most [`MAX_CHOSEN`] videos in all.
    pub groups: Vec<ChosenCopies>,
}

fn min_score() -> f32 {
    MIN_SCORE
}

impl PlanRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// `bad-body`, `bad-request`.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = json("the choices", body)?;
        check_score(request.min_score)?;
        let videos: usize = request.groups.iter().map(|group| 1 + group.go.len()).sum();
        match videos {
            0 => Err(Problem::bad_request("no group is chosen")),
            1..=MAX_CHOSEN => Ok(request),
            _ => Err(Problem::bad_request(format!("{videos} videos are chosen, at most {MAX_CHOSEN} fit into a plan"))),
        }
    }
}

fn json<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::bad_body(format!("{what}: {error}")))
}

/// A line of an answer that says how far the work is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ProgressLine {
    /// What is being done, in a word or two.
    pub stage: String,
    /// Units done, from 0 to `total`.
    pub done: f64,
    /// Units in all, if known.
    pub total: Option<f64>,
    /// What is counted.
    pub unit: String,
}

/// A line of an answer: `page` names its kind, `last` is true in the last one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "page", rename_all = "lowercase")]
pub enum DedupeLine<R> {
    /// How far the work is.
    Progress {
        /// False.
        last: bool,
        /// How far it is.
        #[serde(flatten)]
        progress: ProgressLine,
    },
    /// The groups, as `vidsieve dedupe --json` prints them.
    Report {
        /// True.
        last: bool,
        /// Groups and excerpts that are left out: those with the fewest bytes.
        left_out: usize,
        /// The report.
        report: R,
    },
    /// The plan.
    Plan {
        /// True.
        last: bool,
        /// The text of the file that `vidsieve dedupe apply` reads: its numbers have more digits than those of JavaScript.
        plan: String,
    },
}

impl<R: Serialize> DedupeLine<R> {
    /// The line, with its end.
    ///
    /// # Errors
    /// `internal` for a report that is no JSON.
    pub fn line(&self) -> Result<String, Problem> {
        serde_json::to_string(self).map(|line| line + "\n").map_err(|_| Problem::internal())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn options() {
        let defaults = DedupeParameters::parse("").unwrap();
        assert_eq!((defaults.min_score, defaults.top, defaults.keep.len()), (0.9, 1000, 0));
        let asked =
            DedupeParameters::parse("min_score=0.5&budget=none&keep=longest,path:a&reviewed=true&top=7").unwrap();
        assert_eq!((asked.budget, asked.reviewed, asked.top), (Budget::None, true, 7));
        assert_eq!(asked.keep, ["longest", "path:a"]);
        for bad in ["min_score=2", "min_score=nan", "top=0", "top=10001", "budget=x", "budget=5s", "other=1"] {
            assert_eq!(DedupeParameters::parse(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn bodies() {
        let decision = DecisionRequest::parse(br#"{"kind":"different","ids":["a","b"]}"#).unwrap();
        assert_eq!((decision.kind, decision.undo), (DecisionMark::Different, false));
        let plan = PlanRequest::parse(br#"{"groups":[{"keep":"a","go":["b"]}]}"#).unwrap();
        assert_eq!((plan.min_score, plan.groups[0].go.len()), (0.9, 1));
        let many = format!(r#"{{"groups":[{{"keep":"a","go":{:?}}}]}}"#, vec!["b"; MAX_CHOSEN]);
        for (body, status) in [
            (r#"{"kind":"different","ids":["a"]}"#, 400),
            (r#"{"kind":"other","ids":["a","b"]}"#, 422),
            (r#"{"kind":"different","ids":["a","b"],"x":1}"#, 422),
            ("", 422),
        ] {
            assert_eq!(DecisionRequest::parse(body.as_bytes()).unwrap_err().status(), status, "{body}");
        }
        for (body, status) in [
            (r#"{"groups":[]}"#, 400),
            (r#"{"min_score":-1,"groups":[{"keep":"a","go":["b"]}]}"#, 400),
            (many.as_str(), 400),
            (r#"{"groups":[{"keep":"a"}]}"#, 422),
            ("[]", 422),
        ] {
            assert_eq!(PlanRequest::parse(body.as_bytes()).unwrap_err().status(), status, "{body:.60}");
        }
    }

    #[test]
    fn lines() {
        let progress = ProgressLine { stage: "comparing".into(), done: 1.0, total: None, unit: "pairs".into() };
        let line = DedupeLine::<()>::Progress { last: false, progress }.line().unwrap();
        assert_eq!(
            line,
            "{\"page\":\"progress\",\"last\":false,\"stage\":\"comparing\",\"done\":1.0,\"total\":null,\"unit\":\"pairs\"}\n"
        );
    }
}
