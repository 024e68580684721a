import type { Problem } from "./wire.js";

/** What went wrong, stable across versions. */
export type ErrorCode =
  /** The bytes are no sound bundle, or it lacks a network. */
  | "bad-model"
  /** The bytes are no sound record. */
  | "bad-record"
  /** A record that another bundle made. */
  | "other-bundle"
  /** A frame that cannot be encoded. */
  | "bad-frame"
  /** A video without frames, with too many, or with times that run backwards. */
  | "bad-video"
  /** An argument that is out of its range. */
  | "bad-argument"
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
  /** The problem's stable code, such as `unauthorized`; `unknown` of servers that tell none. */
  readonly problem: string;

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
}

const CODES = new Set<string>([
  "bad-model", "bad-record", "other-bundle", "bad-frame", "bad-video", "bad-argument", "no-model", "unreadable", "unsupported",
  "integrity", "network", "http", "storage", "crashed", "disposed", "internal",
]);

/** Whatever was thrown, as an error of this package. @internal */
export function asError(thrown: unknown): VidsieveError {
  if (thrown instanceof VidsieveError) return thrown;
  if (typeof WebAssembly !== "undefined" && thrown instanceof WebAssembly.RuntimeError) {
    return new VidsieveError("crashed", `the engine stopped: ${thrown.message}`, { cause: thrown });
  }
  if (thrown instanceof Error) {
    const code = (thrown as { code?: unknown }).code;
    if (typeof code === "string" && CODES.has(code)) {
      return new VidsieveError(code as ErrorCode, thrown.message, { cause: thrown });
    }
    return new VidsieveError("internal", thrown.message, { cause: thrown });
  }
  return new VidsieveError("internal", String(thrown));
}
