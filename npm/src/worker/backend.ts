/** The host of this page: one Worker, or this thread. It is made at the first call and ended when nothing needs it any more. */

import { spawn } from "#kind";

import { VidsieveError } from "../data/errors.js";
import type { Backend, Handlers } from "../engine/methods.js";
import { LocalBackend } from "./local-backend.js";
import { WorkerBackend } from "./worker-backend.js";

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
    const threads = mostThreads ?? Math.min(cores(), MOST);
    backend = worker ? new WorkerBackend(worker, threads) : new LocalBackend(inPlace);
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
