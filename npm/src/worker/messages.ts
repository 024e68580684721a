import type { ErrorData } from "../data/errors.js";

/** How a Worker is to work. */
export interface Start {
  /** Most threads, itself not counted if there are several. */
  threads: number;
}

/** From the page; how to start comes first. */
export type ToWorker =
  | { start: Start }
  | { id: number; method: string; args: unknown } | { id: number; abort: true };

/** To the page. */
export type FromWorker = { id: number; event: unknown } | { id: number; result: unknown } | { id: number; error: ErrorData };
