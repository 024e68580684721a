/**
 * The data that the Rust crates define: pages, hits, comparisons, records, listings, problems.
 *
 * Types only, generated from the Rust types. The names are those of the HTTP API's JSON and of the
 * objects that the WebAssembly modules return.
 */

export type {
  Comparison,
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
  SearchPage,
  SearchParameters,
  SearchTimings as Timings,
  Segment,
  ServerModel,
} from "./wire.generated.js";

/** @internal */
export type { RecordInfo, SearchStep } from "./wire.generated.js";
