/**
 * The data that the Rust crates define: pages, hits, comparisons, records, listings, problems.
 *
 * Types only. The names are those of the HTTP API's JSON and of the objects that the WebAssembly
 * modules return.
 */

/** Where two videos match: start and end in each, in seconds. */
export interface Segment {
  query: [number, number];
  target: [number, number];
  /** Mean similarity of the aligned frames, in [0, 1]. */
  score: number;
}

/** The numbers behind a hit's scores. */
export interface Explanation {
  coarse_cosine: number;
  fine_similarity: number | null;
  self_similarity: number;
  selected: boolean;
  coarse_rank: number;
}

/** One video of an answer. */
export interface Hit {
  id: string;
  /** In [0, 1]: the probability that it shows the query's footage. */
  score: number;
  /** Where the score comes from. */
  stage: "coarse" | "fine";
  coarse: number;
  fine: number | null;
  /** The probability that the coarse score is wrong; null of a bundle without a selector. */
  doubt: number | null;
  /** Best first; empty where it was not looked for. */
  segments: Segment[];
  /** Why a pair that was to be compared was not. */
  unavailable?: string;
  /** If asked for. */
  explain?: Explanation;
}

/** Milliseconds of each part of a search. */
export interface Timings {
  scan: number;
  select: number;
  fetch: number;
  compare: number;
  segments: number;
  total: number;
}

/**
 * A page of an answer: the coarse one comes at once, the refined one after frames were compared.
 * The names are the HTTP API's.
 */
export interface SearchPage {
  page: "coarse" | "refined";
  /** Whether no page follows. */
  last: boolean;
  /** SHA-256 of the bundle. */
  model: string;
  /** Videos that were searched. */
  videos: number;
  budget: string;
  /** Pairs that the budget pays for. */
  selected: number;
  /** Pairs that were compared. */
  reranked: number;
  /** Pairs that were to be compared and could not be. */
  missing: number;
  degraded: boolean;
  /** What else the page lacks, in words: a part of a server's index that did not answer. */
  warnings?: string[];
  hits: Hit[];
  timings_ms: Timings;
}

/** Two videos compared. */
export interface Comparison {
  /** How probably the first video's footage is in the second, in [0, 1]. */
  score: number;
  coarse: number;
  fine: number;
  /** The probability that the coarse score is wrong; null of a bundle without a selector. */
  doubt: number | null;
  /** Best first. */
  segments: Segment[];
  /** The aligned frames of each segment: frame of the first video, frame of the second. */
  paths: [number, number][][];
}

/** What a record says about itself. @internal */
export interface RecordInfo {
  bundle: string;
  duration: number;
  selfSimilarity: number;
  frames: number;
  regions: number;
  bits: number;
  dims: number;
  globalAt: number;
  timesAt: number;
  codesAt: number;
}

/** Options of a search, each with a value. @internal */
export interface SearchParameters {
  top: number;
  budget: string;
  minScore: number;
  segments: boolean;
  explain: boolean;
}

/** A video of a server's listing. */
export interface Listed {
  id: string;
  duration: number;
  frames: number;
  bytes: number;
  /** Seconds since 1970. */
  added: number;
}

/** A server's model. */
export interface ServerModel {
  /** SHA-256. */
  bundle: string;
  regions: number | null;
  bits: number | null;
  dims: number | null;
  networks: string[];
  bytes: number;
}

/** What a server says of an error (RFC 9457). */
export interface Problem {
  /** `urn:vidsieve:problem:` and a stable code. */
  type: string;
  title: string;
  status: number;
  detail: string;
}
