/** Searching and comparing, without the encoder: a smaller module for pages and Workers that get records from elsewhere. */

export { configure, type Configuration } from "./backend.js";
export { compare, type CompareOptions } from "./compare.js";
export { HttpError, VidsieveError, type ErrorCode, type Problem } from "./errors.js";
export { LocalIndex } from "./local-index.js";
export { Model, loadModel } from "./model.js";
export { SearchClient, type ClientOptions, type Listed, type ServerModel } from "./search-client.js";
export type * from "./types.js";
export { EncodedVideo } from "./video.js";
