//! Find the same video again, without uploading it.

mod archive;
mod compare;
mod encode;
mod error;
mod model;

pub use archive::{
    AddOptions, Archive, ArchiveListing, ArchiveOptions, ArchiveVideo, CompactReport, CopyGroup, CopyMember, CopyPair,
    DamagedVideo, DedupeOptions, DedupeReport, IndexNote, IndexReport, IndexStage, IndexStageTimes, KeepReason,
    NoteStatus, QueryTimings, RemoveReport, SearchAnswer, SearchOptions, SearchQuery, VerifyReport, find_videos,
};
pub use compare::{compare, compare_aligned, frame_similarities};
pub use encode::{EncodeOptions, EncodedVideo, RgbPicture, encode_file, encode_files, encode_frames};
pub use error::Error;
pub use model::{Model, instruction_set};

#[cfg(feature = "client")]
pub use vidsieve_client as client;
pub use vidsieve_files::{FoundVideos, VideoFile};
pub use vidsieve_progress::{CancelToken, Control, Progress, Unit};
pub use vidsieve_record::{BundleId, Record};
pub use vidsieve_search::segments::Alignment;
pub use vidsieve_search::{
    Budget, Comparison, Explanation, Hit, HitStage, Matrix, PageStage, SearchPage, SearchTimings, Segment,
};
pub use vidsieve_video::{Info, Sampling, Warning};
