import type { EngineErrorCode, Problem, ProblemCode } from "./wire.js";

/**
 * What went wrong, stable across versions. The codes of the engine:
 *
 * - `bad-model`: the bytes are no sound bundle, or it lacks a network.
 * - `bad-record`: the bytes are no sound record.
 * - `other-version`: a record of another version of the format: index the video again.
 * - `other-bundle`: a record that another bundle made.
 * - `bad-frame`: a frame that cannot be encoded.
 * - `bad-video`: a video without frames, with too many, or with times that run backwards.
 * - `bad-argument`: an argument that is out of its range.
 */
export type ErrorCode =
  | EngineErrorCode
  /** No model is loaded that made these records. */
  | "no-model"
  /** The file is no video that can be read. */
  | "unreadable"
  /** This host or browser cannot do it: no decoder for the codec, no canvas. */
  | "unsupported"
  /** A download whose SHA-256 is not the one that was expected. */
  | "integrity"
  /** A server could not be reached. */
  | "network"
  /** A server answered with an error, see {@link HttpError}. */
  | "http"
  /** The local index could not be read or written. */
  | "storage"
  /** The engine stopped unexpectedly; the next call gets a new one. */
  | "crashed"
  /** It was disposed of. */
  | "disposed"
  /** A defect of this package. */
  | "internal";

/** Every error of this package, aborted calls excepted: those reject with the signal's reason. */
export class VidsieveError extends Error {
  /** Stable across versions. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "VidsieveError";
    this.code = code;
  }
}

/** A server's answer that is an error. */
export class HttpError extends VidsieveError {
  readonly status: number;
  /**
   * The problem's stable code, such as `unauthorized`; `unknown` of servers that send none. Servers
   * of later versions may send others.
   */
  readonly problem: ProblemCode | "unknown" | (string & {});

  constructor(status: number, problem: Partial<Problem>) {
    const code = /^urn:vidsieve:problem:(.+)$/.exec(problem.type ?? "")?.[1] ?? "unknown";
    const text = [problem.title, problem.detail].filter(Boolean).join(": ");
    super("http", `HTTP ${status}: ${text || "the server told no reason"}`);
    this.name = "HttpError";
    this.status = status;
    this.problem = code;
  }
}

/** An error as it crosses from a Worker. @internal */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  cause?: { name: string; message: string };
}

/** An error for a message to the page. @internal */
export function toData(thrown: unknown): ErrorData {
  const { code, message, cause } = asError(thrown);
  return { code, message, ...(cause instanceof Error ? { cause: { name: cause.name, message: cause.message } } : {}) };
}

/** The error of such a message. @internal */
export function fromData({ code, message, cause }: ErrorData): VidsieveError {
  if (!cause) return new VidsieveError(code, message);
  const reason = Object.assign(new Error(cause.message), { name: cause.name });
  return new VidsieveError(code, message, { cause: reason });
}

/**
 * Why an address could not be read, after a failed request. Browsers tell pages nothing about
 * answers of other origins that their servers do not share. @internal
 */
export function unreachable(url: string, what = "could not be loaded"): string {
  const foreign = typeof location !== "undefined" && /^https?:/.test(url) && new URL(url).origin !== location.origin;
  const cors = "; if its server can be reached, it does not allow this page to read it: it has to answer with Access-Control-Allow-Origin (CORS)";
  return `${url} ${what}${foreign ? cors : ""}`;
}

/** Every code: the compiler reports one that is missing here or that is none. */
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

/** Whatever was thrown, as an error of this package. @internal */
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
