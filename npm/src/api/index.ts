/** Find the same video again, without uploading it: encoding, searching and comparing in the page. */

export { Encoder, type VideoSource } from "./encoder.js";
export * from "./slim.js";
