// backend.d.ts
/** The host of this page: one Worker, or this thread. It is made at the first call and ended when nothing needs it any more. */
/** How this package works on this page. */
export interface Configuration {
    /** Whether work is done in a Web Worker, so that the page stays responsive; true where there are Workers. */
    worker?: boolean;
    /**
     * Most threads of that Worker, 1 to 64; by default as many as there are cores, at most 8. There are threads on pages that are
     * cross-origin isolated (COOP and COEP), if the package was built with them. {@link ModelInfo.threads} tells how many there are.
     */
    threads?: number;
    /**
     * Most Workers that share the encoding of a long file where there are no threads, 1 to 64; by default one less than there are cores,
     * at most 8. Each takes some 25 MB for that time.
     */
    workers?: number;
}
/** Configures the package, before its first use. Fails with `bad-argument` after it. */
export declare function configure(configuration: Configuration): void;

// compare.d.ts
import type { ComparisonWithMatrix } from "./types.js";
import type { Comparison } from "./wire.js";
import { type EncodedVideo } from "./video.js";
/** What is told of a pair. */
export interface CompareOptions {
    /** Whether the similarity matrix is made; true. */
    matrix?: boolean;
    /** Most cells of its side, 512. */
    side?: number;
    signal?: AbortSignal;
}
/**
 * Compares two videos: how probably the first one's footage is in the second, where, and the similarity of their frames. The shorter
 * one is best given first. Their model must be loaded.
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
 * Finds the copies and excerpts among videos, each with an id of its own, and says which of several
 * copies to keep. Their model must be loaded. {@link LocalIndex.dedupe} does it for a whole index.
 */
export declare function findDuplicates(videos: Iterable<readonly [id: string, video: EncodedVideo | Uint8Array]>, options?: DedupeOptions): Promise<DuplicateReport>;

// encode-all.d.ts
/** Many sources, some at a time. */
import { VidsieveError } from "./errors.js";
import type { EncodeOptions, Progress } from "./types.js";
import type { EncodedVideo } from "./video.js";
/** How far one of several sources has come. */
export interface ItemProgress<T> extends Progress {
    source: T;
    /** Place of the source among all, from 0. */
    index: number;
}
/** How several sources are encoded. */
export interface EncodeAllOptions<T> extends Pick<EncodeOptions, "fps" | "signal"> {
    /** Sources that are encoded at a time, 1 to 16; 1. Most work is shared already within a file. */
    concurrency?: number;
    onProgress?: (progress: ItemProgress<T>) => void;
}
/** A source that is done: its video, or why there is none. */
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
 * What can be encoded. A URL is downloaded as a whole; of a `<video>` the source is opened again, or
 * its stream is encoded as it comes.
 */
export type VideoSource = ByteSource | HTMLVideoElement | MediaStream | FrameSource;
/** Encodes videos: frames to a record of some kilobytes. */
export declare class Encoder {
    #private;
    /** The model that it encodes with. */
    readonly model: ModelInfo;
    private constructor();
    /**
     * Loads a model, by default the one of this package: streamed, checked by its SHA-256, and kept in the cache where the browser has one,
     * so that the next time nothing is downloaded.
     */
    static load(options?: LoadOptions): Promise<Encoder>;
    /**
     * Encodes a file, a URL, a `<video>`'s source, a stream until it ends, or frames. An aborted call
     * stops within a frame.
     */
    encode(source: VideoSource, options?: EncodeOptions): Promise<EncodedVideo>;
    /**
     * Tells what {@link Encoder.encode} will do with a file, by its headers: whether it can, what
     * decodes it, how many frames it takes. Fails only when it is aborted or the download of a URL fails.
     */
    canEncode(source: ByteSource, options?: EncodeOptions): Promise<Encodable>;
    /**
     * Encodes files, `concurrency` at a time (1), and gives each with its video or its error as soon
     * as it is done. A file that fails does not end the others. Leaving the loop ends all.
     */
    encodeAll<T extends VideoSource>(sources: Iterable<T> | AsyncIterable<T>, options?: EncodeAllOptions<T>): AsyncGenerator<EncodedItem<T>, void, undefined>;
    /** Frees the model and, if nothing else needs it, the Worker. */
    dispose(): void;
    [Symbol.dispose](): void;
}

// errors.d.ts
import type { EngineErrorCode, Problem, ProblemCode } from "./wire.js";
/**
 * What went wrong, stable across versions. The codes of the engine:
 *
 * - `bad-model`: the bytes are no sound bundle, or it lacks a network.
 * - `bad-record`: the bytes are no sound record.
 * - `other-version`: a record of another version of the format: index the video again.
 * - `other-bundle`: a record that another bundle made.
 * - `bad-frame`: a frame that cannot be encoded.
 * - `bad-video`: a video without frames, with too many, or with times that run backwards.
 * - `bad-argument`: an argument that is out of its range.
 */
export type ErrorCode = EngineErrorCode
/** No model is loaded that made these records. */
 | "no-model"
/** The file is no video that can be read. */
 | "unreadable"
/** This host or browser cannot do it: no decoder for the codec, no canvas. */
 | "unsupported"
/** A download whose SHA-256 is not the one that was expected. */
 | "integrity"
/** A server could not be reached. */
 | "network"
/** A server answered with an error, see {@link HttpError}. */
 | "http"
/** The local index could not be read or written. */
 | "storage"
/** The engine stopped unexpectedly; the next call gets a new one. */
 | "crashed"
/** It was disposed of. */
 | "disposed"
/** A defect of this package. */
 | "internal";
/** Every error of this package, aborted calls excepted: those reject with the signal's reason. */
export declare class VidsieveError extends Error {
    /** Stable across versions. */
    readonly code: ErrorCode;
    constructor(code: ErrorCode, message: string, options?: {
        cause?: unknown;
    });
}
/** A server's answer that is an error. */
export declare class HttpError extends VidsieveError {
    readonly status: number;
    /**
     * The problem's stable code, such as `unauthorized`; `unknown` of servers that send none. Servers
     * of later versions may send others.
     */
    readonly problem: ProblemCode | "unknown" | (string & {});
    constructor(status: number, problem: Partial<Problem>);
}

// ffmpeg.d.ts
/**
 * Files to frames in Node, by the commands `ffprobe` and `ffmpeg`: which frames are taken is the
 * rule of browsers and of the native command.
 */
import type { TimedFrame } from "./types.js";
import { type Rate } from "./sampling.js";
/** How a file is read. */
export interface FfmpegOptions {
    /** Frames a second that are taken; as `encode` takes them. */
    fps?: Rate;
    /** The commands, if they are not found by their names. */
    ffmpeg?: string;
    ffprobe?: string;
    /** Pixels of the longer side to which frames are reduced, 448: more is not looked at. */
    side?: number;
    signal?: AbortSignal;
}
/** A file that FFmpeg reads. Its frames, `fps` and `duration` are what `encode` takes. */
export interface FfmpegVideo {
    /** Samples a second. */
    fps: number;
    /** Seconds. */
    duration: number;
    /** Of the frames, upright and with square pixels. */
    width: number;
    height: number;
    /** The frames of the samples. Each call decodes anew. */
    frames(): AsyncGenerator<TimedFrame, void, undefined>;
}
/** Opens a file. Fails with `unsupported` where FFmpeg is not installed, with `unreadable` for what is no video. */
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
 * An index of this browser (IndexedDB), searched as a server searches; in Node and in Workers it is in memory. It holds records of one
 * model, which must be loaded.
 */
export declare class LocalIndex {
    #private;
    readonly name: string;
    /** SHA-256 of the bundle whose records it holds. */
    readonly bundle: string;
    private constructor();
    /** Opens an index, or begins one. Load its model first (`Encoder.load` or `loadModel`). */
    static open(name: string, options?: {
        signal?: AbortSignal;
    }): Promise<LocalIndex>;
    /** Adds a video or replaces it; tells whether it was there. Fails with `other-bundle` for one of another model. */
    add(id: string, video: EncodedVideo | Uint8Array, options?: {
        signal?: AbortSignal;
    }): Promise<boolean>;
    /** Removes a video; tells whether it was there. */
    remove(id: string): Promise<boolean>;
    /** A video of the index, or null. */
    get(id: string): Promise<EncodedVideo | null>;
    /** All ids. */
    ids(): Promise<string[]>;
    /** All videos with their lengths and when they were added, by id. */
    list(): Promise<IndexedVideo[]>;
    /**
     * Finds copies and excerpts among the videos of the index, and says which of several copies to
     * keep. Nothing is removed.
     */
    dedupe(options?: DedupeOptions): Promise<DuplicateReport>;
    /** Removes all videos. */
    clear(): Promise<void>;
    /** All of it as a file, for {@link LocalIndex.import} elsewhere. */
    export(options?: {
        signal?: AbortSignal;
    }): Promise<Blob>;
    /** Adds the videos of such a file and tells how many. What came before damage in it stays. */
    import(file: Blob, options?: {
        onProgress?: (videos: number) => void;
        signal?: AbortSignal;
    }): Promise<number>;
    /** Finds a video: a coarse page at once, a refined one after frames were compared. Leaving the loop ends the search. */
    search(video: EncodedVideo | Uint8Array, options?: SearchOptions): AsyncGenerator<SearchPage, void, undefined>;
    /** Closes it; what was added stays. */
    dispose(): void;
    [Symbol.dispose](): void;
}

// model.d.ts
/// <reference lib="esnext.disposable" preserve="true" />
import type { LoadOptions, ModelInfo } from "./types.js";
/** A model that is loaded for searching and comparing. */
export declare class Model {
    #private;
    readonly info: ModelInfo;
    /** Frees it. */
    dispose(): void;
    [Symbol.dispose](): void;
}
/** Loads a model for searching and comparing; `Encoder.load` loads one for encoding as well. */
export declare function loadModel(options?: LoadOptions): Promise<Model>;

// sampling.d.ts
/**
 * Which frames are taken: the rule of `crates/video/src/sampling.rs`. Times are relative to the first frame. Sample k is taken at
 * `k / fps`; it is the last frame whose time is at most `k / fps + TOLERANCE`. Samples end with the last frame.
 *
 * `auto` is the same rule at 1, 2, 4 or 8 samples a second: the lowest of these rates that gives
 * `LEAST_SAMPLES` samples, and 8 where none does. The samples of a rate are every second one of the
 * next higher rate, and the time of the last frame alone decides.
 */
/** Samples a second, or `auto`. */
export type Rate = number | "auto";
/** Seconds by which a frame may be late for its sample. */
export declare const TOLERANCE = 0.0025;
/** Samples that `auto` takes at least, of a video that is long enough for them. */
export declare const LEAST_SAMPLES = 16;
/** The samples a second, of a video whose last frame is shown `last` seconds after its first. */
export declare function rateOf(rate: Rate, last: number): number;
/** The times of the samples from number `from` on, of a video whose last frame is shown `last` seconds after its first. */
export declare function sampleTimes(last: number, fps: number, from?: number): Generator<number>;
/** How many samples that is, give or take one by rounding. */
export declare function sampleCount(last: number, fps: number): number;
/**
 * Applies the rule to frames as they arrive. `auto` begins with the highest rate and goes on with
 * half of it as soon as a frame shows that this gives enough samples: every second one of those
 * before, at most 30, is left out then ({@link leaveOut}).
 */
export declare class Sampler {
    #private;
    constructor(rate: Rate);
    /** Samples a second at present. */
    get rate(): number;
    /** Takes the time of the next frame; gives the samples that the frame before it is taken for. */
    push(time: number): number[];
    /** No more frames; gives the samples that the last one is taken for. */
    finish(): number[];
}
/** Leaves out every second one of the samples before, the second first. */
export declare function leaveOut<T>(samples: T[]): T[];

// search-client.d.ts
import type { SearchOptions } from "./types.js";
import type { Listed, SearchPage, ServerModel } from "./wire.js";
import { EncodedVideo } from "./video.js";
/** How a server is asked. */
export interface ClientOptions {
    /** Sent as a bearer token. */
    token?: string;
    /** Times that a busy server (429, 503) is asked again, 4. */
    retries?: number;
    /** Milliseconds of the first wait at most; each further one is twice as long. 250. */
    backoff?: number;
    /** Instead of the host's own. */
    fetch?: typeof fetch;
}
/** A server of the HTTP API: `vidsieve serve`, or the Workers at the edge. Only records are sent to it, never a video. */
export declare class SearchClient {
    #private;
    readonly url: string;
    constructor(url: string | URL, options?: ClientOptions);
    /** Finds a video: a coarse page at once, then a refined one. Leaving the loop ends the search. */
    search(video: EncodedVideo | Uint8Array, options?: SearchOptions): AsyncGenerator<SearchPage, void, undefined>;
    /** Adds a video or replaces it. Needs a token that may write where the server has tokens. */
    put(id: string, video: EncodedVideo | Uint8Array, options?: {
        signal?: AbortSignal;
    }): Promise<"added" | "replaced" | "unchanged">;
    /** A video of the server, or null. */
    get(id: string, options?: {
        signal?: AbortSignal;
    }): Promise<EncodedVideo | null>;
    /** Removes a video; tells whether it was there. */
    remove(id: string, options?: {
        signal?: AbortSignal;
    }): Promise<boolean>;
    /** All videos, by id. */
    list(options?: {
        signal?: AbortSignal;
    }): AsyncGenerator<Listed, void, undefined>;
    /** The model whose records the server holds. */
    model(options?: {
        signal?: AbortSignal;
    }): Promise<ServerModel>;
    /** Where that model is loaded from, for `Encoder.load({ model })`; checked by its SHA-256. */
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
/** Searching and comparing, without the encoder: a smaller module for pages and Workers that get records from elsewhere. */
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
/** What kind of source a caller gives, and its bytes. */
/** A file: its bytes, or where they are. A URL is relative to the page and is downloaded as a whole. */
export type ByteSource = Blob | URL | string | Response | ArrayBuffer | Uint8Array;

// types.d.ts
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
export type ModelSource = string | URL | Blob | ArrayBuffer | Uint8Array | {
    url: string | URL;
    sha256?: string;
};
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
export type FrameSource = AsyncIterable<ImageData | VideoFrame | Pixels | TimedFrame> | Iterable<ImageData | VideoFrame | Pixels | TimedFrame>;

// video.d.ts
/** A video as it is indexed and searched with: a vector, a scalar, and binary codes of its frames. */
export declare class EncodedVideo {
    #private;
    /** SHA-256 of the bundle that made it; videos of different bundles cannot be compared. */
    readonly bundle: string;
    /** Seconds. */
    readonly duration: number;
    /** The selector's scalar. */
    readonly selfSimilarity: number;
    /** The video as one vector of unit length. */
    readonly global: Float32Array;
    /** When the sampled frames are shown, in seconds from the first. */
    readonly times: Float64Array;
    /**
     * How much each frame shows: 0 for one that says nothing (black, flat, faded out), 255 for ordinary footage; a view, not to be
     * written to.
     */
    readonly weights: Uint8Array;
    /** Whether any frame shows anything. A video of which this is false is found by none and finds none. */
    readonly informative: boolean;
    /** Sampled frames. */
    readonly frames: number;
    /** Regions of a frame. */
    readonly regions: number;
    /** Bits of a region. */
    readonly bits: number;
    /** Codes [frames][regions][bits / 8]; a view, not to be written to. */
    readonly codes: Uint8Array;
    /** What was lost on the way: a file that is damaged at its end, a video that was cut. */
    readonly warnings: readonly string[];
    /** The record: what an index, a server and every other host of Vidsieve read. */
    toBytes(): Uint8Array;
    /** Checks a record's bytes and reads them. Fails with `bad-record` for anything that is not a sound record. */
    static fromBytes(bytes: Uint8Array | ArrayBuffer, options?: {
        signal?: AbortSignal;
    }): Promise<EncodedVideo>;
}

// wire.d.ts
/**
 * The data that the Rust crates define: pages, hits, comparisons, records, listings, problems.
 *
 * Types only, generated from the Rust types. The names are those of the HTTP API's JSON and of the
 * objects that the WebAssembly modules return.
 */
export type { Comparison, Coverage, CoverageSide, DuplicateCopy, DuplicateExcerpt, DuplicateGroup, DuplicatePair, DuplicateReport, EngineErrorCode, Explanation, Hit, HitStage, Listed, Listing, PageStage, ProblemCode, ProblemDetails as Problem, PutResult, Relation, SearchPage, SearchParameters, SearchTimings as Timings, Segment, SegmentPlace, ServerModel, Untold, } from "./wire.generated.js";

// wire.generated.d.ts
/** Where in a video an interval lies, among its informative frames. */
export type SegmentPlace = "beginning" | "middle" | "end" | "whole";
/** Intervals of two videos that show the same. */
export interface Segment {
    /** Start and end in the query, in seconds. */
    query: [number, number];
    /** Start and end in the target, in seconds. */
    target: [number, number];
    /** Where they lie in the query and in the target. */
    at: [SegmentPlace, SegmentPlace];
    /** The mean similarity of the aligned frames, in [0, 1]. */
    score: number;
}
/** How the query is related to a target. */
export type Relation = "copy" | "excerpt" | "contains" | "shares-part" | "same-scene" | "different";
/** How much of a video the other one shows, over informative frames. */
export interface CoverageSide {
    /** Seconds of informative time that match. */
    seconds: number;
    /** Their share of the video's informative time, in [0, 1]. */
    share: number;
}
/** How much of each of two videos the other one shows, over informative frames. */
export interface Coverage {
    /** Of the query. */
    query: CoverageSide;
    /** Of the target. */
    target: CoverageSide;
}
/** Why the relation of a pair cannot be told. */
export type Untold = "nothing-in-query" | "nothing-in-target" | "nothing-changes";
/** The numbers behind a hit's scores. */
export interface Explanation {
    /** S^c's cosine in [-1, 1]. */
    coarse_cosine: number;
    /** S^f_B's similarity in [-1, 1], if the pair was compared. */
    fine_similarity: number | null;
    /** The selector's scalar of the video. */
    self_similarity: number;
    /** Whether the budget paid for the pair. */
    selected: boolean;
    /** Place among all videos by the coarse score, from 1. */
    coarse_rank: number;
}
/** Which network a hit's score comes from. */
export type HitStage = "coarse" | "fine";
/** One video of an answer. */
export interface Hit {
    /** The video. */
    id: string;
    /**
     * Its score in [0, 1]: the probability that the query's informative footage is in the video. At
     * most 0.89 if the pair was not compared.
     */
    score: number;
    /** Where the score comes from. */
    stage: HitStage;
    /** S^c's score in [0, 1]. */
    coarse: number;
    /** S^f_B's score in [0, 1], if the pair was compared. */
    fine: number | null;
    /** The selector's probability that the coarse score is wrong, if there is a selector. */
    doubt: number | null;
    /** How the query is related to the video; null if the pair was not compared. */
    relation: Relation | null;
    /** How much of each video the other one shows; null if the pair was not compared. */
    coverage: Coverage | null;
    /** Why the relation cannot be told. */
    untold?: Untold;
    /** Where the videos match, best first; empty if that was not looked for. */
    segments: Segment[];
    /**
     * Of a hit that was not compared: the seconds of the video that are most like the query, if it is
     * not the whole.
     */
    near?: [number, number];
    /** Why a pair that was to be compared was not. */
    unavailable?: string;
    /** The numbers behind it, if asked for. */
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
    /** Finding where videos match, with the records that this needs. */
    segments: number;
    /** From the start of the search to this page. */
    total: number;
}
/** Which page of an answer it is. */
export type PageStage = "coarse" | "refined";
/**
 * One page of an answer: the coarse one comes at once, the refined one after pairs were compared.
 */
export interface SearchPage {
    /** Which page it is. */
    page: PageStage;
    /** Whether no page follows. */
    last: boolean;
    /** SHA-256 of the bundle, 64 hexadecimal digits. */
    model: string;
    /** Videos that were searched. */
    videos: number;
    /** The budget of the search, as text. */
    budget: string;
    /** Pairs that the budget pays for. */
    selected: number;
    /** Pairs that were compared. */
    reranked: number;
    /** Pairs that were to be compared and could not be: their hits keep coarse scores. */
    missing: number;
    /** Whether anything is missing. */
    degraded: boolean;
    /**
     * What else the page lacks, in words: a part of a server's index that did not answer, a query
     * that shows nothing.
     */
    warnings?: string[];
    /** The best videos, best first. */
    hits: Hit[];
    /** Milliseconds of each part. */
    timings_ms: SearchTimings;
}
/** What a search returns and what it may cost. */
export interface SearchParameters {
    /** Most hits of a page; 10. */
    top: number;
    /**
     * What may be compared frame by frame: `auto` (the default), `none`, `all`, `5%`, `100pairs`,
     * `p>0.5`, `200ms`, `2s`.
     */
    budget: string;
    /** Hits below this score are left out; 0. */
    minScore: number;
    /** Whether segments are computed for the hits; true. */
    segments: boolean;
    /** Whether hits have the numbers behind their scores; false. */
    explain: boolean;
}
/** A copy of the video to keep. */
export interface DuplicateCopy {
    /** Its id. */
    id: string;
    /** Its score with the video to keep, in [0, 1]. */
    score: number;
    /** How much of the copy (`query`) and of the video to keep (`target`) the other one shows. */
    coverage: Coverage;
}
/** A video to keep and its copies. */
export interface DuplicateGroup {
    /** Id of the video to keep: the first by the order of what to keep that is no excerpt. */
    keep: string;
    /** Its copies; at least one. */
    copies: DuplicateCopy[];
}
/** A video that is an excerpt of a longer one. */
export interface DuplicateExcerpt {
    /** Its id. */
    id: string;
    /** Id of the video that holds it. */
    of: string;
    /** Their score in [0, 1]. */
    score: number;
    /** How much of the excerpt (`query`) and of the longer video (`target`) the other one shows. */
    coverage: Coverage;
}
/**
 * Two videos that have something in common and are neither copies nor one an excerpt of the other,
 * or score too little for that.
 */
export interface DuplicatePair {
    /** Id of one video, the query of the comparison. */
    a: string;
    /** Id of the other, the target. */
    b: string;
    /** How the first is related to the second. */
    relation: Relation;
    /** Their score in [0, 1]. */
    score: number;
    /** How much of each the other one shows. */
    coverage: Coverage;
    /** Why the relation cannot be told. */
    untold?: Untold;
}
/** Copies and excerpts of a table. */
export interface DuplicateReport {
    /** Videos that were looked at. */
    videos: number;
    /** Pairs that were compared frame by frame. */
    compared: number;
    /** Ids of videos whose record could not be read. */
    missing: string[];
    /** Groups of copies. */
    groups: DuplicateGroup[];
    /** Videos that are excerpts of longer ones, each once. */
    excerpts: DuplicateExcerpt[];
    /** Other pairs that have something in common, by relation, the highest score first. */
    related: DuplicatePair[];
}
/** Two videos compared with each other alone. */
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
    /** How the query is related to the target. */
    relation: Relation;
    /** How much of each video the other one shows. */
    coverage: Coverage;
    /** Why the relation cannot be told. */
    untold?: Untold;
    /** Where the videos match, best first. */
    segments: Segment[];
}
/** What went wrong in the engine; it does not change. */
export type EngineErrorCode = "bad-model" | "bad-record" | "other-version" | "other-bundle" | "bad-frame" | "bad-video" | "bad-argument";
/** One video of a listing. */
export interface Listed {
    /** Its id. */
    id: string;
    /** Length in seconds. */
    duration: number;
    /** Sampled frames. */
    frames: number;
    /** Bytes of its record. */
    bytes: number;
    /** When it was added, in seconds from 1970. */
    added: number;
    /** Its record's checksum, 16 hexadecimal digits. */
    checksum: string;
}
/** A page of the listing. */
export interface Listing {
    /** By id. */
    videos: Listed[];
    /** What the next page is asked for with; nothing if this may be the last. */
    next: string | null;
}
/** The result of putting a video. */
export type PutResult = "added" | "replaced" | "unchanged";
/** The answer of `/v1/model`. */
export interface ServerModel {
    /** SHA-256 of the bundle, 64 hexadecimal digits. */
    bundle: string;
    /** Regions of a frame, R. */
    regions: number | null;
    /** Bits of a region's code, L. */
    bits: number | null;
    /** Values of a video's vector, D. */
    dims: number | null;
    /** Names of the networks that the bundle has. */
    networks: string[];
    /** Bytes of the bundle. */
    bytes: number;
}
/** The code of a problem; it does not change. */
export type ProblemCode = "bad-request" | "unauthorized" | "forbidden" | "read-only" | "host" | "not-found" | "method-not-allowed" | "timeout" | "other-bundle" | "too-large" | "media-type" | "bad-body" | "range" | "too-many-requests" | "internal" | "damaged-record" | "busy" | "storage-full";
/** A problem as JSON. */
export interface ProblemDetails {
    /** `urn:vidsieve:problem:` and a stable code. */
    type: string;
    /** What went wrong, in a few words. */
    title: string;
    /** The status of the answer. */
    status: number;
    /** What went wrong with this request. */
    detail: string;
}

// words.d.ts
/** The relation of two videos in words, as the command prints it. */
import type { Comparison, Hit } from "./wire.js";
/**
 * The relation of a pair in words: "an excerpt of it: 4.0 s at its end, 12 %". "It" is the target. Of a hit that was not
 * compared "likely; not compared", "likely, near 12:40; not compared", or why nothing can be told of it, or null.
 */
export declare function describe(pair: Comparison): string;
export declare function describe(pair: Hit | Comparison): string | null;

// worker.d.ts
export {};
