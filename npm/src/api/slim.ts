/**
 * Searching and comparing without the encoder: a smaller module for pages and Workers that get records
 * from elsewhere.
 */

export { configure, type Configuration } from "../worker/backend.js";
export { compare, type CompareOptions } from "./compare.js";
export { findDuplicates } from "./duplicates.js";
export { HttpError, VidsieveError, type ErrorCode } from "../data/errors.js";
export { LocalIndex } from "./local-index.js";
export { Model, loadModel } from "./model.js";
export { SearchClient, type ClientOptions } from "./search-client.js";
export { describe } from "../data/words.js";
export type * from "../data/types.js";
export type {
  Comparison,
  Coverage,
  CoverageSide,
  DuplicateCopy,
  DuplicateExcerpt,
  DuplicateGroup,
  DuplicatePair,
  DuplicateReport,
  Explanation,
  Hit,
  Listed,
  Problem,
  ProblemCode,
  Relation,
  SearchPage,
  Segment,
  SegmentPlace,
  ServerModel,
  Untold,
} from "../data/wire.js";
export { EncodedVideo } from "./video.js";
