//! The default bundle from material to file: every stage in order, resumable, with what each one
//! measured.
//!
//! [`carry_out`] runs the stages of a [`Recipe`] in a [`Workshop`], which makes and keeps their
//! artefacts.

mod carry_out;
mod describing;
mod output;
mod settings;
mod students;
mod workshop;

pub use carry_out::carry_out;
pub use describing::{ITQ_ITERATIONS, ITQ_SEED, SAME};
pub use output::{Networks, RecipeReport, StageReport, bundles, save_report};
pub use settings::{Recipe, RecipeStage};
pub use students::{FinePlan, FineStart, ScoredPairs, TrainingSets, without_direct};
pub use workshop::{Workshop, bundle, given_key, read_bundle};
