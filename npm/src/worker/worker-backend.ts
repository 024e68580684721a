/** Runs methods in a Web Worker by messages. */

import { spawn } from "#kind";

import { VidsieveError, fromData } from "../data/errors.js";
import type { Backend, CallOptions, Loaded, Methods } from "../engine/methods.js";
import type { FromWorker, ToWorker } from "./messages.js";

/** A pending call. */
interface Waiting {
  resolve: (result: unknown) => void;
  reject: (reason: unknown) => void;
  onEvent: ((event: unknown) => void) | undefined;
}

/** Runs methods in a Worker. After a crash, the next call starts a new one and loads the models again. */
export class WorkerBackend implements Backend {
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #next = 0;
  #closed = false;
  /** Settled when the models are loaded again. */
  #ready: Promise<unknown> = Promise.resolve();
  /** Loads to repeat in a new Worker, with the number of users of each model. */
  #loads = new Map<string, { args: Methods["load"]["args"]; users: number }>();

  /** Further backends, closed with this one. */
  #helpers = new Set<WorkerBackend>();

  /**
   * `worker` is the first Worker, or null to start one at the first call. Each has at most `threads`
   * threads.
   */
  constructor(
    worker: Worker | null,
    readonly threads: number,
  ) {
    if (worker) this.#adopt(worker);
  }

  helpers(count: number): Backend[] {
    return Array.from({ length: count }, () => {
      const helper = new WorkerBackend(null, this.threads);
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
      waiting.reject(fromData(data.error));
      if (data.error.code === "crashed") this.#fail(data.error.message);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message || "its script could not be loaded");
    };
    worker.onmessageerror = () => this.#fail("a message could not be read");
    worker.postMessage({ start: { threads: this.threads } } satisfies ToWorker);
  }

  #fail(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new VidsieveError("crashed", `the Worker ended: ${reason}`));
  }

  #post<M extends keyof Methods>(
    method: M,
    args: Methods[M]["args"],
    options: CallOptions<M>,
  ): Promise<Methods[M]["result"]> {
    const worker = this.#worker;
    if (!worker) return Promise.reject(new VidsieveError("crashed", "the Worker ended before the call"));
    const { signal, onEvent, transfer } = options;
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const abort = () => {
        if (!this.#waiting.delete(id)) return;
        worker.postMessage({ id, abort: true });
        reject(signal?.reason);
      };
      const end =
        <T>(then: (value: T) => void) =>
        (value: T) => {
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
      if (!worker) throw new VidsieveError("unsupported", "the host did not start a Worker");
      this.#adopt(worker);
      const loads = [...this.#loads.values()].map(({ args: load }) => this.#post("load", load, {}));
      this.#ready = Promise.all(loads);
      this.#ready.catch(() => {});
    }
    try {
      await this.#ready;
    } catch (thrown) {
      // The next call tries again.
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
