/** The local indices that are open, by name. */

import { store } from "#platform";

import { VidsieveError, asError } from "../data/errors.js";
import type { Engine, SlimGlue } from "./glue.js";
import { OpenIndex } from "./open-index.js";

/** The loaded models: a table is made for the engine of one. */
export interface LoadedEngines {
  ids(): string[];
  get(id: string): { engine: Engine };
}

/** Opens each index once, counts its users and closes it with the last one. */
export class LocalIndices {
  readonly #open = new Map<string, Promise<OpenIndex>>();

  constructor(
    readonly glue: SlimGlue,
    readonly models: LoadedEngines,
  ) {}

  /** The index of a name, which is opened if it is not. */
  get(name: string): Promise<OpenIndex> {
    let found = this.#open.get(name);
    if (!found) {
      this.#open.set(name, (found = this.#read(name)));
      found.catch(() => this.#open.delete(name));
    }
    return found;
  }

  /** Counts one more user of an index, which is opened if it is not. */
  async open(name: string): Promise<OpenIndex> {
    const opened = this.#open.has(name);
    const index = await this.get(name);
    if (opened) index.users++;
    return index;
  }

  /** Closes an index with its last user. */
  async close(name: string): Promise<void> {
    const index = await this.#open.get(name);
    if (!index || --index.users > 0) return;
    this.#open.delete(name);
    index.close();
  }

  async #read(name: string): Promise<OpenIndex> {
    const records = await store(name);
    try {
      const bundle = (await records.bundle()) ?? this.#onlyModel();
      const table = new this.glue.Table(this.models.get(bundle).engine);
      return await OpenIndex.read(this.glue, records, table, bundle);
    } catch (thrown) {
      records.close();
      const error = asError(thrown);
      if (error.code !== "other-version") throw thrown;
      // It cannot be opened to be cleared.
      const remedy = `delete it (indexedDB.deleteDatabase("vidsieve:${name}")) and add the videos again`;
      throw new VidsieveError(error.code, `the local index ${name}: ${error.message}: ${remedy}`, { cause: thrown });
    }
  }

  /** The model that a new index is of: the one that is loaded. */
  #onlyModel(): string {
    const [only, ...others] = this.models.ids();
    if (only !== undefined && others.length === 0) return only;
    const which = only === undefined ? "load a model first (Encoder.load, loadModel)" : "several models are loaded: leave one";
    throw new VidsieveError(
      "no-model",
      `the local index is new, and it is not clear by which model it is to be searched; ${which}`,
    );
  }
}
