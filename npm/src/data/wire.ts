/**
 * Data types of the Rust crates: pages, hits, comparisons, records, listings, problems.
 *
 * They are generated from the Rust types. Their fields have the names of the HTTP API's JSON and of
 * the objects that the WebAssembly modules return.
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
