/** Searching and comparing, without the encoder: a smaller module for pages and Workers that get records from elsewhere. */

export { configure, type Configuration } from "../worker/backend.js";
export { compare, type CompareOptions } from "./compare.js";
export { HttpError, VidsieveError, type ErrorCode, type Problem } from "../data/errors.js";
export { LocalIndex } from "./local-index.js";
export { Model, loadModel } from "./model.js";
export { SearchClient, type ClientOptions, type Listed, type ServerModel } from "./search-client.js";
export type * from "../data/types.js";
export { EncodedVideo } from "./video.js";
