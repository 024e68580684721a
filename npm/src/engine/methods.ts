import type { ComparisonWithMatrix, DedupeProgress, FileFacts, IndexedVideo, ModelInfo, Progress } from "../data/types.js";
import type { Comparison, DuplicateReport, RecordInfo, SearchPage, SearchParameters } from "../data/wire.js";
import type { Frame } from "../sources/pixels.js";
import type { Rate } from "../sources/sampling.js";

/** Where a model comes from, as it crosses to a Worker. */
export type WireSource = { packaged: true } | { url: string } | { bytes: Uint8Array } | { blob: Blob };

/** A loaded model; with an encoder also what it takes. */
export interface Loaded extends ModelInfo {
  frameSide: number;
  maxFrames: number;
}

/** An encoded video. */
export interface Encoded {
  bytes: Uint8Array;
  info: RecordInfo;
  warnings: string[];
  /** Threads that its frames were described by. */
  threads: number;
}

/** Samples of a file that another Worker described. */
export interface Range {
  part: Uint8Array;
  times: Float64Array;
  warnings: string[];
  /** Whether damage ended it: nothing after it can be decoded. */
  ended: boolean;
}

/** What counts as a copy. */
export interface Wanted {
  minScore: number;
  budget: string;
  /** Ids, the best to keep first. */
  order: string[];
}

/** What a host does for the page: arguments, result, and events on the way. */
export interface Methods {
  load: { args: { source: WireSource; sha256: string | null; encoder: boolean }; result: Loaded; event: Progress };
  unload: { args: { id: string }; result: void; event: never };
  inspect: { args: { bytes: Uint8Array }; result: RecordInfo; event: never };
  compare: { args: { a: Uint8Array; b: Uint8Array; side: number }; result: Comparison | ComparisonWithMatrix; event: never };
  /** What a file is, by its headers. */
  fileFacts: { args: { file: Blob; fps: Rate }; result: FileFacts; event: never };
  /**
   * Opens a file under a number that the caller chooses; returns the samples and seconds that the
   * file claims to have, the samples a second, and what is known beforehand to be missing.
   */
  openFile: {
    args: { reader: number; file: Blob; fps: Rate };
    result: { count: number; duration: number; fps: number; warnings: string[] };
    event: never;
  };
  /** Closes an open file, after the calls that still read it. */
  closeFile: { args: { reader: number }; result: void; event: never };
  /** Encodes an open file, with the warnings of opening it. */
  encodeFile: { args: { model: string; reader: number }; result: Encoded; event: Progress };
  /** Describes the samples of an open file from number `from` up to `to`, which is not included. */
  encodeRange: { args: { model: string; reader: number; from: number; to: number }; result: Range; event: Progress };
  /** The video of ranges that follow one another. */
  join: {
    args: { model: string; parts: Uint8Array[]; times: Float64Array; duration: number; warnings: string[] };
    result: Encoded;
    event: never;
  };
  begin: { args: { model: string }; result: number; event: never };
  push: { args: { session: number; frame: Frame; samples: number }; result: void; event: never };
  /** Leaves out every second one of up to 32 samples that were pushed. */
  halve: { args: { session: number }; result: void; event: never };
  finish: { args: { session: number; times: Float64Array; duration: number }; result: Encoded; event: never };
  drop: { args: { session: number }; result: void; event: never };
  indexOpen: { args: { name: string }; result: { size: number; bundle: string }; event: never };
  indexAdd: { args: { name: string; id: string; bytes: Uint8Array }; result: boolean; event: never };
  indexRemove: { args: { name: string; id: string }; result: boolean; event: never };
  indexGet: { args: { name: string; id: string }; result: Uint8Array | null; event: never };
  indexIds: { args: { name: string }; result: string[]; event: never };
  /** All videos with what is kept beside their records. */
  indexList: { args: { name: string }; result: IndexedVideo[]; event: never };
  /** Copies and excerpts of an index. */
  indexDuplicates: { args: { name: string; wanted: Wanted }; result: DuplicateReport; event: DedupeProgress };
  /** Copies and excerpts among records that are in no index. */
  duplicates: { args: { ids: string[]; records: Uint8Array[]; wanted: Wanted }; result: DuplicateReport; event: DedupeProgress };
  indexClear: { args: { name: string }; result: void; event: never };
  indexExport: { args: { name: string }; result: Blob; event: never };
  indexImport: { args: { name: string; file: Blob }; result: number; event: number };
  indexClose: { args: { name: string }; result: void; event: never };
  indexSearch: { args: { name: string; bytes: Uint8Array; options: SearchParameters }; result: void; event: SearchPage };
}

/** What a method is given beside its arguments. */
export interface Context<E> {
  signal: AbortSignal;
  emit: (event: E) => void;
}

/** A method's implementation. */
export type Handler<M extends keyof Methods> = (
  args: Methods[M]["args"],
  context: Context<Methods[M]["event"]>,
) => Promise<Methods[M]["result"]>;

/** All that a host does. */
export type Handlers = { [M in keyof Methods]?: Handler<M> };

/** How a method is called. */
export interface CallOptions<M extends keyof Methods> {
  signal?: AbortSignal | undefined;
  onEvent?: (event: Methods[M]["event"]) => void;
  transfer?: Transferable[];
}

/** Who does it: a Worker, or this thread. */
export interface Backend {
  call<M extends keyof Methods>(method: M, args: Methods[M]["args"], options?: CallOptions<M>): Promise<Methods[M]["result"]>;
  /** Others of its kind that have loaded the same models, for work that can be shared; none where there is one place to work in. */
  helpers(count: number): Backend[];
  /** Ends it; calls that wait fail with `disposed`. */
  close(): void;
}
