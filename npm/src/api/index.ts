/** Find the same video again, without uploading it: encoding, searching and comparing in the page. */

export type { EncodeAllOptions, EncodedItem, ItemProgress } from "./encode-all.js";
export { Encoder, type VideoSource } from "./encoder.js";
export type { ByteSource } from "./sources-of.js";
export * from "./slim.js";
