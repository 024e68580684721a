// backend.d.ts
/** The one backend of a page: a Worker or this thread. The first call starts it, the last release ends it. */
/** Configuration of the package on this page. */
export interface Configuration {
    /** Whether to work in a Web Worker, so that the page stays responsive. Default: true where Workers exist. */
    worker?: boolean;
    /**
     * Maximum of threads of that Worker, 1 to 64. Default: the number of cores, at most 8. Threads need a
     * cross-origin isolated page (COOP and COEP) and a package that was built with them;
     * {@link ModelInfo.threads} is their number.
     */
    threads?: number;
    /**
     * Maximum of Workers that share the encoding of a long file where there are no threads, 1 to 64.
     * Default: one less than the number of cores, at most 8. Each needs some 25 MB meanwhile.
     */
    workers?: number;
}
/** Configures the package. Call it before anything else: afterwards it fails with `bad-argument`. */
export declare function configure(configuration: Configuration): void;

// compare.d.ts
import type { ComparisonWithMatrix } from "./types.js";
import type { Comparison } from "./wire.js";
import { type EncodedVideo } from "./video.js";
/** Options of {@link compare}. */
export interface CompareOptions {
    /** Whether to compute the similarity matrix. Default: true. */
    matrix?: boolean;
    /** Maximum width and height of the matrix in cells, 1 to 4096. Default: 512. */
    side?: number;
    signal?: AbortSignal;
}
/**
 * Compares two videos: the probability that the footage of the first is in the second, the matching
 * segments, and the similarity of their frames. Pass the shorter video first. The model of both must
 * be loaded (`Encoder.load` or `loadModel`).
 */
export declare function compare(a: EncodedVideo | Uint8Array, b: EncodedVideo | Uint8Array, options: CompareOptions & {
    matrix: false;
}): Promise<Comparison>;
export declare function compare(a: EncodedVideo | Uint8Array, b: EncodedVideo | Uint8Array, options?: CompareOptions & {
    matrix?: true;
}): Promise<ComparisonWithMatrix>;

// duplicates.d.ts
import type { DedupeOptions } from "./types.js";
import type { DuplicateReport } from "./wire.js";
import { type EncodedVideo } from "./video.js";
/**
 * Finds copies and excerpts among videos, and names the one to keep of each group of copies.
 *
 * Ids must be unique. The model of the videos must be loaded. {@link LocalIndex.dedupe} does the same
 * for a whole index.
 */
export declare function findDuplicates(videos: Iterable<readonly [id: string, video: EncodedVideo | Uint8Array]>, options?: DedupeOptions): Promise<DuplicateReport>;

// encode-all.d.ts
/** Encodes many sources, some at a time. */
import { VidsieveError } from "./errors.js";
import type { EncodeOptions, Progress } from "./types.js";
import type { EncodedVideo } from "./video.js";
/** Progress of one source of {@link Encoder.encodeAll}. */
export interface ItemProgress<T> extends Progress {
    source: T;
    /** Position of the source in the input, from 0. */
    index: number;
}
/** Options of {@link Encoder.encodeAll}. */
export interface EncodeAllOptions<T> extends Pick<EncodeOptions, "fps" | "signal"> {
    /** Sources encoded at a time, 1 to 16. Default: 1, as a single file already uses several cores. */
    concurrency?: number;
    onProgress?: (progress: ItemProgress<T>) => void;
}
/** Result of one source: its video, or the error. */
export type EncodedItem<T> = {
    source: T;
    index: number;
} & ({
    video: EncodedVideo;
    error: null;
} | {
    video: null;
    error: VidsieveError;
});

// encoder.d.ts
/// <reference lib="esnext.disposable" preserve="true" />
import type { Encodable, EncodeOptions, FrameSource, LoadOptions, ModelInfo } from "./types.js";
import { type EncodeAllOptions, type EncodedItem } from "./encode-all.js";
import { type ByteSource } from "./sources-of.js";
import { EncodedVideo } from "./video.js";
/**
 * Input of {@link Encoder.encode}. A URL is downloaded completely. Of a `<video>`, the source is
 * opened again, or its `MediaStream` is encoded in real time.
 */
export type VideoSource = ByteSource | HTMLVideoElement | MediaStream | FrameSource;
/** Encodes videos into records of about a kilobyte a second. */
export declare class Encoder {
    #private;
    /** The loaded model. */
    readonly model: ModelInfo;
    private constructor();
    /**
     * Loads a model, by default the packaged one. The download is checked by its SHA-256 and cached
     * where the browser has a cache, so that later loads need no network.
     */
    static load(options?: LoadOptions): Promise<Encoder>;
    /**
     * Encodes a file, a URL, the source of a `<video>`, a stream until it ends, or frames. Aborting the
     * signal stops the call within one frame.
     */
    encode(source: VideoSource, options?: EncodeOptions): Promise<EncodedVideo>;
    /**
     * Predicts from a file's headers whether {@link Encoder.encode} can encode it, what decodes it, and
     * how many frames it samples. Fails only if it is aborted or the download of a URL fails.
     */
    canEncode(source: ByteSource, options?: EncodeOptions): Promise<Encodable>;
    /**
     * Encodes many sources and yields the video or the error of each as soon as it is ready.
     *
     * `concurrency` sources are encoded at a time (default: 1). A failed source does not affect the
     * others. Leaving the loop cancels the rest.
     */
    encodeAll<T extends VideoSource>(sources: Iterable<T> | AsyncIterable<T>, options?: EncodeAllOptions<T>): AsyncGenerator<EncodedItem<T>, void, undefined>;
    /** Frees the model, and the Worker if nothing else uses it. */
    dispose(): void;
    [Symbol.dispose](): void;
}

// errors.d.ts
import type { EngineErrorCode, Problem, ProblemCode } from "./wire.js";
/**
 * Code of an error, stable across versions. The codes of the engine:
 *
 * - `bad-model`: the bytes are not a valid bundle, or it lacks a network.
 * - `bad-record`: the bytes are not a valid record.
 * - `other-version`: the record has another version of the format: encode the video again.
 * - `other-bundle`: another bundle made the record.
 * - `bad-frame`: the frame cannot be encoded.
 * - `bad-video`: the video has no frames, too many, or times that run backwards.
 * - `bad-argument`: an argument is invalid or out of range.
 */
export type ErrorCode = EngineErrorCode
/** The model that made the records is not loaded. */
 | "no-model"
/** The file is not a readable video. */
 | "unreadable"
/** The host or browser lacks a feature, such as a decoder for the codec or a canvas. */
 | "unsupported"
/** The SHA-256 of a download differs from the expected one. */
 | "integrity"
/** A request failed, or its response was interrupted. */
 | "network"
/** A server answered with an error status, see {@link HttpError}. */
 | "http"
/** The local index could not be read or written. */
 | "storage"
/** The engine stopped unexpectedly. In a Worker, the next call starts a new one. */
 | "crashed"
/** The object was disposed of. */
 | "disposed"
/** A defect of this package. */
 | "internal";
/** Error of this package. Aborted calls reject with the signal's reason instead. */
export declare class VidsieveError extends Error {
    /** Code of the error, stable across versions. */
    readonly code: ErrorCode;
    constructor(code: ErrorCode, message: string, options?: {
        cause?: unknown;
    });
}
/** Error response of a server. */
export declare class HttpError extends VidsieveError {
    readonly status: number;
    /**
     * Stable code of the problem, such as `unauthorized`, or `unknown` if the server sends none. Later
     * versions of the server may send further codes.
     */
    readonly problem: ProblemCode | "unknown" | (string & {});
    constructor(status: number, problem: Partial<Problem>);
}

// ffmpeg.d.ts
/**
 * Decodes files in Node by the commands `ffprobe` and `ffmpeg`. Frames are sampled by the same rule as
 * in browsers and by the native command.
 */
import type { TimedFrame } from "./types.js";
import { type Rate } from "./sampling.js";
/** Options of {@link open}. */
export interface FfmpegOptions {
    /** Frames sampled a second, as in the options of `encode`. Default: `auto`. */
    fps?: Rate;
    /** Path of the command `ffmpeg`, if it is not in `PATH`. */
    ffmpeg?: string;
    /** Path of the command `ffprobe`, if it is not in `PATH`. */
    ffprobe?: string;
    /** Longer side of the decoded frames in pixels; larger frames are reduced. Default: 448. */
    side?: number;
    signal?: AbortSignal;
}
/** An open file. Pass its frames to `encode`, with itself as the options (`fps`, `duration`). */
export interface FfmpegVideo {
    /** Samples a second. */
    fps: number;
    /** Length in seconds. */
    duration: number;
    /** Width of the frames, upright and with square pixels. */
    width: number;
    height: number;
    /** Decodes and yields the sampled frames. Each call starts from the beginning. */
    frames(): AsyncGenerator<TimedFrame, void, undefined>;
}
/**
 * Opens a video file. Fails with `unsupported` if FFmpeg is not installed, and with `unreadable` if the
 * file is not a video.
 */
export declare function open(file: string | URL, options?: FfmpegOptions): Promise<FfmpegVideo>;

// index.d.ts
/** Find the same video again, without uploading it: encoding, searching and comparing in the page. */
export type { EncodeAllOptions, EncodedItem, ItemProgress } from "./encode-all.js";
export { Encoder, type VideoSource } from "./encoder.js";
export type { ByteSource } from "./sources-of.js";
export * from "./slim.js";

// local-index.d.ts
/// <reference lib="esnext.disposable" preserve="true" />
import type { DedupeOptions, IndexedVideo, SearchOptions } from "./types.js";
import type { DuplicateReport, SearchPage } from "./wire.js";
import { EncodedVideo } from "./video.js";
/**
 * An index in this browser (IndexedDB) that is searched like a server. In Node and in workerd it is in
 * memory. It holds records of one model, which must be loaded.
 */
export declare class LocalIndex {
    #private;
    readonly name: string;
    /** SHA-256 of the bundle that made the records. */
    readonly bundle: string;
    private constructor();
    /** Opens an index, or creates it. Load its model first (`Encoder.load` or `loadModel`). */
    static open(name: string, options?: {
        signal?: AbortSignal;
    }): Promise<LocalIndex>;
    /**
     * Adds or replaces a video, and returns whether the id was indexed already. Fails with `other-bundle`
     * for a video of another model.
     */
    add(id: string, video: EncodedVideo | Uint8Array, options?: {
        signal?: AbortSignal;
    }): Promise<boolean>;
    /** Removes a video, and returns whether it was indexed. */
    remove(id: string): Promise<boolean>;
    /** Returns the video of an id, or null. */
    get(id: string): Promise<EncodedVideo | null>;
    /** Returns all ids. */
    ids(): Promise<string[]>;
    /** Returns all videos with their lengths and the times at which they were added, sorted by id. */
    list(): Promise<IndexedVideo[]>;
    /**
     * Finds copies and excerpts among the videos of the index, and names the one to keep of each group
     * of copies. Removes nothing.
     */
    dedupe(options?: DedupeOptions): Promise<DuplicateReport>;
    /** Removes all videos. */
    clear(): Promise<void>;
    /** Exports the index as a file for {@link LocalIndex.import}. */
    export(options?: {
        signal?: AbortSignal;
    }): Promise<Blob>;
    /**
     * Adds the videos of an exported file, and returns their number. If the file is damaged, the videos
     * before the damage stay in the index.
     */
    import(file: Blob, options?: {
        onProgress?: (videos: number) => void;
        signal?: AbortSignal;
    }): Promise<number>;
    /**
     * Searches for a video: yields a coarse page first, then a refined page after re-ranking. Leaving the
     * loop cancels the search.
     */
    search(video: EncodedVideo | Uint8Array, options?: SearchOptions): AsyncGenerator<SearchPage, void, undefined>;
    /** Closes the index; its videos are kept. */
    dispose(): void;
    [Symbol.dispose](): void;
}

// model.d.ts
/// <reference lib="esnext.disposable" preserve="true" />
import type { LoadOptions, ModelInfo } from "./types.js";
/** A model loaded for searching and comparing. */
export declare class Model {
    #private;
    readonly info: ModelInfo;
    /** Frees the model, and the Worker if nothing else uses it. */
    dispose(): void;
    [Symbol.dispose](): void;
}
/** Loads a model for searching and comparing. `Encoder.load` loads one that also encodes. */
export declare function loadModel(options?: LoadOptions): Promise<Model>;

// sampling.d.ts
/**
 * Chooses the sampled frames, by the rule of `crates/video/src/sampling.rs`. Times are relative to the
 * first frame. Sample k is the last frame whose time is at most `k / fps + TOLERANCE`. Samples end with
 * the last frame.
 *
 * `auto` applies this rule at 1, 2, 4 or 8 samples a second: at the lowest rate that gives
 * `LEAST_SAMPLES` samples, and at 8 if none does. The samples of a rate are every second one of the next
 * higher rate, and the time of the last frame alone determines the rate.
 */
/** Samples a second, or `auto`. */
export type Rate = number | "auto";
/** Seconds by which a frame may be later than its sample. */
export declare const TOLERANCE = 0.0025;
/** Minimum number of samples for which `auto` lowers the rate. */
export declare const LEAST_SAMPLES = 31;
/** Returns the samples a second of a video whose last frame is `last` seconds after the first. */
export declare function rateOf(rate: Rate, last: number): number;
/** Yields the times of the samples from number `from`, of a video whose last frame is `last` seconds after the first. */
export declare function sampleTimes(last: number, fps: number, from?: number): Generator<number>;
/** Returns the number of these samples, off by at most one through rounding. */
export declare function sampleCount(last: number, fps: number): number;
/**
 * Applies the rule to frames as they arrive. `auto` begins with the highest rate, and halves it as soon
 * as a frame shows that half gives enough samples: it then drops every second sample so far, at most 60
 * ({@link leaveOut}).
 */
export declare class Sampler {
    #private;
    constructor(rate: Rate);
    /** Current samples a second. */
    get rate(): number;
    /** Takes the time of the next frame, and returns the samples that the frame before it stands for. */
    push(time: number): number[];
    /** Ends the frames, and returns the samples that the last one stands for. */
    finish(): number[];
}
/** Drops every second sample, beginning with the second. */
export declare function leaveOut<T>(samples: T[]): T[];

// search-client.d.ts
import type { SearchOptions } from "./types.js";
import type { Listed, SearchPage, ServerModel } from "./wire.js";
import { EncodedVideo } from "./video.js";
/** Options of a {@link SearchClient}. */
export interface ClientOptions {
    /** Bearer token of all requests. */
    token?: string;
    /** Maximum number of retries of a request that a busy server refused (429, 503). Default: 4. */
    retries?: number;
    /** Maximum wait before the first retry in milliseconds; it doubles with each retry. Default: 250. */
    backoff?: number;
    /** Replaces the host's `fetch`. */
    fetch?: typeof fetch;
}
/**
 * Client of the HTTP API, as served by `vidsieve serve` and by the Workers at the edge. It sends
 * records, never videos.
 */
export declare class SearchClient {
    #private;
    readonly url: string;
    constructor(url: string | URL, options?: ClientOptions);
    /**
     * Searches for a video: yields a coarse page first, then a refined page after re-ranking. Leaving the
     * loop cancels the search.
     */
    search(video: EncodedVideo | Uint8Array, options?: SearchOptions): AsyncGenerator<SearchPage, void, undefined>;
    /** Adds or replaces a video. If the server has tokens, this needs one with the scope `write`. */
    put(id: string, video: EncodedVideo | Uint8Array, options?: {
        signal?: AbortSignal;
    }): Promise<"added" | "replaced" | "unchanged">;
    /** Returns the video of an id, or null. */
    get(id: string, options?: {
        signal?: AbortSignal;
    }): Promise<EncodedVideo | null>;
    /** Removes a video, and returns whether it was indexed. */
    remove(id: string, options?: {
        signal?: AbortSignal;
    }): Promise<boolean>;
    /** Yields all videos, sorted by id. */
    list(options?: {
        signal?: AbortSignal;
    }): AsyncGenerator<Listed, void, undefined>;
    /** Returns the model that made the server's records. */
    model(options?: {
        signal?: AbortSignal;
    }): Promise<ServerModel>;
    /** Returns the URL and the SHA-256 of that model, for `Encoder.load({ model })`. */
    modelSource(options?: {
        signal?: AbortSignal;
    }): Promise<{
        url: string;
        sha256: string;
    }>;
}

// slim-worker.d.ts
export {};

// slim.d.ts
/**
 * Searching and comparing without the encoder: a smaller module for pages and Workers that get records
 * from elsewhere.
 */
export { configure, type Configuration } from "./backend.js";
export { compare, type CompareOptions } from "./compare.js";
export { findDuplicates } from "./duplicates.js";
export { HttpError, VidsieveError, type ErrorCode } from "./errors.js";
export { LocalIndex } from "./local-index.js";
export { Model, loadModel } from "./model.js";
export { SearchClient, type ClientOptions } from "./search-client.js";
export { describe } from "./words.js";
export type * from "./types.js";
export type { Comparison, Coverage, CoverageSide, DuplicateCopy, DuplicateExcerpt, DuplicateGroup, DuplicatePair, DuplicateReport, Explanation, Hit, Listed, Problem, ProblemCode, Relation, SearchPage, Segment, SegmentPlace, ServerModel, Untold, } from "./wire.js";
export { EncodedVideo } from "./video.js";

// sources-of.d.ts
/** Tells kinds of sources apart, and reads their bytes. */
/** A file as bytes or by its URL. URLs are relative to the page and are downloaded completely. */
export type ByteSource = Blob | URL | string | Response | ArrayBuffer | Uint8Array;

// types.d.ts
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
export type ModelSource = string | URL | Blob | ArrayBuffer | Uint8Array | {
    url: string | URL;
    sha256?: string;
};
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
export type FrameSource = AsyncIterable<ImageData | VideoFrame | Pixels | TimedFrame> | Iterable<ImageData | VideoFrame | Pixels | TimedFrame>;

// video.d.ts
/** An encoded video: a vector, a scalar for the selector, and binary codes of its frames. */
export declare class EncodedVideo {
    #private;
    /** SHA-256 of the bundle that made the record. Only videos of one bundle can be compared. */
    readonly bundle: string;
    /** Length in seconds. */
    readonly duration: number;
    /** Self-similarity, the selector's scalar. */
    readonly selfSimilarity: number;
    /** Global vector of S^c, of unit length. */
    readonly global: Float32Array;
    /** Times of the sampled frames, in seconds from the first. */
    readonly times: Float64Array;
    /**
     * Weight of each frame, from 0 for an uninformative one (black, flat, faded out) to 255 for ordinary
     * footage. A view: do not write to it.
     */
    readonly weights: Uint8Array;
    /** Whether any frame is informative. If not, the video neither finds anything nor is found. */
    readonly informative: boolean;
    /** Number of sampled frames. */
    readonly frames: number;
    /** Number of regions of a frame. */
    readonly regions: number;
    /** Bits of the code of a region. */
    readonly bits: number;
    /** Codes, of shape [frames, regions, bits / 8]. A view: do not write to it. */
    readonly codes: Uint8Array;
    /** What the record lacks, such as frames that could not be decoded, in words. */
    readonly warnings: readonly string[];
    /** Returns the record as bytes, which indices, servers and all other hosts read. */
    toBytes(): Uint8Array;
    /** Reads and checks a record. Fails with `bad-record` for bytes that are not a valid record. */
    static fromBytes(bytes: Uint8Array | ArrayBuffer, options?: {
        signal?: AbortSignal;
    }): Promise<EncodedVideo>;
}

// wire.d.ts
/**
 * Data types of the Rust crates: pages, hits, comparisons, records, listings, problems.
 *
 * They are generated from the Rust types. Their fields have the names of the HTTP API's JSON and of
 * the objects that the WebAssembly modules return.
 */
export type { Comparison, Coverage, CoverageSide, DuplicateCopy, DuplicateExcerpt, DuplicateGroup, DuplicatePair, DuplicateReport, EngineErrorCode, Explanation, Hit, HitStage, Listed, Listing, PageStage, ProblemCode, ProblemDetails as Problem, PutResult, Relation, SearchPage, SearchParameters, SearchTimings as Timings, Segment, SegmentPlace, ServerModel, Untold, } from "./wire.generated.js";

// wire.generated.d.ts
/** Position of an interval in a video, among its informative frames. */
export type SegmentPlace = "beginning" | "middle" | "end" | "whole";
/** Matching intervals of two videos. */
export interface Segment {
    /** Start and end in the query, in seconds. */
    query: [number, number];
    /** Start and end in the target, in seconds. */
    target: [number, number];
    /** Position in the query and in the target. */
    at: [SegmentPlace, SegmentPlace];
    /** Mean similarity of the aligned frames, in [0, 1]. */
    score: number;
}
/** Relation of the query to a target. */
export type Relation = "copy" | "excerpt" | "contains" | "shares-part" | "same-scene" | "different";
/** How much of a video the other one shows, in informative frames. */
export interface CoverageSide {
    /** Seconds of informative time that match. */
    seconds: number;
    /** Matching share of the video's informative time, in [0, 1]. */
    share: number;
}
/** How much of each of two videos the other one shows, in informative frames. */
export interface Coverage {
    /** Coverage of the query. */
    query: CoverageSide;
    /** Coverage of the target. */
    target: CoverageSide;
}
/** Why the relation of a pair cannot be determined. */
export type Untold = "nothing-in-query" | "nothing-in-target" | "nothing-changes";
/** Numbers behind a hit's scores. */
export interface Explanation {
    /** S^c's cosine in [-1, 1]. */
    coarse_cosine: number;
    /** S^f_B's similarity in [-1, 1], if the pair was compared. */
    fine_similarity: number | null;
    /** The selector's scalar of the video. */
    self_similarity: number;
    /** Whether the pair was within the budget. */
    selected: boolean;
    /** Rank among all videos by the coarse score, from 1. */
    coarse_rank: number;
}
/** Stage that computed a hit's score. */
export type HitStage = "coarse" | "fine";
/** One video of a search's result. */
export interface Hit {
    /** The video. */
    id: string;
    /**
     * Score in [0, 1]: the probability that the query's informative footage is in the video. At most
     * 0.89 if the pair was not compared.
     */
    score: number;
    /** Stage that computed the score. */
    stage: HitStage;
    /** S^c's score in [0, 1]. */
    coarse: number;
    /** S^f_B's score in [0, 1], if the pair was compared. */
    fine: number | null;
    /** The selector's probability that the coarse score is wrong, if there is a selector. */
    doubt: number | null;
    /** Relation of the query to the video; null if the pair was not compared. */
    relation: Relation | null;
    /** How much of each video the other one shows; null if the pair was not compared. */
    coverage: Coverage | null;
    /** Why the relation cannot be determined. */
    untold?: Untold;
    /** Matching segments, best first; empty unless requested. */
    segments: Segment[];
    /**
     * Start and end in seconds of the part most similar to the query, for hits that were not
     * compared. Absent if that is the whole video.
     */
    near?: [number, number];
    /** Why a selected pair was not compared. */
    unavailable?: string;
    /** Numbers behind the scores, if requested. */
    explain?: Explanation;
}
/** Milliseconds of each part of a search. */
export interface SearchTimings {
    /** Comparing the query's vector with all videos. */
    scan: number;
    /** Selecting the pairs to compare. */
    select: number;
    /** Waiting for records. */
    fetch: number;
    /** Comparing frame by frame. */
    compare: number;
    /** Computing segments, including the records that this needs. */
    segments: number;
    /** From the start of the search to this page. */
    total: number;
}
/** Kind of a page. */
export type PageStage = "coarse" | "refined";
/** Page of a search's result: the coarse page comes first, the refined page after re-ranking. */
export interface SearchPage {
    /** Kind of the page. */
    page: PageStage;
    /** Whether no page follows. */
    last: boolean;
    /** SHA-256 of the bundle, 64 hexadecimal digits. */
    model: string;
    /** Number of searched videos. */
    videos: number;
    /** The budget of the search, as text. */
    budget: string;
    /** Number of pairs within the budget. */
    selected: number;
    /** Number of compared pairs. */
    reranked: number;
    /** Number of selected pairs that could not be compared: their hits keep coarse scores. */
    missing: number;
    /** Whether the page is incomplete. */
    degraded: boolean;
    /**
     * What else the page lacks, in words, such as a part of a server's index that did not answer, or
     * a query without informative frames.
     */
    warnings?: string[];
    /** Hits, best first. */
    hits: Hit[];
    /** Milliseconds of each part. */
    timings_ms: SearchTimings;
}
/** Parameters of a search. */
export interface SearchParameters {
    /** Maximum number of hits of a page. Default: 10. */
    top: number;
    /**
     * Budget for re-ranking frame by frame: `auto` (the default), `none`, `all`, `5%`, `100pairs`,
     * `p>0.5`, `200ms`, `2s`.
     */
    budget: string;
    /** Minimum score of a hit. Default: 0. */
    minScore: number;
    /** Whether to compute the segments of hits. Default: true. */
    segments: boolean;
    /** Whether hits include the numbers behind their scores. Default: false. */
    explain: boolean;
}
/** A copy of the video to keep. */
export interface DuplicateCopy {
    /** Its id. */
    id: string;
    /** Score with the video to keep, in [0, 1]. */
    score: number;
    /** How much of the copy (`query`) and of the video to keep (`target`) the other one shows. */
    coverage: Coverage;
}
/** A video to keep and its copies. */
export interface DuplicateGroup {
    /** Id of the video to keep: the first in the order of preference that is not an excerpt. */
    keep: string;
    /** Copies of the video; at least one. */
    copies: DuplicateCopy[];
}
/** A video that is an excerpt of a longer one. */
export interface DuplicateExcerpt {
    /** Its id. */
    id: string;
    /** Id of the video that contains the excerpt. */
    of: string;
    /** Score of the pair, in [0, 1]. */
    score: number;
    /** How much of the excerpt (`query`) and of the longer video (`target`) the other one shows. */
    coverage: Coverage;
}
/**
 * Two related videos that are neither copies nor excerpt and whole, or whose score is too low for
 * that.
 */
export interface DuplicatePair {
    /** Id of one video, the query of the comparison. */
    a: string;
    /** Id of the other, the target. */
    b: string;
    /** Relation of the first to the second. */
    relation: Relation;
    /** Score of the pair, in [0, 1]. */
    score: number;
    /** How much of each the other one shows. */
    coverage: Coverage;
    /** Why the relation cannot be determined. */
    untold?: Untold;
}
/** Copies and excerpts of a table. */
export interface DuplicateReport {
    /** Number of searched videos. */
    videos: number;
    /** Number of pairs compared frame by frame. */
    compared: number;
    /** Ids of videos whose record could not be read. */
    missing: string[];
    /** Groups of copies. */
    groups: DuplicateGroup[];
    /** Videos that are excerpts of longer ones, each once. */
    excerpts: DuplicateExcerpt[];
    /** Other related pairs, by relation, highest score first. */
    related: DuplicatePair[];
}
/** Result of comparing two videos. */
export interface Comparison {
    /** The aligned frames of each segment: frame of the query, frame of the target. */
    paths: [number, number][][];
    /**
     * S^f_B's score in [0, 1]: the probability that the query's informative footage is in the target.
     */
    score: number;
    /** S^c's score in [0, 1]. */
    coarse: number;
    /** S^f_B's score in [0, 1]. */
    fine: number;
    /** The selector's probability that the coarse score is wrong, if there is a selector. */
    doubt: number | null;
    /** Relation of the query to the target. */
    relation: Relation;
    /** How much of each video the other one shows. */
    coverage: Coverage;
    /** Why the relation cannot be determined. */
    untold?: Untold;
    /** Matching segments, best first. */
    segments: Segment[];
}
/** Code of an error of the engine, stable across versions. */
export type EngineErrorCode = "bad-model" | "bad-record" | "other-version" | "other-bundle" | "bad-frame" | "bad-video" | "bad-argument";
/** One video of a listing. */
export interface Listed {
    /** Its id. */
    id: string;
    /** Length in seconds. */
    duration: number;
    /** Sampled frames. */
    frames: number;
    /** Size of the record in bytes. */
    bytes: number;
    /** Time at which the video was added, in seconds since 1970. */
    added: number;
    /** Checksum of the record, 16 hexadecimal digits. */
    checksum: string;
}
/** A page of the listing. */
export interface Listing {
    /** Videos, sorted by id. */
    videos: Listed[];
    /** Cursor of the next page; absent if this may be the last. */
    next: string | null;
}
/** Result of a PUT of a video. */
export type PutResult = "added" | "replaced" | "unchanged";
/** Response of `/v1/model`. */
export interface ServerModel {
    /** SHA-256 of the bundle, 64 hexadecimal digits. */
    bundle: string;
    /** Number of regions of a frame, R. */
    regions: number | null;
    /** Bits of a region's code, L. */
    bits: number | null;
    /** Length of a video's vector, D. */
    dims: number | null;
    /** Names of the bundle's networks. */
    networks: string[];
    /** Size of the bundle in bytes. */
    bytes: number;
}
/** Code of a problem, stable across versions. */
export type ProblemCode = "bad-request" | "unauthorized" | "forbidden" | "read-only" | "host" | "not-found" | "method-not-allowed" | "timeout" | "other-bundle" | "too-large" | "media-type" | "bad-body" | "range" | "too-many-requests" | "internal" | "damaged-record" | "busy" | "storage-full";
/** A problem as JSON. */
export interface ProblemDetails {
    /** `urn:vidsieve:problem:` and a stable code. */
    type: string;
    /** Short description of the problem. */
    title: string;
    /** HTTP status of the response. */
    status: number;
    /** Details of this request. */
    detail: string;
}

// words.d.ts
/** Describes the relation of two videos in words, like the command. */
import type { Comparison, Hit } from "./wire.js";
/**
 * Describes the relation of a pair in words, such as "an excerpt of it: 4.0 s at its end, 12 %", where
 * "it" is the target.
 *
 * For a hit that was not compared it returns "likely; not compared", "likely, near 12:40; not
 * compared", the reason why no relation can be determined, or null.
 */
export declare function describe(pair: Comparison): string;
export declare function describe(pair: Hit | Comparison): string | null;

// worker.d.ts
export {};
