/** The host of this page: one Worker, or this thread. It is made at the first call and ended when nothing needs it any more. */

import { spawn } from "#kind";

import { VidsieveError } from "../data/errors.js";
import type { Backend, CallOptions, Handlers, Loaded, Methods } from "../engine/methods.js";
import { LocalBackend } from "./local-backend.js";
import type { FromWorker, ToWorker } from "./messages.js";

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (reason: unknown) => void;
  onEvent: ((event: unknown) => void) | undefined;
}

/** A Worker; one that crashed is replaced by the next call, with the models that were loaded. */
class WorkerBackend implements Backend {
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #next = 0;
  #closed = false;
  /** Models that are loaded again. */
  #ready: Promise<unknown> = Promise.resolve();
  /** Loads to be repeated in a new Worker, a count of users by model. */
  #loads = new Map<string, { args: Methods["load"]["args"]; users: number }>();

  /** Closed with this one. */
  #helpers = new Set<WorkerBackend>();

  /** Takes the first Worker, so that the caller knows whether there are any; null for one that is made when it is needed. */
  constructor(worker: Worker | null) {
    if (worker) this.#adopt(worker);
  }

  helpers(count: number): Backend[] {
    return Array.from({ length: count }, () => {
      const helper = new WorkerBackend(null);
      helper.#loads = new Map(this.#loads);
      this.#helpers.add(helper);
      return helper;
    });
  }

  #adopt(worker: Worker): void {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      const waiting = this.#waiting.get(data.id);
      if (!waiting) return;
      if ("event" in data) return waiting.onEvent?.(data.event);
      this.#waiting.delete(data.id);
      if ("result" in data) return waiting.resolve(data.result);
      waiting.reject(new VidsieveError(data.error.code, data.error.message));
      if (data.error.code === "crashed") this.#fail(data.error.message);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message || "its script could not be loaded");
    };
    worker.onmessageerror = () => this.#fail("a message could not be read");
    worker.postMessage({ start: { threads: mostThreads ?? Math.min(cores(), MOST) } } satisfies ToWorker);
  }

  #fail(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new VidsieveError("crashed", `the Worker ended: ${reason}`));
  }

  #post<M extends keyof Methods>(method: M, args: Methods[M]["args"], options: CallOptions<M>): Promise<Methods[M]["result"]> {
    const worker = this.#worker;
    if (!worker) return Promise.reject(new VidsieveError("crashed", "the Worker has ended"));
    const { signal, onEvent, transfer } = options;
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const abort = () => {
        if (!this.#waiting.delete(id)) return;
        worker.postMessage({ id, abort: true });
        reject(signal?.reason);
      };
      const end = <T>(then: (value: T) => void) => (value: T) => {
        signal?.removeEventListener("abort", abort);
        then(value);
      };
      this.#waiting.set(id, {
        resolve: end(resolve as (result: unknown) => void),
        reject: end(reject),
        onEvent: onEvent as ((event: unknown) => void) | undefined,
      });
      signal?.addEventListener("abort", abort, { once: true });
      worker.postMessage({ id, method, args }, transfer ?? []);
    });
  }

  async call<M extends keyof Methods>(
    method: M,
    args: Methods[M]["args"],
    options: CallOptions<M> = {},
  ): Promise<Methods[M]["result"]> {
    options.signal?.throwIfAborted();
    if (this.#closed) throw new VidsieveError("disposed", "the engine was disposed of");
    if (!this.#worker) {
      const worker = spawn();
      if (!worker) throw new VidsieveError("unsupported", "this host has no Workers any more");
      this.#adopt(worker);
      const loads = [...this.#loads.values()].map(({ args: load }) => this.#post("load", load, {}));
      this.#ready = Promise.all(loads);
      this.#ready.catch(() => {});
    }
    try {
      await this.#ready;
    } catch (thrown) {
      // The next call tries anew.
      this.#fail("its models could not be loaded again");
      throw thrown;
    }
    const result = await this.#post(method, args, options);
    if (method === "load") {
      const { id } = result as Loaded;
      const known = this.#loads.get(id);
      const load = args as Methods["load"]["args"];
      this.#loads.set(id, { args: known && !load.encoder ? known.args : load, users: (known?.users ?? 0) + 1 });
    } else if (method === "unload") {
      const { id } = args as Methods["unload"]["args"];
      const known = this.#loads.get(id);
      if (known && --known.users <= 0) this.#loads.delete(id);
    }
    return result;
  }

  close(): void {
    this.#closed = true;
    for (const helper of this.#helpers) helper.close();
    this.#helpers.clear();
    this.#worker?.terminate();
    this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new VidsieveError("disposed", "the engine was disposed of"));
  }
}

/** Most threads or Workers that are started if the page does not say. */
const MOST = 8;

let useWorker = true;
/** Most threads of the Worker, and Workers that share the work of a file; undefined for the defaults. */
let mostThreads: number | undefined;
let mostWorkers: number | undefined;
let backend: Backend | null = null;
let holders = 0;

const cores = (): number => (typeof navigator === "undefined" ? 1 : (navigator.hardwareConcurrency ?? 1));

/** Workers that may share the encoding of a file. @internal */
export function workersOf(): number {
  return mostWorkers ?? Math.max(1, Math.min(cores() - 1, MOST));
}

/** The host in this thread, loaded when it is needed. */
async function inPlace(): Promise<Handlers> {
  // One of the two is taken out by the build.
  const host = KIND === "full" ? await import("../engine/host-full.js") : await import("../engine/host-slim.js");
  return host.makeHandlers();
}

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

/** Fails for a number of threads or Workers that nobody means. */
function countable(name: string, count: number | undefined): number | undefined {
  if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= 64)) return count;
  throw new VidsieveError("bad-argument", `${name} is ${count}, must be 1 to 64`);
}

/** Configures the package, before its first use. Fails with `bad-argument` after it. */
export function configure(configuration: Configuration): void {
  if (backend) throw new VidsieveError("bad-argument", "configure is to be called before anything else of this package");
  const { worker = true, threads, workers } = configuration;
  mostThreads = countable("threads", threads);
  mostWorkers = countable("workers", workers);
  useWorker = worker;
}

/** The host. @internal */
export function backendOf(): Backend {
  if (!backend) {
    const worker = useWorker ? spawn() : null;
    backend = worker ? new WorkerBackend(worker) : new LocalBackend(inPlace);
  }
  return backend;
}

/** The host, which stays until it is released. @internal */
export function hold(): Backend {
  holders++;
  return backendOf();
}

/** Ends the host when nobody holds it any more. @internal */
export function release(): void {
  if (--holders > 0) return;
  backend?.close();
  backend = null;
}
