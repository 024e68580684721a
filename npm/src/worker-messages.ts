import type { ErrorData } from "./errors.js";

/** From the page. */
export type ToWorker = { id: number; method: string; args: unknown } | { id: number; abort: true };

/** To the page. */
export type FromWorker = { id: number; event: unknown } | { id: number; result: unknown } | { id: number; error: ErrorData };
