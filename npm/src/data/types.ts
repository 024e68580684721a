import type { Comparison, SearchParameters } from "./wire.js";

/** What a search returns and what it may cost. */
export interface SearchOptions extends Partial<SearchParameters> {
  signal?: AbortSignal;
}

/** How far something has come. */
export interface Progress {
  phase: "download" | "model" | "encode";
  /** Bytes, or frames. */
  done: number;
  /** Bytes, or frames as far as they are known. */
  total: number | undefined;
  /** Seconds of video that are encoded. */
  seconds?: number;
  /** Seconds of video there are. */
  duration?: number;
}

/** Pixels of a picture, RGBA from the top: what an `ImageData` has. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** The frame similarities of a pair. */
export interface SimilarityMatrix {
  /** Columns: cells of the second video. */
  width: number;
  /** Rows: cells of the first video. */
  height: number;
  /** Frames of a cell's side: of long videos a cell is the most similar pair of several frames. */
  stride: number;
  /** In [-1, 1], row by row. */
  values: Float32Array;
  /** The matrix in colours, a pixel a cell. In hosts that have no `ImageData` it is an object with the same width, height and data. */
  image: ImageData;
}

/** Two videos compared, with the similarity of all their frames. */
export interface ComparisonWithMatrix extends Comparison {
  matrix: SimilarityMatrix;
}

/** A model: where it comes from. */
export type ModelSource =
  | string
  | URL
  | Blob
  | ArrayBuffer
  | Uint8Array
  | { url: string | URL; sha256?: string };

/** How a model is loaded. */
export interface LoadOptions {
  /** The bundle; the one that comes with this package if left out. */
  model?: ModelSource;
  /** SHA-256 that the bundle must have, in hexadecimal digits. */
  sha256?: string;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** A model that is loaded. */
export interface ModelInfo {
  /** SHA-256 of the bundle. */
  id: string;
  licence: string;
  /** Bytes of the bundle. */
  bytes: number;
  /** Whether it came from the cache. */
  cached: boolean;
  /** What the kernels were built for: `simd128` or `relaxed-simd`. */
  instructions: string;
  /** Threads that share the work of the engine. */
  threads: number;
}

/** How a video is encoded. */
export interface EncodeOptions {
  /**
   * Frames a second that are taken. `auto`, the default: 1, and 2, 4 or 8 of a video below 15, 7.5
   * or 3.75 seconds, so that it has at least 16 if it lasts 2 seconds. Records of one index should
   * have the same.
   */
  fps?: number | "auto";
  /** Length of the video in seconds, where frames are given and it is known. Of a `MediaStream`: seconds after which it ends. */
  duration?: number;
  /** Ends a `MediaStream`, and what came of it is encoded; `signal` ends the call without a result. It also ends with its video track. */
  until?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** A frame with the time at which it is shown, in seconds. */
export interface TimedFrame {
  image: ImageData | VideoFrame | Pixels;
  time: number;
}

/**
 * Frames to encode. A `VideoFrame` and a {@link TimedFrame} have a time, and `fps` frames a second
 * are taken of them, each the one that is on the screen; an `ImageData` has none, and each one is
 * taken, `fps` of them a second (`auto`: 1). The caller closes its `VideoFrame`s.
 */
export type FrameSource =
  | AsyncIterable<ImageData | VideoFrame | Pixels | TimedFrame>
  | Iterable<ImageData | VideoFrame | Pixels | TimedFrame>;
