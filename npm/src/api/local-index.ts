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
 * An index in this browser (IndexedDB) that is searched like a server. In Node and in workerd it is in
 * memory. It holds records of one model, which must be loaded.
 */
export class LocalIndex {
  readonly name: string;
  /** SHA-256 of the bundle that made the records. */
  readonly bundle: string;
  #backend: Backend | null;

  private constructor(name: string, bundle: string, backend: Backend) {
    this.name = name;
    this.bundle = bundle;
    this.#backend = backend;
  }

  /** Opens an index, or creates it. Load its model first (`Encoder.load` or `loadModel`). */
  static async open(name: string, options: { signal?: AbortSignal } = {}): Promise<LocalIndex> {
    if (typeof name !== "string" || name.length === 0)
      throw new VidsieveError("bad-argument", "the name of a local index is empty: pass a non-empty string");
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
    throw new VidsieveError("disposed", "this local index was closed: open it with LocalIndex.open");
  }

  /**
   * Adds or replaces a video, and returns whether the id was indexed already. Fails with `other-bundle`
   * for a video of another model.
   */
  async add(id: string, video: EncodedVideo | Uint8Array, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    return this.#use().call("indexAdd", { name: this.name, id, bytes: recordBytes(video) }, options);
  }

  /** Removes a video, and returns whether it was indexed. */
  async remove(id: string): Promise<boolean> {
    return this.#use().call("indexRemove", { name: this.name, id });
  }

  /** Returns the video of an id, or null. */
  async get(id: string): Promise<EncodedVideo | null> {
    const backend = this.#use();
    const bytes = await backend.call("indexGet", { name: this.name, id });
    return bytes ? new EncodedVideo(bytes, await backend.call("inspect", { bytes })) : null;
  }

  /** Returns all ids. */
  async ids(): Promise<string[]> {
    return this.#use().call("indexIds", { name: this.name });
  }

  /** Returns all videos with their lengths and the times at which they were added, sorted by id. */
  async list(): Promise<IndexedVideo[]> {
    return this.#use().call("indexList", { name: this.name });
  }

  /**
   * Finds copies and excerpts among the videos of the index, and names the one to keep of each group
   * of copies. Removes nothing.
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

  /** Exports the index as a file for {@link LocalIndex.import}. */
  async export(options: { signal?: AbortSignal } = {}): Promise<Blob> {
    return this.#use().call("indexExport", { name: this.name }, options);
  }

  /**
   * Adds the videos of an exported file, and returns their number. If the file is damaged, the videos
   * before the damage stay in the index.
   */
  async import(
    file: Blob,
    options: { onProgress?: (videos: number) => void; signal?: AbortSignal } = {},
  ): Promise<number> {
    const { signal, onProgress } = options;
    return this.#use().call(
      "indexImport",
      { name: this.name, file },
      { signal, onEvent: (videos) => onProgress?.(videos) },
    );
  }

  /**
   * Searches for a video: yields a coarse page first, then a refined page after re-ranking. Leaving the
   * loop cancels the search.
   */
  search(video: EncodedVideo | Uint8Array, options: SearchOptions = {}): AsyncGenerator<SearchPage, void, undefined> {
    const backend = this.#use();
    const { signal, ...wire } = searchDefaults(options);
    const args = { name: this.name, bytes: recordBytes(video), options: wire };
    return channel((emit, stop) => backend.call("indexSearch", args, { signal: stop, onEvent: emit }), signal);
  }

  /** Closes the index; its videos are kept. */
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
