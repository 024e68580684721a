/** What both modules do, in a Worker or in place: models, records, comparisons, local indices. */

import { models, open, packagedModel, pause, store } from "#platform";
import type * as Glue from "../../build/slim/vidsieve.js";

import { LONGEST_ID, Writer, read as readArchive } from "../store/archive.js";
import { VidsieveError, asError } from "../data/errors.js";
import type { Handlers, Loaded, WireSource } from "./methods.js";
import type { Hit, Progress, SearchPage } from "../data/types.js";
import type { RecordStore } from "../store/record-store.js";

/** The module's classes. */
export type SlimGlue = Pick<typeof Glue, "Engine" | "Model" | "Search" | "Table" | "inspect" | "instructionSet">;

/** A model in use. */
export interface LoadedModel<E> {
  info: Loaded;
  engine: Glue.Engine;
  encoder: E | null;
  /** Loads without an unload. */
  users: number;
}

/** Makes an encoder; the slim module has none. */
export type MakeEncoder<E> = (model: Glue.Model) => { encoder: E; frameSide: number; maxFrames: number };

/** Milliseconds of work after which other work of the thread goes first. */
const SLICE = 8;

const hex = (bytes: ArrayBuffer) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");

async function sha256(bytes: Uint8Array): Promise<string | null> {
  // Pages that were not loaded securely have no digest; the engine's own hash is checked in any case.
  if (typeof crypto === "undefined" || !crypto.subtle) return null;
  return hex(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/** Reads a body, piece by piece. */
async function read(response: Response, signal: AbortSignal, emit: (progress: Progress) => void): Promise<Uint8Array> {
  const length = Number(response.headers.get("content-length"));
  // With an encoding the length is not that of what comes out.
  const total = length > 0 && !response.headers.get("content-encoding") ? length : undefined;
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  const pieces: Uint8Array[] = [];
  let done = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      signal.throwIfAborted();
      const piece = await reader.read();
      if (piece.done) break;
      pieces.push(piece.value);
      done += piece.value.length;
      emit({ phase: "download", done, total });
    }
  } catch (cause) {
    reader.cancel().catch(() => {});
    signal.throwIfAborted();
    throw new VidsieveError("network", `the download broke off after ${done} bytes`, { cause });
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

interface Fetched {
  bytes: Uint8Array;
  name: string;
  cached: boolean;
}

/** A model's bytes: from the cache if they are there and sound, else from where they lie. */
async function fetchModel(
  source: WireSource,
  sha: string | null,
  signal: AbortSignal,
  emit: (progress: Progress) => void,
): Promise<Fetched> {
  if ("bytes" in source) return { bytes: source.bytes, name: "model", cached: false };
  if ("blob" in source) return { bytes: new Uint8Array(await source.blob.arrayBuffer()), name: "model", cached: false };
  const url = "packaged" in source ? packagedModel() : source.url;
  const expected = sha ?? ("packaged" in source ? MODEL_SHA256 : null);
  const name = url.split(/[?#]/)[0]?.split("/").pop() || "model";
  // Only what is known by its hash is taken from the cache: a URL alone may mean something else tomorrow.
  const cache = expected && !url.startsWith("file:") ? await models() : null;
  const key = `https://models.vidsieve.invalid/${expected ?? ""}`;
  const kept = await cache?.match(key);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if ((await sha256(bytes)) === expected) return { bytes, name, cached: true };
    await cache?.delete(key);
  }
  const response = await open(url, signal);
  if (!response.ok) throw new VidsieveError("network", `${url}: HTTP ${response.status}`);
  const bytes = await read(response, signal, emit);
  const found = await sha256(bytes);
  if (expected && found && found !== expected) {
    throw new VidsieveError("integrity", `${url} has SHA-256 ${found} where ${expected} was expected`);
  }
  // A full disk does not keep the model from working.
  if (found) await cache?.put(key, new Response(bytes as Uint8Array<ArrayBuffer>)).catch(() => {});
  return { bytes, name, cached: false };
}

/** Pixels as an `ImageData` where there is one. */
function picture(width: number, height: number, rgba: Uint8Array): ImageData {
  const data = new Uint8ClampedArray(rgba.buffer as ArrayBuffer, rgba.byteOffset, rgba.byteLength);
  return typeof ImageData === "undefined" ? ({ width, height, data } as ImageData) : new ImageData(data, width, height);
}

/** An index whose table is in memory. */
interface OpenIndex {
  store: RecordStore;
  table: Glue.Table;
  bundle: string;
  users: number;
}

/** The methods, and the models that they share. */
export function createHost<E extends { free(): void }>(
  glue: SlimGlue,
  threads: number,
  makeEncoder: MakeEncoder<E> | null,
): { handlers: Handlers; model: (id: string) => LoadedModel<E> } {
  const loaded = new Map<string, LoadedModel<E>>();
  const indices = new Map<string, Promise<OpenIndex>>();

  const model = (id: string): LoadedModel<E> => {
    const found = loaded.get(id);
    if (found) return found;
    throw new VidsieveError("no-model", `the model ${id.slice(0, 12)} is not loaded: load it first (Encoder.load, loadModel)`);
  };

  const openIndex = async (name: string): Promise<OpenIndex> => {
    const records = await store(name);
    try {
      const made = await records.bundle();
      const only = loaded.size === 1 ? [...loaded.keys()][0] : undefined;
      if (!made && !only) {
        const which = loaded.size ? "several models are loaded: leave one" : "load a model first (Encoder.load, loadModel)";
        throw new VidsieveError("no-model", `the local index is new, and it is not clear by which model it is to be searched; ${which}`);
      }
      const bundle = made ?? only ?? "";
      const table = new glue.Table(model(bundle).engine);
      // A record that cannot be read any more does not take the others with it.
      await records.each((id, record) => {
        try {
          table.put(id, record);
        } catch (thrown) {
          if (asError(thrown).code !== "bad-record") throw thrown;
        }
      });
      return { store: records, table, bundle, users: 1 };
    } catch (thrown) {
      records.close();
      throw thrown;
    }
  };

  const indexOf = (name: string): Promise<OpenIndex> => {
    let found = indices.get(name);
    if (!found) {
      indices.set(name, (found = openIndex(name)));
      found.catch(() => indices.delete(name));
    }
    return found;
  };

  const add = async ({ store: records, table, bundle }: OpenIndex, id: string, bytes: Uint8Array): Promise<boolean> => {
    if (id.length === 0 || new TextEncoder().encode(id).length > LONGEST_ID || /[\u0000-\u001f\u007f-\u009f]/.test(id)) {
      throw new VidsieveError("bad-argument", `an id is 1 to ${LONGEST_ID} bytes without control characters`);
    }
    // Checked before it is written.
    const replaced = table.put(id, bytes);
    await records.put(id, bytes, bundle);
    return replaced;
  };

  const handlers: Handlers = {
    async load({ source, sha256: sha, encoder: wanted }, { signal, emit }) {
      const { bytes, name, cached } = await fetchModel(source, sha, signal, emit);
      signal.throwIfAborted();
      emit({ phase: "model", done: bytes.length, total: bytes.length });
      const parsed = new glue.Model(name, bytes);
      try {
        if (sha && parsed.id !== sha) {
          throw new VidsieveError("integrity", `the model has SHA-256 ${parsed.id} where ${sha} was expected`);
        }
        let found = loaded.get(parsed.id);
        if (!found) {
          const instructions = glue.instructionSet();
          const info = { id: parsed.id, licence: parsed.licence, bytes: bytes.length, cached, instructions, threads, frameSide: 0, maxFrames: 0 };
          found = { info, engine: new glue.Engine(parsed), encoder: null, users: 0 };
          loaded.set(parsed.id, found);
        }
        if (wanted && !found.encoder) {
          if (!makeEncoder) throw new VidsieveError("unsupported", "the slim entry cannot encode: import `vidsieve` instead");
          const { encoder, frameSide, maxFrames } = makeEncoder(parsed);
          found.encoder = encoder;
          found.info = { ...found.info, frameSide, maxFrames };
        }
        found.users++;
        return { ...found.info, cached };
      } finally {
        parsed.free();
      }
    },

    async unload({ id }) {
      const found = loaded.get(id);
      if (!found || --found.users > 0) return;
      loaded.delete(id);
      found.engine.free();
      found.encoder?.free();
    },

    async inspect({ bytes }) {
      return glue.inspect(bytes);
    },

    async compare({ a, b, side }, { signal }) {
      const { engine } = model(glue.inspect(a).bundle);
      const comparison = engine.compare(a, b);
      if (side === 0) return comparison;
      await pause();
      signal.throwIfAborted();
      const matrix = engine.matrix(a, b, side);
      try {
        const { width, height, stride } = matrix;
        return {
          ...comparison,
          matrix: { width, height, stride, values: matrix.values(), image: picture(width, height, matrix.rgba()) },
        };
      } finally {
        matrix.free();
      }
    },

    async indexOpen({ name }) {
      const opened = indices.has(name);
      const index = await indexOf(name);
      if (opened) index.users++;
      return { size: index.table.size, bundle: index.bundle };
    },

    async indexAdd({ name, id, bytes }) {
      return add(await indexOf(name), id, bytes);
    },

    async indexRemove({ name, id }) {
      const { store: records, table } = await indexOf(name);
      await records.remove(id);
      return table.remove(id);
    },

    async indexGet({ name, id }) {
      const { store: records } = await indexOf(name);
      return (await records.get([id]))[0]?.slice() ?? null;
    },

    async indexIds({ name }) {
      return (await indexOf(name)).table.ids();
    },

    async indexClear({ name }) {
      const index = await indexOf(name);
      await index.store.clear();
      for (const id of index.table.ids()) index.table.remove(id);
    },

    async indexExport({ name }) {
      const { store: records } = await indexOf(name);
      const file = new Writer();
      await records.each((id, record) => file.add(id, record));
      return file.finish();
    },

    async indexImport({ name, file }, { signal, emit }) {
      const index = await indexOf(name);
      let count = 0;
      for await (const { id, record } of readArchive(file)) {
        signal.throwIfAborted();
        await add(index, id, record);
        emit(++count);
      }
      return count;
    },

    async indexClose({ name }) {
      const index = await indices.get(name);
      if (!index || --index.users > 0) return;
      indices.delete(name);
      index.store.close();
      index.table.free();
    },

    async indexSearch({ name, bytes, options }, { signal, emit }) {
      const { store: records, table, bundle } = await indexOf(name);
      const start = performance.now();
      const timings = { scan: 0, select: 0, fetch: 0, compare: 0, segments: 0, total: 0 };
      const search = new glue.Search(model(bundle).engine, table, bytes, options.budget);
      try {
        timings.scan = performance.now() - start;
        const page = (kind: "coarse" | "refined", last: boolean): SearchPage & { likely: boolean[] } => {
          const answer = search.page(options.top, options.minScore, options.explain);
          timings.total = performance.now() - start;
          return { page: kind, last, model: bundle, ...answer, degraded: answer.missing > 0, timings_ms: { ...timings } };
        };
        let wanted: string[] = search.wanted();
        const { likely: _, ...coarse } = page("coarse", wanted.length === 0 && !options.segments);
        emit(coarse);
        if (coarse.last) return;

        const limit = search.timeLimit ?? Infinity;
        const inTime = () => performance.now() - start < limit;
        let slice = performance.now();
        // As many pairs at a time as there are threads.
        for (; wanted.length > 0 && inTime(); wanted = search.wanted()) {
          const fetching = performance.now();
          const found = await records.get(wanted);
          timings.fetch += performance.now() - fetching;
          signal.throwIfAborted();
          for (let at = 0; at < found.length && inTime(); at += threads) {
            const comparing = performance.now();
            search.compare(found.slice(at, at + threads));
            timings.compare += performance.now() - comparing;
            if (performance.now() - slice > SLICE) {
              await pause();
              signal.throwIfAborted();
              slice = performance.now();
            }
          }
        }

        const { likely, ...refined } = page("refined", true);
        if (options.segments) {
          const begin = performance.now();
          for (const [i, hit] of (refined.hits as Hit[]).entries()) {
            if (!likely[i]) continue;
            const [record] = await records.get([hit.id]);
            if (record) hit.segments = search.segments(record);
            await pause();
            signal.throwIfAborted();
          }
          timings.segments = performance.now() - begin;
          timings.total = performance.now() - start;
          refined.timings_ms = { ...timings };
        }
        emit(refined);
      } finally {
        search.free();
      }
    },
  };
  return { handlers, model };
}
