import type { ErrorData } from "../data/errors.js";

/** Settings of a Worker. */
export interface Start {
  /** Maximum of threads, not counting the Worker itself if there are several. */
  threads: number;
}

/** Message from the page; `start` comes first. */
export type ToWorker = { start: Start } | { id: number; method: string; args: unknown } | { id: number; abort: true };

/** Message to the page. */
export type FromWorker =
  | { id: number; event: unknown }
  | { id: number; result: unknown }
  | { id: number; error: ErrorData };
