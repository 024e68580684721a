//! Find the same video again, without uploading it.
//!
//! An [`Archive`] is an index of videos in a folder. [`Archive::add`] decodes and encodes files,
//! [`Archive::search`] finds the videos that show the footage of a query - a file, an excerpt of it or an
//! edited copy - and says where they match, [`Archive::dedupe`] groups copies and lists excerpts, and a [`DedupePlan`]
//! says what is to be done with the copies, does it, and can be taken back ([`undo_plan`]). Without an index,
//! [`encode_file`] and [`encode_frames`] encode a video and [`compare()`] compares two of them.
//!
//! The method is Distill-and-Select (Kordopatis-Zilos et al., IJCV 2022): a vector for each video answers at
//! once, a selector says which of those answers are doubtful, and a second network compares the doubtful
//! pairs frame by frame within a [`Budget`]. The networks are part of the crate ([`Model::built_in`]).
//!
//! # Example
//! A program that indexes a folder and searches it, with progress and cancellation
//! (`examples/index_and_search.rs`):
//!
//! ```no_run
#![doc = include_str!("../examples/index_and_search.rs")]
//! ```
//!
//! # Progress and cancellation
//! Every operation that takes time accepts a [`Control`]. It sends [`Progress`] to a function, possibly
//! from several threads at once, and stops soon after its [`CancelToken`] is set. [`Archive::add`] keeps
//! what is done and continues from there the next time; a cancelled search or [`Archive::dedupe`] returns
//! what it found until then; operations without a partial result return [`Error::Cancelled`].
//!
//! # Errors
//! There is one type, [`Error`]. A file that cannot be indexed is no error of [`Archive::add`] but a note of
//! its [`IndexReport`], and damage is the result of [`Archive::verify`].
//!
//! # Reports
//! Reports and answers implement [`serde::Serialize`]: they are the objects that the command `vidsieve`
//! prints with `--json`.
//!
//! # Environment
//! | variable | meaning |
//! |---|---|
//! | `VIDSIEVE_FFMPEG`, `VIDSIEVE_FFPROBE` | the programs that decode, if those in `PATH` are not wanted |
//! | `VIDSIEVE_DECODER` | `process` or `linked`, where both are built in |
//! | `VIDSIEVE_ISA` | the instruction set to compute with; by default the best of the machine |
//!
//! # Features
//! The default needs FFmpeg's programs at run time and keeps the index in a folder. `client` adds the module
//! `client`: endpoints of the HTTP API, which bring tokio and an HTTP client. `linked` decodes in-process.

mod archive;
#[cfg(feature = "client")]
pub mod client;
mod compare;
mod encode;
mod error;
mod model;
mod plan;
mod view;

pub use archive::{
    AddOptions, Archive, ArchiveCopy, ArchiveListing, ArchiveOptions, ArchiveVideo, CompactReport, CopyFile, CopyGroup,
    CopyMember, CopyPair, DamagedVideo, DecidedVideo, Decision, DecisionKind, DedupeOptions, DedupeReport,
    ExcerptVideo, FileDamage, FileState, IndexNote, IndexReport, IndexStage, IndexStageTimes, KeepBy, KeepReason,
    LinkedVideo, NameKind, NoteStatus, OtherName, PlanChoice, QueryTimings, RelatedPair, RemoveMissingReport,
    RemoveReport, SearchAnswer, SearchOptions, SearchQuery, SourceState, TurnedHit, UnreachableFolder, UntoldVideo,
    VerifyReport, find_videos,
};
pub use compare::{compare, compare_aligned, frame_similarities};
pub use encode::{EncodeOptions, EncodedVideo, RgbPicture, encode_file, encode_files, encode_frames};
pub use error::Error;
pub use model::{Model, instruction_set};
pub use plan::{
    ActedFile, ApplyReport, DedupePlan, HeldFile, PlanAction, PlanFile, PlanGroup, PlanPath, SkippedFile, UndoReport,
    undo_plan,
};
pub use view::View;

pub use vidsieve_files::{FindOptions, FoundVideos, VideoFile};
pub use vidsieve_progress::{CancelToken, Control, Progress, Unit};
pub use vidsieve_record::{BundleId, Record};
pub use vidsieve_search::segments::Alignment;
pub use vidsieve_search::{
    Budget, Comparison, Coverage, CoverageSide, Explanation, Hit, HitStage, Matrix, PageStage, Relation, SearchPage,
    SearchTimings, Segment, SegmentPlace, Untold, segments::LIKELY,
};
pub use vidsieve_video::{Info, Sampling, Warning};

/// The programs of the guide, compiled as its readers have them.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/embed-in-rust.md")]
mod guide {}
