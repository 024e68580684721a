/** The open local indices, by name. */

import { store } from "#platform";

import { VidsieveError, asError } from "../data/errors.js";
import type { Engine, SlimGlue } from "./glue.js";
import { OpenIndex } from "./open-index.js";

/** The loaded models, whose engines make tables. */
export interface LoadedEngines {
  ids(): string[];
  get(id: string): { engine: Engine };
}

/** Opens each index once, counts its users, and closes it with the last one. */
export class LocalIndices {
  readonly #open = new Map<string, Promise<OpenIndex>>();

  constructor(
    readonly glue: SlimGlue,
    readonly models: LoadedEngines,
  ) {}

  /** Returns the index of a name, and opens it if needed. */
  get(name: string): Promise<OpenIndex> {
    let found = this.#open.get(name);
    if (!found) {
      this.#open.set(name, (found = this.#read(name)));
      found.catch(() => this.#open.delete(name));
    }
    return found;
  }

  /** Adds a user to an index, and opens it if needed. */
  async open(name: string): Promise<OpenIndex> {
    const opened = this.#open.has(name);
    const index = await this.get(name);
    if (opened) index.users++;
    return index;
  }

  /** Removes a user of an index, and closes it with the last one. */
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
      // An index that cannot be opened cannot be cleared either.
      const remedy = `delete it (indexedDB.deleteDatabase("vidsieve:${name}")) and add the videos again`;
      throw new VidsieveError(error.code, `the local index ${name}: ${error.message}: ${remedy}`, { cause: thrown });
    }
  }

  /** Returns the model of a new index: the only loaded one. */
  #onlyModel(): string {
    const [only, ...others] = this.models.ids();
    if (only !== undefined && others.length === 0) return only;
    const which =
      only === undefined
        ? "load a model first (Encoder.load, loadModel)"
        : "several models are loaded: dispose of all but one";
    throw new VidsieveError("no-model", `the model of the new local index is ambiguous: ${which}`);
  }
}
