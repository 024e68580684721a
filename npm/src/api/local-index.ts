/// <reference lib="esnext.disposable" preserve="true" />
import { VidsieveError } from "../data/errors.js";
import type { DedupeOptions, IndexedVideo, SearchOptions } from "../data/types.js";
import type { DuplicateReport, SearchPage } from "../data/wire.js";
import type { Backend } from "../engine/methods.js";
import { hold, release } from "../worker/backend.js";
import { channel } from "./channel.js";
import { dedupeDefaults } from "./duplicates.js";
import { searchDefaults } from "./options.js";
import { EncodedVideo, recordBytes } from "./video.js";

/**
 * An index of this browser (IndexedDB), searched as a server searches; in Node and in Workers it is in memory. It holds records of one
 * model, which must be loaded.
 */
export class LocalIndex {
  readonly name: string;
  /** SHA-256 of the bundle whose records it holds. */
  readonly bundle: string;
  #backend: Backend | null;

  private constructor(name: string, bundle: string, backend: Backend) {
    this.name = name;
    this.bundle = bundle;
    this.#backend = backend;
  }

  /** Opens an index, or begins one. Load its model first (`Encoder.load` or `loadModel`). */
  static async open(name: string, options: { signal?: AbortSignal } = {}): Promise<LocalIndex> {
    if (typeof name !== "string" || name.length === 0) throw new VidsieveError("bad-argument", "a local index needs a name");
    const backend = hold();
    try {
      const { bundle } = await backend.call("indexOpen", { name }, options);
      return new LocalIndex(name, bundle, backend);
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  #use(): Backend {
    if (this.#backend) return this.#backend;
    throw new VidsieveError("disposed", "this local index was closed");
  }

  /** Adds a video or replaces it; tells whether it was there. Fails with `other-bundle` for one of another model. */
  async add(id: string, video: EncodedVideo | Uint8Array, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    return this.#use().call("indexAdd", { name: this.name, id, bytes: recordBytes(video) }, options);
  }

  /** Removes a video; tells whether it was there. */
  async remove(id: string): Promise<boolean> {
    return this.#use().call("indexRemove", { name: this.name, id });
  }

  /** A video of the index, or null. */
  async get(id: string): Promise<EncodedVideo | null> {
    const backend = this.#use();
    const bytes = await backend.call("indexGet", { name: this.name, id });
    return bytes ? new EncodedVideo(bytes, await backend.call("inspect", { bytes })) : null;
  }

  /** All ids. */
  async ids(): Promise<string[]> {
    return this.#use().call("indexIds", { name: this.name });
  }

  /** All videos with their lengths and when they were added, by id. */
  async list(): Promise<IndexedVideo[]> {
    return this.#use().call("indexList", { name: this.name });
  }

  /**
   * Finds copies and excerpts among the videos of the index, and says which of several copies to
   * keep. Nothing is removed.
   */
  async dedupe(options: DedupeOptions = {}): Promise<DuplicateReport> {
    const { signal, onProgress } = options;
    const args = { name: this.name, wanted: dedupeDefaults(options) };
    return this.#use().call("indexDuplicates", args, { signal, onEvent: (event) => onProgress?.(event) });
  }

  /** Removes all videos. */
  async clear(): Promise<void> {
    return this.#use().call("indexClear", { name: this.name });
  }

  /** All of it as a file, for {@link LocalIndex.import} elsewhere. */
  async export(options: { signal?: AbortSignal } = {}): Promise<Blob> {
    return this.#use().call("indexExport", { name: this.name }, options);
  }

  /** Adds the videos of such a file and tells how many. What came before damage in it stays. */
  async import(file: Blob, options: { onProgress?: (videos: number) => void; signal?: AbortSignal } = {}): Promise<number> {
    const { signal, onProgress } = options;
    return this.#use().call("indexImport", { name: this.name, file }, { signal, onEvent: (videos) => onProgress?.(videos) });
  }

  /** Finds a video: a coarse page at once, a refined one after frames were compared. Leaving the loop ends the search. */
  search(video: EncodedVideo | Uint8Array, options: SearchOptions = {}): AsyncGenerator<SearchPage, void, undefined> {
    const backend = this.#use();
    const { signal, ...wire } = searchDefaults(options);
    const args = { name: this.name, bytes: recordBytes(video), options: wire };
    return channel((emit, stop) => backend.call("indexSearch", args, { signal: stop, onEvent: emit }), signal);
  }

  /** Closes it; what was added stays. */
  dispose(): void {
    const backend = this.#backend;
    if (!backend) return;
    this.#backend = null;
    backend.call("indexClose", { name: this.name }).catch(() => {});
    release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
