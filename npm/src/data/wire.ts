/**
 * The data that the Rust crates define: pages, hits, comparisons, records, listings, problems.
 *
 * Types only, generated from the Rust types. The names are those of the HTTP API's JSON and of the
 * objects that the WebAssembly modules return.
 */

export type {
  Comparison,
  Coverage,
  CoverageSide,
  DuplicateCopy,
  DuplicateExcerpt,
  DuplicateGroup,
  DuplicatePair,
  DuplicateReport,
  EngineErrorCode,
  Explanation,
  Hit,
  HitStage,
  Listed,
  Listing,
  PageStage,
  ProblemCode,
  ProblemDetails as Problem,
  PutResult,
  Relation,
  SearchPage,
  SearchParameters,
  SearchTimings as Timings,
  Segment,
  SegmentPlace,
  ServerModel,
  Untold,
} from "./wire.generated.js";

/** @internal */
export type { DuplicateStep, RecordInfo, SearchStep } from "./wire.generated.js";
