/** The models loaded into a module. */

import { VidsieveError } from "../data/errors.js";
import type { Engine, Model, SlimGlue } from "./glue.js";
import type { Context, Loaded, Methods } from "./methods.js";
import { modelFile } from "./model-files.js";

/** A model in use. */
export interface LoadedModel<E> {
  info: Loaded;
  engine: Engine;
  encoder: E | null;
  /** Number of loads without an unload. */
  users: number;
}

/** Makes the encoder of a model, and returns the limits of its input. */
export type MakeEncoder<E> = (model: Model) => { encoder: E; frameSide: number; maxFrames: number };

/** Loads models, counts their users, and frees each with the last one. */
export class Models<E extends { free(): void }> {
  readonly #loaded = new Map<string, LoadedModel<E>>();

  /** `threads` is the module's number of threads. `makeEncoder` is null in a module without the encoder. */
  constructor(
    readonly glue: SlimGlue,
    readonly threads: number,
    readonly makeEncoder: MakeEncoder<E> | null,
  ) {}

  /** Returns the SHA-256 of each loaded bundle. */
  ids(): string[] {
    return [...this.#loaded.keys()];
  }

  /** Returns a loaded model; fails with `no-model` if it is not loaded. */
  get(id: string): LoadedModel<E> {
    const found = this.#loaded.get(id);
    if (found) return found;
    throw new VidsieveError(
      "no-model",
      `the model ${id.slice(0, 12)} is not loaded: load it first (Encoder.load, loadModel)`,
    );
  }

  /** Loads a model, or adds a user to a loaded one. */
  async load(
    { source, sha256: sha, encoder: wanted }: Methods["load"]["args"],
    { signal, emit }: Context<Methods["load"]["event"]>,
  ): Promise<Loaded> {
    const { bytes, name, cached } = await modelFile(source, sha, signal, emit);
    signal.throwIfAborted();
    emit({ phase: "model", done: bytes.length, total: bytes.length });
    const parsed = new this.glue.Model(name, bytes);
    try {
      if (sha && parsed.id !== sha) {
        throw new VidsieveError("integrity", `the model has SHA-256 ${parsed.id}, expected ${sha}`);
      }
      let found = this.#loaded.get(parsed.id);
      if (!found) {
        found = this.#start(parsed, bytes.length, cached);
        this.#loaded.set(parsed.id, found);
      }
      if (wanted && !found.encoder) this.#addEncoder(found, parsed);
      found.users++;
      return { ...found.info, cached };
    } finally {
      parsed.free();
    }
  }

  #start(parsed: Model, bytes: number, cached: boolean): LoadedModel<E> {
    const { id, licence } = parsed;
    const instructions = this.glue.instructionSet();
    const info = { id, licence, bytes, cached, instructions, threads: this.threads, frameSide: 0, maxFrames: 0 };
    return { info, engine: new this.glue.Engine(parsed), encoder: null, users: 0 };
  }

  #addEncoder(found: LoadedModel<E>, parsed: Model): void {
    if (!this.makeEncoder) {
      throw new VidsieveError("unsupported", "the slim entry cannot encode: import `vidsieve` instead");
    }
    const { encoder, frameSide, maxFrames } = this.makeEncoder(parsed);
    found.encoder = encoder;
    found.info = { ...found.info, frameSide, maxFrames };
  }

  /** Removes a user of a model, and frees it with the last one. */
  unload(id: string): void {
    const found = this.#loaded.get(id);
    if (!found || --found.users > 0) return;
    this.#loaded.delete(id);
    found.engine.free();
    found.encoder?.free();
  }
}
