/** Errors of files that cannot be read. */

import { VidsieveError } from "../data/errors.js";

export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

export function unreadable(message: string, cause?: unknown): VidsieveError {
  return new VidsieveError("unreadable", message, { cause });
}

/** Runs a call of a decoder, and turns its errors into `unreadable`. */
export async function reading<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof VidsieveError) throw cause;
    const gone = cause instanceof DOMException && ["NotReadableError", "NotFoundError"].includes(cause.name);
    throw unreadable(
      gone ? "the file was changed or removed while it was read: choose it again" : `${what}: ${messageOf(cause)}`,
      cause,
    );
  }
}

/** Times that a decoder is asked for again after the browser took it away without giving a frame. */
export const RETRIES = 3;

export const isReclaimed = (thrown: unknown): boolean =>
  thrown instanceof Error && thrown.name === "QuotaExceededError";

/** The error of a decoder that the browser keeps taking away. */
export function reclaimed(cause: unknown): VidsieveError {
  return new VidsieveError(
    "unsupported",
    "the browser reclaimed the decoder repeatedly: close other tabs and try again",
    { cause },
  );
}
