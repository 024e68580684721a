/** The one backend of a page: a Worker or this thread. The first call starts it, the last release ends it. */

import { spawn } from "#kind";

import { VidsieveError } from "../data/errors.js";
import type { Backend, Handlers } from "../engine/methods.js";
import { LocalBackend } from "./local-backend.js";
import { WorkerBackend } from "./worker-backend.js";

/** Default maximum of threads and Workers. */
const MOST = 8;

let useWorker = true;
/** Maximum of threads of the Worker; undefined for the default. */
let mostThreads: number | undefined;
/** Maximum of Workers that share the encoding of a file; undefined for the default. */
let mostWorkers: number | undefined;
let backend: Backend | null = null;
let holders = 0;

const cores = (): number => (typeof navigator === "undefined" ? 1 : (navigator.hardwareConcurrency ?? 1));

/** Returns how many Workers may share the encoding of a file. @internal */
export function workersOf(): number {
  return mostWorkers ?? Math.max(1, Math.min(cores() - 1, MOST));
}

/** Loads the methods into this thread. */
async function inPlace(): Promise<Handlers> {
  // The build removes one of the two.
  const host = KIND === "full" ? await import("../engine/host-full.js") : await import("../engine/host-slim.js");
  return host.makeHandlers();
}

/** Configuration of the package on this page. */
export interface Configuration {
  /** Whether to work in a Web Worker, so that the page stays responsive. Default: true where Workers exist. */
  worker?: boolean;
  /**
   * Maximum of threads of that Worker, 1 to 64. Default: the number of cores, at most 8. Threads need a
   * cross-origin isolated page (COOP and COEP) and a package that was built with them;
   * {@link ModelInfo.threads} is their number.
   */
  threads?: number;
  /**
   * Maximum of Workers that share the encoding of a long file where there are no threads, 1 to 64.
   * Default: one less than the number of cores, at most 8. Each needs some 25 MB meanwhile.
   */
  workers?: number;
}

/** Checks a number of threads or Workers. */
function countable(name: string, count: number | undefined): number | undefined {
  if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= 64)) return count;
  throw new VidsieveError("bad-argument", `${name} is ${count}, must be 1 to 64`);
}

/** Configures the package. Call it before anything else: afterwards it fails with `bad-argument`. */
export function configure(configuration: Configuration): void {
  if (backend)
    throw new VidsieveError(
      "bad-argument",
      "configure was called too late: call it before anything else of this package",
    );
  const { worker = true, threads, workers } = configuration;
  mostThreads = countable("threads", threads);
  mostWorkers = countable("workers", workers);
  useWorker = worker;
}

/** Returns the backend, and starts it if needed. @internal */
export function backendOf(): Backend {
  if (!backend) {
    const worker = useWorker ? spawn() : null;
    const threads = mostThreads ?? Math.min(cores(), MOST);
    backend = worker ? new WorkerBackend(worker, threads) : new LocalBackend(inPlace);
  }
  return backend;
}

/** Returns the backend, which runs until it is released. @internal */
export function hold(): Backend {
  holders++;
  return backendOf();
}

/** Releases the backend, and ends it after the last release. @internal */
export function release(): void {
  if (--holders > 0) return;
  backend?.close();
  backend = null;
}
