import type {
  ComparisonWithMatrix,
  DedupeProgress,
  FileFacts,
  IndexedVideo,
  ModelInfo,
  Progress,
} from "../data/types.js";
import type { Comparison, DuplicateReport, RecordInfo, SearchPage, SearchParameters } from "../data/wire.js";
import type { Frame } from "../sources/pixels.js";
import type { Rate } from "../sources/sampling.js";

/** Source of a model in a message to a Worker. */
export type WireSource = { packaged: true } | { url: string } | { bytes: Uint8Array } | { blob: Blob };

/** A loaded model; with an encoder, also the limits of its input (else 0). */
export interface Loaded extends ModelInfo {
  frameSide: number;
  maxFrames: number;
}

/** An encoded video. */
export interface Encoded {
  bytes: Uint8Array;
  info: RecordInfo;
  warnings: string[];
  /** Number of threads that described the frames. */
  threads: number;
}

/** Described samples of a part of a file. */
export interface Range {
  part: Uint8Array;
  times: Float64Array;
  warnings: string[];
  /** Whether damage ended the range: nothing after it can be decoded. */
  ended: boolean;
}

/** Checked options of a search for copies. */
export interface Wanted {
  minScore: number;
  budget: string;
  /** Ids in order of preference for keeping. */
  order: string[];
}

/** Methods of a host: arguments, result, and events before it. */
export interface Methods {
  load: { args: { source: WireSource; sha256: string | null; encoder: boolean }; result: Loaded; event: Progress };
  unload: { args: { id: string }; result: void; event: never };
  inspect: { args: { bytes: Uint8Array }; result: RecordInfo; event: never };
  compare: {
    args: { a: Uint8Array; b: Uint8Array; side: number };
    result: Comparison | ComparisonWithMatrix;
    event: never;
  };
  /** Reads a file's headers. */
  fileFacts: { args: { file: Blob; fps: Rate }; result: FileFacts; event: never };
  /**
   * Opens a file under a number that the caller chooses. Returns the samples and seconds that the
   * headers declare, the samples a second, and the missing parts that the headers reveal.
   */
  openFile: {
    args: { reader: number; file: Blob; fps: Rate };
    result: { count: number; duration: number; fps: number; warnings: string[] };
    event: never;
  };
  /** Closes an open file once all calls that read it have ended. */
  closeFile: { args: { reader: number }; result: void; event: never };
  /** Encodes an open file; the result includes the warnings of opening it. */
  encodeFile: { args: { model: string; reader: number }; result: Encoded; event: Progress };
  /** Describes the samples `from..to` of an open file; `to` is exclusive. */
  encodeRange: { args: { model: string; reader: number; from: number; to: number }; result: Range; event: Progress };
  /** Joins consecutive ranges into a video. */
  join: {
    args: { model: string; parts: Uint8Array[]; times: Float64Array; duration: number; warnings: string[] };
    result: Encoded;
    event: never;
  };
  begin: { args: { model: string }; result: number; event: never };
  push: { args: { session: number; frame: Frame; samples: number }; result: void; event: never };
  /** Drops every second of the samples so far, at most 32. */
  halve: { args: { session: number }; result: void; event: never };
  finish: { args: { session: number; times: Float64Array; duration: number }; result: Encoded; event: never };
  drop: { args: { session: number }; result: void; event: never };
  indexOpen: { args: { name: string }; result: { size: number; bundle: string }; event: never };
  indexAdd: { args: { name: string; id: string; bytes: Uint8Array }; result: boolean; event: never };
  indexRemove: { args: { name: string; id: string }; result: boolean; event: never };
  indexGet: { args: { name: string; id: string }; result: Uint8Array | null; event: never };
  indexIds: { args: { name: string }; result: string[]; event: never };
  /** Returns all videos with their metadata. */
  indexList: { args: { name: string }; result: IndexedVideo[]; event: never };
  /** Finds copies and excerpts in an index. */
  indexDuplicates: { args: { name: string; wanted: Wanted }; result: DuplicateReport; event: DedupeProgress };
  /** Finds copies and excerpts among records outside an index. */
  duplicates: {
    args: { ids: string[]; records: Uint8Array[]; wanted: Wanted };
    result: DuplicateReport;
    event: DedupeProgress;
  };
  indexClear: { args: { name: string }; result: void; event: never };
  indexExport: { args: { name: string }; result: Blob; event: never };
  indexImport: { args: { name: string; file: Blob }; result: number; event: number };
  indexClose: { args: { name: string }; result: void; event: never };
  indexSearch: {
    args: { name: string; bytes: Uint8Array; options: SearchParameters };
    result: void;
    event: SearchPage;
  };
}

/** Context of a call: cancellation and events. */
export interface Context<E> {
  signal: AbortSignal;
  emit: (event: E) => void;
}

/** Implementation of a method. */
export type Handler<M extends keyof Methods> = (
  args: Methods[M]["args"],
  context: Context<Methods[M]["event"]>,
) => Promise<Methods[M]["result"]>;

/** Implementations of a host's methods. */
export type Handlers = { [M in keyof Methods]?: Handler<M> };

/** Options of a call. */
export interface CallOptions<M extends keyof Methods> {
  signal?: AbortSignal | undefined;
  onEvent?: (event: Methods[M]["event"]) => void;
  transfer?: Transferable[];
}

/** Runs methods, in a Worker or in this thread. */
export interface Backend {
  call<M extends keyof Methods>(
    method: M,
    args: Methods[M]["args"],
    options?: CallOptions<M>,
  ): Promise<Methods[M]["result"]>;
  /** Returns further backends with the same models, to share work; none where there is only one thread. */
  helpers(count: number): Backend[];
  /** Closes the backend; pending calls fail with `disposed`. */
  close(): void;
}
