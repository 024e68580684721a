import type { EngineErrorCode, Problem, ProblemCode } from "./wire.js";

/**
 * Code of an error, stable across versions. The codes of the engine:
 *
 * - `bad-model`: the bytes are not a valid bundle, or it lacks a network.
 * - `bad-record`: the bytes are not a valid record.
 * - `other-version`: the record has another version of the format: encode the video again.
 * - `other-bundle`: another bundle made the record.
 * - `bad-frame`: the frame cannot be encoded.
 * - `bad-video`: the video has no frames, too many, or times that run backwards.
 * - `bad-argument`: an argument is invalid or out of range.
 */
export type ErrorCode =
  | EngineErrorCode
  /** The model that made the records is not loaded. */
  | "no-model"
  /** The file is not a readable video. */
  | "unreadable"
  /** The host or browser lacks a feature, such as a decoder for the codec or a canvas. */
  | "unsupported"
  /** The SHA-256 of a download differs from the expected one. */
  | "integrity"
  /** A request failed, or its response was interrupted. */
  | "network"
  /** A server answered with an error status, see {@link HttpError}. */
  | "http"
  /** The local index could not be read or written. */
  | "storage"
  /** The engine stopped unexpectedly. In a Worker, the next call starts a new one. */
  | "crashed"
  /** The object was disposed of. */
  | "disposed"
  /** A defect of this package. */
  | "internal";

/** Error of this package. Aborted calls reject with the signal's reason instead. */
export class VidsieveError extends Error {
  /** Code of the error, stable across versions. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "VidsieveError";
    this.code = code;
  }
}

/** Error response of a server. */
export class HttpError extends VidsieveError {
  readonly status: number;
  /**
   * Stable code of the problem, such as `unauthorized`, or `unknown` if the server sends none. Later
   * versions of the server may send further codes.
   */
  readonly problem: ProblemCode | "unknown" | (string & {});

  constructor(status: number, problem: Partial<Problem>) {
    const code = /^urn:vidsieve:problem:(.+)$/.exec(problem.type ?? "")?.[1] ?? "unknown";
    const text = [problem.title, problem.detail].filter(Boolean).join(": ");
    super("http", `HTTP ${status}: ${text || "the server gave no reason"}`);
    this.name = "HttpError";
    this.status = status;
    this.problem = code;
  }
}

/** Error in a message from a Worker. @internal */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  cause?: { name: string; message: string };
}

/** Turns an error into data for a message. @internal */
export function toData(thrown: unknown): ErrorData {
  const { code, message, cause } = asError(thrown);
  return { code, message, ...(cause instanceof Error ? { cause: { name: cause.name, message: cause.message } } : {}) };
}

/** Turns the data of a message into an error. @internal */
export function fromData({ code, message, cause }: ErrorData): VidsieveError {
  if (!cause) return new VidsieveError(code, message);
  const reason = Object.assign(new Error(cause.message), { name: cause.name });
  return new VidsieveError(code, message, { cause: reason });
}

/**
 * Returns the message for a failed request, with a hint about CORS for other origins: browsers hide
 * from pages why such a request failed. @internal
 */
export function unreachable(url: string, what = "could not be loaded"): string {
  const foreign = typeof location !== "undefined" && /^https?:/.test(url) && new URL(url).origin !== location.origin;
  const cors =
    "; if the server is up, it does not allow this page to read the response: it must send Access-Control-Allow-Origin (CORS)";
  return `${url} ${what}${foreign ? cors : ""}`;
}

/** All codes; the compiler reports missing and unknown ones. */
const CODES: Record<ErrorCode, true> = {
  "bad-model": true,
  "bad-record": true,
  "other-version": true,
  "other-bundle": true,
  "bad-frame": true,
  "bad-video": true,
  "bad-argument": true,
  "no-model": true,
  unreadable: true,
  unsupported: true,
  integrity: true,
  network: true,
  http: true,
  storage: true,
  crashed: true,
  disposed: true,
  internal: true,
};

/** Converts any thrown value to an error of this package. @internal */
export function asError(thrown: unknown): VidsieveError {
  if (thrown instanceof VidsieveError) return thrown;
  if (typeof WebAssembly !== "undefined" && thrown instanceof WebAssembly.RuntimeError) {
    return new VidsieveError("crashed", `the engine stopped: ${thrown.message}`, { cause: thrown });
  }
  if (thrown instanceof Error) {
    const code = (thrown as { code?: unknown }).code;
    if (typeof code === "string" && Object.hasOwn(CODES, code)) {
      return new VidsieveError(code as ErrorCode, thrown.message, { cause: thrown });
    }
    return new VidsieveError("internal", thrown.message, { cause: thrown });
  }
  return new VidsieveError("internal", String(thrown));
}
