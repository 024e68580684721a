// Generated from the Rust types; do not edit. To write it again:
// VIDSIEVE_WRITE_TYPES=1 cargo test -p vidsieve-wasm --features typescript --lib typescript

/** Position of an interval in a video, among its informative frames. */
export type SegmentPlace =
  | "beginning"
  | "middle"
  | "end"
  | "whole";

/** Matching intervals of two videos. */
export interface Segment {
  /** Start and end in the query, in seconds. */
  query: [number, number];
  /** Start and end in the target, in seconds. */
  target: [number, number];
  /** Position in the query and in the target. */
  at: [SegmentPlace, SegmentPlace];
  /** Mean similarity of the aligned frames, in [0, 1]. */
  score: number;
}

/** Relation of the query to a target. */
export type Relation =
  | "copy"
  | "excerpt"
  | "contains"
  | "shares-part"
  | "same-scene"
  | "different";

/** How much of a video the other one shows, in informative frames. */
export interface CoverageSide {
  /** Seconds of informative time that match. */
  seconds: number;
  /** Matching share of the video's informative time, in [0, 1]. */
  share: number;
}

/** How much of each of two videos the other one shows, in informative frames. */
export interface Coverage {
  /** Coverage of the query. */
  query: CoverageSide;
  /** Coverage of the target. */
  target: CoverageSide;
}

/** Why the relation of a pair cannot be determined. */
export type Untold =
  | "nothing-in-query"
  | "nothing-in-target"
  | "nothing-changes";

/** Numbers behind a hit's scores. */
export interface Explanation {
  /** S^c's cosine in [-1, 1]. */
  coarse_cosine: number;
  /** S^f_B's similarity in [-1, 1], if the pair was compared. */
  fine_similarity: number | null;
  /** The selector's scalar of the video. */
  self_similarity: number;
  /** Whether the pair was within the budget. */
  selected: boolean;
  /** Rank among all videos by the coarse score, from 1. */
  coarse_rank: number;
}

/** Stage that computed a hit's score. */
export type HitStage =
  | "coarse"
  | "fine";

/** One video of a search's result. */
export interface Hit {
  /** The video. */
  id: string;
  /**
   * Score in [0, 1]: the probability that the query's informative footage is in the video. At most
   * 0.89 if the pair was not compared.
   */
  score: number;
  /** Stage that computed the score. */
  stage: HitStage;
  /** S^c's score in [0, 1]. */
  coarse: number;
  /** S^f_B's score in [0, 1], if the pair was compared. */
  fine: number | null;
  /** The selector's probability that the coarse score is wrong, if there is a selector. */
  doubt: number | null;
  /** Relation of the query to the video; null if the pair was not compared. */
  relation: Relation | null;
  /** How much of each video the other one shows; null if the pair was not compared. */
  coverage: Coverage | null;
  /** Why the relation cannot be determined. */
  untold?: Untold;
  /** Matching segments, best first; empty unless requested. */
  segments: Segment[];
  /**
   * Start and end in seconds of the part most similar to the query, for hits that were not
   * compared. Absent if that is the whole video.
   */
  near?: [number, number];
  /** Why a selected pair was not compared. */
  unavailable?: string;
  /** Numbers behind the scores, if requested. */
  explain?: Explanation;
}

/** Milliseconds of each part of a search. */
export interface SearchTimings {
  /** Comparing the query's vector with all videos. */
  scan: number;
  /** Selecting the pairs to compare. */
  select: number;
  /** Waiting for records. */
  fetch: number;
  /** Comparing frame by frame. */
  compare: number;
  /** Computing segments, including the records that this needs. */
  segments: number;
  /** From the start of the search to this page. */
  total: number;
}

/** Kind of a page. */
export type PageStage =
  | "coarse"
  | "refined";

/** Page of a search's result: the coarse page comes first, the refined page after re-ranking. */
export interface SearchPage {
  /** Kind of the page. */
  page: PageStage;
  /** Whether no page follows. */
  last: boolean;
  /** SHA-256 of the bundle, 64 hexadecimal digits. */
  model: string;
  /** Number of searched videos. */
  videos: number;
  /** The budget of the search, as text. */
  budget: string;
  /** Number of pairs within the budget. */
  selected: number;
  /** Number of compared pairs. */
  reranked: number;
  /** Number of selected pairs that could not be compared: their hits keep coarse scores. */
  missing: number;
  /** Whether the page is incomplete. */
  degraded: boolean;
  /**
   * What else the page lacks, in words, such as a part of a server's index that did not answer, or
   * a query without informative frames.
   */
  warnings?: string[];
  /** Hits, best first. */
  hits: Hit[];
  /** Milliseconds of each part. */
  timings_ms: SearchTimings;
}

/** Parameters of a search. */
export interface SearchParameters {
  /** Maximum number of hits of a page. Default: 10. */
  top: number;
  /**
   * Budget for re-ranking frame by frame: `auto` (the default), `none`, `all`, `5%`, `100pairs`,
   * `p>0.5`, `200ms`, `2s`.
   */
  budget: string;
  /** Minimum score of a hit. Default: 0. */
  minScore: number;
  /** Whether to compute the segments of hits. Default: true. */
  segments: boolean;
  /** Whether hits include the numbers behind their scores. Default: false. */
  explain: boolean;
}

/** What the host does next. @internal */
export type SearchStep =
  | { step: "page"; page: SearchPage }
  | { step: "compare"; ids: string[] }
  | { step: "align"; ids: string[] }
  | { step: "done" };

/** What the host does next. @internal */
export type DuplicateStep =
  | { step: "chosen"; done: number; all: number }
  | { step: "compare"; query: string; targets: string[]; done: number; all: number }
  | { step: "done" };

/** A copy of the video to keep. */
export interface DuplicateCopy {
  /** Its id. */
  id: string;
  /** Score with the video to keep, in [0, 1]. */
  score: number;
  /** How much of the copy (`query`) and of the video to keep (`target`) the other one shows. */
  coverage: Coverage;
}

/** A video to keep and its copies. */
export interface DuplicateGroup {
  /** Id of the video to keep: the first in the order of preference that is not an excerpt. */
  keep: string;
  /** Copies of the video; at least one. */
  copies: DuplicateCopy[];
}

/** A video that is an excerpt of a longer one. */
export interface DuplicateExcerpt {
  /** Its id. */
  id: string;
  /** Id of the video that contains the excerpt. */
  of: string;
  /** Score of the pair, in [0, 1]. */
  score: number;
  /** How much of the excerpt (`query`) and of the longer video (`target`) the other one shows. */
  coverage: Coverage;
}

/**
 * Two related videos that are neither copies nor excerpt and whole, or whose score is too low for
 * that.
 */
export interface DuplicatePair {
  /** Id of one video, the query of the comparison. */
  a: string;
  /** Id of the other, the target. */
  b: string;
  /** Relation of the first to the second. */
  relation: Relation;
  /** Score of the pair, in [0, 1]. */
  score: number;
  /** How much of each the other one shows. */
  coverage: Coverage;
  /** Why the relation cannot be determined. */
  untold?: Untold;
}

/** Copies and excerpts of a table. */
export interface DuplicateReport {
  /** Number of searched videos. */
  videos: number;
  /** Number of pairs compared frame by frame. */
  compared: number;
  /** Ids of videos whose record could not be read. */
  missing: string[];
  /** Groups of copies. */
  groups: DuplicateGroup[];
  /** Videos that are excerpts of longer ones, each once. */
  excerpts: DuplicateExcerpt[];
  /** Other related pairs, by relation, highest score first. */
  related: DuplicatePair[];
}

/** Result of comparing two videos. */
export interface Comparison {
  /** The aligned frames of each segment: frame of the query, frame of the target. */
  paths: [number, number][][];
  /**
   * S^f_B's score in [0, 1]: the probability that the query's informative footage is in the target.
   */
  score: number;
  /** S^c's score in [0, 1]. */
  coarse: number;
  /** S^f_B's score in [0, 1]. */
  fine: number;
  /** The selector's probability that the coarse score is wrong, if there is a selector. */
  doubt: number | null;
  /** Relation of the query to the target. */
  relation: Relation;
  /** How much of each video the other one shows. */
  coverage: Coverage;
  /** Why the relation cannot be determined. */
  untold?: Untold;
  /** Matching segments, best first. */
  segments: Segment[];
}

/** The contents of a record. @internal */
export interface RecordInfo {
  /** SHA-256 of the bundle that made the record. */
  bundle: string;
  /** Length of the video in seconds. */
  duration: number;
  /** The selector's scalar. */
  selfSimilarity: number;
  /** Number of sampled frames, T. */
  frames: number;
  /** Number of regions of a frame, R. */
  regions: number;
  /** Bits of a region's code, L. */
  bits: number;
  /** Length of the vector, D. */
  dims: number;
  /** Whether any frame is informative. */
  informative: boolean;
  /** Where the vector starts in the record, f32. */
  globalAt: number;
  /** Where the times start, u32 milliseconds. */
  timesAt: number;
  /** Where the frames' weights start, u8. */
  weightsAt: number;
  /** Where the codes start. */
  codesAt: number;
}

/** Code of an error of the engine, stable across versions. */
export type EngineErrorCode =
  | "bad-model"
  | "bad-record"
  | "other-version"
  | "other-bundle"
  | "bad-frame"
  | "bad-video"
  | "bad-argument";

/** One video of a listing. */
export interface Listed {
  /** Its id. */
  id: string;
  /** Length in seconds. */
  duration: number;
  /** Sampled frames. */
  frames: number;
  /** Size of the record in bytes. */
  bytes: number;
  /** Time at which the video was added, in seconds since 1970. */
  added: number;
  /** Checksum of the record, 16 hexadecimal digits. */
  checksum: string;
}

/** A page of the listing. */
export interface Listing {
  /** Videos, sorted by id. */
  videos: Listed[];
  /** Cursor of the next page; absent if this may be the last. */
  next: string | null;
}

/** Result of a PUT of a video. */
export type PutResult =
  | "added"
  | "replaced"
  | "unchanged";

/** Response of `/v1/model`. */
export interface ServerModel {
  /** SHA-256 of the bundle, 64 hexadecimal digits. */
  bundle: string;
  /** Number of regions of a frame, R. */
  regions: number | null;
  /** Bits of a region's code, L. */
  bits: number | null;
  /** Length of a video's vector, D. */
  dims: number | null;
  /** Names of the bundle's networks. */
  networks: string[];
  /** Size of the bundle in bytes. */
  bytes: number;
}

/** Code of a problem, stable across versions. */
export type ProblemCode =
  | "bad-request"
  | "unauthorized"
  | "forbidden"
  | "read-only"
  | "host"
  | "not-found"
  | "method-not-allowed"
  | "timeout"
  | "other-bundle"
  | "too-large"
  | "media-type"
  | "bad-body"
  | "range"
  | "too-many-requests"
  | "internal"
  | "damaged-record"
  | "busy"
  | "storage-full";

/** A problem as JSON. */
export interface ProblemDetails {
  /** `urn:vidsieve:problem:` and a stable code. */
  type: string;
  /** Short description of the problem. */
  title: string;
  /** HTTP status of the response. */
  status: number;
  /** Details of this request. */
  detail: string;
}
