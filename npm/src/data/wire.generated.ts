// Generated from the Rust types; do not edit. To write it again:
// VIDSIEVE_WRITE_TYPES=1 cargo test -p vidsieve-wasm --features typescript --lib typescript

/** Where in a video an interval lies, among its informative frames. */
export type SegmentPlace =
  | "beginning"
  | "middle"
  | "end"
  | "whole";

/** Intervals of two videos that show the same. */
export interface Segment {
  /** Start and end in the query, in seconds. */
  query: [number, number];
  /** Start and end in the target, in seconds. */
  target: [number, number];
  /** Where they lie in the query and in the target. */
  at: [SegmentPlace, SegmentPlace];
  /** The mean similarity of the aligned frames, in [0, 1]. */
  score: number;
}

/** How the query is related to a target. */
export type Relation =
  | "copy"
  | "excerpt"
  | "contains"
  | "shares-part"
  | "same-scene"
  | "different";

/** How much of a video the other one shows, over informative frames. */
export interface CoverageSide {
  /** Seconds of informative time that match. */
  seconds: number;
  /** Their share of the video's informative time, in [0, 1]. */
  share: number;
}

/** How much of each of two videos the other one shows, over informative frames. */
export interface Coverage {
  /** Of the query. */
  query: CoverageSide;
  /** Of the target. */
  target: CoverageSide;
}

/** Why the relation of a pair cannot be told. */
export type Untold =
  | "nothing-in-query"
  | "nothing-in-target"
  | "nothing-changes";

/** The numbers behind a hit's scores. */
export interface Explanation {
  /** S^c's cosine in [-1, 1]. */
  coarse_cosine: number;
  /** S^f_B's similarity in [-1, 1], if the pair was compared. */
  fine_similarity: number | null;
  /** The selector's scalar of the video. */
  self_similarity: number;
  /** Whether the budget paid for the pair. */
  selected: boolean;
  /** Place among all videos by the coarse score, from 1. */
  coarse_rank: number;
}

/** Which network a hit's score comes from. */
export type HitStage =
  | "coarse"
  | "fine";

/** One video of an answer. */
export interface Hit {
  /** The video. */
  id: string;
  /**
   * Its score in [0, 1]: the probability that the query's informative footage is in the video. At
   * most 0.89 if the pair was not compared.
   */
  score: number;
  /** Where the score comes from. */
  stage: HitStage;
  /** S^c's score in [0, 1]. */
  coarse: number;
  /** S^f_B's score in [0, 1], if the pair was compared. */
  fine: number | null;
  /** The selector's probability that the coarse score is wrong, if there is a selector. */
  doubt: number | null;
  /** How the query is related to the video; null if the pair was not compared. */
  relation: Relation | null;
  /** How much of each video the other one shows; null if the pair was not compared. */
  coverage: Coverage | null;
  /** Why the relation cannot be told. */
  untold?: Untold;
  /** Where the videos match, best first; empty if that was not looked for. */
  segments: Segment[];
  /**
   * Of a hit that was not compared: the seconds of the video that are most like the query, if it is
   * not the whole.
   */
  near?: [number, number];
  /** Why a pair that was to be compared was not. */
  unavailable?: string;
  /** The numbers behind it, if asked for. */
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
  /** Finding where videos match, with the records that this needs. */
  segments: number;
  /** From the start of the search to this page. */
  total: number;
}

/** Which page of an answer it is. */
export type PageStage =
  | "coarse"
  | "refined";

/**
 * One page of an answer: the coarse one comes at once, the refined one after pairs were compared.
 */
export interface SearchPage {
  /** Which page it is. */
  page: PageStage;
  /** Whether no page follows. */
  last: boolean;
  /** SHA-256 of the bundle, 64 hexadecimal digits. */
  model: string;
  /** Videos that were searched. */
  videos: number;
  /** The budget of the search, as text. */
  budget: string;
  /** Pairs that the budget pays for. */
  selected: number;
  /** Pairs that were compared. */
  reranked: number;
  /** Pairs that were to be compared and could not be: their hits keep coarse scores. */
  missing: number;
  /** Whether anything is missing. */
  degraded: boolean;
  /**
   * What else the page lacks, in words: a part of a server's index that did not answer, a query
   * that shows nothing.
   */
  warnings?: string[];
  /** The best videos, best first. */
  hits: Hit[];
  /** Milliseconds of each part. */
  timings_ms: SearchTimings;
}

/** What a search returns and what it may cost. */
export interface SearchParameters {
  /** Most hits of a page; 10. */
  top: number;
  /**
   * What may be compared frame by frame: `auto` (the default), `none`, `all`, `5%`, `100pairs`,
   * `p>0.5`, `200ms`, `2s`.
   */
  budget: string;
  /** Hits below this score are left out; 0. */
  minScore: number;
  /** Whether segments are computed for the hits; true. */
  segments: boolean;
  /** Whether hits have the numbers behind their scores; false. */
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
  /** Its score with the video to keep, in [0, 1]. */
  score: number;
  /** How much of the copy (`query`) and of the video to keep (`target`) the other one shows. */
  coverage: Coverage;
}

/** A video to keep and its copies. */
export interface DuplicateGroup {
  /** Id of the video to keep: the first by the order of what to keep that is no excerpt. */
  keep: string;
  /** Its copies; at least one. */
  copies: DuplicateCopy[];
}

/** A video that is an excerpt of a longer one. */
export interface DuplicateExcerpt {
  /** Its id. */
  id: string;
  /** Id of the video that holds it. */
  of: string;
  /** Their score in [0, 1]. */
  score: number;
  /** How much of the excerpt (`query`) and of the longer video (`target`) the other one shows. */
  coverage: Coverage;
}

/**
 * Two videos that have something in common and are neither copies nor one an excerpt of the other,
 * or score too little for that.
 */
export interface DuplicatePair {
  /** Id of one video, the query of the comparison. */
  a: string;
  /** Id of the other, the target. */
  b: string;
  /** How the first is related to the second. */
  relation: Relation;
  /** Their score in [0, 1]. */
  score: number;
  /** How much of each the other one shows. */
  coverage: Coverage;
  /** Why the relation cannot be told. */
  untold?: Untold;
}

/** Copies and excerpts of a table. */
export interface DuplicateReport {
  /** Videos that were looked at. */
  videos: number;
  /** Pairs that were compared frame by frame. */
  compared: number;
  /** Ids of videos whose record could not be read. */
  missing: string[];
  /** Groups of copies. */
  groups: DuplicateGroup[];
  /** Videos that are excerpts of longer ones, each once. */
  excerpts: DuplicateExcerpt[];
  /** Other pairs that have something in common, by relation, the highest score first. */
  related: DuplicatePair[];
}

/** Two videos compared with each other alone. */
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
  /** How the query is related to the target. */
  relation: Relation;
  /** How much of each video the other one shows. */
  coverage: Coverage;
  /** Why the relation cannot be told. */
  untold?: Untold;
  /** Where the videos match, best first. */
  segments: Segment[];
}

/** The contents of a record. @internal */
export interface RecordInfo {
  /** SHA-256 of the bundle that made it. */
  bundle: string;
  /** Length of the video in seconds. */
  duration: number;
  /** The selector's scalar. */
  selfSimilarity: number;
  /** Sampled frames, T. */
  frames: number;
  /** Regions of a frame, R. */
  regions: number;
  /** Bits of a region's code, L. */
  bits: number;
  /** Values of the vector, D. */
  dims: number;
  /** Whether any frame shows anything. */
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

/** What went wrong in the engine; it does not change. */
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
  /** Bytes of its record. */
  bytes: number;
  /** When it was added, in seconds from 1970. */
  added: number;
  /** Its record's checksum, 16 hexadecimal digits. */
  checksum: string;
}

/** A page of the listing. */
export interface Listing {
  /** By id. */
  videos: Listed[];
  /** What the next page is asked for with; nothing if this may be the last. */
  next: string | null;
}

/** The result of putting a video. */
export type PutResult =
  | "added"
  | "replaced"
  | "unchanged";

/** The answer of `/v1/model`. */
export interface ServerModel {
  /** SHA-256 of the bundle, 64 hexadecimal digits. */
  bundle: string;
  /** Regions of a frame, R. */
  regions: number | null;
  /** Bits of a region's code, L. */
  bits: number | null;
  /** Values of a video's vector, D. */
  dims: number | null;
  /** Names of the networks that the bundle has. */
  networks: string[];
  /** Bytes of the bundle. */
  bytes: number;
}

/** The code of a problem; it does not change. */
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
  /** What went wrong, in a few words. */
  title: string;
  /** The status of the answer. */
  status: number;
  /** What went wrong with this request. */
  detail: string;
}
