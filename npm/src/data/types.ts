import type { Comparison, SearchParameters } from "./wire.js";

/** Options of a search. */
export interface SearchOptions extends Partial<SearchParameters> {
  signal?: AbortSignal;
}

/** Progress of loading or encoding. */
export interface Progress {
  phase: "download" | "model" | "encode";
  /** Bytes or frames so far. */
  done: number;
  /** Total bytes or frames, if known. */
  total: number | undefined;
  /** Seconds of video encoded so far. */
  seconds?: number;
  /** Length of the video in seconds. */
  duration?: number;
}

/** RGBA pixels of a picture, row by row from the top, as in an `ImageData`. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** Frame similarities of a pair. */
export interface SimilarityMatrix {
  /** Columns, one for each cell of the second video. */
  width: number;
  /** Rows, one for each cell of the first video. */
  height: number;
  /** Frames a cell covers on each side. A cell holds the maximum over its pairs of frames. */
  stride: number;
  /** Similarities in [-1, 1], row by row. */
  values: Float32Array;
  /** The matrix in colours, one pixel a cell. Without `ImageData` in the host, an object with its properties. */
  image: ImageData;
}

/** Result of a comparison, with the frame similarities. */
export interface ComparisonWithMatrix extends Comparison {
  matrix: SimilarityMatrix;
}

/** Where a model comes from. */
export type ModelSource = string | URL | Blob | ArrayBuffer | Uint8Array | { url: string | URL; sha256?: string };

/** Options of loading a model. */
export interface LoadOptions {
  /** The bundle. Default: the packaged one. */
  model?: ModelSource;
  /** Expected SHA-256 of the bundle, in hexadecimal digits. */
  sha256?: string;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** A loaded model. */
export interface ModelInfo {
  /** SHA-256 of the bundle. */
  id: string;
  licence: string;
  /** Size of the bundle in bytes. */
  bytes: number;
  /** Whether the bundle came from the cache. */
  cached: boolean;
  /** Instruction set of the kernels: `simd128` or `relaxed-simd`. */
  instructions: string;
  /** Number of threads of the engine. */
  threads: number;
}

/** Progress of a search for copies: it first selects pairs of each video, then compares them. */
export interface DedupeProgress {
  phase: "choose" | "compare";
  /** Videos (`choose`) or pairs (`compare`) so far. */
  done: number;
  total: number;
}

/** Options of a search for copies. */
export interface DedupeOptions {
  /** Minimum score of copies and excerpts. Default: 0.9. */
  minScore?: number;
  /** Budget for comparing unlikely pairs of each video, such as `all` or `100pairs`. Default: `auto`. */
  budget?: string;
  /** Ids in order of preference for keeping. Other videos follow, longest first, then by id. */
  order?: Iterable<string>;
  onProgress?: (progress: DedupeProgress) => void;
  signal?: AbortSignal;
}

/** A video of a local index. */
export interface IndexedVideo {
  id: string;
  /** Length in seconds. */
  duration: number;
  /** Number of sampled frames. */
  frames: number;
  /** Size of the record in bytes. */
  bytes: number;
  /** When the video was added; null if a version before 0.2 added it. */
  added: Date | null;
}

/** Facts from a file's headers, or from all frames of a picture that may move; unknown ones are null. */
export interface FileFacts {
  /** Container, such as `MP4` or `Matroska`. */
  container: string | null;
  /** Common name and identifier of the codec, such as `HEVC (H.265), hvc1.1.6.L93.B0`. */
  codec: string | null;
  /** Width of the upright picture in pixels. */
  width: number | null;
  height: number | null;
  /** Length in seconds. */
  duration: number | null;
  /** Number of frames that `encode` samples. */
  frames: number | null;
  /** Missing parts that the headers reveal, as in a truncated file. */
  warnings: string[];
  /** Why WebCodecs cannot decode it; null if it can. */
  reason: string | null;
}

/** Result of {@link Encoder.canEncode}. */
export interface Encodable extends FileFacts {
  /** Whether `encode` can start. Damage within the file shows only while encoding. */
  encodable: boolean;
  /** The decoder: WebCodecs (of a GIF, its `ImageDecoder`), or seeking in a `<video>`, which is slower; null if there is none. */
  by: "webcodecs" | "video" | null;
}

/** Options of {@link Encoder.encode}. */
export interface EncodeOptions {
  /**
   * Frames sampled a second. `auto`, the default, samples 1 a second, and 2, 4 or 8 a second of videos
   * below 30, 15 or 7.5 seconds. Use one rate for all records of an index.
   */
  fps?: number | "auto";
  /** Length in seconds: of a video that is given as frames, or the maximum for a `MediaStream`. */
  duration?: number;
  /** Ends a `MediaStream` and encodes what came until then. Aborting `signal` cancels the call instead. */
  until?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** A frame and its presentation time in seconds. */
export interface TimedFrame {
  image: ImageData | VideoFrame | Pixels;
  time: number;
}

/**
 * Frames to encode, all with a time or all without.
 *
 * `VideoFrame` and {@link TimedFrame} have a time: `encode` samples the frame on screen `fps` times a
 * second. `ImageData` and {@link Pixels} have none: `encode` takes each as the next sample, `fps` a
 * second (`auto`: 1). The caller closes its `VideoFrame`s.
 */
export type FrameSource =
  | AsyncIterable<ImageData | VideoFrame | Pixels | TimedFrame>
  | Iterable<ImageData | VideoFrame | Pixels | TimedFrame>;
