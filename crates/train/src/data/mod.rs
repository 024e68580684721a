//! What networks are trained on: clips and stills, corpora of edited copies as video tensors, pools
//! of pairs.

pub mod clips;
pub mod corpus;
pub mod editing;
pub mod features;
pub mod material;
pub mod pools;
pub mod temporal;
