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

/** How far a search for copies has come: pairs are chosen in videos, then compared. */
export interface DedupeProgress {
  phase: "choose" | "compare";
  /** Videos, or pairs. */
  done: number;
  total: number;
}

/** What counts as a copy, and what may be compared. */
export interface DedupeOptions {
  /** Score from which two videos are copies, or one an excerpt of the other; 0.9. */
  minScore?: number;
  /** How many pairs of each video are compared beside the likely ones, such as `all` or `100pairs`; `auto`. */
  budget?: string;
  /** Ids, the best to keep first. Those that are left out follow: the longest first, then by id. */
  order?: Iterable<string>;
  onProgress?: (progress: DedupeProgress) => void;
  signal?: AbortSignal;
}

/** A video of a local index. */
export interface IndexedVideo {
  id: string;
  /** Seconds. */
  duration: number;
  /** Sampled frames. */
  frames: number;
  /** Bytes of its record. */
  bytes: number;
  /** When it was added; null of one that an earlier version added. */
  added: Date | null;
}

/** What a file is, by its headers; null is not known. */
export interface FileFacts {
  /** Such as `MP4` or `Matroska`. */
  container: string | null;
  /** The name of the codec that people know and its identifier: `HEVC (H.265), hvc1.1.6.L93.B0`. */
  codec: string | null;
  /** Pixels of the upright picture. */
  width: number | null;
  height: number | null;
  /** Seconds. */
  duration: number | null;
  /** Frames that are taken of it. */
  frames: number | null;
  /** What is known beforehand to be missing, as in a file that is cut off. */
  warnings: string[];
  /** Why WebCodecs cannot decode it; null if it can. */
  reason: string | null;
}

/** What `encode` will do with a file. */
export interface Encodable extends FileFacts {
  /** Whether `encode` can begin. Damage within the file shows only then. */
  encodable: boolean;
  /** What decodes it: WebCodecs, or a `<video>` that is seeked, which takes longer; null if nothing does. */
  by: "webcodecs" | "video" | null;
}

/** How a video is encoded. */
export interface EncodeOptions {
  /**
   * Frames a second that are taken. `auto`, the default: 1, and 2, 4 or 8 of a video below 30, 15
   * or 7.5 seconds, so that it has at least 31 if it lasts 3.75 seconds. Records of one index should
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
